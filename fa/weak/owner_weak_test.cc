// Slabs whose owners change (fa/internal/owner.h), against late frees: the end of a thread,
// adoption, a state that another thread uses again, the end of the slab; and how much waits for a
// thread.
#include "fa/weak/checker.hpp"

// What stands in for fa/internal/slab.h.
#define FAI_SLAB_H
#include "fa/internal/queue.h"

struct fai_thread_head {};
struct fai_magazine {};
struct fai_thread : fai_thread_head {
    fai_queue deferred;
    rl::atomic<uint64_t> deferred_queued, deferred_processed;
};
struct fai_slab {
    struct {
        rl::atomic<fai_thread_head *> owner;
        rl::atomic<fai_magazine *> magazine;
    } head;
    rl::var<uint32_t> class_bytes; // stands for the whole record: written when it is given back
    rl::var<int> free_count;       // guarded as in the library: the owner's, or the lock's
};
struct fa_allocator {
    weak::Lock lock;
};
static void fai_lock(fa_allocator *allocator) { allocator->lock.Take(); }
static void fai_unlock(fa_allocator *allocator) { allocator->lock.Give(); }

#include "fa/internal/owner.h"

namespace {

constexpr uint32_t kBytes = 64;
constexpr int kObjects = 3;

struct Block : weak::Pair {
    rl::var<int> content; // what the freeing thread did last, and the next user does
};

// A slab of three objects, of thread state a; all are out.
struct World {
    fa_allocator allocator;
    fai_slab slab;
    fai_thread a, b;
    fai_magazine magazine;
    Block block[kObjects];
    rl::var<int> back[kObjects];
    static World *&Now() {
        static World *now;
        return now;
    }

    World() {
        Now() = this;
        Make(&a);
        fai_slab_give(&slab, &a, &magazine);
        FAI_WRITE(slab.class_bytes, kBytes);
        FAI_WRITE(slab.free_count, 0);
        for (rl::var<int> &count : back)
            FAI_WRITE(count, 0);
    }

    // A state as it is when it is new, and ready for its thread.
    static void Make(fai_thread *state) {
        FAI_STORE_RELAXED(&state->deferred_queued, uint64_t{0});
        FAI_STORE_RELAXED(&state->deferred_processed, uint64_t{0});
        fai_queue_open(&state->deferred);
    }
    bool IsMine(const fai_thread *state) const { return fai_slab_owner_known(&slab) == state; }

    // Into the bitmap, by whoever may. Its memory is somebody else's from now on.
    void Put(void *object) {
        Block *own = static_cast<Block *>(static_cast<weak::Object *>(object));
        int i = int(own - block);
        FAI_WRITE(own->content, -1);
        FAI_WRITE(back[i], FAI_READ(back[i]) + 1);
        FAI_WRITE(slab.free_count, FAI_READ(slab.free_count) + 1);
    }
    // The record goes with the last object. Under the lock.
    void ReleaseIfFree() {
        if (FAI_READ(slab.free_count) != kObjects)
            return;
        fai_slab_disown(&slab);
        FAI_WRITE(slab.class_bytes, 0u);
    }
    bool IsReleased() { return FAI_READ(slab.class_bytes) == 0; } // under the lock

    void Free(int i) {
        FAI_WRITE(block[i].content, i);
        RL_ASSERT(fai_deferred_free_one(&allocator, &slab, static_cast<weak::Object *>(&block[i])));
    }

    // As fa_deferred_process; the slab is released at once when nothing is out.
    void Process(fai_thread *state) {
        void *list = fai_queue_take(&state->deferred);
        uint64_t amount = 0;
        for (void *next; list != nullptr; list = next, amount += fai_amount(1, kBytes)) {
            next = fai_link_read(list);
            if (!IsMine(state)) {
                RL_ASSERT(fai_deferred_free_one(&allocator, &slab, list));
                continue;
            }
            Put(list);
            fai_lock(&allocator);
            ReleaseIfFree();
            fai_unlock(&allocator);
        }
        fai_deferred_done(state, amount);
    }

