/* What is done to a slot of a handle table, and in which order others see it.
 *
 * A slot has two words, in arrays of their own: the one that a resolve reads (fa/handle_slot.h), so
 * that nothing else fills the cache then, and its state.
 *
 * A state with a generation is live: generation | pins << 32 | flags. A free one has generation 0
 * and the next counter << 32. A dead one is like a free one, and HELD: its object was freed while
 * its move was being told, which still has its memory and the slot.
 *
 * Publish, kill, move and settle happen under the table's lock; pin, unpin and read without. While
 * MOVING is set nobody else changes the state, and the lock is held. What is ordered:
 *
 * - Publish, and the end of a move: word, then state, both with release: whoever finds the address
 *   in the word finds the contents, whoever finds the generation in the state the word.
 * - A word has its counter with the address: it is never taken for another object's.
 * - Pin: acquire, from that publish or move.
 * - Unpin: release; kill and the begin of a move: acquire. What was done to a pinned object comes
 *   before it is copied, and before its memory is used for something else.
 * - Settle: nothing; the lock orders the callback before the object's next move, and its end.
 *
 * Compiled for the checker of memory orders too (fa/weak/slot_weak_test.cc). */
#ifndef FAI_SLOT_H
#define FAI_SLOT_H

#include "fa/handle_slot.h"
#include "fa/internal/atomic.h"

#define FAI_HANDLE_PIN_SHIFT 32
#define FAI_HANDLE_PIN ((uint64_t)1 << FAI_HANDLE_PIN_SHIFT)
#define FAI_HANDLE_PINS ((uint64_t)0xFFFFFF << FAI_HANDLE_PIN_SHIFT)
#define FAI_HANDLE_MOVING ((uint64_t)1 << 56) /* being copied, under the table's lock */
#define FAI_HANDLE_HELD ((uint64_t)1 << 57)   /* its move is being told */
#define FAI_HANDLE_FIXED ((uint64_t)1 << 58)
#define FAI_HANDLE_LARGE ((uint64_t)1 << 59) /* a heap block */

/* generation = number of the table << FAI_HANDLE_COUNTER_BITS | counter; numbers start at 1. */

typedef struct fai_handle_slot {
    fai_handle_word *word; /* NULL: there is no slot */
    FAI_ATOMIC(uint64_t) * state;
} fai_handle_slot;

/* Whether [address, address + size) can be named. */
static inline bool fai_handle_can_name(const void *address, size_t size) {
    uint64_t first = (uintptr_t)address;
    return (first | (first + size - 1)) >> FAI_HANDLE_ADDRESS_BITS == 0;
}

static inline uint64_t fai_handle_bits_of(const void *address, uint32_t generation) {
    return (uint64_t)(uintptr_t)address << FAI_HANDLE_ADDRESS_SHIFT |
           (generation & FAI_HANDLE_COUNTER_MAX);
}
/* The address of a live slot's object, under the lock or with a pin. */
static inline void *fai_handle_address(fai_handle_slot slot) {
    uint64_t bits = FAI_LOAD_RELAXED(&slot.word->bits) & ~(uint64_t)FAI_HANDLE_COUNTER_MAX;
    return (void *)(uintptr_t)(bits >> FAI_HANDLE_ADDRESS_SHIFT);
}

static inline uint32_t fai_handle_generation(uint64_t state) { return (uint32_t)state; }
static inline uint32_t fai_handle_pins(uint64_t state) {
    return (uint32_t)((state & FAI_HANDLE_PINS) >> FAI_HANDLE_PIN_SHIFT);
}

/* An object is there from now on. state: with its generation. */
static inline void fai_handle_slot_publish(fai_handle_slot slot, void *address, uint64_t state) {
    FAI_STORE_RELEASE(&slot.word->bits, fai_handle_bits_of(address, fai_handle_generation(state)));
    FAI_STORE_RELEASE(slot.state, state);
}

