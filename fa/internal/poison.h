/* Tells whoever watches the program's memory (address sanitizer, valgrind) what is dead and what is
 * alive. Nothing at all where nobody watches. FAI_WATCHED(): somebody does, so that every
 * allocation must pass through a slow path that says so. */
#ifndef FAI_POISON_H
#define FAI_POISON_H

#include "fa/base.h"

#if defined(__SANITIZE_ADDRESS__)
#define FAI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FAI_ASAN 1
#endif
#endif

#ifdef FAI_ASAN
#include <sanitizer/asan_interface.h>
#endif

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define FAI_VALGRIND 1
#endif
#endif

static inline bool FAI_WATCHED(void) {
#ifdef FAI_ASAN
    return true;
#elif defined(FAI_VALGRIND)
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

/* Any access is an error from now on. */
static inline void fai_poison(const void *address, size_t size) {
#ifdef FAI_ASAN
    __asan_poison_memory_region(address, size);
#elif defined(FAI_VALGRIND)
    (void)VALGRIND_MAKE_MEM_NOACCESS(address, size);
#endif
    (void)address, (void)size;
}

/* May be written; valgrind reports reads before that. */
static inline void fai_unpoison(const void *address, size_t size) {
#ifdef FAI_ASAN
    __asan_unpoison_memory_region(address, size);
#elif defined(FAI_VALGRIND)
    (void)VALGRIND_MAKE_MEM_UNDEFINED(address, size);
#endif
    (void)address, (void)size;
}

/* May be read too: for memory whose contents the library knows. */
static inline void fai_unpoison_defined(const void *address, size_t size) {
#ifdef FAI_ASAN
    __asan_unpoison_memory_region(address, size);
#elif defined(FAI_VALGRIND)
    (void)VALGRIND_MAKE_MEM_DEFINED(address, size);
#endif
    (void)address, (void)size;
}

#endif
