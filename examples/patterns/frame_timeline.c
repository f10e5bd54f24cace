/* Frame timeline: which thread did what, when. A listener writes down how long each frame took and
 * what it held, and who frees objects of others; the engine itself does not change. Once enough is
 * seen it ends its subscription, and frames cost what they did before. */
#include "fa/fa.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS = 2, FRAMES = 3, LINES = 64 };

typedef struct timeline {
    pthread_mutex_t mutex; /* callbacks run on the threads that they tell of */
    size_t count;
    fa_events_item line[LINES];
} timeline;

static void note(void *user, const fa_events_item *item) {
    timeline *seen = user;
    pthread_mutex_lock(&seen->mutex);
    if (seen->count < LINES)
        seen->line[seen->count++] = *item;
    pthread_mutex_unlock(&seen->mutex);
}

typedef struct worker {
    fa_allocator *memory;
    size_t number;
} worker;

static void *work(void *argument) {
    const worker *self = argument;
    char name[16];
    snprintf(name, sizeof name, "worker %zu", self->number);
    if (fa_thread_name(self->memory, name) != FA_OK)
        return NULL;
    for (size_t i = 1; i <= FRAMES; i++) {
        fa_frame *frame = fa_frame_begin(self->memory);
        char *scratch = frame ? fa_frame_array_in(frame, char, 1000 * i * self->number) : NULL;
        if (scratch != NULL)
            memset(scratch, 0, 1000 * i * self->number);
        fa_frame_end_in(frame);
    }
    return NULL;
}

static void report(void *user, const fa_thread_stats *stats) {
    (void)user;
    printf("%s: %d frames\n", stats->name, (int)stats->frame_count);
}

int main(void) {
    static timeline seen = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    fa_allocator *memory;
    fa_events_id id;
    fa_events_config listen = {
        .kinds = FA_EVENTS_BIT(FA_EVENTS_FRAME_END), .function = note, .user = &seen};
    if (fa_allocator_create(NULL, &memory) != FA_OK ||
        fa_events_subscribe(memory, &listen, &id) != FA_OK)
        return 1;
    for (size_t n = 1; n <= WORKERS; n++) { /* one after the other, so that the output is fixed */
        worker self = {memory, n};
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, &self) != 0)
            return 1;
        pthread_join(thread, NULL);
    }
    if (fa_events_unsubscribe(memory, id) != FA_OK) /* from here on seen is ours alone */
        return 1;
    for (size_t i = 0; i < seen.count; i++) {
        const fa_events_item *item = &seen.line[i];
        printf("thread %d, frame %d: at least %d bytes, %s\n", (int)item->thread_index,
               (int)item->frame_index, (int)(item->bytes_peak / 1000 * 1000),
               item->duration > 0 ? "timed" : "not timed");
    }
    worker self = {memory, 3};
    work(&self);
    fa_thread_visit(memory, report, NULL);
    printf("left over: %zu\n", fa_allocator_destroy(memory));
    return 0;
}
