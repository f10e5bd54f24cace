/* A thread's stack of tags, and the frame memory that goes to each.
 *
 * Frame memory is not counted when it is allocated: at each switch from one tag to another, what
 * the cursor moved since the last switch goes to the tag that was left. While a tag is entered, or
 * was in this frame, head.frame_start is NULL, so that the frame's end comes by here. */
#include "fa/internal/tally.h"

#include "fa/internal/arena.h"
#include "fa/internal/frame.h"
#include "fa/tag.h"

#include <string.h>

_Static_assert(offsetof(fai_thread_slot, head) % FA_CACHE_LINE < 16 &&
                   offsetof(fai_thread_slot, view) % FA_CACHE_LINE < 16 &&
                   offsetof(fai_thread, tallies.top) % FA_CACHE_LINE >= 16 &&
                   offsetof(fai_thread, tallies.alloc_count) % FA_CACHE_LINE >= 16,
               "see fai_tallies");

fai_tally_block fai_tally_none;

/* ---- frame memory ---- */

static void touch(fai_tallies *tallies, fai_tally *tally) {
    tally->is_touched = true;
    tally->touched = tallies->touched;
    tallies->touched = tally;
}

/* Whether a mark was set in the open frame. */
static bool is_marked(const fai_thread *thread) {
    return thread->frame->mark_count != thread->marks.floor;
}

/* Leaves room in the stack for what fits into the log: a turn for this switch, and one for leaving
 * each tag. */
static void set_limit(fai_tallies *tallies) {
    size_t room = tallies->turn_capacity - tallies->turn_count;
    size_t most = room > 2 ? room - 2 : 0;
    tallies->limit = tallies->stack + (most < FA_TAG_DEPTH_MAX ? most : FA_TAG_DEPTH_MAX);
}

/* So many bytes more went to the tag that the thread is in. */
static void give(fai_thread *thread, size_t more, bool frame_ends) {
    fai_tallies *tallies = &thread->tallies;
    fai_tally *tally = fai_tally_now(tallies);
    uint64_t alloc_count = thread->frame->alloc_count;
    if (more == 0 && alloc_count == tallies->alloc_count)
        return;
    if (!tally->is_touched)
        touch(tallies, tally);
    if (!frame_ends && is_marked(thread)) {
        tallies->turn[tallies->turn_count++] = (fai_turn){tally, tallies->used};
        set_limit(tallies);
        fai_frame_disturb(thread);
    }
    FAI_BUMP(&tally->bytes, more);
    FAI_BUMP(&tally->alloc_count, alloc_count - tallies->alloc_count);
    tallies->used += more;
    tallies->alloc_count = alloc_count;
}

/* Where the cursor alone does not say it. */
FA_COLD static void account_slow(fai_thread *thread, bool frame_ends) {
    if (fai_frame_is_open(thread))
        give(thread, fai_arena_used(thread) - thread->tallies.used, frame_ends);
    thread->tallies.alloc_count = thread->frame->alloc_count;
    thread->tallies.cursor = thread->frame->cursor;
    if (!frame_ends && fai_thread_is_metered(thread)) {
        fai_meter_switch(thread);
        thread->tallies.cursor = NULL; /* it must see every switch */
    }
}

/* Nothing was allocated since the last switch. */
static inline bool is_settled(const fai_thread *thread) {
    return thread->frame->cursor == thread->tallies.cursor &&
           thread->frame->alloc_count == thread->tallies.alloc_count;
}

/* What was allocated since the last switch goes to the tag that the thread is in. */
static void account(fai_thread *thread) {
    fai_tallies *tallies = &thread->tallies;
    const fa_frame *frame = thread->frame;
    char *cursor = frame->cursor, *before = tallies->cursor;
    uint64_t alloc_count = frame->alloc_count;
    fai_tally *tally = fai_tally_now(tallies);
    if (FA_UNLIKELY(before == NULL || !tally->is_touched || is_marked(thread))) {
        account_slow(thread, false);
        return;
    }
    size_t more = (size_t)(cursor - before);
    FAI_BUMP(&tally->bytes, more);
    FAI_BUMP(&tally->alloc_count, alloc_count - tallies->alloc_count);
    tallies->used += more;
    tallies->cursor = cursor;
    tallies->alloc_count = alloc_count;
}

void fai_tally_rewound(fai_thread *thread, size_t used) {
    fai_tallies *tallies = &thread->tallies;
    while (used < tallies->used && tallies->turn_count != 0) {
        const fai_turn *turn = &tallies->turn[tallies->turn_count - 1];
        size_t from = used > turn->from ? used : turn->from;
        FAI_BUMP(&turn->tally->bytes, from - tallies->used);
        tallies->used = from;
        tallies->turn_count -= from == turn->from;
        tallies->cursor = NULL;
    }
    set_limit(tallies);
}

