/* Accounts and limits: phases of a frame, tags, a budget that a cache can make room in, and what
 * happens when memory runs out. */
#include "fa/fa.h"

#include <stdio.h>

enum { IMAGE_BYTES = 256 << 10, IMAGE_COUNT = 16, BUDGET_BYTES = 2 << 20 };

/* Images that can be loaded again, oldest first. */
typedef struct cache {
    fa_allocator *memory;
    void *images[IMAGE_COUNT];
    size_t oldest, count;
    size_t dropped_count;
} cache;

static size_t drop_oldest(cache *c) {
    if (c->oldest == c->count)
        return 0;
    fa_heap_free(c->memory, c->images[c->oldest++]);
    c->dropped_count++;
    return IMAGE_BYTES;
}

/* The budget of the images is used up: make room, and try again. */
static fa_budget_answer make_room(void *user, const fa_budget_request *request) {
    (void)request;
    return drop_oldest((cache *)user) ? FA_BUDGET_ANSWER_RETRY : FA_BUDGET_ANSWER_FAIL;
}

/* The whole program is out of memory: give back what can be had again. */
static size_t reclaim(void *user, fa_allocator *memory, size_t size) {
    (void)memory;
    size_t bytes = 0;
    for (size_t more = 1; bytes < size && more != 0; bytes += more)
        more = drop_oldest((cache *)user);
    return bytes;
}

static void load_images(cache *c) {
    fa_tag_scope_name(c->memory, "images", tag); /* below the tag that we are in */
    if (tag.status != FA_OK)
        return;
    while (c->count < IMAGE_COUNT) {
        void *image = fa_heap_alloc(c->memory, IMAGE_BYTES);
        if (image == NULL)
            break;
        c->images[c->count++] = image;
    }
}

/* 16 KB of contacts, and 4 KB of keys to sort them by. */
static void simulate(fa_allocator *memory) {
    fa_phase_scope(memory, "simulate");
    (void)fa_tag_enter(memory, FA_TAG_PHYSICS);
    char *contacts = fa_frame_array(memory, char, 16000);
    (void)fa_tag_leave(memory);
    fa_phase_scope(memory, "sort");
    char *keys = fa_frame_array(memory, char, 4000);
    if (contacts != NULL && keys != NULL)
        contacts[0] = keys[0] = 0;
}

static void print(const char *title, fa_allocator *memory,
                  size_t (*format)(fa_allocator *, char *, size_t)) {
    char text[4096];
    (void)format(memory, text, sizeof text);
    printf("%s:\n%s\n", title, text);
}

int main(void) {
    fa_alloc_config config = fa_alloc_config_default();
    config.name = "accounts";
    config.reserve_bytes = 1 << 20;
    config.phase_clock = false; /* times differ from run to run */
    fa_allocator *memory;
    if (fa_allocator_create(&config, &memory) != FA_OK)
        return 1;
    cache images = {.memory = memory};
    fa_tag tag = fa_tag_intern(memory, "assets::images");
    fa_budget budget = {.hard_bytes = BUDGET_BYTES,
                        .soft_bytes = BUDGET_BYTES - IMAGE_BYTES,
                        .policy = FA_BUDGET_ASK,
                        .ask = make_room,
                        .user = &images};
    if (fa_budget_set_tag(memory, tag, FA_INTENT_NONE, &budget) != FA_OK ||
        fa_reclaimer_add(memory, 0, reclaim, &images) != FA_OK || fa_frame_begin(memory) == NULL)
        return 1;
    (void)fa_tag_enter(memory, FA_TAG_ASSETS);
    load_images(&images);
    (void)fa_tag_leave(memory);
    simulate(memory);
    print("who holds it", memory, fa_tag_format);
    print("when it was taken", memory, fa_phase_format);
    (void)fa_frame_end(memory);

    fa_budget_usage usage;
    (void)fa_budget_get_tag(memory, tag, FA_INTENT_NONE, &usage);
    printf("%zu images loaded, %zu dropped to make room, %zu of %zu KiB used\n", images.count,
           images.dropped_count, usage.used >> 10, usage.hard_bytes >> 10);
    while (drop_oldest(&images) != 0) {
    }
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
