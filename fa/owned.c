#include "fa/internal/owned.h"

#include "fa/internal/allocator.h"

bool fai_owned_create(fai_owned_list *list) {
    list->newest = NULL;
    return pthread_mutex_init(&list->lock, NULL) == 0;
}

void fai_owned_add(fa_allocator *allocator, fai_owned *owned, const fai_owned_kind *kind) {
    fai_owned_list *list = &allocator->owned;
    owned->kind = kind;
    owned->prev = NULL;
    pthread_mutex_lock(&list->lock);
    owned->next = list->newest;
    if (owned->next != NULL)
        owned->next->prev = owned;
    list->newest = owned;
    pthread_mutex_unlock(&list->lock);
}

static void unlink_locked(fai_owned_list *list, fai_owned *owned) {
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

void fai_owned_destroy(fa_allocator *allocator) {
    fai_owned_list *list = &allocator->owned;
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

void fai_owned_lock_all(fai_owned_list *list) {
    pthread_mutex_lock(&list->lock);
    for (fai_owned *owned = list->newest; owned; owned = owned->next)
        if (owned->kind->lock != NULL)
            owned->kind->lock(owned);
}

void fai_owned_unlock_all(fai_owned_list *list) {
    for (fai_owned *owned = list->newest; owned; owned = owned->next)
        if (owned->kind->unlock != NULL)
            owned->kind->unlock(owned);
    pthread_mutex_unlock(&list->lock);
}
