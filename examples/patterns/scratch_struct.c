/* A scratch structure: all that one step of a simulation needs for a while, in one place. Its
 * vectors grow in the frame, and there is nothing to free. */
#include "fa/fa.h"

#include <stdio.h>

typedef struct vec3 {
    float x, y, z;
} vec3;

FA_VEC(vec3_vec, vec3)
FA_VEC(index_vec, uint32_t)

typedef struct scratch {
    vec3_vec positions, velocities, forces;
    index_vec moving;
} scratch;

/* Capacity 0: they grow. A make that is refused gives a vector that refuses every push, so that
 * there is one place to look: the pushes. */
static scratch scratch_make(fa_frame *frame) {
    scratch made = {
        .positions = vec3_vec_make_in(frame, 0),
        .velocities = vec3_vec_make_in(frame, 0),
        .forces = vec3_vec_make_in(frame, 0),
        .moving = index_vec_make_in(frame, 0),
    };
    return made;
}

static bool scratch_add(scratch *s, vec3 position, vec3 velocity) {
    const vec3 gravity = {0, -10, 0};
    uint32_t index = (uint32_t)s->positions.count;
    if (vec3_vec_push(&s->positions, position) != FA_OK ||
        vec3_vec_push(&s->velocities, velocity) != FA_OK ||
        vec3_vec_push(&s->forces, gravity) != FA_OK)
        return false;
    /* Last, so that what moves has all that it needs. */
    return velocity.x <= 0 || index_vec_push(&s->moving, index) == FA_OK;
}

static void step(scratch *s) {
    const float time = 0.5f;
    FA_VEC_EACH(index, &s->moving) {
        vec3 *position = &s->positions.items[*index], *velocity = &s->velocities.items[*index];
        velocity->y += s->forces.items[*index].y * time;
        position->x += velocity->x * time;
        position->y += velocity->y * time;
    }
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    for (int i = 0; i < 2; i++) {
        fa_frame_scope(memory, frame);
        if (frame == NULL)
            return 1;
        scratch s = scratch_make(frame);
        for (int body = 0; body < 100; body++) {
            vec3 position = {(float)body, 100, 0}, velocity = {(float)(body % 2), 0, 0};
            if (!scratch_add(&s, position, velocity))
                break; /* out of memory: simulate those that are there */
        }
        if (s.forces.count < 2)
            return 1;
        step(&s);
        printf("%zu bodies, %zu move, body 1 is at %.1f %.1f\n", s.positions.count, s.moving.count,
               (double)s.positions.items[1].x, (double)s.positions.items[1].y);
    }
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
