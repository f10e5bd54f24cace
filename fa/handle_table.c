/* Handle tables: their numbers, their slots, their life, and what can be asked about them. */
#include "fa/internal/handle.h"
#include "fa/internal/heap.h"

#include <string.h>

_Static_assert(FAI_HANDLE_COUNTER_MAX == FA_HANDLE_USES_MAX - 1, "uses of a slot");
_Static_assert(FAI_HANDLE_PINS >> FAI_HANDLE_PIN_SHIFT == FA_HANDLE_PIN_COUNT_MAX, "pins");

#define SLAB_BYTES_MIN ((size_t)64 << 10)
#define SLAB_BYTES_MAX ((size_t)4 << 20)
#define SLAB_COUNT_MAX ((size_t)65536)
#define SLOT_COUNT_MAX ((size_t)1 << 31)
#define DIRECTORY_CAPACITY_FIRST 16
#define BLOCK_BYTES (FAI_HANDLE_BLOCK_HEADER + 2 * FAI_HANDLE_BLOCK * sizeof(fai_handle_word))

/* ---- numbers of tables ---- */

/* By number: the first counter that was never used with it, and whether a table has it now. Of the
 * process, without a lock, so that a fork finds it in order. */
static uint32_t g_numbers[FA_HANDLE_TABLE_COUNT_MAX + 1];
static uint32_t g_number_next;
#define NUMBER_TAKEN ((uint32_t)1 << 31)
/* A number with few counters left is not used any more. */
#define COUNTER_FIRST_MAX (FAI_HANDLE_COUNTER_MAX - FAI_HANDLE_COUNTER_MAX / 16)

/* Takes a number that no table has. Returns false when there is none. */
static bool number_take(fa_handles *handles) {
    uint32_t first = FAI_ADD_RELAXED(&g_number_next, 1);
    for (uint32_t i = 0; i < FA_HANDLE_TABLE_COUNT_MAX; i++) {
        uint32_t number = (first + i) % FA_HANDLE_TABLE_COUNT_MAX + 1;
        uint32_t seen = FAI_LOAD_RELAXED(&g_numbers[number]);
        while ((seen & NUMBER_TAKEN) == 0 && seen <= COUNTER_FIRST_MAX) {
            if (!FAI_CAS_RELAXED(&g_numbers[number], &seen, seen | NUMBER_TAKEN))
                continue;
            handles->head.generations = number << FAI_HANDLE_COUNTER_BITS;
            handles->counter_first = handles->counter_end = seen;
            return true;
        }
    }
    return false;
}

static void number_give(const fa_handles *handles) {
    FAI_STORE_RELAXED(&g_numbers[handles->head.generations >> FAI_HANDLE_COUNTER_BITS],
                      handles->counter_end);
}

/* ---- slots ---- */

static fai_handle_word *words_of(fai_handle_block *block) {
    return (fai_handle_word *)((uintptr_t)block + FAI_HANDLE_BLOCK_HEADER);
}
static fai_handle_block *block_of(fai_handle_word *words) {
    return (fai_handle_block *)((uintptr_t)words - FAI_HANDLE_BLOCK_HEADER);
}

static size_t directory_bytes(size_t capacity) {
    return sizeof(fai_handle_directory) + capacity * sizeof(fai_handle_word *);
}

/* Slots that are used up do not count: others take their place, as long as there are indices. */
static bool may_grow(const fa_handles *handles) {
    size_t count = handles->head.slot_count;
    return count - handles->slot_retired_count < handles->options.slot_count_max &&
           count + FAI_HANDLE_BLOCK <= SLOT_COUNT_MAX;
}

bool fai_handle_growth_plan(const fa_handles *handles, fai_handle_growth *growth) {
    size_t count = handles->head.slot_count;
    if (!may_grow(handles))
        return false;
    const fai_handle_directory *directory = handles->directory;
    growth->is_wanted = true;
    growth->capacity = 0;
    if (directory == NULL)
        growth->capacity = DIRECTORY_CAPACITY_FIRST;
    else if (count / FAI_HANDLE_BLOCK == directory->capacity)
        growth->capacity = directory->capacity * 2;
    return true;
}

