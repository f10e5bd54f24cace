/* An allocator inside one region.
 *
 * The state lies at the start of the region, and each free span holds its own length and the next
 * free span, in address order. Spans in use have no header: free is told their size. All sizes and
 * addresses are multiples of FA_FIXED_UNIT, so that the smallest gap can hold a free span's entry.
 * Invariant: free spans are sorted, don't touch, and lie between begin and end. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/internal.h"

typedef struct free_span {
    size_t bytes;
    struct free_span *next;
} free_span;

typedef struct fixed_state {
    pthread_mutex_t mutex;
    free_span *first;
    uintptr_t begin, end; /* of what spans are made of */
    fai_map map;          /* of the region, when this file mapped it */
    size_t mapped_bytes;  /* 0: the region is the caller's */
} fixed_state;

_Static_assert(sizeof(free_span) <= FA_FIXED_UNIT, "a free span fits into a unit");
_Static_assert(sizeof(fixed_state) <= 192, "as backends.h says");

static uintptr_t span_end(const free_span *span) { return (uintptr_t)span + span->bytes; }

static free_span *span_write(uintptr_t begin, size_t bytes, free_span *next) {
    free_span *span = (free_span *)begin; /* NOLINT: the region is memory without a type */
    span->bytes = bytes;
    span->next = next;
    return span;
}

/* Takes [begin, begin + bytes) out of *link, which contains it. */
static void span_cut(free_span **link, uintptr_t begin, size_t bytes) {
    free_span *span = *link;
    free_span *next = span->next;
    uintptr_t span_finish = span_end(span);
    if (begin + bytes < span_finish)
        next = span_write(begin + bytes, span_finish - (begin + bytes), next);
    if (begin > (uintptr_t)span) {
        span->bytes = begin - (uintptr_t)span;
        span->next = next;
    } else {
        *link = next;
    }
}

/* Adds [begin, begin + bytes) to the free spans; false when that isn't in use. */
static bool span_add(fixed_state *fixed, uintptr_t begin, size_t bytes) {
    if (bytes == 0 || bytes > fixed->end - fixed->begin || begin < fixed->begin ||
        begin > fixed->end - bytes || begin % FA_FIXED_UNIT != 0)
        return false;
    free_span *before = NULL;
    free_span *after = fixed->first;
    while (after != NULL && (uintptr_t)after < begin) {
        before = after;
        after = after->next;
    }
    if ((before != NULL && span_end(before) > begin) ||
        (after != NULL && (uintptr_t)after < begin + bytes))
        return false;
    if (after != NULL && (uintptr_t)after == begin + bytes) {
        bytes += after->bytes;
        after = after->next;
    }
    if (before != NULL && span_end(before) == begin) {
        before->bytes += bytes;
        before->next = after;
        return true;
    }
    free_span *span = span_write(begin, bytes, after);
    if (before == NULL)
        fixed->first = span;
    else
        before->next = span;
    return true;
}

static void *fixed_alloc(void *context, size_t size, size_t align, fa_span_kind kind) {
    (void)kind;
    fixed_state *fixed = context;
    if (size > fixed->end - fixed->begin)
        return NULL;
    size_t bytes = fai_round_up(size, FA_FIXED_UNIT);
    if (align < FA_FIXED_UNIT)
        align = FA_FIXED_UNIT;
    void *ptr = NULL;
    pthread_mutex_lock(&fixed->mutex);
    for (free_span **link = &fixed->first; *link != NULL; link = &(*link)->next) {
        /* From the start of the span to the aligned address in it; can't be computed by rounding
         * up, which wraps for an alignment near the end of the address space. */
        size_t skip = (0 - (uintptr_t)*link) & (align - 1);
        if (skip > (*link)->bytes || bytes > (*link)->bytes - skip)
            continue;
        uintptr_t begin = (uintptr_t)*link + skip;
        span_cut(link, begin, bytes);
        ptr = (void *)begin;
        break;
    }
    pthread_mutex_unlock(&fixed->mutex);
    return ptr;
}

static void fixed_free(void *context, void *ptr, size_t size, size_t align, fa_span_kind kind) {
    (void)align, (void)kind;
    fixed_state *fixed = context;
    pthread_mutex_lock(&fixed->mutex);
    bool added =
        size <= FA_SIZE_MAX && span_add(fixed, (uintptr_t)ptr, fai_round_up(size, FA_FIXED_UNIT));
    pthread_mutex_unlock(&fixed->mutex);
    if (!added) {
        fprintf(stderr, "framealloc: fixed backend: %p with %zu bytes is not a span in use\n", ptr,
                size);
        abort();
    }
}

