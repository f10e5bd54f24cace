/* Owned arenas as other parts see them. */
#ifndef FAI_OWN_ARENA_H
#define FAI_OWN_ARENA_H

#include "fa/internal/allocator.h"

/* How often an arena was given or taken: the low bits of its serial. Those above stay while it is
 * the same arena, but for once in a round of them. */
#define FAI_OWN_TURN_BITS 32

/* The registry of owned arenas; false without memory for a lock. */
bool fai_own_arenas_create(fa_allocator *allocator);

#endif
