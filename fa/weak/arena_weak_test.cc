// Arenas without a thread: blocks that many take from one chunk (fa/internal/shared_chunk.h), who
// is inside while it is emptied (users.h), and what is handed from one to the other (turn.h).
#include "fa/weak/checker.hpp"

#define FAI_TURN_HOLDER void *
#include "fa/internal/shared_chunk.h"
#include "fa/internal/turn.h"
#include "fa/internal/users.h"

namespace {

constexpr size_t kBlock = 16;
constexpr int kChunks = 2, kBlocks = 2; // so many in each

// A shared arena whose chunks have room for two blocks.
struct Arena {
    fai_users users;
    fai_shared_place current;
    weak::Lock lock;
    fai_shared_chunk chunks[kChunks];
    rl::var<int> made; // chunks so far; guarded by the lock
    rl::var<int> block[kChunks][kBlocks];

    Arena() {
        FAI_STORE_RELAXED(&users, uint64_t{0});
        FAI_STORE_RELAXED(&current, static_cast<fai_shared_chunk *>(nullptr));
        FAI_WRITE(made, 0);
        for (auto &row : block)
            for (rl::var<int> &each : row)
                FAI_WRITE(each, 0);
    }
    // As grow does: another one, if nobody was faster.
    void Grow(fai_shared_chunk *full) {
        lock.Take();
        if (FAI_LOAD_RELAXED(&current) == full) {
            int number = FAI_READ(made);
            RL_ASSERT(number < kChunks);
            FAI_WRITE(made, number + 1);
            fai_shared_chunk *more = &chunks[number];
            FAI_WRITE(more->bytes, kBlocks * kBlock);
            FAI_STORE_RELAXED(&more->taken, size_t{0});
            fai_shared_make_current(&current, more);
        }
        lock.Give();
    }
    // As fai_shared_take. The block is the caller's alone.
    void Take() {
        for (;;) {
            fai_shared_chunk *at = fai_shared_find(&current);
            size_t offset;
            if (at != nullptr && fai_shared_chunk_take(at, kBlock, &offset)) {
                RL_ASSERT(offset % kBlock == 0 && offset < kBlocks * kBlock);
                rl::var<int> &own = block[at - chunks][offset / kBlock];
                RL_ASSERT(FAI_READ(own) == 0);
                FAI_WRITE(own, 1);
                return;
            }
            Grow(at);
        }
    }
    // As a local of one block.
    bool Use() {
        if (!fai_users_enter(&users))
            return false;
        Take();
        fai_users_leave(&users);
        return true;
    }
    // As a reset. All that was done inside is seen, and comes before.
    bool Reset() {
        if (!fai_users_close(&users))
            return false;
        for (auto &row : block)
            for (rl::var<int> &each : row)
                FAI_WRITE(each, 0);
        for (int i = 0; i < FAI_READ(made); i++)
            FAI_STORE_RELAXED(&chunks[i].taken, size_t{0});
        fai_users_open(&users);
        return true;
    }
    int Taken() {
        int taken = 0;
        for (auto &row : block)
            for (rl::var<int> &each : row)
                taken += FAI_READ(each);
        return taken;
    }
};

// Each takes so many blocks; the first ones find no chunk, the third a full one.
template <int kThreads, int kEach> struct Take : rl::test_suite<Take<kThreads, kEach>, kThreads> {
    static constexpr const char *kName = "blocks are taken from chunks";
    static constexpr bool kIsFull = kThreads == 2 && kEach == 1;
    Arena arena;

    void thread(unsigned) {
        for (int i = 0; i < kEach; i++)
            arena.Take();
    }
    void after() { RL_ASSERT(arena.Taken() == kThreads * kEach); }
};

// The chunk is there, with room for two of three: one finds it full. One who has found it full
// takes nothing from it.
struct TakeLast : rl::test_suite<TakeLast, 3> {
    static constexpr const char *kName = "blocks are taken from a chunk that is published";
    static constexpr bool kIsFull = true;
    Arena arena;
    rl::atomic<int> full;

    TakeLast() { FAI_STORE_RELAXED(&full, 0); }
    void thread(unsigned index) {
        if (index == 0) {
            FAI_WRITE(arena.chunks[0].bytes, kBlocks * kBlock);
            FAI_STORE_RELAXED(&arena.chunks[0].taken, kBlock);
            fai_shared_make_current(&arena.current, &arena.chunks[0]);
            return;
        }
        fai_shared_chunk *at = fai_shared_find(&arena.current);
        size_t offset;
        if (at == nullptr)
            return;
        if (!fai_shared_chunk_take(at, kBlock, &offset)) {
            RL_ASSERT(FAI_ADD_RELAXED(&full, 1) == 0);
            return;
        }
        RL_ASSERT(offset == kBlock);
        FAI_WRITE(arena.block[0][1], FAI_READ(arena.block[0][1]) + 1);
    }
    void after() { RL_ASSERT(FAI_READ(arena.block[0][1]) <= 1); }
};

// Two are inside, or not, while one closes it; whoever comes in later finds it emptied.
struct Inside : rl::test_suite<Inside, 3> {
    static constexpr const char *kName = "two come in while one empties it";
    static constexpr bool kIsFull = true;
    fai_users users;
    rl::var<int> content[2];

