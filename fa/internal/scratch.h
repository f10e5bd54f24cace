/* Scratch pools and scopes as other parts see them. */
#ifndef FAI_SCRATCH_H
#define FAI_SCRATCH_H

#include "fa/internal/allocator.h"
#include "fa/scratch_pool.h"

/* The registry of scratch pools; false without memory for a lock. */
bool fai_scratch_pools_create(fa_allocator *allocator);

/* How often a pool was reset; whether it is there and was reset so often. Any thread, no lock. */
uint64_t fai_scratch_pool_reset_count(fa_scratch_pool pool);
bool fai_scratch_pool_is_as_of(fa_scratch_pool pool, uint64_t reset_count);

#endif
