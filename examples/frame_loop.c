/* A frame loop: what each frame needs is taken in pieces, and is gone as a whole when it ends.
 *
 * Read after hello.c. Shown here: handles, scratch memory inside of a frame, results that outlive
 * it, and what frames took. */
#include "fa/fa.h"

#include <stdio.h>
#include <stdlib.h>

enum { SHIP_COUNT = 200, FRAMES = 3 };

typedef struct ship {
    int x, y;
} ship;

typedef struct sighting {
    int distance;
    const ship *seen;
} sighting;

static int by_distance(const void *left, const void *right) {
    const sighting *a = left, *b = right;
    return (a->distance > b->distance) - (a->distance < b->distance);
}

/* The nearest ships, nearest first. The list that is sorted is scratch memory: the frame goes back
 * to where it stood when this function returns. What stays was allocated before. */
static size_t look(fa_frame *frame, const ship *ships, const ship *from, sighting *nearest,
                   size_t nearest_max) {
    fa_mark_scope_in(frame, scratch);
    sighting *all = fa_frame_array_in(frame, sighting, SHIP_COUNT);
    if (all == NULL)
        return 0; /* out of memory: nothing is seen in this frame, and the game goes on */
    for (size_t i = 0; i < SHIP_COUNT; i++)
        all[i] = (sighting){abs(ships[i].x - from->x) + abs(ships[i].y - from->y), &ships[i]};
    qsort(all, SHIP_COUNT, sizeof *all, by_distance);
    size_t count = nearest_max < SHIP_COUNT ? nearest_max : SHIP_COUNT;
    for (size_t i = 0; i < count; i++)
        nearest[i] = all[i];
    return count;
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    static ship ships[SHIP_COUNT]; /* lives longer than any frame */
    int best = 0;                  /* so does this: copied out of the frame */
    for (int number = 0; number < FRAMES; number++) {
        fa_frame *frame = fa_frame_begin(memory);
        if (frame == NULL)
            break; /* only before the first: a thread keeps what its frames need */
        for (int i = 0; i < SHIP_COUNT; i++)
            ships[i] = (ship){i * 37 % 100 + number, i * 53 % 100};
        sighting *nearest = fa_frame_array_in(frame, sighting, 3);
        const ship here = {50, 50};
        size_t count = nearest ? look(frame, ships, &here, nearest, 3) : 0;
        if (count != 0)
            best = nearest[0].distance;
        const char *text = fa_frame_copy_string_in(frame, count != 0 ? "in sight" : "nothing");
        printf("frame %d: %s, %d away\n", number, text ? text : "?", best);
        fa_frame_end_in(frame); /* nearest and text are gone */
    }
    fa_stats stats;
    if (fa_stats_get(memory, &stats) == FA_OK)
        printf("%d frames, memory for the list taken back: %s\n", (int)stats.frame_count,
               stats.frame_bytes < stats.frame_bytes_peak * FRAMES ? "yes" : "no");
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
