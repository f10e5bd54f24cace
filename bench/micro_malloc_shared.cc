/* std::shared_ptr, and copies that outlive a frame, over whichever malloc the program has. */
#include "bench/micro_shared.hpp"

#include <cstdlib>
#include <memory>

namespace {

struct Thing : bench::SharedThing {
    Thing() {} /* so that nothing is zeroed */
    ~Thing() { bench::keep(this); }
};

struct Shared {
    std::shared_ptr<Thing> object, held;
    std::weak_ptr<Thing> weak;

    void *make() {
        object = std::make_shared<Thing>();
        return object.get();
    }
    void release() { object.reset(); }
    void hold() {
        held = object;
        bench::keep(held.get());
    }
    void release_held() { held.reset(); }
    void make_weak() { weak = object; }
    void release_weak() { weak.reset(); }
    void *lock() {
        held = weak.lock();
        return held.get();
    }
};

/* 100 objects of 64 bytes, each of which is copied to what outlives them. Their own memory is the
 * stack's, and costs nothing. */
void keep_objects(benchmark::State &state) {
    bench::SharedThing objects[bench::kKeptObjects];
    void *kept[bench::kKeptObjects];
    for (auto _ : state) {
        for (bench::SharedThing &object : objects) {
            memset(&object, 1, sizeof object);
            bench::keep(&object);
        }
        for (size_t i = 0; i < bench::kKeptObjects; i++) {
            kept[i] = malloc(sizeof objects[i]);
            memcpy(kept[i], &objects[i], sizeof objects[i]);
            bench::keep(kept[i]);
        }
        for (void *object : kept)
            free(object);
    }
    bench::set_operations(state, bench::kKeptObjects);
}

bench::MoreMicros more([](const std::string &) {
    using benchmark::RegisterBenchmark;
    RegisterBenchmark("shared_pair", bench::shared_pair_loop<Shared>, Shared{});
    RegisterBenchmark("shared_make/64", bench::shared_make_loop<Shared>, Shared{});
    RegisterBenchmark("weak_lock", bench::weak_lock_loop<Shared>, Shared{});
    RegisterBenchmark("kept/64", keep_objects);
});

} // namespace
