/* Calls each probe CALL_COUNT times where it succeeds on its fast path; callgrind counts. With an
 * argument it says instead how it was built: the counts hold for one compiler and one variant. */
#include "tools/fastpath/probe.h"

#include <stdio.h>
#include <stdlib.h>

enum { CALL_COUNT = 100 };

#if defined(FA_DEBUG) || defined(FA_MINIMAL) || defined(FA_PREFETCH)
#define VARIANT "variant"
#else
#define VARIANT "release"
#endif
#if defined(__clang__)
#define COMPILER "clang"
#else
#define COMPILER "gcc"
#endif
#if defined(__x86_64__)
#define MACHINE "x86_64"
#else
#define MACHINE "other"
#endif

static void require(bool condition, const char *what) {
    if (condition)
        return;
    fprintf(stderr, "fastpath driver: %s failed\n", what);
    exit(1);
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        printf("%s %d %s %s\n", COMPILER, __GNUC__, MACHINE, VARIANT);
        return 0;
    }
    fa_alloc_config config = fa_alloc_config_default();
    fa_allocator *allocator = NULL;
    require(fa_allocator_create(&config, &allocator) == FA_OK, "create");
    fa_frame *frame = fa_frame_begin(allocator);
    require(frame != NULL, "begin");
    /* The first allocation may take the chunk, the first pool object fills the magazine. */
    require(fa_frame_alloc_in(frame, 64) != NULL, "frame allocation");
    void *object = fa_pool_alloc(allocator, 64);
    require(object != NULL, "pool allocation");
    fa_pool_free_sized(allocator, object, 64);
    for (int i = 0; i < CALL_COUNT; i++) {
        require(probe_frame_alloc_in_64(frame) != NULL, "frame allocation");
        require(probe_frame_alloc_64(allocator) != NULL, "frame allocation");
        object = probe_pool_alloc_64(allocator);
        require(object != NULL, "pool allocation");
        probe_pool_free_64(allocator, object);
    }
    (void)fa_frame_end(allocator);
    fa_allocator_destroy(allocator);
    return 0;
}
