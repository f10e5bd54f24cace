/* malloc as a C program uses it: every block is freed at the end of its use, nothing is kept on the
 * side. With LD_PRELOAD the same binary runs on mimalloc, tcmalloc, jemalloc. */
#ifndef FA_SCENARIOS_MEMORY_MALLOC_HPP
#define FA_SCENARIOS_MEMORY_MALLOC_HPP

#include <cstdlib>

#include "scenarios/memory.hpp"

namespace scenarios {

class MallocMemory {
  public:
    static constexpr const char *kName = "malloc";
    explicit MallocMemory(const MemoryOptions &) {}
    MallocMemory(MallocMemory &, OtherThread) : MallocMemory(MemoryOptions{}) {}
    void frame_begin() {}
    void frame_end() {}
    void *frame_alloc(size_t size) { return std::malloc(size); }
    void *frame_grow(void *block, size_t, size_t size_new) { return std::realloc(block, size_new); }
    void frame_free(void *block, size_t) { std::free(block); }
    void scope_begin() {}
    void scope_end() {}
    void *pool_alloc(size_t size) { return std::malloc(size); }
    void pool_free(void *block, size_t) { std::free(block); }
    void *heap_alloc(size_t size) { return std::malloc(size); }
    void heap_free(void *block, size_t) { std::free(block); }
};

} // namespace scenarios

#endif