static bool fixed_resize(void *context, void *ptr, size_t size_old, size_t size_new) {
    fixed_state *fixed = context;
    if (size_new == 0 || size_new > fixed->end - fixed->begin)
        return false;
    size_t bytes_old = fai_round_up(size_old, FA_FIXED_UNIT);
    size_t bytes_new = fai_round_up(size_new, FA_FIXED_UNIT);
    uintptr_t end_old = (uintptr_t)ptr + bytes_old;
    bool done = true;
    pthread_mutex_lock(&fixed->mutex);
    if (bytes_new < bytes_old) {
        done = span_add(fixed, (uintptr_t)ptr + bytes_new, bytes_old - bytes_new);
    } else if (bytes_new > bytes_old) {
        free_span **link = &fixed->first;
        while (*link != NULL && (uintptr_t)*link < end_old)
            link = &(*link)->next;
        done =
            *link != NULL && (uintptr_t)*link == end_old && (*link)->bytes >= bytes_new - bytes_old;
        if (done)
            span_cut(link, end_old, bytes_new - bytes_old);
    }
    pthread_mutex_unlock(&fixed->mutex);
    return done;
}

static void fixed_describe(void *context, fa_backend_info *info) {
    fixed_state *fixed = context;
    size_t align = FA_FIXED_UNIT;
    /* The largest power of two that divides an address of the region with room for a unit. */
    while (((fixed->end - FA_FIXED_UNIT) & ~(uintptr_t)(2 * align - 1)) >= fixed->begin)
        align *= 2;
    info->granularity_bytes = FA_FIXED_UNIT;
    info->align_bytes_max = align;
    info->capacity_bytes = fixed->end - fixed->begin;
    info->node_count = 1;
    if (fixed->mapped_bytes == 0) {
        fai_text_add(info, "fixed:bytes=%zu", fixed->end - fixed->begin);
        return;
    }
    fa_backend_info map = {.text = ""};
    fai_map_describe(&fixed->map, &map, false);
    info->huge_page_bytes = map.huge_page_bytes;
    info->commits_lazily = map.commits_lazily;
    fai_text_add(info, "fixed:bytes=%zu%s", fixed->mapped_bytes, map.text);
}

static void fixed_close(void *context) {
    fixed_state *fixed = context;
    pthread_mutex_destroy(&fixed->mutex);
    if (fixed->mapped_bytes != 0) {
        fai_map map = fixed->map;
        fai_map_free(&map, fixed, fixed->mapped_bytes);
    }
}

static const fa_backend_vtable fixed_vtable = {
    .name = "fixed",
    .alloc = fixed_alloc,
    .free = fixed_free,
    .resize = fixed_resize,
    .describe = fixed_describe,
    .close = fixed_close,
};

fa_backend fa_backend_fixed(void *region, size_t bytes) {
    const fa_backend none = {NULL, NULL};
    if (region == NULL || bytes > UINTPTR_MAX - (uintptr_t)region)
        return none;
    uintptr_t state = fai_round_up((uintptr_t)region, _Alignof(fixed_state));
    uintptr_t begin = fai_round_up(state + sizeof(fixed_state), FA_FIXED_UNIT);
    uintptr_t end = ((uintptr_t)region + bytes) & ~(uintptr_t)(FA_FIXED_UNIT - 1);
    if (begin >= end)
        return none;
    fixed_state *fixed = (fixed_state *)state;
    *fixed = (fixed_state){.begin = begin, .end = end};
    if (pthread_mutex_init(&fixed->mutex, NULL) != 0)
        return none;
    fixed->first = span_write(begin, end - begin, NULL);
    return (fa_backend){&fixed_vtable, fixed};
}

fa_status fai_fixed_open(size_t bytes, const fa_mmap_options *options, fa_backend *backend,
                         char *message, size_t message_bytes) {
    fai_map map = {.note = NULL};
    const char *wrong = fai_map_init(&map, options);
    if (wrong != NULL) {
        fai_message_set(message, message_bytes, "fixed: %s", wrong);
        return FA_ERROR_BACKEND;
    }
    void *region = fai_map_alloc(&map, bytes, map.page_bytes, FA_SPAN_HEAP);
    if (region == NULL || !fai_map_populate(&map, region, bytes)) {
        if (region != NULL)
            fai_map_free(&map, region, bytes);
        fai_message_set(message, message_bytes, "fixed: the system has no %zu bytes", bytes);
        return FA_ERROR_NO_MEMORY;
    }
    *backend = fa_backend_fixed(region, bytes);
    if (backend->vtable == NULL) {
        fai_map_free(&map, region, bytes);
        fai_message_set(message, message_bytes, "fixed: bytes=%zu is too small", bytes);
        return FA_ERROR_BACKEND;
    }
    fixed_state *fixed = backend->context;
    fixed->map = map;
    fixed->mapped_bytes = bytes;
    return FA_OK;
}
