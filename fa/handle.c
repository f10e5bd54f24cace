/* Objects of handle tables: alloc, free, pin, unpin. */
#include "fa/handle.h"

#include "fa/internal/handle.h"
#include "fa/internal/heap.h"

#include <string.h>

static const fa_handle k_none = {0, 0};

/* ---- alloc ---- */

typedef struct object_request {
    size_t size, align;
    uint32_t kind;
    uint32_t class_index; /* FAI_HANDLE_CLASS_COUNT: a block of its own */
    uint64_t flags;       /* of the slot */
    bool zeroed;
} object_request;

/* What an object needs that the table has not got: asked for under the lock, taken without. */
typedef struct supply {
    fai_handle_growth growth;
    bool wants_slab, has_slab;
    fai_span slab;
    void *large;
} supply;

static void give_back(fa_handles *handles, supply *more) {
    fai_handle_growth_give(handles, &more->growth);
    if (more->has_slab)
        fai_handle_slab_memory_give(handles, &more->slab);
    if (more->large != NULL)
        fai_heap_give(handles->allocator, more->large, SIZE_MAX);
    memset(more, 0, sizeof *more);
}

/* All of it or nothing, with the reason reported. */
static bool take_more(fa_handles *handles, const object_request *request, supply *more) {
    bool done = true;
    if (request->class_index == FAI_HANDLE_CLASS_COUNT && more->large == NULL) {
        more->large =
            fai_heap_alloc(handles->allocator, request->size, request->align, handles->tag);
        done = more->large != NULL;
        if (done && !fai_handle_can_name(more->large, request->size)) {
            fai_report_span(handles->allocator, FA_ERROR_NO_MEMORY, request->size);
            done = false;
        }
        if (done && request->zeroed)
            memset(more->large, 0, request->size);
    }
    if (done && more->growth.is_wanted)
        done = fai_handle_growth_take(handles, &more->growth);
    if (done && more->wants_slab)
        done = more->has_slab = fai_handle_slab_memory(handles, &more->slab);
    if (!done) {
        fa_error error = fa_last_error();
        give_back(handles, more);
        fai_error_restore(error);
    }
    return done;
}

/* Under the lock. */
static fa_handle place_object(fa_handles *handles, const object_request *request,
                              fai_handle_place place, void *large) {
    size_t size = request->size;
    char *object = (char *)large;
    if (place.slab != NULL) {
        object = fai_handle_place_address(place);
        fai_handle_dress(handles, object, size, place.slab->place_bytes, true);
        if (request->zeroed)
            memset(object, 0, size);
        fai_handle_slack(place.slab)[place.index] = (uint16_t)(place.slab->place_bytes - size);
    }
    fa_handle handle = fai_handle_slot_take(handles, object, request->flags);
    if (place.slab != NULL)
        fai_handle_slots(place.slab)[place.index] = handle.index;
    handles->alloc_count++;
    handles->live_count++;
    handles->live_bytes += size;
    handles->fixed_count += request->kind;
    handles->large_count += place.slab == NULL;
    handles->large_bytes += place.slab == NULL ? size : 0;
    return handle;
}

/* One attempt with what there is. Returns none and asks for more where that is not enough; status:
 * gets FA_ERROR_FULL when more would not help. Under the lock. */
static fa_handle try_alloc(fa_handles *handles, const object_request *request, supply *more,
                           fa_status *status) {
    *status = FA_OK;
    if (more->has_slab)
        fai_handle_slab_add(handles, &more->slab);
    more->has_slab = more->wants_slab = false;
    fai_handle_growth_add(handles, &more->growth);
    bool has_slot =
        handles->slot_free_count != 0 && handles->live_count < handles->options.slot_count_max;
    more->growth.is_wanted = false;
    if (!has_slot &&
        (handles->slot_free_count != 0 || !fai_handle_growth_plan(handles, &more->growth))) {
        *status = FA_ERROR_FULL;
        return k_none;
    }
    fai_handle_place place = {NULL, 0};
    if (request->class_index == FAI_HANDLE_CLASS_COUNT) {
        if (!has_slot || more->large == NULL)
            return k_none;
    } else {
        place = fai_handle_place_take(handles, request->kind, request->class_index, false);
        more->wants_slab = place.slab == NULL;
        if (!has_slot && place.slab != NULL)
            fai_handle_place_give(handles, place);
        if (!has_slot || place.slab == NULL)
            return k_none;
    }
    fa_handle handle = place_object(handles, request, place, more->large);
    more->large = NULL;
    return handle;
}

