#include "fa/internal/owned.h"

#include "fa/internal/allocator.h"

/* Callbacks that go on making things for each other are left to destroy after so many. */
#define CLEAR_ROUNDS 8

bool fai_owned_create(fai_owned_list *list) {
    list->newest = NULL;
    list->change_count = 0;
    return pthread_mutex_init(&list->lock, NULL) == 0;
}

void fai_owned_add(fa_allocator *allocator, fai_owned *owned, const fai_owned_kind *kind) {
    fai_owned_list *list = &allocator->owned;
    owned->kind = kind;
    owned->prev = NULL;
    owned->round = 0;
    pthread_mutex_lock(&list->lock);
    list->change_count++;
    owned->next = list->newest;
    if (owned->next != NULL)
        owned->next->prev = owned;
    list->newest = owned;
    pthread_mutex_unlock(&list->lock);
}

static void unlink_locked(fai_owned_list *list, fai_owned *owned) {
    list->change_count++;
    if (owned->prev != NULL)
        owned->prev->next = owned->next;
    else
        list->newest = owned->next;
    if (owned->next != NULL)
        owned->next->prev = owned->prev;
}

void fai_owned_remove(fa_allocator *allocator, fai_owned *owned) {
    pthread_mutex_lock(&allocator->owned.lock);
    unlink_locked(&allocator->owned, owned);
    pthread_mutex_unlock(&allocator->owned.lock);
}

/* Clears each one once. Returns whether callbacks ran. */
static bool clear_all(fa_allocator *allocator, uint32_t round) {
    fai_owned_list *list = &allocator->owned;
    bool any = false;
    pthread_mutex_lock(&list->lock);
    for (fai_owned *owned = list->newest; owned != NULL;) {
        bool due = owned->round != round && owned->kind->clear != NULL;
        owned->round = round;
        if (due) {
            uint64_t changes = list->change_count;
            pthread_mutex_unlock(&list->lock);
            any |= owned->kind->clear(allocator, owned);
            pthread_mutex_lock(&list->lock);
            if (list->change_count != changes) { /* it may be gone, and what came is newer */
                owned = list->newest;
                continue;
            }
        }
        owned = owned->next;
    }
    pthread_mutex_unlock(&list->lock);
    return any;
}

void fai_owned_destroy(fa_allocator *allocator) {
    fai_owned_list *list = &allocator->owned;
    for (uint32_t round = 1; round <= CLEAR_ROUNDS && clear_all(allocator, round);)
        round++;
    for (;;) {
        pthread_mutex_lock(&list->lock);
        fai_owned *owned = list->newest;
        if (owned != NULL)
            unlink_locked(list, owned);
        pthread_mutex_unlock(&list->lock);
        if (owned == NULL)
            return;
        owned->kind->destroy(allocator, owned);
    }
}

const void *fai_owned_validate(fa_allocator *allocator) {
    const void *wrong = NULL;
    pthread_mutex_lock(&allocator->owned.lock);
    for (fai_owned *owned = allocator->owned.newest; owned && !wrong; owned = owned->next)
        if (owned->kind->validate != NULL)
            wrong = owned->kind->validate(allocator, owned);
    pthread_mutex_unlock(&allocator->owned.lock);
    return wrong;
}

size_t fai_owned_trim(fa_allocator *allocator) {
    size_t bytes = 0;
    pthread_mutex_lock(&allocator->owned.lock);
    for (fai_owned *owned = allocator->owned.newest; owned; owned = owned->next)
        if (owned->kind->trim != NULL)
            bytes += owned->kind->trim(allocator, owned);
    pthread_mutex_unlock(&allocator->owned.lock);
    return bytes;
}

void fai_owned_lock_all(fai_owned_list *list) {
    pthread_mutex_lock(&list->lock);
    for (fai_owned *owned = list->newest; owned; owned = owned->next)
        if (owned->kind->lock != NULL)
            owned->kind->lock(owned);
}

void fai_owned_fork_child(fai_owned_list *list) {
    for (fai_owned *owned = list->newest; owned; owned = owned->next)
        if (owned->kind->fork_child != NULL)
            owned->kind->fork_child(owned);
}

/* The last one locked first: whose lock keeps what another one locks as it is, keeps it until that
 * one has unlocked all of it. */
void fai_owned_unlock_all(fai_owned_list *list) {
    fai_owned *oldest = list->newest;
    while (oldest != NULL && oldest->next != NULL)
        oldest = oldest->next;
    for (fai_owned *owned = oldest; owned; owned = owned->prev)
        if (owned->kind->unlock != NULL)
            owned->kind->unlock(owned);
    pthread_mutex_unlock(&list->lock);
}
