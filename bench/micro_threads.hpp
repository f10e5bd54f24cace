/* What two threads do together: objects handed over by value, and meeting at a barrier. */
#ifndef BENCH_MICRO_THREADS_HPP
#define BENCH_MICRO_THREADS_HPP

#include "bench/micro.hpp"

namespace bench {

/* What the sender has on its stack, and the receiver reads. */
struct Message {
    uint64_t word[8];
};

/* Policy: make(message) returns what goes through the queue, receive(that) gives the message back,
 * done(message) frees it. Through the same ring as freed blocks. */
template <class Courier> struct Handed {
    Courier courier;
    template <size_t> void *alloc() {
        Message message = {{1, 2, 3, 4, 5, 6, 7, 8}};
        keep(&message);
        return courier.make(message);
    }
    template <size_t> void free(void *ticket) {
        Message *message = courier.receive(ticket);
        keep(message);
        keep(reinterpret_cast<void *>(message->word[0] + message->word[7]));
        courier.done(message);
    }
};

template <class Courier> void register_transfer(Courier courier) {
    benchmark::RegisterBenchmark("transfer/64", CrossThread<Handed<Courier>, sizeof(Message)>::loop,
                                 Handed<Courier>{courier})
        ->UseRealTime();
}

/* Policy: Barrier(how it was registered), join(), wait(), leave(): each by both threads. */
template <class Barrier, class Argument>
void barrier_loop(benchmark::State &state, Argument argument) {
    Barrier barrier(argument);
    std::atomic<uint64_t> last{0}; /* round, counted from 1 */
    std::thread other([&] {
        barrier.join();
        for (uint64_t round = 1; round == 1 || round - 1 != last.load(std::memory_order_relaxed);
             round++)
            barrier.wait();
        barrier.leave();
    });
    uint64_t rounds = 0;
    barrier.join();
    for (auto _ : state) {
        barrier.wait();
        rounds++;
    }
    last.store(rounds + 1, std::memory_order_relaxed);
    barrier.wait();
    barrier.leave();
    other.join();
    set_operations(state, 1);
}

template <class Barrier, class Argument> void register_barrier(Argument argument) {
    benchmark::RegisterBenchmark("barrier/2", barrier_loop<Barrier, Argument>, argument)
        ->UseRealTime();
}

} // namespace bench

#endif
