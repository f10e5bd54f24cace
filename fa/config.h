/* Configuration of an allocator: fill it with one of the presets, change what you like, create. */
#ifndef FA_CONFIG_H
#define FA_CONFIG_H

#include "fa/backend.h"
#include "fa/diag.h"

FA_EXTERN_C_BEGIN

#define FA_BACKEND_CHAIN_MAX 4     /* backends in one chain */
#define FA_POOL_CLASS_COUNT_MAX 64 /* size classes of the pools */
#define FA_POOL_CLASS_BYTES_MAX 8192
#define FA_FRAMES_IN_FLIGHT_MAX 8
#define FA_TAG_COUNT_MAX 1024
#define FA_NAME_BYTES 32 /* longest allocator name, with its terminator */

/* What happens to a frame allocation past frame_bytes_max. */
typedef enum fa_frame_full {
    FA_FRAME_FULL_FAIL, /* the allocation fails: FA_ERROR_LIMIT, FA003 */
    FA_FRAME_FULL_SPILL /* it gets a block of its own, given back when the frame is over: FA007 */
} fa_frame_full;

/* When a thread takes back its pool objects that other threads freed. The pool allocations that
 * find none ready (the slow path of fa_pool_alloc) take them in any case but FA_DEFERRED_CALL. */
typedef enum fa_deferred_when {
    FA_DEFERRED_BEGIN, /* all when a frame begins */
    FA_DEFERRED_END,   /* all when a frame ends, which always takes the slow path then */
    FA_DEFERRED_STEPS, /* step_count in each slow path of an allocation, none with frames */
    FA_DEFERRED_CALL   /* by fa_deferred_process and fa_allocator_trim only; and to stay below a
                          budget */
} fa_deferred_when;

/* What happens to the free of an object whose owner has count_max of them waiting. */
typedef enum fa_deferred_full {
    FA_DEFERRED_FULL_GROW,    /* it waits with them; counted */
    FA_DEFERRED_FULL_WAIT,    /* the call waits for the owner, up to wait_nanoseconds, then grows */
    FA_DEFERRED_FULL_FAIL,    /* nothing is freed, the object is still the caller's:
                                 fa_deferred_free returns FA_ERROR_FULL, the other calls, which
                                 return nothing, report FA305 */
    FA_DEFERRED_FULL_PROCESS, /* the freeing thread puts the object back into its slab itself. For
                                 this slabs are not their owner's alone: to move objects between
                                 them and what it keeps ready, a thread of such an allocator takes
                                 the allocator's lock, once for up to half of what it keeps ready
                                 of a size and tag (pool_magazine_bytes; 8 to 64 in a tag) */
    FA_DEFERRED_FULL_DROP /* the object is lost until the allocator is destroyed: nobody gets its
                             memory again, it counts as alive and in dropped_count, FA307. For
                             threads that must neither wait nor keep it */
} fa_deferred_full;

#define FA_DEFERRED_GATHER_MAX 32

/* Frees across threads: see fa/deferred.h. */
typedef struct fa_deferred_config {
    /* Default FA_DEFERRED_BEGIN. */
    fa_deferred_when when;
    /* Objects to take in at once with FA_DEFERRED_STEPS; a few more where they came together. 1 or
     * more. Default 64. */
    size_t step_count;
    /* Objects of one thread that may wait; 0: no limit, the default. With a limit no objects are
     * gathered. */
    size_t count_max;
    /* Default FA_DEFERRED_FULL_GROW. */
    fa_deferred_full full;
    /* For FA_DEFERRED_FULL_WAIT. 0 to 10 s. Default 1 ms. */
    uint64_t wait_nanoseconds;
    /* So many waiting for one thread are reported (FA306), once until it takes some in; 0: never,
     * the default. */
    size_t warning_count;
    /* Objects, and at most 16 KiB of them and one more, that a thread gathers before it hands them
     * over to the one that they came from. 0 to FA_DEFERRED_GATHER_MAX; up to 1: each at once.
     * Default 32. */
    uint32_t gather_count;
} fa_deferred_config;

/* Checks that may be switched on per allocator, in every build. Each sends every allocation and
 * free of its kind through the slow path; with none of them the fast path is not touched. */
