/* The job system: every job once, in order, and nothing allocated on the way. */
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <new>
#include <set>

#include "scenarios/job_system.hpp"
#include "scenarios/scenario.hpp"

using namespace scenarios;

namespace {
std::atomic<size_t> news{0};
}

/* Not inlined: gcc takes what it sees of them for a mismatch. */
[[gnu::noinline]] void *operator new(size_t size) {
    news.fetch_add(1, std::memory_order_relaxed);
    if (void *block = std::malloc(size ? size : 1))
        return block;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void *block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void *block, size_t) noexcept { std::free(block); }

namespace {

/* Jobs that write down, without atomics, when they ran: who waits for a job must see it. */
class Model {
  public:
    explicit Model(uint64_t seed, uint32_t count) : random_(seed), ran_(count), before_(count) {
        for (uint32_t i = 0; i < count; i++) {
            graph_.add(job, this, i);
            for (uint32_t edges = i == 0 ? 0 : random_.below(4); edges-- > 0;)
                if (uint32_t other = random_.below(i); before_[i].insert(other).second)
                    graph_.order(other, i);
        }
    }
    void run(JobSystem &system) {
        expected_++;
        system.run(graph_, nullptr, nullptr);
        for (uint32_t ran : ran_)
            ASSERT_EQ(expected_, ran);
        ASSERT_EQ(0u, early_.load());
    }

