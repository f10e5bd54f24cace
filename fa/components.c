/* Components: blocks of objects without gaps, and pages that say which of them an id has.
 *
 * Invariants: objects 0 to count - 1 are alive and have their ids beside them; a page's slot holds
 * 1 and the number of the id's object, or 0; a page that is in the table has such a slot. */
#include "fa/components.h"

#include "fa/heap.h"
#include "fa/internal/heap.h"
#include "fa/internal/poison.h"

#include <string.h>

#define PAGE_SHIFT 9
#define PAGE_IDS ((size_t)1 << PAGE_SHIFT)
#define BLOCK_BYTES_FIRST ((size_t)2 << 10)
#define BLOCK_BYTES ((size_t)64 << 10)
#define ALIGN_MAX ((size_t)4096)
#define PAGES_FIRST 8
#define BLOCKS_FIRST 8

typedef struct page {
    uint32_t number; /* id >> PAGE_SHIFT */
    uint32_t count;
    uint32_t slot[PAGE_IDS];
} page;

struct fa_components {
    fai_components_head head; /* must be first */
    fai_owned owned;
    fa_allocator *allocator;
    fa_tag tag;
    uint32_t shift, shift_first; /* objects of a large block and of the first one, as logarithms */
    size_t size, align;
    size_t stride; /* from object to object */
    size_t count_max, count_reserved, count_peak;
    size_t bytes_held;

    char **blocks; /* objects, followed by their ids */
    size_t block_count, blocks_capacity;
    page **pages; /* open addressing; a power of two, more than twice the pages */
    size_t page_count, pages_capacity;
    page *spare; /* all zero */
};

static fa_components *set_of(fai_owned *owned) {
    return (fa_components *)(void *)((char *)owned - offsetof(fa_components, owned));
}

/* ---- objects by number ---- */

/* The first two blocks are of the same size, then each is twice as large as the one before, until
 * all are large. Together the first ones hold as many as a large one. */
static inline size_t small_blocks(const fa_components *set) {
    return set->shift - set->shift_first + 1;
}

/* Objects that so many blocks have room for. */
static size_t capacity_of(const fa_components *set, size_t blocks) {
    if (blocks <= small_blocks(set))
        return blocks != 0 ? (size_t)1 << (set->shift_first + blocks - 1) : 0;
    return (blocks - small_blocks(set) + 1) << set->shift;
}

typedef struct spot {
    size_t block, at;
} spot;

static inline spot spot_of(const fa_components *set, size_t index) {
    size_t large = index >> set->shift, first = index >> set->shift_first;
    if (FA_LIKELY(large != 0))
        return (spot){small_blocks(set) + large - 1, index & (((size_t)1 << set->shift) - 1)};
    if (first == 0)
        return (spot){0, index};
    size_t log2 = 63 - (size_t)__builtin_clzll(first);
    return (spot){log2 + 1, index - ((size_t)1 << (set->shift_first + log2))};
}

static inline char *object_at(const fa_components *set, size_t index) {
    spot here = spot_of(set, index);
    return set->blocks[here.block] + here.at * set->stride;
}

/* Bytes of the objects of a block; their ids follow. */
static size_t objects_bytes(const fa_components *set, size_t block) {
    size_t count = capacity_of(set, block + 1) - capacity_of(set, block);
    return fai_round_up(count * set->stride, sizeof(uint32_t));
}

static uint32_t *id_at(const fa_components *set, size_t index) {
    spot here = spot_of(set, index);
    char *ids = set->blocks[here.block] + objects_bytes(set, here.block);
    return (uint32_t *)(void *)ids + here.at;
}

static size_t block_bytes(const fa_components *set, size_t block) {
    size_t count = capacity_of(set, block + 1) - capacity_of(set, block);
    return objects_bytes(set, block) + count * sizeof(uint32_t);
}

/* Whether the last block is full. */
static bool is_tight(const fa_components *set) {
    return set->head.count == capacity_of(set, set->block_count);
}

