/* A backend of one's own, complete: one static region, handed out page by page. docs/backend.md
 * walks through it. */
#include "examples/own_backend.h"

#include <pthread.h>
#include <stdio.h>

#define PAGE ((size_t)16 << 10)
#define PAGE_COUNT ((size_t)1024)

typedef struct region {
    pthread_mutex_t mutex; /* any thread may call, several at once */
    bool used[PAGE_COUNT];
    unsigned char *pages;
} region;

static _Alignas(1 << 20) unsigned char memory[PAGE_COUNT * PAGE];
static region fast = {.mutex = PTHREAD_MUTEX_INITIALIZER, .pages = memory};

static size_t page_count(size_t size) { return (size + PAGE - 1) / PAGE; }

static void mark(region *r, void *ptr, size_t size, bool used) {
    size_t first = (size_t)((unsigned char *)ptr - r->pages) / PAGE;
    for (size_t i = 0; i < page_count(size); i++)
        r->used[first + i] = used;
}

static void *own_alloc(void *context, size_t size, size_t align, fa_span_kind kind) {
    region *r = context;
    if (kind == FA_SPAN_HEAP || size > sizeof memory)
        return NULL; /* declined: the next backend of the chain is asked */
    void *found = NULL;
    size_t run = 0; /* free pages in a row, of which the first is aligned */
    pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < PAGE_COUNT && found == NULL; i++) {
        bool start = run == 0 && (uintptr_t)(r->pages + i * PAGE) % align == 0;
        run = !r->used[i] && (run > 0 || start) ? run + 1 : 0;
        if (run == page_count(size))
            found = r->pages + (i + 1 - run) * PAGE;
    }
    if (found != NULL)
        mark(r, found, size, true);
    pthread_mutex_unlock(&r->mutex);
    return found;
}

static void own_free(void *context, void *ptr, size_t size, size_t align, fa_span_kind kind) {
    (void)align, (void)kind; /* the same values that alloc got */
    region *r = context;
    pthread_mutex_lock(&r->mutex);
    mark(r, ptr, size, false);
    pthread_mutex_unlock(&r->mutex);
}

static void own_describe(void *context, fa_backend_info *info) {
    (void)context; /* info comes zeroed: what is left out is 0 or false */
    info->granularity_bytes = PAGE;
    info->align_bytes_max = 1 << 20;
    info->capacity_bytes = sizeof memory;
    info->node_count = 1;
    snprintf(info->text, sizeof info->text, "own:%zu pages", PAGE_COUNT);
}

static const fa_backend_vtable own_vtable = {
    .name = "own", .alloc = own_alloc, .free = own_free, .describe = own_describe};

fa_backend own_backend(void) { return (fa_backend){&own_vtable, &fast}; }

size_t own_backend_used_bytes(void) {
    size_t bytes = 0;
    pthread_mutex_lock(&fast.mutex);
    for (size_t i = 0; i < PAGE_COUNT; i++)
        bytes += fast.used[i] ? PAGE : 0;
    pthread_mutex_unlock(&fast.mutex);
    return bytes;
}
