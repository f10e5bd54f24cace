/* Owned arenas as other parts see them. */
#ifndef FAI_OWN_ARENA_H
#define FAI_OWN_ARENA_H

#include "fa/internal/allocator.h"

/* The registry of owned arenas; false without memory for a lock. */
bool fai_own_arenas_create(fa_allocator *allocator);

#endif
