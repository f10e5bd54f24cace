// The table of segments (fa/internal/segments.h): looked into without a lock while segments come
// and go, and the table grows.
#include "fa/weak/checker.hpp"

// What stands in for fa/internal/allocator.h.
#define FAI_ALLOCATOR_H
struct fai_segment_table {
    size_t capacity;
    rl::atomic<uintptr_t> entry[4];
    rl::var<int> is_made; // all of it
};
#define FAI_TABLE_EMPTY ((uintptr_t)0)
#define FAI_TABLE_REMOVED ((uintptr_t)1)
#include "fa/internal/segments.h"

namespace {

struct Table {
    fai_segment_table tables[2];
    fai_table_place place;
    weak::Lock lock, backend;
    // Blocks that one thread hands to another, by their segments; however they travel, it is
    // ordered.
    rl::atomic<uintptr_t> object;
    uintptr_t first[3], next, around; // addresses by the places where they belong: 2, 3, 0

    Table() {
        for (fai_segment_table &table : tables)
            table.capacity = 4;
        for (int i = 0; i < 3; i++)
            first[i] = At(2, i);
        next = At(3, 0);
        around = At(0, 0);
        Clear(&tables[0]);
        FAI_STORE_RELAXED(&place, &tables[0]);
        FAI_STORE_RELAXED(&object, uintptr_t{0});
    }
    // The number-th address that belongs into a place.
    uintptr_t At(size_t place_wanted, int number) const {
        for (uintptr_t segment = uintptr_t{1} << 18;; segment += uintptr_t{1} << 18)
            if (fai_table_slot(&tables[0], segment) == place_wanted && number-- == 0)
                return segment;
    }
    static void Clear(fai_segment_table *table) {
        for (rl::atomic<uintptr_t> &entry : table->entry)
            FAI_STORE_RELAXED(&entry, FAI_TABLE_EMPTY);
        FAI_WRITE(table->is_made, 1);
    }
    fai_segment_table *Now() { return FAI_LOAD_RELAXED(&place); }
    void Put(uintptr_t segment) {
        lock.Take();
        (void)fai_table_put(Now(), segment);
        lock.Give();
    }
    void Remove(uintptr_t segment) {
        lock.Take();
        (void)fai_table_remove(Now(), segment);
        lock.Give();
    }
    // Wrong: searches that go on behind it end there.
    void Lose(uintptr_t segment) {
        for (rl::atomic<uintptr_t> &entry : Now()->entry)
            if (FAI_LOAD_RELAXED(&entry) == segment)
                FAI_STORE_RELAXED(&entry, FAI_TABLE_EMPTY);
    }
    void HandOver(uintptr_t segment) { object.store(segment, rl::mo_release, RL_INFO); }
    uintptr_t Receive() { return object.load(rl::mo_acquire, RL_INFO); }
    bool Knows(uintptr_t segment) {
        bool known = fai_table_knows(&place, segment);
        RL_ASSERT(FAI_READ(FAI_LOAD_RELAXED(&place)->is_made) == 1);
        return known;
    }
};

// Segments before that of a live block in its row of places are removed, and put again, while its
// block is freed by another thread; the row goes around the end of the table.
template <int kThreads, bool kIsWrong>
struct ComeAndGoAs : rl::test_suite<ComeAndGoAs<kThreads, kIsWrong>, kThreads> {
    static constexpr const char *kName =
        kIsWrong ? "removed entries end a search" : "looked up while others before it come and go";
    static constexpr bool kIsFull = false;
    Table table;

    ComeAndGoAs() {
        table.Put(table.first[0]);
        table.Put(table.first[1]);
    }
    void thread(unsigned index) {
        if (index == 0) {
            table.Put(table.first[2]); // the third place of the row
            table.HandOver(table.first[2]);
            if (kIsWrong)
                return table.Lose(table.first[1]);
            table.Remove(table.first[1]);
            table.Remove(table.first[0]);
            table.Put(table.next);
        } else if (uintptr_t segment = table.Receive()) {
            RL_ASSERT(table.Knows(segment));
            RL_ASSERT(!table.Knows(table.around));
        }
    }
    void after() {
        if (kIsWrong)
            return;
        RL_ASSERT(table.Knows(table.first[2]) && table.Knows(table.next));
        RL_ASSERT(!table.Knows(table.first[0]) && !table.Knows(table.first[1]));
        table.Remove(table.first[2]);
        table.Remove(table.next);
        for (rl::atomic<uintptr_t> &entry : table.tables[0].entry)
            RL_ASSERT(FAI_LOAD_RELAXED(&entry) == FAI_TABLE_EMPTY);
    }
};

template <int kThreads> struct ComeAndGo : ComeAndGoAs<kThreads, false> {
    using Wrong = ComeAndGoAs<kThreads, true>;
};

// The same as short as it can be: one goes, and one comes in its place.
template <int kThreads, bool kIsWrong>
struct ReplaceAs : rl::test_suite<ReplaceAs<kThreads, kIsWrong>, kThreads> {
    static constexpr const char *kName =
        kIsWrong ? "removed entries end a search" : "looked up while the one before it is replaced";
    static constexpr bool kIsFull = true;
    Table table;

