/* An object cache: path finders whose tables are expensive to make. One that is given back stays as
 * it is, and the next one who asks gets it. */
#include "fa/fa.h"

#include <stdio.h>

enum { CELLS = 4096 };

typedef struct path_finder {
    int *costs; /* made once, used again and again */
    int searches;
} path_finder;
FA_OBJECT_CACHE(finder_cache, path_finder)

typedef struct counts {
    fa_allocator *memory;
    int made, ended;
} counts;

static fa_status make(void *user, void *object) {
    counts *c = user;
    path_finder *made = object;
    made->costs = fa_heap_alloc_zeroed(c->memory, CELLS, sizeof(int));
    made->searches = 0;
    if (made->costs == NULL)
        return fa_last_error().status; /* acquire answers NULL, with this status */
    c->made++;
    return FA_OK;
}

static void end(void *user, void *object) {
    counts *c = user;
    fa_heap_free(c->memory, ((path_finder *)object)->costs);
    c->ended++;
}

static int search(finder_cache cache, int from, int to) {
    path_finder *finder = finder_cache_acquire(cache);
    if (finder == NULL)
        return -1;
    finder->searches++;
    finder->costs[from] = to - from;
    int cost = finder->costs[from];
    finder->costs[from] = 0; /* given back as the next one expects it */
    (void)finder_cache_release(cache, finder);
    return cost;
}

int main(void) {
    counts c = {.made = 0};
    if (fa_allocator_create(NULL, &c.memory) != FA_OK)
        return 1;
    finder_cache cache;
    fa_object_cache_config config = {.construct = make, .destruct = end, .user = &c};
    if (finder_cache_create(c.memory, &config, &cache) != FA_OK)
        return 1;
    long sum = 0;
    for (int i = 0; i < 1000; i++)
        sum += search(cache, i, i * 2);
    printf("1000 searches, sum %ld, %d path finder made\n", sum, c.made);

    path_finder *all[3]; /* three at once */
    for (int i = 0; i < 3; i++)
        if ((all[i] = finder_cache_acquire(cache)) == NULL)
            return 1;
    for (int i = 0; i < 3; i++)
        (void)finder_cache_release(cache, all[i]);
    printf("three at once: %d made, %d ended\n", c.made, c.ended);
    printf("trimmed to one: %zu ended\n", finder_cache_trim(cache, 1));
    (void)finder_cache_destroy(cache);
    printf("at the end: %d made, %d ended\n", c.made, c.ended);
    return fa_allocator_destroy(c.memory) == 0 ? 0 : 1;
}
