/* A clean-up guard: functions that run when the frame ends, newest first, or when it goes back to a
 * mark. Whoever opens something says at once how it is closed, and every way out is covered. */
#include "fa/fa.h"

#include <stdio.h>

typedef struct device {
    const char *name;
    bool open;
} device;

static void close_device(void *argument) {
    device *closed = argument;
    closed->open = false;
    printf("  closed %s\n", closed->name);
}

/* Opened, and registered to be closed; or neither. */
static bool open_device(fa_frame *frame, device *opened) {
    opened->open = true;
    printf("  opened %s\n", opened->name);
    if (fa_frame_defer_in(frame, close_device, opened) == FA_OK)
        return true;
    close_device(opened); /* no memory to remember it */
    return false;
}

/* What it opened is closed when it returns: its guard goes back to where it began. */
static bool record(fa_frame *frame, device *microphone, bool fails) {
    fa_mark_scope_in(frame, guard);
    if (!open_device(frame, microphone) || fails)
        return false;
    float *samples = fa_frame_array_in(frame, float, 4800);
    return samples != NULL;
}

int main(void) {
    fa_allocator *memory;
    if (fa_allocator_create(NULL, &memory) != FA_OK)
        return 1;
    device screen = {"screen", false}, speaker = {"speaker", false}, mic = {"microphone", false};
    {
        fa_frame_scope(memory, frame);
        if (frame == NULL || !open_device(frame, &screen) || !open_device(frame, &speaker))
            return 1;
        printf("recorded: %s\n", record(frame, &mic, false) ? "yes" : "no");
        printf("recorded: %s\n", record(frame, &mic, true) ? "yes" : "no");
        printf("the frame ends\n");
    }
    printf("open: %d\n", screen.open + speaker.open + mic.open);
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
