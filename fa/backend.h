/* Where memory comes from: the whole contract between framealloc and a source of memory.
 *
 * An allocator asks its backend for few and large spans: arena chunks, pool segments, heap blocks
 * and its own tables; never for a single frame or pool object. A backend is a table of functions
 * and a context pointer. backends/ holds those that come with framealloc, each an example of how
 * to write one; examples/own_backend.c is the shortest.
 *
 * Rules for an implementation:
 *  - every function may be called from any thread, several at once;
 *  - none may call into framealloc, be it the allocator that it serves or another: locks are held;
 *  - free gets exactly the size and alignment that alloc got (after grow: the new size);
 *  - alloc may decline any request by answering NULL: the next backend of the chain is asked. */
#ifndef FA_BACKEND_H
#define FA_BACKEND_H

#include "fa/status.h"

FA_EXTERN_C_BEGIN

/* What a span is for. A backend may place, name or refuse it accordingly. */
typedef enum fa_span_kind {
    FA_SPAN_META,    /* tables and thread states; small, lives until the allocator is destroyed */
    FA_SPAN_CHUNK,   /* frame arena */
    FA_SPAN_SEGMENT, /* pool slabs; aligned to its own size */
    FA_SPAN_HEAP,    /* one heap block */
    FA_SPAN_KIND_COUNT
} fa_span_kind;

#define FA_NODE_ANY (-1)          /* no NUMA placement asked for */
#define FA_BACKEND_TEXT_BYTES 128 /* longest description, with its terminator */

/* What a backend can do, and how. */
typedef struct fa_backend_info {
    size_t granularity_bytes; /* sizes are rounded up to this inside; 1: none. A power of two */
    size_t align_bytes_max;   /* largest alignment that alloc can honour. A power of two */
    size_t huge_page_bytes;   /* 0: does not ask for huge pages */
    size_t capacity_bytes;    /* total that it can ever give; 0: as much as the system has */
    int node_count;           /* NUMA nodes it can tell apart; 1: none */
    bool zeroed;              /* memory from alloc is all zero */
    bool commits_lazily;      /* untouched pages cost no physical memory */
    char text[FA_BACKEND_TEXT_BYTES]; /* name and options in force: "mmap:huge,prefault" */
} fa_backend_info;

typedef struct fa_backend_vtable {
    const char *name; /* static; letters, digits and '_' */

    /* Gets a span of size bytes, aligned to align.
     * size > 0. align is a power of two, at least FA_ALIGN_MIN.
     * Returns NULL when it has no memory or declines. Contents: zero if info says so, else any. */
    void *(*alloc)(void *context, size_t size, size_t align, fa_span_kind kind);

    /* Gives a span back. ptr came from alloc of the same context; never NULL. Can't fail. */
    void (*free)(void *context, void *ptr, size_t size, size_t align, fa_span_kind kind);

    /* Grows or shrinks a span where it lies. May be NULL: never possible.
     * Returns false, with nothing changed, when it can't. */
    bool (*resize)(void *context, void *ptr, size_t size_old, size_t size_new);

    /* Drops the physical memory behind whole pages of [ptr, ptr + size), the span stays usable with
     * undefined contents. May be NULL: nothing is dropped. Can't fail. */
    void (*purge)(void *context, void *ptr, size_t size);

    /* Prefers node for the pages of [ptr, ptr + size) not yet touched. May be NULL.
     * Returns FA_ERROR_UNSUPPORTED without NUMA or without the rights. */
    fa_status (*bind)(void *context, void *ptr, size_t size, int node);

    /* Writes, for page i of the pages that [ptr, ptr + size) covers, where it lies: nodes[i] is a
     * node, or a negative value when the page is not there yet. May be NULL.
     * nodes has room for count values; further pages are left out.
     * Returns FA_ERROR_UNSUPPORTED where the system can't tell. */
    fa_status (*locate)(void *context, void *ptr, size_t size, int *nodes, size_t count);

    /* Fills info, which comes zeroed. Never NULL. */
    void (*describe)(void *context, fa_backend_info *info);

    /* Called once by the owner of the backend after the last span was freed. May be NULL. */
    void (*close)(void *context);
} fa_backend_vtable;

/* A backend as a value: copied freely, owns nothing. vtable NULL means "none". */
typedef struct fa_backend {
    const fa_backend_vtable *vtable;
    void *context;
} fa_backend;

/* Opens a backend by its specification.
 * spec: "name" or "name:option,option=value,..."; the names and options are listed by
 *   fa_backend_list. NULL or "": the one that the environment variable FRAMEALLOC_BACKEND names,
 *   and where that is not set, the default ("mmap").
 * backend: gets the result; on failure its vtable is NULL.
 * message: gets one line of English that says what is wrong and what would be valid; may be NULL.
 * Returns FA_OK, FA_ERROR_BACKEND (unknown name or option, library missing, no such node),
 *   FA_ERROR_INVALID (backend is NULL), FA_ERROR_NO_MEMORY.
 * Any thread. The result is closed with fa_backend_close. */
FA_API fa_status fa_backend_open(const char *spec, fa_backend *backend, char *message,
                                 size_t message_bytes);

/* Closes a backend that fa_backend_open or one of the constructors in backends/ made.
 * Every span must have been freed. A backend without close, or none at all, is ignored. */
FA_API void fa_backend_close(fa_backend backend);

/* One entry for each backend that fa_backend_open knows, ended by an entry whose name is NULL. */
typedef struct fa_backend_entry {
    const char *name;
    const char *summary; /* one line */
    const char *options; /* "huge, prefault, ..." with their meaning, or "" */
} fa_backend_entry;
FA_API const fa_backend_entry *fa_backend_list(void);

FA_EXTERN_C_END

#endif
