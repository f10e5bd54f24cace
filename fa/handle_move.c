/* Compaction of handle tables: objects of the emptiest slab of a size class move into the fullest
 * ones until it is empty and can go back, as long as the class has as many free places as a slab
 * has in all. (Moving into the fullest first: as the compaction of Ruby's heap does; what a slab
 * yields by its occupancy: Powers et al., "Mesh: compacting memory management for C/C++
 * applications", 2019.)
 *
 * The work is done in small pieces, each under the lock by itself: a few slabs with pinned objects
 * put back among the others, one word of a slab's bits looked at for pinned objects, one object
 * moved, or one slab given back. What was left undone stands in
 * the table, so that the next piece may be another thread's. */
#include "fa/internal/callback.h"
#include "fa/internal/clock.h"
#include "fa/internal/handle.h"
#include "fa/internal/poison.h"

#include <string.h>

#define UNBLOCKED_AT_ONCE 16 /* slabs */

/* ---- the victim ---- */

void fai_handle_victim_drop(fa_handles *handles) {
    fai_handle_slab *slab = handles->victim;
    handles->victim = NULL;
    if (slab != NULL)
        fai_handle_slab_list(slab, fai_handle_slab_bin(slab));
}

/* Pinned objects are in it. */
static void victim_block(fa_handles *handles) {
    fai_handle_slab *slab = handles->victim;
    handles->victim = NULL;
    fai_handle_slab_list(slab, &slab->group->blocked);
}

static void open_round(fa_handles *handles, bool is_second) {
    handles->class_next = handles->class_unblock = 0;
    handles->round_is_open = true;
    handles->round_is_second = is_second;
    FAI_STORE_RELAXED(&handles->was_unpinned, false);
}

/* What was blocked may be tried again. False: there is none left. */
static bool unblock_some(fa_handles *handles) {
    size_t left = UNBLOCKED_AT_ONCE;
    for (; handles->class_unblock < FAI_HANDLE_CLASS_COUNT; handles->class_unblock++) {
        fai_handle_group *group = &handles->group[0][handles->class_unblock];
        for (; group->blocked != NULL; left--) {
            if (left == 0)
                return true;
            fai_handle_slab_list(group->blocked, fai_handle_slab_bin(group->blocked));
        }
    }
    return left != UNBLOCKED_AT_ONCE;
}

/* Nothing is to be gained any more; but where something was unpinned meanwhile there may be, once.
 * Whoever unpins all the time would keep others at it for ever. */
static bool round_goes_on(fa_handles *handles) {
    handles->round_is_open = !handles->round_is_second && FAI_LOAD_RELAXED(&handles->was_unpinned);
    if (handles->round_is_open)
        open_round(handles, true);
    return handles->round_is_open;
}

/* Whether the others of a group have room for all objects of any of its slabs. */
static bool has_room(const fai_handle_group *group, const fai_handle_slab *slab) {
    return group->free_count >= slab->place_count;
}

static fai_handle_slab *emptiest(const fai_handle_group *group) {
    for (size_t bin = 0; bin < FAI_HANDLE_BIN_COUNT; bin++)
        if (group->bin[bin] != NULL)
            return group->bin[bin];
    return NULL;
}

/* Makes sure that there is a victim; false: nothing is to be gained in this round any more. */
static bool victim_find(fa_handles *handles) {
    if (handles->victim != NULL && has_room(handles->victim->group, handles->victim))
        return true;
    fai_handle_victim_drop(handles);
    for (; handles->class_next < FAI_HANDLE_CLASS_COUNT; handles->class_next++) {
        fai_handle_group *group = &handles->group[0][handles->class_next];
        fai_handle_slab *slab = emptiest(group);
        if (slab == NULL || !has_room(group, slab))
            continue;
        fai_handle_slab_unlist(slab);
        handles->victim = slab;
        handles->victim_next = 0;
        handles->victim_is_checked = false;
        return true;
    }
    return false;
}

/* Bits of the places in use in the word of the bitmap that victim_next lies in, from there on. */
static uint64_t places_used(const fa_handles *handles) {
    const fai_handle_slab *slab = handles->victim;
    uint32_t word = handles->victim_next / 64, rest = slab->place_count - word * 64;
    uint64_t used = ~fai_handle_bits(slab)[word] & (~(uint64_t)0 << handles->victim_next % 64);
    return rest < 64 ? used & (((uint64_t)1 << rest) - 1) : used;
}

