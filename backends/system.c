/* Aligned allocation of libc. */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdlib.h>

#include "backends/internal.h"

/* libc finds aligned blocks by asking for size + align bytes: larger alignments waste too much. */
#define SYSTEM_ALIGN_MAX ((size_t)64 << 20)
/* The libc of a sanitizer ends the program when asked for 1 TiB, instead of answering NULL. */
#define SYSTEM_SIZE_MAX ((size_t)1 << 39)

static void *system_alloc(void *context, size_t size, size_t align, fa_span_kind kind) {
    (void)context, (void)kind;
    void *ptr = NULL;
    if (align > SYSTEM_ALIGN_MAX || size > SYSTEM_SIZE_MAX ||
        posix_memalign(&ptr, align, size) != 0)
        return NULL;
    return ptr;
}

static void system_free(void *context, void *ptr, size_t size, size_t align, fa_span_kind kind) {
    (void)context, (void)size, (void)align, (void)kind;
    free(ptr);
}

static bool system_resize(void *context, void *ptr, size_t size_old, size_t size_new) {
    (void)context, (void)size_old;
    size_t usable = malloc_usable_size(ptr);
    /* A block that shrinks to less than half had better move: nothing is given back in place. */
    return size_new <= usable && size_new >= usable / 2;
}

static void system_purge(void *context, void *ptr, size_t size) {
    (void)context;
    fai_purge_units(ptr, size, fai_page_bytes());
}

static void system_describe(void *context, fa_backend_info *info) {
    (void)context;
    info->granularity_bytes = 1;
    info->align_bytes_max = SYSTEM_ALIGN_MAX;
    info->node_count = 1;
    fai_text_add(info, "system");
}

static const fa_backend_vtable system_vtable = {
    .name = "system",
    .alloc = system_alloc,
    .free = system_free,
    .resize = system_resize,
    .purge = system_purge,
    .describe = system_describe,
};

fa_backend fa_backend_system(void) { return (fa_backend){&system_vtable, NULL}; }
