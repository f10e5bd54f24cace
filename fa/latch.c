#define _GNU_SOURCE /* nanosleep */
#include "fa/internal/latch.h"

#include <time.h>

#define LOOKS 200
#define SLEEP_NANOSECONDS 1000

void fai_latch_wait(fai_latch *latch) {
    for (unsigned looks = 0; !fai_latch_try(latch);)
        if (++looks > LOOKS) {
            struct timespec nap = {0, SLEEP_NANOSECONDS};
            nanosleep(&nap, NULL);
        }
}
