/* The inline functions of the headers once more as ordinary ones: for callers in other languages,
 * for function pointers, and for builds that do not inline. */
#include "fa/fa.h"

extern inline void *(fa_frame_alloc)(fa_allocator *allocator, size_t size);
extern inline void *(fa_frame_alloc_in)(fa_frame *frame, size_t size);
extern inline void *(fa_frame_alloc_batch)(fa_allocator *allocator, size_t count, size_t size);
extern inline void *(fa_frame_alloc_batch_in)(fa_frame *frame, size_t count, size_t size);
extern inline void *(fa_pool_alloc)(fa_allocator *allocator, size_t size);
extern inline void(fa_pool_free_sized)(fa_allocator *allocator, void *block, size_t size);
extern inline bool fai_bump_alloc(fai_bump_head *head, uint64_t serial, size_t size, void **block);
extern inline void *(fa_group_alloc)(fa_group group, size_t size);
extern inline void *(fa_group_alloc_batch)(fa_group group, size_t count, size_t size);
extern inline void *(fa_own_arena_alloc)(fa_own_arena arena, size_t size);
extern inline void *(fa_own_arena_alloc_batch)(fa_own_arena arena, size_t count, size_t size);
extern inline void *(fa_shared_arena_alloc)(fa_shared_arena_local *local, size_t size);
extern inline void *(fa_shared_arena_alloc_batch)(fa_shared_arena_local *local, size_t count,
                                                  size_t size);
extern inline void *(fa_scratch_alloc)(fa_scratch scratch, size_t size);
extern inline void *(fa_scratch_alloc_batch)(fa_scratch scratch, size_t count, size_t size);
extern inline void *(fa_scratch_pool_alloc)(fa_scratch_pool pool, size_t size);
extern inline void *(fa_scratch_pool_alloc_batch)(fa_scratch_pool pool, size_t count, size_t size);
extern inline fa_batch(fa_batch_first)(size_t count, size_t batch_count_max);
extern inline fa_batch(fa_batch_next)(fa_batch batch);
extern inline fa_status(fa_text_append_char)(fa_text *text, char byte);
extern inline fa_mark(fa_frame_mark)(fa_allocator *allocator);
extern inline fa_mark(fa_frame_mark_in)(fa_frame *frame);
extern inline fa_status(fa_frame_rewind)(fa_allocator *allocator, fa_mark mark);
extern inline bool fai_frame_rewind_fast(fa_frame *frame, fa_mark mark);
extern inline fa_status fai_frame_rewind_once(fa_frame *frame, fa_mark mark);
extern inline fa_status(fa_frame_rewind_in)(fa_frame *frame, fa_mark mark);
extern inline fa_mark_guard(fa_mark_guard_begin)(fa_allocator *allocator);
extern inline fa_mark_guard(fa_mark_guard_begin_in)(fa_frame *frame);
extern inline void fa_mark_guard_commit(fa_mark_guard *guard);
extern inline fa_status(fa_mark_guard_end)(fa_mark_guard *guard);
extern inline fa_status(fa_phase_begin)(fa_allocator *allocator, const char *name);
extern inline fa_status(fa_phase_begin_in)(fa_frame *frame, const char *name);
extern inline fa_status(fa_phase_end)(fa_allocator *allocator);
extern inline fa_status(fa_phase_end_in)(fa_frame *frame);
extern inline void *fai_handle_word_read(const fai_handle_word *word, uint32_t counter);
extern inline void *(fa_handle_get)(const fa_handles *handles, fa_handle handle);