/* Where other threads were faster, memory for slots is left over: the next attempt, if there is
 * one, takes what it needs itself. */
static void give_growth_left(fa_handles *handles, supply *more) {
    fai_handle_growth plan = more->growth;
    fai_handle_growth_give(handles, &more->growth);
    more->growth.is_wanted = plan.is_wanted;
    more->growth.capacity = plan.capacity;
}

fa_handle(fa_handle_alloc_with)(fa_handles *handles, size_t size, size_t align, uint32_t flags) {
    const fa_site *site = fai_slot.site;
    if (align < FA_ALIGN_MIN && fai_is_power_of_two(align))
        align = FA_ALIGN_MIN;
    if (handles == NULL || !fai_is_request(size, align) ||
        (flags & ~(uint32_t)(FA_HANDLE_FIXED | FA_HANDLE_ZEROED)) != 0) {
        fai_slot.site = NULL;
        fai_fail(FA_ERROR_INVALID, size);
        return k_none;
    }
    bool fixed = (flags & FA_HANDLE_FIXED) != 0;
    object_request request = {size, align, fixed, 0, 0, (flags & FA_HANDLE_ZEROED) != 0};
    request.class_index = fai_handle_class_of(fai_handle_place_bytes(handles, size), align);
    request.flags = (fixed ? FAI_HANDLE_FIXED : 0) |
                    (request.class_index == FAI_HANDLE_CLASS_COUNT ? FAI_HANDLE_LARGE : 0);
    supply more = {0};
    fa_handle handle;
    fa_status status;
    for (;;) {
        fai_handles_lock(handles);
        handle = try_alloc(handles, &request, &more, &status);
        fai_handles_unlock(handles);
        give_growth_left(handles, &more);
        if (!fa_handle_is_none(handle) || status != FA_OK)
            break;
        fai_slot.site = site;
        if (!take_more(handles, &request, &more)) {
            fai_slot.site = NULL;
            return k_none;
        }
    }
    fai_slot.site = NULL;
    give_back(handles, &more);
    if (status != FA_OK)
        fai_fail(status, size);
    return handle;
}

fa_handle(fa_handle_alloc)(fa_handles *handles, size_t size) {
    return (fa_handle_alloc_with)(handles, size, FA_ALIGN_MIN, 0);
}

/* ---- free ---- */

/* What is left to do of a free without the lock. */
typedef struct buried {
    fa_status status;
    void *address;
    size_t size;
    bool is_damaged;   /* the book-keeping */
    bool guard_broken; /* something wrote behind the object */
    bool is_large;
    bool has_slab;
    fai_span slab;
} buried;

/* Under the lock. */
static void bury(fa_handles *handles, fa_handle handle, buried *dead) {
    fai_handle_slot slot = fai_handle_find(handles, handle);
    uint64_t state = 0;
    dead->status = FA_ERROR_FOREIGN;
    if (slot.word == NULL)
        return;
    dead->address = fai_handle_address(slot);
    fai_handle_found found = fai_handle_slot_kill(slot, handle.generation, &state);
    if (found == FAI_HANDLE_GONE)
        return;
    dead->status = found == FAI_HANDLE_PINNED ? FA_ERROR_INVALID : FA_OK;
    if (dead->status != FA_OK)
        return;
    /* It was live a moment ago, and nobody else can have changed anything since. */
    fai_handle_place place = {NULL, 0};
    dead->is_large = (state & FAI_HANDLE_LARGE) != 0;
    if (dead->is_large)
        dead->size = fai_heap_size(handles->allocator, dead->address);
    else
        place = fai_handle_place_of(handles, dead->address, handle.index);
    dead->is_damaged = !dead->is_large && place.slab == NULL;
    if (dead->is_damaged)
        return;
    if (!dead->is_large)
        dead->size = fai_handle_place_size(place);
    handles->free_count++;
    handles->live_count--;
    handles->live_bytes -= dead->size;
    handles->fixed_count -= (state & FAI_HANDLE_FIXED) != 0;
    handles->large_count -= dead->is_large;
    handles->large_bytes -= dead->is_large ? dead->size : 0;
    if (!dead->is_large)
        dead->guard_broken = !fai_handle_guard_is_whole(handles, dead->address, dead->size);
    if ((state & FAI_HANDLE_HELD) != 0)
        return; /* its memory and its slot are given back by who tells of its move */
    if (!dead->is_large) {
        fai_handle_bury(handles, dead->address, place.slab->place_bytes);
        fai_handle_place_give(handles, place);
    }
    fai_handle_slot_give(handles, handle.index);
    dead->has_slab = fai_handle_slab_remove(handles, 1, &dead->slab);
}

