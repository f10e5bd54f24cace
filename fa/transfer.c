/* Transfers: the registry of what is in flight.
 *
 * Each thread makes its transfers in slots of its own, its lane, which it goes around in: so making
 * one needs no lock, and who receives one has nothing to give back but the word of its slot. Small
 * objects travel in the slot itself: sender and receiver take and free blocks of their own, which
 * costs a fraction of a block that one takes and the other frees. What became of a transfer is
 * counted by the lane when it uses the slot again, and until then by who asks. Slots are numbered,
 * stay where they are, and are freed with the allocator. */
#include "fa/transfer.h"

#include "fa/heap.h"
#include "fa/internal/thread.h"
#include "fa/internal/transfer.h"
#include "fa/pool.h"

#include <string.h>

#define CHUNK_SLOTS 64
#define INDEX_BITS 26
#define PAGE_CHUNKS ((size_t)1024)
#define PAGES (((size_t)1 << INDEX_BITS) / CHUNK_SLOTS / PAGE_CHUNKS)
#define GENERATION_MASK (((uint64_t)1 << (64 - INDEX_BITS)) - 1)
#define LOOKS_MAX 16 /* at slots in a row, before the lane asks how full it is */
#define NAMED_MAX 16 /* in a report */
#define AHEAD 4      /* slots that are fetched before they are looked at */

/* The contents are the maker's, then whoever's that has claimed it. */
typedef struct slot {
    fai_transfer_word word;
    size_t size;  /* atomic: the stats read it whenever they like */
    void *object; /* NULL: it travels in small */
    fa_transfer_drop_fn *drop;
    void *user;
    const fa_site *site;
    uint64_t thread_index;
    fa_tag tag;
    uint32_t number;
    char small[FA_TRANSFER_SMALL_BYTES] __attribute__((aligned(64)));
} __attribute__((aligned(64))) slot;
_Static_assert(sizeof(slot) == 128, "a slot is two cache lines");

/* Several are allocated side by side, as one block. */
typedef struct chunk {
    slot slots[CHUNK_SLOTS];
    struct chunk *next; /* of its lane, in a ring */
    bool is_block;      /* the first of its block */
} chunk;

/* Of one thread's state. Numbers are written by the thread, read by anybody. */
typedef struct fai_lane {
    struct fai_lane *next; /* in the registry; guarded by its lock */
    fai_thread *thread;
    chunk *at; /* where to look next */
    uint32_t cursor;
    size_t chunk_count;
    uint64_t made, bytes, received, dropped; /* the last two: of slots that are in use again */
} fai_lane;

typedef struct page {
    chunk *chunks[PAGE_CHUNKS]; /* atomic */
} page;

typedef struct fai_transfers {
    fai_owned owned;      /* must be first */
    pthread_mutex_t lock; /* what follows */
    fai_lane *lanes;
    size_t chunk_count;
    page *pages[PAGES]; /* atomic: written under the lock, read without */
} fai_transfers;

/* ---- the registry ---- */

/* The chunk with a number, or NULL. */
static chunk *chunk_at(fai_transfers *transfers, size_t number) {
    page *in = FAI_LOAD_ACQUIRE(&transfers->pages[number / PAGE_CHUNKS]);
    return in != NULL ? FAI_LOAD_ACQUIRE(&in->chunks[number % PAGE_CHUNKS]) : NULL;
}

static slot *find(fa_allocator *allocator, fa_transfer transfer) {
    fai_transfers *transfers = FAI_LOAD_ACQUIRE(&allocator->transfers);
    size_t index = transfer.id & (((uint64_t)1 << INDEX_BITS) - 1);
    if (transfers == NULL || transfer.id >> INDEX_BITS == 0)
        return NULL;
    chunk *in = chunk_at(transfers, index / CHUNK_SLOTS);
    return in != NULL ? &in->slots[index % CHUNK_SLOTS] : NULL;
}

static void *take_zeroed(fa_allocator *allocator, size_t size) {
    void *block = (fa_heap_alloc_aligned)(allocator, size, 64);
    if (block != NULL)
        memset(block, 0, size);
    return block;
}

static const fai_owned_kind k_transfers;

