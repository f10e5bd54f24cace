// The latch of a task (fa/internal/latch.h): whoever has it sees what was done under it before.
#include "fa/weak/checker.hpp"

#include "fa/internal/latch.h"

// Where the library looks again and sleeps, the scheduler lets others go on.
void fai_latch_wait(fai_latch *latch) {
    while (!fai_latch_try(latch))
        rl::yield(1, RL_INFO);
}

namespace {

struct Counter {
    fai_latch latch;
    rl::var<int> value;

    Counter() {
        FAI_STORE_RELAXED(&latch.held, uint32_t{0});
        FAI_WRITE(value, 0);
    }
    void Add() { FAI_WRITE(value, FAI_READ(value) + 1); }
};

// Each adds one where it finds the latch free.
template <int kThreads> struct Tries : rl::test_suite<Tries<kThreads>, kThreads> {
    static constexpr const char *kName = "who finds it free";
    static constexpr bool kIsFull = true;
    Counter counter;
    int added[kThreads] = {};

    void thread(unsigned index) {
        if (!fai_latch_try(&counter.latch))
            return;
        counter.Add();
        added[index]++;
        fai_latch_unlock(&counter.latch);
    }
    void after() {
        int sum = 0;
        for (int each : added)
            sum += each;
        RL_ASSERT(FAI_READ(counter.value) == sum);
    }
};

// Each waits for it, twice.
template <int kThreads> struct Waits : rl::test_suite<Waits<kThreads>, kThreads> {
    static constexpr const char *kName = "who waits for it";
    static constexpr bool kIsFull = false;
    Counter counter;

    void thread(unsigned) {
        for (int i = 0; i < 2; i++) {
            fai_latch_lock(&counter.latch);
            counter.Add();
            fai_latch_unlock(&counter.latch);
        }
    }
    void after() { RL_ASSERT(FAI_READ(counter.value) == 2 * kThreads); }
};

} // namespace

TEST(LatchWeak, HoldsInFull) { weak::HoldsInFull<Tries<2>, Tries<3>>(); }

TEST(LatchWeak, HoldsAtRandom) { weak::HoldsAtRandom<Waits<2>, Waits<3>, Waits<4>>(2000); }

TEST(LatchWeak, EachOrderMatters) { weak::EachOrderMatters<Tries<2>>({}, 1000); }
