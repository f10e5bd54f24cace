/* monotonic_buffer_resource, one for each scope or group, on a buffer of the stack of the first
 * size that framealloc's groups have; a scope of many blocks starts with 64 KiB. Destructors are
 * called from a list in the resource. */
#include "bench/micro_groups.hpp"

#include <memory_resource>
#include <new>

namespace {

template <size_t Bytes> struct Resources {
    struct Entry {
        Entry *older;
        void (*function)(void *);
        void *object;
    };
    alignas(16) char buffer[Bytes];
    alignas(std::pmr::monotonic_buffer_resource) char storage[sizeof(
        std::pmr::monotonic_buffer_resource)];
    Entry *newest;

    std::pmr::monotonic_buffer_resource *resource() {
        return std::launder(reinterpret_cast<std::pmr::monotonic_buffer_resource *>(storage));
    }
    void begin() {
        new (storage) std::pmr::monotonic_buffer_resource(buffer, sizeof buffer);
        newest = nullptr;
    }
    template <size_t Size> void *alloc() { return resource()->allocate(Size, 16); }
    template <size_t Size> void *alloc_with() {
        void *object = alloc<Size>();
        newest = new (resource()->allocate(sizeof(Entry), alignof(Entry)))
            Entry{newest, bench::count_object, object};
        return object;
    }
    void end() { resource()->~monotonic_buffer_resource(); }
    template <bool Destroyed> void end() {
        for (Entry *entry = newest; Destroyed && entry; entry = entry->older)
            entry->function(entry->object);
        end();
    }
};

bench::MoreMicros more([](const std::string &) {
    using Small = Resources<256>;
    using Large = Resources<65536>;
    benchmark::RegisterBenchmark("scratch_scope/64", bench::scratch_scope_loop<Small>, Small{});
    benchmark::RegisterBenchmark("scratch_alloc/64", bench::scratch_alloc_loop<Large>, Large{});
    bench::register_groups(Small{});
});

} // namespace
