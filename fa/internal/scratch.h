/* Scratch pools and scopes as other parts see them. */
#ifndef FAI_SCRATCH_H
#define FAI_SCRATCH_H

#include "fa/internal/allocator.h"
#include "fa/internal/bump.h"
#include "fa/scratch.h"
#include "fa/scratch_pool.h"

/* One arena of a thread. Its levels are the open scopes, its serial the newest one's; 0: none. */
typedef struct fai_scratch_arena {
    fai_bump bump; /* must be first; without an allocator until it is used */
    fai_thread *thread;
} fai_scratch_arena;

/* Part of a thread's state: so a scope that has ended finds it while the allocator lives. */
typedef struct fai_scratch {
    fai_scratch_arena arenas[FA_SCRATCH_ARENA_COUNT];
} fai_scratch;

/* Ends what is open and gives all memory back. Under the registry's lock: by the owning thread, or
 * once nobody uses the allocator any more. */
void fai_scratch_detach(fai_thread *thread);

/* Gives back what the calling thread's arenas hold without need. */
void fai_scratch_trim(fai_thread *thread);

const void *fai_scratch_validate(const fai_thread *thread);

/* The registry of scratch pools; false without memory for a lock. */
bool fai_scratch_pools_create(fa_allocator *allocator);

/* How often a pool was reset; whether it is there and was reset so often. Any thread, no lock. */
uint64_t fai_scratch_pool_reset_count(fa_scratch_pool pool);
bool fai_scratch_pool_is_as_of(fa_scratch_pool pool, uint64_t reset_count);

#endif
