/* Groups: objects that are made one by one and freed together, their destructors last first. */
#include "fa/fa.h"

#include <stdio.h>

typedef struct window {
    const char *title;
    int *open_count;
} window;

static void close_window(void *object) {
    const window *closed = (const window *)object;
    --*closed->open_count;
    printf("closes %s\n", closed->title);
}

static window *open_window(fa_group dialog, const char *title, int *open_count) {
    window *made =
        (window *)fa_group_alloc_with(dialog, sizeof(window), _Alignof(window), close_window);
    char *copy = made != NULL ? fa_group_copy_string(dialog, title) : NULL;
    if (made != NULL) {
        *made = (window){copy != NULL ? copy : "?", open_count};
        ++*open_count;
    }
    return made;
}

int main(void) {
    fa_allocator *memory;
    int open_count = 0;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    fa_group dialog = fa_group_create(memory, "dialog");
    if (open_window(dialog, "settings", &open_count) == NULL ||
        open_window(dialog, "are you sure?", &open_count) == NULL)
        return 1;
    fa_group_stats stats;
    if (fa_group_stats_get(dialog, &stats) != FA_OK)
        return 1;
    printf("%s: %d windows, %zu destructors\n", stats.name, open_count,
           (size_t)stats.destructor_count);
    (void)fa_group_free(dialog);
    printf("%d windows, the group is %s\n", open_count,
           fa_group_is_open(dialog) ? "there" : "gone");
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
