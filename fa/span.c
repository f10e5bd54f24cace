#include "fa/internal/span.h"

#include "fa/internal/atomic.h"
#include "fa/internal/check.h"
#include "fa/internal/seal.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Opens "a+b+c", one backend after the other. */
static fa_status open_specification(fai_spans *spans, const char *specification) {
    char copy[FAI_SPEC_BYTES], message[256];
    if (specification == NULL || *specification == 0)
        specification = getenv("FRAMEALLOC_BACKEND");
    if (specification == NULL)
        specification = "";
    if (strlen(specification) >= sizeof copy)
        return FA_ERROR_BACKEND;
    memcpy(copy, specification, strlen(specification) + 1);
    spans->owned = true;
    char *next = copy;
    do {
        char *name = next;
        next = strchr(name, '+');
        if (next != NULL)
            *next++ = 0;
        if (spans->count == FA_BACKEND_CHAIN_MAX)
            return FA_ERROR_BACKEND;
        fa_status status =
            fa_backend_open(name, &spans->chain[spans->count], message, sizeof message);
        if (status != FA_OK) {
            fprintf(stderr, "framealloc: %s\n", message);
            return status;
        }
        spans->count++;
    } while (next != NULL);
    return FA_OK;
}

fa_status fai_spans_open(fai_spans *spans, const fa_alloc_config *config) {
    spans->bytes_max = config->bytes_max;
    fa_status status = FA_OK;
    if (config->backends[0].vtable == NULL) {
        status = open_specification(spans, config->backend_spec);
    } else {
        while (spans->count < FA_BACKEND_CHAIN_MAX && config->backends[spans->count].vtable) {
            spans->chain[spans->count] = config->backends[spans->count];
            spans->count++;
        }
    }
    for (uint32_t i = 0; status == FA_OK && i < spans->count; i++)
        spans->chain[i].vtable->describe(spans->chain[i].context, &spans->info[i]);
    if (status != FA_OK)
        fai_spans_close(spans);
    return status;
}

void fai_spans_close(fai_spans *spans) {
    for (uint32_t i = 0; spans->owned && i < spans->count; i++)
        fa_backend_close(spans->chain[i]);
    spans->count = 0;
}

/* Between enter and leave calls may go to the chain. */
static bool enter(fai_spans *spans) {
    return fai_seal_enter(&spans->sealed, &spans->calls_in_flight);
}

static void leave(fai_spans *spans) { fai_seal_leave(&spans->calls_in_flight); }

void fai_spans_fork_child(fai_spans *spans) {
    FAI_STORE_RELAXED(&spans->calls_in_flight, 0); /* nobody else is there to see it */
    size_t held = 0;
    for (int kind = 0; kind < FA_SPAN_KIND_COUNT; kind++)
        held += spans->held_by_kind[kind];
    FAI_STORE_RELAXED(&spans->held, held);
}

void fai_spans_seal(fai_spans *spans) {
    fai_seal_close(&spans->sealed);
    while (!fai_seal_is_quiet(&spans->calls_in_flight))
        sched_yield();
}

/* Charges before memory is taken: held never exceeds the limit, at no instant. */
static bool charge(fai_spans *spans, size_t size, fa_span_kind kind) {
    size_t held = FAI_LOAD_RELAXED(&spans->held);
    do {
        if (spans->bytes_max != 0 && (size > spans->bytes_max || held > spans->bytes_max - size))
            return false;
    } while (!FAI_CAS_RELAXED(&spans->held, &held, held + size));
    FAI_ADD_RELAXED(&spans->held_by_kind[kind], size);
    return true;
}

/* After success: what was charged and then refused was never held. */
static void note_peak(fai_spans *spans) {
    size_t now = FAI_LOAD_RELAXED(&spans->held), peak = FAI_LOAD_RELAXED(&spans->held_peak);
    while (now > peak && !FAI_CAS_RELAXED(&spans->held_peak, &peak, now)) {
    }
}

static void discharge(fai_spans *spans, size_t size, fa_span_kind kind) {
    FAI_SUB_RELAXED(&spans->held, size);
    FAI_SUB_RELAXED(&spans->held_by_kind[kind], size);
}