    Inside() {
        FAI_STORE_RELAXED(&users, uint64_t{0});
        for (rl::var<int> &each : content)
            FAI_WRITE(each, 0);
    }
    void thread(unsigned index) {
        if (index != 0) {
            if (!fai_users_enter(&users))
                return;
            FAI_WRITE(content[index - 1], FAI_READ(content[index - 1]) + 1);
            fai_users_leave(&users);
            return;
        }
        if (!fai_users_close(&users))
            return;
        for (rl::var<int> &each : content)
            FAI_WRITE(each, FAI_READ(each) + 1);
        fai_users_open(&users);
    }
    void after() { RL_ASSERT(fai_users_close(&users)); }
};

// The others come in while one empties it, or are refused, or refuse him.
template <int kThreads> struct Empty : rl::test_suite<Empty<kThreads>, kThreads> {
    static constexpr const char *kName = "emptied while others come in";
    static constexpr bool kIsFull = kThreads == 2;
    Arena arena;
    rl::atomic<int> used;

    Empty() {
        FAI_STORE_RELAXED(&used, 0);
        arena.Use();
    }
    void thread(unsigned index) {
        if (index == 0)
            arena.Reset();
        else if (arena.Use())
            FAI_ADD_RELAXED(&used, 1);
    }
    void after() {
        RL_ASSERT(arena.Taken() <= 1 + FAI_LOAD_RELAXED(&used));
        RL_ASSERT(arena.Reset());
        RL_ASSERT(arena.Taken() == 0);
        RL_ASSERT(arena.Use());
    }
};

// Two empty it; one at a time.
struct Twice : rl::test_suite<Twice, 2> {
    static constexpr const char *kName = "emptied by two";
    static constexpr bool kIsFull = true;
    Arena arena;

    Twice() { arena.Use(); }
    void thread(unsigned) { arena.Reset(); }
    void after() { RL_ASSERT(arena.Taken() == 0); }
};

// An owned arena: its holder gives it away, one of the others takes it, uses it, and gives it too.
template <int kThreads> struct HandOver : rl::test_suite<HandOver<kThreads>, kThreads> {
    static constexpr const char *kName = "handed over";
    static constexpr bool kIsFull = kThreads == 2;
    static constexpr uint64_t kFirst = (uint64_t{7} << 32) + 1;

    fai_turn_serial serial;
    fai_turn_user user;
    rl::var<int> content;
    rl::atomic<int> taken;
    char self[kThreads]; // addresses

    HandOver() {
        FAI_STORE_RELAXED(&serial, kFirst);
        FAI_STORE_RELAXED(&user, static_cast<void *>(&self[0]));
        FAI_WRITE(content, 0);
        FAI_STORE_RELAXED(&taken, 0);
    }
    void Use(unsigned index, uint64_t mine) {
        RL_ASSERT(fai_turn_is_mine(&serial, &user, mine, &self[index]));
        FAI_WRITE(content, FAI_READ(content) + 1);
        fai_turn_give(&serial, &user, mine + 1);
        RL_ASSERT(!fai_turn_is_mine(&serial, &user, mine, &self[index]));
    }
    void thread(unsigned index) {
        if (index == 0)
            return Use(0, kFirst);
        RL_ASSERT(!fai_turn_is_mine(&serial, &user, kFirst, &self[index])); // a stolen handle
        if (fai_turn_take(&serial, &user, kFirst + 1, kFirst + 2, &self[index])) {
            RL_ASSERT(FAI_ADD_RELAXED(&taken, 1) == 0);
            Use(index, kFirst + 2);
        }
    }
    void after() {
        RL_ASSERT(FAI_READ(content) == 1 + FAI_LOAD_RELAXED(&taken));
        bool is_there = fai_turn_take(&serial, &user, kFirst + 1, kFirst + 2, &self[0]);
        RL_ASSERT(is_there == (FAI_LOAD_RELAXED(&taken) == 0));
    }
};

// Given once; two want it.
struct Wanted : rl::test_suite<Wanted, 3> {
    static constexpr const char *kName = "given while two want it";
    static constexpr bool kIsFull = true;
    static constexpr uint64_t kFirst = (uint64_t{7} << 32) + 1;

    fai_turn_serial serial;
    fai_turn_user user;
    rl::var<int> content;
    char self[3]; // addresses

    Wanted() {
        FAI_STORE_RELAXED(&serial, kFirst);
        FAI_STORE_RELAXED(&user, static_cast<void *>(&self[0]));
    }
    void thread(unsigned index) {
        if (index == 0) {
            FAI_WRITE(content, 1);
            fai_turn_give(&serial, &user, kFirst + 1);
        } else if (fai_turn_take(&serial, &user, kFirst + 1, kFirst + 2, &self[index])) {
            RL_ASSERT(fai_turn_is_mine(&serial, &user, kFirst + 2, &self[index]));
            FAI_WRITE(content, FAI_READ(content) + 1);
        }
    }
    void after() {
        bool was_taken = FAI_LOAD_RELAXED(&serial) == kFirst + 2;
        RL_ASSERT(FAI_READ(content) == 1 + int(was_taken));
    }
};

TEST(ArenaWeak, HoldsInFull) {
    weak::HoldsInFull<Take<2, 1>, Empty<2>, Twice, HandOver<2>, TakeLast, Inside, Wanted>();
}

TEST(ArenaWeak, HoldsWithin) { weak::HoldsWithin<3, Take<3, 1>, Empty<3>, HandOver<3>>(); }

TEST(ArenaWeak, HoldsAtRandom) {
    weak::HoldsAtRandom<Take<2, 2>, Take<3, 1>, Take<4, 1>, Empty<3>, Empty<4>, HandOver<3>,
                        HandOver<4>>(50000);
}

TEST(ArenaWeak, EachOrderMatters) {
    weak::EachOrderMatters<Take<2, 1>, Empty<2>, Twice, HandOver<2>, Empty<3>>({}, 5000);
}

} // namespace
