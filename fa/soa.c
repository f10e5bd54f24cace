/* Structures of arrays, batches, cache lines. */
#include "fa/soa.h"

#include "fa/internal/allocator.h"
#include "fa/internal/check.h"

#include <string.h>

/* Places before the first column that does not fit. False when one is bad or the sum too large. */
static bool measure(const fa_soa_column *columns, size_t column_count, size_t count,
                    size_t *offsets, fa_soa_layout *layout) {
    size_t bytes = 0, align_most = FA_ALIGN_MIN;
    for (size_t i = 0; i < column_count; i++) {
        size_t align = columns[i].align != 0 ? columns[i].align : FA_CACHE_LINE;
        size_t size;
        if (__builtin_mul_overflow(columns[i].size, count, &size) || !fai_is_request(size, align))
            return false;
        /* Neither sum wraps: each is at most FA_SIZE_MAX and three alignments. */
        bytes = fai_round_up(bytes, align);
        offsets[i] = bytes;
        bytes += align < FA_CACHE_LINE ? fai_round_up(size, align) : fai_soa_length(size, align);
        if (bytes > FA_SIZE_MAX)
            return false;
        if (align > align_most)
            align_most = align;
    }
    bytes = fai_round_up(bytes, align_most);
    if (bytes > FA_SIZE_MAX)
        return false;
    *layout = (fa_soa_layout){bytes, align_most};
    return true;
}

static bool measure_all(const fa_soa_column *columns, size_t column_count, size_t count,
                        size_t *offsets, fa_soa_layout *layout) {
    return columns != NULL && column_count - 1 < FA_SOA_COLUMN_COUNT_MAX &&
           measure(columns, column_count, count, offsets, layout);
}

fa_status fa_soa_measure(const fa_soa_column *columns, size_t column_count, size_t count,
                         size_t *offsets, fa_soa_layout *layout) {
    size_t found[FA_SOA_COLUMN_COUNT_MAX];
    if (offsets == NULL || layout == NULL ||
        !measure_all(columns, column_count, count, found, layout))
        return fai_fail(FA_ERROR_INVALID, count);
    memcpy(offsets, found, column_count * sizeof found[0]);
    return FA_OK;
}

static void point(char *block, const size_t *offsets, size_t column_count, void **arrays) {
    for (size_t i = 0; i < column_count; i++)
        arrays[i] = block + offsets[i];
}

/* A size of 0 is what the frame refuses. */
fa_status(fa_soa_alloc_in)(fa_frame *frame, const fa_soa_column *columns, size_t column_count,
                           size_t count, void **arrays) {
    size_t offsets[FA_SOA_COLUMN_COUNT_MAX];
    fa_soa_layout layout = {0, FA_ALIGN_MIN};
    if (arrays == NULL || !measure_all(columns, column_count, count, offsets, &layout))
        return fai_fail(FA_ERROR_INVALID, count);
    char *block = (char *)(fa_frame_alloc_aligned_in)(frame, layout.bytes, layout.align);
    if (block == NULL)
        return fai_soa_failure();
    point(block, offsets, column_count, arrays);
    return FA_OK;
}

fa_status(fa_soa_alloc)(fa_allocator *allocator, const fa_soa_column *columns, size_t column_count,
                        size_t count, void **arrays) {
    size_t offsets[FA_SOA_COLUMN_COUNT_MAX];
    fa_soa_layout layout = {0, FA_ALIGN_MIN};
    if (arrays == NULL || !measure_all(columns, column_count, count, offsets, &layout))
        return fai_fail(FA_ERROR_INVALID, count);
    char *block = (char *)(fa_frame_alloc_aligned)(allocator, layout.bytes, layout.align);
    if (block == NULL)
        return fai_soa_failure();
    point(block, offsets, column_count, arrays);
    return FA_OK;
}

void fai_soa_refuse(size_t size) { fai_fail(FA_ERROR_INVALID, size); }

void *fai_soa_block(fa_allocator *allocator, size_t bytes, size_t align) {
    return (fa_frame_alloc_aligned)(allocator, bytes, align);
}

void *fai_soa_block_in(fa_frame *frame, size_t bytes, size_t align) {
    return (fa_frame_alloc_aligned_in)(frame, bytes, align);
}

fa_status fa_batch_each(size_t count, size_t batch_count_max, fa_batch_function function,
                        void *user) {
    if (batch_count_max == 0 || function == NULL)
        return fai_fail(FA_ERROR_INVALID, count);
    FA_BATCHES (batch, count, batch_count_max)
        function(user, batch.first, batch.count);
    return FA_OK;
}

/* Whole cache lines. A size that the frame refuses stays one that it refuses. */
static size_t lines(size_t size) {
    return size <= FA_SIZE_MAX ? fai_round_up(size, FA_CACHE_LINE) : size;
}

static size_t line_align(size_t align) {
    return align < FA_CACHE_LINE && fai_is_power_of_two(align) ? FA_CACHE_LINE : align;
}

void *(fa_frame_alloc_lines_in)(fa_frame *frame, size_t size, size_t align) {
    return (fa_frame_alloc_aligned_in)(frame, lines(size), line_align(align));
}

void *(fa_frame_alloc_lines)(fa_allocator *allocator, size_t size, size_t align) {
    return (fa_frame_alloc_aligned)(allocator, lines(size), line_align(align));
}
