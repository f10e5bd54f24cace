#include "fa/testing.hpp"

#include <set>
#include <string>

using namespace fa_testing;

TEST(Hash, OfBytesDependsOnEachBitAndOnTheLength) {
    for (size_t size = 0; size <= 70; size++) {
        std::string bytes(size, 'x');
        const uint64_t hash = fa_hash_bytes(bytes.data(), size);
        std::set<uint64_t> seen = {hash};
        for (size_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
            EXPECT_TRUE(seen.insert(fa_hash_bytes(bytes.data(), size)).second)
                << size << " " << bit;
            bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
        }
        EXPECT_TRUE(seen.insert(fa_hash_bytes((bytes + "x").data(), size + 1)).second);
        EXPECT_EQ(fa_hash_bytes(bytes.data(), size), hash);
    }
    std::set<uint64_t> zeros;
    for (size_t size = 0; size <= 70; size++)
        EXPECT_TRUE(zeros.insert(fa_hash_bytes(std::string(size, '\0').data(), size)).second);
    EXPECT_EQ(fa_hash_bytes(nullptr, 0), fa_hash_bytes("", 0));
}

TEST(Hash, OfEqualTextsIsEqualWhereverTheyLie) {
    char buffer[200];
    for (size_t size = 0; size < 60; size++) {
        std::string text(size, 'a');
        for (size_t i = 0; i < size; i++)
            text[i] = static_cast<char>('a' + i * 7 % 26);
        for (size_t offset = 0; offset < 9; offset++) {
            memcpy(buffer + offset, text.c_str(), size + 1);
            EXPECT_EQ(fa_hash_string(buffer + offset), fa_hash_string(text.c_str()));
            EXPECT_EQ(fa_hash_str(fa_str_of(buffer + offset)), fa_hash_string(text.c_str()));
            EXPECT_TRUE(fa_equal_str(fa_str_of(buffer + offset), fa_str_of(text.c_str())));
            EXPECT_TRUE(fa_equal_string(buffer + offset, text.c_str()));
        }
    }
}

TEST(Hash, EqualBytesSeesEachDifference) {
    for (size_t size = 0; size <= 40; size++) {
        const std::string bytes(size, 'x');
        std::string other = bytes;
        EXPECT_TRUE(fa_equal_bytes(bytes.data(), other.data(), size));
        for (size_t i = 0; i < size; i++) {
            other[i] = 'y';
            EXPECT_FALSE(fa_equal_bytes(bytes.data(), other.data(), size)) << size << " " << i;
            other[i] = 'x';
        }
    }
    EXPECT_TRUE(fa_equal_bytes(nullptr, nullptr, 0));
    EXPECT_FALSE(fa_equal_str(fa_str_of("ab"), fa_str_of("abc")));
    EXPECT_TRUE(fa_equal_str(fa_str{}, fa_str_of(nullptr)));
    EXPECT_EQ(fa_str_of(nullptr).length, 0u);
}

// About half of the bits change with any bit of the number, on average over many.
TEST(Hash, MixesEveryBitIntoEveryBit) {
    Random random;
    for (int bit = 0; bit < 64; bit++) {
        size_t changed = 0, pair_changed = 0;
        for (int i = 0; i < 200; i++) {
            const uint64_t number = random.Below(SIZE_MAX), other = number ^ uint64_t { 1 } << bit;
            changed +=
                static_cast<size_t>(__builtin_popcountll(fa_hash_mix(number) ^ fa_hash_mix(other)));
            pair_changed += static_cast<size_t>(
                __builtin_popcountll(fa_hash_pair(3, number) ^ fa_hash_pair(3, other)));
        }
        EXPECT_GT(changed, 200u * 24) << bit;
        EXPECT_LT(changed, 200u * 40) << bit;
        EXPECT_GT(pair_changed, 200u * 24) << bit;
        EXPECT_LT(pair_changed, 200u * 40) << bit;
    }
    EXPECT_NE(fa_hash_pair(1, 2), fa_hash_pair(2, 1));
    EXPECT_EQ(fa_hash_u64(5), 5u);
    EXPECT_EQ(fa_hash_u32(5), 5u);
    EXPECT_EQ(fa_hash_pointer(&random), reinterpret_cast<uintptr_t>(&random));
}
