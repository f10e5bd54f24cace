#define _GNU_SOURCE /* clock_gettime */
#include "fa/internal/clock.h"

#include <time.h>

uint64_t fai_clock(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}
