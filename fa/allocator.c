#include "fa/allocator.h"

#include "fa/heap.h"
#include "fa/internal/group.h"
#include "fa/internal/heap.h"
#include "fa/internal/own_arena.h"
#include "fa/internal/park.h"
#include "fa/internal/poison.h"
#include "fa/internal/scratch.h"
#include "fa/internal/shared_arena.h"
#include "fa/internal/slab.h"
#include "fa/internal/task.h"
#include "fa/pool.h"

#include <stdio.h>
#include <string.h>

#define LEAKS_NAMED_MAX 16
#define CAPTURED_COUNT_MAX 16 /* objects that a thread keeps ready */

/* ---- create ---- */

static void fill_pools(fa_allocator *allocator) {
    const fa_alloc_config *config = &allocator->config;
    fai_pools *pools = &allocator->pools;
    memset(pools->class_of_bin, FAI_NO_CLASS, sizeof pools->class_of_bin);
    size_t bin = 0;
    for (uint32_t i = 0; config->pool_class_bytes[i] != 0; i++) {
        size_t bytes = config->pool_class_bytes[i];
        size_t count = config->pool_magazine_bytes / bytes;
        if (count > config->pool_magazine_count_max)
            count = config->pool_magazine_count_max;
        pools->class_bytes[i] = (uint32_t)bytes;
        pools->magazine_capacity[i] = (uint32_t)(count < 8 ? 8 : count);
        while (bin <= bytes >> FAI_BIN_SHIFT)
            pools->class_of_bin[bin++] = (uint8_t)i;
        pools->class_plain = i + 1;
        pools->bytes_max = bytes;
    }
    pools->class_count = 2 * pools->class_plain;
    for (uint32_t i = 0; i < pools->class_plain; i++) {
        uint32_t count = pools->magazine_capacity[i];
        pools->class_bytes[pools->class_plain + i] = pools->class_bytes[i];
        pools->magazine_capacity[pools->class_plain + i] =
            count < CAPTURED_COUNT_MAX ? count : CAPTURED_COUNT_MAX;
    }
    for (size_t i = 0; i < FAI_BIN_COUNT; i++)
        pools->bin_closed[i] =
            allocator->watched || i == 0 || pools->class_of_bin[i] == FAI_NO_CLASS;
}

/* What the configuration leaves open is filled in, so that it can be read back. */
static void resolve(fa_allocator *allocator, const fa_alloc_config *config) {
    fa_alloc_config *own = &allocator->config;
    *own = *config;
    snprintf(allocator->name, sizeof allocator->name, "%s", config->name ? config->name : "");
    own->name = allocator->name;
    if (own->pool_class_bytes[0] == 0) {
        fa_alloc_config defaults = fa_alloc_config_default();
        memcpy(own->pool_class_bytes, defaults.pool_class_bytes, sizeof own->pool_class_bytes);
    }
    own->frame_chunk_bytes_first = fai_round_up(own->frame_chunk_bytes_first, FA_CACHE_LINE);
    own->frame_chunk_bytes_max = fai_round_up(own->frame_chunk_bytes_max, FA_CACHE_LINE);
    allocator->checks = own->checks;
    allocator->watched = own->checks != 0 || FAI_WATCHED();
    allocator->bits_shared = allocator->watched || (own->deferred.count_max != 0 &&
                                                    own->deferred.full == FA_DEFERRED_FULL_PROCESS);
    allocator->frames_look_closer =
        allocator->watched || own->frames_in_flight != 1 || own->deferred.when == FA_DEFERRED_END;
    snprintf(allocator->spec, sizeof allocator->spec, "%s",
             config->backend_spec ? config->backend_spec : "");
    own->backend_spec = allocator->spec;
}

/* What create opened, in reverse. */
static void close_parts(fa_allocator *allocator) {
    fai_roster *const rosters[] = {&allocator->scratch_pools, &allocator->groups,
                                   &allocator->own_arenas, &allocator->shared_arenas,
                                   &allocator->tasks};
    for (size_t i = 0; i < sizeof rosters / sizeof rosters[0]; i++)
        pthread_mutex_destroy(&rosters[i]->lock);
    fai_heap_destroy(allocator);
    fai_store_destroy(allocator);
    fai_reserve_destroy(allocator);
    fai_budgets_destroy(allocator);
    pthread_mutex_destroy(&allocator->owned.lock);
    pthread_mutex_destroy(&allocator->lock);
    fai_spans spans = allocator->spans;
    fai_span self = allocator->self;
    fai_span_free(&spans, &self);
    fai_spans_close(&spans);
}

