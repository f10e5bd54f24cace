/* What programs do without arenas: each block is kept and freed. */
#include "bench/micro_arena.hpp"

#include <cstdlib>

namespace {

struct Blocks {
    void *blocks[bench::kArenaBlocks];
    size_t count;

    void begin() { count = 0; }
    template <size_t Size> void *alloc() { return blocks[count++] = std::malloc(Size); }
    void end() {
        while (count != 0)
            std::free(blocks[--count]);
    }
    void rest() {}
};

bench::MoreMicros more([](const std::string &) {
    benchmark::RegisterBenchmark("own_arena/64", bench::arena_loop<Blocks>, Blocks{});
    bench::register_shared_arena(Blocks{});
});

} // namespace