  private:
    static void job(void *self, uint32_t index, unsigned) {
        Model &model = *static_cast<Model *>(self);
        for (uint32_t before : model.before_[index])
            if (model.ran_[before] != model.expected_)
                model.early_++;
        model.ran_[index]++;
    }
    Random random_;
    std::vector<uint32_t> ran_;
    std::vector<std::set<uint32_t>> before_;
    uint32_t expected_ = 0;
    std::atomic<uint32_t> early_{0};
    JobGraph graph_;
};

TEST(JobSystem, EachJobRunsOnceAfterThoseThatItWaitsFor) {
    for (unsigned threads : {1u, 2u, 3u, 8u}) {
        JobSystem system(threads, 500);
        EXPECT_EQ(threads, system.thread_count());
        for (uint64_t seed = 1; seed <= 8; seed++) {
            SCOPED_TRACE("seed " + std::to_string(seed));
            Model model(seed, seed == 1 ? 1 : 100 * static_cast<uint32_t>(1 + seed % 5));
            for (int i = 0; i < 20; i++)
                model.run(system);
        }
    }
}

struct Entries {
    uint32_t entered[8] = {}, jobs[8] = {};
    static void enter(void *self, uint32_t, unsigned worker) {
        static_cast<Entries *>(self)->entered[worker]++;
    }
    static void job(void *self, uint32_t, unsigned worker) {
        Entries &entries = *static_cast<Entries *>(self);
        if (entries.entered[worker] == 0)
            throw std::logic_error("a job before enter");
        entries.jobs[worker]++;
    }
};

TEST(JobSystem, EachThreadEntersOnceARun) {
    for (unsigned threads : {1u, 2u, 8u}) {
        Entries entries;
        JobGraph graph;
        for (uint32_t i = 0; i < 1000; i++)
            graph.add(Entries::job, &entries, i);
        JobSystem system(threads, graph.size());
        for (int i = 0; i < 10; i++)
            system.run(graph, Entries::enter, &entries);
        system.run(JobGraph(), Entries::enter, &entries);
        uint32_t jobs = 0;
        for (unsigned i = 0; i < 8; i++) {
            EXPECT_EQ(i < threads ? 11u : 0u, entries.entered[i]);
            jobs += entries.jobs[i];
        }
        EXPECT_EQ(10000u, jobs);
    }
}

TEST(JobSystem, NothingIsAllocatedInARun) {
    Entries entries;
    JobGraph graph;
    for (uint32_t i = 0; i < 1000; i++) {
        graph.add(Entries::job, &entries, i);
        if (i > 0)
            graph.order(i / 2, i);
    }
    JobSystem system(2, graph.size());
    system.run(graph, Entries::enter, &entries);
    size_t before = news.load();
    for (int i = 0; i < 10; i++)
        system.run(graph, Entries::enter, &entries);
    EXPECT_EQ(before, news.load());
}

struct Thrower {
    bool armed = true;
    std::atomic<uint32_t> ran{0};
    static void job(void *self, uint32_t index, unsigned) {
        Thrower &thrower = *static_cast<Thrower *>(self);
        if (thrower.armed && index == 0)
            throw std::runtime_error("broke off");
        thrower.ran++;
    }
    static void enter(void *self, uint32_t, unsigned) {
        if (static_cast<Thrower *>(self)->armed)
            throw std::runtime_error("did not enter");
    }
};

std::string thrown_by(const std::function<void()> &call) {
    try {
        call();
    } catch (const std::exception &error) {
        return error.what();
    }
    return "";
}

TEST(JobSystem, AnExceptionComesOutOfRun) {
    for (unsigned threads : {1u, 2u, 4u}) {
        Thrower thrower;
        JobGraph graph;
        for (uint32_t i = 0; i < 100; i++) {
            graph.add(Thrower::job, &thrower, i);
            if (i > 0)
                graph.order(0, i);
        }
        JobSystem system(threads, graph.size());
        EXPECT_EQ("broke off", thrown_by([&] { system.run(graph, nullptr, &thrower); }));
        EXPECT_EQ(0u, thrower.ran.load()) << "what waits for a job that broke off";
        EXPECT_EQ("did not enter", thrown_by([&] { system.run(graph, Thrower::enter, &thrower); }));
        EXPECT_EQ(0u, thrower.ran.load());
        thrower.armed = false;
        EXPECT_EQ("", thrown_by([&] { system.run(graph, Thrower::enter, &thrower); }));
        EXPECT_EQ(100u, thrower.ran.load());
    }
}

TEST(JobSystem, BadNumbersAreRefused) {
    EXPECT_THROW(JobSystem(0, 10), std::invalid_argument);
    EXPECT_THROW(JobSystem(JobSystem::kThreadsMax + 1, 10), std::invalid_argument);
    JobGraph graph;
    for (uint32_t i = 0; i < 3; i++)
        graph.add(Thrower::job, nullptr, i);
    EXPECT_THROW(graph.order(0, 3), std::out_of_range);
    EXPECT_THROW(graph.order(3, 0), std::out_of_range);
    JobSystem system(2, 2);
    EXPECT_THROW(system.run(graph, nullptr, nullptr), std::invalid_argument);
}

TEST(JobDeque, EveryJobGoesToOneThread) {
    constexpr uint32_t kCount = 20000, kThieves = 2;
    JobDeque deque;
    deque.reserve(64);
    std::vector<std::atomic<uint32_t>> got(kCount);
    std::atomic<bool> over{false};
    std::vector<std::thread> thieves;
    for (uint32_t i = 0; i < kThieves; i++)
        thieves.emplace_back([&] {
            while (!over.load()) {
                uint32_t job = deque.steal();
                if (job != JobDeque::kNone)
                    got[job]++;
                else
                    std::this_thread::yield();
            }
        });
    Random random(1);
    for (uint32_t next = 0; next < kCount;) {
        uint32_t pushed = 1 + random.below(4);
        for (; pushed > 0 && next < kCount; pushed--)
            deque.push(next++);
        for (;;) {
            uint32_t job = deque.take();
            if (job == JobDeque::kNone)
                break;
            got[job]++;
        }
    }
    over = true;
    for (std::thread &thief : thieves)
        thief.join();
    EXPECT_EQ(JobDeque::kNone, deque.take());
    for (uint32_t i = 0; i < kCount; i++)
        ASSERT_EQ(1u, got[i].load()) << i;
}

TEST(JobDeque, OwnerTakesTheNewestThievesTheOldest) {
    JobDeque deque;
    deque.reserve(4);
    for (uint32_t i = 1; i <= 4; i++)
        deque.push(i);
    EXPECT_EQ(1u, deque.steal());
    EXPECT_EQ(4u, deque.take());
    EXPECT_EQ(2u, deque.steal());
    EXPECT_EQ(3u, deque.take());
    EXPECT_EQ(JobDeque::kNone, deque.take());
    EXPECT_EQ(JobDeque::kNone, deque.steal());
}

} // namespace
