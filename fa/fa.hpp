/* framealloc in C++17: namespace fa, header only, on top of fa.h. Read in this order.
 *
 *   cpp/scope        an allocator, frames, tags, phases, marks and scratch memory that end with
 *                    their object
 *   cpp/owner        pool_ptr, heap_ptr: objects that are destroyed and freed
 *   cpp/frame_owner  frame_ptr, frame_new: objects that die with a frame
 *   cpp/shared       shared_ptr, weak_ptr: objects with several owners
 *   cpp/handle       handles, handle, pinned: objects that can be moved together
 *   cpp/typed_pool   typed_pool: objects of one type, gone through by address
 *   cpp/group        group: objects that are destroyed and freed together
 *   cpp/task         task: memory of work that goes on over many callbacks, on any thread
 *   cpp/stream       streams, stream_load, stream_pin: what is loaded, within a budget
 *   cpp/retain       retained: an object of a frame that is kept
 *   cpp/allocator    fa::allocator<T> for containers, std::pmr::memory_resource
 *
 * Compiles with -fno-exceptions and -fno-rtti. Nothing here throws but what a constructor of yours
 * does, and allocators and resources: std::bad_alloc. Where a parameter is `from<fa_allocator>` or
 * `from<fa_frame>`, give the pointer, or a fa::memory or fa::frame_scope. */
#ifndef FA_FA_HPP
#define FA_FA_HPP

#include "fa/cpp/allocator.hpp"
#include "fa/cpp/frame_owner.hpp"
#include "fa/cpp/group.hpp"
#include "fa/cpp/handle.hpp"
#include "fa/cpp/owner.hpp"
#include "fa/cpp/retain.hpp"
#include "fa/cpp/scope.hpp"
#include "fa/cpp/shared.hpp"
#include "fa/cpp/stream.hpp"
#include "fa/cpp/task.hpp"
#include "fa/cpp/typed_pool.hpp"
#include "fa/fa.h"

#endif
