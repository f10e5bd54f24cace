/* Words that every other header uses: visibility, branch hints, limits, the name of a place in the
 * caller's code. Includes nothing of framealloc. */
#ifndef FA_BASE_H
#define FA_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define FA_EXTERN_C_BEGIN extern "C" {
#define FA_EXTERN_C_END }
#define FA_ALIGNOF(type) alignof(type)
#else
#define FA_EXTERN_C_BEGIN
#define FA_EXTERN_C_END
#define FA_ALIGNOF(type) _Alignof(type)
#endif

#define FA_API __attribute__((visibility("default")))
#define FA_COLD __attribute__((cold, noinline))
#define FA_LIKELY(x) __builtin_expect(!!(x), 1)
#define FA_UNLIKELY(x) __builtin_expect(!!(x), 0)
/* The returned block aliases nothing else and has this alignment: lets the compiler vectorise. */
#define FA_RETURNS_BLOCK __attribute__((malloc, assume_aligned(16), warn_unused_result))
#define FA_PRINTF(format_index, first_index)                                                       \
    __attribute__((format(printf, format_index, first_index)))

#define FA_VERSION_MAJOR 0
#define FA_VERSION_MINOR 1
#define FA_VERSION_PATCH 0
#define FA_VERSION ((FA_VERSION_MAJOR << 16) | (FA_VERSION_MINOR << 8) | FA_VERSION_PATCH)

/* Alignment of every block, whatever its size, and the unit in which frame memory is handed out. */
#define FA_ALIGN_MIN ((size_t)16)
/* Largest alignment that any call accepts. Larger ones are refused with FA_ERROR_INVALID. */
#define FA_ALIGN_MAX ((size_t)1 << 21)
/* Largest size that any call accepts: sums of a few of them cannot wrap. */
#define FA_SIZE_MAX (SIZE_MAX / 4)
/* Cache line assumed by layout decisions. */
#define FA_CACHE_LINE ((size_t)64)

/* Who memory is for, in one allocator: see fa/tag.h. */
typedef uint32_t fa_tag;

/* A place in the caller's code. Strings are static; file is NULL when the place is not known. */
typedef struct fa_site {
    const char *file;
    const char *function;
    int line;
} fa_site;

#endif
