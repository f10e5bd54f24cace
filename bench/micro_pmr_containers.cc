/* Containers over std::pmr::monotonic_buffer_resource, used as is best for it: one buffer that is
 * large enough for all, from its start in each frame. */
#include "bench/micro_containers.hpp"

#include <memory>

namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;
void *buffer() {
    static std::unique_ptr<char[]> bytes(new char[kBufferBytes]);
    return bytes.get();
}

/* One for all frames: release() goes back to the start of the buffer. */
std::pmr::monotonic_buffer_resource &monotonic() {
    static std::pmr::monotonic_buffer_resource resource(buffer(), kBufferBytes);
    return resource;
}

struct Frames {
    std::pmr::monotonic_buffer_resource *memory = &monotonic();
    void begin() {}
    std::pmr::memory_resource *resource() { return memory; }
    void end() { memory->release(); }
};

struct Vectors : Frames {
    void push(size_t count) {
        bench::push_elements<std::pmr::vector<int>>(count, bench::opaque(resource()));
    }
};

bench::MoreMicros more([](const std::string &) {
    bench::register_pmr(Frames{});
    bench::register_std_vector(Vectors{});
});

} // namespace
