/* Where in the caller's code? Where it is wanted, calls are wrapped in macros of the same name that
 * note the place in the thread's slot before the call; only slow paths read it.
 *
 * Calls for heap memory note it always (their cost does not show), all others where the program is
 * built with FA_DEBUG, nothing with FA_MINIMAL. The functions themselves stay reachable through
 * their address or as (fa_heap_alloc)(...). Included last by frame.h, soa.h, pool.h, heap.h and
 * others; no include guard, each block has its own. */
#include "fa/fast.h"

#ifndef FAI_AT
/* Notes the place, then evaluates the call. A macro's own name is not expanded again inside of it.
 * Calls may be nested in the arguments of others, so each place has a name of its own. */
#define FAI_AT(call) FAI_AT_COUNTED(call, __COUNTER__)
#define FAI_AT_COUNTED(call, counter) FAI_AT_NUMBERED(call, counter)
#define FAI_AT_NUMBERED(call, number) FAI_AT_NAMED(call, fai_site_##number)
#define FAI_AT_NAMED(call, name)                                                                   \
    __extension__({                                                                                \
        static const fa_site name = {__FILE__, __func__, __LINE__};                                \
        fai_slot.site = &name;                                                                     \
        call;                                                                                      \
    })
#endif

#ifndef FA_MINIMAL

#if defined(FA_HEAP_H) && !defined(FAI_HEAP_SITES)
#define FAI_HEAP_SITES
#define fa_heap_alloc(allocator, size) FAI_AT(fa_heap_alloc((allocator), (size)))
#define fa_heap_alloc_aligned(allocator, size, align)                                              \
    FAI_AT(fa_heap_alloc_aligned((allocator), (size), (align)))
#define fa_heap_alloc_zeroed(allocator, count, size)                                               \
    FAI_AT(fa_heap_alloc_zeroed((allocator), (count), (size)))
#define fa_heap_realloc(allocator, block, size)                                                    \
    FAI_AT(fa_heap_realloc((allocator), (block), (size)))
#endif

#if defined(FAI_STREAM_DECLARED) && !defined(FAI_STREAM_SITES)
#define FAI_STREAM_SITES
#define fa_stream_reserve(streams, size, align, priority, item)                                    \
    FAI_AT(fa_stream_reserve((streams), (size), (align), (priority), (item)))
#define fa_stream_begin(streams, stream) FAI_AT(fa_stream_begin((streams), (stream)))
#endif

/* Reports name where a transfer was made that nobody received. */
#if defined(FAI_TRANSFER_DECLARED) && !defined(FAI_TRANSFER_SITES)
#define FAI_TRANSFER_SITES
#define fa_transfer_make(allocator, source, size, align, transfer)                                 \
    FAI_AT(fa_transfer_make((allocator), (source), (size), (align), (transfer)))
#define fa_transfer_wrap(allocator, block, size, transfer)                                         \
    FAI_AT(fa_transfer_wrap((allocator), (block), (size), (transfer)))
#endif

#if defined(FA_TAG_H) && !defined(FAI_TAG_SITES)
#define FAI_TAG_SITES
/* A compound literal has commas. */
#define fa_tagged_heap_alloc(...) FAI_AT(fa_tagged_heap_alloc(__VA_ARGS__))
#define fa_tagged_heap_alloc_aligned(...) FAI_AT(fa_tagged_heap_alloc_aligned(__VA_ARGS__))
#define fa_tagged_heap_alloc_zeroed(...) FAI_AT(fa_tagged_heap_alloc_zeroed(__VA_ARGS__))
#endif

#ifdef FA_DEBUG

#if defined(FA_HEAP_H) && !defined(FAI_HEAP_FREE_SITES)
#define FAI_HEAP_FREE_SITES
#define fa_heap_free(allocator, block) FAI_AT(fa_heap_free((allocator), (block)))
#endif

#if defined(FA_FRAME_H) && !defined(FAI_FRAME_SITES)
#define FAI_FRAME_SITES
#define fa_frame_begin(allocator) FAI_AT(fa_frame_begin((allocator)))
#define fa_frame_end(allocator) FAI_AT(fa_frame_end((allocator)))
#define fa_frame_end_in(frame) FAI_AT(fa_frame_end_in((frame)))
#define fa_frame_alloc(allocator, size) FAI_AT(fa_frame_alloc((allocator), (size)))
#define fa_frame_alloc_in(frame, size) FAI_AT(fa_frame_alloc_in((frame), (size)))
#define fa_frame_alloc_aligned(allocator, size, align)                                             \
    FAI_AT(fa_frame_alloc_aligned((allocator), (size), (align)))
