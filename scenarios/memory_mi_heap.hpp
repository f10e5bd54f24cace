/* mimalloc's first-class heaps: one heap for each frame, destroyed with it; a second one for a
 * scope would cost more than it gives back. Pool and heap blocks are mimalloc's ordinary ones.
 * Linking libmimalloc replaces malloc in the whole program: this Memory gets a program alone. */
#ifndef FA_SCENARIOS_MEMORY_MI_HEAP_HPP
#define FA_SCENARIOS_MEMORY_MI_HEAP_HPP

#include <mimalloc.h>
#include <stdexcept>

#include "scenarios/memory.hpp"

namespace scenarios {

class MiHeapMemory {
  public:
    static constexpr const char *kName = "mi_heap";
    static constexpr bool kScopes = false;
    explicit MiHeapMemory(const MemoryOptions &) {}
    MiHeapMemory(const MiHeapMemory &) = delete;
    MiHeapMemory &operator=(const MiHeapMemory &) = delete;
    ~MiHeapMemory() {
        if (heap_)
            mi_heap_destroy(heap_);
    }
    MiHeapMemory(MiHeapMemory &, OtherThread) : MiHeapMemory(MemoryOptions{}) {}
    void frame_begin() {
        heap_ = mi_heap_new();
        if (!heap_)
            throw std::runtime_error("mi_heap: mi_heap_new failed");
    }
    void frame_end() {
        mi_heap_destroy(heap_);
        heap_ = nullptr;
    }
    void *frame_alloc(size_t size) { return mi_heap_malloc(heap_, size); }
    void *frame_grow(void *block, size_t, size_t size_new) {
        return mi_heap_realloc(heap_, block, size_new);
    }
    void frame_free(void *, size_t) {}
    void scope_begin() {}
    void scope_end() {}
    void *pool_alloc(size_t size) { return mi_malloc(size); }
    void pool_free(void *block, size_t) { mi_free(block); }
    void *heap_alloc(size_t size) { return mi_malloc(size); }
    void heap_free(void *block, size_t) { mi_free(block); }

  private:
    mi_heap_t *heap_ = nullptr;
};

} // namespace scenarios

#endif
