/* How a thread's arenas learn what its frames need, and give back what they do not. */
#include "fa/internal/arena.h"

#define PAGE_BYTES ((size_t)4096)
#define LAZY_BYTES_MIN ((size_t)16 << 20) /* of addresses, not of memory */

/* Size of the one chunk that a frame of so many bytes gets; 0 when the cap forbids it. */
static size_t plan_for(const fai_thread *thread, size_t bytes) {
    const fa_alloc_config *config = &thread->allocator->config;
    size_t share = config->frame_bytes_max / config->frames_in_flight;
    bytes = fai_round_up(bytes + FAI_CHUNK_HEADER, PAGE_BYTES);
    if (bytes < config->frame_chunk_bytes_first)
        bytes = config->frame_chunk_bytes_first;
    return config->frame_bytes_max != 0 && bytes > share ? 0 : bytes;
}

static bool is_lazy(const fai_thread *thread) {
    return thread->allocator->spans.info[0].commits_lazily;
}

/* Addresses to reserve for frames of that many bytes where untouched pages cost nothing: much, for
 * every page of a later, larger chunk must be faulted in again; 0 where addresses are counted, and
 * where there may be many arenas. */
static size_t generous_plan(const fai_thread *thread, size_t used) {
    const fa_alloc_config *config = &thread->allocator->config;
    if (!is_lazy(thread) || config->bytes_max != 0 || thread->parking != NULL)
        return 0;
    size_t plan = plan_for(thread, used * 4 > LAZY_BYTES_MIN ? used * 4 : LAZY_BYTES_MIN);
    /* The cap is on addresses: leave half of it to frames that need more. */
    size_t share = config->frame_bytes_max / config->frames_in_flight;
    return config->frame_bytes_max != 0 && plan > share / 2 ? 0 : plan;
}

void fai_arena_outgrown(fai_thread *thread, fai_arena *arena, size_t used) {
    const fai_chunk *first = arena->first;
    size_t plan = generous_plan(thread, used);
    arena->bytes_plan = plan != 0 ? plan : plan_for(thread, used + used / 4);
    arena->window_peak = 0;
    arena->touched = used > arena->touched ? used : arena->touched;
    /* A request that was refused leaves nothing to rebuild. */
    arena->stale = first == NULL || first->next != NULL || first->is_spill;
}

void fai_arena_trim(fai_thread *thread, fai_arena *arena) {
    size_t peak = arena->window_peak, held = 0;
    arena->window_peak = 0;
    if (peak > arena->touched)
        arena->touched = peak;
    for (const fai_chunk *chunk = arena->first; chunk; chunk = chunk->next)
        held += chunk->span.size;
    const fai_chunk *first = arena->first;
    size_t least = thread->allocator->config.frame_chunk_bytes_first;
    if (arena->stale || held <= least)
        return;
    if (!is_lazy(thread) || first->next != NULL) {
        size_t plan = plan_for(thread, peak * 2);
        if (peak <= held / 4 && plan != 0 && plan < held) {
            arena->bytes_plan = plan;
            arena->stale = true;
        }
    } else if (peak <= arena->touched / 4 && arena->touched > least) {
        /* The addresses stay, the pages behind them go. */
        size_t kept = fai_round_up(peak * 2 + FAI_CHUNK_HEADER, PAGE_BYTES);
        if (kept < first->span.size)
            fai_span_purge(&thread->allocator->spans, &first->span,
                           (char *)first->span.address + kept, first->span.size - kept);
        arena->touched = peak * 2;
    }
}

void fai_arena_release(fai_thread *thread, fai_arena *arena) {
    /* Off the list first: a fork at this moment must not leave the child a list of what is gone. */
    fai_chunk *chunk = arena->first, *kept = NULL;
    arena->first = arena->current = NULL;
    for (fai_chunk *next; chunk; chunk = next) {
        next = chunk->next;
        if (!fai_chunk_free(thread, chunk)) {
            /* Sealed: a spill becomes an ordinary chunk, there will be no other memory. */
            if (chunk->is_spill)
                FAI_BUMP(&thread->chunk_bytes, chunk->span.size);
            chunk->is_spill = false;
            chunk->next = kept;
            kept = chunk;
        }
    }
    arena->first = kept;
    arena->bytes_before = 0;
}

/* Frees the spills only. */
static void release_spills(fai_thread *thread, fai_arena *arena) {
    for (fai_chunk **link = &arena->first; *link;) {
        fai_chunk *chunk = *link, *next = chunk->next;
        if (chunk->is_spill) {
            *link = next;
            if (fai_chunk_free(thread, chunk))
                continue;
            *link = chunk;
        }
        link = &chunk->next;
    }
}

void fai_arena_rebuild(fai_thread *thread, fai_arena *arena) {
    arena->stale = false;
    if (arena->bytes_plan == 0 || FAI_LOAD_RELAXED(&thread->allocator->spans.sealed)) {
        release_spills(thread, arena);
        return;
    }
    fai_arena_release(thread, arena);
    fai_chunk *chunk;
    size_t room = fai_chunk_room(thread);
    size_t bytes = arena->bytes_plan < room ? arena->bytes_plan : room & ~(PAGE_BYTES - 1);
    arena->bytes_plan = 0;
    /* Without memory for it the next frame starts small again and says why when it fails. */
    if (arena->first == NULL && bytes > FAI_CHUNK_HEADER &&
        fai_chunk_make(thread, FA_ALIGN_MIN, bytes, FAI_CHUNK_ANY, &chunk) == FA_OK)
        arena->first = chunk;
}
