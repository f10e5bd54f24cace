/* Slabs of handle tables: memory of one size class that objects are moved out of and into. */
#include "fa/internal/handle.h"
#include "fa/internal/heap.h"
#include "fa/internal/poison.h"

#include <string.h>

/* Four for each doubling, as pools have them. */
static const uint16_t k_class_bytes[FAI_HANDLE_CLASS_COUNT] = {
    16,  32,  48,  64,   80,   96,   112,  128,  160,  192,  224,  256,  320,  384,  448,  512,
    640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192};
_Static_assert(FA_HANDLE_SLAB_OBJECT_MAX == 8192, "the largest class");

/* The first place, and so each, is a multiple of what divides the class's size, up to a page. */
static size_t align_of_class(uint32_t class_index) {
    size_t bytes = k_class_bytes[class_index], lowest = bytes & (~bytes + 1);
    return lowest < FAI_HANDLE_SLAB_ALIGN_MAX ? lowest : FAI_HANDLE_SLAB_ALIGN_MAX;
}

uint32_t fai_handle_class_of(size_t bytes, size_t align) {
    if (bytes > FA_HANDLE_SLAB_OBJECT_MAX || align > FAI_HANDLE_SLAB_ALIGN_MAX)
        return FAI_HANDLE_CLASS_COUNT;
    uint32_t low = 0, high = FAI_HANDLE_CLASS_COUNT - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (k_class_bytes[middle] < bytes)
            low = middle + 1;
        else
            high = middle;
    }
    while (align_of_class(low) < align) /* the last class has the largest alignment */
        low++;
    return low;
}

/* ---- lists ---- */

fai_handle_slab **fai_handle_slab_bin(fai_handle_slab *slab) {
    if (slab->used == slab->place_count)
        return NULL;
    return &slab->group->bin[(size_t)slab->used * FAI_HANDLE_BIN_COUNT / slab->place_count];
}

void fai_handle_slab_unlist(fai_handle_slab *slab) {
    if (slab->list == NULL)
        return;
    if (slab->prev != NULL)
        slab->prev->next = slab->next;
    else
        *slab->list = slab->next;
    if (slab->next != NULL)
        slab->next->prev = slab->prev;
    slab->next = slab->prev = NULL;
    slab->list = NULL;
}

void fai_handle_slab_list(fai_handle_slab *slab, fai_handle_slab **list) {
    fai_handle_slab_unlist(slab);
    slab->list = list;
    if (list == NULL)
        return;
    slab->next = *list;
    if (*list != NULL)
        (*list)->prev = slab;
    *list = slab;
}

/* Where it belongs after one place more or less is used. */
static void relist(fa_handles *handles, fai_handle_slab *slab) {
    if (slab == handles->victim)
        return;
    fai_handle_slab **list = fai_handle_slab_bin(slab);
    if (list != NULL && slab->list == &slab->group->blocked)
        return;
    if (list != slab->list)
        fai_handle_slab_list(slab, list);
}

/* ---- memory ---- */

static fai_payer payer_of(const fa_handles *handles) {
    return (fai_payer){fai_tag_account(handles->allocator, handles->tag), NULL};
}

bool fai_handle_slab_memory(fa_handles *handles, fai_span *span) {
    fa_allocator *allocator = handles->allocator;
    size_t bytes = handles->options.slab_bytes;
    fai_payer payer = payer_of(handles);
    if (fai_account_charge(allocator, payer, FA_INTENT_HEAP, bytes) != FAI_CHARGE_OK)
        return false;
    /* A span of its own, so that it can go back by itself; from a sealed allocator what the heap
     * has left. */
    bool zeroed;
    fai_pending pending;
    fai_pending_begin(&pending, payer, FA_INTENT_HEAP, bytes);
    fa_status status = FAI_LOAD_RELAXED(&allocator->spans.sealed)
                           ? fai_store_take(allocator, bytes, bytes, span, &zeroed)
                           : fai_allocator_span(allocator, bytes, bytes, FA_SPAN_HEAP, span);
    if (status != FA_OK)
        fai_account_take_back(payer, FA_INTENT_HEAP, bytes);
    fai_pending_end(&pending);
    if (status != FA_OK)
        return false;
    if (!fai_handle_can_name(span->address, bytes)) {
        if (span->backend == FAI_STORE_CUT || !fai_span_free(&allocator->spans, span))
            fai_store_give(allocator, span);
        fai_account_discharge(payer, FA_INTENT_HEAP, bytes);
        fai_report_span(allocator, FA_ERROR_NO_MEMORY, bytes);
        return false;
    }
    fai_unpoison(span->address, bytes);
    fai_account_note(allocator, payer, FA_INTENT_HEAP);
    return true;
}

