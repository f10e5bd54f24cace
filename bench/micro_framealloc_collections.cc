/* Vectors and maps in frame memory. */
#include "bench/micro_collections.hpp"
#include "bench/micro_framealloc.hpp"

namespace {

FA_VEC(ints, int)
FA_VEC(wides, bench::Wide)
FA_MAP(numbers, uint64_t, uint64_t, fa_hash_u64, fa_equal_u64)
FA_MAP(names, fa_str, uint64_t, fa_hash_str, fa_equal_str)

struct Collections {
    fa_allocator *allocator;

    /* A frame of its own for each collection. */
    struct Frame {
        fa_frame *frame;
        explicit Frame(Collections collections) : frame(fa_frame_begin(collections.allocator)) {}
        ~Frame() { (void)fa_frame_end_in(frame); }
        Frame(const Frame &) = delete;
        Frame &operator=(const Frame &) = delete;
    };

    struct Ints : Frame {
        ints vec;
        Ints(Collections c, size_t capacity) : Frame(c), vec(ints_make_in(frame, capacity)) {}
        void push(int value) { (void)ints_push(&vec, value); }
        void *data() { return vec.items; }
        size_t count() const { return vec.count; }
    };
    struct Wides : Frame {
        wides vec;
        Wides(Collections c, size_t capacity) : Frame(c), vec(wides_make_in(frame, capacity)) {}
        void push(bench::Wide value) { (void)wides_push(&vec, value); }
        void *data() { return vec.items; }
        size_t count() const { return vec.count; }
    };
    struct Numbers : Frame {
        numbers map;
        Numbers(Collections c, size_t capacity) : Frame(c), map(numbers_make_in(frame, capacity)) {}
        void insert(uint64_t key, uint64_t value) { (void)numbers_insert(&map, key, value); }
        const uint64_t *find(uint64_t key) const { return numbers_find(&map, key); }
        void remove(uint64_t key) { numbers_remove(&map, key); }
        size_t count() const { return map.count; }
    };
    using Name = fa_str;
    struct Names : Frame {
        names map;
        Names(Collections c, size_t capacity) : Frame(c), map(names_make_in(frame, capacity)) {}
        void insert(fa_str key, uint64_t value) { (void)names_insert(&map, key, value); }
        const uint64_t *find(fa_str key) const { return names_find(&map, key); }
        void remove(fa_str key) { names_remove(&map, key); }
        size_t count() const { return map.count; }
    };
};

bench::MoreMicros more([](const std::string &backend) {
    bench::register_collections(Collections{bench::micro_allocator(backend)});
});

} // namespace