#define fa_frame_alloc_aligned_in(frame, size, align)                                              \
    FAI_AT(fa_frame_alloc_aligned_in((frame), (size), (align)))
#define fa_frame_alloc_batch(allocator, count, size)                                               \
    FAI_AT(fa_frame_alloc_batch((allocator), (count), (size)))
#define fa_frame_alloc_batch_in(frame, count, size)                                                \
    FAI_AT(fa_frame_alloc_batch_in((frame), (count), (size)))
#define fa_frame_alloc_zeroed(allocator, count, size)                                              \
    FAI_AT(fa_frame_alloc_zeroed((allocator), (count), (size)))
#define fa_frame_alloc_zeroed_in(frame, count, size)                                               \
    FAI_AT(fa_frame_alloc_zeroed_in((frame), (count), (size)))
#define fa_frame_try_alloc(allocator, size, align, block)                                          \
    FAI_AT(fa_frame_try_alloc((allocator), (size), (align), (block)))
#define fa_frame_try_alloc_in(frame, size, align, block)                                           \
    FAI_AT(fa_frame_try_alloc_in((frame), (size), (align), (block)))
#define fa_frame_grow(allocator, block, size_old, size_new)                                        \
    FAI_AT(fa_frame_grow((allocator), (block), (size_old), (size_new)))
#define fa_frame_grow_in(frame, block, size_old, size_new)                                         \
    FAI_AT(fa_frame_grow_in((frame), (block), (size_old), (size_new)))
#define fa_frame_copy(allocator, source, size) FAI_AT(fa_frame_copy((allocator), (source), (size)))
#define fa_frame_copy_in(frame, source, size) FAI_AT(fa_frame_copy_in((frame), (source), (size)))
#define fa_frame_copy_string(allocator, string) FAI_AT(fa_frame_copy_string((allocator), (string)))
#define fa_frame_copy_string_in(frame, string) FAI_AT(fa_frame_copy_string_in((frame), (string)))
#define fai_frame_zeroed(allocator, count, size, align)                                            \
    FAI_AT(fai_frame_zeroed((allocator), (count), (size), (align)))
#define fai_frame_zeroed_in(frame, count, size, align)                                             \
    FAI_AT(fai_frame_zeroed_in((frame), (count), (size), (align)))
#define fai_frame_array(allocator, count, size, align)                                             \
    FAI_AT(fai_frame_array((allocator), (count), (size), (align)))
#define fai_frame_array_in(frame, count, size, align)                                              \
    FAI_AT(fai_frame_array_in((frame), (count), (size), (align)))
#endif

/* soa.h includes frame.h: only its own include of this file stands behind its declarations. */
#if defined(FAI_SOA_DECLARED) && !defined(FAI_SOA_SITES)
#define FAI_SOA_SITES
#define fa_soa_alloc(allocator, columns, column_count, count, arrays)                              \
    FAI_AT(fa_soa_alloc((allocator), (columns), (column_count), (count), (arrays)))
#define fa_soa_alloc_in(frame, columns, column_count, count, arrays)                               \
    FAI_AT(fa_soa_alloc_in((frame), (columns), (column_count), (count), (arrays)))
#define fa_frame_alloc_lines(allocator, size, align)                                               \
    FAI_AT(fa_frame_alloc_lines((allocator), (size), (align)))
#define fa_frame_alloc_lines_in(frame, size, align)                                                \
    FAI_AT(fa_frame_alloc_lines_in((frame), (size), (align)))
#endif

/* Headers that include frame.h, and so this one, before they declare theirs: they say when they
 * have. In collections, the place is where FA_VEC and so on made the type, with the function's
 * name. */
#if defined(FAI_COLLECTION_DECLARED) && !defined(FAI_COLLECTION_SITES)
#define FAI_COLLECTION_SITES
#define fai_room_make(allocator, capacity, size, align)                                            \
    FAI_AT(fai_room_make((allocator), (capacity), (size), (align)))