bool fai_handle_slab_memory_give(fa_handles *handles, const fai_span *span) {
    fa_allocator *allocator = handles->allocator;
    fai_span copy = *span;
    bool given = false;
    if (copy.backend != FAI_STORE_CUT) {
        fai_unpoison(copy.address, copy.size);
        given = fai_span_free(&allocator->spans, &copy);
    }
    if (!given) {
        fai_poison(copy.address, copy.size);
        fai_store_give(allocator, &copy);
    }
    fai_account_discharge(payer_of(handles), FA_INTENT_HEAP, handles->options.slab_bytes);
    return given;
}

static void push_empty(fa_handles *handles, fai_handle_slab *slab) {
    slab->group = NULL;
    slab->next = handles->empty;
    handles->empty = slab;
    handles->empty_count++;
}

void fai_handle_slab_add(fa_handles *handles, const fai_span *span) {
    fai_handle_slab *slab = (fai_handle_slab *)span->address;
    memset(slab, 0, sizeof *slab);
    slab->handles = handles;
    slab->span = *span;
    slab->next_of_all = handles->slabs;
    if (handles->slabs != NULL)
        handles->slabs->prev_of_all = slab;
    handles->slabs = slab;
    handles->slab_count++;
    push_empty(handles, slab);
}

bool fai_handle_slab_remove(fa_handles *handles, size_t keep_count, fai_span *span) {
    if (handles->empty_count <= keep_count || handles->slab_count <= handles->options.slab_count ||
        FAI_LOAD_RELAXED(&handles->allocator->spans.sealed))
        return false;
    fai_handle_slab *slab = handles->empty;
    handles->empty = slab->next;
    handles->empty_count--;
    handles->slab_count--;
    if (slab->prev_of_all != NULL)
        slab->prev_of_all->next_of_all = slab->next_of_all;
    else
        handles->slabs = slab->next_of_all;
    if (slab->next_of_all != NULL)
        slab->next_of_all->prev_of_all = slab->prev_of_all;
    *span = slab->span;
    return true;
}

/* Cuts an empty slab into places, all of them free. */
static void format(fa_handles *handles, fai_handle_slab *slab, fai_handle_group *group,
                   uint32_t class_index) {
    size_t slab_bytes = handles->options.slab_bytes, align = align_of_class(class_index);
    size_t bytes = k_class_bytes[class_index], per_place = sizeof(uint32_t) + sizeof(uint16_t);
    size_t count = slab_bytes / (bytes + per_place) + 1, words, offset;
    do {
        count--;
        words = (count + 63) / 64;
        offset = fai_round_up(sizeof *slab + words * sizeof(uint64_t) + count * per_place, align);
    } while (offset + count * bytes > slab_bytes);
    slab->group = group;
    slab->next = slab->prev = NULL;
    slab->list = NULL;
    slab->place_bytes = (uint32_t)bytes;
    slab->place_count = (uint32_t)count;
    slab->used = slab->scan = 0;
    slab->slots_offset = (uint32_t)(sizeof *slab + words * sizeof(uint64_t));
    slab->slack_offset = slab->slots_offset + (uint32_t)(count * sizeof(uint32_t));
    slab->first_offset = (uint32_t)offset;
    /* Where places of another class were, perhaps. */
    fai_unpoison((char *)slab + sizeof *slab, offset - sizeof *slab);
    uint64_t *bits = fai_handle_bits(slab);
    memset(bits, 0xFF, words * sizeof *bits);
    if (count % 64 != 0)
        bits[words - 1] = ((uint64_t)1 << count % 64) - 1;
    memset(fai_handle_slots(slab), 0xFF, count * sizeof(uint32_t));
    memset(fai_handle_slack(slab), 0, count * sizeof(uint16_t));
    if (handles->allocator->watched)
        fai_poison((char *)slab + offset, slab_bytes - offset);
    group->free_count += count;
}

