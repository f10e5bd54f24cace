/* A child that goes on one instruction at a time. For x86-64; include with _GNU_SOURCE. */
#ifndef FASTPATH_STEPPING_H
#define FASTPATH_STEPPING_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static inline _Noreturn void die(const char *what) {
    fprintf(stderr, "fastpath: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* In the child: stops, and lets the parent decide how it goes on. False, with the reason printed:
 * it must not. */
static inline bool be_stepped(void) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        printf("skipped: no right to trace: %s\n", strerror(errno));
        return false;
    }
    raise(SIGSTOP);
    return true;
}

/* Runs a child until it is stepped; exits with it when it never is, it has said why. */
static inline pid_t start(int (*child_main)(void)) {
    pid_t child = fork();
    if (child == 0)
        exit(child_main());
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        die("fork");
    if (!WIFSTOPPED(status))
        exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    return child;
}

/* One instruction. Returns false when the child has exited. */
static inline bool step(pid_t child, struct user_regs_struct *registers) {
    int status;
    if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 || waitpid(child, &status, 0) != child)
        die("step");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return false;
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
        die("the child was stopped");
    if (ptrace(PTRACE_GETREGS, child, NULL, registers) != 0)
        die("registers");
    return true;
}

/* Goes on from the first instruction of a function to its return. Returns how many it took. */
static inline long step_out(pid_t child, struct user_regs_struct *registers) {
    errno = 0;
    unsigned long long caller =
        (unsigned long long)ptrace(PTRACE_PEEKDATA, child, (void *)registers->rsp, NULL);
    if (errno != 0)
        die("return address");
    long instruction_count = 0;
    do {
        instruction_count++;
        if (!step(child, registers))
            die("the child ended inside of a function");
    } while (registers->rip != caller);
    return instruction_count;
}

#endif
