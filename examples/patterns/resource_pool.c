/* A resource pool: there are only so many voices, and who gets none is told so at once. */
#include "fa/fa.h"

#include <stdio.h>

enum { VOICES = 4 };

typedef struct voice {
    int sound, ticks_left;
} voice;
FA_TYPED_POOL(voice_pool, voice)

static bool play(voice_pool voices, int sound, int ticks) {
    voice *free_one = voice_pool_acquire(voices);
    if (free_one == NULL)
        return false; /* FA_ERROR_FULL: all are busy; no event, for it is an answer */
    *free_one = (voice){sound, ticks};
    return true;
}

static void tick(voice_pool voices) {
    FA_TYPED_EACH (playing, voices) { /* those that live, in the order of memory */
        if (--playing->ticks_left == 0)
            (void)voice_pool_release(voices, playing);
    }
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    voice_pool voices;
    /* Reserved: the memory for all of them is taken now, and never again. */
    fa_typed_pool_config config = {.count_max = VOICES, .count_reserved = VOICES};
    if (voice_pool_create(memory, &config, &voices) != FA_OK)
        return 1;
    for (int i = 0; i < 6; i++) {
        bool played = play(voices, i, i % 3 + 3);
        printf("sound %d: %s, %zu busy\n", i, played ? "plays" : "is dropped",
               voice_pool_count(voices));
        if (i % 2 != 0)
            tick(voices);
    }
    while (voice_pool_count(voices) != 0)
        tick(voices);
    printf("left playing: %zu\n", voice_pool_destroy(voices));
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
