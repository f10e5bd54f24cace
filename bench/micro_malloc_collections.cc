/* std::vector and std::unordered_map, over whichever malloc the program has. */
#include "bench/micro_std_collections.hpp"

#include <unordered_map>

namespace {

struct Plain {
    struct Memory {
        std::allocator<char> allocator() const { return {}; }
    };
    template <class Value> using vector = std::vector<Value>;
    template <class Key> using map = std::unordered_map<Key, uint64_t>;
};

bench::MoreMicros more([](const std::string &) {
    bench::register_collections(bench::StdCollections<Plain>{});
});

} // namespace
