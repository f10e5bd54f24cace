/* A slot of a handle table as fa_handle_get looks at it. Included by handle.h; not for use by
 * programs. Compiled for the checker of memory orders too (fa/weak/slot_weak_test.cc). */
#ifndef FA_HANDLE_SLOT_H
#define FA_HANDLE_SLOT_H

#ifndef FAI_ATOMIC_H /* the checker has operations of its own */
#include "fa/fast.h"
#endif

FA_EXTERN_C_BEGIN

/* Free: state names no generation. */
typedef struct fai_handle_slot {
    FAI_ATOMIC(void *) address;
    FAI_ATOMIC(uint64_t) state; /* the generation in the low 32 bits; above them pins and flags */
} fai_handle_slot;

/* The address of the object of a generation, which is not 0; NULL: it is not there.
 * A slot never has the same generation twice: the same before and after means that it had no other
 * in between, and the address is this object's. The address of a later one was stored with release
 * after the generation had gone: who reads it can't read the generation then. */
FA_API inline void *fai_handle_slot_read(const fai_handle_slot *slot, uint32_t generation) {
    uint64_t before = FAI_LOAD_ACQUIRE(&slot->state);
    void *address = FAI_LOAD_ACQUIRE(&slot->address);
    uint64_t after = FAI_LOAD_RELAXED(&slot->state);
    return (uint32_t)before == generation && (uint32_t)after == generation ? address : NULL;
}

FA_EXTERN_C_END

#endif
