/* Passes everything on and counts it. Counters are relaxed atomics: they order nothing. */
#include "backends/internal.h"

static uint64_t load(const uint64_t *counter) { return __atomic_load_n(counter, __ATOMIC_RELAXED); }
static void add(uint64_t *counter, uint64_t value) {
    __atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
}

static void add_live(fa_backend_counts *counts, uint64_t bytes) {
    uint64_t live = __atomic_add_fetch(&counts->bytes_live, bytes, __ATOMIC_RELAXED);
    uint64_t seen = load(&counts->bytes_live_max);
    while (seen < live && !__atomic_compare_exchange_n(&counts->bytes_live_max, &seen, live, true,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

static void *counting_alloc(void *context, size_t size, size_t align, fa_span_kind kind) {
    fa_counting *counting = context;
    const fa_backend *inner = &counting->inner;
    void *ptr = inner->vtable->alloc(inner->context, size, align, kind);
    if (ptr == NULL) {
        add(&counting->counts.alloc_failed_count, 1);
        return NULL;
    }
    add(&counting->counts.alloc_count[kind], 1);
    add_live(&counting->counts, size);
    return ptr;
}

static void counting_free(void *context, void *ptr, size_t size, size_t align, fa_span_kind kind) {
    fa_counting *counting = context;
    const fa_backend *inner = &counting->inner;
    /* Before the free: after it another thread may get the same bytes counted as live. */
    add(&counting->counts.free_count[kind], 1);
    add(&counting->counts.bytes_live, 0 - (uint64_t)size);
    inner->vtable->free(inner->context, ptr, size, align, kind);
}

static bool counting_resize(void *context, void *ptr, size_t size_old, size_t size_new) {
    fa_counting *counting = context;
    const fa_backend *inner = &counting->inner;
    if (inner->vtable->resize == NULL ||
        !inner->vtable->resize(inner->context, ptr, size_old, size_new)) {
        add(&counting->counts.resize_failed_count, 1);
        return false;
    }
    add(&counting->counts.resize_count, 1);
    add_live(&counting->counts, (uint64_t)size_new - (uint64_t)size_old);
    return true;
}

static void counting_purge(void *context, void *ptr, size_t size) {
    fa_counting *counting = context;
    add(&counting->counts.purge_count, 1);
    if (counting->inner.vtable->purge != NULL)
        counting->inner.vtable->purge(counting->inner.context, ptr, size);
}

static fa_status counting_bind(void *context, void *ptr, size_t size, int node) {
    const fa_backend *inner = &((fa_counting *)context)->inner;
    return inner->vtable->bind == NULL ? FA_ERROR_UNSUPPORTED
                                       : inner->vtable->bind(inner->context, ptr, size, node);
}

static fa_status counting_locate(void *context, void *ptr, size_t size, int *nodes, size_t count) {
    const fa_backend *inner = &((fa_counting *)context)->inner;
    return inner->vtable->locate == NULL
               ? FA_ERROR_UNSUPPORTED
               : inner->vtable->locate(inner->context, ptr, size, nodes, count);
}

static void counting_describe(void *context, fa_backend_info *info) {
    const fa_backend *inner = &((fa_counting *)context)->inner;
    fai_inner_describe("counting", inner, info);
}

static void counting_close(void *context) {
    fa_counting *counting = context;
    fa_backend_close(counting->inner);
    if (counting->mapped_bytes != 0)
        fai_state_destroy(counting, counting->mapped_bytes);
}

static const fa_backend_vtable counting_vtable = {
    .name = "counting",
    .alloc = counting_alloc,
    .free = counting_free,
    .resize = counting_resize,
    .purge = counting_purge,
    .bind = counting_bind,
    .locate = counting_locate,
    .describe = counting_describe,
    .close = counting_close,
};

fa_backend fa_backend_counting(fa_counting *counting, fa_backend inner) {
    if (counting == NULL || inner.vtable == NULL)
        return (fa_backend){NULL, NULL};
    *counting = (fa_counting){.inner = inner};
    return (fa_backend){&counting_vtable, counting};
}

void fa_counting_read(const fa_counting *counting, fa_backend_counts *counts) {
    const fa_backend_counts *from = &counting->counts;
    for (int kind = 0; kind < FA_SPAN_KIND_COUNT; kind++) {
        counts->alloc_count[kind] = load(&from->alloc_count[kind]);
        counts->free_count[kind] = load(&from->free_count[kind]);
    }
    counts->alloc_failed_count = load(&from->alloc_failed_count);
    counts->resize_count = load(&from->resize_count);
    counts->resize_failed_count = load(&from->resize_failed_count);
    counts->purge_count = load(&from->purge_count);
    counts->bytes_live = load(&from->bytes_live);
    counts->bytes_live_max = load(&from->bytes_live_max);
}
