/* Tasks as other parts see them. */
#ifndef FAI_TASK_H
#define FAI_TASK_H

#include "fa/internal/allocator.h"

/* The registry of tasks; false without memory for a lock. */
bool fai_tasks_create(fa_allocator *allocator);

#endif