    ReplaceAs() {
        table.Put(table.first[0]);
        table.Put(table.first[1]);
    }
    void thread(unsigned index) {
        if (index == 0) {
            if (kIsWrong)
                return table.Lose(table.first[0]);
            (void)fai_table_remove(table.Now(), table.first[0]);
            RL_ASSERT(fai_table_put(table.Now(), table.first[2]) == 0);
        } else {
            if (kThreads == 2 || index == 1)
                RL_ASSERT(fai_table_knows(&table.place, table.first[1]));
            if (kThreads == 2 || index == 2)
                RL_ASSERT(!fai_table_knows(&table.place, table.around));
        }
    }
};

template <int kThreads> struct Replace : ReplaceAs<kThreads, false> {
    using Wrong = ReplaceAs<kThreads, true>;
};

// The table grows. A reader whose block is older finds its segment in either, and all that the one
// has which he looks into.
template <int kThreads> struct Grow : rl::test_suite<Grow<kThreads>, kThreads> {
    static constexpr const char *kName = "looked up while the table grows";
    static constexpr bool kIsFull = true;
    Table table;

    Grow() { table.Put(table.next); }
    void thread(unsigned index) {
        if (index == 0) {
            table.lock.Take();
            fai_segment_table *more = &table.tables[1];
            Table::Clear(more);
            (void)fai_table_put(more, table.next);
            fai_table_publish(&table.place, more);
            (void)fai_table_put(more, table.first[0]);
            table.lock.Give();
            table.HandOver(table.first[0]);
        } else {
            if (kThreads == 2 || index == 1)
                RL_ASSERT(fai_table_knows(&table.place, table.next));
            if (kThreads == 3 && index == 1)
                return;
            if (uintptr_t segment = table.Receive())
                RL_ASSERT(fai_table_knows(&table.place, segment));
        }
    }
};

// A segment is given back, and where it was there is a heap block, which another thread frees: that
// must not look there for a slab.
template <int kThreads, bool kIsWrong>
struct ChangeAs : rl::test_suite<ChangeAs<kThreads, kIsWrong>, kThreads> {
    static constexpr const char *kName =
        kIsWrong ? "the segment is removed when its memory is gone" : "a block where a segment was";
    static constexpr bool kIsFull = true;
    Table table;
    rl::var<bool> is_given;

    ChangeAs() {
        table.Put(table.first[0]);
        FAI_WRITE(is_given, false);
    }
    void thread(unsigned index) {
        if (index == 0) {
            if (!kIsWrong)
                table.Remove(table.first[0]);
            table.backend.Take();
            FAI_WRITE(is_given, true);
            table.backend.Give();
            if (kIsWrong)
                table.Remove(table.first[0]);
        } else {
            table.backend.Take();
            bool is_had = FAI_READ(is_given);
            table.backend.Give();
            if (is_had)
                RL_ASSERT(!fai_table_knows(&table.place, table.first[0]));
        }
    }
};

template <int kThreads> struct Change : ChangeAs<kThreads, false> {
    using Wrong = ChangeAs<kThreads, true>;
};

TEST(SegmentsWeak, HoldsInFull) {
    weak::HoldsInFull<Change<2>, Grow<2>, Replace<2>, Change<3>, Grow<3>, Replace<3>>();
}

TEST(SegmentsWeak, HoldsWithin) { weak::HoldsWithin<3, ComeAndGo<2>, ComeAndGo<3>>(); }

TEST(SegmentsWeak, HoldsAtRandom) { weak::HoldsAtRandom<ComeAndGo<2>, ComeAndGo<3>>(100000); }

TEST(SegmentsWeak, EachOrderMatters) {
    weak::EachOrderMatters<ComeAndGo<2>, Grow<2>, Change<2>, Replace<2>>({}, 5000);
}

} // namespace