/* The registry, made where there is none. NULL with the reason reported. */
static fai_transfers *obtain(fa_allocator *allocator) {
    fai_transfers *transfers = FAI_LOAD_ACQUIRE(&allocator->transfers);
    if (transfers != NULL)
        return transfers;
    transfers = (fai_transfers *)take_zeroed(allocator, sizeof *transfers);
    if (transfers == NULL)
        return NULL;
    if (pthread_mutex_init(&transfers->lock, NULL) != 0) {
        (fa_heap_free)(allocator, transfers);
        fai_fail(FA_ERROR_NO_MEMORY, sizeof *transfers);
        return NULL;
    }
    fai_lock(allocator);
    fai_transfers *first = allocator->transfers;
    if (first == NULL)
        FAI_STORE_RELEASE(&allocator->transfers, transfers);
    fai_unlock(allocator);
    if (first == NULL) {
        fai_owned_add(allocator, &transfers->owned, &k_transfers);
        return transfers;
    }
    pthread_mutex_destroy(&transfers->lock);
    (fa_heap_free)(allocator, transfers);
    return first;
}

/* Gives chunks numbers and puts them behind the one that the lane is at. False: there are too many
 * slots, or a page is missing. */
static bool add_chunks(fai_transfers *transfers, fai_lane *lane, chunk *more, size_t count,
                       page **spare) {
    pthread_mutex_lock(&transfers->lock);
    size_t number = transfers->chunk_count;
    bool fits = number + count <= PAGES * PAGE_CHUNKS;
    page **last = fits ? &transfers->pages[(number + count - 1) / PAGE_CHUNKS] : NULL;
    if (fits && *last == NULL && *spare != NULL) {
        FAI_STORE_RELEASE(last, *spare);
        *spare = NULL;
    }
    fits = fits && *last != NULL; /* those before it are there */
    for (size_t i = 0; fits && i < count; i++, number++) {
        for (size_t n = 0; n < CHUNK_SLOTS; n++)
            more[i].slots[n].number = (uint32_t)(number * CHUNK_SLOTS + n);
        more[i].next = lane->at != NULL ? lane->at->next : &more[i];
        if (lane->at != NULL)
            lane->at->next = &more[i];
        lane->at = &more[i]; /* where the next look goes */
        page *in = transfers->pages[number / PAGE_CHUNKS];
        FAI_STORE_RELEASE(&in->chunks[number % PAGE_CHUNKS], &more[i]);
    }
    if (fits) {
        transfers->chunk_count = number;
        FAI_BUMP(&lane->chunk_count, count);
        lane->cursor = 0;
    }
    pthread_mutex_unlock(&transfers->lock);
    return fits;
}

/* Twice as many slots for a lane. False with the reason reported. */
static bool grow(fa_allocator *allocator, fai_lane *lane) {
    fai_transfers *transfers = FAI_LOAD_ACQUIRE(&allocator->transfers);
    size_t count = lane->chunk_count < PAGE_CHUNKS ? lane->chunk_count : PAGE_CHUNKS;
    count = count != 0 ? count : 1;
    chunk *more = (chunk *)take_zeroed(allocator, count * sizeof *more);
    if (more == NULL)
        return false;
    more->is_block = true;
    page *spare = NULL;
    bool done = add_chunks(transfers, lane, more, count, &spare);
    if (!done) {
        spare = (page *)take_zeroed(allocator, sizeof *spare);
        done = spare != NULL && add_chunks(transfers, lane, more, count, &spare);
        if (!done && spare != NULL)
            fai_fail(FA_ERROR_FULL, count * CHUNK_SLOTS);
    }
    fa_error error = fa_last_error();
    (fa_heap_free)(allocator, spare);
    if (!done)
        (fa_heap_free)(allocator, more);
    fai_error_restore(error);
    return done;
}

/* ---- a lane ---- */

static fai_lane *make_lane(fa_allocator *allocator, fai_thread *thread) {
    fai_transfers *transfers = obtain(allocator);
    fai_lane *lane = transfers != NULL ? (fai_lane *)take_zeroed(allocator, sizeof *lane) : NULL;
    if (lane == NULL)
        return NULL;
    if (thread->lane != NULL) { /* made by an event hook, meanwhile */
        (fa_heap_free)(allocator, lane);
        return thread->lane;
    }
    lane->thread = thread;
    pthread_mutex_lock(&transfers->lock);
    lane->next = transfers->lanes;
    transfers->lanes = lane;
    pthread_mutex_unlock(&transfers->lock);
    thread->lane = lane;
    return lane;
}

