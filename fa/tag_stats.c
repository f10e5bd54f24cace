/* What the tags hold: numbers, visits, the table. */
#include "fa/internal/arena.h"
#include "fa/internal/writer.h"
#include "fa/stats.h"
#include "fa/tag.h"

#include <inttypes.h>
#include <string.h>

/* ---- adding up ---- */

uint64_t fai_tag_count_pools(fa_allocator *allocator, uint32_t tag, fai_pool_counts *counts) {
    uint64_t remote_count = 0, remote_bytes = 0;
    memset(counts, 0, sizeof *counts);
    for (uint32_t i = tag; i < allocator->tags.count; i++) {
        if (!fai_tag_is_below(allocator, i, tag))
            continue;
        const fai_tag *here = fai_tag_at(allocator, i);
        counts->alloc_count += here->retired.alloc_count;
        counts->free_count += here->retired.free_count;
        counts->live_bytes += here->retired.live_bytes;
        remote_count += FAI_LOAD_RELAXED(&here->remote_count);
        remote_bytes += FAI_LOAD_RELAXED(&here->remote_bytes);
    }
    const fai_thread *lists[] = {allocator->threads, allocator->frozen};
    for (size_t i = 0; i < 2; i++)
        for (const fai_thread *thread = lists[i]; thread; thread = thread->next) {
            const fai_gathered *gathered = &thread->gathered;
            size_t count = FAI_LOAD_RELAXED(&gathered->count);
            if (count != 0 && fai_tag_is_below(allocator, FAI_LOAD_RELAXED(&gathered->tag), tag)) {
                remote_count += count;
                remote_bytes += FAI_LOAD_RELAXED(&gathered->bytes);
            }
            for (const fai_pool *pool = &thread->pool; pool; pool = pool->next)
                if (fai_tag_is_below(allocator, pool->tag, tag))
                    fai_pool_count(pool, &allocator->pools, counts);
        }
#ifndef FA_MINIMAL
    counts->free_count += remote_count;
    counts->live_bytes -= remote_bytes;
#else
    (void)remote_bytes;
#endif
    return remote_count;
}

static const fai_tally *tally_at(const fai_thread *thread, uint32_t tag) {
    const fai_tally_block *block = FAI_LOAD_ACQUIRE(&thread->tallies.block[tag / FAI_TAG_BLOCK]);
    const fai_tally *tally = &block->tally[tag % FAI_TAG_BLOCK];
    return FAI_LOAD_ACQUIRE(&tally->view) != NULL ? tally : NULL;
}

static void add_frames_ended(const fai_thread *thread, fa_tag_stats *stats) {
    fa_allocator *allocator = thread->allocator;
    for (uint32_t i = stats->tag; i < allocator->tags.count; i++) {
        const fai_tally *tally = tally_at(thread, i);
        if (tally == NULL || !fai_tag_is_below(allocator, i, stats->tag))
            continue;
        stats->frame_bytes_total += FAI_LOAD_RELAXED(&tally->bytes_total);
        stats->frame_alloc_count += FAI_LOAD_RELAXED(&tally->alloc_count_total);
        size_t peak = FAI_LOAD_RELAXED(&tally->bytes_peak);
        if (i == stats->tag && peak > stats->frame_bytes_peak)
            stats->frame_bytes_peak = peak;
    }
}

/* Of a tag that is not the root. Under the lock. */
static void add_frames(fa_allocator *allocator, fa_tag_stats *stats) {
    stats->frame_bytes_peak = fai_tag_at(allocator, stats->tag)->frame_bytes_peak;
    for (uint32_t i = stats->tag; i < allocator->tags.count; i++) {
        if (!fai_tag_is_below(allocator, i, stats->tag))
            continue;
        stats->frame_bytes_total += fai_tag_at(allocator, i)->frame_bytes;
        stats->frame_alloc_count += fai_tag_at(allocator, i)->frame_alloc_count;
    }
    const fai_thread *lists[] = {allocator->threads, allocator->frozen};
    for (size_t i = 0; i < 2; i++)
        for (const fai_thread *thread = lists[i]; thread; thread = thread->next)
            add_frames_ended(thread, stats);
}