/* ---- pages ---- */

static size_t home_of(const fa_components *set, uint32_t number) {
    return (size_t)((uint32_t)(number * 0x9E3779B9u) >> 8) & (set->pages_capacity - 1);
}

/* Where the page of an id is, or would be. */
static inline size_t find_page(const fa_components *set, uint32_t number) {
    size_t i = home_of(set, number);
    while (set->pages[i] != NULL && set->pages[i]->number != number)
        i = (i + 1) & (set->pages_capacity - 1);
    return i;
}

/* The slot of an id, NULL where there is no page. */
static inline uint32_t *slot_of(const fa_components *set, uint32_t id) {
    if (set->page_count == 0)
        return NULL;
    page *found = set->pages[find_page(set, id >> PAGE_SHIFT)];
    return found != NULL ? &found->slot[id & (PAGE_IDS - 1)] : NULL;
}

/* Closes the gap, so that no search stops too early. */
static void erase_page(fa_components *set, size_t gap) {
    size_t mask = set->pages_capacity - 1;
    for (size_t i = (gap + 1) & mask; set->pages[i] != NULL; i = (i + 1) & mask) {
        size_t home = home_of(set, set->pages[i]->number);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            set->pages[gap] = set->pages[i];
            gap = i;
        }
    }
    set->pages[gap] = NULL;
    set->page_count--;
}

/* ---- memory ---- */

static void *take(fa_components *set, size_t bytes) {
    void *block = fai_heap_alloc(set->allocator, bytes,
                                 set->align > FA_CACHE_LINE ? set->align : FA_CACHE_LINE, set->tag);
    if (block != NULL)
        set->bytes_held += bytes;
    return block;
}

static size_t give(fa_components *set, void *block, size_t bytes) {
    if (block == NULL)
        return 0;
    (fa_heap_free)(set->allocator, block);
    set->bytes_held -= bytes;
    return bytes;
}

static bool grow_pages(fa_components *set) {
    size_t old_capacity = set->pages_capacity;
    size_t capacity = old_capacity != 0 ? old_capacity * 2 : PAGES_FIRST;
    page **pages = (page **)take(set, capacity * sizeof *pages);
    if (pages == NULL)
        return false;
    page **old = set->pages;
    memset(pages, 0, capacity * sizeof *pages);
    if (set->pages_capacity != old_capacity) { /* a reclaimer was at work */
        give(set, pages, capacity * sizeof *pages);
        return true;
    }
    set->pages = pages;
    set->pages_capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i] != NULL)
            pages[find_page(set, old[i]->number)] = old[i];
    give(set, old, old_capacity * sizeof *old);
    return true;
}

static bool grow_blocks(fa_components *set) {
    size_t old_capacity = set->blocks_capacity;
    size_t capacity = old_capacity != 0 ? old_capacity * 2 : BLOCKS_FIRST;
    char **blocks = (char **)take(set, capacity * sizeof *blocks);
    if (blocks == NULL)
        return false;
    char **old = blocks;
    if (set->blocks_capacity == old_capacity) { /* else a reclaimer was at work */
        old = set->blocks;
        if (set->block_count != 0)
            memcpy(blocks, old, set->block_count * sizeof *blocks);
        set->blocks = blocks;
        set->blocks_capacity = capacity;
        capacity = old_capacity;
    }
    give(set, old, capacity * sizeof *old);
    return true;
}

static bool add_block(fa_components *set) {
    if (set->block_count == set->blocks_capacity)
        return grow_blocks(set);
    size_t number = set->block_count, bytes = block_bytes(set, number);
    char *block = (char *)take(set, bytes);
    if (block == NULL)
        return false;
    if (set->block_count != number || number == set->blocks_capacity) {
        give(set, block, bytes);
        return true;
    }
    if (set->allocator->watched)
        fai_poison(block, objects_bytes(set, number));
    set->blocks[set->block_count] = block;
    set->block_count++;
    return true;
}

