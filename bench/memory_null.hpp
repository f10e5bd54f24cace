/* A Memory at no cost: every block is the same one. What a replay takes on it is the price of the
 * loop that replays. Not for scenarios, which keep something in their blocks. */
#ifndef BENCH_MEMORY_NULL_HPP
#define BENCH_MEMORY_NULL_HPP

#include "scenarios/memory.hpp"

#include <vector>

namespace scenarios {

class NullMemory {
  public:
    static constexpr const char *kName = "limit";
    explicit NullMemory(const MemoryOptions &) : block_(kBytes) {}
    void frame_begin() {}
    void frame_end() {}
    void *frame_alloc(size_t size) { return get(size); }
    void *frame_grow(void *, size_t, size_t size_new) { return get(size_new); }
    void frame_free(void *, size_t) {}
    void scope_begin() {}
    void scope_end() {}
    void *pool_alloc(size_t size) { return get(size); }
    void pool_free(void *, size_t) {}
    void *heap_alloc(size_t size) { return get(size); }
    void heap_free(void *, size_t) {}

  private:
    static constexpr size_t kBytes = size_t{64} << 20;
    void *get(size_t size) { return size <= kBytes ? block_.data() : nullptr; }
    std::vector<char> block_;
};

} // namespace scenarios

#endif
