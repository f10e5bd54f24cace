/* In a file of its own, so that the compiler knows nothing of the caller. */
#include "tools/fastpath/probe.h"

fa_frame *probe_frame_begin(fa_allocator *allocator) { return fa_frame_begin(allocator); }

fa_status probe_frame_end(fa_allocator *allocator) { return fa_frame_end(allocator); }

void *probe_frame_alloc_in_64(fa_frame *frame) { return fa_frame_alloc_in(frame, 64); }

fa_mark probe_frame_mark_in(fa_frame *frame) { return fa_frame_mark_in(frame); }

fa_status probe_frame_rewind_in(fa_frame *frame, fa_mark mark) {
    return fa_frame_rewind_in(frame, mark);
}

fa_status probe_phase_begin_in(fa_frame *frame) { return fa_phase_begin_in(frame, "phase"); }

fa_status probe_phase_end_in(fa_frame *frame) { return fa_phase_end_in(frame); }

fa_status probe_tag_enter(fa_allocator *allocator, fa_tag tag) {
    return fa_tag_enter(allocator, tag);
}

fa_status probe_tag_leave(fa_allocator *allocator) { return fa_tag_leave(allocator); }

void *probe_frame_alloc_64(fa_allocator *allocator) { return fa_frame_alloc(allocator, 64); }

void *probe_pool_alloc_64(fa_allocator *allocator) { return fa_pool_alloc(allocator, 64); }

void probe_pool_free_64(fa_allocator *allocator, void *block) {
    fa_pool_free_sized(allocator, block, 64);
}
