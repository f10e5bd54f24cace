#include "fa/fa.h"
#include <stdio.h>

typedef struct enemy {
    float x, y;
} enemy;

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    enemy *boss = fa_pool_new(memory, enemy);             /* lives until it is freed */
    char *level = (char *)fa_heap_alloc(memory, 1 << 20); /* large, freed by hand, tracked */
    for (int i = 0; boss != NULL && level != NULL && i < 3; i++) {
        fa_frame *frame = fa_frame_begin(memory);
        float *keys = frame ? fa_frame_array_in(frame, float, 1000) : NULL; /* dies with it */
        if (keys != NULL)
            boss->x = keys[i] = (float)i;
        fa_frame_end_in(frame);
    }
    fa_pool_delete(memory, boss);
    fa_heap_free(memory, level);
    printf("alive at the end: %zu\n", fa_allocator_destroy(memory));
    return 0;
}
