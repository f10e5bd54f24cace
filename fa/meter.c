/* Charging frame memory, and what happens to frame blocks that a budget sends to the pool. */
#include "fa/internal/meter.h"

#include "fa/internal/arena.h"
#include "fa/internal/frame.h"
#include "fa/internal/slab.h"

#include <string.h>

#define GRANT_BYTES_MAX ((size_t)16 << 10)
#define GRANT_SHARE 16 /* at most this part of what is left */
/* Places kept for stretches that end while nothing may fail: see fai_meter_release. */
#define STRETCHES_SPARE 4

/* ---- charging ---- */

static fai_payer payer_of(fai_thread *thread, fai_account *account) {
    return (fai_payer){account, &thread->budget.account};
}

static void discharge(fai_thread *thread, fai_account *account, size_t bytes) {
    fai_account_discharge(payer_of(thread, account), FA_INTENT_FRAME, bytes);
}

/* What was charged for memory that could not be had. */
static void take_back(fai_thread *thread, fai_account *account, size_t bytes) {
    fai_account_take_back(payer_of(thread, account), FA_INTENT_FRAME, bytes);
}

/* Asks nobody. */
static bool charge_quiet(fai_thread *thread, fai_account *account, size_t bytes) {
    return fai_account_charge_quiet(thread->allocator, payer_of(thread, account), FA_INTENT_FRAME,
                                    bytes);
}

void fai_meter_note(fai_thread *thread, fai_account *account) {
    if (account == NULL)
        return;
    fai_hold hold = fai_frame_hold(thread);
    fai_account_note(thread->allocator, payer_of(thread, account), FA_INTENT_FRAME);
    fai_frame_unhold(thread, hold);
}

/* How much to charge where bytes are needed: more, so that the next ones need not ask. */
static size_t grant_for(fai_thread *thread, fai_account *account, size_t bytes) {
    size_t calm = fai_account_calm(payer_of(thread, account), FA_INTENT_FRAME);
    size_t share = calm / GRANT_SHARE & ~(FA_ALIGN_MIN - 1);
    if (share > GRANT_BYTES_MAX)
        share = GRANT_BYTES_MAX;
    return bytes > share ? bytes : share;
}

/* ---- stretches ---- */

static void refresh_limit(fai_thread *thread) {
    fa_frame *frame = thread->frame;
    const fai_chunk *chunk = thread->arena->current;
    char *end = chunk != NULL ? chunk->end : frame->cursor;
    bool closed = thread->allocator->watched || thread->frame_traced;
    FAI_STORE_RELAXED(&frame->limit,
                      closed ? frame->cursor : fai_meter_limit(thread, frame->cursor, end));
}

/* The newest stretch of the account that the meter is at, or NULL. */
static fai_stretch *find_same(const fai_meter *meter) {
    for (size_t i = meter->count; i-- > 0;)
        if (meter->stretch[i].account == meter->account)
            return &meter->stretch[i];
    return NULL;
}

/* Makes so many places. False with the reason reported. */
static bool grow(fai_thread *thread, size_t places) {
    fai_meter *meter = &thread->meter;
    if (meter->capacity == 0) {
        meter->stretch = meter->own;
        meter->capacity = FAI_STRETCHES_OWN;
    }
    while (places > meter->capacity) {
        fai_span span;
        size_t capacity = meter->capacity, bytes = capacity * 2 * sizeof *meter->stretch;
        if (fai_allocator_span(thread->allocator, bytes, 64, FA_SPAN_META, &span) != FA_OK)
            return false;
        if (meter->capacity != capacity) { /* a hook was at work */
            fai_span_free(&thread->allocator->spans, &span);
            continue;
        }
        memcpy(span.address, meter->stretch, meter->count * sizeof *meter->stretch);
        if (meter->span.address != NULL)
            fai_span_free(&thread->allocator->spans, &meter->span);
        meter->span = span;
        meter->stretch = (fai_stretch *)span.address;
        meter->capacity = bytes / sizeof *meter->stretch;
    }
    return true;
}

/* Makes room for one more stretch and the spare ones. False with the reason reported. */
static bool make_room(fai_thread *thread) {
    const fai_meter *meter = &thread->meter;
    bool has_place = meter->account == NULL || find_same(meter) != NULL; /* see close_stretch */
    if (has_place && FAI_LOAD_RELAXED(&thread->allocator->spans.sealed) && meter->capacity != 0)
        return true;
    return grow(thread, meter->count + 1 + STRETCHES_SPARE);
}

