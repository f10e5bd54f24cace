/* A promotion tracker: what is computed anew in each frame and asked for again and again is
 * promoted from frame memory to the pool after some frames, and used from there until it is dropped
 * again. */
#include "fa/fa.h"

#include <stdio.h>

enum { THRESHOLD = 3, SAMPLES = 64 };

typedef struct light_map {
    int room;
    float samples[SAMPLES];
} light_map;

typedef struct tracker {
    fa_allocator *memory;
    int room;
    int frames_used;
    light_map *promoted; /* NULL: not yet */
    int computed_count;
} tracker;

static bool compute(tracker *t, light_map *map) {
    if (map == NULL)
        return false;
    map->room = t->room;
    for (int i = 0; i < SAMPLES; i++)
        map->samples[i] = (float)(t->room * i);
    t->computed_count++;
    return true;
}

/* Valid until the end of the frame: afterwards only the promoted one is. */
static const light_map *use(tracker *t, fa_frame *frame, fa_retained *retained) {
    if (t->promoted != NULL)
        return t->promoted;
    bool often = ++t->frames_used >= THRESHOLD;
    *retained = fa_frame_retain_new_in(frame, light_map,
                                       often ? fa_retain_to_pool() : fa_retain_discarded());
    light_map *map = fa_retained_as(t->memory, *retained, light_map);
    return compute(t, map) ? map : NULL;
}

/* After the frame: takes what was kept out of the library's hands. */
static void settle(tracker *t, fa_retained retained) {
    if (t->promoted == NULL && fa_retained_kind_of(t->memory, retained) == FA_RETAINED_POOL)
        t->promoted = fa_retained_take(t->memory, retained); /* ours, to be freed by us */
}

int main(void) {
    tracker t = {.room = 7};
    if (fa_allocator_create(NULL, &t.memory) != FA_OK)
        return 1;
    for (int number = 0; number < 6; number++) {
        fa_retained retained = {0};
        fa_frame *frame = fa_frame_begin(t.memory);
        const light_map *map = frame ? use(&t, frame, &retained) : NULL;
        if (map == NULL)
            return 1;
        printf("frame %d: sample %.0f from the %s\n", number, (double)map->samples[10],
               map == t.promoted ? "pool" : "frame");
        fa_frame_end_in(frame);
        settle(&t, retained);
    }
    printf("computed %d times\n", t.computed_count);
    fa_pool_delete(t.memory, t.promoted);
    return fa_allocator_destroy(t.memory) == 0 ? 0 : 1;
}