#define fai_room_make_in(frame, capacity, size, align)                                             \
    FAI_AT(fai_room_make_in((frame), (capacity), (size), (align)))
#define fai_room_grow(frame, items, capacity, need, size, align)                                   \
    FAI_AT(fai_room_grow((frame), (items), (capacity), (need), (size), (align)))
#endif

#if defined(FAI_TEXT_DECLARED) && !defined(FAI_TEXT_SITES)
#define FAI_TEXT_SITES
#define fa_text_make(allocator, capacity) FAI_AT(fa_text_make((allocator), (capacity)))
#define fa_text_make_in(frame, capacity) FAI_AT(fa_text_make_in((frame), (capacity)))
#define fa_text_append(text, string) FAI_AT(fa_text_append((text), (string)))
#define fa_text_append_n(text, bytes, n) FAI_AT(fa_text_append_n((text), (bytes), (n)))
#define fa_text_append_char(text, byte) FAI_AT(fa_text_append_char((text), (byte)))
#define fa_text_format(text, ...) FAI_AT(fa_text_format((text), __VA_ARGS__))
#define fa_text_format_list(text, format, arguments)                                               \
    FAI_AT(fa_text_format_list((text), (format), (arguments)))
#define fa_text_insert(text, index, bytes, n) FAI_AT(fa_text_insert((text), (index), (bytes), (n)))
#define fa_text_reserve(text, capacity) FAI_AT(fa_text_reserve((text), (capacity)))
#endif

#if defined(FAI_MAP_DECLARED) && !defined(FAI_MAP_SITES)
#define FAI_MAP_SITES
#define fai_map_make(allocator, capacity, entry_bytes, align)                                      \
    FAI_AT(fai_map_make((allocator), (capacity), (entry_bytes), (align)))
#define fai_map_make_in(frame, capacity, entry_bytes, align)                                       \
    FAI_AT(fai_map_make_in((frame), (capacity), (entry_bytes), (align)))
#define fai_map_grow(frame, capacity, entry_bytes, align)                                          \
    FAI_AT(fai_map_grow((frame), (capacity), (entry_bytes), (align)))
#endif

#if defined(FAI_DEFER_DECLARED) && !defined(FAI_DEFER_SITES)
#define FAI_DEFER_SITES
/* The commas of a lambda expression do not separate arguments. */
#define fa_frame_defer(...) FAI_AT(fa_frame_defer(__VA_ARGS__))
#define fa_frame_defer_in(...) FAI_AT(fa_frame_defer_in(__VA_ARGS__))
#define fa_frame_defer_cancel(...) FAI_AT(fa_frame_defer_cancel(__VA_ARGS__))
#define fa_frame_defer_cancel_in(...) FAI_AT(fa_frame_defer_cancel_in(__VA_ARGS__))
#endif

#if defined(FAI_PHASE_DECLARED) && !defined(FAI_PHASE_SITES)
#define FAI_PHASE_SITES
#define fa_phase_begin(allocator, name) FAI_AT(fa_phase_begin((allocator), (name)))
#define fa_phase_begin_in(frame, name) FAI_AT(fa_phase_begin_in((frame), (name)))
#define fa_phase_end(allocator) FAI_AT(fa_phase_end((allocator)))
#define fa_phase_end_in(frame) FAI_AT(fa_phase_end_in((frame)))
#endif

#if defined(FAI_MARK_DECLARED) && !defined(FAI_MARK_SITES)
#define FAI_MARK_SITES
#define fa_frame_mark(allocator) FAI_AT(fa_frame_mark((allocator)))
#define fa_frame_mark_in(frame) FAI_AT(fa_frame_mark_in((frame)))
#define fa_frame_rewind(allocator, mark) FAI_AT(fa_frame_rewind((allocator), (mark)))
#define fa_frame_rewind_in(frame, mark) FAI_AT(fa_frame_rewind_in((frame), (mark)))
#define fa_mark_guard_begin(allocator) FAI_AT(fa_mark_guard_begin((allocator)))
#define fa_mark_guard_begin_in(frame) FAI_AT(fa_mark_guard_begin_in((frame)))
#define fa_mark_guard_end(guard) FAI_AT(fa_mark_guard_end((guard)))
#define fa_frame_speculate(...) FAI_AT(fa_frame_speculate(__VA_ARGS__))
#define fa_frame_speculate_in(...) FAI_AT(fa_frame_speculate_in(__VA_ARGS__))
#endif