/* ---- places ---- */

/* The fullest slab of a group that is not full; NULL: there is none but perhaps the victim. */
static fai_handle_slab *fullest(fai_handle_group *group) {
    for (size_t bin = FAI_HANDLE_BIN_COUNT; bin-- > 0;)
        if (group->bin[bin] != NULL)
            return group->bin[bin];
    return group->blocked;
}

fai_handle_place fai_handle_place_take(fa_handles *handles, uint32_t kind, uint32_t class_index,
                                       bool for_move) {
    fai_handle_group *group = &handles->group[kind][class_index];
    fai_handle_slab *slab = fullest(group);
    fai_handle_place none = {NULL, 0};
    if (slab == NULL && for_move)
        return none;
    if (slab == NULL && handles->victim != NULL && handles->victim->group == group) {
        fai_handle_victim_drop(handles); /* memory that is there comes first */
        slab = fullest(group);
    }
    if (slab == NULL && handles->empty != NULL) {
        slab = handles->empty;
        handles->empty = slab->next;
        handles->empty_count--;
        format(handles, slab, group, class_index);
    }
    if (slab == NULL)
        return none;
    uint64_t *bits = fai_handle_bits(slab);
    while (bits[slab->scan] == 0)
        slab->scan++;
    fai_handle_place place = {slab, slab->scan * 64 + (uint32_t)__builtin_ctzll(bits[slab->scan])};
    bits[slab->scan] &= bits[slab->scan] - 1;
    slab->used++;
    group->free_count--;
    relist(handles, slab);
    return place;
}

/* There may be something to be gained in a size class that this round has left already. */
static void gain(fa_handles *handles, const fai_handle_group *group) {
    size_t class_index = (size_t)(group - handles->group[0]);
    if (class_index < handles->class_next) /* groups of fixed objects lie behind */
        handles->class_next = (uint32_t)class_index;
}

void fai_handle_place_give(fa_handles *handles, fai_handle_place place) {
    fai_handle_slab *slab = place.slab;
    fai_handle_bits(slab)[place.index / 64] |= (uint64_t)1 << place.index % 64;
    fai_handle_slots(slab)[place.index] = FAI_HANDLE_NO_SLOT;
    if (place.index / 64 < slab->scan)
        slab->scan = place.index / 64;
    slab->used--;
    slab->group->free_count++;
    gain(handles, slab->group);
    if (slab->used != 0) {
        relist(handles, slab);
        return;
    }
    if (slab == handles->victim)
        handles->victim = NULL;
    fai_handle_slab_unlist(slab);
    slab->group->free_count -= slab->place_count;
    push_empty(handles, slab);
}

fai_handle_place fai_handle_place_of(const fa_handles *handles, const void *address,
                                     uint32_t slot_index) {
    fai_handle_place none = {NULL, 0};
    fai_handle_slab *slab =
        (fai_handle_slab *)((uintptr_t)address & ~(handles->options.slab_bytes - 1));
    size_t offset = (size_t)((uintptr_t)address - (uintptr_t)slab);
    if (slab->handles != handles || slab->group == NULL || slab->place_bytes == 0 ||
        offset < slab->first_offset)
        return none;
    offset -= slab->first_offset;
    fai_handle_place place = {slab, (uint32_t)(offset / slab->place_bytes)};
    return place.index < slab->place_count && offset % slab->place_bytes == 0 &&
                   fai_handle_slots(slab)[place.index] == slot_index
               ? place
               : none;
}

/* ---- what checks and sanitizers see ---- */

