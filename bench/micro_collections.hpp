/* Collections: the same loops over vectors and maps of framealloc and of the standard library.
 *
 * A contender is a small class with four collection types, each made with (contender, capacity) and
 * gone at the end of its scope; capacity 0: not known before. The making, and for framealloc the
 * frame's begin and end, is inside of the timed loop, but for those that only look up.
 *
 * - Ints, Wides: push(value), data(), count()
 * - Numbers (by uint64_t), Names (by Contender::Name, a text of known length): insert(key, value),
 *   find(key), which returns NULL or a pointer to a uint64_t, remove(key), count() */
#ifndef BENCH_MICRO_COLLECTIONS_HPP
#define BENCH_MICRO_COLLECTIONS_HPP

#include "bench/micro.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace bench {

struct Wide {
    uint64_t first, second;
};

inline int value_of(size_t i, const int *) { return static_cast<int>(i); }
inline Wide value_of(size_t i, const Wide *) { return Wide{i, i}; }

/* InMemory: the vector is one that others may look at after each push, like a member of something,
 * and not a local variable that can stay in registers. */
template <class Contender, class Vector, class Value, bool Reserved, bool InMemory>
void vector_loop(benchmark::State &state, Contender contender, size_t count) {
    for (auto _ : state) {
        Vector vector(contender, Reserved ? count : 0);
        for (size_t i = 0; i < count; i++) {
            vector.push(value_of(i, static_cast<const Value *>(nullptr)));
            if (InMemory)
                keep(&vector);
        }
        keep(vector.data());
        if (vector.count() != count)
            return state.SkipWithError("out of memory");
    }
    set_operations(state, count);
}

/* Keys of maps, the same in each run: so many sets of count different ones that a processor can't
 * learn by heart where each goes, and of each set as many that are not in it. */
template <class Key> struct Keys {
    struct Set {
        std::vector<Key> there, shuffled, missing;
    };
    std::vector<Set> sets;
    size_t turn = 0;
    const Set &next() { return sets[++turn % sets.size()]; }
};

/* Random numbers. */
inline uint64_t make_key(std::mt19937_64 &random, size_t, const uint64_t *) { return random(); }

/* Texts of 4 to 15 letters and digits, never freed. */
template <class Name> Name make_key(std::mt19937_64 &random, size_t number, const Name *) {
    static std::deque<std::string> all;
    std::string text = std::to_string(number); /* makes them different */
    const size_t length = std::max<size_t>(4 + random() % 12, text.size() + 1);
    while (text.size() < length)
        text.insert(text.begin(), static_cast<char>('a' + random() % 26));
    all.push_back(text);
    return Name{all.back().data(), all.back().size()};
}

/* Made once for all benchmarks of a program. */
template <class Key> Keys<Key> &keys_of(size_t count) {
    constexpr size_t kKeys = 32768;
    static std::map<size_t, Keys<Key>> made;
    if (made.count(count) != 0)
        return made[count];
    std::mt19937_64 random(count);
    Keys<Key> &keys = made[count];
    keys.sets.resize(std::max<size_t>(1, kKeys / count));
    for (auto &set : keys.sets) {
        std::vector<Key> all;
        for (size_t i = 0; i < count * 2; i++)
            all.push_back(make_key(random, i, static_cast<const Key *>(nullptr)));
        std::shuffle(all.begin(), all.end(), random);
        set.there.assign(all.begin(), all.begin() + static_cast<ptrdiff_t>(count));
        set.missing.assign(all.begin() + static_cast<ptrdiff_t>(count), all.end());
        set.shuffled = set.there;
        std::shuffle(set.shuffled.begin(), set.shuffled.end(), random);
    }
    return keys;
}

/* As many look-ups of keys of one set in random order, again and again. */
template <class Key> std::vector<Key> make_look_ups(const std::vector<Key> &keys) {
    constexpr size_t kLookUps = 32768;
    std::mt19937_64 random(keys.size());
    std::vector<Key> look_ups;
    for (size_t i = 0; i < std::max(kLookUps, keys.size()); i++)
        look_ups.push_back(keys[random() % keys.size()]);
    return look_ups;
}

