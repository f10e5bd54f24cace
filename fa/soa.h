/* Structures of arrays, batches, and memory on cache lines of its own.
 *
 * A loop over one or two members of many objects reads whole cache lines for a few bytes each when
 * the objects lie side by side. With one array a member (a structure of arrays, SoA) it reads only
 * what it uses, and the compiler can use vector instructions. Several arrays of equal count live
 * and die together, so they are one block here: one allocation, all or nothing.
 *
 *   #define PARTICLE_FIELDS(X) X(float, x) X(float, y) X(uint32_t, colour)
 *   FA_SOA(particles, PARTICLE_FIELDS)        struct particles { count; x; y; colour; }
 *   ...
 *   particles p;
 *   if (fa_soa_new_in(frame, particles, 1000, &p) == FA_OK)
 *       for (size_t i = 0; i < p.count; i++)
 *           p.x[i] += p.y[i];
 *
 * Layout: columns in the order given, each at a multiple of its alignment, each as long as its
 * elements, rounded up to that alignment. The default alignment is a cache line: no two columns
 * share one (threads may write different columns without false sharing), and every vector
 * instruction may use aligned accesses. The rest of a column's last line belongs to the column: a
 * loop may read and write whole vectors up to there (up to 64 bytes counted from the column's
 * start), past the last element. It is not initialised. Columns whose length is a multiple of 4 KiB
 * are kept one line apart, or they would drive each other out of the cache. Columns of a smaller
 * alignment are packed close and give all that up. */
#ifndef FA_SOA_H
#define FA_SOA_H

#include "fa/frame.h"

FA_EXTERN_C_BEGIN

#define FA_SOA_COLUMN_COUNT_MAX ((size_t)64)

/* size: of one element in bytes, 1 to FA_SIZE_MAX. align: of the array, a power of two up to
 * FA_ALIGN_MAX; 0: FA_CACHE_LINE. It is the caller's to know what the elements need. */
typedef struct fa_soa_column {
    size_t size;
    size_t align;
} fa_soa_column;

/* A block that holds all columns: bytes is a multiple of align, which is at least FA_ALIGN_MIN. */
typedef struct fa_soa_layout {
    size_t bytes;
    size_t align;
} fa_soa_layout;

/* Where columns of count elements each would lie in one block, for memory of any intent:
 * fa_heap_alloc_aligned(allocator, layout.bytes, layout.align), array i at block + offsets[i].
 * column_count: 1 to FA_SOA_COLUMN_COUNT_MAX, also the length of offsets. offsets[0] is 0.
 * Returns FA_OK; FA_ERROR_INVALID with nothing written for a NULL, a count of 0, a bad column, or
 * more than FA_SIZE_MAX bytes together. Any thread. O(column_count). */
FA_API fa_status fa_soa_measure(const fa_soa_column *columns, size_t column_count, size_t count,
                                size_t *offsets, fa_soa_layout *layout);

/* Allocates all columns in the frame as one block and puts their addresses into arrays, which has
 * column_count places. Counts as one allocation.
 * Returns FA_OK, or why not (fa_soa_measure, frame.h) with arrays as they were. */
FA_API fa_status fa_soa_alloc(fa_allocator *allocator, const fa_soa_column *columns,
                              size_t column_count, size_t count, void **arrays);
FA_API fa_status fa_soa_alloc_in(fa_frame *frame, const fa_soa_column *columns, size_t column_count,
                                 size_t count, void **arrays);

/* Typed form. fields is a macro that calls its argument once for each column, as X(type, name).
 * Defines `name`, a structure with size_t count and one pointer for each column, and the functions
 * behind the macros below, all of them local to the file. A type that needs more than a cache line
 * gets its own alignment. At least one column, any number; their sizes are known to the compiler,
 * so that nothing is left to do at run time but to add them up. */
#define FA_SOA(name, fields) FAI_SOA_DEFINE(name, fields)

/* Allocates count elements of each column of a structure defined above in the frame, and fills
 * *soa. Returns FA_OK, or why not with *soa as it was. As fa_soa_alloc otherwise. */
