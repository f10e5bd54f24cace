/* What an allocator owns beside its threads: scratch pools, groups, handle tables and the like.
 * Each is made and destroyed by calls of its own noun; what is left dies with the allocator. */
#ifndef FAI_OWNED_H
#define FAI_OWNED_H

#include "fa/allocator.h"

#include <pthread.h>

typedef struct fai_owned fai_owned;

/* What can be done to it without knowing what it is. */
typedef struct fai_owned_kind {
    /* With the allocator, once nobody uses it any more; it is off the list already. Frees all that
     * it holds, itself too. No lock is held: it may call destructors and hooks. */
    void (*destroy)(fa_allocator *allocator, fai_owned *owned);
    /* The address of what is wrong, or NULL. Takes the locks it needs; calls no hook. NULL: there
     * is nothing to check. */
    const void *(*validate)(fa_allocator *allocator, fai_owned *owned);
    /* Around a fork: holds its lock, so that the child finds it in order. NULL: it has none. */
    void (*lock)(fai_owned *owned);
    void (*unlock)(fai_owned *owned);
    /* Before anything is destroyed with the allocator: runs all destructors and callbacks of what
     * it holds, and leaves something empty that calls on it still find in order. No lock is held.
     * Returns whether there was anything to run. NULL: it calls nobody. */
    bool (*clear)(fa_allocator *allocator, fai_owned *owned);
    /* In the child of a fork, with its lock held: the calls that other threads were in will never
     * end. Takes and gives no memory. NULL: it does not mind. */
    void (*fork_child)(fai_owned *owned);
    /* Gives back what it holds without use, and returns the bytes; takes the locks it needs, calls
     * no hook. NULL: it holds nothing so, or its owner alone can say. */
    size_t (*trim)(fa_allocator *allocator, fai_owned *owned);
} fai_owned_kind;

/* Stands in what is owned. */
struct fai_owned {
    const fai_owned_kind *kind;
    fai_owned *next, *prev;
    uint32_t round; /* of clearing that it was in last */
};

/* All of them, newest first. The lock comes after the registry's, before those of what is owned,
 * which come before the allocator's. */
typedef struct fai_owned_list {
    pthread_mutex_t lock;
    fai_owned *newest;
    uint64_t change_count;
} fai_owned_list;

bool fai_owned_create(fai_owned_list *list);

/* Puts one on the list and takes it off. Neither may be called with a lock held. */
void fai_owned_add(fa_allocator *allocator, fai_owned *owned, const fai_owned_kind *kind);
void fai_owned_remove(fa_allocator *allocator, fai_owned *owned);

/* Clears all, newest first, until callbacks make nothing more; then destroys all, newest first,
 * also those that are made meanwhile. */
void fai_owned_destroy(fa_allocator *allocator);

const void *fai_owned_validate(fa_allocator *allocator);

size_t fai_owned_trim(fa_allocator *allocator);

/* Before a fork, and after it in both processes. */
void fai_owned_lock_all(fai_owned_list *list);
void fai_owned_unlock_all(fai_owned_list *list);
/* In the child, in between. */
void fai_owned_fork_child(fai_owned_list *list);

#endif
