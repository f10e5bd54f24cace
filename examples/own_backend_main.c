/* An allocator on a chain of two backends: frames and pools live in the program's own region, heap
 * blocks and what doesn't fit come from the system. */
#include <stdio.h>
#include <string.h>

#include "backends/backends.h"
#include "examples/own_backend.h"
#include "fa/fa.h"

int main(void) {
    fa_backend rest = fa_backend_mmap(NULL);
    fa_alloc_config config = fa_alloc_config_default();
    config.backends[0] = own_backend();
    config.backends[1] = rest;
    fa_allocator *allocator;
    fa_status status = fa_allocator_create(&config, &allocator);
    if (status != FA_OK) {
        fprintf(stderr, "no allocator: %s\n", fa_status_text(status));
        return 1;
    }
    for (size_t i = 0; i < 2; i++) {
        fa_backend_info info;
        if (fa_backend_describe(allocator, i, &info) == FA_OK)
            printf("backend %zu: %s\n", i, info.text);
    }

    fa_frame *frame = fa_frame_begin(allocator);
    char *text = frame == NULL ? NULL : fa_frame_copy_string_in(frame, "in the fast region");
    if (text == NULL) {
        fprintf(stderr, "no frame: %s\n", fa_status_text(fa_last_error().status));
        return 1;
    }
    printf("a frame holds \"%s\"; the region has %zu KiB in use\n", text,
           own_backend_used_bytes() >> 10);

    size_t before = own_backend_used_bytes();
    char *texture = fa_heap_alloc(allocator, 1 << 20);
    if (texture == NULL)
        return 1;
    memset(texture, 0xff, 1 << 20);
    printf("a texture of 1 MiB was declined there; its entry in a table took %zu KiB of it\n",
           (own_backend_used_bytes() - before) >> 10);
    fa_heap_free(allocator, texture);

    fa_frame_end_in(frame);
    size_t leaks = fa_allocator_destroy(allocator);
    fa_backend_close(rest);
    printf("afterwards the region has %zu KiB in use\n", own_backend_used_bytes() >> 10);
    return leaks == 0 && own_backend_used_bytes() == 0 ? 0 : 1;
}
