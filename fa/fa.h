/* framealloc: memory by intent. Includes everything of C (for C++ there is more in fa.hpp); read in
 * this order.
 *
 *   base       words: visibility, alignment limits, places
 *   status     what a call answers
 *   diag       what is reported, and how
 *   backend    where memory comes from
 *   config     what can be chosen
 *   allocator  create, destroy, seal, validate, free by address
 *   frame      memory that dies with the frame
 *   mark       positions of a frame to go back to
 *   defer      functions that run when a frame ends
 *   phase      what each part of a frame took
 *   retain     objects of a frame that outlive it
 *   soa        several arrays in one block, batches, cache lines
 *   collection what vectors, maps, texts and rings have in common
 *   vec        elements side by side
 *   map        values by key
 *   hash       hashes and comparisons for keys
 *   text       strings that are put together
 *   ring       the last so many; queues
 *   pool       small objects, freed one by one
 *   shared     pool objects with several owners
 *   heap       large blocks, tracked
 *   typed_pool objects of one type, to be walked through
 *   components the same by id
 *   object_cache objects that stay constructed for the next use
 *   group      memory that belongs together and dies together
 *   scratch    memory of one function
 *   scratch_pool memory with a name, freed at once whenever you like
 *   own_arena  memory of a fiber or a job, handed from thread to thread
 *   shared_arena memory of many threads at once
 *   task       memory of work that goes on over many callbacks
 *   handle     objects that may be moved, and memory without holes
 *   tag        who the memory is for
 *   scope      what ends with the scope that it stands in
 *   thread     attach and detach by hand; numbers of each
 *   deferred   objects that another thread frees
 *   barrier    threads that go from frame to frame together
 *   timeline   frames that a GPU, or somebody else, still reads
 *   transfer   objects handed to another thread
 *   budget     limits on what everybody, a tag or a thread may hold
 *   reserve    what is tried before memory is refused
 *   stream     large blocks under a budget, loaded and evicted
 *   stats      numbers
 *   events     what it does, told as it happens
 *
 * Functions of the program that the library calls (hooks, listeners, destructors, reclaimers and so
 * on) return: they neither throw nor longjmp out of it. */
#ifndef FA_FA_H
#define FA_FA_H

#include "fa/allocator.h"
#include "fa/backend.h"
#include "fa/barrier.h"
#include "fa/base.h"
#include "fa/budget.h"
#include "fa/bump.h"
#include "fa/collection.h"
#include "fa/components.h"
#include "fa/config.h"
#include "fa/defer.h"
#include "fa/deferred.h"
#include "fa/diag.h"
#include "fa/events.h"
#include "fa/frame.h"
#include "fa/group.h"
#include "fa/handle.h"
#include "fa/hash.h"
#include "fa/heap.h"
#include "fa/map.h"
#include "fa/mark.h"
#include "fa/object_cache.h"
#include "fa/own_arena.h"
#include "fa/phase.h"
#include "fa/pool.h"
#include "fa/reserve.h"
#include "fa/retain.h"
#include "fa/ring.h"
#include "fa/scope.h"
#include "fa/scratch.h"
#include "fa/scratch_pool.h"
#include "fa/shared.h"
#include "fa/shared_arena.h"
#include "fa/soa.h"
#include "fa/stats.h"
#include "fa/status.h"
#include "fa/stream.h"
#include "fa/tag.h"
#include "fa/task.h"
#include "fa/text.h"
#include "fa/thread.h"
#include "fa/timeline.h"
#include "fa/transfer.h"
#include "fa/typed_pool.h"
#include "fa/vec.h"

#endif
