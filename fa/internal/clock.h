/* The clock that steps and waits are measured with. */
#ifndef FAI_CLOCK_H
#define FAI_CLOCK_H

#include <stdint.h>

/* Nanoseconds since some moment in the past; never goes back. */
uint64_t fai_clock(void);

#endif
