/* The seam between a scenario and an allocator: what a Memory is.
 *
 * A scenario is a template over a Memory class, so that what an allocator inlines stays inlined.
 * Each class below scenarios/memory_*.hpp uses one allocator the way its user would:
 *
 *   class SomeMemory {
 *     public:
 *       static constexpr const char *kName = "...";
 *       // Throws std::runtime_error with one line that says what is wrong.
 *       explicit SomeMemory(const MemoryOptions &);
 *       void frame_begin();
 *       void frame_end();
 *       // Memory until frame_end.
 *       void *frame_alloc(size_t size);
 *       // Changes the size, keeps the contents. block may be nullptr.
 *       void *frame_grow(void *block, size_t size_old, size_t size_new);
 *       // The block is not used any more: free() where blocks are freed one by one, nothing in a
 *       // region. size is 0 where the caller does not know it (stb_image).
 *       void frame_free(void *block, size_t size);
 *       // A stretch of a frame whose frame blocks are scratch: all that were allocated since
 *       // scope_begin had the end of their use before scope_end. Those from before are neither
 *       // grown nor freed in it. Not nested. Where a region can go back, it does; else nothing.
 *       void scope_begin();
 *       void scope_end();
 *       static constexpr bool kScopes; // regions: does it give anything back there?
 *       // Small objects that outlive frames.
 *       void *pool_alloc(size_t size);
 *       void pool_free(void *block, size_t size);
 *       // Large blocks that outlive frames.
 *       void *heap_alloc(size_t size);
 *       void heap_free(void *block, size_t size);
 *       // For one more thread of the same program.
 *       SomeMemory(SomeMemory &first, OtherThread);
 *   };
 *
 * Every block is aligned to 16, one smaller than that to 8 at least, as malloc does it. Sizes are
 * never 0 (but for frame_free), blocks given to free never nullptr. A function that has no memory
 * answers nullptr or throws.
 *
 * Each thread has a Memory of its own, and its frames with it: a program of several threads makes
 * one, and the others from that one, with OtherThread. Blocks of every kind may be freed through
 * the Memory of another thread than the one that they came from; frame blocks only while the frame
 * that they came from is open, and they grow on their own thread alone. The first Memory outlives
 * the others; those are destroyed when no thread uses them. A RecorderMemory is alone: a trace is
 * of one thread. */
#ifndef FA_SCENARIOS_MEMORY_HPP
#define FA_SCENARIOS_MEMORY_HPP

#include <cstddef>
#include <string>

namespace scenarios {

struct MemoryOptions {
    std::string backend; /* as fa_backend_open takes it; "": the default. For framealloc only */
};

struct OtherThread {};

} // namespace scenarios

#endif