#if defined(FAI_OWN_ARENA_DECLARED) && !defined(FAI_OWN_ARENA_SITES)
#define FAI_OWN_ARENA_SITES
#define fa_own_arena_create(...) FAI_AT(fa_own_arena_create(__VA_ARGS__))
#define fa_own_arena_give(...) FAI_AT(fa_own_arena_give(__VA_ARGS__))
#define fa_own_arena_take(...) FAI_AT(fa_own_arena_take(__VA_ARGS__))
#define fa_own_arena_free(...) FAI_AT(fa_own_arena_free(__VA_ARGS__))
#define fa_own_arena_reset(...) FAI_AT(fa_own_arena_reset(__VA_ARGS__))
#define fa_own_arena_alloc(...) FAI_AT(fa_own_arena_alloc(__VA_ARGS__))
#define fa_own_arena_alloc_aligned(...) FAI_AT(fa_own_arena_alloc_aligned(__VA_ARGS__))
#define fa_own_arena_alloc_batch(...) FAI_AT(fa_own_arena_alloc_batch(__VA_ARGS__))
#define fa_own_arena_alloc_zeroed(...) FAI_AT(fa_own_arena_alloc_zeroed(__VA_ARGS__))
#define fai_own_arena_array(...) FAI_AT(fai_own_arena_array(__VA_ARGS__))
#define fai_own_arena_zeroed(...) FAI_AT(fai_own_arena_zeroed(__VA_ARGS__))
#define fa_own_arena_grow(...) FAI_AT(fa_own_arena_grow(__VA_ARGS__))
#define fa_own_arena_copy(...) FAI_AT(fa_own_arena_copy(__VA_ARGS__))
#define fa_own_arena_copy_string(...) FAI_AT(fa_own_arena_copy_string(__VA_ARGS__))
#define fa_own_arena_mark_set(...) FAI_AT(fa_own_arena_mark_set(__VA_ARGS__))
#define fa_own_arena_rewind(...) FAI_AT(fa_own_arena_rewind(__VA_ARGS__))
#endif

#if defined(FAI_SHARED_ARENA_DECLARED) && !defined(FAI_SHARED_ARENA_SITES)
#define FAI_SHARED_ARENA_SITES
#define fa_shared_arena_create(...) FAI_AT(fa_shared_arena_create(__VA_ARGS__))
#define fa_shared_arena_reset(...) FAI_AT(fa_shared_arena_reset(__VA_ARGS__))
#define fa_shared_arena_free(...) FAI_AT(fa_shared_arena_free(__VA_ARGS__))
#define fa_shared_arena_begin(...) FAI_AT(fa_shared_arena_begin(__VA_ARGS__))
#define fa_shared_arena_end(...) FAI_AT(fa_shared_arena_end(__VA_ARGS__))
#define fa_shared_arena_alloc(...) FAI_AT(fa_shared_arena_alloc(__VA_ARGS__))
#define fa_shared_arena_alloc_aligned(...) FAI_AT(fa_shared_arena_alloc_aligned(__VA_ARGS__))
#define fa_shared_arena_alloc_batch(...) FAI_AT(fa_shared_arena_alloc_batch(__VA_ARGS__))
#define fa_shared_arena_alloc_zeroed(...) FAI_AT(fa_shared_arena_alloc_zeroed(__VA_ARGS__))
#define fa_shared_arena_copy(...) FAI_AT(fa_shared_arena_copy(__VA_ARGS__))
#define fa_shared_arena_copy_string(...) FAI_AT(fa_shared_arena_copy_string(__VA_ARGS__))
#define fai_shared_arena_array(...) FAI_AT(fai_shared_arena_array(__VA_ARGS__))
#define fai_shared_arena_zeroed(...) FAI_AT(fai_shared_arena_zeroed(__VA_ARGS__))
#endif