template <class Contender, class Map, class Key, bool Reserved>
void map_insert_loop(benchmark::State &state, Contender contender, size_t count) {
    Keys<Key> &keys = keys_of<Key>(count);
    for (auto _ : state) {
        Map map(contender, Reserved ? count : 0);
        for (const Key &key : keys.next().there)
            map.insert(key, 1);
        keep(&map);
        if (map.count() != count)
            return state.SkipWithError("out of memory");
    }
    set_operations(state, count);
}

template <class Contender, class Map, class Key, bool There>
void map_find_loop(benchmark::State &state, Contender contender, size_t count) {
    Keys<Key> &keys = keys_of<Key>(count);
    Map map(contender, count);
    for (const Key &key : keys.sets[0].there)
        map.insert(key, 1);
    keep(&map);
    const std::vector<Key> look_ups =
        make_look_ups(There ? keys.sets[0].there : keys.sets[0].missing);
    for (auto _ : state) {
        uint64_t sum = 0;
        for (const Key &key : look_ups)
            if (const uint64_t *value = map.find(key))
                sum += *value;
        keep(&sum);
        if (sum != (There ? look_ups.size() : 0))
            return state.SkipWithError("wrong answers");
    }
    set_operations(state, look_ups.size());
}

/* Fills the map, looks for what is there and for what is not, then exchanges all of its keys. */
template <class Contender, class Map, class Key>
void map_mixed_loop(benchmark::State &state, Contender contender, size_t count) {
    Keys<Key> &keys = keys_of<Key>(count);
    for (auto _ : state) {
        const auto &set = keys.next();
        Map map(contender, count);
        for (const Key &key : set.there)
            map.insert(key, 1);
        uint64_t sum = 0;
        for (size_t i = 0; i < count; i++) {
            const uint64_t *there = map.find(set.shuffled[i]);
            sum += there ? *there : 0;
            sum += map.find(set.missing[i]) != nullptr;
            map.remove(set.shuffled[i]);
            map.insert(set.missing[i], 1);
        }
        keep(&map);
        if (sum != count || map.count() != count)
            return state.SkipWithError("wrong answers");
    }
    set_operations(state, count * 5);
}

template <class Contender> void register_collections(Contender contender) {
    using Loop = void (*)(benchmark::State &, Contender, size_t);
    auto add = [&](const char *name, Loop loop, std::initializer_list<size_t> counts) {
        for (size_t count : counts)
            benchmark::RegisterBenchmark((name + ("/" + std::to_string(count))).c_str(), loop,
                                         contender, count);
    };
    using C = Contender;
    using Ints = typename C::Ints;
    using Wides = typename C::Wides;
    using Numbers = typename C::Numbers;
    using Names = typename C::Names;
    using Name = typename C::Name;
    const auto sizes = {size_t{64}, size_t{1000}, size_t{10000}, size_t{100000}};
    add("vector_push", vector_loop<C, Ints, int, true, false>, {1000});
    add("vector_push_16_bytes", vector_loop<C, Wides, Wide, true, false>, {1000});
    add("vector_push_in_memory", vector_loop<C, Ints, int, true, true>, {1000});
    add("vector_grow", vector_loop<C, Ints, int, false, false>, {1000, 100000});
    add("map_insert", map_insert_loop<C, Numbers, uint64_t, true>, sizes);
    add("map_insert_growing", map_insert_loop<C, Numbers, uint64_t, false>, sizes);
    add("map_find", map_find_loop<C, Numbers, uint64_t, true>, sizes);
    add("map_find_none", map_find_loop<C, Numbers, uint64_t, false>, sizes);
    add("map_mixed", map_mixed_loop<C, Numbers, uint64_t>, sizes);
    add("map_text_insert", map_insert_loop<C, Names, Name, true>, sizes);
    add("map_text_find", map_find_loop<C, Names, Name, true>, sizes);
    add("map_text_find_none", map_find_loop<C, Names, Name, false>, sizes);
}

} // namespace bench

#endif
