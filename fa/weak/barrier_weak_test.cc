// The word of a frame barrier (fa/internal/barrier.h): generations, sleeping and waking, members
// that come and go.
#include "fa/weak/checker.hpp"

#include "fa/internal/barrier.h"

namespace {

constexpr uint64_t kNever = ~uint64_t{0};

// Each thread does something, arrives, waits, and sees what all the others did: kRounds times.
template <int kThreads, int kRounds, bool kTimed>
struct Rounds : rl::test_suite<Rounds<kThreads, kRounds, kTimed>, kThreads> {
    static constexpr const char *kName = kTimed ? "rounds, with time-outs" : "rounds";
    static constexpr bool kIsFull = kThreads == 2 && kRounds == 1;

    weak::Kernel kernel;
    fai_barrier_word word;
    rl::var<int> done[kRounds][kThreads];

    Rounds() { FAI_STORE_RELAXED(&word, kThreads * FAI_BARRIER_ONE_MEMBER); }

    void thread(unsigned index) {
        for (int round = 0; round < kRounds; round++) {
            FAI_WRITE(done[round][index], round);
            bool is_last;
            uint64_t generation = fai_barrier_arrive(&word, &is_last);
            RL_ASSERT(generation == uint64_t(round));
            if (!is_last && !(kTimed && fai_barrier_sleep(&word, generation, true)))
                RL_ASSERT(fai_barrier_sleep(&word, generation, false));
            for (int other = 0; other < kThreads; other++)
                RL_ASSERT(FAI_READ(done[round][other]) == round);
        }
    }

    void after() {
        uint64_t last = FAI_LOAD_RELAXED(&word);
        RL_ASSERT(fai_barrier_generation(last) == kRounds && fai_barrier_arrived(last) == 0);
        RL_ASSERT((last & FAI_BARRIER_SLEEPS) == 0);
    }
};

// Nobody sleeps: each looks once whether the others are there, or one leaves before they are.
template <bool kLeaves> struct Look : rl::test_suite<Look<kLeaves>, 3> {
    static constexpr const char *kName =
        kLeaves ? "two arrive and look, and one leaves" : "arrive and look";
    static constexpr bool kIsFull = true;

    weak::Kernel kernel;
    fai_barrier_word word;
    rl::var<int> done[3];

    Look() { FAI_STORE_RELAXED(&word, 3 * FAI_BARRIER_ONE_MEMBER); }

    void thread(unsigned index) {
        FAI_WRITE(done[index], 1);
        if (kLeaves && index == 0)
            return fai_barrier_drop(&word, kNever);
        bool is_last;
        uint64_t generation = fai_barrier_arrive(&word, &is_last);
        RL_ASSERT(generation == 0);
        if (is_last || fai_barrier_is_over(&word, generation))
            for (rl::var<int> &each : done)
                RL_ASSERT(FAI_READ(each) == 1);
    }
    void after() {
        uint64_t last = FAI_LOAD_RELAXED(&word);
        RL_ASSERT(fai_barrier_generation(last) == 1 && fai_barrier_arrived(last) == 0);
    }
};

// One leaves, having arrived or not, and the others see what it did.
template <int kThreads, bool kArrives, bool kIsWrong>
struct LeaveAs : rl::test_suite<LeaveAs<kThreads, kArrives, kIsWrong>, kThreads> {
    static constexpr const char *kName = kIsWrong   ? "it says wrongly whether it had arrived"
                                         : kArrives ? "arrives and leaves"
                                                    : "leaves";
    static constexpr bool kIsFull = kThreads == 2;

    weak::Kernel kernel;
    fai_barrier_word word;
    rl::var<int> done[kThreads];

    LeaveAs() { FAI_STORE_RELAXED(&word, kThreads * FAI_BARRIER_ONE_MEMBER); }

    void thread(unsigned index) {
        FAI_WRITE(done[index], 1);
        bool is_last;
        if (index == 0) {
            uint64_t arrived_in = kNever;
            if (kArrives)
                arrived_in = fai_barrier_arrive(&word, &is_last);
            if (kIsWrong)
                arrived_in = kArrives ? kNever : 0;
            return fai_barrier_drop(&word, arrived_in);
        }
        uint64_t generation = fai_barrier_arrive(&word, &is_last);
        if (!is_last)
            RL_ASSERT(fai_barrier_sleep(&word, generation, false));
        for (int other = kArrives ? 1 : 0; other < kThreads; other++)
            RL_ASSERT(FAI_READ(done[other]) == 1);
    }

    void after() {
        uint64_t last = FAI_LOAD_RELAXED(&word);
        RL_ASSERT(fai_barrier_members(last) == kThreads - 1 && fai_barrier_arrived(last) == 0);
        RL_ASSERT(fai_barrier_generation(last) == 1);
    }
};

template <int kThreads, bool kArrives> struct Leave : LeaveAs<kThreads, kArrives, false> {
    using Wrong = LeaveAs<kThreads, kArrives, true>;
};

// One goes through a generation alone and leaves; another one joins before or after, and sees what
// was done in the generations before its own.
struct Join : rl::test_suite<Join, 2> {
    static constexpr const char *kName = "joins";
    static constexpr bool kIsFull = true;