static slot *step(fai_lane *lane) {
    slot *here = &lane->at->slots[lane->cursor];
    __builtin_prefetch(&here[AHEAD].word, 1); /* past the end it does no harm */
    __builtin_prefetch(here[AHEAD].small, 1);
    if (++lane->cursor == CHUNK_SLOTS) {
        lane->cursor = 0;
        lane->at = lane->at->next;
    }
    return here;
}

/* A slot that is free, or NULL when more than half of them are in use. */
static slot *find_free(fai_lane *lane) {
    for (size_t i = 0; i < LOOKS_MAX; i++) {
        slot *here = step(lane);
        if (fai_transfer_is_free(fai_transfer_look(&here->word)))
            return here;
    }
    size_t count = lane->chunk_count * CHUNK_SLOTS, free_count = 0;
    for (size_t i = 0; i < count; i++)
        free_count += fai_transfer_is_free(fai_transfer_look(&step(lane)->word));
    if (free_count < count / 2)
        return NULL;
    for (;;) {
        slot *here = step(lane);
        if (fai_transfer_is_free(fai_transfer_look(&here->word)))
            return here;
    }
}

/* A free slot of the calling thread; NULL with the reason reported. */
static slot *obtain_slot(fa_allocator *allocator, fai_thread *thread) {
    fai_lane *lane = thread->lane != NULL ? thread->lane : make_lane(allocator, thread);
    slot *here = NULL;
    while (lane != NULL && (lane->at == NULL || (here = find_free(lane)) == NULL))
        if (!grow(allocator, lane)) /* whose hooks may make transfers too */
            return NULL;
    return here;
}

/* ---- the calls ---- */

/* Puts a block into a free slot. No hook is called on the way. */
static fa_transfer publish(fai_thread *thread, slot *here, void *object, size_t size,
                           const fa_site *site) {
    fai_lane *lane = thread->lane;
    uint64_t before = fai_transfer_look(&here->word);
    if (FAI_TRANSFER_STATE(before) == FAI_TRANSFER_RECEIVED)
        FAI_BUMP(&lane->received, 1);
    else if (FAI_TRANSFER_STATE(before) == FAI_TRANSFER_DROPPED)
        FAI_BUMP(&lane->dropped, 1);
    FAI_BUMP(&lane->made, 1);
    FAI_BUMP(&lane->bytes, size);
    uint64_t generation = (FAI_TRANSFER_GENERATION(before) + 1) & GENERATION_MASK;
    generation = generation != 0 ? generation : 1;
    here->object = object;
    FAI_STORE_RELAXED(&here->size, size);
    here->drop = NULL;
    here->user = NULL;
    here->site = site;
    here->thread_index = thread->index;
    here->tag = fai_tally_now(&thread->tallies)->tag;
    FAI_BUMP(&thread->counts.transfer_made, 1);
    fai_transfer_publish(&here->word, generation);
    return (fa_transfer){generation << INDEX_BITS | here->number};
}

static void tell_made(fai_thread *thread, fa_transfer transfer, size_t size) {
    if (fai_events_want(&thread->allocator->events, FA_EVENTS_TRANSFER_MADE))
        fai_events_transfer(thread->allocator, thread, FA_EVENTS_TRANSFER_MADE, transfer.id, size,
                            0, fai_tally_now(&thread->tallies)->tag);
}

/* The place noted by the call in progress, which allocations on the way may take. */
static const fa_site *take_place(void) {
    const fa_site *site = fai_slot.site;
    fai_slot.site = NULL;
    return site;
}

fa_status(fa_transfer_make)(fa_allocator *allocator, const void *source, size_t size, size_t align,
                            fa_transfer *transfer) {
    const fa_site *site = take_place();
    if (transfer != NULL)
        transfer->id = 0;
    if (allocator == NULL || source == NULL || transfer == NULL)
        return fai_fail(FA_ERROR_INVALID, size);
    bool is_plain = align != 0 && align <= FA_ALIGN_MIN && fai_is_power_of_two(align);
    bool is_small = is_plain && size != 0 && size <= FA_TRANSFER_SMALL_BYTES;
    void *object = is_small ? NULL : fai_pool_alloc_own(allocator, size, align);
    if (object == NULL && !is_small)
        return fa_last_error().status;
    fai_thread *thread = fai_thread_get(allocator);
    slot *here = thread != NULL ? obtain_slot(allocator, thread) : NULL;
    if (here == NULL) {
        fa_error error = fa_last_error();
        (fa_pool_free)(allocator, object);
        fai_error_restore(error);
        return error.status;
    }
    memcpy(is_small ? here->small : object, source, size);
    *transfer = publish(thread, here, object, size, site);
    tell_made(thread, *transfer, size);
    return FA_OK;
}

