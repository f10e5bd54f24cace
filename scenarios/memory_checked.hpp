/* For tests: malloc that knows every block. Finds what a scenario does that some allocator would
 * not forgive: frame blocks without an end of use, wrong sizes, blocks of another kind, leaks.
 * Fresh memory is filled and dead memory overwritten, so that a scenario that reads either gets
 * another checksum. Throws std::logic_error. */
#ifndef FA_SCENARIOS_MEMORY_CHECKED_HPP
#define FA_SCENARIOS_MEMORY_CHECKED_HPP

#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <unordered_map>

#include "scenarios/memory.hpp"

namespace scenarios {

class CheckedMemory {
  public:
    static constexpr const char *kName = "checked";
    explicit CheckedMemory(const MemoryOptions &) : shared_(std::make_shared<Shared>()) {}
    CheckedMemory(CheckedMemory &first, OtherThread) : shared_(first.shared_) {}
    CheckedMemory(const CheckedMemory &) = delete;
    CheckedMemory &operator=(const CheckedMemory &) = delete;

    void frame_begin() {
        require(!in_frame_, "frame_begin in a frame");
        in_frame_ = true;
    }
    void frame_end() {
        std::lock_guard<std::mutex> lock(shared_->mutex);
        require(in_frame_, "frame_end without a frame");
        require(!in_scope_, "frame_end in a scope");
        require(live_ == 0, "frame blocks without an end of use");
        in_frame_ = false;
    }
    void scope_begin() {
        require(in_frame_ && !in_scope_, "scope_begin outside of frames, or in a scope");
        in_scope_ = true;
    }
    void scope_end() {
        std::lock_guard<std::mutex> lock(shared_->mutex);
        require(in_scope_, "scope_end without a scope");
        require(live_scope_ == 0, "frame blocks of a scope without an end of use");
        in_scope_ = false;
    }
    void *frame_alloc(size_t size) {
        require(in_frame_, "frame_alloc outside of frames");
        return alloc(Kind::kFrame, size);
    }
    void *frame_grow(void *block, size_t size_old, size_t size_new) {
        void *bigger = frame_alloc(size_new);
        if (block) {
            std::lock_guard<std::mutex> lock(shared_->mutex);
            auto found = find(Kind::kFrame, block);
            require(found->second.owner == this, "frame_grow of another thread's block");
            require(found->second.in_scope == in_scope_, "frame_grow of a block from outside");
            require(found->second.size == size_old, "frame_grow with another size than before");
            std::memcpy(bigger, block, size_old < size_new ? size_old : size_new);
            bury(found);
        }
        return bigger;
    }
    /* Whoever does not know the size (stb_image), or gave a part back (ODE), says less. */
    void frame_free(void *block, size_t size) {
        std::lock_guard<std::mutex> lock(shared_->mutex);
        auto found = find(Kind::kFrame, block);
        const Block &known = found->second;
        require(size <= known.size, "frame_free with too large a size");
        require(known.owner == this ? known.in_scope == in_scope_ : !known.in_scope,
                "frame_free of a block from outside of the scope");
        bury(found);
    }
    void *pool_alloc(size_t size) { return alloc(Kind::kPool, size); }
    void pool_free(void *block, size_t size) { free(Kind::kPool, block, size); }
    void *heap_alloc(size_t size) { return alloc(Kind::kHeap, size); }
    void heap_free(void *block, size_t size) { free(Kind::kHeap, block, size); }

    /* Of all threads. */
    size_t live_count() const { return shared_->blocks.size(); }

  private:
    enum class Kind { kFrame, kPool, kHeap };
    struct Block {
        Kind kind;
        size_t size;
        CheckedMemory *owner;
        bool in_scope;
    };
    using Blocks = std::unordered_map<void *, Block>;
    /* Of the Memories of all threads; the mutex is also for their counts. */
    struct Shared {
        std::mutex mutex;
        Blocks blocks;
    };

    static void require(bool condition, const char *message) {
        if (!condition)
            throw std::logic_error(message);
    }
    void *alloc(Kind kind, size_t size) {
        require(size != 0, "size 0");
        void *block = std::malloc(size);
        require(block != nullptr, "malloc failed");
        std::memset(block, 0xA5, size);
        std::lock_guard<std::mutex> lock(shared_->mutex);
        bool in_scope = kind == Kind::kFrame && in_scope_;
        shared_->blocks[block] = {kind, size, this, in_scope};
        live_ += kind == Kind::kFrame;
        live_scope_ += in_scope;
        return block;
    }
    void free(Kind kind, void *block, size_t size) {
        std::lock_guard<std::mutex> lock(shared_->mutex);
        auto found = find(kind, block);
        require(found->second.size == size, "free with another size than at the allocation");
        bury(found);
    }
    Blocks::iterator find(Kind kind, void *block) {
        auto found = shared_->blocks.find(block);
        require(found != shared_->blocks.end() && found->second.kind == kind,
                "not a live block of its kind");
        return found;
    }
    void bury(Blocks::iterator found) {
        const Block &known = found->second;
        known.owner->live_ -= known.kind == Kind::kFrame;
        known.owner->live_scope_ -= known.in_scope;
        std::memset(found->first, 0xDD, known.size);
        std::free(found->first);
        shared_->blocks.erase(found);
    }

    std::shared_ptr<Shared> shared_;
    size_t live_ = 0, live_scope_ = 0; /* frame blocks; of them, those of the open scope */
    bool in_frame_ = false, in_scope_ = false;
};

} // namespace scenarios

#endif