/* What only the calling thread knows: its open frame and the last one. */
static void add_own_frame(const fai_thread *thread, fa_tag_stats *stats) {
    const fai_tallies *tallies = &thread->tallies;
    fa_allocator *allocator = thread->allocator;
    bool is_open = fai_frame_is_open(thread);
    size_t used = is_open ? fai_arena_used(thread) : 0;
    const fai_tally *last = stats->tag ? tally_at(thread, stats->tag) : &tallies->untagged;
    bool any = thread->frame_count != 0;
    if (any && last != NULL && last->last_frame == thread->frame_count)
        stats->frame_bytes_last = last->bytes_last;
    if (stats->tag == FA_TAG_ROOT) {
        stats->frame_bytes = used;
        return;
    }
    for (const fai_tally *tally = tallies->touched; tally; tally = tally->touched)
        if (fai_tag_is_below(allocator, tally->tag, stats->tag))
            stats->frame_bytes += tally->bytes;
    if (is_open && fai_tag_is_below(allocator, fai_tally_now(tallies)->tag, stats->tag))
        stats->frame_bytes += used - tallies->used;
}

static void add_pools(fa_allocator *allocator, fa_tag_stats *stats) {
    fai_pool_counts counts;
    fai_tag_count_pools(allocator, stats->tag, &counts);
    stats->pool_alloc_count = counts.alloc_count;
    stats->pool_free_count = counts.free_count;
#ifndef FA_MINIMAL
    stats->pool_live_count = counts.alloc_count - counts.free_count;
    stats->pool_live_bytes = (size_t)counts.live_bytes;
#endif
}

static void add_accounts(fa_allocator *allocator, fa_tag_stats *stats) {
    const fai_account *account = fai_tag_account(allocator, stats->tag);
    stats->pool_bytes_ready = fai_account_used(account, FA_INTENT_POOL);
    stats->pool_bytes_peak = fai_account_peak(account, FA_INTENT_POOL);
    stats->heap_live_bytes = fai_account_used(account, FA_INTENT_HEAP);
    stats->heap_bytes_peak = fai_account_peak(account, FA_INTENT_HEAP);
    uint32_t count = FAI_LOAD_ACQUIRE(&allocator->tags.count);
    pthread_mutex_lock(&allocator->heap.lock);
    for (uint32_t i = stats->tag; i < count; i++) {
        if (!fai_tag_is_below(allocator, i, stats->tag))
            continue;
        stats->heap_alloc_count += fai_tag_at(allocator, i)->heap_alloc_count;
        stats->heap_free_count += fai_tag_at(allocator, i)->heap_free_count;
    }
    pthread_mutex_unlock(&allocator->heap.lock);
    stats->heap_live_count = stats->heap_alloc_count - stats->heap_free_count;
}

static void gather(fa_allocator *allocator, fa_tag tag, fa_tag_stats *stats) {
    memset(stats, 0, sizeof *stats);
    stats->tag = tag;
    const fai_thread *thread = fai_thread_find(allocator);
    fa_stats all;
    if (tag == FA_TAG_ROOT) {
        (void)fa_stats_get(allocator, &all);
        stats->frame_bytes_peak = all.frame_bytes_peak;
        stats->frame_bytes_total = all.frame_bytes;
        stats->frame_alloc_count = all.frame_alloc_count;
    }
    fai_lock(allocator);
    if (tag != FA_TAG_ROOT)
        add_frames(allocator, stats);
    add_pools(allocator, stats);
    fai_unlock(allocator);
    if (thread != NULL)
        add_own_frame(thread, stats);
    add_accounts(allocator, stats);
    if (tag == FA_TAG_ROOT) /* charges stand in the account a little longer */
        stats->heap_bytes_peak = all.heap_bytes_peak;
}

fa_status fa_tag_stats_get(fa_allocator *allocator, fa_tag tag, fa_tag_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (stats == NULL || allocator == NULL || tag >= fa_tag_count(allocator))
        return fai_fail(FA_ERROR_INVALID, 0);
    gather(allocator, tag, stats);
    return FA_OK;
}

fa_status fa_tag_stats_find(fa_allocator *allocator, const char *path, fa_tag_stats *stats) {
    bool root = path != NULL && *path == 0;
    return fa_tag_stats_get(allocator, root ? FA_TAG_ROOT : fa_tag_find(allocator, path), stats);
}

