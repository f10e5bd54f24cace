/* Handles: what it costs to resolve one, next to an array of addresses; pins; objects; moves.
 *
 * Both look at 100,000 objects of 64 bytes in an order of chance, the same objects in the same
 * order, and read a word of each. In a chase each object names the next one: by its index in the
 * array, or by its handle. In a list the names lie in order, so that the processor looks at many
 * objects at the same time, and the instructions count. All of that is done with one table, so that
 * no way of asking has the luckier pages. */
#include "bench/micro_framealloc.hpp"
#include "bench/micro_typed.hpp"

namespace {

constexpr size_t kObjects = 100000;

struct Object {
    uint64_t number;
    fa_handle next;
    uint32_t next_index;
    char rest[40];
};
static_assert(sizeof(Object) == 64);

FA_HANDLE(object_handle, Object)

/* A table with kObjects objects, and lists of them in an order of chance. */
struct Table {
    fa_handles *handles;
    std::vector<object_handle> made, shuffled;
    std::vector<Object *> addresses;
    std::vector<uint32_t> order;

    explicit Table(fa_allocator *allocator)
        : handles(fa_handles_create(allocator, nullptr)), order(bench::shuffled(kObjects)) {
        for (size_t i = 0; i < kObjects; i++) {
            made.push_back(object_handle_alloc_zeroed(handles));
            addresses.push_back(object_handle_get(handles, made[i]));
            if (addresses[i] != nullptr)
                addresses[i]->number = i;
        }
        for (uint32_t index : order)
            shuffled.push_back(made[index]);
        for (size_t i = 0; i < kObjects && is_whole(); i++) {
            addresses[order[i]]->next_index = order[(i + 1) % kObjects];
            addresses[order[i]]->next = shuffled[(i + 1) % kObjects].raw;
        }
    }
    ~Table() { fa_handles_destroy(handles); }
    Table(const Table &) = delete;
    Table &operator=(const Table &) = delete;
    bool is_whole() const { return handles != nullptr && addresses.back() != nullptr; }
};

/* The one that all only look at; it lives until the process ends. */
Table &common_table(fa_allocator *allocator) {
    static Table *table = new Table(allocator);
    return *table;
}

/* Adds a word of each object up; resolve: from a place in the order to the object. */
template <class Resolve> void get_loop(benchmark::State &state, Resolve resolve) {
    for (auto _ : state) {
        uint64_t sum = 0;
        for (size_t i = 0; i < kObjects; i++) {
            const Object *object = resolve(i);
            if (object == nullptr)
                return state.SkipWithError("an object is gone");
            sum += object->number;
        }
        benchmark::DoNotOptimize(sum);
    }
    bench::set_operations(state, kObjects);
}

void get_array(benchmark::State &state, fa_allocator *allocator) {
    Table &table = common_table(allocator);
    if (!table.is_whole())
        return state.SkipWithError("out of memory");
    Object *const *addresses = table.addresses.data();
    const uint32_t *order = table.order.data();
    get_loop(state, [=](size_t i) { return addresses[order[i]]; });
}

void get_table(benchmark::State &state, fa_allocator *allocator) {
    Table &table = common_table(allocator);
    if (!table.is_whole())
        return state.SkipWithError("out of memory");
    const fa_handles *handles = table.handles;
    const object_handle *shuffled = table.shuffled.data();
    get_loop(state, [=](size_t i) { return object_handle_get(handles, shuffled[i]); });
}

template <class Name, class Resolve, class Next>
void chase_loop(benchmark::State &state, Name name, Resolve resolve, Next next) {
    for (auto _ : state) {
        uint64_t sum = 0;
        for (size_t i = 0; i < kObjects; i++) {
            const Object *object = resolve(name);
            if (object == nullptr)
                return state.SkipWithError("an object is gone");
            sum += object->number;
            name = next(object);
        }
        benchmark::DoNotOptimize(sum);
    }
    bench::set_operations(state, kObjects);
}

void chase_array(benchmark::State &state, fa_allocator *allocator) {
    Table &table = common_table(allocator);
    if (!table.is_whole())
        return state.SkipWithError("out of memory");
    Object *const *addresses = table.addresses.data();
    chase_loop(
        state, table.order[0], [=](uint32_t index) { return addresses[index]; },
        [](const Object *object) { return object->next_index; });
}

void chase_table(benchmark::State &state, fa_allocator *allocator) {
    Table &table = common_table(allocator);
    if (!table.is_whole())
        return state.SkipWithError("out of memory");
    const fa_handles *handles = table.handles;
    chase_loop(
        state, table.shuffled[0].raw,
        [=](fa_handle handle) { return static_cast<Object *>(fa_handle_get(handles, handle)); },
        [](const Object *object) { return object->next; });
}

/* Pins and unpins each object in the order of chance; reads a word in between. */
void pin_loop(benchmark::State &state, fa_allocator *allocator) {
    Table &table = common_table(allocator);
    if (!table.is_whole())
        return state.SkipWithError("out of memory");
    get_loop(state, [&table](size_t i) -> const Object * {
        const Object *object = object_handle_pin(table.handles, table.shuffled[i]);
        if (object == nullptr || object_handle_unpin(table.handles, table.shuffled[i]) != FA_OK)
            return nullptr;
        return object;
    });
}

/* The same object again and again: nothing but the calls. */
void pin_one(benchmark::State &state, fa_allocator *allocator) {
    Table &table = common_table(allocator);
    if (!table.is_whole())
        return state.SkipWithError("out of memory");
    get_loop(state, [&table](size_t) -> const Object * {
        const Object *object = object_handle_pin(table.handles, table.made[0]);
        return object_handle_unpin(table.handles, table.made[0]) == FA_OK ? object : nullptr;
    });
}

void pair(benchmark::State &state, fa_allocator *allocator) {
    constexpr size_t count = 1000;
    Table table(allocator);
    for (auto _ : state)
        for (size_t i = 0; i < count; i++) {
            const object_handle handle = object_handle_alloc(table.handles);
            bench::keep(&table);
            if (object_handle_free(table.handles, handle) != FA_OK || object_handle_is_none(handle))
                return state.SkipWithError("out of memory");
        }
    bench::set_operations(state, count);
}

/* Half of the objects are gone, by chance: the compaction of what is left, slabs given back
 * included, for each object that moved. Nanoseconds: the limit of a step; 0: one step. */
void compact(benchmark::State &state, fa_allocator *allocator, uint64_t nanoseconds) {
    size_t moved = 0, rounds = 0;
    for (auto _ : state) {
        state.PauseTiming();
        {
            Table table(allocator);
            if (!table.is_whole())
                return state.SkipWithError("out of memory");
            for (size_t i = 0; i < kObjects / 2; i++)
                (void)object_handle_free(table.handles, table.shuffled[i]);
            state.ResumeTiming();
            fa_handles_step step;
            do {
                step = fa_handles_compact(table.handles, 0, nanoseconds);
                moved += step.moved_count;
            } while (!step.done);
            state.PauseTiming();
            rounds++;
        }
        state.ResumeTiming();
    }
    bench::set_operations(state, rounds != 0 ? moved / rounds : 1);
}

void register_handles(const std::string &backend) {
    using benchmark::RegisterBenchmark;
    fa_allocator *allocator = bench::micro_allocator(backend);
    RegisterBenchmark("handle_chase/array", chase_array, allocator);
    RegisterBenchmark("handle_chase/table", chase_table, allocator);
    RegisterBenchmark("handle_get/array", get_array, allocator);
    RegisterBenchmark("handle_get/table", get_table, allocator);
    RegisterBenchmark("handle_pin/random", pin_loop, allocator);
    RegisterBenchmark("handle_pin/one", pin_one, allocator);
    RegisterBenchmark("handle_pair/64", pair, allocator);
    RegisterBenchmark("handle_move/at_once", compact, allocator, uint64_t{0});
    RegisterBenchmark("handle_move/in_steps", compact, allocator, uint64_t{100000});
}

bench::MoreMicros more(register_handles);

} // namespace
