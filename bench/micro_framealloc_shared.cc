/* Shared objects of framealloc, and frame objects that are kept when their frame ends. */
#include "bench/micro_framealloc.hpp"
#include "bench/micro_shared.hpp"

namespace {

struct Shared {
    fa_allocator *allocator;
    bench::SharedThing *object;
    fa_weak weak;

    void *make() {
        return object = fa_shared_new(allocator, bench::SharedThing,
                                      [](void *pointer) { bench::keep(pointer); });
    }
    void release() { (void)fa_shared_release(allocator, object); }
    void hold() {
        (void)fa_shared_hold(allocator, object);
        bench::keep(object);
    }
    void release_held() { (void)fa_shared_release(allocator, object); }
    void make_weak() { weak = fa_weak_make(allocator, object); }
    void release_weak() { (void)fa_weak_release(allocator, weak); }
    void *lock() { return fa_weak_lock(allocator, weak); }
};

/* A frame of 100 objects of 64 bytes, which are moved to the pool when it ends, and released. */
void keep_objects(benchmark::State &state, fa_allocator *allocator) {
    fa_retained kept[bench::kKeptObjects];
    for (auto _ : state) {
        fa_frame *frame = fa_frame_begin(allocator);
        for (fa_retained &each : kept) {
            each = fa_frame_retain_new_in(frame, bench::SharedThing, fa_retain_to_pool());
            void *object = fa_retained_get(allocator, each);
            memset(object, 1, sizeof(bench::SharedThing));
            bench::keep(object);
        }
        (void)fa_frame_end_in(frame);
        for (fa_retained &each : kept)
            if (fa_retained_release(allocator, each) != FA_OK)
                return state.SkipWithError("out of memory");
    }
    bench::set_operations(state, bench::kKeptObjects);
}

/* What the program would do by hand: the same objects, copied one by one before the frame ends. */
void copy_objects(benchmark::State &state, fa_allocator *allocator) {
    void *objects[bench::kKeptObjects], *kept[bench::kKeptObjects];
    for (auto _ : state) {
        fa_frame *frame = fa_frame_begin(allocator);
        for (void *&object : objects) {
            object = fa_frame_alloc_in(frame, sizeof(bench::SharedThing));
            memset(object, 1, sizeof(bench::SharedThing));
            bench::keep(object);
        }
        for (size_t i = 0; i < bench::kKeptObjects; i++) {
            kept[i] = fa_pool_alloc(allocator, sizeof(bench::SharedThing));
            memcpy(kept[i], objects[i], sizeof(bench::SharedThing));
            bench::keep(kept[i]);
        }
        (void)fa_frame_end_in(frame);
        for (void *object : kept)
            fa_pool_free_sized(allocator, object, sizeof(bench::SharedThing));
    }
    bench::set_operations(state, bench::kKeptObjects);
}

void retained_get(benchmark::State &state, fa_allocator *allocator) {
    fa_frame_begin(allocator);
    fa_retained kept = fa_frame_retain(allocator, 64, 16, fa_retain_to_pool());
    (void)fa_frame_end(allocator);
    for (auto _ : state)
        for (size_t i = 0; i < bench::kSharedOperations; i++)
            bench::keep(fa_retained_get(allocator, kept));
    (void)fa_retained_release(allocator, kept);
    bench::set_operations(state, bench::kSharedOperations);
}

void register_shared(const std::string &backend) {
    using benchmark::RegisterBenchmark;
    fa_allocator *allocator = bench::micro_allocator(backend);
    const Shared shared = {allocator, nullptr, {nullptr}};
    RegisterBenchmark("shared_pair", bench::shared_pair_loop<Shared>, shared);
    RegisterBenchmark("shared_make/64", bench::shared_make_loop<Shared>, shared);
    RegisterBenchmark("weak_lock", bench::weak_lock_loop<Shared>, shared);
    RegisterBenchmark("kept/64", keep_objects, allocator);
    RegisterBenchmark("kept_by_hand/64", copy_objects, allocator);
    RegisterBenchmark("retained_get", retained_get, allocator);
}

bench::MoreMicros more(register_shared);

} // namespace