static bool add_spare(fa_components *set) {
    page *made = (page *)take(set, sizeof *made);
    if (made == NULL)
        return false;
    memset(made, 0, sizeof *made);
    if (set->spare == NULL)
        set->spare = made;
    else
        give(set, made, sizeof *made);
    return true;
}

/* Takes what an object of that id still needs. Each call for memory may run callbacks that change
 * the set: so it is looked at anew after each. */
static fa_status prepare(fa_components *set, uint32_t id) {
    for (;;) {
        bool done;
        if (is_tight(set))
            done = add_block(set);
        else if (slot_of(set, id) != NULL)
            return FA_OK;
        else if ((set->page_count + 1) * 2 > set->pages_capacity)
            done = grow_pages(set);
        else if (set->spare == NULL)
            done = add_spare(set);
        else
            return FA_OK;
        if (!done)
            return fa_last_error().status;
    }
}

/* Gives blocks behind the last object back, but keep of them, and what is reserved. */
static size_t drop_blocks(fa_components *set, size_t keep) {
    size_t bytes = 0;
    while (set->block_count > keep) {
        size_t without = capacity_of(set, set->block_count - 1 - keep);
        if (without < set->head.count ||
            capacity_of(set, set->block_count - 1) < set->count_reserved)
            break;
        set->block_count--;
        bytes += give(set, set->blocks[set->block_count], block_bytes(set, set->block_count));
    }
    return bytes;
}

/* ---- the calls ---- */