fa_status fa_allocator_create(const fa_alloc_config *config, fa_allocator **result) {
    if (result == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    *result = NULL;
    fa_alloc_config defaults;
    if (config == NULL) {
        defaults = fa_alloc_config_default();
        config = &defaults;
    }
    char message[256];
    fa_status status = fa_alloc_config_validate(config, message, sizeof message);
    if (status != FA_OK) {
        fprintf(stderr, "framealloc: %s\n", message);
        return fai_fail(status, 0);
    }
    /* The allocator itself is the first span of its backend. */
    fai_spans spans;
    fai_span self;
    memset(&spans, 0, sizeof spans);
    status = fai_spans_open(&spans, config);
    if (status != FA_OK)
        return fai_fail(status, 0);
    status = fai_span_alloc(&spans, sizeof(fa_allocator), 64, FA_SPAN_META, &self, NULL);
    if (status != FA_OK) {
        fai_spans_close(&spans);
        return fai_fail(status, sizeof(fa_allocator));
    }
    fa_allocator *allocator = (fa_allocator *)self.address;
    memset(allocator, 0, sizeof *allocator);
    allocator->self = self;
    allocator->spans = spans;
    allocator->references = 1;
    resolve(allocator, config);
    fill_pools(allocator);
    fai_tags_create(allocator);
    allocator->thread_bytes =
        fai_round_up(sizeof(fai_thread) + fai_pool_thread_bytes(&allocator->pools), 64);
    if (pthread_mutex_init(&allocator->lock, NULL) != 0 || !fai_owned_create(&allocator->owned) ||
        !fai_heap_create(allocator) || !fai_store_create(allocator) ||
        !fai_scratch_pools_create(allocator) || !fai_groups_create(allocator) ||
        !fai_own_arenas_create(allocator) || !fai_shared_arenas_create(allocator) ||
        !fai_tasks_create(allocator)) {
        fai_span_free(&spans, &self);
        fai_spans_close(&spans);
        return fai_fail(FA_ERROR_NO_MEMORY, 0);
    }
    status = fai_reserve_create(allocator);
    if (status != FA_OK) {
        close_parts(allocator);
        return fai_fail(status, config->reserve_bytes);
    }
    fai_registry_add(allocator);
    *result = allocator;
    return FA_OK;
}

/* ---- destroy ---- */

#ifndef FA_MINIMAL
/* Threads that are done with the allocator may be exiting right now. */
static size_t pool_live_count(fa_allocator *allocator) {
    fai_pool_counts counts;
    fai_lock(allocator);
    fai_tag_count_pools(allocator, 0, &counts);
    fai_unlock(allocator);
    return (size_t)(counts.alloc_count - counts.free_count);
}
#endif

typedef struct leak_report {
    fa_allocator *allocator;
    size_t count;
} leak_report;

static void report_leak(void *user, const fa_heap_block *block) {
    leak_report *report = (leak_report *)user;
    if (report->count++ < LEAKS_NAMED_MAX)
        fai_report_at(report->allocator, FA_DIAG_FA605, FA_OK, block->size, 0, block->address,
                      block->site);
}

/* Names what is alive: heap blocks one by one, where there is memory for the list; pool objects,
 * and else the blocks too, as one number. */
static size_t report_leaks(fa_allocator *allocator) {
    size_t pool = 0, heap = allocator->heap.live_count;
#ifndef FA_MINIMAL
    pool = pool_live_count(allocator);
#endif
    leak_report report = {allocator, 0};
    if (heap != 0 && fa_heap_visit(allocator, report_leak, &report) == SIZE_MAX)
        fai_report_at(allocator, FA_DIAG_FA605, FA_OK, 0, heap, NULL, (fa_site){NULL, NULL, 0});
    if (pool != 0)
        fai_report_at(allocator, FA_DIAG_FA605, FA_OK, 0, pool, NULL, (fa_site){NULL, NULL, 0});
    return heap + pool;
}

static void free_threads(fa_allocator *allocator, fai_thread *list) {
    for (fai_thread *thread = list, *next; thread; thread = next) {
        next = thread->next;
        fai_frame_detach(thread);
        fai_pool_free_all(thread);
        fai_tally_free(thread);
        fai_meter_free(thread);
        fai_park_free(thread);
        fai_span span = thread->span;
        fai_span_free(&allocator->spans, &span);
    }
}

/* Frames that are still open have clean-ups to run. Nobody may be using them. */
static void clean_frames(fa_allocator *allocator) {
    for (;;) {
        fai_lock(allocator);
        fai_thread *thread = allocator->threads;
        while (thread != NULL && thread->cleanups == NULL)
            thread = thread->next;
        fai_unlock(allocator);
        if (thread == NULL)
            return;
        fai_cleanup_run(thread, 0);
    }
}

static size_t destroy(fa_allocator *allocator) {
    fai_registry_silence(allocator);
    clean_frames(allocator);
    /* Giving everything back, and naming it, is the one thing that a seal does not forbid. */
    FAI_STORE_RELAXED(&allocator->spans.sealed, false); /* nobody else is there */
    fai_owned_destroy(allocator);
    fai_registry_bury(allocator); /* what frames hold is no leak */
    size_t alive = report_leaks(allocator);
    fai_registry_remove(allocator);
    free_threads(allocator, allocator->threads);
    free_threads(allocator, allocator->idle);
    free_threads(allocator, allocator->trimmed);
    free_threads(allocator, allocator->frozen);
    fai_slab_destroy(allocator);
    fai_tags_destroy(allocator);
    close_parts(allocator);
    return alive;
}

size_t fa_allocator_destroy(fa_allocator *allocator) {
    if (allocator == NULL)
        return 0;
    /* Acquire, here and when the last one releases: what others did who had a reference comes
     * before the end. Who adds one has one: that needs no order. */
    uint32_t alone = 1;
    if (!FAI_CAS_STRONG_ACQUIRE(&allocator->references, &alone, 0)) {
        fai_fail(FA_ERROR_INVALID, 0);
        return SIZE_MAX;
    }
    return destroy(allocator);
}

fa_allocator *fa_allocator_acquire(fa_allocator *allocator) {
    if (allocator != NULL)
        FAI_ADD_RELAXED(&allocator->references, 1);
    return allocator;
}

size_t fa_allocator_release(fa_allocator *allocator) {
    if (allocator == NULL || FAI_SUB_ACQ_REL(&allocator->references, 1) != 1)
        return 0;
    return destroy(allocator);
}

/* ---- the rest ---- */

const fa_alloc_config *fa_allocator_config(const fa_allocator *allocator) {
    return allocator ? &allocator->config : NULL;
}

void fa_backend_seal(fa_allocator *allocator) {
    if (allocator != NULL)
        fai_spans_seal(&allocator->spans);
    else
        fai_fail(FA_ERROR_INVALID, 0);
}

bool fa_backend_is_sealed(const fa_allocator *allocator) {
    return allocator != NULL && FAI_LOAD_SEQ(&allocator->spans.sealed);
}

fa_status fa_backend_describe(const fa_allocator *allocator, size_t index, fa_backend_info *info) {
    if (allocator == NULL || info == NULL || index >= allocator->spans.count)
        return fai_fail(FA_ERROR_INVALID, index);
    const fa_backend *backend = &allocator->spans.chain[index];
    memset(info, 0, sizeof *info);
    backend->vtable->describe(backend->context, info);
    return FA_OK;
}

fa_status fa_backend_bind(fa_allocator *allocator, void *block, size_t size, int node) {
    if (allocator == NULL || block == NULL || size == 0 || node < 0)
        return fai_fail(FA_ERROR_INVALID, size);
    fa_status status = fai_spans_bind(&allocator->spans, block, size, node);
    return status == FA_OK ? FA_OK : fai_fail(status, size);
}

fa_status fa_backend_locate(fa_allocator *allocator, void *block, size_t size, int *nodes,
                            size_t count) {
    if (allocator == NULL || block == NULL || size == 0 || nodes == NULL || count == 0)
        return fai_fail(FA_ERROR_INVALID, size);
    fa_status status = fai_spans_locate(&allocator->spans, block, size, nodes, count);
    return status == FA_OK ? FA_OK : fai_fail(status, size);
}

size_t fai_allocator_reclaim(fa_allocator *allocator) {
    fai_thread *thread = fai_thread_find(allocator);
    size_t bytes = thread != NULL ? fai_park_trim(thread) : 0;
    bytes += fai_park_trim_idle(allocator);
    bytes += fai_store_trim(allocator);
    fai_lock(allocator);
    bytes += fai_slab_trim(allocator);
    fai_unlock(allocator);
    return bytes;
}

size_t fa_allocator_trim(fa_allocator *allocator) {
    if (allocator == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    fai_thread *thread = fai_thread_find(allocator);
    if (thread != NULL)
        fai_scratch_trim(thread);
    size_t bytes = thread != NULL ? fai_pool_trim(thread, false) : 0;
    bytes += fai_owned_trim(allocator);
    return bytes + fai_allocator_reclaim(allocator);
}

/* A hook that validates may have been called between a charge and what it is for; threads that did
 * not survive a fork may have been anywhere. */
static bool accounts_add_up(const fa_allocator *allocator) {
    const fai_ledger *ledgers = allocator->account.ledger;
    size_t sum =
        ledgers[FA_INTENT_FRAME].used + ledgers[FA_INTENT_POOL].used + ledgers[FA_INTENT_HEAP].used;
    return allocator->frozen != NULL ||
           (ledgers[FA_INTENT_NONE].used == sum &&
            ledgers[FA_INTENT_HEAP].used >= allocator->heap.live_bytes);
}

fa_status fa_validate(fa_allocator *allocator, const void **place) {
    if (place != NULL)
        *place = NULL;
    if (allocator == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    const void *wrong = fai_owned_validate(allocator);
    fai_lock(allocator);
    if (wrong == NULL)
        wrong = fai_slab_validate(allocator);
    size_t threads = 0, held = 0;
    for (const fai_thread *thread = allocator->threads; thread; thread = thread->next) {
        threads++;
        const void *here = fai_frame_validate(thread);
        wrong = wrong != NULL ? wrong : here;
        wrong = wrong != NULL ? wrong : fai_scratch_validate(thread);
    }
    for (int kind = 0; kind < FA_SPAN_KIND_COUNT; kind++)
        held += allocator->spans.held_by_kind[kind];
    if (wrong == NULL && (threads != allocator->thread_count || held != allocator->spans.held))
        wrong = allocator;
    fai_unlock(allocator);
    if (wrong == NULL && !accounts_add_up(allocator))
        wrong = &allocator->account;
    if (wrong == NULL)
        wrong = fai_heap_validate(allocator);
    if (wrong == NULL)
        wrong = fai_store_validate(allocator);
    if (wrong == NULL)
        return FA_OK;
    if (place != NULL)
        *place = wrong;
    return fai_report(allocator, FA_DIAG_FA901, FA_ERROR_CORRUPT, 0, 0, wrong);
}

void fa_free(fa_allocator *allocator, void *block) { (fa_pool_free)(allocator, block); }

size_t fa_usable_size(fa_allocator *allocator, const void *block) {
    fai_slot.site = NULL;
    if (allocator == NULL || block == NULL)
        return 0;
    fai_slab *slab = fai_slab_lookup(allocator, block);
    size_t size = fai_capture_usable(allocator, slab, block);
    if (size == 0 && (slab == NULL || !fai_slab_is_captured(allocator, slab)))
        size = slab ? fai_pool_usable(allocator, slab, block) : fai_heap_usable(allocator, block);
    if (size == 0)
        fai_report(allocator, FA_DIAG_FA601, FA_ERROR_FOREIGN, 0, 0, block);
    return size;
}

fa_intent fa_intent_of(fa_allocator *allocator, const void *pointer) {
    if (allocator == NULL || pointer == NULL)
        return FA_INTENT_NONE;
    fai_lock(allocator); /* no segment may go while a pointer that need not be live is looked at */
    bool in_pool = fai_slab_lookup(allocator, pointer) != NULL;
    fai_unlock(allocator);
    if (in_pool)
        return FA_INTENT_POOL;
    const fai_thread *thread = fai_thread_find(allocator);
    if (thread != NULL && (fai_frame_owns(thread, pointer) || fai_park_owns(thread, pointer)))
        return FA_INTENT_FRAME;
    return fai_heap_owns(allocator, pointer) ? FA_INTENT_HEAP : FA_INTENT_NONE;
}
