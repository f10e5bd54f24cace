/* For tests: malloc that knows every block. Finds what a scenario does that some allocator would
 * not forgive: frame blocks without an end of use, wrong sizes, blocks of another kind, leaks.
 * Fresh memory is filled and dead memory overwritten, so that a scenario that reads either gets
 * another checksum. Throws std::logic_error. */
#ifndef FA_SCENARIOS_MEMORY_CHECKED_HPP
#define FA_SCENARIOS_MEMORY_CHECKED_HPP

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <unordered_map>

#include "scenarios/memory.hpp"

namespace scenarios {

class CheckedMemory {
  public:
    static constexpr const char *kName = "checked";
    explicit CheckedMemory(const MemoryOptions &) {}

    void frame_begin() {
        require(!in_frame_, "frame_begin in a frame");
        in_frame_ = true;
    }
    void frame_end() {
        require(in_frame_, "frame_end without a frame");
        require(!in_scope_, "frame_end in a scope");
        require(frame_blocks_.empty(), "frame blocks without an end of use");
        in_frame_ = false;
    }
    void scope_begin() {
        require(in_frame_ && !in_scope_, "scope_begin outside of frames, or in a scope");
        in_scope_ = true;
        outer_blocks_.swap(frame_blocks_);
    }
    void scope_end() {
        require(in_scope_, "scope_end without a scope");
        require(frame_blocks_.empty(), "frame blocks of a scope without an end of use");
        in_scope_ = false;
        outer_blocks_.swap(frame_blocks_);
    }
    void *frame_alloc(size_t size) {
        require(in_frame_, "frame_alloc outside of frames");
        return alloc(frame_blocks_, size);
    }
    void *frame_grow(void *block, size_t size_old, size_t size_new) {
        require(in_frame_, "frame_grow outside of frames");
        void *bigger = alloc(frame_blocks_, size_new);
        if (block) {
            auto found = frame_blocks_.find(block);
            require(found != frame_blocks_.end(), "frame_grow of a block that is not alive");
            require(found->second == size_old, "frame_grow with another size than before");
            std::memcpy(bigger, block, size_old < size_new ? size_old : size_new);
            bury(frame_blocks_, found);
        }
        return bigger;
    }
    /* Whoever does not know the size (stb_image), or gave a part back (ODE), says less. */
    void frame_free(void *block, size_t size) {
        auto found = frame_blocks_.find(block);
        require(found != frame_blocks_.end(), "frame_free of a block that is not alive");
        require(size <= found->second, "frame_free with too large a size");
        bury(frame_blocks_, found);
    }
    void *pool_alloc(size_t size) { return alloc(pool_blocks_, size); }
    void pool_free(void *block, size_t size) { free(pool_blocks_, block, size); }
    void *heap_alloc(size_t size) { return alloc(heap_blocks_, size); }
    void heap_free(void *block, size_t size) { free(heap_blocks_, block, size); }

    size_t live_count() const {
        return frame_blocks_.size() + outer_blocks_.size() + pool_blocks_.size() +
               heap_blocks_.size();
    }

  private:
    using Blocks = std::unordered_map<void *, size_t>; /* size of each block alive */

    static void require(bool condition, const char *message) {
        if (!condition)
            throw std::logic_error(message);
    }
    static void *alloc(Blocks &blocks, size_t size) {
        require(size != 0, "size 0");
        void *block = std::malloc(size);
        require(block != nullptr, "malloc failed");
        std::memset(block, 0xA5, size);
        blocks[block] = size;
        return block;
    }
    static void free(Blocks &blocks, void *block, size_t size) {
        auto found = blocks.find(block);
        require(found != blocks.end(), "free of a block that is not alive, or of another kind");
        require(found->second == size, "free with another size than at the allocation");
        bury(blocks, found);
    }
    static void bury(Blocks &blocks, Blocks::iterator found) {
        std::memset(found->first, 0xDD, found->second);
        std::free(found->first);
        blocks.erase(found);
    }

    Blocks frame_blocks_, pool_blocks_, heap_blocks_;
    Blocks outer_blocks_; /* in a scope: frame blocks from before, which it leaves alone */
    bool in_frame_ = false, in_scope_ = false;
};

} // namespace scenarios

#endif
