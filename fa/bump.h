/* What the inline functions of scratch.h, scratch_pool.h, group.h and own_arena.h look at: the
 * first words of memory that is bumped through and belongs to no frame. (Of shared arenas and tasks
 * it is the serial alone.) Not for use by programs; as fast.h otherwise, whose trick carries this
 * fast path too: what is rare lowers the limit, or changes the serial that a handle must have. */
#ifndef FA_BUMP_H
#define FA_BUMP_H

#include "fa/fast.h"

FA_EXTERN_C_BEGIN

/* Invariants: cursor is 16-aligned; [cursor, limit) is free; limit - cursor is a multiple of 16.
 * One thread at a time writes; cursor, count and serial are read by others too. */
typedef struct fai_bump_head {
    char *cursor;
    char *limit;
    uint64_t serial;      /* of the handles that may use it; 0: of none */
    uint64_t alloc_count; /* stays 0 with FA_MINIMAL */
} fai_bump_head;

#ifdef FA_PREFETCH
#define FAI_BUMP_PREFETCH(address) __builtin_prefetch((address), 1, 3)
#else
#define FAI_BUMP_PREFETCH(address) ((void)0)
#endif
#ifdef FA_MINIMAL
#define FAI_COUNT_BUMP(head) ((void)0)
#else
#define FAI_COUNT_BUMP(head) FAI_STORE_RELAXED(&(head)->alloc_count, (head)->alloc_count + 1)
#endif

/* Takes size bytes where a handle with this serial may and they are there; false, with nothing
 * done, where somebody has to look closer. */
FA_API inline bool fai_bump_alloc(fai_bump_head *head, uint64_t serial, size_t size, void **block) {
    size_t rounded = (size + (FA_ALIGN_MIN - 1)) & ~(FA_ALIGN_MIN - 1);
    if (FA_UNLIKELY(head == NULL || FAI_LOAD_RELAXED(&head->serial) != serial))
        return false;
    char *cursor = head->cursor;
    /* A rounded size of 0 becomes the largest number there is: see fa_frame_alloc_in. */
    if (FA_UNLIKELY(rounded - 1 >= (size_t)(head->limit - cursor)))
        return false;
    FAI_STORE_RELAXED(&head->cursor, cursor + rounded);
    FAI_COUNT_BUMP(head);
    FAI_BUMP_PREFETCH(cursor + rounded);
    *block = cursor;
    return true;
}

FA_EXTERN_C_END

#endif