    // As the end of a thread.
    void Exit(fai_thread *state) {
        fai_lock(&allocator);
        uint64_t amount = 0;
        void *list = fai_queue_close(&state->deferred);
        for (void *next; list != nullptr; list = next, amount += fai_amount(1, kBytes)) {
            next = fai_link_read(list);
            if (IsMine(state))
                Put(list);
            else
                RL_ASSERT(fai_deferred_pass_on(&allocator, &slab, list));
        }
        fai_deferred_done(state, amount);
        if (IsMine(state)) {
            fai_slab_disown(&slab);
            ReleaseIfFree();
        }
        fai_unlock(&allocator);
    }

    // As a pool that needs a slab: takes it where it has been left. The state is the caller's.
    bool Adopt(fai_thread *state) {
        fai_lock(&allocator);
        bool adopts = IsMine(nullptr) && !IsReleased();
        if (adopts)
            fai_slab_give(&slab, state, &magazine);
        fai_unlock(&allocator);
        return adopts;
    }

    void ExpectBack(int from, int to) {
        for (int i = from; i < to; i++)
            RL_ASSERT(FAI_READ(back[i]) == 1);
        RL_ASSERT(IsReleased() == (FAI_READ(slab.free_count) == kObjects));
    }
};

} // namespace

bool fai_pool_put_abandoned(fa_allocator *, fai_slab *, void *object) {
    World *world = World::Now();
    RL_ASSERT(world->IsMine(nullptr) && !world->IsReleased());
    world->Put(object);
    world->ReleaseIfFree();
    return true;
}

namespace {

// The owner takes in what has come, and ends; others free the last objects.
template <int kThreads, bool kTakes>
struct LateFree : rl::test_suite<LateFree<kThreads, kTakes>, kThreads> {
    static constexpr const char *kName =
        kTakes ? "free while the owner takes, and ends" : "free while the owner ends";
    static constexpr bool kIsFull = kThreads == 2 || !kTakes;
    World world;

    LateFree() {
        for (int i = kThreads - 1; i < kObjects; i++)
            world.Put(&world.block[i]);
    }
    void thread(unsigned index) {
        if (index != 0)
            return world.Free(int(index) - 1);
        if (kTakes)
            world.Process(&world.a);
        world.Exit(&world.a);
    }
    void after() {
        world.ExpectBack(0, kObjects);
        RL_ASSERT(world.IsReleased());
    }
};

// The owner ends, a new thread adopts the slab, while others free: its state is new to them.
template <int kFreers> struct Adoption : rl::test_suite<Adoption<kFreers>, 2 + kFreers> {
    static constexpr const char *kName = "free while the slab is adopted";
    static constexpr bool kIsFull = false;
    World world;

    Adoption() { world.Put(&world.block[2]); }
    void thread(unsigned index) {
        if (index == 0)
            return world.Exit(&world.a);
        if (index >= 2)
            return world.Free(int(index) - 2);
        World::Make(&world.b);
        if (world.Adopt(&world.b))
            world.Process(&world.b);
    }
    void after() {
        world.Process(&world.b);
        world.ExpectBack(0, kFreers);
        world.ExpectBack(2, kObjects);
    }
};

// The same as short as it can be: the slab is nobody's to begin with.
struct Surprise : rl::test_suite<Surprise, 2> {
    static constexpr const char *kName = "free into a slab with a new owner";
    static constexpr bool kIsFull = true;
    World world;

    Surprise() { world.Exit(&world.a); }
    void thread(unsigned index) {
        if (index == 0)
            return world.Free(0);
        World::Make(&world.b);
        world.Adopt(&world.b);
    }
    void after() {
        world.Process(&world.b);
        world.ExpectBack(0, 1);
    }
};

// The slab is nobody's; one adopts it while two free objects of it, which find an owner or not.
struct Found : rl::test_suite<Found, 3> {
    static constexpr const char *kName = "two free into a slab with a new owner";
    static constexpr bool kIsFull = true;
    World world;

    Found() { world.Exit(&world.a); }
    void thread(unsigned index) {
        if (index != 0)
            return world.Free(int(index) - 1);
        World::Make(&world.b);
        world.Adopt(&world.b);
    }
    void after() {
        world.Process(&world.b);
        world.ExpectBack(0, 2);
    }
};

// The same as short as it can be with three: one frees, and one looks how much waits for the owner
// that he finds.
struct Asked : rl::test_suite<Asked, 3> {
    static constexpr const char *kName = "a free and a look at a new owner";
    static constexpr bool kIsFull = true;
    World world;

