/* std::pmr::monotonic_buffer_resource, released at the end of the frame. Its buffer holds the whole
 * frame of every scenario, so that it never asks upstream in between: pages that are not used are
 * never touched. It can't go back to a place in its buffer. Pool and heap blocks: from malloc. */
#ifndef FA_SCENARIOS_MEMORY_PMR_HPP
#define FA_SCENARIOS_MEMORY_PMR_HPP

#include <cstdlib>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <new>

#include "scenarios/memory.hpp"

namespace scenarios {

class PmrMemory {
  public:
    static constexpr const char *kName = "pmr";
    static constexpr bool kScopes = false;
    explicit PmrMemory(const MemoryOptions &) : buffer_(std::malloc(kBufferBytes)) {
        if (!buffer_)
            throw std::bad_alloc();
    }
    PmrMemory(PmrMemory &, OtherThread) : PmrMemory(MemoryOptions{}) {}
    void frame_begin() {}
    void frame_end() { resource_.release(); }
    void *frame_alloc(size_t size) { return resource_.allocate(size, 16); }
    void *frame_grow(void *block, size_t size_old, size_t size_new) {
        void *bigger = resource_.allocate(size_new, 16);
        if (block)
            std::memcpy(bigger, block, size_old < size_new ? size_old : size_new);
        return bigger;
    }
    void frame_free(void *, size_t) {}
    void scope_begin() {}
    void scope_end() {}
    void *pool_alloc(size_t size) { return std::malloc(size); }
    void pool_free(void *block, size_t) { std::free(block); }
    void *heap_alloc(size_t size) { return std::malloc(size); }
    void heap_free(void *block, size_t) { std::free(block); }

  private:
    struct Free {
        void operator()(void *block) const { std::free(block); }
    };
    static constexpr size_t kBufferBytes = size_t{8} << 20;
    std::unique_ptr<void, Free> buffer_;
    std::pmr::monotonic_buffer_resource resource_{buffer_.get(), kBufferBytes};
};

} // namespace scenarios

#endif