bool fai_handle_growth_take(fa_handles *handles, fai_handle_growth *growth) {
    fa_allocator *allocator = handles->allocator;
    growth->block =
        (fai_handle_block *)fai_heap_alloc(allocator, BLOCK_BYTES, FA_CACHE_LINE, handles->tag);
    if (growth->block == NULL)
        return false;
    if (growth->capacity == 0)
        return true;
    growth->directory = (fai_handle_directory *)fai_heap_alloc(
        allocator, directory_bytes(growth->capacity), FA_CACHE_LINE, handles->tag);
    if (growth->directory == NULL)
        return false;
    growth->directory->capacity = growth->capacity;
    return true;
}

static void add_directory(fa_handles *handles, fai_handle_growth *growth) {
    fai_handle_directory *old = handles->directory, *directory = growth->directory;
    if (old != NULL && old->capacity >= directory->capacity)
        return; /* another thread was faster */
    memset(directory->blocks, 0, directory->capacity * sizeof directory->blocks[0]);
    if (old != NULL)
        memcpy(directory->blocks, old->blocks, old->capacity * sizeof old->blocks[0]);
    directory->retired = old;
    handles->directory = directory;
    handles->table_bytes += directory_bytes(directory->capacity);
    /* Seen by whoever sees a count that needs it: that is stored later, with release. But also
     * earlier, by readers with an older count: so it is stored with release itself, and loaded with
     * acquire, or they might not see what it holds. */
    FAI_STORE_RELEASE(&handles->head.blocks, (fai_handle_word *const *)directory->blocks);
    growth->directory = NULL;
}

void fai_handle_growth_add(fa_handles *handles, fai_handle_growth *growth) {
    if (growth->directory != NULL)
        add_directory(handles, growth);
    fai_handle_directory *directory = handles->directory;
    fai_handle_block *block = growth->block;
    uint32_t count = handles->head.slot_count;
    if (block == NULL || count / FAI_HANDLE_BLOCK == directory->capacity || !may_grow(handles))
        return;
    fai_handle_word *words = words_of(block);
    fai_handle_word *states = words + FAI_HANDLE_BLOCK;
    memset(block, 0, sizeof *block);
    memset(block->free, 0xFF, sizeof block->free);
    block->first = count;
    block->free_count = FAI_HANDLE_BLOCK;
    for (uint32_t i = 0; i < FAI_HANDLE_BLOCK; i++) {
        words[i].bits = 0;
        states[i].bits = (uint64_t)handles->counter_first << FAI_HANDLE_PIN_SHIFT;
    }
    directory->blocks[count / FAI_HANDLE_BLOCK] = words;
    if (handles->free_last != NULL)
        handles->free_last->next_free = block;
    else
        handles->free_first = block;
    handles->free_last = block;
    handles->slot_free_count += FAI_HANDLE_BLOCK;
    handles->table_bytes += BLOCK_BYTES;
    growth->block = NULL;
    FAI_STORE_RELEASE(&handles->head.slot_count, count + FAI_HANDLE_BLOCK);
}

void fai_handle_growth_give(fa_handles *handles, fai_handle_growth *growth) {
    if (growth->block != NULL)
        fai_heap_give(handles->allocator, growth->block, SIZE_MAX);
    if (growth->directory != NULL)
        fai_heap_give(handles->allocator, growth->directory, SIZE_MAX);
    memset(growth, 0, sizeof *growth);
}

