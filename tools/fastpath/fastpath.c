/* Counts the instructions that each probe executes, from its first one to its ret, and prints them.
 * A child calls the probes, its parent lets it go on one instruction at a time. Not with callgrind:
 * under valgrind the library sends every allocation through the slow path, which tells memcheck. */
#define _GNU_SOURCE
#include "tools/fastpath/probe.h"
#include "tools/fastpath/stepping.h"

/* The counts hold for one compiler and one build. */
#if !defined(__x86_64__) || defined(__clang__) || __GNUC__ != 12
#define OTHER_BUILD "another compiler than gcc 12 for x86-64"
#elif defined(FA_DEBUG) || defined(FA_MINIMAL) || defined(FA_PREFETCH) || !defined(__OPTIMIZE__)
#define OTHER_BUILD "another build than the release"
#endif

#ifdef OTHER_BUILD
int main(void) {
    printf("skipped: %s\n", OTHER_BUILD);
    return 0;
}
#else

enum { ROUND_COUNT = 8 };

#define PROBE(name)                                                                                \
    { #name, (unsigned long long)&probe_##name, 0 }
static struct probe {
    const char *name;
    unsigned long long address;
    long instruction_count; /* of the first call; all others must need as many */
} probes[] = {PROBE(frame_begin),   PROBE(frame_alloc_in_64), PROBE(frame_alloc_64),
              PROBE(pool_alloc_64), PROBE(pool_free_64),      PROBE(frame_end),
              PROBE(frame_mark_in), PROBE(frame_rewind_in),   PROBE(tag_enter),
              PROBE(tag_leave),     PROBE(phase_begin_in),    PROBE(phase_end_in)};
enum { PROBE_COUNT = sizeof probes / sizeof probes[0] };

/* In a frame of their own, which ends the slow way. Its first mark prepares it for those that
 * follow; of these, the second one has something to go back over. */
static void call_mark_probes(fa_allocator *allocator) {
    fa_frame *frame = fa_frame_begin(allocator);
    if (frame == NULL || fa_frame_mark_in(frame).serial == 0)
        die("the first mark failed");
    for (int i = 0; i < 2; i++) {
        fa_mark mark = probe_frame_mark_in(frame);
        if (i == 1 && fa_frame_alloc_in(frame, 64) == NULL)
            die("an allocation failed");
        if (probe_frame_rewind_in(frame, mark) != FA_OK)
            die("rewind failed");
    }
    (void)fa_frame_end_in(frame);
}

/* Likewise: a tag's first use on a thread makes what the thread needs for it. */
static void call_tag_probes(fa_allocator *allocator) {
    fa_frame *frame = fa_frame_begin(allocator);
    if (frame == NULL || fa_tag_enter(allocator, FA_TAG_PHYSICS) != FA_OK ||
        fa_frame_alloc_in(frame, 64) == NULL || fa_tag_leave(allocator) != FA_OK)
        die("the first use of a tag failed");
    for (int i = 0; i < 2; i++)
        if (probe_tag_enter(allocator, FA_TAG_PHYSICS) != FA_OK ||
            fa_frame_alloc_in(frame, 64) == NULL || probe_tag_leave(allocator) != FA_OK)
            die("a tag failed");
    (void)fa_frame_end_in(frame);
}

/* Likewise: the first phase of a frame takes the slow path. Without a clock. */
static void call_phase_probes(fa_allocator *allocator) {
    fa_frame *frame = fa_frame_begin(allocator);
    if (frame == NULL || fa_phase_begin_in(frame, "first") != FA_OK ||
        fa_phase_end_in(frame) != FA_OK)
        die("the first phase failed");
    for (int i = 0; i < 2; i++)
        if (probe_phase_begin_in(frame) != FA_OK || fa_frame_alloc_in(frame, 64) == NULL ||
            probe_phase_end_in(frame) != FA_OK)
            die("a phase failed");
    (void)fa_frame_end_in(frame);
}

static void call_probes(fa_allocator *allocator) {
    fa_frame *frame = probe_frame_begin(allocator);
    void *in_frame = probe_frame_alloc_in_64(frame);
    void *in_frame_too = probe_frame_alloc_64(allocator);
    void *object = probe_pool_alloc_64(allocator);
    if (frame == NULL || in_frame == NULL || in_frame_too == NULL || object == NULL)
        die("a probe failed");
    probe_pool_free_64(allocator, object);
    if (probe_frame_end(allocator) != FA_OK)
        die("frame end failed");
    call_mark_probes(allocator);
    call_tag_probes(allocator);
    call_phase_probes(allocator);
}

/* Allocations below budgets of every kind, none of which is reached: no instruction more. What is
 * taken first gets the thread its grant, and fills the magazine. */
static void call_budget_probes(fa_allocator *allocator) {
    fa_budget budget = {.soft_bytes = 1 << 24, .hard_bytes = 1 << 25, .report_peaks = true};
    for (fa_intent intent = FA_INTENT_NONE; intent <= FA_INTENT_HEAP; intent++)
        if (fa_budget_set(allocator, intent, &budget) != FA_OK)
            die("a budget failed");
    if (fa_budget_set_thread(allocator, FA_INTENT_FRAME, &budget) != FA_OK ||
        fa_budget_set_thread(allocator, FA_INTENT_POOL, &budget) != FA_OK)
        die("a thread's budget failed");
    fa_frame *frame = fa_frame_begin(allocator);
    void *object = fa_pool_alloc(allocator, 64);
    if (frame == NULL || object == NULL || fa_frame_alloc_in(frame, 64) == NULL)
        die("an allocation failed");
    fa_pool_free(allocator, object);
    for (int i = 0; i < ROUND_COUNT; i++) {
        object = probe_pool_alloc_64(allocator);
        if (object == NULL || probe_frame_alloc_in_64(frame) == NULL ||
            probe_frame_alloc_64(allocator) == NULL)
            die("a probe failed");
        probe_pool_free_64(allocator, object);
    }
    (void)fa_frame_end_in(frame);
}

static int child_main(void) {
    fa_alloc_config config = fa_alloc_config_default();
    config.phase_clock = false;
    fa_allocator *allocator = NULL;
    if (fa_allocator_create(&config, &allocator) != FA_OK)
        die("create failed");
    for (int i = 0; i < ROUND_COUNT; i++) /* takes the chunk, fills the magazine */
        call_probes(allocator);
    if (!be_stepped())
        return 0;
    for (int i = 0; i < ROUND_COUNT; i++)
        call_probes(allocator);
    call_budget_probes(allocator);
    fa_allocator_destroy(allocator);
    return 0;
}

/* registers: at the first instruction of the probe. */
static void count(struct probe *probe, pid_t child, struct user_regs_struct *registers) {
    long instruction_count = step_out(child, registers);
    if (probe->instruction_count != 0 && probe->instruction_count != instruction_count) {
        fprintf(stderr, "fastpath: %s took %ld instructions, then %ld\n", probe->name,
                probe->instruction_count, instruction_count);
        exit(1);
    }
    probe->instruction_count = instruction_count;
}

int main(void) {
    pid_t child = start(child_main);
    struct user_regs_struct registers;
    while (step(child, &registers))
        for (int i = 0; i < PROBE_COUNT; i++)
            if (registers.rip == probes[i].address)
                count(&probes[i], child, &registers);
    puts("# Instructions from the call of each function to its return; gcc 12, x86-64, release.");
    for (int i = 0; i < PROBE_COUNT; i++) {
        if (probes[i].instruction_count == 0)
            die("a probe was not seen");
        printf("%s %ld\n", probes[i].name, probes[i].instruction_count);
    }
    return 0;
}
#endif