    weak::Kernel kernel;
    fai_barrier_word word;
    rl::var<int> done;

    Join() { FAI_STORE_RELAXED(&word, FAI_BARRIER_ONE_MEMBER); }

    void thread(unsigned index) {
        bool is_last;
        if (index == 0) {
            FAI_WRITE(done, 1);
            uint64_t generation = fai_barrier_arrive(&word, &is_last);
            if (!is_last)
                RL_ASSERT(fai_barrier_sleep(&word, generation, false));
            return fai_barrier_drop(&word, kNever);
        }
        uint64_t generation = fai_barrier_add(&word, 1);
        if (generation > 0)
            RL_ASSERT(FAI_READ(done) == 1);
        uint64_t arrived_in = fai_barrier_arrive(&word, &is_last);
        RL_ASSERT(arrived_in == generation);
        if (!is_last)
            RL_ASSERT(fai_barrier_sleep(&word, generation, false));
        RL_ASSERT(FAI_READ(done) == 1);
    }
};

// Somebody closes the barrier: who waits goes away, asleep or not.
template <bool kIsWrong> struct CloseAs : rl::test_suite<CloseAs<kIsWrong>, 2> {
    static constexpr const char *kName = kIsWrong ? "it wakes nobody" : "closes";
    static constexpr bool kIsFull = true;

    weak::Kernel kernel;
    fai_barrier_word word;

    CloseAs() { FAI_STORE_RELAXED(&word, 2 * FAI_BARRIER_ONE_MEMBER); }

    void thread(unsigned index) {
        bool is_last;
        if (index == 1 && kIsWrong) {
            uint64_t seen = FAI_LOAD_RELAXED(&word);
            while (!FAI_CAS_RELAXED(&word, &seen, seen | FAI_BARRIER_CLOSED)) {
            }
            return;
        }
        if (index == 1)
            return fai_barrier_close(&word);
        uint64_t generation = fai_barrier_arrive(&word, &is_last);
        RL_ASSERT(!fai_barrier_sleep(&word, generation, false));
    }
};

struct Close : CloseAs<false> {
    using Wrong = CloseAs<true>;
};

// One comes out of a generation and destroys the barrier, while the other is still on its way: it
// waits until that needs its part of the barrier no more.
struct Gone : rl::test_suite<Gone, 2> {
    static constexpr const char *kName = "is destroyed by the first that comes out";
    static constexpr bool kIsFull = true;

    weak::Kernel kernel;
    fai_barrier_word word;
    fai_barrier_inside inside;
    rl::var<int> memory; // of the other member

    Gone() {
        FAI_STORE_RELAXED(&word, 2 * FAI_BARRIER_ONE_MEMBER);
        FAI_STORE_RELAXED(&inside, 0u);
        FAI_WRITE(memory, 0);
    }

    void thread(unsigned index) {
        bool is_last;
        if (index == 0) { // as signal_as and wait_as do
            fai_barrier_enter(&inside);
            uint64_t generation = fai_barrier_arrive(&word, &is_last);
            FAI_WRITE(memory, 1);
            if (!is_last)
                RL_ASSERT(fai_barrier_sleep(&word, generation, false));
            FAI_WRITE(memory, 2);
            fai_barrier_exit(&inside);
            return;
        }
        uint64_t generation = fai_barrier_arrive(&word, &is_last);
        if (!is_last)
            RL_ASSERT(fai_barrier_sleep(&word, generation, false));
        for (int i = 0; fai_barrier_is_inside(&inside); i++)
            if (i == 1) // enough to see what may go wrong
                return;
        FAI_WRITE(memory, 3);
    }
};

TEST(BarrierWeak, HoldsInFull) {
    weak::HoldsInFull<Close, Join, Gone, Rounds<2, 1, false>, Leave<2, false>, Leave<2, true>,
                      Rounds<2, 1, true>, Look<false>, Look<true>>();
}

TEST(BarrierWeak, HoldsWithin) {
    weak::HoldsWithin<3, Rounds<3, 1, false>, Leave<3, false>, Leave<3, true>>();
    // At each step of another thread the time may be over: that alone makes many.
    weak::HoldsWithin<1, Rounds<3, 1, true>>();
}

TEST(BarrierWeak, HoldsAtRandom) {
    weak::HoldsAtRandom<Rounds<2, 3, true>, Rounds<3, 2, false>, Rounds<3, 2, true>,
                        Rounds<4, 2, false>, Leave<3, false>, Leave<3, true>>(50000);
}

TEST(BarrierWeak, EachOrderMatters) {
    weak::EachOrderMatters<Rounds<2, 1, false>, Leave<2, false>, Leave<2, true>, Join, Close, Gone>(
        {}, 0);
}

} // namespace