/* ---- visits ---- */

/* The tag that comes after one in the order of visits; FA_TAG_NONE at the end. Siblings are linked
 * newest first: the one that was made after a tag is the one that links to it. */
static fa_tag oldest_child(fa_allocator *allocator, fa_tag tag) {
    fa_tag child = FAI_LOAD_ACQUIRE(&fai_tag_at(allocator, tag)->child);
    while (child != 0 && fai_tag_at(allocator, child)->sibling != 0)
        child = fai_tag_at(allocator, child)->sibling;
    return child != 0 ? child : FA_TAG_NONE;
}

static fa_tag next_tag(fa_allocator *allocator, fa_tag tag) {
    fa_tag child = oldest_child(allocator, tag);
    if (child != FA_TAG_NONE)
        return child;
    for (; tag != FA_TAG_ROOT; tag = fai_tag_at(allocator, tag)->parent) {
        fa_tag at =
            FAI_LOAD_ACQUIRE(&fai_tag_at(allocator, fai_tag_at(allocator, tag)->parent)->child);
        while (at != tag && fai_tag_at(allocator, at)->sibling != tag)
            at = fai_tag_at(allocator, at)->sibling;
        if (at != tag)
            return at;
    }
    return FA_TAG_NONE;
}

size_t fa_tag_visit(fa_allocator *allocator, void (*visit)(void *user, const fa_tag_stats *stats),
                    void *user) {
    if (allocator == NULL || visit == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    size_t count = 0;
    for (fa_tag tag = FA_TAG_ROOT; tag != FA_TAG_NONE; tag = next_tag(allocator, tag)) {
        fa_tag_stats stats;
        gather(allocator, tag, &stats);
        visit(user, &stats);
        count++;
    }
    return count;
}

/* ---- text ---- */

typedef struct table {
    fai_writer out;
    fa_allocator *allocator;
    int path_width;
} table;

static bool was_used(const fa_tag_stats *stats) {
    return stats->tag == FA_TAG_ROOT || stats->frame_bytes != 0 || stats->frame_bytes_total != 0 ||
           stats->pool_bytes_peak != 0 || stats->heap_alloc_count != 0;
}

static const char *name_of(fa_allocator *allocator, fa_tag tag, char *path) {
    fa_tag_path(allocator, tag, path, FA_TAG_PATH_BYTES);
    return tag == FA_TAG_ROOT ? "(all)" : path;
}

static void measure(void *user, const fa_tag_stats *stats) {
    table *tags = (table *)user;
    char path[FA_TAG_PATH_BYTES];
    int width = (int)strlen(name_of(tags->allocator, stats->tag, path));
    if (was_used(stats) && width > tags->path_width)
        tags->path_width = width;
}

static void put_line(void *user, const fa_tag_stats *stats) {
    table *tags = (table *)user;
    char path[FA_TAG_PATH_BYTES];
    if (!was_used(stats))
        return;
    fai_put(&tags->out,
            "%-*s %12zu %12zu %14" PRIu64 " %12" PRIu64 " %12zu %12" PRIu64
            " %12zu %12zu %12" PRIu64 " %12zu\n",
            tags->path_width, name_of(tags->allocator, stats->tag, path), stats->frame_bytes,
            stats->frame_bytes_peak, stats->frame_bytes_total, stats->frame_alloc_count,
            stats->pool_live_bytes, stats->pool_live_count, stats->pool_bytes_peak,
            stats->heap_live_bytes, stats->heap_live_count, stats->heap_bytes_peak);
}

size_t fa_tag_format(fa_allocator *allocator, char *text, size_t text_bytes) {
    table tags = {fai_writer_begin(text, text_bytes), allocator, (int)strlen("(all)")};
    if (allocator == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    fa_tag_visit(allocator, measure, &tags);
    fai_put(&tags.out, "%-*s %12s %12s %14s %12s %12s %12s %12s %12s %12s %12s\n", tags.path_width,
            "tag", "frame now", "frame peak", "frame total", "frame allocs", "pool now",
            "pool count", "pool peak", "heap now", "heap count", "heap peak");
    fa_tag_visit(allocator, put_line, &tags);
    return tags.out.length;
}
