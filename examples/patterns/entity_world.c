/* A world of entities: what they have (a place, a speed, a sound) stands in a set of components for
 * each kind, side by side and without gaps. An entity is a number; each system goes through the
 * components that it is about, and looks others up by that number. */
#include "fa/fa.h"

#include <stdio.h>

typedef struct transform {
    float x, y;
} transform;

typedef struct velocity {
    float x, y;
} velocity;

FA_COMPONENTS(transforms, transform)
FA_COMPONENTS(velocities, velocity)

typedef struct world {
    transforms transforms;
    velocities velocities;
    uint32_t next_id;
} world;

#define NO_ENTITY UINT32_MAX

static bool world_create(fa_allocator *memory, world *w) { /* both die with the allocator */
    return transforms_create(memory, NULL, &w->transforms) == FA_OK &&
           velocities_create(memory, NULL, &w->velocities) == FA_OK;
}

static uint32_t spawn(world *w, float x, float y) {
    transform *place;
    if (transforms_insert(w->transforms, w->next_id, &place) != FA_OK)
        return NO_ENTITY;
    *place = (transform){x, y};
    return w->next_id++;
}

static bool push(world *w, uint32_t entity, float x, float y) {
    velocity *speed;
    fa_status status = velocities_insert(w->velocities, entity, &speed);
    if (status != FA_OK && status != FA_ERROR_EXISTS) /* it may have one: that is no failure */
        return false;
    *speed = (velocity){x, y};
    return true;
}

static void kill_entity(world *w, uint32_t entity) {
    (void)transforms_remove(w->transforms, entity);
    (void)velocities_remove(w->velocities, entity); /* false when it has none: fine */
}

/* Goes through all that move; those that stand still are not looked at. */
static void move(world *w) {
    FA_COMPONENTS_EACH (entity, speed, w->velocities) {
        transform *place = transforms_get(w->transforms, entity);
        if (place == NULL)
            continue;
        place->x += speed->x;
        place->y += speed->y;
    }
}

int main(void) {
    fa_allocator *memory;
    world w = {.next_id = 0};
    if (fa_allocator_create(NULL, &memory) != FA_OK || !world_create(memory, &w))
        return 1;
    for (int i = 0; i < 1000; i++) {
        uint32_t entity = spawn(&w, (float)i, 0);
        if (entity == NO_ENTITY || (i % 4 == 0 && !push(&w, entity, 0, 1)))
            return 1;
    }
    for (uint32_t entity = 0; entity < 1000; entity += 3)
        kill_entity(&w, entity);
    for (int i = 0; i < 60; i++)
        move(&w);
    const transform *fourth = transforms_get(w.transforms, 4);
    printf("%zu entities, %zu move\n", transforms_count(w.transforms),
           velocities_count(w.velocities));
    if (fourth != NULL)
        printf("entity 4 is at %.0f %.0f, entity 3 is %s\n", (double)fourth->x, (double)fourth->y,
               transforms_get(w.transforms, 3) ? "there" : "gone");
    (void)velocities_destroy(w.velocities);
    (void)transforms_destroy(w.transforms);
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
