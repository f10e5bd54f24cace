/* Retained objects: the table behind the handles.
 *
 * An object's entry stays where it is for as long as the allocator lives, so that a handle can be
 * resolved without a lock: find the entry, compare the serial, read the address, compare again.
 * Serials come from one counter of the whole process and never again: an entry that was used anew
 * in between, and an allocator that is another one, are both seen. */
#include "fa/retain.h"

#include "fa/internal/frame.h"
#include "fa/pool.h"

#include <string.h>

#define SERIALS_AT_ONCE 4096 /* that a thread takes from the counter */
#define REFILL_COUNT 32      /* entries that it takes from the table */

static uint64_t k_serial; /* the last one given to a thread; atomic */

static const fa_retained k_none;

/* ---- the table ---- */

/* A span that is not needed; kept until the end when the allocator was sealed meanwhile. */
static void give_or_keep(fa_allocator *allocator, fai_retention *table, const fai_span *span) {
    if (fai_span_free(&allocator->spans, span))
        return;
    fai_retention_surplus *surplus = (fai_retention_surplus *)span->address;
    surplus->span = *span;
    pthread_mutex_lock(&table->lock);
    surplus->next = table->surplus;
    table->surplus = surplus;
    pthread_mutex_unlock(&table->lock);
}

/* Adds a block of entries. False with the reason reported. No lock held. */
static bool grow(fa_allocator *allocator, fai_retention *table) {
    pthread_mutex_lock(&table->lock);
    uint32_t number = table->block_count;
    pthread_mutex_unlock(&table->lock);
    if (number == FAI_RETAINED_BLOCKS) {
        fai_fail(FA_ERROR_LIMIT, sizeof(fai_retained));
        return false;
    }
    uint32_t capacity = fai_retained_capacity(number), first = capacity - FAI_RETAINED_FIRST;
    fai_span span;
    if (fai_allocator_span(allocator, capacity * sizeof(fai_retained), FA_CACHE_LINE, FA_SPAN_META,
                           &span) != FA_OK)
        return false;
    fai_retained *block = (fai_retained *)span.address;
    memset(block, 0, capacity * sizeof *block);
    for (uint32_t i = 0; i < capacity; i++)
        block[i].index = first + i;
    pthread_mutex_lock(&table->lock);
    bool used = table->block_count == number; /* else somebody was faster */
    if (used) {
        table->block_span[number] = span;
        table->block_count++;
        for (uint32_t i = capacity; i-- > 0;)
            fai_retained_put(&table->free, &block[i]);
        FAI_STORE_RELEASE(&table->block[number], block);
    }
    pthread_mutex_unlock(&table->lock);
    if (!used)
        give_or_keep(allocator, table, &span);
    return true;
}

/* With the allocator: what was kept and not taken is freed; open frames forget what they list. */
static void destroy(fa_allocator *allocator, fai_owned *owned) {
    fai_retention *table = (fai_retention *)owned;
    FAI_STORE_RELEASE(&allocator->retention, NULL);
    fai_lock(allocator);
    for (fai_thread *thread = allocator->threads; thread; thread = thread->next)
        fai_retain_attach(thread);
    for (fai_thread *thread = allocator->frozen; thread; thread = thread->next)
        fai_retain_attach(thread);
    fai_unlock(allocator);
    for (uint32_t number = 0; number < table->block_count; number++)
        for (uint32_t i = 0; i < fai_retained_capacity(number); i++) {
            const fai_retained *object = &table->block[number][i];
            if (object->serial != 0 && fai_retained_is_kept(object->kind) &&
                object->kind != FA_RETAINED_SCRATCH)
                fai_pool_free_by(allocator, NULL, object->place);
        }
    for (uint32_t number = 0; number < table->block_count; number++)
        fai_span_free(&allocator->spans, &table->block_span[number]);
    for (fai_retention_surplus *surplus = table->surplus; surplus;) {
        fai_span span = surplus->span;
        surplus = surplus->next;
        fai_span_free(&allocator->spans, &span);
    }
    pthread_mutex_destroy(&table->lock);
    fai_span span = table->self;
    fai_span_free(&allocator->spans, &span);
}

static bool is_right(const fai_retained *object, uint32_t index) {
    bool has_handle = object->serial != 0, is_known = object->kind < FA_RETAINED_KIND_COUNT;
    if (object->index != index || !is_known)
        return false;
    if (object->kind == FA_RETAINED_NONE)
        return !has_handle && !object->is_listed;
    if (object->kind == FA_RETAINED_OPEN)
        return has_handle && object->is_listed && object->thread != NULL;
    if (!fai_retained_is_kept(object->kind))
        return has_handle && object->is_listed && object->address == NULL;
    bool is_somewhere = has_handle || object->is_listed || object->kind == FA_RETAINED_SCRATCH;
    return is_somewhere && object->place != NULL;
}

