/* Shared objects: a material has several owners and goes with the last one; a cache that knows it
 * by a weak reference keeps nothing alive. */
#include "fa/fa.h"

#include <stdio.h>

typedef struct material {
    const char *name;
} material;

static void destroy_material(void *object) {
    printf("%s is destroyed\n", ((const material *)object)->name);
}

/* The material of the cache while somebody has it. The caller is to release it. */
static void look(fa_allocator *memory, fa_weak cached) {
    material *found = fa_weak_lock_as(memory, cached, material);
    printf("in the cache: %s\n", found != NULL ? found->name : "nothing");
    (void)fa_shared_release(memory, found); /* NULL is ignored */
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    material *stone = fa_shared_new(memory, material, destroy_material);
    if (stone == NULL)
        return 1;
    stone->name = "stone";
    fa_weak cached = fa_weak_make(memory, stone);

    material *wall = stone, *floor = stone; /* two parts of a house, two owners */
    if (fa_shared_hold(memory, floor) != FA_OK)
        return 1;
    printf("%zu owners\n", fa_shared_count(memory, stone));
    (void)fa_shared_release(memory, wall);
    look(memory, cached);
    (void)fa_shared_release(memory, floor);
    look(memory, cached);
    (void)fa_weak_release(memory, cached);
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
