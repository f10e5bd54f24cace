/* Threads: one allocator, and each thread has frames of its own, without locks.
 *
 * Nothing has to be set up: a thread is attached by its first allocation and detached when it
 * exits. Frame memory belongs to the thread that allocates it; pool and heap blocks may be freed by
 * any thread. */
#include "fa/fa.h"

#include <pthread.h>
#include <stdio.h>

enum { WORKERS = 3, FRAMES = 100, PER_FRAME = 50 };

typedef struct result {
    int worker;
    long sum;
} result;

typedef struct worker {
    pthread_t thread;
    fa_allocator *memory;
    int number;
    result *made; /* for the main thread to read, and to free */
} worker;

static long one_frame(fa_allocator *memory, int seed) {
    fa_frame *frame = fa_frame_begin(memory); /* this thread's: others may have theirs open */
    if (frame == NULL)
        return 0;
    long sum = 0;
    int *numbers = fa_frame_array_in(frame, int, PER_FRAME);
    for (int i = 0; numbers != NULL && i < PER_FRAME; i++)
        numbers[i] = i % seed;
    for (int i = 0; numbers != NULL && i < PER_FRAME; i++)
        sum += numbers[i];
    fa_frame_end_in(frame); /* each thread ends its own */
    return sum;
}

static void *run(void *argument) {
    worker *self = argument;
    long sum = 0;
    for (int i = 0; i < FRAMES; i++)
        sum += one_frame(self->memory, self->number + 2);
    self->made = fa_pool_new(self->memory, result);
    if (self->made != NULL)
        *self->made = (result){self->number, sum};
    return NULL; /* detached: what it made stays valid */
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    worker workers[WORKERS];
    int started = 0;
    for (; started < WORKERS; started++) {
        workers[started] = (worker){.memory = memory, .number = started};
        if (pthread_create(&workers[started].thread, NULL, run, &workers[started]) != 0)
            break;
    }
    for (int i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        result *made = workers[i].made;
        if (made != NULL)
            printf("worker %d: %ld\n", made->worker, made->sum);
        fa_pool_delete(memory, made); /* another thread's object; NULL is ignored */
    }
    fa_stats stats;
    if (fa_stats_get(memory, &stats) == FA_OK)
        printf("%d frames on %d threads\n", (int)stats.frame_count, (int)stats.thread_attach_count);
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
