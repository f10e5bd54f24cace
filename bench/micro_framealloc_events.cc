/* Life-cycle events of framealloc: what a listener costs those that it listens to. */
#include "bench/micro_framealloc.hpp"

namespace {

/* Stands for a profiler: keeps what it needs, without a lock, for one thread runs here. */
struct Listener {
    uint64_t duration = 0, count = 0;
    static void hear(void *user, const fa_events_item *item) {
        Listener *listener = static_cast<Listener *>(user);
        listener->duration += item->duration;
        listener->count++;
    }
};

/* Listens while it lives. */
class Listening {
  public:
    Listening(fa_allocator *allocator, uint32_t kinds) : allocator_(allocator) {
        fa_events_config config = {};
        config.kinds = kinds;
        config.function = Listener::hear;
        config.user = &listener_;
        if (fa_events_subscribe(allocator, &config, &id_) != FA_OK)
            throw std::runtime_error("can't subscribe");
    }
    ~Listening() { (void)fa_events_unsubscribe(allocator_, id_); }
    Listening(const Listening &) = delete;
    Listening &operator=(const Listening &) = delete;

  private:
    fa_allocator *allocator_;
    Listener listener_;
    fa_events_id id_ = {};
};

void begin_end_heard(benchmark::State &state, fa_allocator *allocator) {
    Listening listening(allocator, FA_EVENTS_BIT(FA_EVENTS_FRAME_END));
    for (auto _ : state) {
        fa_frame *frame = fa_frame_begin(allocator);
        bench::keep(frame);
        (void)fa_frame_end_in(frame);
    }
    bench::set_operations(state, 1);
}

void pair_heard(benchmark::State &state, fa_allocator *allocator) {
    Listening listening(allocator, FA_EVENTS_BLOCKS);
    for (auto _ : state) {
        void *object = fa_pool_alloc(allocator, 64);
        bench::keep(object);
        fa_pool_free_sized(allocator, object, 64);
    }
    bench::set_operations(state, 1);
}

bench::MoreMicros more([](const std::string &backend) {
    fa_allocator *allocator = bench::micro_allocator(backend);
    benchmark::RegisterBenchmark("begin_end_heard", begin_end_heard, allocator);
    benchmark::RegisterBenchmark("pair_heard/64", pair_heard, allocator);
});

} // namespace
