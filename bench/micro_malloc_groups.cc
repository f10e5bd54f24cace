/* What programs do without scopes and groups: each block is kept and freed. */
#include "bench/micro_groups.hpp"

#include <cstdlib>

namespace {

struct Blocks {
    void *blocks[1000];
    size_t count;

    void begin() { count = 0; }
    template <size_t Size> void *alloc() { return blocks[count++] = std::malloc(Size); }
    template <size_t Size> void *alloc_with() { return alloc<Size>(); }
    void end() { end<false>(); }
    template <bool Destroyed> void end() {
        while (count != 0) {
            void *block = blocks[--count];
            if (Destroyed)
                bench::count_object(block);
            std::free(block);
        }
    }
};

bench::MoreMicros more([](const std::string &) {
    bench::register_scratch(Blocks{});
    bench::register_groups(Blocks{});
});

} // namespace