fa_status(fa_handle_free)(fa_handles *handles, fa_handle handle) {
    if (handles == NULL || fa_handle_is_none(handle)) {
        fai_slot.site = NULL;
        return handles == NULL ? fai_fail(FA_ERROR_INVALID, 0) : FA_OK;
    }
    fa_allocator *allocator = handles->allocator;
    buried dead = {0};
    fai_handles_lock(handles);
    bury(handles, handle, &dead);
    fai_handles_unlock(handles);
    if (dead.status == FA_ERROR_FOREIGN)
        return fai_report(allocator, FA_DIAG_FA620, dead.status, 0, 0, NULL);
    if (dead.status != FA_OK)
        return fai_report(allocator, FA_DIAG_FA621, dead.status, 0, 0, dead.address);
    if (dead.is_damaged)
        return fai_report(allocator, FA_DIAG_FA606, FA_ERROR_CORRUPT, 0, 0, dead.address);
    if (dead.guard_broken)
        fai_report(allocator, FA_DIAG_FA604, FA_ERROR_CORRUPT, dead.size, 0, dead.address);
    if (dead.is_large)
        fai_heap_give(allocator, dead.address, SIZE_MAX);
    if (dead.has_slab && fai_handle_slab_memory_give(handles, &dead.slab))
        FAI_ADD_RELAXED(&handles->slab_returned_count, 1);
    fai_slot.site = NULL;
    return FA_OK;
}

/* ---- pins ---- */

void *fa_handle_pin(fa_handles *handles, fa_handle handle) {
    fai_handle_slot slot = {NULL, NULL};
    if (handles != NULL)
        slot = fai_handle_find(handles, handle);
    void *address = NULL;
    fai_handle_found found = FAI_HANDLE_GONE;
    if (slot.word != NULL)
        found = fai_handle_slot_pin(slot, handle.generation, &address);
    while (FA_UNLIKELY(found == FAI_HANDLE_IS_MOVING)) {
        fai_handles_lock(handles); /* whoever moves it has the lock until it is done */
        fai_handles_unlock(handles);
        found = fai_handle_slot_pin(slot, handle.generation, &address);
    }
    if (FA_UNLIKELY(found == FAI_HANDLE_PINS_FULL))
        fai_fail(FA_ERROR_LIMIT, 0);
    return address;
}

fa_status(fa_handle_unpin)(fa_handles *handles, fa_handle handle) {
    if (handles == NULL) {
        fai_slot.site = NULL;
        return fai_fail(FA_ERROR_INVALID, 0);
    }
    fai_handle_slot slot = fai_handle_find(handles, handle);
    fai_handle_found found = FAI_HANDLE_GONE;
    if (slot.word != NULL)
        found = fai_handle_slot_unpin(slot, handle.generation);
    if (found == FAI_HANDLE_GONE)
        return fai_report(handles->allocator, FA_DIAG_FA620, FA_ERROR_FOREIGN, 0, 0, NULL);
    if (found == FAI_HANDLE_NOT_PINNED)
        return fai_report(handles->allocator, FA_DIAG_FA621, FA_ERROR_INVALID, 0, 0,
                          fai_handle_address(slot));
    if (!FAI_LOAD_RELAXED(&handles->was_unpinned))
        FAI_STORE_RELAXED(&handles->was_unpinned, true);
    fai_slot.site = NULL;
    return FA_OK;
}

size_t fa_handle_size(fa_handles *handles, fa_handle handle) {
    if (handles == NULL)
        return 0;
    size_t size = 0;
    fai_handle_place place;
    fai_handles_lock(handles);
    fai_handle_slot slot = fai_handle_find(handles, handle);
    if (slot.word != NULL &&
        fai_handle_generation(FAI_LOAD_RELAXED(slot.state)) == handle.generation)
        size = fai_handle_object_size(handles, handle.index, &place);
    fai_handles_unlock(handles);
    return size;
}