bool fai_meter_expect_tags(fai_thread *thread) {
    if (!fai_thread_is_metered(thread) || FAI_LOAD_RELAXED(&thread->allocator->spans.sealed))
        return true;
    return grow(thread, thread->meter.tag_count + 1 + STRETCHES_SPARE);
}

/* Whether a rewind could come back into what the frame holds now. */
static bool is_marked(const fai_thread *thread) {
    return thread->frame->mark_count != thread->marks.floor;
}

/* The stretch under way is over; there is room for it. */
static void close_stretch(fai_thread *thread) {
    fai_meter *meter = &thread->meter;
    size_t bytes = meter->paid - meter->from;
    if (meter->account == NULL || bytes == 0)
        return;
    /* Without a mark nothing of it comes back before the end: one place for each account. With one
     * and without room the bytes come back late: at the end of the frame at the latest. */
    bool crowded = meter->count + STRETCHES_SPARE >= meter->capacity;
    fai_stretch *same = crowded || !is_marked(thread) ? find_same(meter) : NULL;
    if (same != NULL) {
        same->bytes += bytes;
        return;
    }
    FA_ASSERT(meter->count < meter->capacity);
    meter->stretch[meter->count++] = (fai_stretch){meter->account, meter->from, bytes};
}

static void open_stretch(fai_thread *thread, fai_account *account, size_t from) {
    fai_meter *meter = &thread->meter;
    meter->account = account;
    meter->from = meter->paid = from;
    if (account == NULL)
        return;
    fai_frame_look_closer(thread); /* the end of this frame has to give it back */
    fai_frame_disturb(thread);
    thread->tallies.cursor = NULL; /* every switch to another tag is to be seen */
}

/* Whom the frame memory of the thread is to be charged to now, or NULL. */
static fai_account *account_now(fai_thread *thread) {
    fa_allocator *allocator = thread->allocator;
    if (FAI_LOAD_RELAXED(&allocator->budgets.meters) == 0)
        return NULL;
    fai_account *account = fai_tag_account(allocator, fai_tally_now(&thread->tallies)->tag);
    return fai_account_meters(&thread->budget.account) || fai_account_meters(account) ? account
                                                                                      : NULL;
}

/* Goes on with another account; there is room for it. */
static void turn_to(fai_thread *thread, fai_account *account) {
    fai_meter_give_back(thread);
    close_stretch(thread);
    open_stretch(thread, account, fai_arena_used(thread));
    refresh_limit(thread);
}

/* Brings the meter to where the thread is. False with the reason reported. */
static bool follow(fai_thread *thread) {
    if (account_now(thread) == thread->meter.account)
        return true;
    if (!make_room(thread))
        return false;
    turn_to(thread, account_now(thread));
    return true;
}

/* Adds what was charged to an account while hooks and callbacks may have used the frame in other
 * tags: to go by where the thread is instead would mean asking, and calling them, once more. Takes
 * the charge back and returns false where there is no room for it. */
static bool book(fai_thread *thread, fai_account *account, size_t bytes) {
    fai_meter *meter = &thread->meter;
    if (meter->account != account && !make_room(thread)) {
        take_back(thread, account, bytes);
        return false;
    }
    if (meter->account != account)
        turn_to(thread, account);
    meter->paid += bytes;
    refresh_limit(thread);
    return true;
}

/* ---- promoted blocks ---- */

/* Makes room for one more in the open frame's list. False with the reason reported. */
static bool make_place(fai_thread *thread) {
    fai_promotions *list = &thread->arena->promoted;
    while (list->count == list->capacity) {
        fai_span span;
        size_t capacity = list->capacity, bytes = (capacity + 16) * 2 * sizeof *list->entry;
        if (fai_allocator_span(thread->allocator, bytes, 64, FA_SPAN_META, &span) != FA_OK)
            return false;
        if (list->capacity != capacity) { /* a hook was at work */
            fai_span_free(&thread->allocator->spans, &span);
            continue;
        }
        if (list->count != 0)
            memcpy(span.address, list->entry, list->count * sizeof *list->entry);
        if (list->span.address != NULL)
            fai_span_free(&thread->allocator->spans, &list->span);
        list->span = span;
        list->entry = (fai_promoted *)span.address;
        list->capacity = span.size / sizeof *list->entry;
    }
    return true;
}

void *fai_meter_promote(fai_thread *thread, size_t size, size_t align) {
    thread->meter.promote = false;
    char *block = (char *)fai_pool_alloc_unsized(thread->allocator, size, align);
    if (block == NULL)
        return NULL;
    if (!make_place(thread)) {
        fai_pool_free_by(thread->allocator, thread, block);
        return NULL;
    }
    fai_promotions *list = &thread->arena->promoted;
    list->entry[list->count++] = (fai_promoted){block, size, thread->frame->mark_count};
    fai_frame_look_closer(thread);
    fai_frame_disturb(thread);
    return block;
}