static const void *validate(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fai_retention *table = (fai_retention *)owned;
    const void *wrong = NULL;
    pthread_mutex_lock(&table->lock);
    for (uint32_t number = 0; number < table->block_count; number++)
        for (uint32_t i = 0; i < fai_retained_capacity(number); i++)
            if (!is_right(&table->block[number][i],
                          fai_retained_capacity(number) - FAI_RETAINED_FIRST + i))
                wrong = &table->block[number][i];
    for (const fai_retained *object = table->free; object; object = object->next)
        if (object->kind != FA_RETAINED_NONE)
            wrong = object;
    pthread_mutex_unlock(&table->lock);
    return wrong;
}

static void lock(fai_owned *owned) { pthread_mutex_lock(&((fai_retention *)owned)->lock); }
static void unlock(fai_owned *owned) { pthread_mutex_unlock(&((fai_retention *)owned)->lock); }

static const fai_owned_kind k_kind = {
    .destroy = destroy, .validate = validate, .lock = lock, .unlock = unlock};

/* The allocator's table, made where there is none yet. NULL with the reason reported. */
static fai_retention *obtain(fa_allocator *allocator) {
    fai_retention *table = FAI_LOAD_ACQUIRE(&allocator->retention), *none = NULL;
    if (table != NULL)
        return table;
    fai_span span;
    if (fai_allocator_span(allocator, sizeof *table, FA_CACHE_LINE, FA_SPAN_META, &span) != FA_OK)
        return NULL;
    table = (fai_retention *)span.address;
    memset(table, 0, sizeof *table);
    table->self = span;
    if (pthread_mutex_init(&table->lock, NULL) != 0) {
        fai_span_free(&allocator->spans, &span);
        fai_fail(FA_ERROR_NO_MEMORY, sizeof *table);
        return NULL;
    }
    /* Owned before it is known: so the child of a fork has it whole, or not at all. */
    fai_owned_add(allocator, &table->owned, &k_kind);
    while (!FAI_CAS_RELEASE(&allocator->retention, &none, table))
        if (none != NULL) { /* somebody was faster: his is in the list already, and so is seen whole
                             * by whoever has the list's lock after that */
            fai_owned_remove(allocator, &table->owned);
            pthread_mutex_destroy(&table->lock);
            give_or_keep(allocator, none, &span);
            return none;
        }
    return table;
}

/* ---- a thread's list ---- */

/* Whether what it lists is of the open frame. */
static bool is_current(const fai_thread *thread) {
    return thread->retains.frame_index == thread->frame_count + 1;
}

bool fai_retain_is_due(const fai_thread *thread) {
    return is_current(thread) && !thread->retains.is_over && thread->retains.count != 0;
}

bool fai_retain_has_summary(const fai_thread *thread) {
    return thread->retains.frame_index == thread->frame_count && thread->frame_count != 0 &&
           !fai_frame_is_open(thread);
}

void fai_retain_attach(fai_thread *thread) { memset(&thread->retains, 0, sizeof thread->retains); }

/* Takes the newest one off the list. Under the lock. */
static void drop_newest(fai_retains *own) {
    fai_retained *object = own->newest;
    own->newest = object->prev;
    *(own->newest ? &own->newest->next : &own->oldest) = NULL;
    own->count--;
    FAI_STORE_RELAXED(&object->serial, 0);
    object->is_listed = false;
    fai_retained_put(&own->spare, object);
}

void fai_retain_rewound(fai_thread *thread, uint64_t serial) {
    fai_retains *own = &thread->retains;
    if (!is_current(thread) || own->is_over || own->newest == NULL || own->newest->mark < serial)
        return;
    fai_retention *table = FAI_LOAD_ACQUIRE(&thread->allocator->retention);
    pthread_mutex_lock(&table->lock);
    while (own->newest != NULL && own->newest->mark >= serial)
        drop_newest(own);
    pthread_mutex_unlock(&table->lock);
}

/* Forgets the frame in question: what was kept belongs to the handles alone from now on. */
static void forget(fai_thread *thread) {
    fai_retains *own = &thread->retains;
    fai_retention *table = FAI_LOAD_ACQUIRE(&thread->allocator->retention);
    if (own->oldest != NULL) {
        pthread_mutex_lock(&table->lock);
        for (fai_retained *object = own->oldest, *next; object; object = next) {
            next = object->next;
            object->is_listed = false;
            object->thread = NULL;
            if (object->serial != 0 && fai_retained_is_kept(object->kind)) {
                if (object->kind == FA_RETAINED_SCRATCH) {
                    object->next = table->scratch;
                    table->scratch = object;
                }
                continue;
            }
            FAI_STORE_RELAXED(&object->serial, 0);
            fai_retained_put(&own->spare, object);
        }
        pthread_mutex_unlock(&table->lock);
    }
    own->oldest = own->newest = NULL;
    own->count = 0;
    own->frame_index = 0;
    own->is_over = false;
}

