/* One call in each function, so that the instructions of its fast path can be counted. */
#ifndef TOOLS_FASTPATH_PROBE_H
#define TOOLS_FASTPATH_PROBE_H

#include "fa/fa.h"

fa_frame *probe_frame_begin(fa_allocator *allocator);
fa_status probe_frame_end(fa_allocator *allocator);
void *probe_frame_alloc_in_64(fa_frame *frame);
fa_mark probe_frame_mark_in(fa_frame *frame);
fa_status probe_frame_rewind_in(fa_frame *frame, fa_mark mark);
fa_status probe_phase_begin_in(fa_frame *frame);
fa_status probe_phase_end_in(fa_frame *frame);
fa_status probe_tag_enter(fa_allocator *allocator, fa_tag tag);
fa_status probe_tag_leave(fa_allocator *allocator);
void *probe_frame_alloc_64(fa_allocator *allocator);
void *probe_pool_alloc_64(fa_allocator *allocator);
void probe_pool_free_64(fa_allocator *allocator, void *block);

#endif