fa_status(fa_transfer_wrap)(fa_allocator *allocator, void *block, size_t size,
                            fa_transfer *transfer) {
    const fa_site *site = take_place();
    if (transfer != NULL)
        transfer->id = 0;
    if (allocator == NULL || block == NULL || size == 0 || size > FA_SIZE_MAX || transfer == NULL)
        return fai_fail(FA_ERROR_INVALID, size);
    fai_thread *thread = fai_thread_get(allocator);
    slot *here = thread != NULL ? obtain_slot(allocator, thread) : NULL;
    if (here == NULL)
        return fa_last_error().status;
    *transfer = publish(thread, here, block, size, site);
    tell_made(thread, *transfer, size);
    return FA_OK;
}

/* What a call answers about a transfer that is not there to be taken. */
static fa_status refuse(fa_allocator *allocator, fa_transfer transfer, const slot *here) {
    uint64_t seen = here != NULL ? fai_transfer_look(&here->word) : 0;
    if (here != NULL && transfer.id >> INDEX_BITS <= FAI_TRANSFER_GENERATION(seen))
        return fai_fail(FA_ERROR_TAKEN, 0);
    return fai_report(allocator, FA_DIAG_FA206, FA_ERROR_FOREIGN, 0, 0, NULL);
}

fa_status fa_transfer_on_drop(fa_allocator *allocator, fa_transfer transfer,
                              fa_transfer_drop_fn *function, void *user) {
    if (allocator == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    slot *here = find(allocator, transfer);
    uint64_t generation = transfer.id >> INDEX_BITS, seen;
    if (here == NULL || !fai_transfer_claim(&here->word, generation, &seen))
        return refuse(allocator, transfer, here);
    bool is_owned = FAI_TRANSFER_STATE(seen) == FAI_TRANSFER_OWNED;
    if (is_owned) {
        here->drop = function;
        here->user = user;
    }
    fai_transfer_settle(&here->word, generation, FAI_TRANSFER_STATE(seen));
    return is_owned ? FA_OK : fai_fail(FA_ERROR_STATE, 0);
}

fa_status fa_transfer_send(fa_allocator *allocator, fa_transfer transfer) {
    if (allocator == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    slot *here = find(allocator, transfer);
    uint64_t generation = transfer.id >> INDEX_BITS;
    if (here != NULL && fai_transfer_depart(&here->word, generation))
        return FA_OK;
    bool is_sent = here != NULL &&
                   fai_transfer_look(&here->word) == (generation << 3 | FAI_TRANSFER_IN_FLIGHT);
    return is_sent ? fai_fail(FA_ERROR_STATE, 0) : refuse(allocator, transfer, here);
}

/* Counts it for the calling thread, if that is attached. */
static void count_received(fa_allocator *allocator) {
    fai_thread *thread = fai_thread_find(allocator);
    if (thread != NULL)
        FAI_BUMP(&thread->counts.transfer_received, 1);
}

/* Claims a transfer and makes its object the caller's. size SIZE_MAX: whatever it has. */
static fa_status receive(fa_allocator *allocator, fa_transfer transfer, size_t size,
                         fa_received *received) {
    slot *here = find(allocator, transfer);
    uint64_t generation = transfer.id >> INDEX_BITS, seen;
    if (here == NULL || !fai_transfer_claim(&here->word, generation, &seen))
        return refuse(allocator, transfer, here);
    bool fits = size == SIZE_MAX || here->size == size;
    void *object = here->object;
    if (fits && object == NULL) {
        object = fai_pool_alloc_own(allocator, here->size, FA_ALIGN_MIN);
        if (object != NULL)
            memcpy(object, here->small, here->size);
    }
    bool done = fits && object != NULL;
    if (done)
        *received = (fa_received){object, here->size, here->thread_index, here->tag};
    if (done)
        count_received(allocator);
    fai_transfer_settle(&here->word, generation,
                        done ? FAI_TRANSFER_RECEIVED : FAI_TRANSFER_STATE(seen));
    if (!fits)
        return fai_report(allocator, FA_DIAG_FA206, FA_ERROR_FOREIGN, size, 0, NULL);
    if (done && fai_events_want(&allocator->events, FA_EVENTS_TRANSFER_RECEIVED))
        fai_events_transfer(allocator, NULL, FA_EVENTS_TRANSFER_RECEIVED, transfer.id,
                            received->size, received->thread_index, received->tag);
    return done ? FA_OK : fa_last_error().status;
}

fa_status fa_transfer_receive(fa_allocator *allocator, fa_transfer transfer,
                              fa_received *received) {
    if (received != NULL)
        memset(received, 0, sizeof *received);
    if (allocator == NULL || received == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    return receive(allocator, transfer, SIZE_MAX, received);
}

void *fai_transfer_receive_sized(fa_allocator *allocator, fa_transfer transfer, size_t size) {
    fa_received received = {0};
    if (allocator == NULL)
        fai_fail(FA_ERROR_INVALID, size);
    else
        (void)receive(allocator, transfer, size, &received);
    return received.object;
}

static void *object_of(slot *here) { return here->object != NULL ? here->object : here->small; }

/* What is claimed is dropped: the clean-up, then the block. */
static void drop(fa_allocator *allocator, slot *here, uint64_t generation) {
    if (here->drop != NULL) {
        fai_callback outer = fai_callback_begin();
        here->drop(here->user, object_of(here));
        fai_callback_end(outer);
    }
    (fa_pool_free)(allocator, here->object);
    slot was = *here;
    fai_transfer_settle(&here->word, generation, FAI_TRANSFER_DROPPED);
    fai_events_transfer(allocator, NULL, FA_EVENTS_TRANSFER_DROPPED,
                        generation << INDEX_BITS | was.number, was.size, was.thread_index, was.tag);
}

fa_status fa_transfer_drop(fa_allocator *allocator, fa_transfer transfer) {
    if (allocator == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    slot *here = find(allocator, transfer);
    uint64_t generation = transfer.id >> INDEX_BITS, seen;
    if (here == NULL || !fai_transfer_claim(&here->word, generation, &seen))
        return refuse(allocator, transfer, here);
    drop(allocator, here, generation);
    return FA_OK;
}

fa_transfer_state fa_transfer_state_get(fa_allocator *allocator, fa_transfer transfer) {
    const slot *here = allocator != NULL ? find(allocator, transfer) : NULL;
    uint64_t seen = here != NULL ? fai_transfer_look(&here->word) : 0;
    if (here == NULL || FAI_TRANSFER_GENERATION(seen) != transfer.id >> INDEX_BITS)
        return FA_TRANSFER_NONE;
    switch (FAI_TRANSFER_STATE(seen)) {
    case FAI_TRANSFER_OWNED:
        return FA_TRANSFER_OWNED;
    case FAI_TRANSFER_IN_FLIGHT:
    case FAI_TRANSFER_CLAIMED: /* whoever looks at it has not said what becomes of it */
        return FA_TRANSFER_IN_FLIGHT;
    case FAI_TRANSFER_RECEIVED:
        return FA_TRANSFER_RECEIVED;
    default:
        return FA_TRANSFER_DROPPED;
    }
}

/* ---- all of them ---- */

static void count_slot(const slot *here, fa_transfer_stats *stats) {
    uint64_t seen = fai_transfer_look(&here->word);
    switch (FAI_TRANSFER_STATE(seen)) {
    case FAI_TRANSFER_UNUSED:
        break;
    case FAI_TRANSFER_RECEIVED:
        stats->received_count++;
        break;
    case FAI_TRANSFER_DROPPED:
        stats->dropped_count++;
        break;
    default:
        stats->in_flight_count++;
        stats->in_flight_bytes += FAI_LOAD_RELAXED(&here->size);
    }
}

fa_status fa_transfer_stats_get(fa_allocator *allocator, fa_transfer_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (allocator == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_transfers *transfers = FAI_LOAD_ACQUIRE(&allocator->transfers);
    if (transfers == NULL)
        return FA_OK;
    pthread_mutex_lock(&transfers->lock);
    for (const fai_lane *lane = transfers->lanes; lane; lane = lane->next) {
        stats->made_count += FAI_LOAD_RELAXED(&lane->made);
        stats->bytes_made += FAI_LOAD_RELAXED(&lane->bytes);
        stats->received_count += FAI_LOAD_RELAXED(&lane->received);
        stats->dropped_count += FAI_LOAD_RELAXED(&lane->dropped);
    }
    for (size_t i = 0; i < transfers->chunk_count; i++) {
        const chunk *in = chunk_at(transfers, i);
        for (size_t n = 0; n < CHUNK_SLOTS; n++)
            count_slot(&in->slots[n], stats);
    }
    stats->slot_count = transfers->chunk_count * CHUNK_SLOTS;
    pthread_mutex_unlock(&transfers->lock);
    return FA_OK;
}

static const void *validate_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fai_transfers *transfers = (fai_transfers *)owned;
    const void *wrong = NULL;
    size_t chunks = 0;
    pthread_mutex_lock(&transfers->lock);
    for (const fai_lane *lane = transfers->lanes; lane; lane = lane->next)
        chunks += lane->chunk_count;
    if (chunks != transfers->chunk_count)
        wrong = transfers;
    for (size_t i = 0; i < transfers->chunk_count && wrong == NULL; i++) {
        const chunk *in = chunk_at(transfers, i);
        for (size_t n = 0; n < CHUNK_SLOTS && wrong == NULL; n++)
            if (in->slots[n].number != i * CHUNK_SLOTS + n ||
                FAI_TRANSFER_STATE(fai_transfer_look(&in->slots[n].word)) >=
                    FAI_TRANSFER_STATE_COUNT)
                wrong = &in->slots[n];
    }
    pthread_mutex_unlock(&transfers->lock);
    return wrong;
}

/* Drops what is in flight; names the first, and counts the rest. */
static bool drop_all(fa_allocator *allocator, fai_transfers *transfers) {
    size_t named = 0, more = 0;
    for (size_t i = 0; i < transfers->chunk_count; i++) { /* clean-ups may add some */
        chunk *in = chunk_at(transfers, i);
        for (size_t n = 0; n < CHUNK_SLOTS; n++) {
            slot *here = &in->slots[n];
            uint64_t seen, generation = FAI_TRANSFER_GENERATION(fai_transfer_look(&here->word));
            if (!fai_transfer_claim(&here->word, generation, &seen))
                continue;
            fa_site none = {NULL, NULL, 0};
            if (named++ < NAMED_MAX)
                fai_report_at(allocator, FA_DIAG_FA207, FA_OK, here->size, 0, object_of(here),
                              here->site != NULL ? *here->site : none);
            else
                more++;
            drop(allocator, here, generation);
        }
    }
    if (more != 0)
        fai_report_at(allocator, FA_DIAG_FA207, FA_OK, 0, more, NULL, (fa_site){NULL, NULL, 0});
    return named != 0;
}

static void destroy_owned(fa_allocator *allocator, fai_owned *owned) {
    fai_transfers *transfers = (fai_transfers *)owned;
    (void)drop_all(allocator, transfers);
    FAI_STORE_RELEASE(&allocator->transfers, NULL);
    for (fai_lane *lane = transfers->lanes, *next; lane; lane = next) {
        next = lane->next;
        lane->thread->lane = NULL;
        (fa_heap_free)(allocator, lane);
    }
    chunk *blocks = NULL; /* one block holds several: none is freed before all are seen */
    for (size_t i = 0; i < transfers->chunk_count; i++) {
        chunk *in = chunk_at(transfers, i);
        if (in->is_block) {
            in->next = blocks;
            blocks = in;
        }
    }
    for (chunk *next; blocks; blocks = next) {
        next = blocks->next;
        (fa_heap_free)(allocator, blocks);
    }
    for (size_t i = 0; i < PAGES; i++)
        (fa_heap_free)(allocator, transfers->pages[i]);
    pthread_mutex_destroy(&transfers->lock);
    (fa_heap_free)(allocator, transfers);
}

static bool clear_owned(fa_allocator *allocator, fai_owned *owned) {
    return drop_all(allocator, (fai_transfers *)owned);
}

static void lock_owned(fai_owned *owned) { pthread_mutex_lock(&((fai_transfers *)owned)->lock); }

static void unlock_owned(fai_owned *owned) {
    pthread_mutex_unlock(&((fai_transfers *)owned)->lock);
}

static const fai_owned_kind k_transfers = {.destroy = destroy_owned,
                                           .validate = validate_owned,
                                           .lock = lock_owned,
                                           .unlock = unlock_owned,
                                           .clear = clear_owned};