    Asked() { world.Exit(&world.a); }
    void thread(unsigned index) {
        if (index == 0) {
            World::Make(&world.b);
            world.Adopt(&world.b);
        } else if (index == 1) {
            world.Free(0);
        } else if (const fai_thread *owner = fai_slab_owner(&world.slab)) {
            uint64_t waits = fai_deferred_waiting(owner);
            RL_ASSERT(waits == 0 || waits == fai_amount(1, kBytes));
        }
    }
    void after() {
        world.Process(&world.b);
        world.ExpectBack(0, 1);
    }
};

// The owner ends while one object comes late, and a third thread adopts the slab if it was left.
struct Inherit : rl::test_suite<Inherit, 3> {
    static constexpr const char *kName = "one free, an end and an adoption";
    static constexpr bool kIsFull = false;
    World world;

    Inherit() { World::Make(&world.b); }
    void thread(unsigned index) {
        if (index == 0)
            world.Exit(&world.a);
        else if (index == 1)
            world.Free(0);
        else
            world.Adopt(&world.b);
    }
    void after() {
        world.Process(&world.b);
        world.ExpectBack(0, 1);
    }
};

// The slab goes with the object that comes back last: nobody has it, and three free the last three.
template <bool kIsWrong> struct LastOf : rl::test_suite<LastOf<kIsWrong>, 3> {
    static constexpr const char *kName =
        kIsWrong ? "one puts it down without the lock" : "three free the last three";
    static constexpr bool kIsFull = true;
    World world;

    LastOf() { world.Exit(&world.a); }
    void thread(unsigned index) {
        weak::Object *object = &world.block[index];
        if (kIsWrong && index == 0)
            (void)fai_pool_put_abandoned(&world.allocator, &world.slab, object);
        else
            world.Free(int(index));
    }
    void after() {
        world.ExpectBack(0, kObjects);
        RL_ASSERT(world.IsReleased());
    }
};
struct Last : LastOf<false> {
    using Wrong = LastOf<true>;
};

// The same where it has an owner, who takes in the last two as they come.
struct GiveBack : rl::test_suite<GiveBack, 3> {
    static constexpr const char *kName = "the owner takes in the last two";
    static constexpr bool kIsFull = false;
    World world;

    GiveBack() { world.Put(&world.block[2]); }
    void thread(unsigned index) {
        if (index == 2)
            world.Process(&world.a);
        else
            world.Free(int(index));
    }
    void after() {
        world.Process(&world.a);
        world.ExpectBack(0, kObjects);
        RL_ASSERT(world.IsReleased());
    }
};

// The owner ends, and another thread uses its state; the slab is left, or a third one adopts it.
// What comes late is passed on.
template <bool kAdopts> struct Again : rl::test_suite<Again<kAdopts>, kAdopts ? 3 : 2> {
    static constexpr const char *kName = kAdopts ? "free while the state is used again, and adopted"
                                                 : "free while the state is used again";
    static constexpr bool kIsFull = !kAdopts;
    World world;

    Again() { World::Make(&world.b); }
    void thread(unsigned index) {
        if (index == 1)
            return world.Free(0);
        if (index == 2) {
            world.Adopt(&world.b);
            return world.Process(&world.b);
        }
        world.Exit(&world.a);
        fai_queue_open(&world.a.deferred);
        world.Process(&world.a);
        if (kAdopts) // else it would take too long to see all
            world.Exit(&world.a);
    }
    void after() {
        world.Process(kAdopts ? &world.b : &world.a);
        world.ExpectBack(0, 1);
    }
};

// In a queue with an end: never more than fit, and nobody is refused who finds room.
template <int kPushers, int kEach, int kMax>
struct Bounded : rl::test_suite<Bounded<kPushers, kEach, kMax>, kPushers + 1> {
    static constexpr const char *kName =
        kMax < kPushers * kEach ? "a queue that may be full" : "a queue that is never full";
    static constexpr bool kIsFull = kPushers * kEach == 1;

    fai_thread owner;
    Block block[kPushers * kEach];
    rl::atomic<int> refused, taken;

