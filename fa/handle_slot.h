/* A slot of a handle table as fa_handle_get looks at it. Included by handle.h; not for use by
 * programs. Compiled for the checker of memory orders too (fa/weak/slot_weak_test.cc). */
#ifndef FA_HANDLE_SLOT_H
#define FA_HANDLE_SLOT_H

#ifndef FAI_ATOMIC_H /* the checker has operations of its own */
#include "fa/fast.h"
#endif

FA_EXTERN_C_BEGIN

/* What a resolve reads of a slot: address << 16 | counter, the low bits of the generation. Objects
 * are aligned to 16 and addresses have 48 bits, so that both fit. 0: nobody is there. */
typedef struct fai_handle_word {
    FAI_ATOMIC(uint64_t) bits;
} fai_handle_word;

#define FAI_HANDLE_COUNTER_BITS 20
#define FAI_HANDLE_COUNTER_MAX (((uint32_t)1 << FAI_HANDLE_COUNTER_BITS) - 1)
#define FAI_HANDLE_ADDRESS_BITS 48
#define FAI_HANDLE_ADDRESS_SHIFT (64 - FAI_HANDLE_ADDRESS_BITS)

/* The address of the object with that counter; NULL: it is not there. Acquire: what the address was
 * published with is seen too. */
FA_API inline void *fai_handle_word_read(const fai_handle_word *word, uint32_t counter) {
    uint64_t address = FAI_LOAD_ACQUIRE(&word->bits) ^ counter;
    return (address & FAI_HANDLE_COUNTER_MAX) == 0
               ? (void *)(uintptr_t)(address >> FAI_HANDLE_ADDRESS_SHIFT)
               : NULL;
}

FA_EXTERN_C_END

#endif
