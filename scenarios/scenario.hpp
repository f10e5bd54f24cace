/* What all scenarios share. A scenario is a class template over a Memory (memory.hpp):
 *
 *   template <class M> class Scenario {
 *     public:
 *       static const ScenarioInfo &info();
 *       Scenario(M &memory, const ScenarioSetup &setup); // set-up; throws std::runtime_error
 *       void frame();                // one frame, from frame_begin to frame_end
 *       uint64_t checksum() const;   // of all frames so far; does not depend on M
 *       std::string data_note() const;
 *       uint64_t alloc_count() const; // allocations (growths included) so far, set-up included
 *   };
 *
 * Everything is deterministic: own random numbers with fixed seeds, no clock, no address in any
 * decision or checksum. What a scenario keeps for itself in std::vector is reserved at set-up: in a
 * frame all memory comes from M. The Memory outlives the scenario. */
#ifndef FA_SCENARIOS_SCENARIO_HPP
#define FA_SCENARIOS_SCENARIO_HPP

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "scenarios/memory.hpp"

namespace scenarios {

struct ScenarioSetup {
    bool smoke = false;   /* the small size, for tests */
    int size = 0;         /* 0: size_smoke or size_bench of the scenario */
    std::string data_dir; /* "": where the package endless-sky-data lies; "none": generated data */
};

struct ScenarioInfo {
    const char *name;
    const char *story;      /* one line */
    const char *unit;       /* what size counts */
    std::vector<int> sizes; /* worth measuring */
    int size_smoke;
    int size_bench;
};

/* The size that a set-up asks for. Throws std::runtime_error outside of 1 to size_max. */
inline int scenario_size(const ScenarioInfo &info, const ScenarioSetup &setup, int size_max) {
    int size = setup.size != 0 ? setup.size : setup.smoke ? info.size_smoke : info.size_bench;
    if (size < 1 || size > size_max)
        throw std::runtime_error(std::string(info.name) + ": " + std::to_string(size) + " " +
                                 info.unit + ", but 1 to " + std::to_string(size_max) +
                                 " are possible");
    return size;
}

/* splitmix64 (public domain, S. Vigna): equal numbers on every platform. */
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    uint32_t below(uint32_t limit) { return static_cast<uint32_t>((next() >> 32) * limit >> 32); }
    /* In [0, 1). */
    float unit() { return static_cast<float>(next() >> 40) * 0x1p-24f; }
    /* In [-1, 1). */
    float signed_unit() { return unit() * 2.0f - 1.0f; }

  private:
    uint64_t state_;
};

/* Order matters; every bit of every value does. */
class Checksum {
  public:
    void add(uint64_t value) {
        value_ = (value_ ^ value) * 0x100000001B3u;
        value_ ^= value_ >> 29;
    }
    template <class T> void add_bits(T number) {
        static_assert(std::is_floating_point_v<T> && sizeof(T) <= sizeof(uint64_t));
        uint64_t bits = 0;
        std::memcpy(&bits, &number, sizeof number);
        add(bits);
    }
    uint64_t value() const { return value_; }

  private:
    uint64_t value_ = 0xCBF29CE484222325u;
};

/* A Memory as scenarios use it: counts, and throws where M has no memory. */
template <class M> class Counted {
  public:
    explicit Counted(M &memory) : memory_(memory) {}
    void frame_begin() { memory_.frame_begin(); }
    void frame_end() { memory_.frame_end(); }
    void *frame_alloc(size_t size) { return counted(memory_.frame_alloc(size), size); }
    void *frame_grow(void *block, size_t size_old, size_t size_new) {
        return counted(memory_.frame_grow(block, size_old, size_new), size_new);
    }
    void frame_free(void *block, size_t size) { memory_.frame_free(block, size); }
    void scope_begin() { memory_.scope_begin(); }
    void scope_end() { memory_.scope_end(); }
    void *pool_alloc(size_t size) { return counted(memory_.pool_alloc(size), size); }
    void pool_free(void *block, size_t size) { memory_.pool_free(block, size); }
    void *heap_alloc(size_t size) { return counted(memory_.heap_alloc(size), size); }
    void heap_free(void *block, size_t size) { memory_.heap_free(block, size); }
    uint64_t count() const { return count_; }

    /* For what a scenario has M do beside the calls above: M itself, and the result of an
     * allocation. */
    M &memory() { return memory_; }
    void *counted(void *block, size_t size) {
        ++count_;
        if (__builtin_expect(block == nullptr, 0))
            refuse(size);
        return block;
    }

  private:
    [[noreturn, gnu::cold, gnu::noinline]] static void refuse(size_t size) {
        throw std::runtime_error(std::string(M::kName) + " has no memory for a block of " +
                                 std::to_string(size) + " bytes");
    }
    M &memory_;
    uint64_t count_ = 0;
};

/* A growing array in frame memory: what std::vector would be in a program on malloc. Whoever fills
 * it calls release at the end of its use, which is the end of the frame at the latest. */
template <class M, class T> class FrameArray {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 16);

  public:
    /* Nothing is allocated before the first push. */
    void start(uint32_t capacity_first) {
        items_ = nullptr;
        count_ = capacity_ = 0;
        capacity_first_ = capacity_first;
    }
    void push(Counted<M> &memory, const T &item) {
        if (count_ == capacity_)
            grow(memory);
        items_[count_++] = item;
    }
    void release(Counted<M> &memory) {
        if (items_)
            memory.frame_free(items_, capacity_ * sizeof(T));
        items_ = nullptr;
        count_ = capacity_ = 0;
    }
    uint32_t size() const { return count_; }
    T &operator[](uint32_t index) { return items_[index]; }
    const T &operator[](uint32_t index) const { return items_[index]; }
    T *begin() { return items_; }
    T *end() { return items_ + count_; }

  private:
    [[gnu::noinline]] void grow(Counted<M> &memory) {
        uint32_t capacity = capacity_ ? capacity_ * 2 : capacity_first_;
        items_ = static_cast<T *>(
            memory.frame_grow(items_, capacity_ * sizeof(T), capacity * sizeof(T)));
        capacity_ = capacity;
    }
    T *items_;
    uint32_t count_, capacity_, capacity_first_;
};

} // namespace scenarios

#endif
