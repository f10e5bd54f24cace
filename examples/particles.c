/* Structures of arrays: particles in frame memory, and in memory that lives longer; work in
 * batches; a counter for each worker on a cache line of its own. */
#include "fa/fa.h"

#include <stdio.h>

#define PARTICLE_FIELDS(X) X(float, x) X(float, speed) X(uint32_t, colour)
FA_SOA(particles, PARTICLE_FIELDS)

typedef struct FA_CACHE_ALIGNED counter {
    uint32_t moved;
} counter;

enum { COUNT = 1000, WORKERS = 4 };

static void fill(particles p) {
    for (size_t i = 0; i < p.count; i++) {
        p.x[i] = (float)i;
        p.speed[i] = 0.5f;
        p.colour[i] = 0xFFFFFFu;
    }
}

/* What one worker of a game's job system would do with its batch. */
static void move(void *user, size_t first, size_t count) {
    const particles *p = (const particles *)user;
    for (size_t i = first; i < first + count; i++)
        p->x[i] += p->speed[i];
}

static void in_frame(fa_frame *frame) {
    particles p;
    counter *counters = fa_frame_array_lines_in(frame, counter, WORKERS);
    if (counters == NULL || fa_soa_new_in(frame, particles, COUNT, &p) != FA_OK)
        return;
    fill(p);
    (void)fa_batch_each(p.count, 256, move, &p);
    for (int i = 0; i < WORKERS; i++)
        counters[i].moved = 0;
    size_t worker = 0;
    FA_BATCHES (batch, p.count, 256) { /* the same as a loop */
        move(&p, batch.first, batch.count);
        counters[worker++ % WORKERS].moved += (uint32_t)batch.count;
    }
    printf("last at %.0f; each worker moved:", (double)p.x[p.count - 1]);
    for (int i = 0; i < WORKERS; i++)
        printf(" %u", (unsigned)counters[i].moved);
    printf("\n");
}

static void in_heap(fa_allocator *memory) {
    size_t bytes = fa_soa_bytes(particles, COUNT);
    void *block = fa_heap_alloc_aligned(memory, bytes, fa_soa_align(particles));
    if (block == NULL)
        return;
    particles p;
    fa_soa_place(particles, block, COUNT, &p);
    fill(p);
    fa_heap_free(memory, block);
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    in_heap(memory);
    fa_frame *frame = fa_frame_begin(memory);
    if (frame != NULL)
        in_frame(frame);
    (void)fa_frame_end(memory);
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
