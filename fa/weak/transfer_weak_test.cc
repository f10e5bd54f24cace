// The word of a transfer's slot (fa/internal/transfer.h): published once, claimed once, used again.
#include "fa/weak/checker.hpp"

#include "fa/internal/transfer.h"

namespace {

// One thread makes kCount transfers in one slot, one after the other, and hands their generations
// over in no order; the others try to receive what they see of them. Each is received at most once,
// whole, and what nobody received is still there.
template <int kThreads, int kCount, bool kDeparts>
struct Race : rl::test_suite<Race<kThreads, kCount, kDeparts>, kThreads> {
    static constexpr const char *kName = kDeparts ? "made, sent and received" : "made and received";
    static constexpr bool kIsFull = kThreads == 2 && kCount == 1;

    fai_transfer_word word;
    rl::var<int> payload;
    rl::atomic<uint64_t> handle;
    rl::atomic<int> received[kCount + 1];

    Race() {
        FAI_STORE_RELAXED(&word, uint64_t{0});
        FAI_STORE_RELAXED(&handle, uint64_t{0});
        for (rl::atomic<int> &count : received)
            FAI_STORE_RELAXED(&count, 0);
    }

    void thread(unsigned index) {
        if (index == 0) {
            for (int i = 0; i < kCount; i++) {
                uint64_t seen = fai_transfer_look(&word);
                if (!fai_transfer_is_free(seen))
                    return;
                uint64_t generation = FAI_TRANSFER_GENERATION(seen) + 1;
                FAI_WRITE(payload, int(generation));
                fai_transfer_publish(&word, generation);
                FAI_STORE_RELAXED(&handle, generation);
                if (kDeparts)
                    (void)fai_transfer_depart(&word, generation);
            }
            return;
        }
        for (int i = 0; i < kCount; i++) {
            uint64_t generation = FAI_LOAD_RELAXED(&handle), seen;
            if (generation == 0 || !fai_transfer_claim(&word, generation, &seen))
                continue;
            RL_ASSERT(FAI_READ(payload) == int(generation));
            RL_ASSERT(FAI_ADD_RELAXED(&received[generation], 1) == 0);
            fai_transfer_settle(&word, generation,
                                index == 1 ? FAI_TRANSFER_RECEIVED : FAI_TRANSFER_DROPPED);
        }
    }

    void after() {
        uint64_t last = fai_transfer_look(&word), generation = FAI_TRANSFER_GENERATION(last), seen;
        RL_ASSERT(generation >= 1);
        int before = FAI_LOAD_RELAXED(&received[generation]);
        bool claimed = fai_transfer_claim(&word, generation, &seen);
        RL_ASSERT(claimed == (before == 0));
        RL_ASSERT(!fai_transfer_claim(&word, generation, &seen));
        RL_ASSERT(!fai_transfer_claim(&word, generation - 1, &seen));
        RL_ASSERT(!fai_transfer_claim(&word, generation + 1, &seen));
    }
};

TEST(TransferWeak, HoldsInFull) {
    weak::HoldsInFull<Race<2, 1, true>, Race<2, 2, false>, Race<3, 1, false>, Race<3, 1, true>>();
}

TEST(TransferWeak, HoldsWithin) { weak::HoldsWithin<4, Race<3, 2, false>>(); }

TEST(TransferWeak, HoldsAtRandom) {
    weak::HoldsAtRandom<Race<3, 3, true>, Race<4, 2, true>, Race<3, 2, false>>(50000);
}

TEST(TransferWeak, EachOrderMatters) {
    weak::EachOrderMatters<Race<2, 1, true>, Race<3, 3, true>>({}, 5000);
}

} // namespace