/* The first free slot of a block from its cursor on, of which it has one. */
static uint32_t next_free(const fai_handle_block *block) {
    uint32_t word = block->cursor / 64;
    uint64_t bits = block->free[word] & ~(uint64_t)0 << block->cursor % 64;
    while (bits == 0) {
        word = (word + 1) % (FAI_HANDLE_BLOCK / 64);
        bits = block->free[word];
    }
    return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

fa_handle fai_handle_slot_take(fa_handles *handles, void *address, uint64_t flags) {
    fai_handle_block *block = handles->free_first;
    uint32_t at = next_free(block);
    block->free[at / 64] &= ~((uint64_t)1 << at % 64);
    block->cursor = (at + 1) % FAI_HANDLE_BLOCK;
    handles->slot_free_count--;
    if (--block->free_count == 0) {
        handles->free_first = block->next_free;
        block->next_free = NULL;
        if (handles->free_first == NULL)
            handles->free_last = NULL;
    }
    fai_handle_slot slot = fai_handle_slot_at(handles, block->first + at);
    uint32_t counter = (uint32_t)(FAI_LOAD_RELAXED(slot.state) >> FAI_HANDLE_PIN_SHIFT);
    fa_handle handle = {block->first + at, handles->head.generations | counter};
    if (counter >= handles->counter_end)
        handles->counter_end = counter + 1;
    fai_handle_slot_publish(slot, address, handle.generation | flags);
    return handle;
}

void fai_handle_slot_give(fa_handles *handles, uint32_t index) {
    fai_handle_slot slot = fai_handle_slot_at(handles, index);
    fai_handle_block *block = block_of(slot.word - index % FAI_HANDLE_BLOCK);
    uint64_t state = FAI_LOAD_RELAXED(slot.state) & ~FAI_HANDLE_HELD;
    FAI_STORE_RELAXED(slot.state, state);
    if (state >> FAI_HANDLE_PIN_SHIFT > FAI_HANDLE_COUNTER_MAX) {
        handles->slot_retired_count++;
        return;
    }
    block->free[index % FAI_HANDLE_BLOCK / 64] |= (uint64_t)1 << index % 64;
    handles->slot_free_count++;
    if (block->free_count++ != 0)
        return;
    if (handles->free_last != NULL)
        handles->free_last->next_free = block;
    else
        handles->free_first = block;
    handles->free_last = block;
}

size_t fai_handle_object_size(fa_handles *handles, uint32_t index, fai_handle_place *place) {
    fai_handle_slot slot = fai_handle_slot_at(handles, index);
    void *address = fai_handle_address(slot);
    place->slab = NULL;
    if ((FAI_LOAD_RELAXED(slot.state) & FAI_HANDLE_LARGE) != 0)
        return fai_heap_size(handles->allocator, address);
    *place = fai_handle_place_of(handles, address, index);
    return place->slab != NULL ? fai_handle_place_size(*place) : 0;
}

/* ---- life ---- */

/* Gives everything back. Nobody uses it any more. */
static size_t destroy(fa_handles *handles) {
    fa_allocator *allocator = handles->allocator;
    size_t alive = handles->live_count;
    uint32_t slot_count = handles->head.slot_count;
    for (uint32_t i = 0; i < slot_count && handles->large_count != 0; i++) {
        fai_handle_slot slot = fai_handle_slot_at(handles, i);
        uint64_t state = FAI_LOAD_RELAXED(slot.state);
        if ((state & FAI_HANDLE_LARGE) == 0 || fai_handle_generation(state) == 0)
            continue;
        fai_heap_give(allocator, fai_handle_address(slot), SIZE_MAX);
        handles->large_count--;
    }
    for (fai_handle_slab *slab = handles->slabs, *next; slab; slab = next) {
        next = slab->next_of_all;
        fai_span span = slab->span;
        fai_handle_slab_memory_give(handles, &span);
    }
    for (uint32_t i = 0; i < slot_count / FAI_HANDLE_BLOCK; i++)
        fai_heap_give(allocator, block_of(handles->directory->blocks[i]), SIZE_MAX);
    for (fai_handle_directory *directory = handles->directory, *older; directory;
         directory = older) {
        older = directory->retired;
        fai_heap_give(allocator, directory, SIZE_MAX);
    }
    number_give(handles);
    pthread_mutex_destroy(&handles->lock);
    fai_heap_give(allocator, handles, SIZE_MAX);
    return alive;
}

static fa_handles *of_owned(fai_owned *owned) {
    return (fa_handles *)((uintptr_t)owned - offsetof(fa_handles, owned));
}

static void destroy_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    destroy(of_owned(owned));
}
static void lock_owned(fai_owned *owned) { fai_handles_lock(of_owned(owned)); }
static void unlock_owned(fai_owned *owned) { fai_handles_unlock(of_owned(owned)); }

/* Whether a resolve finds what the state names, and nothing else. */
static bool words_agree(const fa_handles *handles, fai_handle_slot slot) {
    uint32_t generation = fai_handle_generation(FAI_LOAD_RELAXED(slot.state));
    if (generation == 0)
        return FAI_LOAD_RELAXED(&slot.word->bits) == 0;
    uint32_t counter = generation ^ handles->head.generations;
    return counter <= FAI_HANDLE_COUNTER_MAX && fai_handle_word_read(slot.word, counter) != NULL;
}

