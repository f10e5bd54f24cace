/* A set of tags: each part of an engine gets an allocator and a tag in one value, and hands it to
 * whatever works for it. A scoped tag does the same for code that only knows the allocator. */
#include "fa/fa.h"

#include <stdio.h>

typedef struct systems {
    fa_tagged physics, rendering, audio, ai;
} systems;

static systems systems_make(fa_allocator *memory) {
    systems made = {
        .physics = {memory, FA_TAG_PHYSICS}, /* these exist in every allocator */
        .rendering = {memory, FA_TAG_RENDERING},
        .audio = {memory, FA_TAG_AUDIO},
        .ai = {memory, fa_tag_intern(memory, "ai")}, /* this one is ours */
    };
    return made;
}

/* Knows nothing of tags: what it allocates is its caller's. */
static int *path_to(fa_frame *frame, int steps) {
    int *path = fa_frame_array_in(frame, int, (size_t)steps);
    for (int i = 0; path != NULL && i < steps; i++)
        path[i] = i;
    return path;
}

static bool think(fa_tagged ai, fa_frame *frame) {
    fa_tag_scope(ai.allocator, ai.tag, entered);
    fa_tag_scope_name(ai.allocator, "paths", deeper); /* ai::paths; both left at the end */
    return entered.status == FA_OK && deeper.status == FA_OK && path_to(frame, 100) != NULL;
}

static size_t frame_bytes(fa_tagged of) {
    fa_tag_stats stats;
    return fa_tag_stats_get(of.allocator, of.tag, &stats) == FA_OK ? stats.frame_bytes : 0;
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    systems parts = systems_make(memory);
    {
        fa_frame_scope(memory, frame);
        if (frame == NULL)
            return 1;
        void *contacts = fa_tagged_frame_alloc(parts.physics, 2000);
        void *calls = fa_tagged_frame_alloc(parts.rendering, 500);
        if (contacts == NULL || calls == NULL || !think(parts.ai, frame))
            return 1;
        printf("physics has more than rendering: %s\n",
               frame_bytes(parts.physics) > frame_bytes(parts.rendering) ? "yes" : "no");
        printf("audio has %zu bytes\n", frame_bytes(parts.audio));
        fa_tagged paths = {memory, fa_tag_find(memory, "ai::paths")};
        printf("all of ai's is for paths: %s\n",
               frame_bytes(paths) >= 400 && frame_bytes(paths) == frame_bytes(parts.ai) ? "yes"
                                                                                        : "no");
    }
    printf("after the frame physics has %zu bytes\n", frame_bytes(parts.physics));
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
