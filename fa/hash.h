/* Hashes and comparisons for the keys of maps (map.h), and strings that know their length.
 *
 * All are functions of the contents alone, the same in every run and not seeded: do not use them
 * where an enemy chooses the keys. They may change with every version: do not write them to files.
 *
 * Maps mix what a hash returns, so that a number or an address can be its own hash. What is used
 * without a map goes through fa_hash_mix first.
 *
 * Scheme: words are multiplied, 64 by 64 bits, and the product is folded by exclusive or, as in
 * wyhash by Wang Yi (github.com/wangyi-fudan/wyhash) and in the hash functions of Abseil. The
 * multipliers are fractions of the square roots of 2, 3 and 5, made odd. */
#ifndef FA_HASH_H
#define FA_HASH_H

#include "fa/base.h"

#include <string.h>

FA_EXTERN_C_BEGIN

/* A piece of text: length bytes at data, not necessarily terminated. {0} is empty. Owns nothing. */
typedef struct fa_str {
    const char *data;
    size_t length;
} fa_str;

/* The piece that is a terminated string; empty for NULL. O(length). */
static inline fa_str fa_str_of(const char *string) {
    fa_str str = {string, string != NULL ? strlen(string) : 0};
    return str;
}

#define FAI_HASH_A ((uint64_t)0x6A09E667F3BCC909)
#define FAI_HASH_B ((uint64_t)0xBB67AE8584CAA73B)
#define FAI_HASH_C ((uint64_t)0x3C6EF372FE94F82B)

static inline uint64_t fai_hash_fold(uint64_t a, uint64_t b) {
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 product;
    product full = (product)a * b;
    return (uint64_t)full ^ (uint64_t)(full >> 64);
#else
    uint64_t low = (a & 0xFFFFFFFF) * (b & 0xFFFFFFFF), high = (a >> 32) * (b >> 32);
    uint64_t left = (a >> 32) * (b & 0xFFFFFFFF), right = (a & 0xFFFFFFFF) * (b >> 32);
    uint64_t middle = (low >> 32) + (left & 0xFFFFFFFF) + right;
    return ((low & 0xFFFFFFFF) | middle << 32) ^ (high + (left >> 32) + (middle >> 32));
#endif
}

static inline uint64_t fai_hash_read8(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}
static inline uint64_t fai_hash_read4(const char *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Spreads a number over all 64 bits. */
static inline uint64_t fa_hash_mix(uint64_t number) {
    return fai_hash_fold(number ^ FAI_HASH_A, FAI_HASH_B);
}

/* One hash of two, in this order: for keys of several parts. */
static inline uint64_t fa_hash_pair(uint64_t first, uint64_t second) {
    return fai_hash_fold(first ^ FAI_HASH_A, second ^ FAI_HASH_B);
}

/* Hash of a number, of an address (not of what is there): itself. */
static inline uint64_t fa_hash_u64(uint64_t number) { return number; }
static inline uint64_t fa_hash_u32(uint32_t number) { return number; }
static inline uint64_t fa_hash_pointer(const void *pointer) { return (uintptr_t)pointer; }

/* Hash of size bytes; data may be NULL when size is 0. Do not hash structures with padding.
 * O(size), a few nanoseconds up to 16 bytes. */
static inline uint64_t fa_hash_bytes(const void *data, size_t size) {
    if (FA_UNLIKELY(size == 0)) /* in C nothing may be added to NULL, not even 0 */
        return fai_hash_fold(FAI_HASH_B, FAI_HASH_A);
    const char *at = (const char *)data;
    uint64_t seed = FAI_HASH_A + size * FAI_HASH_C, first = 0, last = 0;
    for (size_t left = size; FA_UNLIKELY(left > 16); left -= 16, at += 16)
        seed = fai_hash_fold(fai_hash_read8(at) ^ FAI_HASH_B, fai_hash_read8(at + 8) ^ seed);
    /* The last 1 to 16 bytes as two words, which overlap where there are fewer. */
    const char *end = (const char *)data + size;
    if (size > 16) {
        first = fai_hash_read8(end - 16);
        last = fai_hash_read8(end - 8);
    } else if (size >= 8) {
        first = fai_hash_read8(at);
        last = fai_hash_read8(end - 8);
    } else if (size >= 4) {
        first = fai_hash_read4(at);
        last = fai_hash_read4(end - 4);
    } else {
        first = (uint64_t)(unsigned char)at[0] << 16 | (uint64_t)(unsigned char)at[size / 2] << 8 |
                (unsigned char)end[-1];
    }
    return fai_hash_fold(first ^ FAI_HASH_B, last ^ seed);
}

/* Hash of a text's bytes: the same for a terminated string (not NULL) and for a piece. */
static inline uint64_t fa_hash_str(fa_str str) { return fa_hash_bytes(str.data, str.length); }
static inline uint64_t fa_hash_string(const char *string) {
    return fa_hash_bytes(string, strlen(string));
}

/* Comparisons for the same keys. */
static inline bool fa_equal_u64(uint64_t a, uint64_t b) { return a == b; }
static inline bool fa_equal_u32(uint32_t a, uint32_t b) { return a == b; }
static inline bool fa_equal_pointer(const void *a, const void *b) { return a == b; }
static inline bool fa_equal_string(const char *a, const char *b) { return strcmp(a, b) == 0; }

/* Short ones without a call: words that overlap, as in fa_hash_bytes. */
static inline bool fa_equal_bytes(const void *a, const void *b, size_t size) {
    const char *left = (const char *)a, *right = (const char *)b;
    if (FA_UNLIKELY(size > 16))
        return memcmp(a, b, size) == 0;
    if (size >= 8)
        return ((fai_hash_read8(left) ^ fai_hash_read8(right)) |
                (fai_hash_read8(left + size - 8) ^ fai_hash_read8(right + size - 8))) == 0;
    if (size >= 4)
        return ((fai_hash_read4(left) ^ fai_hash_read4(right)) |
                (fai_hash_read4(left + size - 4) ^ fai_hash_read4(right + size - 4))) == 0;
    return size == 0 || (left[0] == right[0] && left[size / 2] == right[size / 2] &&
                         left[size - 1] == right[size - 1]);
}
static inline bool fa_equal_str(fa_str a, fa_str b) {
    return a.length == b.length && fa_equal_bytes(a.data, b.data, a.length);
}

FA_EXTERN_C_END

#endif
