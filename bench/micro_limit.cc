/* The physical limit that an allocator can be compared with: hand-written loops that do nothing but
 * what the answer needs. They count nothing, know one size, and could serve no other caller. */
#include "bench/micro_inside.hpp"
#include "bench/micro_soa.hpp"

namespace {

/* limit/bump: an address moves through a region that is set back at the end of the frame. */
struct Region {
    char *cursor;
    char *limit;
    char *start;
};

struct Bump {
    Region *region;
    void begin() {}
    template <size_t Size> void *alloc() {
        constexpr size_t rounded = (Size + 15) & ~size_t{15};
        char *block = region->cursor;
        if (rounded > static_cast<size_t>(region->limit - block))
            return nullptr;
        region->cursor = block + rounded;
        return block;
    }
    void end() { region->cursor = region->start; }
};

struct Marker : Bump {
    char *place;
    void mark() { place = region->cursor; }
    void rewind() { region->cursor = place; }
};

/* limit/magazine: an array of ready addresses. It trusts its caller: no test but for "empty". */
struct Ready {
    size_t count;
    void *blocks[10000];
};

struct Magazine {
    Ready *ready;
    template <size_t> void *alloc() {
        return ready->count == 0 ? nullptr : ready->blocks[--ready->count];
    }
    template <size_t> void free(void *block) { ready->blocks[ready->count++] = block; }
};

constexpr size_t kRegionBytes = size_t{16} << 20;
alignas(4096) char memory[kRegionBytes];
Region region{memory, memory + kRegionBytes, memory};
Ready ready;

} // namespace

void bench::register_micros(const std::string &) {
    ready.count = sizeof ready.blocks / sizeof ready.blocks[0];
    for (size_t i = 0; i < ready.count; i++)
        ready.blocks[i] = memory + i * 256;
    register_frame("frame", Bump{&region});
    register_frame_of(Bump{&region});
    benchmark::RegisterBenchmark("begin_end", begin_end_loop<Bump>, Bump{&region});
    register_pool(Magazine{&ready});
    register_marks(Marker{{&region}, nullptr});
    benchmark::RegisterBenchmark("soa_alloc/eight_calls", soa_eight_calls<Bump>, Bump{&region});
}
