/* Everything together: a small game. A level on the heap, monsters in the pool, particles and
 * what is drawn in frames, tags that say who holds what, a budget, and a worker that has its own
 * frames. */
#include "fa/fa.h"

#include <pthread.h>
#include <stdio.h>

enum { FRAMES = 60, WIDTH = 64, LEVEL_BYTES = WIDTH * WIDTH, MONSTERS_MAX = 20 };

typedef struct monster {
    int x, y, health;
} monster;

#define SPARK_FIELDS(X) X(float, x) X(float, y) X(int, age)
FA_SOA(sparks, SPARK_FIELDS)
FA_VEC(draw_list, const monster *)

typedef struct game {
    fa_allocator *memory;
    unsigned char *level;
    monster *monsters[MONSTERS_MAX];
    size_t monster_count, drawn, sparked, killed;
} game;

static void spawn(game *g, int number) {
    fa_tag_scope(g->memory, FA_TAG_GENERAL, entered);
    monster *made = g->monster_count < MONSTERS_MAX ? fa_pool_new(g->memory, monster) : NULL;
    if (made == NULL)
        return; /* no more monsters for now */
    *made = (monster){number * 7 % WIDTH, number * 13 % WIDTH, 5};
    g->monsters[g->monster_count++] = made;
}

/* Each monster loses health, and the dead go back to the pool. */
static void fight(game *g) {
    for (size_t i = g->monster_count; i-- > 0;) {
        if (--g->monsters[i]->health > 0)
            continue;
        fa_pool_delete(g->memory, g->monsters[i]);
        g->monsters[i] = g->monsters[--g->monster_count];
        g->killed++;
    }
}

/* Eight sparks for each monster: three arrays in one step, gone when the function returns. */
static void sparkle(game *g, fa_frame *frame) {
    fa_phase_scope_in(frame, "sparks");
    fa_mark_scope_in(frame, scratch);
    sparks all;
    if (g->monster_count == 0 || fa_soa_new_in(frame, sparks, g->monster_count * 8, &all) != FA_OK)
        return;
    for (size_t i = 0; i < all.count; i++) {
        all.x[i] = (float)(g->monsters[i / 8]->x + (int)i % 8);
        all.y[i] = (float)g->monsters[i / 8]->y;
        all.age[i] = 0;
    }
    g->sparked += all.count;
}

static void draw(game *g, fa_frame *frame) {
    fa_phase_scope_in(frame, "draw");
    fa_tag_scope(g->memory, FA_TAG_RENDERING, entered);
    draw_list list = draw_list_make_in(frame, 0); /* grows, and needs no free */
    for (size_t i = 0; i < g->monster_count; i++)
        if (g->level[g->monsters[i]->y * WIDTH + g->monsters[i]->x] == 0)
            (void)draw_list_push(&list, g->monsters[i]); /* refused: it is not drawn */
    g->drawn += list.count;
}

/* Another thread with frames of its own: it looks through the level again and again. */
static void *listen(void *argument) {
    const game *g = argument;
    for (int i = 0; i < FRAMES; i++) {
        fa_frame_scope(g->memory, frame);
        int *histogram = frame ? fa_frame_array_zeroed_in(frame, int, 256) : NULL;
        for (size_t at = 0; histogram != NULL && at < LEVEL_BYTES; at++)
            histogram[g->level[at]]++;
    }
    return NULL;
}

static bool play(game *g) {
    pthread_t listener;
    if (pthread_create(&listener, NULL, listen, g) != 0)
        return false;
    for (int i = 0; i < FRAMES; i++) {
        fa_frame_scope(g->memory, frame);
        if (frame == NULL)
            break;
        spawn(g, i);
        fight(g);
        sparkle(g, frame);
        draw(g, frame);
    }
    return pthread_join(listener, NULL) == 0;
}

int main(void) {
    fa_alloc_config config = fa_alloc_config_default();
    config.name = "game";
    config.frame_bytes_max = 8 << 20; /* a frame that runs away is stopped there */
    game g = {.memory = NULL};
    if (fa_allocator_create(&config, &g.memory) != FA_OK)
        return 1;
    fa_budget most = {.hard_bytes = 1 << 20};
    if (fa_budget_set_tag(g.memory, FA_TAG_ASSETS, FA_INTENT_NONE, &most) != FA_OK)
        return 1;
    fa_tagged assets = {g.memory, FA_TAG_ASSETS}; /* an allocator and a tag in one value */
    g.level = fa_tagged_heap_alloc_zeroed(assets, WIDTH, WIDTH);
    bool played = g.level != NULL && play(&g);

    fa_tag_stats tag;
    if (fa_tag_stats_get(g.memory, FA_TAG_ASSETS, &tag) == FA_OK)
        printf("the level: %zu bytes\n", tag.heap_live_bytes);
    printf("%zu killed, %zu drawn, %zu sparks\n", g.killed, g.drawn, g.sparked);
    while (g.monster_count != 0)
        fa_pool_delete(g.memory, g.monsters[--g.monster_count]);
    fa_heap_free(g.memory, g.level);
    fa_stats stats;
    if (fa_stats_get(g.memory, &stats) == FA_OK)
        printf("%d frames on %d threads\n", (int)stats.frame_count, (int)stats.thread_attach_count);
    size_t alive = fa_allocator_destroy(g.memory);
    printf("%zu blocks left\n", alive);
    return played && alive == 0 ? 0 : 1;
}
