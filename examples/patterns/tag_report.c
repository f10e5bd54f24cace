/* Tags: whose memory is it? Two parts of a game allocate, and a table shows what each holds. */
#include "fa/fa.h"

#include <stdio.h>

typedef struct body {
    float position[3], velocity[3];
} body;

/* A library that knows nothing of tags: what it allocates is its caller's. */
static uint32_t *sorted_indices(fa_frame *memory, uint32_t count) {
    uint32_t *indices = fa_frame_array_in(memory, uint32_t, count);
    for (uint32_t i = 0; indices != NULL && i < count; i++)
        indices[i] = i;
    return indices;
}

static bool simulate(fa_allocator *allocator, fa_frame *memory, body **bodies) {
    if (fa_tag_enter(allocator, FA_TAG_PHYSICS) != FA_OK)
        return false;
    bool done = sorted_indices(memory, 1000) != NULL;
    for (int i = 0; i < 10 && done; i++)
        done = (bodies[i] = fa_pool_new(allocator, body)) != NULL;
    if (fa_tag_enter_name(allocator, "broad phase") == FA_OK) { /* physics::broad phase */
        done = done && sorted_indices(memory, 250) != NULL;
        (void)fa_tag_leave(allocator);
    }
    (void)fa_tag_leave(allocator);
    return done;
}

int main(void) {
    fa_allocator *allocator;
    if (fa_allocator_create(NULL, &allocator) != FA_OK)
        return 1;
    /* An allocator and a tag in one value, for who always allocates for the same. */
    fa_tagged level = {allocator, fa_tag_intern(allocator, "assets::level")};
    void *map = fa_tagged_heap_alloc(level, 1000000);
    body *bodies[10] = {NULL};
    fa_frame *memory = fa_frame_begin(allocator);
    bool done = memory != NULL && map != NULL && simulate(allocator, memory, bodies);

    char table[4096];
    if (fa_tag_format(allocator, table, sizeof table) < sizeof table)
        fputs(table, stdout);
    for (int i = 0; i < 10; i++)
        fa_pool_free(allocator,
                     bodies[i]); /* in no tag any more: taken from physics all the same */
    fa_heap_free(allocator, map);
    if (memory != NULL)
        (void)fa_frame_end_in(memory);

    fa_tag_stats stats;
    if (fa_tag_stats_find(allocator, "physics", &stats) != FA_OK)
        done = false;
    else
        printf("physics: %llu objects alive\n", (unsigned long long)stats.pool_live_count);
    return fa_allocator_destroy(allocator) == 0 && done ? 0 : 1;
}
