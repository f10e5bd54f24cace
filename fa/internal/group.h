/* Groups as other parts see them. */
#ifndef FAI_GROUP_H
#define FAI_GROUP_H

#include "fa/internal/allocator.h"

/* The registry of groups; false without memory for a lock. */
bool fai_groups_create(fa_allocator *allocator);

#endif
