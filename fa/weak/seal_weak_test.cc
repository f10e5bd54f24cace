// The seal of the backends (fa/internal/seal.h): calls that go on while another thread closes it.
#include "fa/weak/checker.hpp"

#include "fa/internal/seal.h"

namespace {

// Threads that call the backend, kEach times each, and threads that seal it. After that has
// returned no call is made, and all that calls did is seen.
template <int kCallers, int kSealers, int kEach>
struct Calls : rl::test_suite<Calls<kCallers, kSealers, kEach>, kCallers + kSealers> {
    static constexpr const char *kName =
        kSealers == 1 ? "calls while it is sealed" : "calls while it is sealed twice";
    static constexpr bool kIsFull = kCallers + kSealers == 2;

    fai_seal_flag sealed;
    fai_seal_calls calls;
    rl::var<int> backend[kCallers]; // what the calls of a thread change
    int made[kCallers] = {};

    Calls() {
        FAI_STORE_RELAXED(&sealed, false);
        FAI_STORE_RELAXED(&calls, uint32_t{0});
        for (rl::var<int> &each : backend)
            FAI_WRITE(each, 0);
    }

    void thread(unsigned index) {
        if (index < kCallers) {
            for (int i = 0; i < kEach; i++) {
                if (!fai_seal_enter(&sealed, &calls))
                    continue;
                FAI_WRITE(backend[index], FAI_READ(backend[index]) + 1);
                made[index]++;
                fai_seal_leave(&calls);
            }
            return;
        }
        fai_seal_close(&sealed);
        while (!fai_seal_is_quiet(&calls))
            rl::yield(1, RL_INFO);
        for (int i = 0; i < kCallers; i++)
            RL_ASSERT(FAI_READ(backend[i]) == made[i]);
    }

    void after() {
        RL_ASSERT(fai_seal_is_quiet(&calls));
        RL_ASSERT(!fai_seal_enter(&sealed, &calls));
    }
};

TEST(SealWeak, HoldsInFull) {
    weak::HoldsInFull<Calls<1, 1, 1>, Calls<1, 1, 2>, Calls<2, 1, 1>, Calls<1, 2, 1>>();
}

TEST(SealWeak, HoldsWithin) { weak::HoldsWithin<4, Calls<2, 1, 2>>(); }

TEST(SealWeak, HoldsAtRandom) {
    weak::HoldsAtRandom<Calls<2, 1, 3>, Calls<2, 2, 2>, Calls<3, 1, 2>>(50000);
}

TEST(SealWeak, EachOrderMatters) { weak::EachOrderMatters<Calls<1, 1, 1>>({}, 0); }

} // namespace
