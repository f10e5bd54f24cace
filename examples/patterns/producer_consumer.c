/* Producer and consumer: one thread makes messages, another one reads them, later. Frame memory
 * dies with the producer's frame, so a message goes over as a pool object: the receiver owns it and
 * frees it, on its own thread, which takes no lock. What only the making of it needed stays in the
 * producer's frame. */
#include "fa/fa.h"

#include <pthread.h>
#include <stdio.h>

enum { MESSAGES = 1000, ROOM = 16, NUMBERS = 32 };

typedef struct message {
    int number;
    long sum;
} message;

/* A few addresses behind a lock; the objects themselves are not copied. */
typedef struct channel {
    fa_allocator *memory;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    message *waiting[ROOM];
    size_t first, count;
    bool closed;
} channel;

static void send(channel *c, message *sent) { /* sent is the receiver's from here on */
    pthread_mutex_lock(&c->mutex);
    while (c->count == ROOM)
        pthread_cond_wait(&c->changed, &c->mutex);
    c->waiting[(c->first + c->count++) % ROOM] = sent;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->mutex);
}

static message *receive(channel *c) { /* NULL: there will be no more */
    pthread_mutex_lock(&c->mutex);
    while (c->count == 0 && !c->closed)
        pthread_cond_wait(&c->changed, &c->mutex);
    message *received = NULL;
    if (c->count != 0) {
        received = c->waiting[c->first];
        c->first = (c->first + 1) % ROOM;
        c->count--;
    }
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    return received;
}

static message *produce(fa_allocator *memory, int number) {
    fa_frame_scope(memory, frame);
    fa_pool_scope(memory, message, made); /* freed here, unless it is kept */
    int *numbers = frame ? fa_frame_array_in(frame, int, NUMBERS) : NULL;
    if (made == NULL || numbers == NULL)
        return NULL;
    *made = (message){number, 0};
    for (int i = 0; i < NUMBERS; i++)
        numbers[i] = number + i;
    for (int i = 0; i < NUMBERS; i++)
        made->sum += numbers[i];
    return fa_scope_keep(made);
}

static void *producer(void *argument) {
    channel *c = argument;
    for (int i = 0; i < MESSAGES; i++) {
        message *made = produce(c->memory, i);
        if (made == NULL)
            break;
        send(c, made);
    }
    pthread_mutex_lock(&c->mutex);
    c->closed = true;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

int main(void) {
    channel c = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    pthread_t thread;
    if (fa_allocator_create(NULL, &c.memory) != FA_OK ||
        pthread_create(&thread, NULL, producer, &c) != 0)
        return 1;
    long sum = 0;
    int count = 0;
    for (message *received; (received = receive(&c)) != NULL; count++) {
        sum += received->sum;
        fa_pool_delete(c.memory, received); /* goes back to the thread that made it */
    }
    pthread_join(thread, NULL);
    printf("%d messages, sum %ld\n", count, sum);
    printf("left over: %zu\n", fa_allocator_destroy(c.memory));
    return 0;
}