/* Whether what lies in a place of the victim can be moved now; slot: gets its slot. */
static bool is_movable(const fa_handles *handles, uint32_t index, fai_handle_slot *slot) {
    uint32_t slot_index = fai_handle_slots(handles->victim)[index];
    if (slot_index >= handles->head.slot_count)
        return false; /* its object has left, which is being told */
    *slot = fai_handle_slot_at(handles, slot_index);
    return fai_handle_is_movable(FAI_LOAD_RELAXED(slot->state));
}

/* Looks at one word of the victim's places. A slab with pinned objects would not become empty:
 * nothing of it is moved. */
static void victim_check(fa_handles *handles) {
    fai_handle_slot slot;
    uint32_t first = handles->victim_next;
    for (uint64_t used = places_used(handles); used != 0; used &= used - 1)
        if (!is_movable(handles, first + (uint32_t)__builtin_ctzll(used), &slot)) {
            victim_block(handles);
            return;
        }
    handles->victim_next += 64;
    if (handles->victim_next >= handles->victim->place_count) {
        handles->victim_next = 0;
        handles->victim_is_checked = true;
    }
}

/* ---- one move ---- */

typedef struct object_move {
    fa_handle handle;
    fai_handle_place from, to;
    char *address_old, *address_new;
    size_t size;
    bool guard_broken; /* then nothing is moved any more: FA604 ends the process */
} object_move;

/* Moves the object in a place of the victim. Returns false when it is pinned by now. Under the
 * lock. */
static bool move_object(fa_handles *handles, uint32_t index, object_move *move) {
    fai_handle_slot slot;
    if (!is_movable(handles, index, &slot))
        return false;
    bool told = handles->options.on_moved != NULL;
    move->from = (fai_handle_place){handles->victim, index};
    move->address_old = fai_handle_place_address(move->from);
    move->size = fai_handle_place_size(move->from);
    move->guard_broken = !fai_handle_guard_is_whole(handles, move->address_old, move->size);
    if (move->guard_broken)
        return true;
    uint64_t state;
    if (!fai_handle_slot_move_begin(slot, &state))
        return false;
    uint32_t slot_index = fai_handle_slots(handles->victim)[index];
    uint32_t class_index = (uint32_t)(handles->victim->group - handles->group[0]);
    move->to = fai_handle_place_take(handles, 0, class_index, true);
    move->handle = (fa_handle){slot_index, fai_handle_generation(state)};
    move->address_new = fai_handle_place_address(move->to);
    fai_unpoison(move->address_new, move->size);
    memcpy(move->address_new, move->address_old, move->size);
    fai_handle_dress(handles, move->address_new, move->size, move->to.slab->place_bytes, false);
    fai_handle_slots(move->to.slab)[move->to.index] = slot_index;
    fai_handle_slack(move->to.slab)[move->to.index] =
        fai_handle_slack(move->from.slab)[move->from.index];
    fai_handle_slot_move_end(slot, move->address_new, state, told);
    handles->told_count += told;
    handles->moved_count++;
    handles->moved_bytes += move->size;
    fai_handle_bury(handles, move->address_old, move->from.slab->place_bytes);
    if (told)
        fai_handle_slots(move->from.slab)[move->from.index] = FAI_HANDLE_LIMBO;
    else
        fai_handle_place_give(handles, move->from);
    return true;
}

/* The object's move was told; it may have been freed meanwhile. Under the lock. */
static void settle_object(fa_handles *handles, uint32_t slot_index, fai_handle_place place) {
    if (fai_handle_slot_settle(fai_handle_slot_at(handles, slot_index)))
        return;
    fai_handle_bury(handles, fai_handle_place_address(place), place.slab->place_bytes);
    fai_handle_place_give(handles, place);
    fai_handle_slot_give(handles, slot_index);
}

/* After the callback: the old place is free too. Under the lock. */
static void settle(fa_handles *handles, const object_move *move) {
    handles->told_count--;
    fai_handle_place_give(handles, move->from);
    settle_object(handles, move->handle.index, move->to);
}

/* Callbacks that this thread is in. */
static __thread uint32_t t_telling;

