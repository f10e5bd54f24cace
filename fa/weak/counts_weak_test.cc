// The counts of shared objects (fa/internal/counts.h): owners, weak references, the destructor and
// the end of the memory.
#include "fa/weak/checker.hpp"

#include "fa/internal/counts.h"

namespace {

// An object as fa/shared.c has it. memory stands for the block: read by whoever still has a
// reference, written by whoever frees it.
struct Object {
    fai_counts counts;
    rl::var<int> memory, content[3], destroyed;

    Object() {
        fai_counts_open(&counts);
        FAI_WRITE(memory, 1);
        for (rl::var<int> &each : content)
            FAI_WRITE(each, 0);
        FAI_WRITE(destroyed, 0);
    }

    void Free() {
        RL_ASSERT(FAI_READ(destroyed) == 1);
        FAI_WRITE(memory, FAI_READ(memory) - 1);
    }
    void Release() {
        RL_ASSERT(FAI_READ(memory) == 1);
        fai_counted counted = fai_counts_release(&counts);
        RL_ASSERT(counted <= FAI_COUNTED_LAST);
        if (counted != FAI_COUNTED_LAST)
            return;
        for (rl::var<int> &each : content) // the destructor sees all that owners did
            FAI_WRITE(each, FAI_READ(each) + 1);
        FAI_WRITE(destroyed, FAI_READ(destroyed) + 1);
        if (fai_counts_end(&counts) == FAI_COUNTED_LAST)
            Free();
    }
    bool Lock() {
        RL_ASSERT(FAI_READ(memory) == 1);
        return fai_counts_lock(&counts) == FAI_COUNTED;
    }
    void WeakRelease() {
        RL_ASSERT(FAI_READ(memory) == 1);
        fai_counted counted = fai_counts_weak_release(&counts);
        RL_ASSERT(counted <= FAI_COUNTED_LAST);
        if (counted == FAI_COUNTED_LAST)
            Free();
    }
    void ExpectGone() {
        RL_ASSERT(FAI_READ(destroyed) == 1);
        RL_ASSERT(FAI_READ(memory) == 0);
    }
};

// Each thread owns it, changes it, and lets go; one holds it once more meanwhile.
template <int kThreads> struct Owners : rl::test_suite<Owners<kThreads>, kThreads> {
    static constexpr const char *kName = "owners that let go";
    static constexpr bool kIsFull = kThreads == 2;
    Object object;

    Owners() {
        for (int i = 1; i < kThreads; i++)
            fai_counts_hold(&object.counts);
    }
    void thread(unsigned index) {
        FAI_WRITE(object.content[index], 1);
        if (index == 0) {
            RL_ASSERT(fai_counts_hold(&object.counts) == FAI_COUNTED);
            object.Release();
        }
        object.Release();
    }
    void after() {
        object.ExpectGone();
        for (int i = 0; i < kThreads; i++)
            RL_ASSERT(FAI_READ(object.content[i]) == 2);
    }
};

// Owners let go while others try to get it from weak references.
template <int kOwners, int kWeak>
struct Upgrade : rl::test_suite<Upgrade<kOwners, kWeak>, kOwners + kWeak> {
    static constexpr const char *kName = "locks while owners let go";
    static constexpr bool kIsFull = kOwners + kWeak == 2;
    Object object;

    Upgrade() {
        for (int i = 1; i < kOwners; i++)
            fai_counts_hold(&object.counts);
        for (int i = 0; i < kWeak; i++)
            fai_counts_weak_hold(&object.counts, true);
    }
    void thread(unsigned index) {
        if (int(index) < kOwners) {
            FAI_WRITE(object.content[index], 1);
            object.Release();
            return;
        }
        if (object.Lock()) {
            RL_ASSERT(FAI_READ(object.destroyed) == 0);
            object.Release();
        }
        object.WeakRelease();
    }
    void after() { object.ExpectGone(); }
};

// Each of three lets go of what it has: three owners, or one and two weak references.
template <bool kWeak> struct Three : rl::test_suite<Three<kWeak>, 3> {
    static constexpr const char *kName =
        kWeak ? "an owner and two weak references go" : "three owners go";
    static constexpr bool kIsFull = true;
    Object object;

    Three() {
        for (int i = 0; i < 2; i++)
            if (kWeak)
                fai_counts_weak_hold(&object.counts, true);
            else
                fai_counts_hold(&object.counts);
    }
    void thread(unsigned index) {
        if (kWeak && index != 0)
            return object.WeakRelease();
        FAI_WRITE(object.content[index], 1);
        object.Release();
    }
    void after() { object.ExpectGone(); }
};

// One owner is there all the time. Who finds no other one, and locks, sees what the other did.
struct Last : rl::test_suite<Last, 2> {
    static constexpr const char *kName = "a lock after a release";
    static constexpr bool kIsFull = true;
    Object object;

    Last() {
        fai_counts_hold(&object.counts);
        fai_counts_weak_hold(&object.counts, true);
    }
    void thread(unsigned index) {
        if (index == 0) {
            FAI_WRITE(object.content[0], 1);
            object.Release();
            return;
        }
        bool alone = fai_count_owners(FAI_LOAD_RELAXED(&object.counts.word)) == 1;
        RL_ASSERT(object.Lock());
        if (alone)
            RL_ASSERT(FAI_READ(object.content[0]) == 1);
        object.Release();
        object.WeakRelease();
    }
    void after() {
        object.Release();
        object.ExpectGone();
    }
};

// Weak references outlive the object, and come and go; one is made while the destructor runs.
struct Weak : rl::test_suite<Weak, 3> {
    static constexpr const char *kName = "weak references that come and go";
    static constexpr bool kIsFull = false;
    Object object;

    Weak() {
        fai_counts_weak_hold(&object.counts, true);
        fai_counts_weak_hold(&object.counts, true);
    }
    void thread(unsigned index) {
        if (index == 0) {
            object.Release();
            return;
        }
        RL_ASSERT(fai_counts_weak_hold(&object.counts, false) == FAI_COUNTED);
        object.WeakRelease();
        object.WeakRelease();
    }
    void after() { object.ExpectGone(); }
};

TEST(CountsWeak, HoldsInFull) {
    weak::HoldsInFull<Owners<2>, Upgrade<1, 1>, Last, Three<false>, Three<true>>();
}

TEST(CountsWeak, HoldsWithin) {
    weak::HoldsWithin<3, Owners<3>, Upgrade<2, 1>, Upgrade<1, 2>, Weak>();
}

TEST(CountsWeak, HoldsAtRandom) {
    weak::HoldsAtRandom<Owners<3>, Upgrade<2, 1>, Upgrade<1, 2>, Upgrade<2, 2>, Weak>(50000);
}

TEST(CountsWeak, EachOrderMatters) {
    weak::EachOrderMatters<Owners<2>, Upgrade<1, 1>, Last, Upgrade<2, 1>, Weak>({}, 5000);
}

} // namespace