typedef enum fa_check {
    FA_CHECK_FILL = 1,  /* fresh memory is filled with 0xAB, dead memory with 0xCD */
    FA_CHECK_GUARD = 2, /* 16 guard bytes 0xFD behind each block, verified when it dies */
    FA_CHECK_FREE = 4,  /* every pool free is verified: owner, double free, size */
    FA_CHECK_ALL = 7
} fa_check;

typedef struct fa_alloc_config {
    /* Name shown in reports; copied, cut to FA_NAME_BYTES - 1. NULL: "". Default NULL. */
    const char *name;

    /* Where memory comes from, asked in this order until one serves. The caller keeps them open
     * until the allocator is gone. Default: all none, backend_spec decides. */
    fa_backend backends[FA_BACKEND_CHAIN_MAX];
    /* Backends by specification, opened and closed by the allocator: see fa_backend_open; several
     * are joined by '+': "mimalloc+mmap:huge". Used only when backends[0] is none. NULL or "": what
     * the environment variable FRAMEALLOC_BACKEND says, else "mmap". Copied. Default NULL. */
    const char *backend_spec;
    /* Bytes that may be held from the backends at once, everything included. 0: no limit, the
     * default. Past it: FA_ERROR_LIMIT, FA301. */
    size_t bytes_max;
    /* Memory that is held back for the moment when there is no other, and released then: see
     * fa/reserve.h. Rounded up to a cache line; taken at create, part of bytes_max. 0 to bytes_max,
     * or to FA_SIZE_MAX without one. 0: none, the default. Where the backend commits lazily it is
     * addresses. */
    size_t reserve_bytes;

    /* First chunk of a frame arena. 4 KiB to 1 GiB. Default 64 KiB. A frame that outgrows it takes
     * a chunk of twice the size, and so on to frame_chunk_bytes_max; a request larger than that
     * gets a chunk of its own size. */
    size_t frame_chunk_bytes_first;
    /* frame_chunk_bytes_first to 1 GiB. Default 1 MiB. */
    size_t frame_chunk_bytes_max;
    /* Cap on the chunk memory of one thread, over all its frames in flight; of addresses, where the
     * backend commits lazily. At least frame_chunk_bytes_first for each of these frames, or 0:
     * none. Default 256 MiB. */
    size_t frame_bytes_max;
    /* Past the cap: fail or spill. Default FA_FRAME_FULL_FAIL. */
    fa_frame_full frame_full;
    /* A frame's memory stays as it is until that many frames have begun after it: 1 means until
     * the end of the frame itself. 1 to FA_FRAMES_IN_FLIGHT_MAX. Default 1. */
    uint32_t frames_in_flight;
    /* After so many frames in a row that needed at most a quarter of what an arena has used, it
     * gives back all but twice what they needed. 0: never. Default 120. */
    uint32_t frame_trim_after;
    /* A frame that goes on taking chunks while some other thread ends so many frames is reported
     * (FA017), once: it may never end. Seen when it leaves its first chunk, and with each chunk
     * after that. 0: never. Default 120. */
    uint32_t frame_open_after;

    /* Object sizes of the pools: ascending multiples of 16, from 16 to FA_POOL_CLASS_BYTES_MAX,
     * ended by 0. Requests above the last one fall through to the heap. An empty list is replaced
     * by the default: four sizes for each doubling, 16 B to 4 KiB. */
    size_t pool_class_bytes[FA_POOL_CLASS_COUNT_MAX + 1];
    /* Pools get their memory in segments of this size, aligned to it. A power of two, 256 KiB to
     * 64 MiB. Default 4 MiB. */
    size_t pool_segment_bytes;
    /* Objects that one thread keeps ready of one class: so many bytes of them, at least 8 objects
     * and at most pool_magazine_count_max. 0 to 64 MiB. Default 256 KiB. */
    size_t pool_magazine_bytes;
    /* 8 to 32768. Default 1024. */
    uint32_t pool_magazine_count_max;
    /* After so many frames in a row in which a thread did not need new objects of a class, what it
     * keeps ready of it goes back, and empty slabs and segments with it. 0: never. Default 120. */
    uint32_t pool_trim_after;

    /* Frees of pool objects by other threads than the one that allocated them. */
    fa_deferred_config deferred;

    /* Heap blocks of up to a quarter of this are cut from regions of this size; larger ones get a
     * span of their own. 256 KiB to 64 MiB, or 0: every block gets its own (as guard pages of the
     * backend want). Default 4 MiB. */
    size_t heap_region_bytes;
    /* Freed memory of heap blocks of 4 KiB and more that is kept for reuse as it is, in bytes, the
     * oldest given back first: so much of spans, and an eighth of it of blocks in regions. 0:
     * none. Default 16 MiB. */
    size_t heap_cache_bytes;

    /* Threads attached at once. 0: no limit, the default. Past it: FA_ERROR_LIMIT, FA202. */
    uint32_t thread_count_max;

    /* Tags that can be made, the standard ones and the root included: see fa/tag.h. Each takes
     * about 1 KiB. 16 to FA_TAG_COUNT_MAX. Default 256. Past it: FA_ERROR_LIMIT, FA402. */
    uint32_t tag_count_max;

    /* Sum of fa_check values. Default 0; FA_CHECK_ALL where the program is built with FA_DEBUG. */
    uint32_t checks;
    /* Misuse (severity error) aborts the program after it was reported. Default false; true when
     * the environment variable FRAMEALLOC_STRICT is set to something else than "" and "0". */
    bool strict;
    /* Phases measure time: two readings of the monotonic clock each. Default true. */
    bool phase_clock;
    /* Event hook and its first argument. Default NULL: events are counted, none is delivered; where
     * the program is built with FA_DEBUG, fa_event_print. */
    fa_event_fn *on_event;
    void *on_event_user;

    /* Set by the presets; tells create that the structure was filled, and that the program and the
     * library were built from the same header. Never touch it. */
    uint64_t cookie;
} fa_alloc_config;