typedef enum fai_handle_found {
    FAI_HANDLE_DONE,
    FAI_HANDLE_GONE,       /* the generation is not there */
    FAI_HANDLE_PINNED,     /* and so it was not done */
    FAI_HANDLE_NOT_PINNED, /* likewise */
    FAI_HANDLE_PINS_FULL,  /* likewise */
    FAI_HANDLE_IS_MOVING   /* try again once the lock was free */
} fai_handle_found;

/* The generation is gone, from both words. state: gets what was there; a HELD slot's memory is not
 * the caller's. */
static inline fai_handle_found fai_handle_slot_kill(fai_handle_slot slot, uint32_t generation,
                                                    uint64_t *state) {
    uint64_t seen = FAI_LOAD_RELAXED(slot.state), dead;
    uint64_t counter = (generation & FAI_HANDLE_COUNTER_MAX) + 1;
    do {
        if (fai_handle_generation(seen) != generation)
            return FAI_HANDLE_GONE;
        if (fai_handle_pins(seen) != 0)
            return FAI_HANDLE_PINNED;
        dead = counter << FAI_HANDLE_PIN_SHIFT | (seen & FAI_HANDLE_HELD);
    } while (!FAI_CAS_ACQUIRE(slot.state, &seen, dead));
    FAI_STORE_RELAXED(&slot.word->bits, 0);
    *state = seen;
    return FAI_HANDLE_DONE;
}

/* address: gets where the object is, and stays until it was unpinned. */
static inline fai_handle_found fai_handle_slot_pin(fai_handle_slot slot, uint32_t generation,
                                                   void **address) {
    uint64_t state = FAI_LOAD_RELAXED(slot.state);
    do {
        if (fai_handle_generation(state) != generation)
            return FAI_HANDLE_GONE;
        if ((state & FAI_HANDLE_MOVING) != 0)
            return FAI_HANDLE_IS_MOVING;
        if ((state & FAI_HANDLE_PINS) == FAI_HANDLE_PINS)
            return FAI_HANDLE_PINS_FULL;
    } while (!FAI_CAS_ACQUIRE(slot.state, &state, state + FAI_HANDLE_PIN));
    *address = fai_handle_address(slot);
    return FAI_HANDLE_DONE;
}

static inline fai_handle_found fai_handle_slot_unpin(fai_handle_slot slot, uint32_t generation) {
    uint64_t state = FAI_LOAD_RELAXED(slot.state);
    do {
        if (fai_handle_generation(state) != generation)
            return FAI_HANDLE_GONE;
        if (fai_handle_pins(state) == 0)
            return FAI_HANDLE_NOT_PINNED;
    } while (!FAI_CAS_RELEASE(slot.state, &state, state - FAI_HANDLE_PIN));
    return FAI_HANDLE_DONE;
}

/* Whether the object of a live state may be moved. */
static inline bool fai_handle_is_movable(uint64_t state) {
    return fai_handle_generation(state) != 0 && (state & (FAI_HANDLE_PINS | FAI_HANDLE_HELD)) == 0;
}

/* From here to the end of the move nobody pins the object. False: it can't be moved now. state:
 * gets what was there. */
static inline bool fai_handle_slot_move_begin(fai_handle_slot slot, uint64_t *state) {
    *state = FAI_LOAD_RELAXED(slot.state);
    do {
        if (!fai_handle_is_movable(*state))
            return false;
    } while (!FAI_CAS_ACQUIRE(slot.state, state, *state | FAI_HANDLE_MOVING));
    return true;
}

/* The copy is there. state: as it was; is_held: until it is settled. */
static inline void fai_handle_slot_move_end(fai_handle_slot slot, void *address, uint64_t state,
                                            bool is_held) {
    fai_handle_slot_publish(slot, address, is_held ? state | FAI_HANDLE_HELD : state);
}

/* The move was told. False: the object was freed meanwhile, so that its memory is the caller's. */
static inline bool fai_handle_slot_settle(fai_handle_slot slot) {
    uint64_t state = FAI_LOAD_RELAXED(slot.state);
    while (!FAI_CAS_RELAXED(slot.state, &state, state & ~FAI_HANDLE_HELD)) {
    }
    return fai_handle_generation(state) != 0;
}

#endif
