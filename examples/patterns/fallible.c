/* Allocations that may fail, and what to do then: take other memory, make room and try again, be
 * content with less, or give up with a status that says why. Nothing throws, nothing aborts, and
 * what is held stays as it is. */
#include "fa/fa.h"

#include <stdio.h>

enum { FRAME_MAX = 256 << 10, BLOCK = 150 << 10, TEXTURE = 100 << 10, TEXTURES_MAX = 350 << 10 };

/* Frame memory, or the pool when the frame has reached its cap. That has to be freed. */
static void *frame_or_pool(fa_allocator *memory, fa_frame *frame, size_t size, bool *is_from_pool) {
    void *block;
    fa_status status = fa_frame_try_alloc_in(frame, size, 16, &block);
    *is_from_pool = status == FA_ERROR_LIMIT;
    return *is_from_pool ? fa_pool_alloc(memory, size) : block;
}

typedef enum recovery { RETRY, USE_FALLBACK, ABORT } recovery;

typedef struct textures {
    fa_allocator *memory;
    void *old; /* not on the screen any more: can be dropped */
} textures;

/* What is to be done after so many failures. */
static recovery recover(textures *t, int failures) {
    if (failures == 1 && t->old != NULL) {
        fa_heap_free(t->memory, t->old);
        t->old = NULL;
        return RETRY;
    }
    return failures <= 2 ? USE_FALLBACK : ABORT;
}

static void *load(textures *t, size_t size, fa_status *status) {
    for (int failures = 0;;) {
        void *loaded = fa_heap_alloc(t->memory, size);
        *status = loaded != NULL ? FA_OK : fa_last_error().status;
        if (loaded != NULL)
            return loaded;
        recovery action = recover(t, ++failures);
        if (action == ABORT)
            return NULL;
        if (action == USE_FALLBACK)
            size /= 4; /* half as wide, half as high */
    }
}

int main(void) {
    fa_alloc_config config = fa_alloc_config_default();
    config.frame_bytes_max = FRAME_MAX;
    config.on_event = NULL; /* limits are part of the plan */
    config.strict = false;
    textures t = {.old = NULL};
    if (fa_allocator_create(&config, &t.memory) != FA_OK)
        return 1;
    fa_budget most = {.hard_bytes = TEXTURES_MAX};
    if (fa_budget_set(t.memory, FA_INTENT_HEAP, &most) != FA_OK)
        return 1;
    {
        fa_frame_scope(t.memory, frame);
        for (int i = 0; frame != NULL && i < 2; i++) {
            bool is_from_pool;
            void *block = frame_or_pool(t.memory, frame, BLOCK, &is_from_pool);
            printf("block %d: from the %s\n", i, is_from_pool ? "pool" : "frame");
            if (is_from_pool)
                fa_pool_free(t.memory, block);
        }
    }
    t.old = fa_heap_alloc(t.memory, TEXTURE);
    void *loaded[6];
    for (int i = 0; i < 6; i++) {
        fa_status status;
        loaded[i] = load(&t, TEXTURE, &status);
        printf("texture %d: %zu bytes (%s)\n", i,
               loaded[i] ? fa_usable_size(t.memory, loaded[i]) >> 10 << 10 : 0,
               fa_status_text(status));
    }
    for (int i = 0; i < 6; i++)
        fa_heap_free(t.memory, loaded[i]);
    fa_heap_free(t.memory, t.old);
    return fa_allocator_destroy(t.memory) == 0 ? 0 : 1;
}
