/* Handles and compaction: most of many meshes are freed, the others move together, and the memory
 * goes back. The handles stay what they are. */
#include "fa/fa.h"

#include <stdio.h>

enum { MESH_COUNT = 2000 };

typedef struct mesh {
    int number;
    char vertices[1000];
} mesh;

FA_HANDLE(mesh_handle, mesh)

int main(void) {
    static mesh_handle handles[MESH_COUNT];
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    fa_handles *meshes = fa_handles_create(memory, NULL);
    for (int i = 0; i < MESH_COUNT; i++) {
        handles[i] = mesh_handle_alloc(meshes);
        mesh *made = mesh_handle_get(meshes, handles[i]);
        if (made == NULL)
            return 1;
        made->number = i;
    }
    for (int i = 0; i < MESH_COUNT; i++)
        if (i % 10 != 0)
            (void)mesh_handle_free(meshes, handles[i]);

    /* Once a frame, a little: addresses from before are not used behind it. */
    size_t slabs = 0;
    fa_handles_step step;
    do {
        step = fa_handles_compact(meshes, 64 << 10, 0);
        slabs += step.slab_count;
    } while (!step.done);
    printf("memory went back: %s\n", slabs != 0 ? "yes" : "no");

    size_t right = 0, gone = 0;
    for (int i = 0; i < MESH_COUNT; i++) {
        const mesh *found = mesh_handle_get(meshes, handles[i]);
        right += found != NULL && found->number == i;
        gone += found == NULL;
    }
    printf("%zu meshes found by their handles, %zu are gone\n", right, gone);
    (void)fa_handles_destroy(meshes);
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
