/* The backends that come with framealloc, for programs that make them in code. Programs that choose
 * by name ("mmap:huge,prefault") use fa_backend_open in fa/backend.h instead.
 *
 *  - mmap: from the system, page by page. The default, unless one of the others is needed.
 *  - system: aligned allocation of libc, when one allocator shall own the process.
 *  - mimalloc: heaps of mimalloc apart from the process's, when many heap blocks come and go.
 *  - numa: mmap, placed on NUMA nodes through hwloc, on machines with several nodes.
 *  - fixed: one region that the caller gives, when nothing may ever come from the system.
 *  - counting: another backend, counted, for tests and budgets.
 *  - failing: another backend, made to fail on schedule, so that error paths are executed.
 *
 * All are safe for any number of threads. Each is closed with fa_backend_close, by its owner, after
 * the last span was freed. */
#ifndef FA_BACKENDS_H
#define FA_BACKENDS_H

#include "fa/backend.h"

FA_EXTERN_C_BEGIN

/* --- system ---------------------------------------------------------------------------------- */

/* Aligned allocation of libc: posix_memalign, malloc_usable_size, free.
 * Holds no state and can't fail. Grows in place only into slack that libc left behind a block. */
FA_API fa_backend fa_backend_system(void);

/* --- mmap ------------------------------------------------------------------------------------ */

#define FA_MAP_NAME_BYTES 40 /* longest mmap name, with its terminator. The kernel takes 80 */

/* All zero is the default. */
typedef struct fa_mmap_options {
    /* Asks for transparent huge pages: spans of at least one huge page are aligned to it and
     * advised; purge drops only whole huge pages, so that none is split. */
    bool huge;
    /* Takes spans of at least one huge page from the reserved ones (vm.nr_hugepages), rounded up
     * to them. Where none is left a span gets transparent ones, and the description says so.
     * Can't be combined with guard. */
    bool hugetlb;
    /* Gives each span its physical memory at once. A span that can't get it is refused. */
    bool prefault;
    /* Puts an inaccessible page before and after each span: running out of it faults. Three
     * mappings a span: see vm.max_map_count. Spans then never grow in place. */
    bool guard;
    /* Prefix of the name that /proc/PID/maps shows ("framealloc:chunk"), where the kernel has
     * CONFIG_ANON_VMA_NAME. Printable ASCII, shorter than FA_MAP_NAME_BYTES, without [ ] \ $ `
     * (the kernel refuses them) and , + (they separate options and backends); copied.
     * NULL: "framealloc". "": no names, one system call a span less. */
    const char *name;
} fa_mmap_options;

/* Private anonymous mappings: zeroed, committed on first touch, given back to the system by free.
 * options: NULL for the default.
 * Returns a backend without a vtable when the options contradict each other, the name is not
 *   usable, or the page of state that each one holds can't be had.
 * Cost of a span: one to seven system calls. In the child of a fork it simply goes on working. */
FA_API fa_backend fa_backend_mmap(const fa_mmap_options *options);

/* --- mimalloc -------------------------------------------------------------------------------- */

/* Heaps of mimalloc, one for each thread, used for nothing but framealloc's spans; the malloc of
 * the process stays what it is. The library (libmimalloc.so.2) is loaded when first asked for.
 * backend: gets the result; without a vtable on failure.
 * message: one line that says what is missing; may be NULL.
 * Returns FA_OK, FA_ERROR_BACKEND (no such library, or too old a one), FA_ERROR_INVALID (backend
 *   is NULL).
 * A span may be freed by any thread. What one thread freed of another's goes back to that thread's
 * heap when it next allocates or exits; close returns what mimalloc caches for the calling thread
 * and for those that have exited. The library itself stays loaded. */
FA_API fa_status fa_backend_mimalloc(fa_backend *backend, char *message, size_t message_bytes);

/* --- numa ------------------------------------------------------------------------------------ */

typedef enum fa_numa_policy {
    FA_NUMA_LOCAL,     /* the node on which the thread runs that asks for the span */
    FA_NUMA_NODE,      /* a given node */
    FA_NUMA_INTERLEAVE /* page by page over all nodes */
} fa_numa_policy;

/* All zero is the default. */
typedef struct fa_numa_options {
    fa_numa_policy policy;
    int node; /* as the system numbers them (/sys/devices/system/node); for FA_NUMA_NODE only */
    fa_mmap_options map;
} fa_numa_options;

