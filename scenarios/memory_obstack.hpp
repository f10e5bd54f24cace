/* GNU obstack: one for frame memory, emptied at the end of the frame. Its chunks are of a size that
 * holds the whole frame of every scenario, so that chunks are not asked for and given back all the
 * time: pages that are not used are never touched. The newest block grows in place, which is what
 * obstacks are good at, and a scope gives all back that is newer. Pool and heap blocks come from
 * malloc. */
#ifndef FA_SCENARIOS_MEMORY_OBSTACK_HPP
#define FA_SCENARIOS_MEMORY_OBSTACK_HPP

#include <cstdlib>
#include <cstring>
#include <obstack.h>

#include "scenarios/memory.hpp"

#define obstack_chunk_alloc std::malloc
#define obstack_chunk_free std::free

namespace scenarios {

/* glibc's macros align a pointer by adding an offset to NULL. */
#define FA_OBSTACK_MACROS __attribute__((no_sanitize("undefined")))

class ObstackMemory {
  public:
    static constexpr const char *kName = "obstack";
    static constexpr bool kScopes = true;
    FA_OBSTACK_MACROS explicit ObstackMemory(const MemoryOptions &) {
        obstack_begin(&stack_, size_t{8} << 20);
        obstack_alignment_mask(&stack_) = 15;
        start_ = obstack_alloc(&stack_, 0);
    }
    ObstackMemory(const ObstackMemory &) = delete;
    ObstackMemory &operator=(const ObstackMemory &) = delete;
    ~ObstackMemory() { obstack_free(&stack_, nullptr); }
    ObstackMemory(ObstackMemory &, OtherThread) : ObstackMemory(MemoryOptions{}) {}
    void frame_begin() {}
    FA_OBSTACK_MACROS void frame_end() {
        obstack_free(&stack_, start_);
        start_ = obstack_alloc(&stack_, 0);
    }
    FA_OBSTACK_MACROS void *frame_alloc(size_t size) {
        return obstack_alloc(&stack_, static_cast<int>(size));
    }
    FA_OBSTACK_MACROS void *frame_grow(void *block, size_t size_old, size_t size_new) {
        size_t rounded_old = (size_old + 15) & ~size_t{15};
        size_t rounded_new = (size_new + 15) & ~size_t{15};
        if (block && static_cast<char *>(block) + rounded_old == obstack_base(&stack_) &&
            rounded_new - rounded_old <= obstack_room(&stack_)) {
            obstack_blank_fast(&stack_, rounded_new - rounded_old);
            (void)obstack_finish(&stack_);
            return block;
        }
        void *bigger = obstack_alloc(&stack_, static_cast<int>(size_new));
        if (block)
            std::memcpy(bigger, block, size_old < size_new ? size_old : size_new);
        return bigger;
    }
    void frame_free(void *, size_t) {}
    FA_OBSTACK_MACROS void scope_begin() { scope_ = obstack_alloc(&stack_, 0); }
    FA_OBSTACK_MACROS void scope_end() { obstack_free(&stack_, scope_); }
    void *pool_alloc(size_t size) { return std::malloc(size); }
    void pool_free(void *block, size_t) { std::free(block); }
    void *heap_alloc(size_t size) { return std::malloc(size); }
    void heap_free(void *block, size_t) { std::free(block); }

  private:
    obstack stack_;
    void *start_;
    void *scope_ = nullptr;
};

} // namespace scenarios

#endif