/* What a frame gave to a tally is added to all above it. */
static void sum_up(fai_tallies *tallies, fai_tally *tally, fai_tally **summed) {
    for (fai_tally *above = tally; above != &tallies->untagged; above = above->parent) {
        if (!above->is_summed) {
            above->is_summed = true;
            above->summed = *summed;
            *summed = above;
        }
        above->subtree_bytes += tally->bytes;
    }
    FAI_BUMP(&tally->bytes_total, tally->bytes);
    FAI_BUMP(&tally->alloc_count_total, tally->alloc_count);
    FAI_STORE_RELAXED(&tally->bytes, 0);
    FAI_STORE_RELAXED(&tally->alloc_count, 0);
    tally->is_touched = false;
}

void fai_tally_frame_end(fai_thread *thread, size_t used) {
    fai_tallies *tallies = &thread->tallies;
    fai_tally *summed = NULL;
    size_t number = (size_t)thread->frame_count + 1;
    account_slow(thread, true);
    for (fai_tally *tally = tallies->touched; tally; tally = tally->touched)
        sum_up(tallies, tally, &summed);
    for (fai_tally *tally = summed; tally; tally = tally->summed) {
        tally->is_summed = false;
        FAI_STORE_RELAXED(&tally->bytes_last, tally->subtree_bytes);
        FAI_STORE_RELAXED(&tally->last_frame, number);
        if (tally->subtree_bytes > tally->bytes_peak)
            FAI_STORE_RELAXED(&tally->bytes_peak, tally->subtree_bytes);
        tally->subtree_bytes = 0;
    }
    tallies->untagged.bytes_last = used;
    tallies->untagged.last_frame = number;
    tallies->touched = NULL;
    tallies->used = tallies->turn_count = 0;
    tallies->cursor = NULL;
    set_limit(tallies);
}

/* ---- life ---- */

void fai_tally_attach(fai_thread *thread) {
    fai_tallies *tallies = &thread->tallies;
    fai_tally *untagged = &tallies->untagged;
    untagged->pool = &thread->pool;
    untagged->view = &thread->pool.view;
    untagged->parent = untagged;
    untagged->is_touched = true; /* never on the list */
    tallies->stack[0] = untagged;
    tallies->top = tallies->stack;
    if (tallies->turn == NULL) {
        tallies->turn = tallies->own;
        tallies->turn_capacity = FAI_TURNS_OWN;
        for (size_t i = 0; i < FAI_TAG_BLOCKS; i++)
            tallies->block[i] = &fai_tally_none;
    }
    set_limit(tallies);
}

void fai_tally_detach(fai_thread *thread) {
    fai_tallies *tallies = &thread->tallies;
    for (size_t i = 0; i < FAI_TAG_BLOCKS; i++) {
        fai_tally_block *block = tallies->block[i];
        for (size_t n = 0; block != &fai_tally_none && n < FAI_TAG_BLOCK; n++) {
            fai_tally *tally = &block->tally[n];
            if (tally->view == NULL)
                continue;
            fai_tag *tag = fai_tag_at(thread->allocator, tally->tag);
            tag->frame_bytes += tally->bytes_total;
            tag->frame_alloc_count += tally->alloc_count_total;
            if (tally->bytes_peak > tag->frame_bytes_peak)
                tag->frame_bytes_peak = tally->bytes_peak;
            tally->bytes = tally->bytes_peak = tally->last_frame = 0;
            tally->alloc_count = tally->bytes_total = tally->alloc_count_total = 0;
            tally->is_touched = false;
            tally->view = &fai_pool_closed;
        }
    }
    tallies->untagged.last_frame = 0;
    tallies->top = tallies->stack;
    tallies->used = tallies->turn_count = 0;
    tallies->touched = NULL;
    tallies->cursor = NULL;
}

void fai_tally_free(fai_thread *thread) {
    fai_tallies *tallies = &thread->tallies;
    for (size_t i = 0; i < FAI_TAG_BLOCKS; i++)
        if (tallies->block[i] != NULL && tallies->block[i] != &fai_tally_none) {
            fai_span span = tallies->block[i]->span;
            fai_span_free(&thread->allocator->spans, &span);
        }
    if (tallies->turn_span.address != NULL)
        fai_span_free(&thread->allocator->spans, &tallies->turn_span);
}

/* The tally of a tag that exists, made when there is none yet. NULL with the reason reported. */
static fai_tally *make(fai_thread *thread, fa_tag tag) {
    fai_tallies *tallies = &thread->tallies;
    if (tag == 0)
        return &tallies->untagged;
    fa_allocator *allocator = thread->allocator;
    fai_tally_block *block = tallies->block[tag / FAI_TAG_BLOCK];
    if (block == &fai_tally_none) {
        fai_span span;
        if (fai_allocator_span(allocator, sizeof *block, 64, FA_SPAN_META, &span) != FA_OK)
            return NULL;
        block = tallies->block[tag / FAI_TAG_BLOCK];
        if (block != &fai_tally_none) { /* an event hook entered a tag meanwhile */
            fai_span_free(&allocator->spans, &span);
        } else {
            block = (fai_tally_block *)span.address;
            memset(block, 0, sizeof *block);
            block->span = span;
            FAI_STORE_RELEASE(&tallies->block[tag / FAI_TAG_BLOCK], block);
        }
    }
    fai_tally *tally = &block->tally[tag % FAI_TAG_BLOCK];
    if (tally->view != NULL)
        return tally;
    fai_tally *parent = make(thread, fai_tag_at(allocator, tag)->parent);
    if (parent == NULL || tally->view != NULL) /* an event hook entered this tag meanwhile */
        return parent != NULL ? tally : NULL;
    tally->tag = tag;
    tally->parent = parent;
    FAI_STORE_RELEASE(&tally->view, &fai_pool_closed);
    thread->meter.tag_count++;
    return tally;
}

