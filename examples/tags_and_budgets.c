/* Tags and budgets: who is the memory for, and how much may they have?
 *
 * A thread enters a tag, and what it allocates is charged to that until it leaves. A budget limits
 * a tag with all below it. Here particles may take 64 KiB of the heap, sounds as much as they like.
 * patterns/tag_report.c prints what each tag holds, patterns/accounts.c lets a cache make room. */
#include "fa/fa.h"

#include <stdio.h>

enum { BUDGET_BYTES = 64 << 10, BLOCK_BYTES = 10000, BLOCKS = 10 };

/* Allocates until it is told to stop. Returns how many blocks it got. */
static int fill(fa_allocator *memory, void **blocks) {
    int count = 0;
    while (count < BLOCKS && (blocks[count] = fa_heap_alloc(memory, BLOCK_BYTES)) != NULL)
        count++;
    return count;
}

static void drop(fa_allocator *memory, void *const *blocks, int count) {
    for (int i = 0; i < count; i++)
        fa_heap_free(memory, blocks[i]); /* in any tag: it is taken from the account it stands in */
}

static int fill_in_tag(fa_allocator *memory, const char *name, void **blocks) {
    fa_tag_scope_name(memory, name, entered); /* left when the function returns */
    if (entered.status != FA_OK)
        return 0;
    return fill(memory, blocks);
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    fa_tag effects = fa_tag_intern(memory, "effects"); /* made once, compared as a number */
    fa_budget most = {.hard_bytes = BUDGET_BYTES};
    if (effects == FA_TAG_NONE ||
        fa_budget_set_tag(memory, effects, FA_INTENT_HEAP, &most) != FA_OK)
        return 1;

    void *particles[BLOCKS], *sounds[BLOCKS];
    int particle_count = fill_in_tag(memory, "effects::particles", particles);
    fa_error error = fa_last_error();
    printf("particles: %d blocks, then: %s\n", particle_count, fa_status_text(error.status));
    int sound_count = fill_in_tag(memory, "sounds", sounds);
    printf("sounds: %d blocks\n", sound_count);

    fa_budget_usage usage;
    if (fa_budget_get_tag(memory, effects, FA_INTENT_HEAP, &usage) == FA_OK)
        printf("effects: %zu of %zu bytes used, %u refused\n", usage.used, usage.hard_bytes,
               (unsigned)usage.refused_count);
    drop(memory, particles, particle_count);
    drop(memory, sounds, sound_count);

    fa_tag_stats stats;
    if (fa_tag_stats_find(memory, "effects", &stats) == FA_OK)
        printf("effects at the end: %zu bytes, at most %zu\n", stats.heap_live_bytes,
               stats.heap_bytes_peak);
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
