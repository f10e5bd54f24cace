/* What fa_frame_end_all costs, counted in instructions: it must not depend on how much the frames
 * of the threads allocated, and grow by the same amount with each thread. */
#define _GNU_SOURCE
#include "fa/fa.h"

#include <pthread.h>
#include <stdio.h>

#if !defined(__x86_64__) || !defined(__linux__)
int main(void) {
    puts("skipped: not x86-64");
    return 0;
}
#else

#include "tools/fastpath/stepping.h"

enum { THREADS_MAX = 8, WARM_ROUNDS = 4 };
static const size_t k_allocations[] = {1, 100, 10000};
enum { SIZES = sizeof k_allocations / sizeof k_allocations[0] };

static fa_allocator *k_allocator;
static pthread_barrier_t k_meeting; /* all threads: when frames are full, and when all have ended */
static size_t k_allocation_count;   /* of each thread in the next round; SIZE_MAX: no more rounds */

static void *work(void *argument) {
    for (;;) {
        pthread_barrier_wait(&k_meeting);
        if (k_allocation_count == SIZE_MAX)
            return argument;
        fa_frame *frame = fa_frame_begin(k_allocator);
        for (size_t i = 0; frame != NULL && i < k_allocation_count; i++)
            if (fa_frame_alloc_in(frame, 16) == NULL)
                die("an allocation failed");
        pthread_barrier_wait(&k_meeting);
        pthread_barrier_wait(&k_meeting);
    }
}

__attribute__((noinline)) static size_t end_all(void) {
    size_t ended = fa_frame_end_all(k_allocator);
    __asm__ volatile("" : "+r"(ended)); /* no tail call */
    return ended;
}

static void play_round(size_t threads, size_t allocations, bool counted) {
    k_allocation_count = allocations;
    pthread_barrier_wait(&k_meeting);
    if (allocations == SIZE_MAX)
        return;
    pthread_barrier_wait(&k_meeting);
    if (counted)
        raise(SIGTRAP);
    if (end_all() != threads)
        die("not all frames were ended");
    pthread_barrier_wait(&k_meeting);
}

static void play(size_t threads) {
    fa_alloc_config config = fa_alloc_config_default();
    config.checks = 0;
    config.frame_chunk_bytes_first = 1 << 20;
    pthread_t ids[THREADS_MAX];
    if (fa_allocator_create(&config, &k_allocator) != FA_OK ||
        pthread_barrier_init(&k_meeting, NULL, (unsigned)threads + 1) != 0)
        die("create");
    for (size_t i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, work, NULL) != 0)
            die("a thread");
    for (int i = 0; i < WARM_ROUNDS; i++) /* takes the chunks */
        play_round(threads, k_allocations[SIZES - 1], false);
    for (size_t i = 0; i < SIZES; i++)
        play_round(threads, k_allocations[i], true);
    play_round(threads, SIZE_MAX, false);
    for (size_t i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    pthread_barrier_destroy(&k_meeting);
    fa_allocator_destroy(k_allocator);
}

static int child_main(void) {
    if (!be_stepped())
        return 0;
    for (size_t threads = 1; threads <= THREADS_MAX; threads++)
        play(threads);
    return 0;
}

/* Lets the child go on to its next SIGTRAP. Returns false when it has exited. */
static bool go_on(pid_t child) {
    int status;
    if (ptrace(PTRACE_CONT, child, NULL, NULL) != 0 || waitpid(child, &status, 0) != child)
        die("go on");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return false;
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
        die("the child was stopped");
    return true;
}

static long count(pid_t child) {
    struct user_regs_struct registers;
    do
        if (!step(child, &registers))
            die("the child ended");
    while (registers.rip != (unsigned long long)&end_all);
    return step_out(child, &registers);
}

int main(void) {
    pid_t child = start(child_main);
    long counts[THREADS_MAX] = {0};
    for (size_t threads = 0; threads < THREADS_MAX; threads++)
        for (size_t i = 0; i < SIZES; i++) {
            if (!go_on(child))
                die("the child ended too soon");
            long instructions = count(child);
            printf("%zu threads, %zu allocations each: %ld instructions\n", threads + 1,
                   k_allocations[i], instructions);
            if (i != 0 && instructions != counts[threads])
                die("it depends on allocations");
            counts[threads] = instructions;
        }
    if (go_on(child))
        die("the child goes on");
    for (size_t i = 2; i < THREADS_MAX; i++)
        if (counts[i] - counts[i - 1] != counts[1] - counts[0])
            die("it is not linear in threads");
    return 0;
}
#endif
