// The queue of objects that other threads free (fa/internal/queue.h): push, take, close, and what a
// late push falls back to.
#include "fa/weak/checker.hpp"

#include "fa/internal/queue.h"

namespace {

struct Block : weak::Object {
    rl::var<int> content; // what the freeing thread did last, and the owner does next
};

// Pushers free one block each, or two, while the owner takes, and perhaps closes. Each block comes
// back exactly once: to the owner, or to its pusher, who puts it down under the lock.
template <int kThreads, int kEach, bool kCloses, bool kChains = false>
struct Free : rl::test_suite<Free<kThreads, kEach, kCloses, kChains>, kThreads> {
    static constexpr const char *kName = kChains
                                             ? "pushes of chains while the owner takes and closes"
                                         : kCloses ? "pushes while the owner takes and closes"
                                                   : "pushes while the owner takes";
    static constexpr bool kIsFull = (kThreads - 1) * kEach <= 2;
    static constexpr int kBlocks = (kThreads - 1) * kEach;

    fai_queue queue;
    weak::Lock lock;
    Block block[kBlocks];
    rl::var<int> back[kBlocks];

    Free() {
        for (int i = 0; i < kBlocks; i++)
            FAI_WRITE(back[i], 0);
        fai_queue_open(&queue);
    }

    // The owner uses the block for something else. Reads the link first, as the library does.
    void Accept(void *list) {
        for (void *next; list != nullptr; list = next) {
            next = fai_link_read(list);
            Block *own = static_cast<Block *>(static_cast<weak::Object *>(list));
            fai_link_write(own, nullptr);
            int i = FAI_READ(own->content);
            FAI_WRITE(own->content, -1);
            FAI_WRITE(back[i], FAI_READ(back[i]) + 1);
        }
    }

    void PutDown(int first, int last) {
        RL_ASSERT(kCloses);
        lock.Take();
        for (int i = first; i <= last; i++)
            FAI_WRITE(back[i], FAI_READ(back[i]) + 1);
        lock.Give();
    }

    void thread(unsigned index) {
        if (index == 0) {
            if (!fai_queue_is_empty(&queue))
                Accept(fai_queue_take(&queue));
            lock.Take();
            Accept(kCloses ? fai_queue_close(&queue) : fai_queue_take(&queue));
            lock.Give();
            return;
        }
        int first = (int(index) - 1) * kEach, last = first + kEach - 1;
        if (kChains) {
            for (int i = first; i <= last; i++) {
                FAI_WRITE(block[i].content, i);
                if (i < last)
                    fai_link_write(&block[i], static_cast<weak::Object *>(&block[i + 1]));
            }
            if (!fai_queue_push_chain(&queue, &block[first], &block[last]))
                PutDown(first, last);
            return;
        }
        for (int i = first; i <= last; i++) {
            FAI_WRITE(block[i].content, i);
            if (fai_queue_push(&queue, &block[i]))
                continue;
            PutDown(i, i);
        }
    }

    void after() {
        if (!kCloses)
            Accept(fai_queue_take(&queue));
        for (int i = 0; i < kBlocks; i++)
            RL_ASSERT(FAI_READ(back[i]) == 1);
    }
};

// The owner puts the block back into the queue's hands: the same address is pushed again between
// another thread's look at the list and its swap.
struct Again : rl::test_suite<Again, 3> {
    static constexpr const char *kName = "the same address again";
    static constexpr bool kIsFull = false;

    fai_queue queue;
    Block block[2];
    rl::atomic<int> is_free; // the first block
    rl::var<int> seen;

    Again() {
        fai_queue_open(&queue);
        FAI_STORE_RELAXED(&is_free, 0);
    }

    int Count(void *list) {
        int count = 0;
        for (; list != nullptr; list = fai_link_read(list))
            count++;
        return count;
    }

    void thread(unsigned index) {
        if (index == 0) {
            int count = 0;
            for (int i = 0; i < 2; i++) {
                void *list = fai_queue_take(&queue);
                count += Count(list);
                if (list == &block[0] && fai_link_read(list) == nullptr)
                    is_free.store(1, rl::mo_release, RL_INFO);
            }
            FAI_WRITE(seen, count);
        } else if (index == 1) {
            fai_queue_push(&queue, &block[0]);
            if (is_free.load(rl::mo_acquire, RL_INFO))
                fai_queue_push(&queue, &block[0]);
        } else {
            fai_queue_push(&queue, &block[1]);
        }
    }

    void after() {
        int count = FAI_READ(seen) + Count(fai_queue_take(&queue));
        RL_ASSERT(count == 2 || count == 3);
    }
};

TEST(QueueWeak, HoldsInFull) {
    weak::HoldsInFull<Free<2, 2, true>, Free<2, 2, false>, Free<3, 1, true>, Free<3, 1, false>,
                      Free<2, 2, true, true>, Free<2, 2, false, true>>();
}

TEST(QueueWeak, HoldsWithin) {
    weak::HoldsWithin<3, Free<3, 2, true>, Free<3, 2, true, true>, Again>();
}

TEST(QueueWeak, HoldsAtRandom) {
    weak::HoldsAtRandom<Free<3, 2, true>, Free<3, 2, false>, Free<4, 1, true>,
                        Free<3, 2, true, true>, Free<3, 2, false, true>, Again>(100000);
}

TEST(QueueWeak, EachOrderMatters) {
    weak::EachOrderMatters<Free<2, 1, true>, Free<2, 1, false>, Free<2, 2, true, true>>({}, 0);
}

} // namespace