#if defined(FAI_TASK_DECLARED) && !defined(FAI_TASK_SITES)
#define FAI_TASK_SITES
#define fa_task_begin(...) FAI_AT(fa_task_begin(__VA_ARGS__))
#define fa_task_end(...) FAI_AT(fa_task_end(__VA_ARGS__))
#define fa_task_alloc(...) FAI_AT(fa_task_alloc(__VA_ARGS__))
#define fa_task_alloc_zeroed(...) FAI_AT(fa_task_alloc_zeroed(__VA_ARGS__))
#define fa_task_copy(...) FAI_AT(fa_task_copy(__VA_ARGS__))
#define fa_task_copy_string(...) FAI_AT(fa_task_copy_string(__VA_ARGS__))
#define fa_task_realloc(...) FAI_AT(fa_task_realloc(__VA_ARGS__))
#define fa_task_free(...) FAI_AT(fa_task_free(__VA_ARGS__))
#define fa_task_alloc_with(...) FAI_AT(fa_task_alloc_with(__VA_ARGS__))
#define fa_task_defer(...) FAI_AT(fa_task_defer(__VA_ARGS__))
#define fa_task_capture_end(...) FAI_AT(fa_task_capture_end(__VA_ARGS__))
#define fa_task_carry(...) FAI_AT(fa_task_carry(__VA_ARGS__))
#define fa_task_check(...) FAI_AT(fa_task_check(__VA_ARGS__))
#endif

#if defined(FAI_GROUP_DECLARED) && !defined(FAI_GROUP_SITES)
#define FAI_GROUP_SITES
#define fa_group_create(allocator, name) FAI_AT(fa_group_create((allocator), (name)))
#define fa_group_free(group) FAI_AT(fa_group_free((group)))
#define fa_group_alloc(group, size) FAI_AT(fa_group_alloc((group), (size)))
#define fa_group_alloc_aligned(group, size, align)                                                 \
    FAI_AT(fa_group_alloc_aligned((group), (size), (align)))
#define fa_group_alloc_batch(group, count, size)                                                   \
    FAI_AT(fa_group_alloc_batch((group), (count), (size)))
#define fa_group_alloc_zeroed(group, count, size)                                                  \
    FAI_AT(fa_group_alloc_zeroed((group), (count), (size)))
/* The commas of a lambda expression do not separate arguments. */
#define fa_group_alloc_with(...) FAI_AT(fa_group_alloc_with(__VA_ARGS__))
#define fa_group_defer(...) FAI_AT(fa_group_defer(__VA_ARGS__))
#define fai_group_array(group, count, size, align)                                                 \
    FAI_AT(fai_group_array((group), (count), (size), (align)))
#define fai_group_zeroed(group, count, size, align)                                                \
    FAI_AT(fai_group_zeroed((group), (count), (size), (align)))
#define fa_group_copy(group, source, size) FAI_AT(fa_group_copy((group), (source), (size)))
#define fa_group_copy_string(group, string) FAI_AT(fa_group_copy_string((group), (string)))
#endif

#if defined(FAI_SCRATCH_DECLARED) && !defined(FAI_SCRATCH_SITES)
#define FAI_SCRATCH_SITES
/* Scopes and their conflicts may be compound literals. */
#define fa_scratch_begin(...) FAI_AT(fa_scratch_begin(__VA_ARGS__))
#define fa_scratch_end(...) FAI_AT(fa_scratch_end(__VA_ARGS__))
#define fa_scratch_alloc(scratch, size) FAI_AT(fa_scratch_alloc((scratch), (size)))
#define fa_scratch_alloc_aligned(scratch, size, align)                                             \
    FAI_AT(fa_scratch_alloc_aligned((scratch), (size), (align)))
#define fa_scratch_alloc_batch(scratch, count, size)                                               \
    FAI_AT(fa_scratch_alloc_batch((scratch), (count), (size)))
#define fa_scratch_alloc_zeroed(scratch, count, size)                                              \
    FAI_AT(fa_scratch_alloc_zeroed((scratch), (count), (size)))
#define fai_scratch_array(scratch, count, size, align)                                             \
    FAI_AT(fai_scratch_array((scratch), (count), (size), (align)))
#define fai_scratch_zeroed(scratch, count, size, align)                                            \
    FAI_AT(fai_scratch_zeroed((scratch), (count), (size), (align)))
#define fa_scratch_grow(scratch, block, size_old, size_new)                                        \
    FAI_AT(fa_scratch_grow((scratch), (block), (size_old), (size_new)))
#define fa_scratch_copy(scratch, source, size) FAI_AT(fa_scratch_copy((scratch), (source), (size)))
#define fa_scratch_copy_string(scratch, string) FAI_AT(fa_scratch_copy_string((scratch), (string)))
#endif

