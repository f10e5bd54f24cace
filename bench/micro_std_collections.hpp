/* The standard library's vector and unordered_map. Types says on which memory: it has the types
 * Memory, which is made before the collection and gives its allocator(), vector<T> and map<Key>. */
#ifndef BENCH_MICRO_STD_COLLECTIONS_HPP
#define BENCH_MICRO_STD_COLLECTIONS_HPP

#include "bench/micro_collections.hpp"

#include <string_view>

namespace bench {

template <class Types> struct StdCollections {
    template <class Value> struct Vector {
        typename Types::Memory memory;
        typename Types::template vector<Value> vector;
        Vector(StdCollections, size_t capacity) : vector(memory.allocator()) {
            if (capacity != 0)
                vector.reserve(capacity);
        }
        void push(Value value) { vector.push_back(value); }
        void *data() { return vector.data(); }
        size_t count() const { return vector.size(); }
    };
    template <class Key> struct Map {
        typename Types::Memory memory;
        typename Types::template map<Key> map;
        Map(StdCollections, size_t capacity) : map(memory.allocator()) {
            if (capacity != 0)
                map.reserve(capacity);
        }
        void insert(const Key &key, uint64_t value) { map.emplace(key, value); }
        const uint64_t *find(const Key &key) const {
            auto found = map.find(key);
            return found != map.end() ? &found->second : nullptr;
        }
        void remove(const Key &key) { map.erase(key); }
        size_t count() const { return map.size(); }
    };
    using Ints = Vector<int>;
    using Wides = Vector<Wide>;
    using Numbers = Map<uint64_t>;
    using Name = std::string_view;
    using Names = Map<Name>;
};

} // namespace bench

#endif
