/* Streams: textures under a budget. The one that was not used for longest makes room for the next,
 * and is loaded again when it is needed again. */
#include "fa/fa.h"

#include <stdio.h>
#include <string.h>

enum { TEXTURE_BYTES = 1 << 20, TEXTURE_COUNT = 6 };

typedef struct texture {
    fa_stream stream; /* none: not in memory */
    int number, load_count;
} texture;

static void evicted(void *user, const fa_eviction *eviction) {
    (void)user;
    texture *lost = (texture *)eviction->item;
    lost->stream = FA_STREAM_NONE;
    if (eviction->cause != FA_EVICT_DESTROY)
        printf("  texture %d makes room\n", lost->number);
}

static const char *use(fa_streams *streams, texture *wanted) {
    char *pixels = (char *)fa_stream_access(streams, wanted->stream);
    if (pixels != NULL)
        return pixels;
    wanted->stream = fa_stream_reserve(streams, TEXTURE_BYTES, 64, FA_STREAM_NORMAL, wanted);
    pixels = (char *)fa_stream_begin(streams, wanted->stream);
    if (pixels == NULL)
        return NULL;
    memset(pixels, wanted->number, TEXTURE_BYTES); /* reads the file */
    wanted->load_count++;
    return fa_stream_finish(streams, wanted->stream) == FA_OK ? pixels : NULL;
}

int main(void) {
    fa_allocator *memory;
    fa_streams *streams;
    texture textures[TEXTURE_COUNT] = {0};
    fa_streams_config config = fa_streams_config_default();
    config.bytes_max = 4 * TEXTURE_BYTES;
    config.on_evict = evicted;
    if (fa_allocator_create(NULL, &memory) != FA_OK ||
        fa_streams_create(memory, &config, &streams) != FA_OK)
        return 1;
    const int wanted[] = {0, 1, 2, 3, 0, 4, 5, 0, 1};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        texture *at = &textures[wanted[i]];
        at->number = wanted[i];
        int loads = at->load_count;
        const char *pixels = use(streams, at);
        if (pixels == NULL || pixels[0] != at->number)
            return 1;
        printf("texture %d: %s\n", at->number, at->load_count != loads ? "loaded" : "there");
    }
    (void)fa_streams_destroy(streams);
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