fai_promoted *fai_meter_find(const fai_thread *thread, const void *block) {
    const fai_promotions *list = &thread->arena->promoted;
    for (size_t i = fai_frame_is_open(thread) ? list->count : 0; i-- > 0;)
        if (list->entry[i].block == block)
            return &list->entry[i];
    return NULL;
}

/* Frees the promoted blocks of an arena from the newest on, as far as they came after a mark. by:
 * the thread, or NULL where somebody else does it, or it is about to detach. */
static void free_promoted(fa_allocator *allocator, fai_thread *by, fai_arena *arena,
                          uint64_t serial) {
    fai_promotions *list = &arena->promoted;
    if (list->count == 0)
        return;
    fai_hold hold = {0};
    if (by != NULL) /* a program that freed one itself hears of it */
        hold = fai_frame_hold(by);
    while (list->count != 0 && list->entry[list->count - 1].serial >= serial)
        fai_pool_free_by(allocator, by, list->entry[--list->count].block);
    if (by != NULL)
        fai_frame_unhold(by, hold);
}

void fai_meter_bury(fai_thread *thread, fai_arena *arena) {
    free_promoted(thread->allocator, thread, arena, 0);
}

void fai_meter_bury_since(fai_thread *thread, uint64_t serial) {
    free_promoted(thread->allocator, thread, thread->arena, serial);
}

void fai_meter_bury_afar(fai_thread *thread, fai_arena *arena) {
    free_promoted(thread->allocator, NULL, arena, 0);
}

void fai_meter_bury_all(fai_thread *thread) {
    for (size_t i = 0; i < FA_FRAMES_IN_FLIGHT_MAX; i++)
        free_promoted(thread->allocator, NULL, &thread->arenas[i], 0);
}

/* ---- the open frame ---- */

void fai_meter_begin(fai_thread *thread) {
    FA_ASSERT(thread->meter.count == 0 && thread->meter.account == NULL);
    open_stretch(thread, account_now(thread), 0);
}

size_t fai_meter_left(const fai_thread *thread) {
    const fai_meter *meter = &thread->meter;
    size_t used = fai_arena_used(thread);
    if (meter->account == NULL)
        return SIZE_MAX;
    return meter->paid > used ? meter->paid - used : 0;
}

bool fai_meter_may_exceed(fai_thread *thread) {
    fai_account *account = thread->meter.account;
    return account != NULL && fai_account_may_exceed(payer_of(thread, account), FA_INTENT_FRAME);
}

fai_charge fai_meter_pay(fai_thread *thread, size_t bytes, fai_account **news) {
    fai_meter *meter = &thread->meter;
    meter->promote = false;
    if (!follow(thread))
        return FAI_CHARGE_REFUSED;
    size_t left = fai_meter_left(thread);
    if (bytes <= left)
        return FAI_CHARGE_OK;
    fai_account *account = meter->account;
    size_t need = bytes - left, grant = grant_for(thread, account, need);
    fai_charge result = FAI_CHARGE_OK;
    if (!charge_quiet(thread, account, grant)) {
        /* What is left goes back now, or it would while more is asked for: see give_ready. */
        fai_meter_give_back(thread);
        grant = bytes;
        result = fai_account_charge(thread->allocator, payer_of(thread, account), FA_INTENT_FRAME,
                                    grant);
    }
    meter->promote = result == FAI_CHARGE_PROMOTE;
    if (result != FAI_CHARGE_OK)
        return result;
    if (!book(thread, account, grant))
        return FAI_CHARGE_REFUSED;
    *news = account;
    return FAI_CHARGE_OK;
}

static bool afford(fai_thread *thread, size_t bytes, fai_account **news) {
    for (bool again = false;; again = true) {
        if (!follow(thread))
            return false;
        size_t left = fai_meter_left(thread);
        if (bytes <= left)
            return true;
        fai_account *account = thread->meter.account;
        if (charge_quiet(thread, account, bytes - left)) {
            if (!book(thread, account, bytes - left))
                return false;
            *news = account;
            return true;
        }
        if (again)
            return false;
        while (account->parent != NULL) /* what is ready of any tag may be what fills a limit */
            account = account->parent;
        bool frames = fai_meter_give_back(thread);
        if (!fai_pool_give_ready(thread, account) && !frames)
            return false;
    }
}

bool fai_meter_afford(fai_thread *thread, size_t bytes, fai_account **news) {
    fai_hold hold = fai_frame_hold(thread);
    bool affordable = afford(thread, bytes, news);
    fai_frame_unhold(thread, hold);
    return affordable;
}

