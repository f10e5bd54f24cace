/* Tasks: memory of one piece of work that goes on over many turns of an event loop, on any thread.
 *
 * For asynchronous programs: a connection, a request, a download. What it needs is allocated when a
 * callback needs it, on whatever thread that runs, may be freed one by one or not at all, and goes
 * with the task:
 *
 *     fa_task task = fa_task_begin(memory, "request");         in one callback
 *     char *line = fa_task_alloc(task, 1024);                  in another, on another thread
 *     line = fa_task_realloc(task, line, 4096);
 *     fa_task_end(task);                                       when the answer is out: all is freed
 *
 * Frame memory is no place for such things: it dies when the frame ends, before the callback comes.
 * Neither does a task need a frame, nor an arena (own_arena.h) that somebody would have to hold:
 * several threads may be in one task at once.
 *
 * What is to be closed as well has a destructor:
 *
 *     fa_task_defer(task, close_file, file);
 *
 * And code that knows nothing of tasks, but allocates from the pools, may do so for one: while a
 * capture is open, all pool allocations of its thread belong to the task, as if they were its own:
 *
 *     fa_task_capture_begin(task);
 *     request = parse(memory, line);                           calls fa_pool_alloc
 *     fa_task_capture_end(task);
 *
 * Small blocks come from the pools, large ones from the heap, as of fa_pool_alloc, with 32 bytes
 * before each; they are charged to the tag that the calling thread is in. A handle of a task that
 * has ended is refused in every build (FA610), on whatever thread a late callback comes; so is a
 * block of another task (FA601). A block that was freed is memory of the pool again, and the second
 * free is found as that of a pool object. Tasks that are left die with the allocator.
 *
 * All blocks are aligned to 16, not initialised unless said otherwise (0xAB with FA_CHECK_FILL).
 * Failures return NULL, change nothing, and set fa_last_error:
 *
 * - FA_ERROR_INVALID: size 0 or above FA_SIZE_MAX less 32, a product that wraps, no task
 * - FA_ERROR_FOREIGN: the task has ended (FA610), or the block is not its own (FA601)
 * - FA_ERROR_NO_MEMORY (FA701), FA_ERROR_LIMIT (FA301, FA302, FA202), FA_ERROR_SEALED (FA702):
 *   pools and heap have none */
#ifndef FA_TASK_H
#define FA_TASK_H

#include "fa/allocator.h"
#include "fa/bump.h"
#include "fa/config.h"
#include "fa/group.h"

FA_EXTERN_C_BEGIN

/* A task. All zero: none. */
typedef struct fa_task {
    fai_bump_head *head;
    uint64_t serial;
} fa_task;

/* Begins a task. name: for reports and visitors, need not be the only one of its kind; copied, cut
 * to FA_NAME_BYTES - 1 bytes; NULL: "".
 * Returns none: FA_ERROR_INVALID (allocator NULL), or why there is no memory for the record. Any
 * thread; O(1), without a lock where the thread has ended tasks before. */
FA_API fa_task fa_task_begin(fa_allocator *allocator, const char *name);

/* Ends the task: calls its destructors, those that came last first, and frees all of its blocks.
 * Any thread; calls on other threads come before it, or are refused; so are those of destructors on
 * this task, but that they may free captured objects of it.
 * Returns FA_OK, FA_ERROR_INVALID for none, FA_ERROR_FOREIGN (FA610: ended before). O(blocks),
 * locks. */
FA_API fa_status fa_task_end(fa_task task);

/* Whether the task has not ended; false for none. Any thread, O(1). */
FA_API bool fa_task_is_open(fa_task task);

/* Allocates size bytes. Any thread; a pool allocation, and a short lock of the task's own. */
FA_API FA_RETURNS_BLOCK void *fa_task_alloc(fa_task task, size_t size);

/* The same for count elements of size bytes, all zero. */
FA_API FA_RETURNS_BLOCK void *fa_task_alloc_zeroed(fa_task task, size_t count, size_t size);

/* Copies size bytes, or a string with its terminator. NULL is FA_ERROR_INVALID. */
FA_API FA_RETURNS_BLOCK void *fa_task_copy(fa_task task, const void *source, size_t size);
FA_API FA_RETURNS_BLOCK char *fa_task_copy_string(fa_task task, const char *string);

/* The same for an object with a destructor: 16 bytes more. It is called once, when the object is
 * freed, or when the task ends or dies with the allocator, on the thread that does that, with no
 * lock held: it may do what it likes. Then memory of the task can still be read, that of objects
 * whose destructors were called too. FA_ERROR_INVALID also when destructor is NULL. */
FA_API void *fa_task_alloc_with(fa_task task, size_t size, fa_destructor_fn *destructor)
    __attribute__((assume_aligned(16), warn_unused_result));

/* Has destructor called with argument when the task ends, as if it were an object allocated now:
 * for what lies elsewhere. argument may be NULL. Returns FA_OK, FA_ERROR_INVALID when destructor is
 * NULL, or why not, as an allocation. Takes 48 bytes, counts as a block of 0 bytes. */
FA_API fa_status fa_task_defer(fa_task task, fa_destructor_fn *destructor, void *argument);