static void fork_slab(fa_handles *handles, fai_handle_slab *slab) {
    for (uint32_t i = 0; i < slab->place_count && slab->group != NULL; i++) {
        uint32_t slot_index = fai_handle_slots(slab)[i];
        fai_handle_place place = {slab, i};
        if (slot_index == FAI_HANDLE_LIMBO)
            fai_handle_place_give(handles, place);
        else if (slot_index != FAI_HANDLE_NO_SLOT &&
                 (FAI_LOAD_RELAXED(fai_handle_slot_at(handles, slot_index).state) &
                  FAI_HANDLE_HELD) != 0)
            settle_object(handles, slot_index, place);
    }
}

void fai_handles_fork_child(fa_handles *handles) {
    if (handles->told_count == 0 || t_telling != 0)
        return;
    for (fai_handle_slab *slab = handles->slabs; slab; slab = slab->next_of_all)
        if (slab->group != NULL)
            fork_slab(handles, slab);
    handles->told_count = 0;
}

/* ---- pieces of work ---- */

typedef enum work_piece { PIECE_NONE, PIECE_SOME, PIECE_MOVE, PIECE_SLAB } work_piece;

/* Does one piece, or what of it needs the lock. Under the lock. */
static work_piece next_piece(fa_handles *handles, object_move *move, fai_span *slab) {
    if (!handles->round_is_open)
        open_round(handles, false);
    if (unblock_some(handles))
        return PIECE_SOME;
    if (fai_handle_slab_remove(handles, 0, slab))
        return PIECE_SLAB;
    if (!victim_find(handles))
        return round_goes_on(handles) ? PIECE_SOME : PIECE_NONE;
    if (!handles->victim_is_checked) {
        victim_check(handles);
        return PIECE_SOME;
    }
    /* Of what was pinned since, the rest stays where it is. */
    uint32_t first = handles->victim_next;
    for (uint64_t used = places_used(handles); used != 0; used &= used - 1) {
        uint32_t index = first / 64 * 64 + (uint32_t)__builtin_ctzll(used);
        handles->victim_next = index + 1;
        if (move_object(handles, index, move)) {
            if (handles->victim != NULL && handles->victim_next == handles->victim->place_count)
                victim_block(handles);
            return PIECE_MOVE;
        }
    }
    handles->victim_next = (first / 64 + 1) * 64;
    if (handles->victim_next >= handles->victim->place_count)
        victim_block(handles);
    return PIECE_SOME;
}

/* What of a move is done without the lock. */
static void finish_move(fa_handles *handles, const object_move *move) {
    fa_handle_moved_fn *on_moved = handles->options.on_moved;
    if (move->guard_broken)
        fai_report(handles->allocator, FA_DIAG_FA604, FA_ERROR_CORRUPT, move->size, 0,
                   move->address_old);
    if (on_moved == NULL)
        return;
    t_telling++;
    fai_callback outer = fai_callback_begin();
    on_moved(handles->options.on_moved_user, handles, move->handle, move->address_old,
             move->address_new, move->size);
    fai_callback_end(outer);
    t_telling--;
    fai_handles_lock(handles);
    settle(handles, move);
    fai_handles_unlock(handles);
}

fa_handles_step fa_handles_compact(fa_handles *handles, size_t bytes_max,
                                   uint64_t nanoseconds_max) {
    fa_handles_step step;
    memset(&step, 0, sizeof step);
    if (handles == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        step.done = true;
        return step;
    }
    uint64_t start = nanoseconds_max != 0 ? fai_clock() : 0;
    for (;;) {
        object_move move = {0};
        fai_span slab;
        fai_handles_lock(handles);
        work_piece piece = next_piece(handles, &move, &slab);
        fai_handles_unlock(handles);
        if (piece == PIECE_NONE) {
            step.done = true;
            return step;
        }
        if (piece == PIECE_MOVE) {
            finish_move(handles, &move);
            step.moved_count++;
            step.moved_bytes += move.size;
        } else if (piece == PIECE_SLAB && fai_handle_slab_memory_give(handles, &slab)) {
            FAI_ADD_RELAXED(&handles->slab_returned_count, 1);
            step.slab_count++;
            step.bytes_returned += handles->options.slab_bytes;
        }
        if ((bytes_max != 0 && step.moved_bytes >= bytes_max) ||
            (nanoseconds_max != 0 && fai_clock() - start >= nanoseconds_max))
            return step;
    }
}
