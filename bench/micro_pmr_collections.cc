/* std::pmr::vector and std::pmr::unordered_map, each on a monotonic buffer that starts anew: what
 * the standard library has for memory that dies at once. */
#include "bench/micro_std_collections.hpp"

#include <memory>
#include <memory_resource>
#include <unordered_map>

namespace {

/* Large enough for all of them, and used again from its start each time. */
constexpr size_t kBufferBytes = size_t{32} << 20;
char *buffer() {
    static std::unique_ptr<char[]> bytes(new char[kBufferBytes]);
    return bytes.get();
}

struct Monotonic {
    struct Memory {
        std::pmr::monotonic_buffer_resource resource{buffer(), kBufferBytes};
        std::pmr::polymorphic_allocator<char> allocator() { return &resource; }
    };
    template <class Value> using vector = std::pmr::vector<Value>;
    template <class Key> using map = std::pmr::unordered_map<Key, uint64_t>;
};

bench::MoreMicros more([](const std::string &) {
    bench::register_collections(bench::StdCollections<Monotonic>{});
});

} // namespace
