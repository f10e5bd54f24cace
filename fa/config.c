#include "fa/config.h"

#include "fa/fast.h"
#include "fa/internal/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

/* Four sizes for each doubling: at most a fifth of a block is wasted. */
static void fill_classes(size_t *classes) {
    size_t count = 0;
    for (size_t size = 16; size <= 64; size += 16)
        classes[count++] = size;
    for (size_t base = 64; base < 4096; base *= 2)
        for (size_t step = 1; step <= 4; step++)
            classes[count++] = base + base / 4 * step;
    classes[count] = 0;
}

static bool strict_in_environment(void) {
    const char *value = getenv("FRAMEALLOC_STRICT");
    return value != NULL && *value != 0 && strcmp(value, "0") != 0;
}

void fai_config_default(fa_alloc_config *config, size_t config_bytes) {
    /* A program built with another header may hold a smaller structure: leave what is behind it
     * alone, create will refuse it by its cookie. */
    if (config_bytes < sizeof *config) {
        memset(config, 0, config_bytes);
        return;
    }
    *config = (fa_alloc_config){
        .frame_chunk_bytes_first = 64 * KIB,
        .frame_chunk_bytes_max = 1 * MIB,
        .frame_bytes_max = 256 * MIB,
        .frame_full = FA_FRAME_FULL_FAIL,
        .frames_in_flight = 1,
        .frame_trim_after = 120,
        .frame_open_after = 120,
        .pool_segment_bytes = 4 * MIB,
        .pool_magazine_bytes = 256 * KIB,
        .pool_magazine_count_max = 1024,
        .pool_trim_after = 120,
        .deferred = {.step_count = 64,
                     .wait_nanoseconds = 1000000,
                     .gather_count = FA_DEFERRED_GATHER_MAX},
        .heap_region_bytes = 4 * MIB,
        .heap_cache_bytes = 16 * MIB,
        .tag_count_max = 256,
        .strict = strict_in_environment(),
        .phase_clock = true,
#ifdef FA_DEBUG
        .checks = FA_CHECK_ALL,
        .on_event = fa_event_print,
#endif
    };
    fill_classes(config->pool_class_bytes);
}

void fai_config_minimal(fa_alloc_config *config, size_t config_bytes) {
    fai_config_default(config, config_bytes);
    if (config_bytes < sizeof *config)
        return;
    config->frame_chunk_bytes_first = 4 * KIB;
    config->frame_chunk_bytes_max = 64 * KIB;
    config->frame_trim_after = 8;
    config->pool_segment_bytes = 256 * KIB;
    config->pool_magazine_bytes = 0;
    config->pool_magazine_count_max = 32;
    config->pool_trim_after = 8;
    config->heap_region_bytes = 256 * KIB;
    config->heap_cache_bytes = 0;
}

void fai_config_high_performance(fa_alloc_config *config, size_t config_bytes) {
    fai_config_default(config, config_bytes);
    if (config_bytes < sizeof *config)
        return;
    const char *chosen = getenv("FRAMEALLOC_BACKEND");
    config->backend_spec = chosen != NULL && *chosen != 0 ? NULL : "mmap:huge";
    config->frame_chunk_bytes_first = 1 * MIB;
    config->frame_chunk_bytes_max = 16 * MIB;
    config->frame_bytes_max = 0;
    config->frame_trim_after = 0;
    config->pool_segment_bytes = 16 * MIB;
    config->pool_magazine_bytes = 1 * MIB;
    config->pool_magazine_count_max = 4096;
    config->pool_trim_after = 0;
    config->heap_region_bytes = 32 * MIB;
    config->heap_cache_bytes = 256 * MIB;
}

/* Writes the message and returns false when value is not in [low, high]. */
static bool in_range(const char *field, size_t value, size_t low, size_t high, char *message,
                     size_t message_bytes) {
    if (value >= low && value <= high)
        return true;
    if (message != NULL)
        snprintf(message, message_bytes, "%s is %zu, legal is %zu to %zu", field, value, low, high);
    return false;
}

static bool wrong(char *message, size_t message_bytes, const char *text) {
    if (message != NULL)
        snprintf(message, message_bytes, "%s", text);
    return false;
}

static bool classes_are_valid(const size_t *classes, char *message, size_t message_bytes) {
    size_t previous = 0;
    for (size_t i = 0; classes[i] != 0; i++) {
        if (i == FA_POOL_CLASS_COUNT_MAX)
            return wrong(message, message_bytes, "pool_class_bytes has no 0 at its end");
        if (classes[i] % 16 != 0 || classes[i] <= previous ||
            classes[i] > FA_POOL_CLASS_BYTES_MAX) {
            if (message != NULL)
                snprintf(message, message_bytes,
                         "pool_class_bytes[%zu] is %zu, legal are ascending multiples of 16 up to "
                         "%d",
                         i, classes[i], FA_POOL_CLASS_BYTES_MAX);
            return false;
        }
        previous = classes[i];
    }
    return true;
}

