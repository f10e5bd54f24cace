/* What stands in for transfers and barriers without framealloc: a copy in a block of malloc, and
 * the barrier of the C library. */
#include "bench/micro_threads.hpp"

#include <cstdlib>
#include <pthread.h>

namespace {

struct Courier {
    void *make(const bench::Message &message) {
        void *copy = malloc(sizeof message);
        if (copy != nullptr)
            memcpy(copy, &message, sizeof message);
        return copy;
    }
    bench::Message *receive(void *ticket) { return static_cast<bench::Message *>(ticket); }
    void done(bench::Message *message) { free(message); }
};

class Barrier {
  public:
    explicit Barrier(int threads) {
        pthread_barrier_init(&barrier_, nullptr, static_cast<unsigned>(threads));
    }
    ~Barrier() { pthread_barrier_destroy(&barrier_); }
    Barrier(const Barrier &) = delete;
    Barrier &operator=(const Barrier &) = delete;
    void join() {}
    void wait() { pthread_barrier_wait(&barrier_); }
    void leave() {}

  private:
    pthread_barrier_t barrier_;
};

bench::MoreMicros more([](const std::string &) {
    bench::register_transfer(Courier{});
    bench::register_barrier<Barrier>(2);
});

} // namespace