    Bounded() {
        World::Make(&owner);
        FAI_STORE_RELAXED(&refused, 0);
        FAI_STORE_RELAXED(&taken, 0);
    }
    void Take() {
        size_t count = 0;
        void *list = fai_queue_take(&owner.deferred);
        size_t most = fai_amount_count(fai_deferred_waiting(&owner));
        for (; list != nullptr; list = fai_link_read(list))
            count++;
        RL_ASSERT(count <= kMax);
        RL_ASSERT(count <= most); // else it would be taken for a ring
        FAI_ADD_RELAXED(&taken, int(count));
        fai_deferred_done(&owner, fai_amount(count, count * kBytes));
    }
    void thread(unsigned index) {
        if (index == 0) {
            Take();
            return Take();
        }
        for (int i = 0; i < kEach; i++) {
            Block *own = &block[(int(index) - 1) * kEach + i];
            uint64_t amount = fai_amount(1, kBytes);
            if (!fai_deferred_reserve(&owner, kMax, amount)) {
                RL_ASSERT(kMax < kPushers * kEach);
                FAI_ADD_RELAXED(&refused, 1);
                continue;
            }
            weak::Object *object = own;
            RL_ASSERT(fai_deferred_push_reserved(&owner, object, object, amount));
        }
    }
    void after() {
        Take();
        RL_ASSERT(FAI_LOAD_RELAXED(&taken) + FAI_LOAD_RELAXED(&refused) == kPushers * kEach);
        RL_ASSERT(fai_deferred_waiting(&owner) == 0);
    }
};

// There is room for both; one has come and gone by the time that the other asks, or not.
struct Room : rl::test_suite<Room, 2> {
    static constexpr const char *kName = "a queue with room for both";
    static constexpr bool kIsFull = true;

    fai_thread owner;
    Block block;

    Room() { World::Make(&owner); }
    void thread(unsigned index) {
        if (index == 1) {
            RL_ASSERT(fai_deferred_reserve(&owner, 2, fai_amount(1, kBytes)));
            return;
        }
        weak::Object *object = &block;
        RL_ASSERT(fai_deferred_push_one(&owner, object, kBytes));
        RL_ASSERT(fai_queue_take(&owner.deferred) == object);
        fai_deferred_done(&owner, fai_amount(1, kBytes));
    }
    void after() { RL_ASSERT(fai_deferred_waiting(&owner) == fai_amount(1, kBytes)); }
};

// Somebody else looks how much waits.
struct Look : rl::test_suite<Look, 3> {
    static constexpr const char *kName = "a look at what waits";
    static constexpr bool kIsFull = true;
    World world;

    void thread(unsigned index) {
        if (index == 0)
            return world.Process(&world.a);
        if (index == 1)
            return world.Free(0);
        uint64_t waits = fai_deferred_waiting(&world.a);
        RL_ASSERT(waits == 0 || waits == fai_amount(1, kBytes));
    }
    void after() {
        world.Process(&world.a);
        world.ExpectBack(0, 1);
        RL_ASSERT(fai_deferred_waiting(&world.a) == 0);
    }
};

TEST(OwnerWeak, HoldsInFull) {
    weak::HoldsInFull<LateFree<2, false>, LateFree<2, true>, Surprise, Look, Room, Bounded<1, 1, 1>,
                      Again<false>, Asked, Last>();
}

TEST(OwnerWeak, HoldsWithin) {
    weak::HoldsWithin<3, LateFree<3, false>, LateFree<3, true>, Adoption<1>, Found, Inherit,
                      GiveBack, Again<true>, Bounded<2, 1, 1>>();
}

TEST(OwnerWeak, HoldsAtRandom) {
    weak::HoldsAtRandom<LateFree<3, false>, LateFree<3, true>, LateFree<4, true>, Adoption<1>,
                        Adoption<2>, Again<false>, Again<true>, Bounded<2, 1, 2>, Bounded<2, 2, 4>,
                        Bounded<2, 2, 1>, Bounded<3, 1, 2>>(50000);
}

TEST(OwnerWeak, EachOrderMatters) {
    weak::EachOrderMatters<Surprise, LateFree<2, true>, Look, Room, Adoption<1>, Again<true>>({},
                                                                                              5000);
}

} // namespace
