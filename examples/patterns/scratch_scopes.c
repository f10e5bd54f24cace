/* Scratch scopes and a scratch pool: memory of one function, and memory of one step of the program.
 * No frame is needed for either. */
#include "fa/fa.h"

#include <stdio.h>

typedef struct path {
    size_t count;
    int cells[64];
} path;

/* The result lives in the caller's scope; what is needed to find it, in one of its own beside. */
static path *find_path(fa_allocator *memory, fa_scratch result, int from, int to) {
    fa_scratch_scope_beside(memory, own, &result, 1);
    int *came_from = fa_scratch_array_zeroed(own, int, 1000);
    path *found = fa_scratch_new(result, path);
    if (came_from == NULL || found == NULL || from < 0 || to < from || to >= 1000)
        return NULL;
    for (int cell = from; cell < to; cell++)
        came_from[cell + 1] = cell;
    found->count = 0;
    for (int cell = to; cell != from && found->count < 64; cell = came_from[cell])
        found->cells[found->count++] = cell;
    return found;
}

/* A level is put together over several calls, in a pool that is found by its name. */
static bool load(fa_allocator *memory, const char *name) {
    fa_scratch_pool loading = fa_scratch_pool_open(memory, "loading", 64 << 10, 0);
    return fa_scratch_pool_copy_string(loading, name) != NULL &&
           fa_scratch_pool_alloc(loading, 10000) != NULL;
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    {
        fa_scratch_scope(memory, scratch);
        const path *found = find_path(memory, scratch, 3, 8);
        if (found == NULL)
            return 1;
        printf("path of %zu cells, from its end: %d, %d, ...\n", found->count, found->cells[0],
               found->cells[1]);
    }
    fa_scratch_stats scopes;
    (void)fa_scratch_stats_get(memory, &scopes);
    printf("%zu scopes are open, %zu bytes in use\n", scopes.scope_count, scopes.bytes);

    if (!load(memory, "forest") || !load(memory, "river"))
        return 1;
    fa_scratch_pool loading = fa_scratch_pool_find(memory, "loading");
    fa_scratch_pool_stats stats;
    (void)fa_scratch_pool_stats_get(loading, &stats);
    printf("%s: %zu bytes\n", stats.name, stats.bytes);
    (void)fa_scratch_pool_reset(loading); /* the memory stays for the next level */
    (void)fa_scratch_pool_stats_get(loading, &stats);
    printf("after the reset: %zu bytes\n", stats.bytes);
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