#define fa_soa_new(allocator, name, count, soa)                                                    \
    FAI_SOA_AT(fai_soa_new_##name((allocator), (count), (soa)))
#define fa_soa_new_in(frame, name, count, soa)                                                     \
    FAI_SOA_AT(fai_soa_new_in_##name((frame), (count), (soa)))

/* For memory of any other intent. fa_soa_bytes: size of the block, 0 with FA_ERROR_INVALID where
 * fa_soa_measure refuses. fa_soa_align: its alignment. fa_soa_place: fills *soa with pointers into
 * such a block; it must not be NULL, nor soa. */
#define fa_soa_bytes(name, count) fai_soa_bytes_##name(count)
#define fa_soa_align(name) fai_soa_align_##name()
#define fa_soa_place(name, block, count, soa) fai_soa_place_##name((block), (count), (soa))

/* ------------------------------------------------------------------------------------------------
 * Batches: a range of indices cut into pieces, for work that shall stay in a cache or is handed
 * out. When batch_count_max is a multiple of 64 / element size, each batch of a column with the
 * default alignment starts on a cache line. */

/* Indices first to first + count - 1. rest and most are for fa_batch_next. */
typedef struct fa_batch {
    size_t first;
    size_t count;
    size_t rest;
    size_t most;
} fa_batch;

/* Called with first and count of each batch. */
typedef void (*fa_batch_function)(void *user, size_t first, size_t count);

/* Calls function for 0 to count - 1, in order, in batches of batch_count_max, of which the last may
 * be shorter. count 0 calls nothing.
 * Returns FA_OK; FA_ERROR_INVALID without any call for batch_count_max 0 or function NULL. */
FA_API fa_status fa_batch_each(size_t count, size_t batch_count_max, fa_batch_function function,
                               void *user);

/* The same as a loop: `FA_BATCHES (batch, p.count, 256) { ... batch.first, batch.count ... }`.
 * break and continue work. A batch_count_max of 0 runs nothing and sets FA_ERROR_INVALID. */
#define FA_BATCHES(batch, count_all, batch_count_max)                                              \
    for (fa_batch batch = fa_batch_first((count_all), (batch_count_max)); batch.count != 0;        \
         batch = fa_batch_next(batch))

/* The first batch, and the one after a batch; count is 0 when there is none. */
FA_API inline fa_batch fa_batch_first(size_t count, size_t batch_count_max);
FA_API inline fa_batch fa_batch_next(fa_batch batch);

/* ------------------------------------------------------------------------------------------------
 * Cache lines. What different threads write must not share one, or each write takes the line away
 * from the others ("false sharing"). */

/* For a type: objects start on a cache line and fill whole ones, also side by side in an array.
 * `typedef struct FA_CACHE_ALIGNED counter { uint64_t value; } counter;` */
#define FA_CACHE_ALIGNED __attribute__((aligned(64)))

/* Allocates size bytes in the frame on cache lines that nothing else is on: the address is a
 * multiple of align (a power of two up to FA_ALIGN_MAX, less than 64 counts as 64), and the block
 * reaches to the end of its last line, all of it the caller's. As fa_frame_alloc_aligned
 * otherwise. */
FA_API FA_RETURNS_BLOCK void *fa_frame_alloc_lines(fa_allocator *allocator, size_t size,
                                                   size_t align);
FA_API FA_RETURNS_BLOCK void *fa_frame_alloc_lines_in(fa_frame *frame, size_t size, size_t align);

/* One object, or an array as a whole, on lines of its own, aligned for the type. */
#define fa_frame_new_lines(allocator, type)                                                        \
    ((type *)fa_frame_alloc_lines((allocator), sizeof(type), FA_ALIGNOF(type)))
#define fa_frame_new_lines_in(frame, type)                                                         \
    ((type *)fa_frame_alloc_lines_in((frame), sizeof(type), FA_ALIGNOF(type)))
#define fa_frame_array_lines(allocator, type, count)                                               \
    ((type *)fa_frame_alloc_lines((allocator), fai_soa_product((count), sizeof(type)),             \
                                  FA_ALIGNOF(type)))
#define fa_frame_array_lines_in(frame, type, count)                                                \
    ((type *)fa_frame_alloc_lines_in((frame), fai_soa_product((count), sizeof(type)),              \
                                     FA_ALIGNOF(type)))

/* ------------------------------------------------------------------------------------------------
 * Behind the macros. */

/* Sets FA_ERROR_INVALID. */
FA_API FA_COLD void fai_soa_refuse(size_t size);
FA_API FA_RETURNS_BLOCK void *fai_soa_block(fa_allocator *allocator, size_t bytes, size_t align);
FA_API FA_RETURNS_BLOCK void *fai_soa_block_in(fa_frame *frame, size_t bytes, size_t align);

/* Bytes from the start of a column to where the next one may start, its alignment being a cache
 * line or more. When that is a multiple of 4 KiB, elements of equal index would fight for the same
 * places of the first-level cache: then it is one line more. Summing up 16 columns of 4 KiB takes
 * half the time so. */
static inline size_t fai_soa_length(size_t size, size_t align) {
    size_t length = (size + align - 1) & ~(align - 1);
    return length + (align < 4096 && length % 4096 == 0 ? align : 0);
}

/* Why the last call failed; never FA_OK, even when an event hook has cleared the error, so that
 * compilers see that whoever gets FA_OK has a structure that is filled. */
static inline fa_status fai_soa_failure(void) {
    fa_status status = fa_last_error().status;
    return status != FA_OK ? status : FA_ERROR_NO_MEMORY;
}

/* 0, which every call refuses, when it would wrap. */
static inline size_t fai_soa_product(size_t count, size_t size) {
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? 0 : bytes;
}

inline fa_batch fa_batch_first(size_t count, size_t batch_count_max) {
    fa_batch batch = {0, 0, 0, batch_count_max};
    if (FA_UNLIKELY(batch_count_max == 0)) {
        fai_soa_refuse(0);
        return batch;
    }
    batch.count = count < batch_count_max ? count : batch_count_max;
    batch.rest = count - batch.count;
    return batch;
}

inline fa_batch fa_batch_next(fa_batch batch) {
    batch.first += batch.count;
    batch.count = batch.rest < batch.most ? batch.rest : batch.most;
    batch.rest -= batch.count;
    return batch;
}

#ifdef FA_DEBUG
#define FAI_SOA_AT(call) FAI_AT(call)
#else
#define FAI_SOA_AT(call) (call)
#endif

#define FAI_SOA_ALIGNOF(type) (FA_ALIGNOF(type) > FA_CACHE_LINE ? FA_ALIGNOF(type) : FA_CACHE_LINE)
#define FAI_SOA_MEMBER(type, field) type *field;
#define FAI_SOA_ALIGN(type, field)                                                                 \
    if (FAI_SOA_ALIGNOF(type) > align)                                                             \
        align = FAI_SOA_ALIGNOF(type);
/* Bytes of an element of all columns, and the most that rounding up can add. */
#define FAI_SOA_ADD_SIZE(type, field) +sizeof(type)
#define FAI_SOA_ADD_ALIGN(type, field) +3 * FAI_SOA_ALIGNOF(type)
/* In two steps, because a column begins where its own alignment allows it. */
#define FAI_SOA_START(type, field)                                                                 \
    bytes = (bytes + FAI_SOA_ALIGNOF(type) - 1) & ~(FAI_SOA_ALIGNOF(type) - 1);
#define FAI_SOA_END(type, field)                                                                   \
    bytes += fai_soa_length(count * sizeof(type), FAI_SOA_ALIGNOF(type));
#define FAI_SOA_STEP(type, field) FAI_SOA_START(type, field) FAI_SOA_END(type, field)
#define FAI_SOA_POINT(type, field)                                                                 \
    FAI_SOA_START(type, field)                                                                     \
    soa->field = (type *)(void *)((char *)block + bytes);                                          \
    FAI_SOA_END(type, field)
#define FAI_SOA_LOCAL static inline __attribute__((unused))

#define FAI_SOA_DEFINE(name, fields)                                                               \
    typedef struct name {                                                                          \
        size_t count;                                                                              \
        fields(FAI_SOA_MEMBER)                                                                     \
    } name;                                                                                        \
    FAI_SOA_LOCAL size_t fai_soa_align_##name(void) {                                              \
        size_t align = FA_CACHE_LINE;                                                              \
        fields(FAI_SOA_ALIGN) return align;                                                        \
    }                                                                                              \
    FAI_SOA_LOCAL size_t fai_soa_bytes_##name(size_t count) {                                      \
        size_t bytes = 0, align = fai_soa_align_##name();                                          \
        if (FA_UNLIKELY(count - 1 >= (FA_SIZE_MAX - (align fields(FAI_SOA_ADD_ALIGN))) /           \
                                         (0 fields(FAI_SOA_ADD_SIZE)))) {                          \
            fai_soa_refuse(count);                                                                 \
            return 0;                                                                              \
        }                                                                                          \
        fields(FAI_SOA_STEP) return (bytes + align - 1) & ~(align - 1);                            \
    }                                                                                              \
    FAI_SOA_LOCAL void fai_soa_place_##name(void *block, size_t count, name *soa) {                \
        size_t bytes = 0;                                                                          \
        fields(FAI_SOA_POINT) soa->count = count;                                                  \
        (void)bytes;                                                                               \
    }                                                                                              \
    FAI_SOA_DEFINE_NEW(name, , fa_allocator *where)                                                \
    FAI_SOA_DEFINE_NEW(name, _in, fa_frame *where)

#define FAI_SOA_DEFINE_NEW(name, in, parameter)                                                    \
    FAI_SOA_LOCAL fa_status fai_soa_new##in##_##name(parameter, size_t count, name *soa) {         \
        size_t bytes = fai_soa_bytes_##name(count);                                                \
        void *block = fai_soa_block##in(where, soa ? bytes : 0, fai_soa_align_##name());           \
        if (FA_UNLIKELY(block == NULL))                                                            \
            return fai_soa_failure();                                                              \
        fai_soa_place_##name(block, count, soa);                                                   \
        return FA_OK;                                                                              \
    }

FA_EXTERN_C_END

#define FAI_SOA_DECLARED
#include "fa/site.h"

#endif
