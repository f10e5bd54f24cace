// Shared objects and threads: owners and weak references come and go at once; each object is
// destroyed once, by its last owner, who sees what all others wrote.
#include "fa/testing_threads.hpp"

#include <atomic>
#include <vector>

using namespace fa_testing;

namespace {

constexpr size_t kThreads = 4;

struct Object {
    std::atomic<int> *destroyed;
    int written[kThreads]; // by one thread each, without any order but that of the counts
    static void Destroy(void *pointer) {
        Object *object = static_cast<Object *>(pointer);
        for (int each : object->written)
            EXPECT_GE(each, 1);
        object->destroyed->fetch_add(1, std::memory_order_relaxed);
    }
};

void Together(const std::function<void(size_t)> &body) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < kThreads; i++)
        threads.emplace_back(body, i);
    for (std::thread &thread : threads)
        thread.join();
}

class SharedThreadsTest : public testing::TestWithParam<uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Checks, SharedThreadsTest, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

// Every thread has one reference to each object, and gives it up.
TEST_P(SharedThreadsTest, TheLastReleaseSeesAllWrites) {
    Tracked tracked(Config(GetParam()));
    std::atomic<int> destroyed(0);
    const size_t count = Rounds(4000);
    std::vector<Object *> objects;
    for (size_t i = 0; i < count; i++) {
        objects.push_back(fa_shared_new(tracked, Object, Object::Destroy));
        objects.back()->destroyed = &destroyed;
        for (size_t n = 1; n < kThreads; n++)
            EXPECT_EQ(fa_shared_hold(tracked, objects.back()), FA_OK);
    }
    Together([&](size_t number) {
        for (Object *object : objects) {
            object->written[number] = 1;
            EXPECT_EQ(fa_shared_hold(tracked, object), FA_OK);
            object->written[number]++;
            EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
            EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
        }
    });
    EXPECT_EQ(destroyed.load(), static_cast<int>(count));
    EXPECT_EQ(tracked.Live(), 0u);
    tracked.Check();
}

struct Value {
    std::atomic<int> *destroyed;
    uint64_t value, twice;
    static void Destroy(void *pointer) {
        Value *value = static_cast<Value *>(pointer);
        EXPECT_EQ(value->twice, value->value * 2);
        value->value = 0; // whoever could still use it would see this
        value->destroyed->fetch_add(1, std::memory_order_relaxed);
    }
};

// One thread gives objects up while the others try to get them from weak references.
TEST_P(SharedThreadsTest, LockRacesWithTheLastRelease) {
    Tracked tracked(Config(GetParam()));
    std::atomic<int> destroyed(0);
    std::atomic<size_t> locked(0), dead(0);
    const size_t count = Rounds(4000);
    std::vector<Value *> objects;
    std::vector<fa_weak> weak;
    for (size_t i = 0; i < count; i++) {
        Value *object = fa_shared_new(tracked, Value, Value::Destroy);
        *object = Value{&destroyed, i + 1, i * 2 + 2};
        objects.push_back(object);
        weak.push_back(fa_weak_make(tracked, object));
        for (size_t n = 2; n < kThreads; n++)
            EXPECT_EQ(fa_weak_hold(tracked, weak.back()), FA_OK);
    }
    Together([&](size_t number) {
        size_t mine = 0;
        for (size_t i = 0; i < count; i++) {
            if (number == 0) {
                EXPECT_EQ(fa_shared_release(tracked, objects[i]), FA_OK);
                continue;
            }
            Value *object = fa_weak_lock_as(tracked, weak[i], Value);
            EXPECT_EQ(fa_weak_release(tracked, weak[i]), FA_OK);
            if (object == nullptr)
                continue;
            mine++;
            EXPECT_EQ(object->twice, (i + 1) * 2);
            EXPECT_EQ(object->value, i + 1);
            EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
        }
        locked += mine;
        dead += number == 0 ? 0 : count - mine;
    });
    EXPECT_EQ(destroyed.load(), static_cast<int>(count));
    EXPECT_EQ(locked + dead, count * (kThreads - 1));
    EXPECT_EQ(tracked.Live(), 0u);
    tracked.Check();
}

// A seeded mix of all calls over few objects; a model counts what each thread holds.
TEST_P(SharedThreadsTest, ModelOfReferences) {
    Tracked tracked(Config(GetParam()));
    std::atomic<int> destroyed(0);
    constexpr size_t kObjects = 8;
    const uint64_t seed = Random().Seed();
    std::vector<Object *> objects;
    for (size_t i = 0; i < kObjects; i++) {
        Object *object = fa_shared_new(tracked, Object, Object::Destroy);
        object->destroyed = &destroyed;
        for (int &each : object->written)
            each = 1;
        objects.push_back(object);
        for (size_t n = 1; n < kThreads; n++)
            EXPECT_EQ(fa_shared_hold(tracked, object), FA_OK);
    }
    Together([&](size_t number) {
        Engine random(seed + number);
        size_t owned[kObjects], weak[kObjects] = {};
        for (size_t &each : owned)
            each = 1;
        for (size_t step = 0; step < Rounds(20000); step++) {
            const size_t i = Pick(random, 0, kObjects - 1);
            Object *object = objects[i];
            const fa_weak reference = {object};
            switch (Pick(random, 0, 4)) {
            case 0:
                if (owned[i] != 0 && fa_shared_hold(tracked, object) == FA_OK)
                    owned[i]++;
                break;
            case 1:
                if (owned[i] > (step % 16 == 0 ? 0u : 1u)) { // the last one seldom
                    object->written[number]++;
                    EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
                    owned[i]--;
                }
                break;
            case 2:
                if (owned[i] != 0 && fa_weak_make(tracked, object).object == object)
                    weak[i]++;
                break;
            case 3:
                if (weak[i] != 0 && fa_weak_lock(tracked, reference) != nullptr)
                    owned[i]++;
                break;
            default:
                if (weak[i] != 0) {
                    EXPECT_EQ(fa_weak_release(tracked, reference), FA_OK);
                    weak[i]--;
                }
            }
        }
        for (size_t i = 0; i < kObjects; i++) {
            for (; owned[i] != 0; owned[i]--)
                EXPECT_EQ(fa_shared_release(tracked, objects[i]), FA_OK);
            for (; weak[i] != 0; weak[i]--)
                EXPECT_EQ(fa_weak_release(tracked, fa_weak{objects[i]}), FA_OK);
        }
    });
    EXPECT_EQ(destroyed.load(), static_cast<int>(kObjects));
    EXPECT_EQ(tracked.Live(), 0u);
    EXPECT_EQ(tracked.Count(FA_DIAG_FA650), 0u);
    tracked.Check();
}

} // namespace
