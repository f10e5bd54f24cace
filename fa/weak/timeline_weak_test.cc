// What timelines share without a lock (fa/internal/timeline.h): the counter, the references, the
// gate to a counter elsewhere.
#include "fa/weak/checker.hpp"

#include "fa/internal/timeline.h"

namespace {

// Devices read frames, one after the other, and say so on one timeline; the thread that the frames
// are of writes to one as soon as it is due. The last device is done last.
template <int kDevices> struct Reuse : rl::test_suite<Reuse<kDevices>, kDevices + 1> {
    static constexpr const char *kName = "reuse";
    static constexpr bool kIsFull = kDevices == 1;

    fai_timeline_word counter;
    rl::var<int> memory[kDevices];

    Reuse() {
        FAI_STORE_RELAXED(&counter, 0);
        for (rl::var<int> &one : memory)
            FAI_WRITE(one, 1);
    }

    void thread(unsigned index) {
        if (index < kDevices) {
            // In order, as a counter asks for: each waits for the one before it.
            for (int i = 0; fai_timeline_read(&counter) < index; i++)
                if (i == 3)
                    return;
            RL_ASSERT(FAI_READ(memory[index]) == 1);
            RL_ASSERT(fai_timeline_raise(&counter, index + 1));
            return;
        }
        uint64_t reached = fai_timeline_read(&counter);
        for (unsigned frame = 0; frame < reached; frame++)
            FAI_WRITE(memory[frame], 2);
    }
};

// Two that advance it on their own, to values of their own: whoever sees the later one has seen
// what came before both, if both succeeded.
struct Two : rl::test_suite<Two, 3> {
    static constexpr const char *kName = "two advance";
    static constexpr bool kIsFull = true;

    fai_timeline_word counter;
    rl::var<int> memory[2];
    rl::atomic<int> refused;

    Two() {
        FAI_STORE_RELAXED(&counter, 0);
        refused.store(0, rl::mo_relaxed, RL_INFO);
        for (rl::var<int> &one : memory)
            FAI_WRITE(one, 1);
    }

    void thread(unsigned index) {
        if (index == 0) {
            RL_ASSERT(FAI_READ(memory[0]) == 1);
            if (!fai_timeline_raise(&counter, 1)) // backwards: misuse, and it is told so
                refused.store(1, rl::mo_relaxed, RL_INFO);
        } else if (index == 1) {
            if (fai_timeline_read(&counter) != 1)
                return;
            RL_ASSERT(FAI_READ(memory[1]) == 1);
            RL_ASSERT(fai_timeline_raise(&counter, 2));
        } else {
            uint64_t reached = fai_timeline_read(&counter);
            if (reached >= 1)
                FAI_WRITE(memory[0], 2);
            if (reached == 2)
                FAI_WRITE(memory[1], 2);
        }
    }
    void after() { RL_ASSERT(refused.load(rl::mo_relaxed, RL_INFO) == 0); }
};

// Each drops a reference after its last use; the last one frees.
template <int kThreads> struct References : rl::test_suite<References<kThreads>, kThreads> {
    static constexpr const char *kName = "references";
    static constexpr bool kIsFull = kThreads == 2;

    fai_timeline_word references;
    rl::var<int> used[kThreads];
    rl::var<int> freed;

    References() {
        FAI_STORE_RELAXED(&references, 1);
        for (int i = 1; i < kThreads; i++)
            fai_timeline_hold(&references);
        FAI_WRITE(freed, 0);
    }

    void thread(unsigned index) {
        FAI_WRITE(used[index], 1);
        if (!fai_timeline_drop(&references))
            return;
        FAI_WRITE(freed, FAI_READ(freed) + 1);
        for (rl::var<int> &one : used)
            FAI_WRITE(one, 2);
    }
    void after() {
        RL_ASSERT(FAI_READ(freed) == 1);
        RL_ASSERT(fai_timeline_references(FAI_LOAD_RELAXED(&references)) == 0);
    }
};

// Readers of a counter elsewhere, and who takes it away once they are out. A reader that comes too
// late sees what came before the end.
template <int kReaders> struct Gate : rl::test_suite<Gate<kReaders>, kReaders + 1> {
    static constexpr const char *kName = "gate";
    static constexpr bool kIsFull = kReaders == 1;

    fai_timeline_word gate;
    rl::var<int> elsewhere, end_seen;

    Gate() {
        FAI_STORE_RELAXED(&gate, 0);
        FAI_WRITE(elsewhere, 1);
        FAI_WRITE(end_seen, 0);
    }

    void thread(unsigned index) {
        if (index < kReaders) {
            if (!fai_timeline_enter(&gate)) {
                RL_ASSERT(FAI_READ(end_seen) == 1);
                return;
            }
            RL_ASSERT(FAI_READ(elsewhere) == 1);
            fai_timeline_leave(&gate);
            return;
        }
        FAI_WRITE(end_seen, 1);
        fai_timeline_close(&gate);
        while (!fai_timeline_is_empty(&gate))
            rl::yield(1, RL_INFO);
        FAI_WRITE(elsewhere, 2);
    }
    void after() { RL_ASSERT(fai_timeline_is_empty(&gate)); }
};

// One leaves, one comes in or is refused, while one closes it and looks once whether they are out.
struct Shut : rl::test_suite<Shut, 3> {
    static constexpr const char *kName = "a gate that is closed while one leaves, and one enters";
    static constexpr bool kIsFull = true;

