/* Views: a part of an array in frame memory, without a copy. A view is an address and a number, and
 * dies with the frame like what it shows. */
#include "fa/fa.h"

#include <stdio.h>

typedef struct vertex {
    float x, y;
} vertex;

typedef struct vertex_view {
    const vertex *items;
    size_t count;
} vertex_view;

/* The part from first to first + count, cut to what there is. */
static vertex_view view_of(vertex_view whole, size_t first, size_t count) {
    first = first < whole.count ? first : whole.count;
    count = count < whole.count - first ? count : whole.count - first;
    vertex_view part = {whole.items + first, count};
    return part;
}

static float sum_of_x(vertex_view view) {
    float sum = 0;
    for (size_t i = 0; i < view.count; i++)
        sum += view.items[i].x;
    return sum;
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    {
        fa_frame_scope(memory, frame);
        vertex *all = frame ? fa_frame_array_in(frame, vertex, 1000) : NULL;
        if (all == NULL)
            return 1;
        for (int i = 0; i < 1000; i++)
            all[i] = (vertex){(float)i, 0};
        vertex_view whole = {all, 1000};
        vertex_view visible = view_of(whole, 100, 100);
        vertex_view near = view_of(visible, 10, 5); /* a view of a view */
        vertex_view end = view_of(whole, 990, 100); /* ten are left */
        printf("visible: %zu, sum %.0f\n", visible.count, (double)sum_of_x(visible));
        printf("near: %zu, sum %.0f\n", near.count, (double)sum_of_x(near));
        printf("end: %zu; past it: %zu\n", end.count, view_of(whole, 5000, 1).count);
        /* Work in parts is the same thing: see fa_batch_each and FA_BATCHES in soa.h. */
        float sum = 0;
        FA_BATCHES (batch, whole.count, 256)
            sum += sum_of_x(view_of(whole, batch.first, batch.count));
        printf("in batches: %.0f\n", (double)sum);
    }
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
