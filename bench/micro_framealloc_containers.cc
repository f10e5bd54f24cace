/* Containers of the standard library in a frame: fa::frame_resource and fa::frame_allocator. */
#include "bench/micro_containers.hpp"
#include "bench/micro_framealloc.hpp"

#include "fa/fa.hpp"

namespace {

struct Frames {
    fa_allocator *allocator;
    fa::frame_resource memory{static_cast<fa_frame *>(nullptr)};
    void begin() { memory = fa::frame_resource(fa_frame_begin(allocator)); }
    std::pmr::memory_resource *resource() { return &memory; }
    void end() { (void)fa_frame_end(allocator); }
};

struct Vectors {
    fa_allocator *allocator;
    fa_frame *frame = nullptr;
    void begin() { frame = fa_frame_begin(allocator); }
    void push(size_t count) {
        bench::push_elements<std::vector<int, fa::frame_allocator<int>>>(count, frame);
    }
    void end() { (void)fa_frame_end_in(frame); }
};

bench::MoreMicros more([](const std::string &backend) {
    bench::register_pmr(Frames{bench::micro_allocator(backend)});
    bench::register_std_vector(Vectors{bench::micro_allocator(backend)});
});

} // namespace
