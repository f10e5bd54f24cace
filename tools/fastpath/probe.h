#ifndef TOOLS_FASTPATH_PROBE_H
#define TOOLS_FASTPATH_PROBE_H

#include "fa/fa.h"

void *probe_frame_alloc_in_64(fa_frame *frame);
void *probe_frame_alloc_64(fa_allocator *allocator);
void *probe_pool_alloc_64(fa_allocator *allocator);
void probe_pool_free_64(fa_allocator *allocator, void *block);

#endif
