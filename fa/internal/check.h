/* Assertions about the library itself, and small arithmetic that everybody needs. */
#ifndef FAI_CHECK_H
#define FAI_CHECK_H

#include "fa/base.h"

/* Prints the broken condition and aborts. */
FA_COLD __attribute__((noreturn)) void fai_assert_failed(const char *condition, const char *file,
                                                         int line);

/* In debug builds: invariants, O(1), fast paths too. */
#ifdef FA_DEBUG
#define FA_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : fai_assert_failed(#condition, __FILE__, __LINE__))
#else
#define FA_ASSERT(condition) ((void)sizeof(condition))
#endif

#define FAI_FILL_FRESH 0xAB
#define FAI_FILL_DEAD 0xCD
#define FAI_FILL_GUARD 0xFD
#define FAI_GUARD_BYTES ((size_t)16)

static inline size_t fai_round_up(size_t value, size_t power_of_two) {
    return (value + (power_of_two - 1)) & ~(power_of_two - 1);
}

static inline char *fai_align_up(char *pointer, size_t align) {
    uintptr_t address = (uintptr_t)pointer;
    return pointer + (((address + align - 1) & ~(uintptr_t)(align - 1)) - address);
}

static inline bool fai_is_power_of_two(size_t value) {
    return value != 0 && (value & (value - 1)) == 0;
}

/* Legal size and alignment of a block, as every public call checks them. */
static inline bool fai_is_request(size_t size, size_t align) {
    return size - 1 < FA_SIZE_MAX && fai_is_power_of_two(align) && align <= FA_ALIGN_MAX;
}

/* True when every byte is value. */
static inline bool fai_is_filled(const void *address, unsigned char value, size_t size) {
    const unsigned char *bytes = (const unsigned char *)address;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

#endif
