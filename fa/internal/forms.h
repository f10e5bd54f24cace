/* The forms that allocating has beside the plain one, wherever memory comes from. */
#ifndef FAI_FORMS_H
#define FAI_FORMS_H

#include "fa/internal/allocator.h"

#include <string.h>

/* Bytes of so many elements; 0, which no call takes, where there is no such number. */
static inline size_t fai_bytes_of(size_t count, size_t size) {
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? 0 : bytes;
}

static inline size_t fai_string_bytes(const char *string) {
    return string != NULL ? strlen(string) + 1 : 0;
}

/* The block, if there is one, all zero. */
static inline void *fai_zero(void *block, size_t bytes) {
    return block != NULL ? memset(block, 0, bytes) : NULL;
}

/* Whether there is something to be copied; else that is the error. */
static inline bool fai_has_source(const void *source, size_t size) {
    if (source == NULL)
        fai_fail(FA_ERROR_INVALID, size);
    return source != NULL;
}

static inline void *fai_copy(void *block, const void *source, size_t size) {
    return block != NULL ? memcpy(block, source, size) : NULL;
}

#endif
