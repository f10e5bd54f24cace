/* A budget for each part of the engine that starts anew with each frame: a budget on frame memory
 * of a tag. Nothing has to be reset: what a frame held is taken from the account when it ends. */
#include "fa/fa.h"

#include <stdio.h>

enum { BUDGET_BYTES = 110 << 10, BLOCK_BYTES = 20 << 10 };

typedef struct part {
    const char *name;
    fa_tag tag;
    size_t wanted; /* blocks */
} part;

/* A scope for the tag, so that it is left however the function ends. */
static size_t run(fa_allocator *memory, fa_frame *frame, const part *p) {
    fa_tag_scope(memory, p->tag, entered);
    if (entered.status != FA_OK)
        return 0;
    size_t got = 0;
    while (got < p->wanted && fa_frame_alloc_in(frame, BLOCK_BYTES) != NULL)
        got++;
    return got;
}

int main(void) {
    fa_alloc_config config = fa_alloc_config_default();
    config.on_event = NULL; /* reaching the budget is part of the plan */
    config.strict = false;
    fa_allocator *memory;
    if (fa_allocator_create(&config, &memory) != FA_OK)
        return 1;
    const part parts[] = {
        {"particles", fa_tag_intern(memory, "effects::particles"), 9}, /* too many */
        {"decals", fa_tag_intern(memory, "effects::decals"), 2},
    };
    fa_budget most = {.hard_bytes = BUDGET_BYTES};
    for (int i = 0; i < 2; i++)
        if (fa_budget_set_tag(memory, parts[i].tag, FA_INTENT_FRAME, &most) != FA_OK)
            return 1;
    for (int number = 0; number < 3; number++) {
        fa_frame_scope(memory, frame);
        if (frame == NULL)
            return 1;
        printf("frame %d:", number);
        for (int i = 0; i < 2; i++)
            printf(" %s %zu of %zu", parts[i].name, run(memory, frame, &parts[i]), parts[i].wanted);
        printf("\n");
    }
    fa_budget_usage usage;
    if (fa_budget_get_tag(memory, parts[0].tag, FA_INTENT_FRAME, &usage) == FA_OK)
        printf("particles: %zu bytes in use now, %d refusals\n", usage.used,
               (int)usage.refused_count);
    return fa_allocator_destroy(memory) == 0 ? 0 : 1;
}
