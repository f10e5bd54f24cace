/* Marks and clean-ups: a level is loaded file by file. What a file needs while it is parsed goes
 * back at once; what a broken file left behind goes back as a whole, its open handle included. */
#include "fa/fa.h"

#include <stdio.h>

static const char *const k_files[] = {
    "wall 1 1 4 2\nwall 3 2 9 5\n",
    "wall 0 0 2 2\ndoor broken\n",
    "wall 7 7 8 8\n",
};

typedef struct wall {
    int from_x, from_y, to_x, to_y;
    struct wall *next;
} wall;

typedef struct parser {
    const char *text; /* input: one of the files */
    wall *walls;      /* output: newest first */
    int open_count;   /* handles that are open, to show that each gets closed */
} parser;

static void close_handle(void *argument) { --*(int *)argument; }

/* Parses one file. Whatever it returns, it frees nothing: the caller goes back to its mark. */
static fa_status parse(void *user, fa_frame *frame) {
    parser *p = (parser *)user;
    p->open_count++;
    fa_status status = fa_frame_defer_in(frame, close_handle, &p->open_count);
    if (status != FA_OK) {
        close_handle(&p->open_count);
        return status;
    }
    for (const char *line = p->text; *line != 0; line++) {
        wall found = {0};
        if (sscanf(line, "wall %d %d %d %d", &found.from_x, &found.from_y, &found.to_x,
                   &found.to_y) != 4)
            return FA_ERROR_INVALID;
        wall *kept = fa_frame_new_in(frame, wall);
        if (kept == NULL)
            return fa_last_error().status;
        found.next = p->walls;
        *kept = found;
        p->walls = kept;
        while (line[1] != 0 && *line != '\n')
            line++;
    }
    return FA_OK;
}

/* The longest wall of a list, found with scratch memory that is gone when the function returns. */
static int longest(fa_frame *frame, const wall *walls, size_t count) {
    fa_mark_scope_in(frame, scratch);
    int *squares = fa_frame_array_in(frame, int, count);
    int most = 0;
    size_t i = 0;
    for (const wall *w = walls; squares != NULL && w != NULL && i < count; w = w->next, i++) {
        int x = w->to_x - w->from_x, y = w->to_y - w->from_y;
        squares[i] = x * x + y * y;
        most = squares[i] > most ? squares[i] : most;
    }
    return most;
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    fa_frame *frame = fa_frame_begin(memory);
    if (frame == NULL)
        return 1;
    parser p = {0};
    for (size_t i = 0; i < sizeof k_files / sizeof k_files[0]; i++) {
        wall *before = p.walls;
        size_t bytes = fa_frame_bytes_in(frame);
        p.text = k_files[i];
        fa_status status = fa_frame_speculate_in(frame, parse, &p);
        if (status != FA_OK)
            p.walls = before; /* the walls of this file are gone */
        printf("file %zu: %s, %zu bytes kept, %d open\n", i, fa_status_text(status),
               fa_frame_bytes_in(frame) - bytes, p.open_count);
    }
    size_t count = 0;
    for (const wall *w = p.walls; w != NULL; w = w->next)
        count++;
    int most = longest(frame, p.walls, count);
    fa_frame_end_in(frame);
    printf("%zu walls, longest %d squared, %d open at the end\n", count, most, p.open_count);
    fa_allocator_destroy(memory);
    return 0;
}
