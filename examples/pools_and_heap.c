/* Pools and the heap: what lives until it is freed.
 *
 * Pools are for what is small and comes and goes (monsters), the heap for what is large or grows (a
 * map). Both tell you at the end what was forgotten. */
#include "fa/fa.h"

#include <stdio.h>
#include <string.h>

typedef struct monster {
    int strength;
    struct monster *next;
} monster;

typedef struct map {
    unsigned char *tiles;
    size_t width, height;
} map;

static bool spawn(fa_allocator *memory, monster **all, int strength) {
    monster *made = fa_pool_new(memory, monster); /* not initialised */
    if (made == NULL)
        return false;
    *made = (monster){strength, *all};
    *all = made;
    return true;
}

static size_t kill_weaker(fa_allocator *memory, monster **all, int strength) {
    size_t count = 0;
    for (monster **link = all; *link != NULL;) {
        monster *looked_at = *link;
        if (looked_at->strength >= strength) {
            link = &looked_at->next;
            continue;
        }
        *link = looked_at->next;
        fa_pool_delete(memory, looked_at); /* the type says the size: the fastest free */
        count++;
    }
    return count;
}

/* A larger map keeps what is there. When it fails, the old one is as it was. */
static bool grow(fa_allocator *memory, map *m, size_t height) {
    unsigned char *tiles = fa_heap_realloc(memory, m->tiles, m->width * height);
    if (tiles == NULL)
        return false;
    memset(tiles + m->width * m->height, 0, m->width * (height - m->height));
    m->tiles = tiles;
    m->height = height;
    return true;
}

/* The hook hears what the library has to say; here: blocks that nobody freed. */
static void listen(void *user, const fa_event *event) {
    size_t *leaked = user;
    if (event->diag == FA_DIAG_FA605 && event->size != 0)
        *leaked = event->size;
}

int main(void) {
    size_t leaked = 0;
    fa_alloc_config config = fa_alloc_config_default();
    config.on_event = listen;
    config.on_event_user = &leaked;
    fa_allocator *memory;
    if (fa_allocator_create(&config, &memory) != FA_OK)
        return 1;

    monster *all = NULL;
    for (int i = 0; i < 1000; i++)
        if (!spawn(memory, &all, i % 100))
            return 1;
    printf("%zu killed\n", kill_weaker(memory, &all, 90));
    printf("%zu killed\n", kill_weaker(memory, &all, 1000));

    map level = {fa_heap_alloc_zeroed(memory, 64, 64), 64, 64};
    if (level.tiles == NULL)
        return 1;
    level.tiles[0] = 7;
    if (grow(memory, &level, 128))
        printf("%zu tiles, the first is %d\n", level.width * level.height, level.tiles[0]);
    fa_heap_free(memory, level.tiles);

    char *forgotten = fa_heap_alloc(memory, 12345);
    size_t alive = fa_allocator_destroy(memory); /* gives it back all the same */
    printf("%zu block was forgotten, of %zu bytes\n", alive, forgotten ? leaked : 0);
    return 0;
}