static const void *slots_validate(fa_handles *handles) {
    size_t live = 0, free_count = 0, large = 0, bytes = 0, block_free = 0;
    for (uint32_t i = 0; i < handles->head.slot_count; i++) {
        fai_handle_slot slot = fai_handle_slot_at(handles, i);
        const fai_handle_block *block = block_of(handles->directory->blocks[i / FAI_HANDLE_BLOCK]);
        bool is_free = (block->free[i % FAI_HANDLE_BLOCK / 64] >> i % 64 & 1) != 0;
        uint64_t state = FAI_LOAD_RELAXED(slot.state);
        bool is_live = fai_handle_generation(state) != 0;
        fai_handle_place place;
        free_count += is_free;
        block_free += i % FAI_HANDLE_BLOCK == 0 ? block->free_count : 0;
        if ((is_free && is_live) || !words_agree(handles, slot))
            return slot.word;
        if (!is_live)
            continue;
        size_t size = fai_handle_object_size(handles, i, &place);
        if (size == 0 || (state & FAI_HANDLE_MOVING) != 0)
            return slot.word;
        live++;
        large += (state & FAI_HANDLE_LARGE) != 0;
        bytes += size;
    }
    return live == handles->live_count && free_count == handles->slot_free_count &&
                   free_count == block_free && large == handles->large_count &&
                   bytes == handles->live_bytes
               ? NULL
               : handles;
}

static const void *validate(fa_allocator *allocator, fai_owned *owned) {
    fa_handles *handles = of_owned(owned);
    fai_handles_lock(handles);
    const void *wrong = handles->allocator == allocator ? slots_validate(handles) : handles;
    if (wrong == NULL)
        wrong = fai_handle_slabs_validate(handles);
    fai_handles_unlock(handles);
    return wrong;
}

/* Empty slabs. */
static size_t trim_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fa_handles *handles = of_owned(owned);
    size_t bytes = 0;
    for (;;) {
        fai_span slab;
        fai_handles_lock(handles);
        bool has_slab = fai_handle_slab_remove(handles, 0, &slab);
        fai_handles_unlock(handles);
        if (!has_slab)
            return bytes;
        if (!fai_handle_slab_memory_give(handles, &slab))
            continue;
        FAI_ADD_RELAXED(&handles->slab_returned_count, 1);
        bytes += handles->options.slab_bytes;
    }
}

static void fork_owned(fai_owned *owned) { fai_handles_fork_child(of_owned(owned)); }

static const fai_owned_kind k_kind = {.destroy = destroy_owned,
                                      .validate = validate,
                                      .lock = lock_owned,
                                      .unlock = unlock_owned,
                                      .fork_child = fork_owned,
                                      .trim = trim_owned};

/* ---- create ---- */

/* Fills zeros in; false: one is out of range. */
static bool resolve(fa_handles_options *options) {
    if (options->slab_bytes == 0)
        options->slab_bytes = SLAB_BYTES_MIN;
    if (options->slot_count_max == 0)
        options->slot_count_max = SLOT_COUNT_MAX;
    if (options->slot_count_max > SLOT_COUNT_MAX || options->slot_count > options->slot_count_max)
        return false;
    options->slot_count_max = fai_round_up(options->slot_count_max, FAI_HANDLE_BLOCK);
    return fai_is_power_of_two(options->slab_bytes) && options->slab_bytes >= SLAB_BYTES_MIN &&
           options->slab_bytes <= SLAB_BYTES_MAX && options->slab_count <= SLAB_COUNT_MAX;
}

/* What the options ask for from the start. */
static bool stock(fa_handles *handles) {
    while (handles->head.slot_count < handles->options.slot_count) {
        fai_handle_growth growth = {0};
        bool taken =
            fai_handle_growth_plan(handles, &growth) && fai_handle_growth_take(handles, &growth);
        if (taken)
            fai_handle_growth_add(handles, &growth);
        fai_handle_growth_give(handles, &growth);
        if (!taken)
            return false;
    }
    while (handles->slab_count < handles->options.slab_count) {
        fai_span span;
        if (!fai_handle_slab_memory(handles, &span))
            return false;
        fai_handle_slab_add(handles, &span);
    }
    return true;
}

