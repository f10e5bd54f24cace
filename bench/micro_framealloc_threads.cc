/* Transfers and frame barriers of framealloc. */
#include "bench/micro_threads.hpp"

#include "bench/micro_framealloc.hpp"

namespace {

struct Courier {
    fa_allocator *allocator;
    void *make(const bench::Message &message) {
        fa_transfer transfer;
        (void)fa_transfer_copy(allocator, &message, &transfer);
        (void)fa_transfer_send(allocator, transfer);
        return reinterpret_cast<void *>(transfer.id);
    }
    bench::Message *receive(void *ticket) {
        fa_transfer transfer = {reinterpret_cast<uint64_t>(ticket)};
        return fa_transfer_receive_as(allocator, bench::Message, transfer);
    }
    void done(bench::Message *message) { fa_pool_free_sized(allocator, message, sizeof *message); }
};

class Barrier {
  public:
    explicit Barrier(fa_allocator *allocator) {
        if (fa_barrier_create(allocator, 2, &barrier_) != FA_OK)
            throw std::runtime_error("can't create a barrier");
    }
    ~Barrier() { (void)fa_barrier_destroy(barrier_); }
    Barrier(const Barrier &) = delete;
    Barrier &operator=(const Barrier &) = delete;
    void join() { (void)fa_barrier_join(barrier_); }
    void wait() { (void)fa_barrier_signal_and_wait(barrier_); }
    void leave() { (void)fa_barrier_leave(barrier_); }

  private:
    fa_barrier *barrier_ = nullptr;
};

bench::MoreMicros more([](const std::string &backend) {
    fa_allocator *allocator = bench::micro_allocator(backend);
    bench::register_transfer(Courier{allocator});
    bench::register_barrier<Barrier>(allocator);
});

} // namespace