static fa_status refuse(fai_spans *spans, fa_status status) {
    FAI_ADD_RELAXED(&spans->refused_count, 1);
    return status;
}

fa_status fai_span_alloc(fai_spans *spans, size_t size, size_t align, fa_span_kind kind,
                         fai_span *span, uint32_t *declined) {
    if (declined != NULL)
        *declined = 0;
    if (!enter(spans))
        return refuse(spans, FA_ERROR_SEALED);
    fa_status status = FA_ERROR_LIMIT;
    if (charge(spans, size, kind)) {
        status = FA_ERROR_NO_MEMORY;
        for (uint32_t i = 0; i < spans->count; i++) {
            const fa_backend *backend = &spans->chain[i];
            void *address = backend->vtable->alloc(backend->context, size, align, kind);
            if (address == NULL)
                continue;
            FA_ASSERT(((uintptr_t)address & (align - 1)) == 0);
            *span = (fai_span){address, size, (uint32_t)align, (uint16_t)i, (uint16_t)kind};
            FAI_ADD_RELAXED(&spans->alloc_count, 1);
            note_peak(spans);
            if (declined != NULL)
                *declined = i;
            status = FA_OK;
            break;
        }
        if (status != FA_OK)
            discharge(spans, size, kind);
    }
    leave(spans);
    return status == FA_OK ? FA_OK : refuse(spans, status);
}

bool fai_span_free(fai_spans *spans, const fai_span *span) {
    if (!enter(spans))
        return false;
    const fa_backend *backend = &spans->chain[span->backend];
    backend->vtable->free(backend->context, span->address, span->size, span->align,
                          (fa_span_kind)span->kind);
    FAI_ADD_RELAXED(&spans->free_count, 1);
    discharge(spans, span->size, (fa_span_kind)span->kind);
    leave(spans);
    return true;
}

bool fai_span_resize(fai_spans *spans, fai_span *span, size_t size) {
    const fa_backend *backend = &spans->chain[span->backend];
    fa_span_kind kind = (fa_span_kind)span->kind;
    if (backend->vtable->resize == NULL || !enter(spans))
        return false;
    size_t more = size > span->size ? size - span->size : 0;
    bool done = false;
    if (charge(spans, more, kind)) {
        done = backend->vtable->resize(backend->context, span->address, span->size, size);
        if (!done)
            discharge(spans, more, kind);
        else if (size < span->size)
            discharge(spans, span->size - size, kind);
    }
    if (done) {
        span->size = size;
        note_peak(spans);
    }
    leave(spans);
    return done;
}

void fai_span_purge(fai_spans *spans, const fai_span *span, void *address, size_t size) {
    const fa_backend *backend = &spans->chain[span->backend];
    if (backend->vtable->purge == NULL || !enter(spans))
        return;
    backend->vtable->purge(backend->context, address, size);
    leave(spans);
}

fa_status fai_spans_bind(fai_spans *spans, void *address, size_t size, int node) {
    if (!enter(spans))
        return FA_ERROR_SEALED;
    fa_status status = FA_ERROR_UNSUPPORTED;
    for (uint32_t i = 0; status == FA_ERROR_UNSUPPORTED && i < spans->count; i++) {
        const fa_backend *backend = &spans->chain[i];
        if (backend->vtable->bind != NULL)
            status = backend->vtable->bind(backend->context, address, size, node);
    }
    leave(spans);
    return status;
}

fa_status fai_spans_locate(fai_spans *spans, void *address, size_t size, int *nodes, size_t count) {
    if (!enter(spans))
        return FA_ERROR_SEALED;
    fa_status status = FA_ERROR_UNSUPPORTED;
    for (uint32_t i = 0; status == FA_ERROR_UNSUPPORTED && i < spans->count; i++) {
        const fa_backend *backend = &spans->chain[i];
        if (backend->vtable->locate != NULL)
            status = backend->vtable->locate(backend->context, address, size, nodes, count);
    }
    leave(spans);
    return status;
}
