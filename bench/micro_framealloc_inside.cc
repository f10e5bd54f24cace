/* Inside a frame of framealloc: marks. */
#include "bench/micro_framealloc.hpp"
#include "bench/micro_inside.hpp"

namespace {

struct Marker {
    fa_allocator *allocator;
    fa_frame *frame;
    fa_mark place;
    void begin() { frame = fa_frame_begin(allocator); }
    void mark() { place = fa_frame_mark_in(frame); }
    template <size_t Size> void *alloc() { return fa_frame_alloc_in(frame, Size); }
    void rewind() { (void)fa_frame_rewind_in(frame, place); }
    void end() { (void)fa_frame_end_in(frame); }
};

void register_inside(const std::string &backend) {
    bench::register_marks(Marker{bench::micro_allocator(backend), nullptr, {}});
}

bench::MoreMicros more(register_inside);

} // namespace