fa_handles *fai_handles_create(fa_allocator *allocator, const fa_handles_options *options,
                               uint32_t counter_first) {
    fa_handles_options own = {0};
    if (options != NULL)
        own = *options;
    if (allocator == NULL || !resolve(&own)) {
        fai_slot.site = NULL;
        fai_fail(FA_ERROR_INVALID, 0);
        return NULL;
    }
    fa_tag tag = fai_tag_now(allocator);
    fa_handles *handles =
        (fa_handles *)fai_heap_alloc(allocator, sizeof *handles, FA_CACHE_LINE, tag);
    if (handles == NULL)
        return NULL;
    memset(handles, 0, sizeof *handles);
    handles->allocator = allocator;
    handles->options = own;
    handles->tag = tag;
    handles->table_bytes = sizeof *handles;
    bool has_lock = pthread_mutex_init(&handles->lock, NULL) == 0;
    if (!has_lock || !number_take(handles)) {
        if (has_lock)
            pthread_mutex_destroy(&handles->lock);
        fai_heap_give(allocator, handles, SIZE_MAX);
        fai_fail(has_lock ? FA_ERROR_LIMIT : FA_ERROR_NO_MEMORY, 0);
        return NULL;
    }
    if (counter_first > handles->counter_first)
        handles->counter_first = handles->counter_end = counter_first;
    if (!stock(handles)) {
        fa_error error = fa_last_error();
        destroy(handles);
        fai_error_restore(error);
        return NULL;
    }
    fai_owned_add(allocator, &handles->owned, &k_kind);
    return handles;
}

fa_handles *(fa_handles_create)(fa_allocator *allocator, const fa_handles_options *options) {
    return fai_handles_create(allocator, options, 0);
}

size_t fa_handles_destroy(fa_handles *handles) {
    if (handles == NULL)
        return 0;
    fai_owned_remove(handles->allocator, &handles->owned);
    return destroy(handles);
}

/* ---- what can be asked ---- */

fa_status fa_handles_stats_get(fa_handles *handles, fa_handles_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (handles == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_handles_lock(handles);
    for (uint32_t i = 0; i < handles->head.slot_count; i++) {
        uint64_t state = FAI_LOAD_RELAXED(fai_handle_slot_at(handles, i).state);
        stats->pinned_count += fai_handle_generation(state) != 0 && fai_handle_pins(state) != 0;
    }
    stats->live_count = handles->live_count;
    stats->fixed_count = handles->fixed_count;
    stats->large_count = handles->large_count;
    stats->slot_count = handles->head.slot_count;
    stats->slot_free_count = handles->slot_free_count;
    stats->slot_retired_count = handles->slot_retired_count;
    stats->slab_count = handles->slab_count;
    stats->slab_empty_count = handles->empty_count;
    stats->bytes_used = handles->live_bytes;
    stats->bytes_held = handles->slab_count * handles->options.slab_bytes + handles->large_bytes +
                        handles->table_bytes;
    stats->fragmentation = 1 - (double)stats->bytes_used / (double)stats->bytes_held;
    stats->alloc_count = handles->alloc_count;
    stats->free_count = handles->free_count;
    stats->moved_count = handles->moved_count;
    stats->moved_bytes = handles->moved_bytes;
    stats->slab_returned_count = FAI_LOAD_RELAXED(&handles->slab_returned_count);
    fai_handles_unlock(handles);
    return FA_OK;
}

/* The first live object from an index on; false: there is none. */
static bool next_live(fa_handles *handles, uint32_t *index, fa_handle_info *info) {
    bool found = false;
    fai_handles_lock(handles);
    for (; *index < handles->head.slot_count && !found; ++*index) {
        fai_handle_slot slot = fai_handle_slot_at(handles, *index);
        uint64_t state = FAI_LOAD_RELAXED(slot.state);
        fai_handle_place place;
        if (fai_handle_generation(state) == 0)
            continue;
        info->handle = (fa_handle){*index, fai_handle_generation(state)};
        info->address = fai_handle_address(slot);
        info->size = fai_handle_object_size(handles, *index, &place);
        info->pin_count = fai_handle_pins(state);
        info->is_fixed = (state & FAI_HANDLE_FIXED) != 0;
        info->is_large = (state & FAI_HANDLE_LARGE) != 0;
        found = true;
    }
    fai_handles_unlock(handles);
    return found;
}

size_t fa_handles_visit(fa_handles *handles, void (*visit)(void *user, const fa_handle_info *info),
                        void *user) {
    if (handles == NULL || visit == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    size_t count = 0;
    fa_handle_info info;
    for (uint32_t index = 0; next_live(handles, &index, &info); count++)
        visit(user, &info);
    return count;
}
