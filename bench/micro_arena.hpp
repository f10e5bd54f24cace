/* Arenas that belong to no thread: 1,000 blocks, all written, then all of them dead. A policy
 * object has begin(), alloc<Size>(), end(); that of a shared one also rest(), called by one thread
 * while all are out, after so many rounds. */
#ifndef BENCH_MICRO_ARENA_HPP
#define BENCH_MICRO_ARENA_HPP

#include "bench/micro.hpp"

#include <cstdlib>

namespace bench {

constexpr size_t kArenaBlocks = 1000;
constexpr size_t kArenaRounds = 64; /* of each thread between two rests */

/* Returns false without memory. */
template <class Arena> bool fill_arena(Arena &arena) {
    for (size_t i = 0; i < kArenaBlocks; i++) {
        void *block = arena.template alloc<64>();
        if (block == nullptr)
            return false;
        memset(block, 1, 64);
        keep(block);
    }
    return true;
}

template <class Arena> void arena_loop(benchmark::State &state, Arena arena) {
    for (auto _ : state) {
        arena.begin();
        bool filled = fill_arena(arena);
        arena.end();
        if (!filled)
            return state.SkipWithError("out of memory");
    }
    set_operations(state, kArenaBlocks);
}

/* All threads meet here. */
class ArenaMeeting {
  public:
    template <class Function> void meet(int threads, const Function &last_one) {
        const size_t turn = turn_.load();
        if (count_.fetch_add(1) + 1 == threads) {
            last_one();
            count_ = 0;
            turn_ = turn + 1;
        } else {
            while (turn_ == turn)
                std::this_thread::yield();
        }
    }

  private:
    std::atomic<int> count_{0};
    std::atomic<size_t> turn_{0};
};

template <class Arena> void arena_threads_loop(benchmark::State &state, Arena arena) {
    static ArenaMeeting meeting;
    size_t rounds = 0;
    for (auto _ : state) {
        arena.begin();
        if (!fill_arena(arena))
            abort(); /* the others wait for this thread */
        arena.end();
        if (++rounds % kArenaRounds == 0) /* all threads run the same number of times */
            meeting.meet(state.threads(), [&] { arena.rest(); });
    }
    meeting.meet(state.threads(), [&] { arena.rest(); });
    set_operations(state, kArenaBlocks);
}

template <class Shared> void register_shared_arena(Shared shared) {
    for (int threads = 1; threads <= 2; threads++)
        benchmark::RegisterBenchmark("threads_arena", arena_threads_loop<Shared>, shared)
            ->Threads(threads)
            ->UseRealTime();
}

} // namespace bench

#endif
