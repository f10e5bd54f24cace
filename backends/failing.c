/* Passes everything on, and fails calls on schedule. */
#include "backends/internal.h"

/* Counts a call and says whether it shall fail. A plan is one word, so that it changes at once. */
static bool fails(fa_failing *failing, fa_failing_call call) {
    uint64_t number = __atomic_add_fetch(&failing->calls[call], 1, __ATOMIC_RELAXED);
    uint64_t plan = __atomic_load_n(&failing->plans[call], __ATOMIC_RELAXED);
    bool lasting = (plan & 1) != 0;
    return plan != 0 && (number == plan >> 1 || (lasting && number > plan >> 1));
}

static void *failing_alloc(void *context, size_t size, size_t align, fa_span_kind kind) {
    fa_failing *failing = context;
    if (fails(failing, FA_FAILING_ALLOC))
        return NULL;
    return failing->inner.vtable->alloc(failing->inner.context, size, align, kind);
}

static void failing_free(void *context, void *ptr, size_t size, size_t align, fa_span_kind kind) {
    const fa_backend *inner = &((fa_failing *)context)->inner;
    inner->vtable->free(inner->context, ptr, size, align, kind);
}

static bool failing_resize(void *context, void *ptr, size_t size_old, size_t size_new) {
    fa_failing *failing = context;
    const fa_backend *inner = &failing->inner;
    return !fails(failing, FA_FAILING_RESIZE) && inner->vtable->resize != NULL &&
           inner->vtable->resize(inner->context, ptr, size_old, size_new);
}

static void failing_purge(void *context, void *ptr, size_t size) {
    const fa_backend *inner = &((fa_failing *)context)->inner;
    if (inner->vtable->purge != NULL)
        inner->vtable->purge(inner->context, ptr, size);
}

static fa_status failing_bind(void *context, void *ptr, size_t size, int node) {
    const fa_backend *inner = &((fa_failing *)context)->inner;
    return inner->vtable->bind == NULL ? FA_ERROR_UNSUPPORTED
                                       : inner->vtable->bind(inner->context, ptr, size, node);
}

static fa_status failing_locate(void *context, void *ptr, size_t size, int *nodes, size_t count) {
    const fa_backend *inner = &((fa_failing *)context)->inner;
    return inner->vtable->locate == NULL
               ? FA_ERROR_UNSUPPORTED
               : inner->vtable->locate(inner->context, ptr, size, nodes, count);
}

static void failing_describe(void *context, fa_backend_info *info) {
    fai_inner_describe("failing", &((fa_failing *)context)->inner, info);
}

static void failing_close(void *context) {
    fa_failing *failing = context;
    fa_backend_close(failing->inner);
    if (failing->mapped_bytes != 0)
        fai_state_destroy(failing, failing->mapped_bytes);
}

static const fa_backend_vtable failing_vtable = {
    .name = "failing",
    .alloc = failing_alloc,
    .free = failing_free,
    .resize = failing_resize,
    .purge = failing_purge,
    .bind = failing_bind,
    .locate = failing_locate,
    .describe = failing_describe,
    .close = failing_close,
};

fa_backend fa_backend_failing(fa_failing *failing, fa_backend inner) {
    if (failing == NULL || inner.vtable == NULL)
        return (fa_backend){NULL, NULL};
    *failing = (fa_failing){.inner = inner};
    return (fa_backend){&failing_vtable, failing};
}

void fa_failing_set(fa_failing *failing, fa_failing_call call, uint64_t at, bool lasting) {
    uint64_t plan = at == 0 ? 0 : (fa_failing_calls(failing, call) + at) << 1 | (lasting ? 1 : 0);
    __atomic_store_n(&failing->plans[call], plan, __ATOMIC_RELAXED);
}

uint64_t fa_failing_calls(const fa_failing *failing, fa_failing_call call) {
    return __atomic_load_n(&failing->calls[call], __ATOMIC_RELAXED);
}
