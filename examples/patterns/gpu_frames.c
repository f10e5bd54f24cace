/* Frames that a GPU still reads: it is two frames behind, and once it falls back further. The
 * memory of a frame is taken again when the GPU has finished it, and not before. */
#include "fa/fa.h"

#include <stdio.h>

enum { FRAMES = 12, VERTICES = 1000, BEHIND = 2 };

/* What a driver would be: it works off submissions in their order, and raises a fence. */
typedef struct submission {
    const float *vertices; /* frame memory */
    uint64_t number;
} submission;

typedef struct gpu {
    submission queue[FRAMES];
    size_t submitted, finished;
    fa_timeline *fence;
    size_t wrong_count;
} gpu;

static void submit(gpu *device, const float *vertices, uint64_t number) {
    device->queue[device->submitted++] = (submission){vertices, number};
}

static bool draw(const submission *work) {
    for (size_t i = 0; i < VERTICES; i++)
        if (work->vertices[i] != (float)work->number)
            return false;
    return true;
}

/* Works until so many submissions are left. */
static void work_off(gpu *device, size_t left) {
    while (device->submitted - device->finished > left) {
        const submission *work = &device->queue[device->finished++];
        device->wrong_count += !draw(work);
        (void)fa_timeline_advance(device->fence, work->number);
    }
}

static bool render(fa_allocator *memory, gpu *device, uint64_t number) {
    fa_frame *frame = fa_frame_begin(memory);
    float *vertices = frame ? fa_frame_array_in(frame, float, VERTICES) : NULL;
    if (vertices == NULL)
        return false;
    for (size_t i = 0; i < VERTICES; i++)
        vertices[i] = (float)number;
    submit(device, vertices, number);
    return fa_frame_end_on_in(frame, device->fence, number) == FA_OK;
}

int main(void) {
    fa_allocator *memory;
    gpu device = {0};
    fa_timeline_config config = {.name = "gpu"};
    if (fa_allocator_create(NULL, &memory) != FA_OK ||
        fa_timeline_create(memory, &config, &device.fence) != FA_OK)
        return 1;
    for (uint64_t number = 1; number <= FRAMES; number++) {
        if (!render(memory, &device, number))
            return 1;
        bool is_slow = number >= 5 && number < 8;
        if (!is_slow)
            work_off(&device, BEHIND);
        fa_stats stats;
        (void)fa_stats_get(memory, &stats);
        printf("frame %2d: the gpu has finished %2d, %zu frames are kept%s\n", (int)number,
               (int)fa_timeline_value(device.fence), stats.frame_kept_count,
               is_slow ? ", it is slow" : "");
    }
    work_off(&device, 0);
    printf("%zu frames were overwritten while the gpu read them\n", device.wrong_count);
    (void)fa_timeline_destroy(device.fence);
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