fa_status(fa_components_insert)(fa_components *set, uint32_t id, void **object) {
    if (object != NULL)
        *object = NULL;
    if (set == NULL || object == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    uint32_t *slot = slot_of(set, id);
    if (slot != NULL && *slot != 0) {
        *object = object_at(set, *slot - 1);
        return FA_ERROR_EXISTS;
    }
    if (set->head.count >= set->count_max)
        return FA_ERROR_FULL;
    if (slot == NULL || is_tight(set)) {
        fa_status status = prepare(set, id);
        if (status != FA_OK)
            return status;
        slot = slot_of(set, id);
        if ((slot != NULL && *slot != 0) || set->head.count >= set->count_max)
            return (fa_components_insert)(set, id, object); /* a callback was faster */
    }
    if (slot == NULL) {
        page *made = set->spare;
        set->spare = NULL;
        made->number = id >> PAGE_SHIFT;
        set->pages[find_page(set, made->number)] = made;
        set->page_count++;
        slot = &made->slot[id & (PAGE_IDS - 1)];
    }
    size_t index = set->head.count;
    set->pages[find_page(set, id >> PAGE_SHIFT)]->count++;
    *slot = (uint32_t)(index + 1);
    *id_at(set, index) = id;
    set->head.count++;
    if (set->head.count > set->count_peak)
        set->count_peak = set->head.count;
    *object = object_at(set, index);
    if (set->allocator->watched) {
        fai_unpoison(*object, set->size);
        if (set->allocator->checks & FA_CHECK_FILL)
            memset(*object, FAI_FILL_FRESH, set->size);
        fai_unpoison(*object, set->size);
    }
    return FA_OK;
}

void *fa_components_get(const fa_components *set, uint32_t id) {
    if (FA_UNLIKELY(set == NULL)) {
        fai_fail(FA_ERROR_INVALID, 0);
        return NULL;
    }
    const uint32_t *slot = slot_of(set, id);
    return slot != NULL && *slot != 0 ? object_at(set, *slot - 1) : NULL;
}

static void bury(fa_components *set, size_t first, size_t end) {
    if (!set->allocator->watched)
        return;
    for (size_t i = first; i < end; i++) {
        char *object = object_at(set, i);
        fai_unpoison(object, set->stride);
        if (set->allocator->checks & FA_CHECK_FILL)
            memset(object, FAI_FILL_DEAD, set->stride);
        fai_poison(object, set->stride);
    }
}

/* The page has no object any more. */
static void drop_page(fa_components *set, size_t at) {
    page *empty = set->pages[at];
    erase_page(set, at);
    if (set->spare == NULL)
        set->spare = empty;
    else
        give(set, empty, sizeof *empty);
}

bool fa_components_remove(fa_components *set, uint32_t id) {
    if (set == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return false;
    }
    uint32_t *slot = slot_of(set, id);
    if (slot == NULL || *slot == 0)
        return false;
    size_t index = *slot - 1, last = set->head.count - 1;
    *slot = 0;
    if (index != last) {
        uint32_t moved = *id_at(set, last);
        memcpy(object_at(set, index), object_at(set, last), set->size);
        *id_at(set, index) = moved;
        *slot_of(set, moved) = (uint32_t)(index + 1);
    }
    set->head.count--;
    set->head.removed_count++;
    bury(set, last, last + 1);
    size_t at = find_page(set, id >> PAGE_SHIFT);
    set->pages[at]->count--;
    if (set->pages[at]->count == 0)
        drop_page(set, at);
    drop_blocks(set, 1);
    return true;
}

void fa_components_clear(fa_components *set) {
    if (set == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return;
    }
    bury(set, 0, set->head.count);
    set->head.count = 0;
    set->head.removed_count++;
    set->page_count = 0;
    for (size_t i = 0; i < set->pages_capacity; i++) {
        page *old = set->pages[i];
        set->pages[i] = NULL;
        if (old == NULL)
            continue;
        if (set->spare == NULL) {
            memset(old, 0, sizeof *old);
            set->spare = old;
        } else {
            give(set, old, sizeof *old);
        }
    }
}

fa_status(fa_components_reserve)(fa_components *set, size_t count) {
    if (set == NULL || count > set->count_max)
        return fai_fail(FA_ERROR_INVALID, count);
    size_t before = set->count_reserved;
    set->count_reserved = count > before ? count : before; /* nothing goes while more comes */
    while (capacity_of(set, set->block_count) < count)
        if (!add_block(set)) {
            set->count_reserved = before;
            return fa_last_error().status;
        }
    set->count_reserved = count;
    return FA_OK;
}

size_t fa_components_trim(fa_components *set) {
    if (set == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    size_t bytes = drop_blocks(set, 0);
    bytes += give(set, set->spare, sizeof *set->spare);
    set->spare = NULL;
    return bytes;
}

fa_status fa_components_stats_get(const fa_components *set, fa_components_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (set == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    stats->count = set->head.count;
    stats->count_peak = set->count_peak;
    stats->capacity = capacity_of(set, set->block_count);
    stats->page_count = set->page_count;
    stats->bytes_held = set->bytes_held;
    return FA_OK;
}

/* The index that ends the run in which an object lies. */
static size_t run_end(const fa_components *set, size_t index) {
    size_t end = capacity_of(set, spot_of(set, index).block + 1);
    return end < set->head.count ? end : set->head.count;
}

bool fa_components_next_run(const fa_components *set, fa_components_run *run) {
    if (set == NULL || run == NULL) {
        if (run != NULL)
            *run = (fa_components_run){0};
        fai_fail(FA_ERROR_INVALID, 0);
        return false;
    }
    size_t first = run->first + run->count;
    *run = (fa_components_run){0};
    if (first >= set->head.count)
        return false;
    run->items = object_at(set, first);
    run->ids = id_at(set, first);
    run->first = first;
    run->count = run_end(set, first) - first;
    return true;
}

const fai_components_head *fai_components_walk_begin(const fa_components *set, size_t size) {
    if (set != NULL && size == set->stride)
        return &set->head;
    fai_fail(FA_ERROR_INVALID, size);
    return NULL;
}

fai_components_step fai_components_walk_on(const fai_components_head *head, size_t index,
                                           uint32_t id) {
    const fa_components *set = (const fa_components *)(const void *)head;
    if (index == SIZE_MAX)
        index = 0;
    else if (index < head->count && *id_at(set, index) == id) /* else another took its place */
        index++;
    if (index >= head->count)
        return (fai_components_step){NULL, NULL, NULL, 0};
    size_t next = run_end(set, index);
    char *item = object_at(set, index);
    return (fai_components_step){item, item + (next - index) * set->stride, id_at(set, index),
                                 next};
}

/* ---- life ---- */

static size_t end(fa_components *set) {
    size_t count = set->head.count;
    fa_components_clear(set);
    set->count_reserved = 0;
    fa_components_trim(set);
    give(set, set->pages, set->pages_capacity * sizeof *set->pages);
    give(set, set->blocks, set->blocks_capacity * sizeof *set->blocks);
    (fa_heap_free)(set->allocator, set);
    return count;
}

static void destroy_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    end(set_of(owned));
}

static const void *validate_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    const fa_components *set = set_of(owned);
    size_t pages = 0, counted = 0;
    if (set->head.count > capacity_of(set, set->block_count) || set->head.count > set->count_max ||
        set->block_count > set->blocks_capacity)
        return set;
    for (size_t i = 0; i < set->head.count; i++) {
        const uint32_t *slot = slot_of(set, *id_at(set, i));
        if (slot == NULL || *slot != i + 1)
            return object_at(set, i);
    }
    for (size_t i = 0; i < set->pages_capacity; i++) {
        const page *here = set->pages[i];
        if (here == NULL)
            continue;
        size_t used = 0;
        for (size_t at = 0; at < PAGE_IDS; at++)
            used += here->slot[at] != 0;
        if (used == 0 || used != here->count || set->pages[find_page(set, here->number)] != here)
            return here;
        pages++;
        counted += used;
    }
    return pages == set->page_count && counted == set->head.count ? NULL : set;
}

static const fai_owned_kind k_components = {.destroy = destroy_owned, .validate = validate_owned};

static bool is_legal(const fa_components_config *config) {
    size_t most = config->count_max != 0 ? config->count_max : UINT32_MAX;
    return config->size - 1 < FA_SIZE_MAX / 64 &&
           (config->align == 0 ||
            (fai_is_power_of_two(config->align) && config->align <= ALIGN_MAX)) &&
           most <= UINT32_MAX && config->count_reserved <= most;
}

fa_status(fa_components_create)(fa_allocator *allocator, const fa_components_config *config,
                                fa_components **made) {
    if (made != NULL)
        *made = NULL;
    if (allocator == NULL || config == NULL || made == NULL || !is_legal(config))
        return fai_fail(FA_ERROR_INVALID, config != NULL ? config->size : 0);
    fa_tag tag = fai_tag_now(allocator);
    fa_components *set =
        (fa_components *)fai_heap_alloc(allocator, sizeof *set, FA_CACHE_LINE, tag);
    if (set == NULL)
        return fa_last_error().status;
    memset(set, 0, sizeof *set);
    set->allocator = allocator;
    set->tag = tag;
    set->size = config->size;
    set->align = config->align != 0 ? config->align : FA_ALIGN_MIN;
    set->stride = fai_round_up(set->size, set->align);
    set->count_max = config->count_max != 0 ? config->count_max : UINT32_MAX;
    set->bytes_held = sizeof *set;
    while (set->stride << (set->shift + 1) <= BLOCK_BYTES)
        set->shift++;
    while (set->stride << (set->shift_first + 1) <= BLOCK_BYTES_FIRST)
        set->shift_first++;
    fa_status status = (fa_components_reserve)(set, config->count_reserved);
    if (status != FA_OK) {
        end(set);
        return status;
    }
    fai_owned_add(allocator, &set->owned, &k_components);
    *made = set;
    return FA_OK;
}

size_t fa_components_destroy(fa_components *set) {
    if (set == NULL)
        return 0;
    fai_owned_remove(set->allocator, &set->owned);
    return end(set);
}