#if defined(FAI_SCRATCH_POOL_DECLARED) && !defined(FAI_SCRATCH_POOL_SITES)
#define FAI_SCRATCH_POOL_SITES
#define fa_scratch_pool_open(allocator, name, bytes_first, bytes_max)                              \
    FAI_AT(fa_scratch_pool_open((allocator), (name), (bytes_first), (bytes_max)))
#define fa_scratch_pool_remove(pool) FAI_AT(fa_scratch_pool_remove((pool)))
#define fa_scratch_pool_reset(pool) FAI_AT(fa_scratch_pool_reset((pool)))
#define fa_scratch_pool_reset_all(allocator) FAI_AT(fa_scratch_pool_reset_all((allocator)))
#define fa_scratch_pool_alloc(pool, size) FAI_AT(fa_scratch_pool_alloc((pool), (size)))
#define fa_scratch_pool_alloc_aligned(pool, size, align)                                           \
    FAI_AT(fa_scratch_pool_alloc_aligned((pool), (size), (align)))
#define fa_scratch_pool_alloc_batch(pool, count, size)                                             \
    FAI_AT(fa_scratch_pool_alloc_batch((pool), (count), (size)))
#define fa_scratch_pool_alloc_zeroed(pool, count, size)                                            \
    FAI_AT(fa_scratch_pool_alloc_zeroed((pool), (count), (size)))
#define fai_scratch_pool_array(pool, count, size, align)                                           \
    FAI_AT(fai_scratch_pool_array((pool), (count), (size), (align)))
#define fai_scratch_pool_zeroed(pool, count, size, align)                                          \
    FAI_AT(fai_scratch_pool_zeroed((pool), (count), (size), (align)))
#define fa_scratch_pool_grow(pool, block, size_old, size_new)                                      \
    FAI_AT(fa_scratch_pool_grow((pool), (block), (size_old), (size_new)))
#define fa_scratch_pool_copy(pool, source, size)                                                   \
    FAI_AT(fa_scratch_pool_copy((pool), (source), (size)))
#define fa_scratch_pool_copy_string(pool, string)                                                  \
    FAI_AT(fa_scratch_pool_copy_string((pool), (string)))
#define fa_scratch_pool_mark_set(pool) FAI_AT(fa_scratch_pool_mark_set((pool)))
/* A mark may be a compound literal. */
#define fa_scratch_pool_rewind(...) FAI_AT(fa_scratch_pool_rewind(__VA_ARGS__))
#endif

#if defined(FAI_RETAIN_DECLARED) && !defined(FAI_RETAIN_SITES)
#define FAI_RETAIN_SITES
#define fa_frame_retain(...) FAI_AT(fa_frame_retain(__VA_ARGS__))
#define fa_frame_retain_in(...) FAI_AT(fa_frame_retain_in(__VA_ARGS__))
#define fa_frame_retain_copy(...) FAI_AT(fa_frame_retain_copy(__VA_ARGS__))
#define fa_frame_retain_copy_in(...) FAI_AT(fa_frame_retain_copy_in(__VA_ARGS__))
#define fa_frame_retain_block(...) FAI_AT(fa_frame_retain_block(__VA_ARGS__))
#define fa_frame_retain_block_in(...) FAI_AT(fa_frame_retain_block_in(__VA_ARGS__))
#define fa_frame_end_with_summary(allocator, summary)                                              \
    FAI_AT(fa_frame_end_with_summary((allocator), (summary)))
#define fa_frame_end_with_summary_in(frame, summary)                                               \
    FAI_AT(fa_frame_end_with_summary_in((frame), (summary)))
#endif

#if defined(FAI_SHARED_DECLARED) && !defined(FAI_SHARED_SITES)
#define FAI_SHARED_SITES
#define fa_shared_alloc(allocator, size, align, destroy)                                           \
    FAI_AT(fa_shared_alloc((allocator), (size), (align), (destroy)))
#define fa_shared_hold(allocator, object) FAI_AT(fa_shared_hold((allocator), (object)))
#define fa_shared_release(allocator, object) FAI_AT(fa_shared_release((allocator), (object)))
#define fa_weak_make(allocator, object) FAI_AT(fa_weak_make((allocator), (object)))
#define fa_weak_hold(allocator, weak) FAI_AT(fa_weak_hold((allocator), (weak)))
#define fa_weak_lock(allocator, weak) FAI_AT(fa_weak_lock((allocator), (weak)))
#define fa_weak_release(allocator, weak) FAI_AT(fa_weak_release((allocator), (weak)))
#endif

