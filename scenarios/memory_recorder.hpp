/* malloc, with every call written down into a Trace. Throws std::logic_error where a scenario
 * breaks the rules of memory.hpp: what it records is a valid trace. */
#ifndef FA_SCENARIOS_MEMORY_RECORDER_HPP
#define FA_SCENARIOS_MEMORY_RECORDER_HPP

#include <cstdlib>
#include <stdexcept>
#include <unordered_map>
#include <vector>

#include "scenarios/memory.hpp"
#include "scenarios/trace.hpp"

namespace scenarios {

class RecorderMemory {
  public:
    static constexpr const char *kName = "recorder";
    explicit RecorderMemory(const MemoryOptions &) {}
    RecorderMemory(const RecorderMemory &) = delete;
    RecorderMemory &operator=(const RecorderMemory &) = delete;
    ~RecorderMemory() {
        for (Blocks *blocks : {&frame_blocks_, &outer_blocks_, &pool_blocks_, &heap_blocks_})
            for (auto &entry : *blocks)
                std::free(entry.first);
    }

    /* What was recorded so far; with the tear-down once the scenario is gone. */
    const Trace &trace() const { return trace_; }

    void frame_begin() {
        if (in_frame_)
            throw std::logic_error("recorder: frame_begin in a frame");
        in_frame_ = true;
        if (trace_.frame_starts.empty())
            trace_.frame_starts.push_back(trace_.ops.size());
    }
    void frame_end() {
        if (!in_frame_)
            throw std::logic_error("recorder: frame_end without a frame");
        if (in_scope_)
            throw std::logic_error("recorder: frame_end in a scope");
        in_frame_ = false;
        trace_.frame_starts.push_back(trace_.ops.size());
        for (auto &entry : frame_blocks_) {
            std::free(entry.first);
            ids_free_.push_back(entry.second);
        }
        frame_blocks_.clear();
    }
    void scope_begin() {
        if (!in_frame_ || in_scope_)
            throw std::logic_error("recorder: scope_begin outside of frames, or in a scope");
        in_scope_ = true;
        outer_blocks_.swap(frame_blocks_);
        trace_.ops.push_back({TraceKind::kScopeBegin, 0, 0});
    }
    void scope_end() {
        if (!in_scope_ || !frame_blocks_.empty())
            throw std::logic_error("recorder: scope_end without a scope, or with blocks in use");
        in_scope_ = false;
        outer_blocks_.swap(frame_blocks_);
        trace_.ops.push_back({TraceKind::kScopeEnd, 0, 0});
    }
    void *frame_alloc(size_t size) {
        if (!in_frame_)
            throw std::logic_error("recorder: frame_alloc outside of frames");
        return alloc(frame_blocks_, TraceKind::kFrameAlloc, size);
    }
    void *frame_grow(void *block, size_t, size_t size_new) {
        if (!block)
            return frame_alloc(size_new);
        auto found = find(frame_blocks_, block);
        uint32_t id = found->second;
        void *bigger = std::realloc(block, size_new);
        if (!bigger)
            return nullptr;
        frame_blocks_.erase(found);
        frame_blocks_[bigger] = id;
        trace_.ops.push_back({TraceKind::kFrameGrow, id, size_new});
        return bigger;
    }
    void frame_free(void *block, size_t size) {
        free(frame_blocks_, TraceKind::kFrameFree, block, size);
    }
    void *pool_alloc(size_t size) { return alloc(pool_blocks_, TraceKind::kPoolAlloc, size); }
    void pool_free(void *block, size_t size) {
        free(pool_blocks_, TraceKind::kPoolFree, block, size);
    }
    void *heap_alloc(size_t size) { return alloc(heap_blocks_, TraceKind::kHeapAlloc, size); }
    void heap_free(void *block, size_t size) {
        free(heap_blocks_, TraceKind::kHeapFree, block, size);
    }

  private:
    using Blocks = std::unordered_map<void *, uint32_t>; /* id of each block alive */

    static Blocks::iterator find(Blocks &blocks, void *block) {
        auto found = blocks.find(block);
        if (found == blocks.end())
            throw std::logic_error("recorder: not a live block of its kind");
        return found;
    }
    void *alloc(Blocks &blocks, TraceKind kind, size_t size) {
        void *block = std::malloc(size);
        if (!block)
            return nullptr;
        uint32_t id;
        if (ids_free_.empty()) {
            id = trace_.id_count++;
        } else {
            id = ids_free_.back();
            ids_free_.pop_back();
        }
        blocks[block] = id;
        trace_.ops.push_back({kind, id, size});
        return block;
    }
    void free(Blocks &blocks, TraceKind kind, void *block, size_t size) {
        auto found = find(blocks, block);
        trace_.ops.push_back({kind, found->second, size});
        ids_free_.push_back(found->second);
        blocks.erase(found);
        std::free(block);
    }

    Trace trace_;
    Blocks frame_blocks_, pool_blocks_, heap_blocks_;
    Blocks outer_blocks_; /* in a scope: frame blocks from before */
    std::vector<uint32_t> ids_free_;
    bool in_frame_ = false, in_scope_ = false;
};

} // namespace scenarios

#endif