/* The mmap backend, with each span placed on NUMA nodes through hwloc (libhwloc.so.15, loaded when
 * first asked for). A preference, not an order: when the node is full, others serve.
 * options: NULL for the default.
 * backend, message: as for fa_backend_mimalloc.
 * Returns FA_OK, FA_ERROR_BACKEND (no hwloc, no such node, options that mmap refuses),
 *   FA_ERROR_INVALID (backend is NULL), FA_ERROR_NO_MEMORY.
 * On one node, or where the system refuses placement (containers often do), it behaves like mmap,
 * and its description says why: "numa:local (one node: as mmap)".
 * Cost: as mmap, and one system call for the placement. Opening reads the topology
 * (milliseconds).*/
FA_API fa_status fa_backend_numa(const fa_numa_options *options, fa_backend *backend, char *message,
                                 size_t message_bytes);

/* --- fixed ----------------------------------------------------------------------------------- */

/* Unit in which fixed hands out memory, and its granularity. */
#define FA_FIXED_UNIT ((size_t)64)

/* One region, and nothing else ever: spans and all bookkeeping lie inside it (the first 192 bytes
 * at most, and the free spans themselves). Address-ordered first fit; neighbours that are free are
 * joined at once, so after the last free the whole region is one span again. Spans have no header:
 * n spans of s bytes aligned to s fit into n * s aligned bytes.
 * region: any writable memory of bytes bytes, the caller's until the backend is closed.
 * Returns a backend without a vtable when region is NULL or too small for one unit.
 * Cost: linear in the number of free spans, under one lock. A free of what is not a span of the
 *   region, or is free already, prints one line to stderr and aborts, in every build. */
FA_API fa_backend fa_backend_fixed(void *region, size_t bytes);

/* --- counting -------------------------------------------------------------------------------- */

/* What went through a counting backend. Identities: bytes_live is the sum over the spans alive;
 * alloc_count - free_count (summed over kinds) spans are alive. */
typedef struct fa_backend_counts {
    uint64_t alloc_count[FA_SPAN_KIND_COUNT]; /* spans given */
    uint64_t free_count[FA_SPAN_KIND_COUNT];  /* spans taken back */
    uint64_t alloc_failed_count;              /* requests that the inner backend refused */
    uint64_t resize_count;                    /* spans resized in place */
    uint64_t resize_failed_count;
    uint64_t purge_count;
    uint64_t bytes_live;
    uint64_t bytes_live_max;
} fa_backend_counts;

/* State of a counting backend; private, except that its size is known. */
typedef struct fa_counting {
    fa_backend inner;
    fa_backend_counts counts;
    size_t mapped_bytes; /* of this state, when fa_backend_open made it; else 0 */
} fa_counting;

/* Counts what goes through to inner.
 * counting: the caller's memory, filled here, in use until the backend is closed.
 * Closing it closes inner. Returns a backend without a vtable when an argument is missing. */
FA_API fa_backend fa_backend_counting(fa_counting *counting, fa_backend inner);

/* Copies the counts. Each is exact; while other threads call, they are not of one instant.
 * Any thread. Valid after closing as well. */
FA_API void fa_counting_read(const fa_counting *counting, fa_backend_counts *counts);

/* --- failing --------------------------------------------------------------------------------- */

typedef enum fa_failing_call {
    FA_FAILING_ALLOC,
    FA_FAILING_RESIZE,
    FA_FAILING_CALL_COUNT
} fa_failing_call;

/* State of a failing backend; private, except that its size is known. */
typedef struct fa_failing {
    fa_backend inner;
    uint64_t calls[FA_FAILING_CALL_COUNT]; /* made so far */
    uint64_t plans[FA_FAILING_CALL_COUNT]; /* 0: none; else call number * 2 + (lasting ? 1 : 0) */
    size_t mapped_bytes;                   /* as in fa_counting */
} fa_failing;

/* Passes everything on to inner, until told to fail. Otherwise as fa_backend_counting. */
FA_API fa_backend fa_backend_failing(fa_failing *failing, fa_backend inner);

/* Makes a coming call fail, without asking inner. Replaces the plan that was there.
 * at: 1 is the next call of that kind, 2 the one after it ...; 0: none fails any more.
 * lasting: all calls after that one fail as well, until the next plan.
 * Any thread, at any time; calls under way elsewhere may still be counted before the plan. */
FA_API void fa_failing_set(fa_failing *failing, fa_failing_call call, uint64_t at, bool lasting);

/* Number of calls of a kind made so far, refused ones included. Any thread. */
FA_API uint64_t fa_failing_calls(const fa_failing *failing, fa_failing_call call);

FA_EXTERN_C_END

#endif