/* Makes room in the log. False with the reason reported. */
static bool make_turns(fai_thread *thread) {
    fai_tallies *tallies = &thread->tallies;
    while (tallies->turn_count + fai_tally_depth(tallies) + 2 >= tallies->turn_capacity) {
        size_t bytes = tallies->turn_capacity * 2 * sizeof(fai_turn);
        fai_span span;
        if (fai_allocator_span(thread->allocator, bytes, 64, FA_SPAN_META, &span) != FA_OK)
            return false;
        if (bytes / sizeof(fai_turn) <= tallies->turn_capacity) {
            fai_span_free(&thread->allocator->spans, &span); /* an event hook was at work */
            continue;
        }
        memcpy(span.address, tallies->turn, tallies->turn_count * sizeof(fai_turn));
        if (tallies->turn_span.address != NULL)
            fai_span_free(&thread->allocator->spans, &tallies->turn_span);
        tallies->turn_span = span;
        tallies->turn = (fai_turn *)span.address;
        tallies->turn_capacity = bytes / sizeof(fai_turn);
    }
    set_limit(tallies);
    return true;
}

/* ---- enter and leave ---- */

/* The switches themselves, and what comes before them where something was allocated. Not inline, so
 * that the way without has nothing to save. */
static inline fa_status push(fai_thread *thread, fai_tally *tally) {
    *++thread->tallies.top = tally;
    fai_frame_look_closer(thread);
    fai_slot.view = tally->view;
    return FA_OK;
}

__attribute__((noinline)) static fa_status account_and_push(fai_thread *thread, fai_tally *tally) {
    account(thread);
    return push(thread, tally);
}

static inline fa_status pop(fai_thread *thread) {
    fai_slot.view = (*--thread->tallies.top)->view;
    return FA_OK;
}

__attribute__((noinline)) static fa_status account_and_pop(fai_thread *thread) {
    account(thread);
    return pop(thread);
}

FA_COLD static fa_status enter_slow(fa_allocator *allocator, fa_tag tag) {
    if (allocator == NULL || tag >= fa_tag_count(allocator))
        return fai_fail(FA_ERROR_INVALID, tag);
    fai_thread *thread = fai_thread_get(allocator);
    if (thread == NULL)
        return fa_last_error().status;
    if (fai_tally_depth(&thread->tallies) == FA_TAG_DEPTH_MAX)
        return fai_report(allocator, FA_DIAG_FA402, FA_ERROR_LIMIT, FA_TAG_DEPTH_MAX + 1,
                          FA_TAG_DEPTH_MAX, NULL);
    fai_tally *tally = make(thread, tag);
    if (tally == NULL || !make_turns(thread) || !fai_meter_expect_tags(thread))
        return fa_last_error().status;
    (void)fai_thread_get(allocator); /* a hook may have used another allocator */
    return account_and_push(thread, tally);
}

fa_status fa_tag_enter(fa_allocator *allocator, fa_tag tag) {
    if (FA_LIKELY(FAI_LOAD_RELAXED(&fai_slot.owner) == allocator && tag < FA_TAG_COUNT_MAX)) {
        fai_thread *thread = (fai_thread *)fai_slot.head;
        fai_tallies *tallies = &thread->tallies;
        fai_tally *tally = &tallies->block[tag / FAI_TAG_BLOCK]->tally[tag % FAI_TAG_BLOCK];
        if (FA_LIKELY(tally->view != NULL && tallies->top < tallies->limit))
            return is_settled(thread) ? push(thread, tally) : account_and_push(thread, tally);
    }
    return enter_slow(allocator, tag);
}

FA_COLD static fa_status leave_slow(fa_allocator *allocator) {
    if (allocator == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_thread *thread = fai_thread_find(allocator);
    if (thread == NULL || thread->tallies.top == thread->tallies.stack)
        return fai_report(allocator, FA_DIAG_FA401, FA_ERROR_INVALID, 0, 0, NULL);
    return fa_tag_leave(allocator);
}

fa_status fa_tag_leave(fa_allocator *allocator) {
    if (FA_LIKELY(FAI_LOAD_RELAXED(&fai_slot.owner) == allocator)) {
        fai_thread *thread = (fai_thread *)fai_slot.head;
        fai_tallies *tallies = &thread->tallies;
        if (FA_LIKELY(tallies->top != tallies->stack))
            return is_settled(thread) ? pop(thread) : account_and_pop(thread);
    }
    return leave_slow(allocator);
}

fa_tag fa_tag_current(fa_allocator *allocator) {
    return allocator ? fai_tag_now(allocator) : FA_TAG_ROOT;
}
