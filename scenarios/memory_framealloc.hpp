/* framealloc: each block by its intent. The frame handle is kept, as a program would that has it at
 * hand. */
#ifndef FA_SCENARIOS_MEMORY_FRAMEALLOC_HPP
#define FA_SCENARIOS_MEMORY_FRAMEALLOC_HPP

#include <stdexcept>

#include "fa/fa.h"
#include "scenarios/memory.hpp"

namespace scenarios {

class FrameallocMemory {
  public:
    static constexpr const char *kName = "framealloc";
    static constexpr bool kScopes = true;
    explicit FrameallocMemory(const MemoryOptions &options) {
        fa_alloc_config config = fa_alloc_config_default();
        config.name = "scenario";
        config.backend_spec = options.backend.c_str();
        fa_status status = fa_allocator_create(&config, &allocator_);
        if (status != FA_OK)
            throw std::runtime_error("framealloc: " + why_not(options.backend, status));
    }
    FrameallocMemory(const FrameallocMemory &) = delete;
    FrameallocMemory &operator=(const FrameallocMemory &) = delete;
    /* The same allocator: a thread has its own frame and its own pools in it by itself. */
    FrameallocMemory(FrameallocMemory &first, OtherThread)
        : allocator_(first.allocator_), owner_(false) {}
    ~FrameallocMemory() {
        if (owner_)
            fa_allocator_destroy(allocator_);
    }
    void frame_begin() {
        frame_ = fa_frame_begin(allocator_);
        if (__builtin_expect(frame_ == nullptr, 0))
            throw std::runtime_error(std::string("framealloc: ") +
                                     fa_status_text(fa_last_error().status));
    }
    void frame_end() { (void)fa_frame_end_in(frame_); }
    void *frame_alloc(size_t size) { return fa_frame_alloc_in(frame_, size); }
    void *frame_grow(void *block, size_t size_old, size_t size_new) {
        return fa_frame_grow_in(frame_, block, size_old, size_new);
    }
    void frame_free(void *, size_t) {}
    void scope_begin() { scope_ = fa_frame_mark_in(frame_); }
    void scope_end() { (void)fa_frame_rewind_in(frame_, scope_); }
    void *pool_alloc(size_t size) { return fa_pool_alloc(allocator_, size); }
    void pool_free(void *block, size_t size) { fa_pool_free_sized(allocator_, block, size); }
    void *heap_alloc(size_t size) { return fa_heap_alloc(allocator_, size); }
    void heap_free(void *block, size_t) { fa_heap_free(allocator_, block); }

    fa_allocator *allocator() { return allocator_; }

  private:
    /* A backend that can't be opened says more by itself. */
    static std::string why_not(const std::string &spec, fa_status status) {
        char message[256] = "";
        fa_backend backend = {};
        if (status == FA_ERROR_BACKEND &&
            fa_backend_open(spec.c_str(), &backend, message, sizeof message) != FA_OK)
            return message;
        fa_backend_close(backend);
        return fa_status_text(status);
    }
    fa_allocator *allocator_ = nullptr;
    bool owner_ = true;
    fa_frame *frame_ = nullptr;
    fa_mark scope_ = {};
};

} // namespace scenarios

#include "scenarios/texture_streams.hpp"

#endif