void fai_retain_begin(fai_thread *thread) {
    if (is_current(thread))
        return;
    forget(thread);
    thread->retains.frame_index = thread->frame_count + 1;
    memset(&thread->retains.summary, 0, sizeof thread->retains.summary);
}

void fai_retain_detach(fai_thread *thread) {
    fai_retains *own = &thread->retains;
    fai_retention *table = FAI_LOAD_ACQUIRE(&thread->allocator->retention);
    if (table != NULL) {
        forget(thread);
        pthread_mutex_lock(&table->lock);
        for (fai_retained *object = own->spare, *next; object; object = next) {
            next = object->next;
            fai_retained_put(&table->free, object);
        }
        pthread_mutex_unlock(&table->lock);
    }
    fai_retain_attach(thread);
}

/* Frees the entries of objects that went with their scratch pools, or were taken out of them. Under
 * the lock. */
static void collect(fai_retention *table) {
    fai_retained *kept = NULL;
    for (fai_retained *object = table->scratch, *next; object; object = next) {
        next = object->next;
        if (object->serial != 0 && !fai_retained_is_lost(object)) {
            object->next = kept;
            kept = object;
            continue;
        }
        FAI_STORE_RELAXED(&object->serial, 0);
        fai_retained_put(&table->free, object);
    }
    table->scratch = kept;
}

/* Takes free entries for the thread. There are none where it fails, with the reason reported. May
 * call hooks. */
static void refill(fai_thread *thread) {
    fai_retains *own = &thread->retains;
    fa_allocator *allocator = thread->allocator;
    fai_hold hold = fai_frame_hold(thread);
    fai_retention *table = obtain(allocator);
    while (table != NULL && own->spare == NULL) {
        pthread_mutex_lock(&table->lock);
        if (table->free == NULL)
            collect(table);
        for (int i = 0; i < REFILL_COUNT && table->free != NULL; i++) {
            fai_retained *object = table->free;
            table->free = object->next;
            fai_retained_put(&own->spare, object);
        }
        pthread_mutex_unlock(&table->lock);
        if (own->spare == NULL && !grow(allocator, table))
            break;
    }
    fai_frame_unhold(thread, hold);
}

static fai_retained *take_entry(fai_thread *thread) {
    fai_retains *own = &thread->retains;
    if (own->spare == NULL)
        refill(thread);
    fai_retained *object = own->spare;
    if (object != NULL)
        own->spare = object->next;
    return object;
}

/* ---- retaining ---- */

fa_retention fa_retain_importance(fa_importance importance, const char *scratch) {
    switch (importance) {
    case FA_IMPORTANCE_REUSABLE:
        return fa_retain_to_pool();
    case FA_IMPORTANCE_PERSISTENT:
        return fa_retain_to_heap();
    case FA_IMPORTANCE_SCRATCH:
        return fa_retain_to_scratch(scratch);
    case FA_IMPORTANCE_EPHEMERAL:
    default:
        return fa_retain_discarded();
    }
}

/* Whether the calling thread may retain something in this frame now. If not: the reason is
 * reported. */
static bool may_retain(const fa_frame *frame, size_t size, size_t align,
                       const fa_retention *retention) {
    if (frame == NULL || !fai_is_request(size, align) || !fai_is_retention(retention)) {
        fai_fail(FA_ERROR_INVALID, size);
        return false;
    }
    if (fai_frame_check(frame, size) != FA_OK)
        return false;
    fai_thread *thread = fai_thread_of(frame);
    if (is_current(thread) && thread->retains.is_over) {
        fai_report(thread->allocator, FA_DIAG_FA009, FA_ERROR_FRAME_OPEN, size, 0, frame);
        return false;
    }
    return true;
}