static bool pools_are_valid(const fa_alloc_config *config, char *message, size_t bytes) {
    if (!fai_is_power_of_two(config->pool_segment_bytes))
        return wrong(message, bytes, "pool_segment_bytes is not a power of two");
    return in_range("pool_segment_bytes", config->pool_segment_bytes, 256 * KIB, 64 * MIB, message,
                    bytes) &&
           in_range("pool_magazine_bytes", config->pool_magazine_bytes, 0, 64 * MIB, message,
                    bytes) &&
           in_range("pool_magazine_count_max", config->pool_magazine_count_max, 8, FAI_READY_MAX,
                    message, bytes) &&
           classes_are_valid(config->pool_class_bytes, message, bytes);
}

static bool deferred_is_valid(const fa_deferred_config *config, char *message, size_t bytes) {
    return in_range("deferred.when", (size_t)config->when, FA_DEFERRED_BEGIN, FA_DEFERRED_CALL,
                    message, bytes) &&
           in_range("deferred.step_count", config->step_count, 1, FA_SIZE_MAX, message, bytes) &&
           in_range("deferred.count_max", config->count_max, 0, UINT32_MAX / 2, message, bytes) &&
           in_range("deferred.full", (size_t)config->full, FA_DEFERRED_FULL_GROW,
                    FA_DEFERRED_FULL_DROP, message, bytes) &&
           in_range("deferred.wait_nanoseconds", config->wait_nanoseconds, 0, 10000000000u, message,
                    bytes) &&
           in_range("deferred.gather_count", config->gather_count, 0, FA_DEFERRED_GATHER_MAX,
                    message, bytes);
}

static bool frames_are_valid(const fa_alloc_config *config, char *message, size_t bytes) {
    return in_range("frame_chunk_bytes_first", config->frame_chunk_bytes_first, 4 * KIB, GIB,
                    message, bytes) &&
           in_range("frame_chunk_bytes_max", config->frame_chunk_bytes_max,
                    config->frame_chunk_bytes_first, GIB, message, bytes) &&
           in_range("frame_full", (size_t)config->frame_full, FA_FRAME_FULL_FAIL,
                    FA_FRAME_FULL_SPILL, message, bytes) &&
           in_range("frames_in_flight", config->frames_in_flight, 1, FA_FRAMES_IN_FLIGHT_MAX,
                    message, bytes) &&
           (config->frame_bytes_max == 0 ||
            in_range("frame_bytes_max", config->frame_bytes_max,
                     config->frame_chunk_bytes_first * config->frames_in_flight, FA_SIZE_MAX,
                     message, bytes));
}

static bool backends_are_valid(const fa_alloc_config *config, char *message, size_t bytes) {
    bool ended = false;
    for (size_t i = 0; i < FA_BACKEND_CHAIN_MAX; i++) {
        const fa_backend_vtable *vtable = config->backends[i].vtable;
        if (vtable == NULL) {
            ended = true;
            continue;
        }
        if (ended)
            return wrong(message, bytes, "backends has a gap");
        if (!vtable->alloc || !vtable->free || !vtable->describe || !vtable->name)
            return wrong(message, bytes, "a backend lacks its name, alloc, free or describe");
    }
    return true;
}

fa_status fa_alloc_config_validate(const fa_alloc_config *config, char *message,
                                   size_t message_bytes) {
    if (message != NULL && message_bytes > 0)
        *message = 0;
    else
        message = NULL;
    if (config == NULL)
        return FA_ERROR_INVALID;
    if (config->cookie != FA_CONFIG_COOKIE) {
        wrong(
            message, message_bytes,
            "the configuration was not filled by a preset, or program and library were built from "
            "different headers or with different FA_DEBUG or FA_MINIMAL");
        return FA_ERROR_CONFIG;
    }
    size_t reserve_max =
        config->bytes_max != 0 && config->bytes_max < FA_SIZE_MAX ? config->bytes_max : FA_SIZE_MAX;
    bool valid =
        in_range("reserve_bytes", config->reserve_bytes, 0, reserve_max, message, message_bytes) &&
        backends_are_valid(config, message, message_bytes) &&
        frames_are_valid(config, message, message_bytes) &&
        pools_are_valid(config, message, message_bytes) &&
        deferred_is_valid(&config->deferred, message, message_bytes) &&
        (config->heap_region_bytes == 0 || in_range("heap_region_bytes", config->heap_region_bytes,
                                                    256 * KIB, 64 * MIB, message, message_bytes)) &&
        in_range("tag_count_max", config->tag_count_max, 16, FA_TAG_COUNT_MAX, message,
                 message_bytes) &&
        in_range("checks", config->checks, 0, FA_CHECK_ALL, message, message_bytes);
    return valid ? FA_OK : FA_ERROR_CONFIG;
}
