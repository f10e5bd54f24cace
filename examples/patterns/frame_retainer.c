/* A retainer: something is computed in a frame, and it turns out only then that it is worth to be
 * kept. The object says what is to become of it; its handle finds it before the end of the frame
 * and after it. */
#include "fa/fa.h"

#include <stdio.h>

enum { CELLS = 100 };

typedef struct nav_mesh {
    int version;
    unsigned char walkable[CELLS];
} nav_mesh;

typedef struct retainer {
    fa_allocator *memory;
    fa_retained kept; /* all zero: none yet */
    fa_retention policy;
} retainer;

static const nav_mesh *get(const retainer *r) {
    return fa_retained_as(r->memory, r->kept, nav_mesh); /* NULL: none, or it could not be kept */
}

/* Makes a new one; the old one is released once there is a new one. */
static bool rebuild(retainer *r, fa_frame *frame, int version) {
    fa_retained made = fa_frame_retain_new_in(frame, nav_mesh, r->policy);
    nav_mesh *mesh = fa_retained_as(r->memory, made, nav_mesh); /* frame memory, for now */
    if (mesh == NULL)
        return false;
    mesh->version = version;
    for (int i = 0; i < CELLS; i++)
        mesh->walkable[i] = i % version == 0;
    if (get(r) != NULL)
        (void)fa_retained_release(r->memory, r->kept);
    r->kept = made;
    return true;
}

int main(void) {
    retainer r = {.policy = fa_retain_to_pool()};
    if (fa_allocator_create(NULL, &r.memory) != FA_OK)
        return 1;
    for (int number = 0; number < 6; number++) {
        fa_frame *frame = fa_frame_begin(r.memory);
        if (frame == NULL || (number % 3 == 0 && !rebuild(&r, frame, number + 2)))
            return 1;
        (void)fa_frame_retain_new_in(frame, nav_mesh, fa_retain_discarded()); /* counted only */
        fa_frame_summary summary;
        if (fa_frame_end_with_summary_in(frame, &summary) != FA_OK)
            return 1;
        const nav_mesh *mesh = get(&r);
        printf("frame %d: %zu kept, %zu discarded; version %d\n", number, summary.sums.pool.count,
               summary.sums.discarded.count, mesh ? mesh->version : 0);
    }
    printf("kind: %s\n",
           fa_retained_kind_of(r.memory, r.kept) == FA_RETAINED_POOL ? "pool" : "other");
    (void)fa_retained_release(r.memory, r.kept);
    printf("released: %s\n", get(&r) == NULL ? "yes" : "no");
    return fa_allocator_destroy(r.memory) == 0 ? 0 : 1;
}
