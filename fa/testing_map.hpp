// Tests of maps, for two programs: one compiled with the groups that the machine has, one with the
// portable ones. For tests only; not installed.
#ifndef FA_TESTING_MAP_HPP
#define FA_TESTING_MAP_HPP

#include "fa/testing_checked.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>

namespace fa_testing {

inline uint64_t HashOne(uint64_t) { return 7; }
inline uint64_t HashFew(uint64_t key) { return key & 3; }
inline uint64_t HashHigh(uint64_t key) { return key << 58; }

FA_MAP(numbers, uint64_t, int, fa_hash_u64, fa_equal_u64)
FA_MAP(ones, uint64_t, int, HashOne, fa_equal_u64)
FA_MAP(fews, uint64_t, int, HashFew, fa_equal_u64)
FA_MAP(highs, uint64_t, int, HashHigh, fa_equal_u64)
FA_MAP(names, const char *, int, fa_hash_string, fa_equal_string)
FA_MAP(strs, fa_str, size_t, fa_hash_str, fa_equal_str)
FA_MAP(links, int *, const char *, fa_hash_pointer, fa_equal_pointer)

// The functions of a map leave other names with its prefix to the program.
[[maybe_unused]] inline void links_of(fai_map_table) {}
[[maybe_unused]] inline void links_find_entry(const links *, int *) {}
[[maybe_unused]] inline void links_enlarged(links, size_t) {}
[[maybe_unused]] inline void links_refusal(const links *) {}

template <size_t Align> struct alignas(Align) Aligned { unsigned char mark; };
FA_MAP(aligned1, uint8_t, Aligned<1>, fa_hash_u32, fa_equal_u32)
FA_MAP(aligned16, uint8_t, Aligned<16>, fa_hash_u32, fa_equal_u32)
FA_MAP(aligned32, uint8_t, Aligned<32>, fa_hash_u32, fa_equal_u32)
FA_MAP(aligned64, uint64_t, Aligned<64>, fa_hash_u64, fa_equal_u64)

// What the model calls of a map type.
#define FA_TESTING_MAP(Class, name)                                                                \
    struct Class {                                                                                 \
        using Map = name;                                                                          \
        static Map MakeIn(fa_frame *frame, size_t n) { return name##_make_in(frame, n); }          \
        static Map Make(fa_allocator *a, size_t n) { return name##_make(a, n); }                   \
        static fa_status Insert(Map *m, uint64_t k, int v) { return name##_insert(m, k, v); }      \
        static fa_status Set(Map *m, uint64_t k, int v) { return name##_set(m, k, v); }            \
        static int *Slot(Map *m, uint64_t k, bool *n) { return name##_slot(m, k, n); }             \
        static int *Find(const Map *m, uint64_t k) { return name##_find(m, k); }                   \
        static bool Contains(const Map *m, uint64_t k) { return name##_contains(m, k); }           \
        static bool Remove(Map *m, uint64_t k) { return name##_remove(m, k); }                     \
        static void Clear(Map *m) { name##_clear(m); }                                             \
        static fa_status Reserve(Map *m, size_t n) { return name##_reserve(m, n); }                \
        static size_t Count(const Map *m) { return name##_count(m); }                              \
        static size_t Capacity(const Map *m) { return name##_capacity(m); }                        \
        static auto Next(const Map *m, fa_map_cursor *c) { return name##_next(m, c); }             \
    };
FA_TESTING_MAP(Numbers, numbers)
FA_TESTING_MAP(Ones, ones)
FA_TESTING_MAP(Fews, fews)
FA_TESTING_MAP(Highs, highs)

class MapTest : public InFrame {};
INSTANTIATE_TEST_SUITE_P(Checks, MapTest, testing::Values(0, FA_CHECK_ALL));

// Random operations against std::map. Keys are few, so that they meet.
template <class Tested> class MapModel {
  public:
    MapModel(fa_allocator *allocator, Random *random, size_t capacity)
        : random_(random), capacity_(capacity),
          keys_(capacity != 0 ? capacity * 2 : 1 + random->Below(600)) {
        map_ = random->OneIn(2) ? Tested::Make(allocator, capacity)
                                : Tested::MakeIn(fa_frame_current(allocator), capacity);
    }

    void Step() {
        const uint64_t key = random_->Below(keys_) * 0x100000001;
        const bool known = model_.count(key) != 0;
        const bool full = capacity_ != 0 && model_.size() == capacity_;
        const int value = static_cast<int>(random_->Below(1000000));
        const fa_status fresh = full ? FA_ERROR_FULL : FA_OK;
        bool is_new = !known;
        switch (random_->Below(12)) {
        case 0:
        case 1:
        case 2:
            ASSERT_EQ(Tested::Insert(&map_, key, value), known ? FA_ERROR_EXISTS : fresh);
            if (!full)
                model_.emplace(key, value);
            break;
        case 3:
        case 4:
            ASSERT_EQ(Tested::Set(&map_, key, value), known ? FA_OK : fresh);
            if (known || !full)
                model_[key] = value;
            break;
        case 5: {
            int *slot = Tested::Slot(&map_, key, &is_new);
            ASSERT_EQ(slot != nullptr, known || !full);
            ASSERT_EQ(is_new, !known && !full);
            if (slot != nullptr)
                model_[key] = *slot = value;
            break;
        }
        case 6:
        case 7:
        case 8:
            ASSERT_EQ(Tested::Remove(&map_, key), known);
            model_.erase(key);
            break;
        case 9:
            if (random_->OneIn(10))
                RemoveWhileIterating();
            break;
        case 10:
            if (random_->OneIn(40)) {
                Tested::Clear(&map_);
                model_.clear();
            } else if (capacity_ == 0 && random_->OneIn(40)) {
                const size_t want = random_->Size(1000);
                ASSERT_EQ(Tested::Reserve(&map_, want), FA_OK);
                ASSERT_GE(Tested::Capacity(&map_), want);
            }
            break;
        default:
            Compare();
        }
        Look(key);
    }

    void Compare() {
        ASSERT_EQ(Tested::Count(&map_), model_.size());
        std::map<uint64_t, int> seen;
        fa_map_cursor cursor = {};
        while (auto *entry = Tested::Next(&map_, &cursor))
            ASSERT_TRUE(seen.emplace(entry->key, entry->value).second) << "twice";
        ASSERT_EQ(seen, model_);
        ASSERT_EQ(Tested::Next(&map_, &cursor), nullptr) << "stays at the end";
        for (const auto &[key, value] : model_)
            ASSERT_EQ(*Tested::Find(&map_, key), value);
    }

  private:
    void Look(uint64_t key) {
        const auto found = model_.find(key);
        const int *value = Tested::Find(&map_, key);
        ASSERT_EQ(value != nullptr, found != model_.end());
        ASSERT_EQ(Tested::Contains(&map_, key), value != nullptr);
        if (value != nullptr) {
            ASSERT_EQ(*value, found->second);
        }
        ASSERT_EQ(Tested::Count(&map_), model_.size());
    }

    // The entry that was given, and sometimes one that was given before.
    void RemoveWhileIterating() {
        std::vector<uint64_t> seen;
        const std::map<uint64_t, int> before = model_;
        fa_map_cursor cursor = {};
        while (auto *entry = Tested::Next(&map_, &cursor)) {
            seen.push_back(entry->key);
            const uint64_t key = random_->OneIn(4) ? seen[random_->Below(seen.size())] : entry->key;
            if (random_->OneIn(3)) {
                ASSERT_EQ(Tested::Remove(&map_, key), model_.erase(key) != 0);
            }
        }
        ASSERT_EQ(seen.size(), before.size()) << "each once";
        ASSERT_EQ(std::set<uint64_t>(seen.begin(), seen.end()).size(), before.size());
        Compare();
    }

    Random *random_;
    size_t capacity_, keys_;
    typename Tested::Map map_;
    std::map<uint64_t, int> model_;
};

template <class Tested> void PlayMap(fa_allocator *allocator, Random *random, int steps) {
    for (int round = 0; round < 30; round++) {
        const size_t capacity = random->OneIn(2) ? 0 : random->Size(60);
        SCOPED_TRACE(testing::Message()
                     << "FA_TEST_SEED=" << random->Seed() << ", capacity " << capacity);
        MapModel<Tested> model(allocator, random, capacity);
        for (int i = 0; i < steps; i++) {
            model.Step();
            if (testing::Test::HasFatalFailure())
                return;
        }
        model.Compare();
        fa_frame_end(allocator);
        fa_frame_begin(allocator);
    }
}

} // namespace fa_testing

using namespace fa_testing;

TEST_P(MapTest, Model) {
    Random random;
    PlayMap<Numbers>(allocator_, &random, 2000);
}

// Every key in one place, in four, and in those that the highest bits of the hash choose.
TEST_P(MapTest, ModelWithPoorHashes) {
    Random random;
    PlayMap<Ones>(allocator_, &random, 500);
    PlayMap<Fews>(allocator_, &random, 500);
    PlayMap<Highs>(allocator_, &random, 500);
}

TEST_P(MapTest, ModelWithTwoFramesInFlight) {
    fa_alloc_config config = Config();
    config.frames_in_flight = 2;
    Allocator allocator(config);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    Random random;
    PlayMap<Numbers>(allocator, &random, 500);
    fa_frame_end(allocator);
}

TEST_P(MapTest, HoldsExactlyItsCapacity) {
    for (size_t capacity = 1; capacity < 300; capacity++) {
        numbers map = numbers_make_in(frame_, capacity);
        ASSERT_TRUE(numbers_is_made(&map));
        const size_t bytes = fa_frame_bytes_in(frame_);
        fa_last_error_clear();
        for (uint64_t key = 0; key < capacity; key++) {
            ASSERT_EQ(numbers_remaining(&map), capacity - key);
            ASSERT_EQ(numbers_insert(&map, key, 1), FA_OK);
        }
        EXPECT_EQ(numbers_insert(&map, capacity, 2), FA_ERROR_FULL);
        EXPECT_EQ(numbers_set(&map, capacity, 2), FA_ERROR_FULL);
        EXPECT_EQ(numbers_slot(&map, capacity, nullptr), nullptr);
        EXPECT_EQ(numbers_reserve(&map, capacity + 1), FA_ERROR_FULL);
        EXPECT_EQ(numbers_find(&map, capacity), nullptr);
        for (uint64_t key = 0; key < capacity; key++) {
            ASSERT_EQ(numbers_insert(&map, key, 3), FA_ERROR_EXISTS) << "also when it is full";
            ASSERT_EQ(numbers_set(&map, key, 4), FA_OK) << "also when it is full";
            ASSERT_EQ(*numbers_find(&map, key), 4);
        }
        ASSERT_TRUE(numbers_remove(&map, capacity / 2));
        ASSERT_EQ(numbers_insert(&map, 12345, 5), FA_OK);
        EXPECT_EQ(fa_last_error().status, FA_OK) << "these are answers, not errors";
        EXPECT_EQ(fa_frame_bytes_in(frame_), bytes) << "nothing more was taken";
    }
}

TEST_P(MapTest, OfZeroBytesIsEmptyAndFull) {
    numbers map = {};
    fa_map_cursor cursor = {};
    fa_last_error_clear();
    EXPECT_FALSE(numbers_is_made(&map));
    EXPECT_EQ(numbers_insert(&map, 1, 1), FA_ERROR_FULL);
    EXPECT_EQ(numbers_set(&map, 1, 1), FA_ERROR_FULL);
    EXPECT_EQ(numbers_slot(&map, 1, nullptr), nullptr);
    EXPECT_EQ(numbers_reserve(&map, 0), FA_OK);
    EXPECT_EQ(numbers_reserve(&map, 1), FA_ERROR_FULL);
    EXPECT_EQ(numbers_find(&map, 1), nullptr);
    EXPECT_FALSE(numbers_contains(&map, 1));
    EXPECT_FALSE(numbers_remove(&map, 1));
    EXPECT_EQ(numbers_next(&map, &cursor), nullptr);
    EXPECT_EQ(numbers_count(&map), 0u);
    EXPECT_EQ(numbers_capacity(&map), 0u);
    EXPECT_EQ(numbers_remaining(&map), 0u);
    numbers_clear(&map);
    EXPECT_EQ(fa_last_error().status, FA_OK);
}

#define EXPECT_MAP_ALIGNED(name, align)                                                            \
    for (size_t capacity : {size_t{0}, size_t{40}}) {                                              \
        ASSERT_NE(fa_frame_alloc_in(frame_, 1), nullptr);                                          \
        name map = name##_make_in(frame_, capacity);                                               \
        for (unsigned char i = 0; i < 40; i++)                                                     \
            ASSERT_EQ(name##_insert(&map, i, Aligned<align>{i}), FA_OK);                           \
        for (unsigned char i = 0; i < 40; i++) {                                                   \
            EXPECT_TRUE(IsAligned(name##_find(&map, i), align));                                   \
            EXPECT_EQ(name##_find(&map, i)->mark, i);                                              \
        }                                                                                          \
    }

TEST_P(MapTest, HonoursEveryAlignment){
    EXPECT_MAP_ALIGNED(aligned1, 1) EXPECT_MAP_ALIGNED(aligned16, 16)
        EXPECT_MAP_ALIGNED(aligned32, 32) EXPECT_MAP_ALIGNED(aligned64, 64)}

TEST_P(MapTest, TakesStringsAsKeys) {
    names map = names_make_in(frame_, 0);
    strs pieces = strs_make(allocator_, 0);
    std::vector<std::string> words;
    for (size_t i = 0; i < 500; i++)
        words.push_back(std::string(i % 40, 'a') + std::to_string(i));
    for (size_t i = 0; i < words.size(); i++) {
        ASSERT_EQ(names_insert(&map, words[i].c_str(), static_cast<int>(i)), FA_OK);
        ASSERT_EQ(strs_insert(&pieces, fa_str{words[i].data(), words[i].size()}, i), FA_OK);
    }
    for (size_t i = 0; i < words.size(); i++) {
        const std::string copy = words[i];
        ASSERT_EQ(*names_find(&map, copy.c_str()), static_cast<int>(i));
        ASSERT_EQ(*strs_find(&pieces, fa_str_of(copy.c_str())), i);
        ASSERT_EQ(strs_find(&pieces, fa_str_of((copy + "b").c_str())), nullptr);
    }
    EXPECT_EQ(names_find(&map, ""), nullptr);
    EXPECT_EQ(strs_find(&pieces, fa_str{}), nullptr);
}

// Removal leaves no tombstones: a full map that is turned over and over stays what it was.
TEST_P(MapTest, DoesNotWearOut) {
    numbers map = numbers_make_in(frame_, 100);
    for (uint64_t key = 0; key < 20000; key++) {
        ASSERT_EQ(numbers_insert(&map, key, 1), FA_OK);
        if (key >= 99) {
            ASSERT_TRUE(numbers_remove(&map, key - 99));
        }
    }
    size_t empty = 0;
    for (size_t slot = 0; slot <= map.mask; slot++)
        empty += map.tags[slot] == 0;
    EXPECT_EQ(empty, map.mask + 1 - map.count);
}

// Keys in patterns that programs have spread like random ones.
TEST_P(MapTest, SpreadsKeysInPatterns) {
    const std::pair<const char *, uint64_t (*)(uint64_t)> patterns[] = {
        {"in a row", [](uint64_t i) { return i; }},
        {"from the end", [](uint64_t i) { return ~i; }},
        {"multiples of 16", [](uint64_t i) { return 0x7F0000001000 + i * 16; }},
        {"multiples of 4096", [](uint64_t i) { return i * 4096; }},
        {"multiples of 1000", [](uint64_t i) { return i * 1000; }},
        {"high halves", [](uint64_t i) { return i << 32; }},
        {"highest bits", [](uint64_t i) { return i << 50; }},
        {"a grid", [](uint64_t i) { return (i / 100) << 32 | i % 100; }},
        {"a fine grid", [](uint64_t i) { return (i / 100) << 16 | i % 100; }},
        {"doubles",
         [](uint64_t i) {
             const double number = static_cast<double>(i) * 0.5;
             uint64_t bits;
             memcpy(&bits, &number, sizeof bits);
             return bits;
         }},
    };
    for (const auto &[what, key_of] : patterns) {
        numbers map = numbers_make_in(frame_, 10000);
        for (uint64_t i = 0; i < 10000; i++)
            ASSERT_EQ(numbers_insert(&map, key_of(i), 1), FA_OK);
        // Slots from home to entry; 0.8 on average for random keys in a table that is 0.61 full.
        size_t distance = 0, most = 0;
        for (size_t slot = 0; slot <= map.mask; slot++) {
            if (map.tags[slot] == 0)
                continue;
            const uint64_t mixed = fai_map_mix(map.entries[slot].key);
            const size_t from_home = (slot - fai_map_home(mixed, map.mask)) & map.mask;
            distance += from_home;
            most = std::max(most, from_home);
        }
        EXPECT_LT(distance, 15000u) << what;
        EXPECT_LT(most, 50u) << what;
    }
}

TEST_P(MapTest, SizesThatWrapAreRefused) {
    for (size_t capacity : {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 16, SIZE_MAX / 40}) {
        fa_last_error_clear();
        numbers map = numbers_make_in(frame_, capacity);
        EXPECT_FALSE(numbers_is_made(&map)) << capacity;
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        map = numbers_make(allocator_, capacity);
        EXPECT_FALSE(numbers_is_made(&map));
        map = numbers_make_in(frame_, 0);
        ASSERT_EQ(numbers_insert(&map, 5, 6), FA_OK);
        EXPECT_EQ(numbers_reserve(&map, capacity), FA_ERROR_INVALID);
        EXPECT_EQ(*numbers_find(&map, 5), 6);
        EXPECT_EQ(numbers_count(&map), 1u);
    }
}

TEST_P(MapTest, RefusedWithoutAFrame) {
    numbers map = numbers_make_in(frame_, 0);
    fa_frame_end(allocator_);
    EXPECT_EQ(numbers_insert(&map, 1, 1), FA_ERROR_NO_FRAME);
    EXPECT_EQ(numbers_set(&map, 1, 1), FA_ERROR_NO_FRAME);
    EXPECT_EQ(numbers_count(&map), 0u);
    for (size_t capacity : {size_t{0}, size_t{10}}) {
        map = numbers_make(allocator_, capacity);
        EXPECT_FALSE(numbers_is_made(&map));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_FRAME);
        map = numbers_make_in(frame_, capacity);
        EXPECT_FALSE(numbers_is_made(&map));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_FRAME);
        map = numbers_make_in(nullptr, capacity);
        EXPECT_FALSE(numbers_is_made(&map));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        map = numbers_make(nullptr, capacity);
        EXPECT_FALSE(numbers_is_made(&map));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    }
    fa_frame_begin(allocator_);
}

TEST_P(MapTest, HoldsPointers) {
    int keys[3] = {};
    links map = links_make_in(frame_, 0);
    for (int &key : keys)
        EXPECT_EQ(links_set(&map, &key, "old"), FA_OK);
    EXPECT_EQ(links_insert(&map, &keys[1], "new"), FA_ERROR_EXISTS);
    *links_find(&map, &keys[1]) = "new";
    EXPECT_STREQ(*links_find(&map, &keys[1]), "new");
    EXPECT_STREQ(*links_find(&map, &keys[2]), "old");
    EXPECT_TRUE(links_remove(&map, &keys[2]));
    EXPECT_FALSE(links_contains(&map, &keys[2]));
}

// As documented: so many bytes for each slot, a power of two of them.
TEST_P(MapTest, TakesTheMemoryThatIsDocumented) {
    for (size_t capacity : {1, 3, 7, 14, 64, 1000, 10000}) {
        const size_t before = fa_frame_bytes_in(frame_);
        numbers map = numbers_make_in(frame_, capacity);
        const size_t bytes = fa_frame_bytes_in(frame_) - before, slots = map.mask + 1;
        EXPECT_EQ(slots & map.mask, 0u);
        EXPECT_LE(slots, capacity < 7 ? capacity * 2 : (capacity * 16 + 6) / 7);
        if (GetParam() == 0 && !kAsan) {
            EXPECT_EQ(bytes, (slots * (sizeof(numbers_entry) + 1) + 15 + 15) / 16 * 16);
        }
    }
}

#endif