void fai_handle_dress(const fa_handles *handles, char *object, size_t size, size_t bytes,
                      bool fresh) {
    uint32_t checks = handles->allocator->checks;
    if (!handles->allocator->watched)
        return;
    if (fresh)
        fai_unpoison(object, size);
    if (fresh && (checks & FA_CHECK_FILL) != 0)
        memset(object, FAI_FILL_FRESH, size);
    fai_unpoison(object + size, bytes - size);
    if ((checks & FA_CHECK_GUARD) != 0)
        memset(object + size, FAI_FILL_GUARD, FAI_GUARD_BYTES);
    if (fresh && (checks & FA_CHECK_FILL) != 0)
        fai_unpoison(object, size); /* filled, but not the program's */
    fai_poison(object + size, bytes - size);
}

bool fai_handle_guard_is_whole(const fa_handles *handles, const char *object, size_t size) {
    if ((handles->allocator->checks & FA_CHECK_GUARD) == 0)
        return true;
    const char *guard = object + size;
    fai_unpoison_defined(guard, FAI_GUARD_BYTES);
    bool whole = fai_is_filled(guard, FAI_FILL_GUARD, FAI_GUARD_BYTES);
    fai_poison(guard, FAI_GUARD_BYTES);
    return whole;
}

void fai_handle_bury(const fa_handles *handles, char *object, size_t bytes) {
    if (!handles->allocator->watched)
        return;
    fai_unpoison(object, bytes);
    if ((handles->allocator->checks & FA_CHECK_FILL) != 0)
        memset(object, FAI_FILL_DEAD, bytes);
    fai_poison(object, bytes);
}

/* ---- validation ---- */

static bool slot_matches(const fa_handles *handles, uint32_t index, const char *address) {
    if (index == FAI_HANDLE_LIMBO)
        return true;
    if (index >= handles->head.slot_count)
        return false;
    fai_handle_slot slot = fai_handle_slot_at(handles, index);
    uint64_t state = FAI_LOAD_RELAXED(slot.state);
    if (fai_handle_generation(state) == 0) /* dead, but its memory is still held */
        return (state & FAI_HANDLE_HELD) != 0;
    return (state & FAI_HANDLE_LARGE) == 0 && fai_handle_address(slot) == address;
}

static bool slab_is_sound(const fa_handles *handles, fai_handle_slab *slab) {
    if (slab->handles != handles || slab->used > slab->place_count)
        return false;
    uint32_t used = 0;
    for (uint32_t i = 0; i < slab->place_count; i++) {
        bool is_free = (fai_handle_bits(slab)[i / 64] >> i % 64 & 1) != 0;
        uint32_t slot = fai_handle_slots(slab)[i];
        fai_handle_place place = {slab, i};
        char *address = fai_handle_place_address(place);
        if (is_free != (slot == FAI_HANDLE_NO_SLOT) || (is_free && i / 64 < slab->scan))
            return false;
        used += !is_free;
        if (is_free || slot == FAI_HANDLE_LIMBO)
            continue;
        if (!slot_matches(handles, slot, address) ||
            !fai_handle_guard_is_whole(handles, address, fai_handle_place_size(place)))
            return false;
    }
    fai_handle_slab **bin = fai_handle_slab_bin(slab);
    return used == slab->used && used != 0 &&
           (slab == handles->victim
                ? slab->list == NULL
                : slab->list == bin || (bin != NULL && slab->list == &slab->group->blocked));
}

const void *fai_handle_slabs_validate(fa_handles *handles) {
    size_t slabs = 0, empty = 0, free_places = 0, groups_free = 0;
    for (fai_handle_slab *slab = handles->slabs; slab; slab = slab->next_of_all) {
        slabs++;
        if (slab->group == NULL)
            continue;
        if (!slab_is_sound(handles, slab))
            return slab;
        free_places += slab->place_count - slab->used;
    }
    for (const fai_handle_slab *slab = handles->empty; slab; slab = slab->next) {
        empty++;
        if (slab->group != NULL || slab->handles != handles)
            return slab;
    }
    for (size_t kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < FAI_HANDLE_CLASS_COUNT; i++)
            groups_free += handles->group[kind][i].free_count;
    return slabs == handles->slab_count && empty == handles->empty_count &&
                   free_places == groups_free
               ? NULL
               : handles;
}
