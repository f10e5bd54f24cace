/* Scratch pools and scopes as other parts see them. */
#ifndef FAI_SCRATCH_H
#define FAI_SCRATCH_H

#include "fa/internal/allocator.h"

/* The registry of scratch pools; false without memory for a lock. */
bool fai_scratch_pools_create(fa_allocator *allocator);

#endif