bool fai_meter_afford_end(fai_thread *thread, const char *end, fai_account **news) {
    const char *cursor = thread->frame->cursor;
    if (!fai_meter_afford(thread, (size_t)(end - cursor), news))
        return false;
    if (thread->frame->cursor == cursor)
        return true;
    if (*news != NULL)
        fai_meter_cancel(thread);
    return false;
}

char *fai_meter_limit(const fai_thread *thread, char *cursor, char *end) {
    size_t left = fai_meter_left(thread);
    return left < (size_t)(end - cursor) ? cursor + left : end;
}

fai_account *fai_meter_hold(fai_thread *thread, size_t bytes) {
    if (thread->meter.account == NULL)
        return NULL;
    thread->meter.paid -= bytes;
    refresh_limit(thread);
    return thread->meter.account;
}

void fai_meter_release(fai_thread *thread, fai_account *account, size_t bytes, size_t used) {
    fai_meter *meter = &thread->meter;
    if (account == NULL)
        return;
    if (used == 0) {
        take_back(thread, account, bytes);
        return;
    }
    if (meter->account != account) { /* a hook left the thread in another tag */
        close_stretch(thread);
        open_stretch(thread, account, fai_arena_used(thread) - used);
    }
    meter->paid += bytes;
    refresh_limit(thread);
}

/* Ends the advance. Returns what it was; it is still charged. */
static size_t end_advance(fai_thread *thread) {
    fai_meter *meter = &thread->meter;
    size_t left = meter->account != NULL && fai_frame_is_open(thread) ? fai_meter_left(thread) : 0;
    if (left == 0)
        return 0;
    meter->paid -= left;
    refresh_limit(thread);
    return left;
}

bool fai_meter_give_back(fai_thread *thread) {
    size_t left = end_advance(thread);
    if (left != 0)
        discharge(thread, thread->meter.account, left);
    return left != 0;
}

void fai_meter_cancel(fai_thread *thread) {
    size_t left = end_advance(thread);
    if (left != 0)
        take_back(thread, thread->meter.account, left);
}

void fai_meter_switch(fai_thread *thread) {
    if (!fai_frame_is_open(thread))
        return;
    fai_meter_give_back(thread);
    /* The next block looks where the thread is. */
    FAI_STORE_RELAXED(&thread->frame->limit, thread->frame->cursor);
    fai_frame_look_closer(thread);
}

/* Takes back what of a stretch lies above used. Returns its bytes. */
static size_t cut(size_t from, size_t *bytes, size_t used) {
    size_t kept = used <= from ? 0 : used - from, before = *bytes;
    if (kept >= before)
        return 0;
    *bytes = kept;
    return before - kept;
}

void fai_meter_rewound(fai_thread *thread) {
    fai_meter *meter = &thread->meter;
    size_t used = fai_arena_used(thread);
    if (meter->account != NULL) {
        size_t bytes = meter->paid - meter->from;
        discharge(thread, meter->account, cut(meter->from, &bytes, used));
        meter->from = meter->from < used ? meter->from : used;
        meter->paid = meter->from + bytes;
    }
    while (meter->count != 0) {
        fai_stretch *newest = &meter->stretch[meter->count - 1];
        size_t bytes = cut(newest->from, &newest->bytes, used);
        if (bytes == 0)
            break;
        discharge(thread, newest->account, bytes);
        meter->count -= newest->bytes == 0;
    }
    refresh_limit(thread);
}

void fai_meter_end(fai_thread *thread) {
    fai_meter *meter = &thread->meter;
    if (meter->account != NULL)
        discharge(thread, meter->account, meter->paid - meter->from);
    for (size_t i = 0; i < meter->count; i++)
        discharge(thread, meter->stretch[i].account, meter->stretch[i].bytes);
    meter->account = NULL;
    meter->promote = false;
    meter->count = 0;
    meter->from = meter->paid = 0;
}

void fai_meter_detach(fai_thread *thread) {
    fai_meter_end(thread);
    bool hushed = fai_hush(true);
    fai_meter_bury_all(thread);
    fai_hush(hushed);
}

void fai_meter_free(fai_thread *thread) {
    if (thread->meter.span.address != NULL)
        fai_span_free(&thread->allocator->spans, &thread->meter.span);
    for (size_t i = 0; i < FA_FRAMES_IN_FLIGHT_MAX; i++)
        if (thread->arenas[i].promoted.span.address != NULL)
            fai_span_free(&thread->allocator->spans, &thread->arenas[i].promoted.span);
}
