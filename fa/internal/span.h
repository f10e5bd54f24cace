/* Spans: the only door to the backends. Counts what is held, keeps to the limit and the seal, and
 * remembers which backend of the chain served. */
#ifndef FAI_SPAN_H
#define FAI_SPAN_H

#include "fa/config.h"

#define FAI_SPEC_BYTES 256 /* longest specification of a chain, with its terminator */

typedef struct fai_spans {
    fa_backend chain[FA_BACKEND_CHAIN_MAX];
    fa_backend_info info[FA_BACKEND_CHAIN_MAX];
    uint32_t count;
    bool owned; /* opened from a specification: closed with the allocator */
    bool sealed;
    uint32_t calls_in_flight; /* into the chain; with sealed: seal.h */
    size_t bytes_max;         /* 0: none */
    size_t held;
    size_t held_peak;
    size_t held_by_kind[FA_SPAN_KIND_COUNT];
    uint64_t alloc_count;
    uint64_t free_count;
    uint64_t refused_count;
} fai_spans;

/* A span that is held. Invariant: backend number backend gave address for size and align. */
typedef struct fai_span {
    void *address;
    size_t size;
    uint32_t align;
    uint16_t backend;
    uint16_t kind; /* fa_span_kind */
} fai_span;

/* Opens the chain that config names. Returns FA_OK, FA_ERROR_BACKEND, FA_ERROR_NO_MEMORY. */
fa_status fai_spans_open(fai_spans *spans, const fa_alloc_config *config);
void fai_spans_close(fai_spans *spans);

/* After this no call reaches the chain any more; waits for those in flight. */
void fai_spans_seal(fai_spans *spans);

/* In the child of a fork: the calls of the threads that are gone, some of them half done. */
void fai_spans_fork_child(fai_spans *spans);

/* Takes a span. Returns FA_OK, FA_ERROR_LIMIT, FA_ERROR_SEALED or FA_ERROR_NO_MEMORY, and on
 * failure has counted it; reporting is the caller's. declined gets how many backends declined
 * before. */
fa_status fai_span_alloc(fai_spans *spans, size_t size, size_t align, fa_span_kind kind,
                         fai_span *span, uint32_t *declined);

/* Gives a span back. Returns false, with nothing done, when the allocator is sealed. */
bool fai_span_free(fai_spans *spans, const fai_span *span);

/* Changes the size where it lies; false, with nothing changed, when that can't be. */
bool fai_span_resize(fai_spans *spans, fai_span *span, size_t size);

/* Drops the pages behind [address, address + size), which lies in span. */
void fai_span_purge(fai_spans *spans, const fai_span *span, void *address, size_t size);

/* The first backend of the chain that can does it; FA_ERROR_SEALED, FA_ERROR_UNSUPPORTED. */
fa_status fai_spans_bind(fai_spans *spans, void *address, size_t size, int node);
fa_status fai_spans_locate(fai_spans *spans, void *address, size_t size, int *nodes, size_t count);

static inline bool fai_span_is_zeroed(const fai_spans *spans, const fai_span *span) {
    return spans->info[span->backend].zeroed;
}

#endif