#if defined(FAI_HANDLE_DECLARED) && !defined(FAI_HANDLE_SITES)
#define FAI_HANDLE_SITES
#define fa_handles_create(allocator, options) FAI_AT(fa_handles_create((allocator), (options)))
#define fa_handle_alloc(handles, size) FAI_AT(fa_handle_alloc((handles), (size)))
#define fa_handle_alloc_with(handles, size, align, flags)                                          \
    FAI_AT(fa_handle_alloc_with((handles), (size), (align), (flags)))
/* A compound literal has commas. */
#define fa_handle_free(...) FAI_AT(fa_handle_free(__VA_ARGS__))
#define fa_handle_unpin(...) FAI_AT(fa_handle_unpin(__VA_ARGS__))
#endif

#if defined(FA_POOL_H) && !defined(FAI_POOL_SITES)
#define FAI_POOL_SITES
#define fa_pool_alloc(allocator, size) FAI_AT(fa_pool_alloc((allocator), (size)))
#define fa_pool_alloc_aligned(allocator, size, align)                                              \
    FAI_AT(fa_pool_alloc_aligned((allocator), (size), (align)))
#define fa_pool_alloc_zeroed(allocator, count, size)                                               \
    FAI_AT(fa_pool_alloc_zeroed((allocator), (count), (size)))
#define fa_pool_alloc_batch(allocator, size, count, blocks)                                        \
    FAI_AT(fa_pool_alloc_batch((allocator), (size), (count), (blocks)))
#define fa_pool_free(allocator, block) FAI_AT(fa_pool_free((allocator), (block)))
#define fa_pool_free_sized(allocator, block, size)                                                 \
    FAI_AT(fa_pool_free_sized((allocator), (block), (size)))
#define fa_pool_free_batch(allocator, blocks, count)                                               \
    FAI_AT(fa_pool_free_batch((allocator), (blocks), (count)))
#define fai_pool_array(allocator, count, size, align)                                              \
    FAI_AT(fai_pool_array((allocator), (count), (size), (align)))
#define fai_pool_array_zeroed(allocator, count, size, align)                                       \
    FAI_AT(fai_pool_array_zeroed((allocator), (count), (size), (align)))
#endif

#if defined(FAI_TYPED_POOL_DECLARED) && !defined(FAI_TYPED_POOL_SITES)
#define FAI_TYPED_POOL_SITES
#define fa_typed_pool_create(allocator, config, pool)                                              \
    FAI_AT(fa_typed_pool_create((allocator), (config), (pool)))
#define fa_typed_pool_acquire(pool) FAI_AT(fa_typed_pool_acquire((pool)))
#define fa_typed_pool_try_acquire(pool, object) FAI_AT(fa_typed_pool_try_acquire((pool), (object)))
#define fa_typed_pool_release(pool, object) FAI_AT(fa_typed_pool_release((pool), (object)))
#define fa_typed_pool_reserve(pool, count) FAI_AT(fa_typed_pool_reserve((pool), (count)))
#endif

#if defined(FAI_OBJECT_CACHE_DECLARED) && !defined(FAI_OBJECT_CACHE_SITES)
#define FAI_OBJECT_CACHE_SITES
#define fa_object_cache_create(allocator, config, cache)                                           \
    FAI_AT(fa_object_cache_create((allocator), (config), (cache)))
#define fa_object_cache_acquire(cache) FAI_AT(fa_object_cache_acquire((cache)))
#define fa_object_cache_release(cache, object) FAI_AT(fa_object_cache_release((cache), (object)))
#endif

#if defined(FAI_COMPONENTS_DECLARED) && !defined(FAI_COMPONENTS_SITES)
#define FAI_COMPONENTS_SITES
#define fa_components_create(allocator, config, set)                                               \
    FAI_AT(fa_components_create((allocator), (config), (set)))
#define fa_components_insert(set, id, object) FAI_AT(fa_components_insert((set), (id), (object)))
#define fa_components_reserve(set, count) FAI_AT(fa_components_reserve((set), (count)))
#endif

#endif /* FA_DEBUG */
#endif /* FA_MINIMAL */