    fai_timeline_word gate;
    rl::var<int> elsewhere, end_seen;
    bool is_inside = false;

    Shut() {
        FAI_STORE_RELAXED(&gate, 0);
        FAI_WRITE(elsewhere, 1);
        FAI_WRITE(end_seen, 0);
        RL_ASSERT(fai_timeline_enter(&gate));
    }
    void thread(unsigned index) {
        if (index == 0) {
            FAI_WRITE(end_seen, 1);
            fai_timeline_close(&gate);
            if (fai_timeline_is_empty(&gate))
                FAI_WRITE(elsewhere, 2);
        } else if (index == 1) {
            RL_ASSERT(FAI_READ(elsewhere) == 1);
            fai_timeline_leave(&gate);
        } else {
            is_inside = fai_timeline_enter(&gate);
            RL_ASSERT(is_inside ? FAI_READ(elsewhere) == 1 : FAI_READ(end_seen) == 1);
        }
    }
    void after() {
        RL_ASSERT(fai_timeline_is_empty(&gate) == !is_inside);
        if (is_inside)
            fai_timeline_leave(&gate);
        RL_ASSERT(fai_timeline_is_empty(&gate));
    }
};

// Those inside begin to wait and go on, while one closes the gate, who leaves it to them when all
// wait: one of them all takes it away, and has seen what the others did.
template <int kReaders> struct Left : rl::test_suite<Left<kReaders>, kReaders + 1> {
    static constexpr const char *kName = "a gate that is left to those who wait inside";
    static constexpr bool kIsFull = kReaders == 1;

    fai_timeline_word gate;
    rl::var<int> done[kReaders + 1], gone;

    Left() {
        FAI_STORE_RELAXED(&gate, 0);
        for (auto &each : done)
            FAI_WRITE(each, 0);
        FAI_WRITE(gone, 0);
        for (int i = 0; i < kReaders; i++)
            RL_ASSERT(fai_timeline_enter(&gate));
    }
    void TakeAway() {
        for (auto &each : done)
            RL_ASSERT(FAI_READ(each) == 1);
        FAI_WRITE(gone, FAI_READ(gone) + 1);
    }
    void thread(unsigned index) {
        if (index < kReaders) {
            fai_timeline_wait(&gate, true);
            fai_timeline_wait(&gate, false);
            FAI_WRITE(done[index], 1);
            if (fai_timeline_is_last(fai_timeline_leave(&gate)))
                TakeAway();
            return;
        }
        FAI_WRITE(done[index], 1);
        fai_timeline_close(&gate);
        bool is_empty;
        while (!(is_empty = fai_timeline_is_empty(&gate)) && !fai_timeline_leave_to_others(&gate))
            rl::yield(1, RL_INFO);
        if (is_empty)
            TakeAway();
    }
    void after() { RL_ASSERT(FAI_READ(gone) == 1); }
};

TEST(TimelineWeak, HoldsInFull) {
    weak::HoldsInFull<Reuse<1>, Two, References<2>, Gate<1>, Reuse<2>, References<3>, Shut,
                      Left<1>>();
}

TEST(TimelineWeak, HoldsWithin) { weak::HoldsWithin<3, Gate<2>, Reuse<3>, Left<2>>(); }

TEST(TimelineWeak, HoldsAtRandom) {
    weak::HoldsAtRandom<Reuse<2>, Reuse<3>, References<3>, References<4>, Gate<2>, Gate<3>,
                        Left<2>>(50000);
}

TEST(TimelineWeak, EachOrderMatters) {
    weak::EachOrderMatters<Reuse<1>, Two, References<2>, Gate<1>, Left<1>>({}, 0);
}

} // namespace
