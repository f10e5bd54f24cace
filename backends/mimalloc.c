/* Heaps of mimalloc, one for each thread.
 *
 * A mi_heap_t may be allocated from only by the thread that made it, while any thread may free its
 * blocks (mimalloc 2.x). So each thread gets a heap when it first asks for a span, and gives it up
 * when it exits: mimalloc then hands the blocks that live on to whoever comes next. All backends
 * share these heaps: they hold no state that could differ. */
#include <pthread.h>

#include "backends/internal.h"

typedef struct mi_heap_s mi_heap_t;

typedef struct mi_table {
    mi_heap_t *(*heap_new)(void);
    void (*heap_delete)(mi_heap_t *heap);
    void (*heap_collect)(mi_heap_t *heap, bool force);
    void *(*heap_malloc_aligned_at)(mi_heap_t *heap, size_t size, size_t align, size_t offset);
    void *(*malloc_aligned_at)(size_t size, size_t align, size_t offset);
    void (*free)(void *ptr);
    size_t (*usable_size)(const void *ptr);
    void (*collect)(bool force);
} mi_table;

static const fai_symbol mi_symbols[] = {
    {"mi_heap_new", offsetof(mi_table, heap_new)},
    {"mi_heap_delete", offsetof(mi_table, heap_delete)},
    {"mi_heap_collect", offsetof(mi_table, heap_collect)},
    {"mi_heap_malloc_aligned_at", offsetof(mi_table, heap_malloc_aligned_at)},
    {"mi_malloc_aligned_at", offsetof(mi_table, malloc_aligned_at)},
    {"mi_free", offsetof(mi_table, free)},
    {"mi_usable_size", offsetof(mi_table, usable_size)},
    {"mi_collect", offsetof(mi_table, collect)},
};

static const fai_library mi_library = {"libmimalloc.so.2", "libmimalloc2.0", mi_symbols,
                                       sizeof mi_symbols / sizeof mi_symbols[0]};

/* Beyond its segment size mimalloc finds aligned blocks by asking for size + align bytes. */
#define MI_ALIGN_MAX ((size_t)64 << 20)

static pthread_mutex_t mi_mutex = PTHREAD_MUTEX_INITIALIZER; /* of loading */
static bool mi_loaded;
static mi_table mi; /* constant once loaded */
static _Thread_local mi_heap_t *thread_heap;
static _Thread_local bool thread_exits;

/* ThreadSanitizer doesn't see how mimalloc orders a free before the next use of the block. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MI_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(MI_TSAN)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define MI_AFTER_ALLOC() __tsan_acquire(&mi)
#define MI_BEFORE_FREE() __tsan_release(&mi)
#else
#define MI_AFTER_ALLOC() ((void)0)
#define MI_BEFORE_FREE() ((void)0)
#endif

/* Runs a function when the calling thread exits, before the destructors of pthread keys. mimalloc
 * ends its own thread state in such a destructor, and the heap must be given up earlier. A part of
 * the C++ ABI that glibc has for C++ and other languages (since 2.18). */
int __cxa_thread_atexit_impl(void (*function)(void *), void *argument, void *dso);
extern void *__dso_handle __attribute__((visibility("hidden")));

static void thread_exit(void *heap) {
    thread_heap = NULL;
    thread_exits = true;
    mi.heap_delete(heap);
}

/* The heap of this thread. NULL: it exits, or has no memory for one. */
static mi_heap_t *thread_heap_get(void) {
    if (thread_heap != NULL || thread_exits)
        return thread_heap;
    mi_heap_t *heap = mi.heap_new();
    if (heap == NULL)
        return NULL;
    if (__cxa_thread_atexit_impl(thread_exit, heap, &__dso_handle) != 0) {
        mi.heap_delete(heap);
        return NULL;
    }
    thread_heap = heap;
    return heap;
}

static void *mimalloc_alloc(void *context, size_t size, size_t align, fa_span_kind kind) {
    (void)context, (void)kind;
    if (size > FA_SIZE_MAX || align > MI_ALIGN_MAX)
        return NULL;
    mi_heap_t *heap = thread_heap_get();
    /* Other destructors of an exiting thread may still ask: mimalloc's default heap serves them.
     * With an offset of 0, since mi_heap_malloc_aligned of 2.0.9 takes for granted that a block as
     * large as its alignment is aligned, and up to 1,024 bytes some are not. */
    void *ptr = heap != NULL ? mi.heap_malloc_aligned_at(heap, size, align, 0)
                             : mi.malloc_aligned_at(size, align, 0);
    MI_AFTER_ALLOC();
    return ptr;
}

static void mimalloc_free(void *context, void *ptr, size_t size, size_t align, fa_span_kind kind) {
    (void)context, (void)size, (void)align, (void)kind;
    MI_BEFORE_FREE();
    mi.free(ptr);
}

static bool mimalloc_resize(void *context, void *ptr, size_t size_old, size_t size_new) {
    (void)context, (void)size_old;
    size_t usable = mi.usable_size(ptr);
    /* A block that shrinks to less than half had better move: nothing is given back in place. */
    return size_new <= usable && size_new >= usable / 2;
}

static void mimalloc_purge(void *context, void *ptr, size_t size) {
    (void)context;
    fai_purge_units(ptr, size, fai_page_bytes());
}

static void mimalloc_describe(void *context, fa_backend_info *info) {
    (void)context;
    info->granularity_bytes = 1;
    info->align_bytes_max = MI_ALIGN_MAX;
    info->node_count = 1;
    fai_text_add(info, "mimalloc");
}

static void mimalloc_close(void *context) {
    (void)context;
    if (thread_heap != NULL)
        mi.heap_collect(thread_heap, true);
    mi.collect(true);
}

static const fa_backend_vtable mimalloc_vtable = {
    .name = "mimalloc",
    .alloc = mimalloc_alloc,
    .free = mimalloc_free,
    .resize = mimalloc_resize,
    .purge = mimalloc_purge,
    .describe = mimalloc_describe,
    .close = mimalloc_close,
};

fa_status fa_backend_mimalloc(fa_backend *backend, char *message, size_t message_bytes) {
    if (backend == NULL)
        return FA_ERROR_INVALID;
    *backend = (fa_backend){NULL, NULL};
    pthread_mutex_lock(&mi_mutex);
    fa_status status = FA_OK;
    if (!mi_loaded)
        status = fai_library_load(&mi_library, &mi, message, message_bytes);
    mi_loaded = status == FA_OK;
    pthread_mutex_unlock(&mi_mutex);
    if (status == FA_OK)
        *backend = (fa_backend){&mimalloc_vtable, NULL};
    return status;
}
