/* APR pools: one apr_pool_t for frame memory, cleared at the end of the frame, with an allocator of
 * its own, which keeps the memory for the next frame; a scope is a subpool. APR aligns to 8 and a
 * Memory to 16, so each block is 8 bytes larger and its address rounded up. Pool and heap blocks
 * come from malloc. */
#ifndef FA_SCENARIOS_MEMORY_APR_HPP
#define FA_SCENARIOS_MEMORY_APR_HPP

#include <apr_general.h>
#include <apr_pools.h>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "scenarios/memory.hpp"

namespace scenarios {

class AprMemory {
  public:
    static constexpr const char *kName = "apr";
    static constexpr bool kScopes = true;
    explicit AprMemory(const MemoryOptions &) {
        apr_initialize();
        apr_allocator_t *allocator = nullptr;
        if (apr_allocator_create(&allocator) == APR_SUCCESS &&
            apr_pool_create_ex(&pool_, nullptr, nullptr, allocator) == APR_SUCCESS) {
            apr_allocator_owner_set(allocator, pool_);
            current_ = pool_;
            return;
        }
        if (allocator)
            apr_allocator_destroy(allocator);
        apr_terminate();
        throw std::runtime_error("apr: a pool can't be created");
    }
    AprMemory(const AprMemory &) = delete;
    AprMemory &operator=(const AprMemory &) = delete;
    ~AprMemory() {
        apr_pool_destroy(pool_);
        apr_terminate();
    }
    AprMemory(AprMemory &, OtherThread) : AprMemory(MemoryOptions{}) {}
    void frame_begin() {}
    void frame_end() { apr_pool_clear(pool_); }
    void *frame_alloc(size_t size) {
        uintptr_t address = reinterpret_cast<uintptr_t>(apr_palloc(current_, size + 8));
        return reinterpret_cast<void *>((address + 8) & ~uintptr_t{15});
    }
    void *frame_grow(void *block, size_t size_old, size_t size_new) {
        void *bigger = frame_alloc(size_new);
        if (block && bigger)
            std::memcpy(bigger, block, size_old < size_new ? size_old : size_new);
        return bigger;
    }
    void frame_free(void *, size_t) {}
    void scope_begin() {
        if (apr_pool_create(&current_, pool_) != APR_SUCCESS)
            throw std::runtime_error("apr: a subpool can't be created");
    }
    void scope_end() {
        apr_pool_destroy(current_);
        current_ = pool_;
    }
    void *pool_alloc(size_t size) { return std::malloc(size); }
    void pool_free(void *block, size_t) { std::free(block); }
    void *heap_alloc(size_t size) { return std::malloc(size); }
    void heap_free(void *block, size_t) { std::free(block); }

  private:
    apr_pool_t *pool_ = nullptr;
    apr_pool_t *current_ = nullptr; /* the scope's, else pool_ */
};

} // namespace scenarios

#endif
