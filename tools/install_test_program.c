/* What a user of the installed library would write first. */
#include <fa/backends.h>
#include <fa/fa.h>

#include <stdio.h>
#include <string.h>

int main(void) {
    fa_alloc_config config = fa_alloc_config_default();
    config.backends[0] = fa_backend_system();
    fa_allocator *allocator = NULL;
    if (fa_allocator_create(&config, &allocator) != FA_OK) {
        fprintf(stderr, "create failed\n");
        return 1;
    }
    fa_frame_begin(allocator);
    char *block = fa_frame_alloc(allocator, 64);
    if (block == NULL) {
        fprintf(stderr, "frame allocation failed\n");
        return 1;
    }
    memset(block, 'x', 64);
    fa_frame_end(allocator);
    fa_allocator_destroy(allocator);
    return 0;
}