/* The last step, which can't fail: object names the block. */
static fa_retained list(fai_thread *thread, fai_retained *object, void *block,
                        const fa_retention *retention) {
    fai_retains *own = &thread->retains;
    if (own->serial == own->serial_end) {
        own->serial = FAI_ADD_RELAXED(&k_serial, SERIALS_AT_ONCE) + 1;
        own->serial_end = own->serial + SERIALS_AT_ONCE;
    }
    fa_retained retained = {own->serial++, object->index};
    object->place = NULL;
    object->thread = thread;
    object->policy = (uint8_t)retention->policy;
    object->type = retention->type;
    object->scratch = retention->scratch;
    object->mark = thread->frame->mark_count;
    object->phase = fai_phase_position(thread);
    object->tag = fai_tally_now(&thread->tallies)->tag;
    object->kind = FA_RETAINED_OPEN;
    object->reason = FA_RETAIN_REASON_NONE;
    object->is_listed = true;
    object->prev = own->newest;
    object->next = NULL;
    *(own->newest ? &own->newest->next : &own->oldest) = object;
    own->newest = object;
    own->count++;
    /* Whoever has read the serial that this entry had before, and reads this address, reads the
     * serial once more after that: released with it is the 0 that came between. */
    FAI_STORE_RELEASE(&object->address, block);
    FAI_STORE_RELEASE(&object->serial, retained.serial);
    fai_frame_disturb(thread);
    fai_frame_look_closer(thread); /* the end of this frame must deal with it */
    fai_slot.site = NULL;
    return retained;
}

/* An entry for an object of the open frame. NULL with the reason reported. */
static fai_retained *prepare(fai_thread *thread, size_t size, size_t align) {
    const fa_site *site = fai_slot.site; /* stays in the slot for what is reported meanwhile */
    fai_retained *object = take_entry(thread);
    if (object == NULL)
        return NULL;
    fai_retain_begin(thread);
    object->site = site;
    object->size = size;
    object->align = (uint32_t)(align < FA_ALIGN_MIN ? FA_ALIGN_MIN : align);
    return object;
}

fa_retained(fa_frame_retain_in)(fa_frame *frame, size_t size, size_t align,
                                fa_retention retention) {
    if (!may_retain(frame, size, align, &retention))
        return k_none;
    fai_thread *thread = fai_thread_of(frame);
    fai_retained *object = prepare(thread, size, align);
    if (object == NULL)
        return k_none;
    void *block = align <= FA_ALIGN_MIN ? (fa_frame_alloc_in)(frame, size)
                                        : (fa_frame_alloc_aligned_in)(frame, size, align);
    if (block == NULL) {
        fai_retained_put(&thread->retains.spare, object);
        return k_none;
    }
    return list(thread, object, block, &retention);
}

fa_retained(fa_frame_retain_copy_in)(fa_frame *frame, const void *source, size_t size, size_t align,
                                     fa_retention retention) {
    if (source == NULL) {
        fai_fail(FA_ERROR_INVALID, size);
        return k_none;
    }
    fa_retained retained = (fa_frame_retain_in)(frame, size, align, retention);
    if (retained.serial != 0)
        memcpy(fai_thread_of(frame)->retains.newest->address, source, size);
    return retained;
}

fa_retained(fa_frame_retain_block_in)(fa_frame *frame, void *block, size_t size, size_t align,
                                      fa_retention retention) {
    if (block == NULL) {
        fai_fail(FA_ERROR_INVALID, size);
        return k_none;
    }
    if (!may_retain(frame, size, align, &retention))
        return k_none;
    fai_thread *thread = fai_thread_of(frame);
    if (!fai_frame_holds(thread, block, size)) {
        fai_report(thread->allocator, FA_DIAG_FA002, FA_ERROR_FOREIGN, size, 0, block);
        return k_none;
    }
    fai_retained *object = prepare(thread, size, align);
    return object ? list(thread, object, block, &retention) : k_none;
}

fa_retained(fa_frame_retain)(fa_allocator *allocator, size_t size, size_t align,
                             fa_retention retention) {
    fa_frame *frame = fai_frame_find(allocator, size);
    return frame ? (fa_frame_retain_in)(frame, size, align, retention) : k_none;
}

fa_retained(fa_frame_retain_copy)(fa_allocator *allocator, const void *source, size_t size,
                                  size_t align, fa_retention retention) {
    fa_frame *frame = fai_frame_find(allocator, size);
    return frame ? (fa_frame_retain_copy_in)(frame, source, size, align, retention) : k_none;
}

fa_retained(fa_frame_retain_block)(fa_allocator *allocator, void *block, size_t size, size_t align,
                                   fa_retention retention) {
    fa_frame *frame = fai_frame_find(allocator, size);
    return frame ? (fa_frame_retain_block_in)(frame, block, size, align, retention) : k_none;
}

size_t fa_frame_retained_count_in(const fa_frame *frame) {
    const fai_thread *thread = frame ? fai_thread_of(frame) : NULL;
    return thread && fai_frame_is_open(thread) && is_current(thread) ? thread->retains.count : 0;
}

size_t fa_frame_retained_count(fa_allocator *allocator) {
    return fa_frame_retained_count_in(fa_frame_current(allocator));
}
