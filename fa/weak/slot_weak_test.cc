// Slots of handle tables (fa/internal/slot.h): who resolves and pins what, while objects are moved,
// freed, and others made in their slots.
#include "fa/weak/checker.hpp"

#include "fa/internal/slot.h"

namespace {

constexpr uint32_t kFirst = 1 << FAI_HANDLE_COUNTER_BITS, kSecond = kFirst + 1;
constexpr int kPlaces = 3;

// A place for an object, aligned as objects are.
struct alignas(16) Place {
    rl::var<int> value;
};

// One slot, and places for objects; what lies in a place that nobody has is of no use to anybody.
struct Table {
    fai_handle_word word;
    rl::atomic<uint64_t> state_of_slot;
    fai_handle_slot slot;
    weak::Lock lock;
    Place place[kPlaces];

    Table() : slot{&word, &state_of_slot} {
        FAI_STORE_RELAXED(&word.bits, uint64_t{0});
        FAI_STORE_RELAXED(&state_of_slot, uint64_t{0});
        for (Place &each : place)
            FAI_WRITE(each.value, -1);
    }
    void Make(int at, uint32_t generation) {
        lock.Take();
        FAI_WRITE(place[at].value, int(generation));
        fai_handle_slot_publish(slot, &place[at], generation);
        lock.Give();
    }
    // False: pinned, or gone.
    bool Move(int from, int to, bool is_held) {
        uint64_t state;
        lock.Take();
        bool done = fai_handle_slot_move_begin(slot, &state);
        if (done) {
            FAI_WRITE(place[to].value, FAI_READ(place[from].value));
            fai_handle_slot_move_end(slot, &place[to], state, is_held);
            FAI_WRITE(place[from].value, -1);
        }
        lock.Give();
        return done;
    }
    bool Free(uint32_t generation, int at) {
        uint64_t state = 0;
        lock.Take();
        bool done = fai_handle_slot_kill(slot, generation, &state) == FAI_HANDLE_DONE;
        if (done && (state & FAI_HANDLE_HELD) == 0)
            FAI_WRITE(place[at].value, -1);
        lock.Give();
        return done;
    }
    // As fa_handle_pin; returns the object or NULL.
    rl::var<int> *Pin(uint32_t generation) {
        void *address = nullptr;
        fai_handle_found found = fai_handle_slot_pin(slot, generation, &address);
        while (found == FAI_HANDLE_IS_MOVING) {
            lock.Take();
            lock.Give();
            found = fai_handle_slot_pin(slot, generation, &address);
        }
        return static_cast<rl::var<int> *>(address);
    }
    // Pins it and reads it; whoever is alone with it writes it too.
    void Use(uint32_t generation, bool is_alone) {
        rl::var<int> *object = Pin(generation);
        if (object == nullptr)
            return;
        RL_ASSERT(FAI_READ(*object) == int(generation));
        if (is_alone)
            FAI_WRITE(*object, int(generation));
        RL_ASSERT(fai_handle_slot_unpin(slot, generation) == FAI_HANDLE_DONE);
    }
    int Read(uint32_t generation) {
        void *address = fai_handle_word_read(&word, generation & FAI_HANDLE_COUNTER_MAX);
        for (int i = 0; i < kPlaces; i++)
            if (address == &place[i])
                return i;
        return -1;
    }
};

// The object is made, moved, and used by another thread at any of these times.
template <int kThreads> struct UseWhileMoved : rl::test_suite<UseWhileMoved<kThreads>, kThreads> {
    static constexpr const char *kName = "use while it is made and moved";
    static constexpr bool kIsFull = true;
    Table table;
    void thread(unsigned index) {
        if (index == 0) {
            table.Make(0, kFirst);
            table.Move(0, 1, false);
        } else {
            table.Use(kFirst, kThreads == 2);
        }
    }
};

// Its memory is used for something else after it was freed.
template <int kThreads> struct UseWhileFreed : rl::test_suite<UseWhileFreed<kThreads>, kThreads> {
    static constexpr const char *kName = "use while it is freed";
    static constexpr bool kIsFull = true;
    Table table;
    UseWhileFreed() { table.Make(0, kFirst); }
    void thread(unsigned index) {
        if (index == 0) {
            if (table.Free(kFirst, 0))
                table.Make(1, kSecond);
        } else {
            table.Use(kFirst, kThreads == 2);
        }
    }
};

// Asked without a pin, for handles that are known before they are made: each has its own places.
template <bool kIsWrong> struct ReadReused : rl::test_suite<ReadReused<kIsWrong>, 2> {
    static constexpr const char *kName =
        kIsWrong ? "a handle of another generation is taken" : "read while the slot changes hands";
    static constexpr bool kIsFull = true;
    Table table;
    void thread(unsigned index) {
        if (index == 0) {
            table.Make(0, kFirst);
            RL_ASSERT(table.Free(kFirst, 0));
            table.Make(1, kSecond);
        } else {
            int first = table.Read(kIsWrong ? kSecond : kFirst);
            RL_ASSERT(first == -1 || first == 0);
            int second = table.Read(kSecond);
            RL_ASSERT(second == -1 || second == 1);
        }
    }
};
struct ReadWhileReused : ReadReused<false> {
    using Wrong = ReadReused<true>;
};

// Asked without a pin, where nothing is freed: what is in it was there before.
template <int kThreads> struct ReadWhileMade : rl::test_suite<ReadWhileMade<kThreads>, kThreads> {
    static constexpr const char *kName = "read while it is made";
    static constexpr bool kIsFull = true;
    Table table;
    void thread(unsigned index) {
        if (index == 0) {
            table.Make(0, kFirst);
        } else {
            int at = table.Read(kFirst);
            RL_ASSERT(at == -1 || FAI_READ(table.place[at].value) == int(kFirst));
        }
    }
};

// As short as it can be with three: the object is freed, or moved, while one has it pinned, and
// another one would.
template <bool kMoves> struct Shared : rl::test_suite<Shared<kMoves>, 3> {
    static constexpr const char *kName =
        kMoves ? "two use it while it is moved" : "two use it while it is freed";
    static constexpr bool kIsFull = true;
    Table table;
    void *pinned = nullptr;
    Shared() {
        table.Make(0, kFirst);
        RL_ASSERT(fai_handle_slot_pin(table.slot, kFirst, &pinned) == FAI_HANDLE_DONE);
    }
    void thread(unsigned index) {
        uint64_t state;
        if (index != 0) {
            void *address = pinned;
            if (index == 1 && fai_handle_slot_pin(table.slot, kFirst, &address) != FAI_HANDLE_DONE)
                return; // without a second try, after the lock was free
            RL_ASSERT(FAI_READ(*static_cast<rl::var<int> *>(address)) == int(kFirst));
            RL_ASSERT(fai_handle_slot_unpin(table.slot, kFirst) == FAI_HANDLE_DONE);
        } else if (!kMoves) {
            if (fai_handle_slot_kill(table.slot, kFirst, &state) == FAI_HANDLE_DONE)
                FAI_WRITE(table.place[0].value, -1);
        } else if (fai_handle_slot_move_begin(table.slot, &state)) {
            FAI_WRITE(table.place[1].value, FAI_READ(table.place[0].value));
            fai_handle_slot_move_end(table.slot, &table.place[1], state, false);
            FAI_WRITE(table.place[0].value, -1);
        }
    }
};

// Resolved by two, each by another handle of the slot.
struct ReadByTwo : rl::test_suite<ReadByTwo, 3> {
    static constexpr const char *kName = "two read while the slot changes hands";
    static constexpr bool kIsFull = true;
    Table table;
    ReadByTwo() { table.Make(0, kFirst); }
    void thread(unsigned index) {
        if (index == 0) {
            RL_ASSERT(table.Free(kFirst, 0));
            table.Make(1, kSecond);
            return;
        }
        int at = table.Read(index == 1 ? kFirst : kSecond);
        RL_ASSERT(at == -1 || at == int(index) - 1);
        if (at == 1)
            RL_ASSERT(FAI_READ(table.place[1].value) == int(kSecond));
    }
};

// The move is told: the callback writes the object, pinned, while another thread frees it. Whose
// the memory is after that is settled once.
template <bool kIsWrong> struct ToldAs : rl::test_suite<ToldAs<kIsWrong>, 2> {
    static constexpr const char *kName =
        kIsWrong ? "it is settled by no update" : "a move that is told";
    static constexpr bool kIsFull = true;
    Table table;
    rl::var<int> ended; // who gave the memory back
    ToldAs() {
        table.Make(0, kFirst);
        FAI_WRITE(ended, 0);
    }
    void thread(unsigned index) {
        if (index == 0) {
            if (!table.Move(0, 1, true))
                return;
            table.Use(kFirst, true);
            if (kIsWrong) {
                uint64_t seen = FAI_LOAD_RELAXED(table.slot.state);
                FAI_STORE_RELAXED(table.slot.state, seen & ~FAI_HANDLE_HELD);
                return;
            }
            table.lock.Take();
            if (!fai_handle_slot_settle(table.slot)) {
                FAI_WRITE(table.place[1].value, -1);
                FAI_WRITE(ended, FAI_READ(ended) + 1);
            }
            table.lock.Give();
        } else {
            uint64_t state = 0;
            table.lock.Take();
            if (fai_handle_slot_kill(table.slot, kFirst, &state) == FAI_HANDLE_DONE &&
                (state & FAI_HANDLE_HELD) == 0) {
                FAI_WRITE(table.place[FAI_READ(table.place[0].value) == -1].value, -1);
                FAI_WRITE(ended, FAI_READ(ended) + 1);
            }
            table.lock.Give();
        }
    }
    void after() {
        uint64_t state = FAI_LOAD_RELAXED(&table.state_of_slot);
        RL_ASSERT((state & (FAI_HANDLE_HELD | FAI_HANDLE_MOVING | FAI_HANDLE_PINS)) == 0 ||
                  fai_handle_generation(state) == 0);
        bool is_gone = fai_handle_generation(state) == 0;
        RL_ASSERT(FAI_READ(ended) == is_gone);
        RL_ASSERT((FAI_LOAD_RELAXED(&table.word.bits) == 0) == is_gone);
    }
};

struct Told : ToldAs<false> {
    using Wrong = ToldAs<true>;
};

// All at once.
struct Everything : rl::test_suite<Everything, 4> {
    static constexpr const char *kName = "use, read, move and free";
    static constexpr bool kIsFull = false;
    Table table;
    Everything() { table.Make(0, kFirst); }
    void thread(unsigned index) {
        if (index == 0) {
            int at = table.Move(0, 1, false) ? 1 : 0;
            if (table.Free(kFirst, at))
                table.Make(2, kSecond);
        } else if (index == 1) {
            table.Use(kFirst, false);
            table.Use(kSecond, false);
        } else if (index == 2) {
            table.Use(kFirst, false);
        } else {
            int first = table.Read(kFirst), second = table.Read(kSecond);
            RL_ASSERT(first < 2);
            RL_ASSERT(second == -1 || second == 2);
        }
    }
};

TEST(SlotWeak, HoldsInFull) {
    weak::HoldsInFull<UseWhileMoved<2>, UseWhileFreed<2>, ReadWhileMade<2>, ReadWhileReused, Told,
                      ReadWhileMade<3>, ReadByTwo, Shared<false>, Shared<true>>();
}

TEST(SlotWeak, HoldsWithin) { weak::HoldsWithin<3, UseWhileMoved<3>, UseWhileFreed<3>>(); }

TEST(SlotWeak, HoldsAtRandom) { weak::HoldsAtRandom<Everything>(50000); }

TEST(SlotWeak, EachOrderMatters) {
    weak::EachOrderMatters<UseWhileMoved<2>, UseWhileFreed<2>, ReadWhileMade<2>, ReadWhileReused,
                           Told, Everything>({}, 5000);
}

} // namespace