/* Changes the size of a block, which moves; keeps contents and destructor, as one that came now.
 * block NULL allocates.
 * Returns NULL with the block untouched when the call fails. Nobody else may use the block
 * meanwhile. */
FA_API void *fa_task_realloc(fa_task task, void *block, size_t size)
    __attribute__((warn_unused_result));

/* Frees a block before the task ends; its destructor is called before. NULL is ignored. Any thread.
 * Returns FA_OK, FA_ERROR_INVALID for no task, FA_ERROR_FOREIGN (FA610, FA601). */
FA_API fa_status fa_task_free(fa_task task, void *block);

/* ---- pool allocations of others ---- */

#define FA_TASK_CAPTURE_DEPTH_MAX 16 /* captures that a thread has open in an allocator */

/* From now on, until the capture ends, the task captures what the calling thread allocates with the
 * calls of pool.h (also through tag.h, scope.h and the containers of C++) in its allocator: it is
 * freed with the task unless somebody frees it before, as any pool object, on any thread. Captures
 * may be nested, for the same or another task: the newest one counts. Those open when the thread
 * detaches or exits end with it.
 * What the library allocates for its own parts is not captured, nor what is allocated by functions
 * of the program that it calls by itself: hooks, listeners, reclaimers, questions of budgets,
 * counters of timelines, clean-ups, constructors and destructors, moves and evictions. For them no
 * capture is open but those that they begin themselves, and must end: what one leaves open ends
 * when it returns (FA615). What a call is given to run at once (visitors, attempts, batches) is the
 * program itself.
 * Meanwhile allocations and frees of the thread take slow paths (some 50 ns), and each object takes
 * 32 bytes more, or its alignment. Where the task has ended, allocations are refused (FA610).
 * Returns FA_OK, FA_ERROR_INVALID for none, FA_ERROR_FOREIGN (FA610), FA_ERROR_LIMIT: too many are
 * open, more than 255 callbacks are under way, one in the other, each with captures open, or the
 * thread could not be attached (FA202). */
FA_API fa_status fa_task_capture_begin(fa_task task);

/* Ends the calling thread's newest capture, which must be of this task; the task may have ended.
 * Returns FA_OK, FA_ERROR_INVALID for none, FA_ERROR_FOREIGN (FA615: it is another task's, or none
 * is open, or in a callback none that was begun there): then nothing changes. */
FA_API fa_status fa_task_capture_end(fa_task task);

/* ---- what goes to a later callback ---- */

/* For pointers that a later callback will get: gives the pointer back. When it points into memory
 * that frames have, of any thread, it will be dead by then: NULL, with FA616 reported and
 * FA_ERROR_FOREIGN set; likewise when the task has ended (FA610).
 *
 *     request->data = fa_task_carry(task, state);
 *     uv_fs_read(loop, request, file, &buffer, 1, 0, on_read);
 *
 * Any thread; a lock, O(chunks of all frames), which are few. NULL is given back as it is. */
FA_API void *fa_task_carry(fa_task task, const void *pointer) __attribute__((warn_unused_result));

/* The same as a question: FA_OK, FA_ERROR_FOREIGN (FA616, FA610), FA_ERROR_INVALID for no task. */
FA_API fa_status fa_task_check(fa_task task, const void *pointer);

/* ---- numbers ---- */

typedef struct fa_task_stats {
    char name[FA_NAME_BYTES];
    size_t bytes;            /* of live blocks, as asked for */
    size_t bytes_peak;       /* most of that at once */
    size_t live_count;       /* blocks, captured ones and those of fa_task_defer included */
    size_t captured_count;   /* of those */
    size_t destructor_count; /* of those that have one */
    uint64_t alloc_count;
} fa_task_stats;

/* Numbers of one task. stats: filled; zeroed when the call fails: FA_ERROR_INVALID (NULL, none),
 * FA_ERROR_FOREIGN (FA610). Any thread at any time. */
FA_API fa_status fa_task_stats_get(fa_task task, fa_task_stats *stats);

/* Tasks that have not ended; 0 for NULL. Any thread; O(most there ever were). */
FA_API size_t fa_task_count(const fa_allocator *allocator);

/* Calls visit for each task, in no order, with no lock held: the visitor may do what it likes. Any
 * thread. Tasks that begin or end meanwhile may be left out.
 * Returns how many were visited; 0 for NULL (FA_ERROR_INVALID). */
FA_API size_t fa_task_visit(fa_allocator *allocator,
                            void (*visit)(void *user, fa_task task, const fa_task_stats *stats),
                            void *user);

/* Typed: one object, an array, a zeroed array; of types that need no more than 16. */
#define fa_task_new(task, type) ((type *)fa_task_alloc((task), sizeof(type)))
#define fa_task_new_with(task, type, destructor)                                                   \
    ((type *)fa_task_alloc_with((task), sizeof(type), (destructor)))
#define fa_task_array_zeroed(task, type, count)                                                    \
    ((type *)fa_task_alloc_zeroed((task), (count), sizeof(type)))

FA_EXTERN_C_END

#define FAI_TASK_DECLARED
#include "fa/site.h"

#endif
