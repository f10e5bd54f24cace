// The word of a listener (fa/internal/listener.h): opened, called by many, closed, opened again.
#include "fa/weak/checker.hpp"

#include "fa/internal/listener.h"

namespace {

// One thread opens and closes the listener a few times, and uses what stood there when nobody is
// inside any more; the others call it whenever they can.
template <int kThreads, int kTimes>
struct Calls : rl::test_suite<Calls<kThreads, kTimes>, kThreads> {
    static constexpr const char *kName = "opened, called and closed";
    static constexpr bool kIsFull = kThreads == 2 && kTimes == 1;

    fai_listener_word word;
    rl::var<int> config, result[kThreads];

    Calls() { FAI_STORE_RELAXED(&word, uint64_t{0}); }

    void thread(unsigned index) {
        if (index != 0) {
            for (int i = 0; i < kTimes; i++) {
                if (!fai_listener_enter(&word))
                    continue;
                FAI_WRITE(result[index], FAI_READ(config));
                fai_listener_leave(&word);
            }
            return;
        }
        for (int i = 0; i < kTimes; i++) {
            if (!fai_listener_is_free(&word))
                return;
            FAI_WRITE(config, i); // nobody looks at what stood there before
            uint64_t generation = fai_listener_open(&word);
            RL_ASSERT(!fai_listener_close(&word, generation + 1));
            RL_ASSERT(fai_listener_close(&word, generation));
            RL_ASSERT(!fai_listener_close(&word, generation));
            if (fai_listener_is_busy(&word, generation))
                continue;
            for (unsigned n = 1; n < kThreads; n++) // all that callbacks did is seen
                FAI_WRITE(result[n], -1);
        }
    }
};

// It is open, and one closes it while one leaves, and one enters.
struct Shut : rl::test_suite<Shut, 3> {
    static constexpr const char *kName = "closed while one leaves, and one enters";
    static constexpr bool kIsFull = true;

    fai_listener_word word;
    rl::var<int> config;
    uint64_t generation;
    bool is_inside = false;

    Shut() {
        FAI_STORE_RELAXED(&word, uint64_t{0});
        FAI_WRITE(config, 1);
        generation = fai_listener_open(&word);
        RL_ASSERT(fai_listener_enter(&word));
    }
    void thread(unsigned index) {
        if (index == 0) {
            RL_ASSERT(fai_listener_close(&word, generation));
            if (!fai_listener_is_busy(&word, generation))
                FAI_WRITE(config, 2); // it is somebody else's
        } else if (index == 1) {
            RL_ASSERT(FAI_READ(config) == 1);
            fai_listener_leave(&word);
        } else if ((is_inside = fai_listener_enter(&word))) {
            RL_ASSERT(FAI_READ(config) == 1);
        }
    }
    void after() {
        RL_ASSERT(fai_listener_is_busy(&word, generation) == is_inside);
        if (is_inside)
            fai_listener_leave(&word);
        RL_ASSERT(fai_listener_is_free(&word));
    }
};

// One opens it while two would call it.
struct Open : rl::test_suite<Open, 3> {
    static constexpr const char *kName = "opened while two call it";
    static constexpr bool kIsFull = true;

    fai_listener_word word;
    rl::var<int> config;

    Open() { FAI_STORE_RELAXED(&word, uint64_t{0}); }
    void thread(unsigned index) {
        if (index == 0) {
            FAI_WRITE(config, 1);
            (void)fai_listener_open(&word);
        } else if (fai_listener_enter(&word)) {
            RL_ASSERT(FAI_READ(config) == 1);
            fai_listener_leave(&word);
        }
    }
    void after() { RL_ASSERT(FAI_LISTENER_CALLS(FAI_LOAD_RELAXED(&word)) == 0); }
};

TEST(ListenerWeak, HoldsInFull) { weak::HoldsInFull<Calls<2, 1>, Shut, Open>(); }

TEST(ListenerWeak, HoldsWithin) { weak::HoldsWithin<4, Calls<3, 1>>(); }

TEST(ListenerWeak, HoldsAtRandom) { weak::HoldsAtRandom<Calls<3, 3>, Calls<4, 2>>(50000); }

TEST(ListenerWeak, EachOrderMatters) {
    weak::EachOrderMatters<Calls<2, 1>, Calls<2, 2>, Calls<3, 3>>({}, 5000);
}

} // namespace