/* Differs whenever a structure or build setting that inline functions rely on differs. */
#ifdef FA_DEBUG
#define FA_BUILD_DEBUG_BIT 1u
#else
#define FA_BUILD_DEBUG_BIT 0u
#endif
#ifdef FA_MINIMAL
#define FA_BUILD_MINIMAL_BIT 2u
#else
#define FA_BUILD_MINIMAL_BIT 0u
#endif
#define FA_CONFIG_COOKIE                                                                           \
    (0xFA5EEDull << 40 | (uint64_t)sizeof(fa_alloc_config) << 24 | (uint64_t)FA_VERSION << 2 |     \
     FA_BUILD_DEBUG_BIT | FA_BUILD_MINIMAL_BIT)

/* For most programs: the defaults named above. */
static inline fa_alloc_config fa_alloc_config_default(void);
/* For tools, tests and small devices: 4 KiB chunks up to 64 KiB, 256 KiB segments, 32 objects a
 * magazine, no heap cache; gives memory back after 8 quiet frames. */
static inline fa_alloc_config fa_alloc_config_minimal(void);
/* For programs that own the machine: 1 MiB chunks up to 16 MiB, no cap, 16 MiB segments, 4,096
 * objects a magazine, 256 MiB heap cache, transparent huge pages where the backend is left open,
 * gives nothing back by itself. */
static inline fa_alloc_config fa_alloc_config_high_performance(void);

/* Checks a configuration without creating anything.
 * message: gets one line that names the field, its value and the legal range; may be NULL.
 * Returns FA_OK or FA_ERROR_CONFIG (FA_ERROR_INVALID: config is NULL). Any thread. */
FA_API fa_status fa_alloc_config_validate(const fa_alloc_config *config, char *message,
                                          size_t message_bytes);

/* The presets are filled by the library; the cookie is the caller's, so that a program built with
 * other settings than the library is found out by create. */
FA_API void fai_config_default(fa_alloc_config *config, size_t config_bytes);
FA_API void fai_config_minimal(fa_alloc_config *config, size_t config_bytes);
FA_API void fai_config_high_performance(fa_alloc_config *config, size_t config_bytes);

#define FA_CONFIG_PRESET(name)                                                                     \
    static inline fa_alloc_config fa_alloc_config_##name(void) {                                   \
        fa_alloc_config config;                                                                    \
        fai_config_##name(&config, sizeof config);                                                 \
        config.cookie = FA_CONFIG_COOKIE;                                                          \
        return config;                                                                             \
    }
FA_CONFIG_PRESET(default)
FA_CONFIG_PRESET(minimal)
FA_CONFIG_PRESET(high_performance)
#undef FA_CONFIG_PRESET

FA_EXTERN_C_END

#endif
