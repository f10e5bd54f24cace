// Proofs for weak memory. A protocol's header (fa/internal/queue.h and others) is compiled a second
// time, here, with the macros of fa/internal/atomic.h over the variables of Relacy, which then runs
// small programs ("suites") in all orders of events that the language allows, or in many at random:
// loads may see old values, and what no acquire and release order counts as a data race. (Vyukov,
// Relacy Race Detector. What it leaves out: loads that are done after later stores of their thread;
// and where it looks at all, values older than the last but one, and that a compare and swap of one
// variable fails for no reason a second time.)
//
// A test says of a protocol:
//   HoldsInFull<Suite...>()       no order of events breaks it
//   HoldsWithin<n, Suite...>()    nor does one of those in which threads are interrupted n times at
//                                 most, where all would take too long; all others are tried: which
//                                 thread goes on where one ends, waits or yields, what loads see
//   HoldsAtRandom<Suite...>(n)    nor do n random ones
//   EachOrderMatters<Suite...>()  take any acquire or release away, and some suite breaks; but for
//                                 those in a list, each with the reason why it may stay
// The first two say of each suite how many executions there were, and, since a suite that can't
// fail says nothing, what breaks it: an order that is weakened, or something wrong on purpose.
//
// Protocols, with what is run of three threads (two: all in full; four: at random):
//   queue.h         frees on their way, and the end of their owner        in full
//   owner.h         adoption, the end of a slab, a look at what waits     in full
//                   ... with the whole end of a thread, and its state
//                   used again; a queue with an end                       within 3
//   segments.h      memory given back, and another block in its place     in full; rows within 3
//   transfer.h      made, sent, claimed once                              in full; again within 4
//   barrier.h       arrive, look, leave                                   in full; sleep within 3,
//                                                                         time-outs within 1
//   timeline.h      counter, references, the end of the gate              in full; waiting within 3
//   shared_chunk.h, users.h, turn.h  blocks, emptying, handing over       in full; all within 3
//   slot.h          resolve and pin against free and move                 in full; all within 3
//   counts.h        owners, weak references                               in full; locks within 3
//   listener.h      opened, called, closed                                in full; all within 4
//   seal.h          calls while it is sealed                              in full; twice within 4
//   latch.h         tried                                                 in full
//   ledger.h        limits set while others charge                        within 3
//
// Include this first: it stands in for fa/internal/atomic.h.
#ifndef FA_WEAK_CHECKER_HPP
#define FA_WEAK_CHECKER_HPP

#include "fa/base.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ostream>
#include <random>
#include <streambuf>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include <relacy/relacy.hpp>
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno

namespace weak {

// One ordered operation in the source of a protocol. It enters the list when it is first run.
struct Site {
    enum Kind { kLoad, kStore, kUpdate };

    const char *function, *operation;
    Kind kind;
    rl::memory_order written; // in the source
    rl::memory_order now;     // in this run
    unsigned number;          // of those of one name, from 1
    Site *next;

    Site(const char *in, const char *name, Kind what, rl::memory_order order)
        : function(in), operation(name), kind(what), written(order), now(order), number(1),
          next(Newest()) {
        for (const Site *other = next; other != nullptr; other = other->next)
            number += Prefix() == other->Prefix();
        Newest() = this;
    }

    static Site *&Newest() {
        static Site *newest;
        return newest;
    }

    // The next weaker orders: one for each thing that can be taken away.
    std::vector<rl::memory_order> Weaker() const {
        if (written == rl::mo_seq_cst)
            return {kind == kLoad    ? rl::mo_acquire
                    : kind == kStore ? rl::mo_release
                                     : rl::mo_acq_rel};
        if (written == rl::mo_acq_rel)
            return {rl::mo_acquire, rl::mo_release};
        return {rl::mo_relaxed};
    }

    // "fai_queue_push: CAS_RELEASE as relaxed"
    std::string Name(rl::memory_order order) const {
        return Prefix() + (number > 1 ? " " + std::to_string(number) : "") + " as " +
               rl::format(order);
    }

  private:
    // Without memory from the heap, of which Relacy keeps account, this could not be compared.
    struct Text {
        const char *function, *operation;
        bool operator==(const Text &other) const {
            return std::strcmp(function, other.function) == 0 &&
                   std::strcmp(operation, other.operation) == 0;
        }
        std::string operator+(const std::string &end) const {
            return std::string(function) + ": " + operation + end;
        }
    };
    Text Prefix() const { return {function, operation}; }
};

// What has the link in its first word.
struct Object {
    rl::var<void *> link;
};

// And another address in the second.
struct Pair : Object {
    rl::var<void *> more;
};

// A lock as the protocols' users have them.
struct Lock {
    rl::mutex mutex;
    void Take() { mutex.lock(RL_INFO); }
    void Give() { mutex.unlock(RL_INFO); }
};

// The kernel's futex calls: to look and fall asleep, and to wake, are one step each. There a lock
// orders those of one word; here an update does. A suite that sleeps has one of these.
struct Kernel {
    rl::atomic<int> lock;

    Kernel() {
        lock.store(0, rl::mo_relaxed, RL_INFO);
        Now() = this;
    }
    static Kernel *&Now() {
        static Kernel *now;
        return now;
    }

    // Returns false when the time was over, as may be at any moment when it is_timed.
    template <typename Word>
    bool Wait(rl::atomic<Word> *word, Word expected, Word mask, bool is_timed) {
        rl::context &context = rl::ctx();
        context.sched();
        {
            rl::preemption_disabler one_step(context);
            lock.fetch_add(0, rl::mo_acq_rel, RL_INFO);
            if ((word->load(rl::mo_relaxed, RL_INFO) & mask) != (expected & mask))
                return true;
        }
        return word->wait(context, is_timed, false, RL_INFO) != rl::unpark_reason_timeout;
    }
    template <typename Word> void Wake(rl::atomic<Word> *word) {
        rl::context &context = rl::ctx();
        context.sched();
        rl::preemption_disabler one_step(context);
        lock.fetch_add(0, rl::mo_acq_rel, RL_INFO);
        word->wake(context, 1 << 20, RL_INFO);
    }
};

// Where Relacy prints to: while it runs, memory is its own, so this asks for none.
struct Story : std::streambuf {
    char text[1 << 16];
    std::ostream stream;
    Story() : stream(this) { setp(text, text + sizeof text); }
    std::string Told() const { return std::string(pbase(), pptr()); }
};

struct Outcome {
    bool holds;
    uint64_t runs;
    std::string story; // of the run that failed
};

// Which executions.
struct Search {
    rl::scheduler_type_e type;
    unsigned switches;     // bound: so many at most from a thread that could go on
    uint64_t first, count; // random
    static Search All() { return {rl::sched_full, 0, 0, 0}; }
    static Search Within(unsigned switches) { return {rl::sched_bound, switches, 0, 0}; }
    static Search Random(uint64_t first, uint64_t count) {
        return {rl::sched_random, 0, first, count};
    }
    std::string Name() const {
        return type == rl::sched_full    ? "all there are"
               : type == rl::sched_bound ? "all within " + std::to_string(switches) + " switches"
                                         : "random";
    }
};

template <class Suite> Outcome Run(const Search &search) {
    auto [type, switches, first, count] = search;
    Story story;
    rl::test_params parameters;
    parameters.search_type = type;
    parameters.context_bound = switches;
    parameters.execution_depth_limit = 500;
    parameters.iteration_count = first + count;
    if (type == rl::sched_random)
        parameters.initial_state = std::to_string(first).c_str();
    parameters.output_stream = parameters.progress_stream = &story.stream;
    bool holds = rl::simulate<Suite>(parameters);
    // Relacy numbers the executions from 0 on, and stops before the first random one too many.
    uint64_t last = type == rl::sched_random && holds ? 0 : 1;
    return {holds, parameters.stop_iteration - first + last, story.Told()};
}

template <class Suite> void Expect(const Search &search) {
    Outcome outcome = Run<Suite>(search);
    EXPECT_TRUE(outcome.holds) << outcome.story;
    std::printf("%d threads, %s: %llu executions, %s\n", Suite::params::thread_count, Suite::kName,
                (unsigned long long)outcome.runs, search.Name().c_str());
}

// What is wrong on purpose with a suite in which only updates, or a lock, and no orders matter.
template <class Suite, class = void> struct WrongOf { using type = void; };
template <class Suite> struct WrongOf<Suite, std::void_t<typename Suite::Wrong>> {
    using type = typename Suite::Wrong;
};

// Some order taken away breaks the suite. Which executions are tried is the same each time.
template <class Suite> void ExpectToBreak() {
    std::vector<Search> searches = {Search::Random(0, 20000)};
    if (Suite::kIsFull) // where that is too rare
        searches.push_back(Search::All());
    using Wrong = typename WrongOf<Suite>::type;
    if constexpr (!std::is_void_v<Wrong>) {
        bool holds = true;
        for (const Search &search : searches)
            holds = holds && Run<Wrong>(search).holds;
        EXPECT_FALSE(holds) << Wrong::kName;
        std::printf("    breaks when %s\n", Wrong::kName);
        return;
    }
    for (const Search &search : searches)
        for (Site *site = Site::Newest(); site != nullptr; site = site->next)
            for (rl::memory_order order : site->Weaker()) {
                site->now = order;
                Outcome outcome = Run<Suite>(search);
                site->now = site->written;
                if (!outcome.holds) {
                    std::printf("    breaks with %s\n", site->Name(order).c_str());
                    return;
                }
            }
    ADD_FAILURE() << Suite::kName << ": nothing breaks it";
}

template <class... Suites> void HoldsInFull() {
    ((Expect<Suites>(Search::All()), ExpectToBreak<Suites>()), ...);
}

template <unsigned kSwitches, class... Suites> void HoldsWithin() {
    ((Expect<Suites>(Search::Within(kSwitches)), ExpectToBreak<Suites>()), ...);
}

// FA_TEST_SEED=... runs the same again.
inline uint64_t Seed() {
    const char *chosen = std::getenv("FA_TEST_SEED");
    uint64_t seed = chosen ? std::strtoull(chosen, nullptr, 0) : std::random_device()();
    std::printf("FA_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed + 1;
}

template <class... Suites> void HoldsAtRandom(uint64_t count) {
    uint64_t seed = Seed();
    (Expect<Suites>(Search::Random(seed, count)), ...);
}

// A weakening that breaks nothing: its name as printed, and why it is in the source all the same.
struct Harmless {
    std::string name, why;
};

// Suites with kIsFull are run in full, the others count times at random.
template <class... Suites>
void EachOrderMatters(const std::vector<Harmless> &harmless, uint64_t count) {
    auto breaks = [&](uint64_t seed) {
        return (!Run<Suites>(Suites::kIsFull ? Search::All() : Search::Random(seed, count)).holds ||
                ...);
    };
    uint64_t seed = Seed();
    ASSERT_FALSE(breaks(seed)); // and every site enters the list
    size_t tried = 0, known = 0;
    for (Site *site = Site::Newest(); site != nullptr; site = site->next) {
        for (rl::memory_order order : site->Weaker()) {
            std::string name = site->Name(order), why;
            for (const Harmless &entry : harmless)
                if (entry.name == name)
                    why = entry.why;
            site->now = order;
            bool broken = breaks(seed);
            site->now = site->written;
            tried++;
            known += !why.empty();
            if (why.empty())
                EXPECT_TRUE(broken) << name << " breaks nothing";
            else
                EXPECT_FALSE(broken) << name << " does break something";
            std::printf("%s: %s\n", name.c_str(), broken ? "found" : why.c_str());
        }
    }
    EXPECT_NE(tried, 0u);
    EXPECT_EQ(known, harmless.size()) << "the list names what does not exist";
}

} // namespace weak

// ---- what stands in for fa/internal/atomic.h, fa/internal/futex.h and the relaxed operations of
// fa/fast.h ----

#define FAI_ATOMIC_H
#define FAI_ATOMIC(type) rl::atomic<type>
#define FAI_PLAIN(type) rl::var<type>
#define FAI_READ(variable) ((variable)(RL_INFO).load())
#define FAI_WRITE(variable, value) ((variable)(RL_INFO).store(value))

static inline void *fai_link_read(const void *object) {
    return FAI_READ(static_cast<const weak::Object *>(object)->link);
}
static inline void fai_link_write(void *object, void *next) {
    FAI_WRITE(static_cast<weak::Object *>(object)->link, next);
}

static inline void fai_word_write(void *object, size_t, void *value) {
    FAI_WRITE(static_cast<weak::Pair *>(static_cast<weak::Object *>(object))->more, value);
}

#define FAI_FUTEX_H
typedef bool fai_deadline; // whether there is one
#define FAI_FUTEX_WAIT(word, expected, deadline)                                                   \
    weak::Kernel::Now()->Wait<uint64_t>((word), (expected), 0xFFFFFFFFu, (deadline))
#define FAI_FUTEX_WAKE(word) weak::Kernel::Now()->Wake<uint64_t>(word)

#define WEAK_ORDER(operation, kind, order)                                                         \
    (__extension__({                                                                               \
        static weak::Site weak_site(__func__, operation, weak::Site::kind, rl::order);             \
        weak_site.now;                                                                             \
    }))
#define WEAK_CAS(name, order, pointer, expected, desired)                                          \
    (pointer)->compare_exchange_weak(*(expected), (desired), WEAK_ORDER(name, kUpdate, order),     \
                                     RL_INFO, rl::mo_relaxed, RL_INFO)

#define FAI_HAS_ONE_THREAD false

#define FAI_LOAD_RELAXED(pointer) (pointer)->load(rl::mo_relaxed, RL_INFO)
#define FAI_LOAD_ACQUIRE(pointer)                                                                  \
    (pointer)->load(WEAK_ORDER("LOAD_ACQUIRE", kLoad, mo_acquire), RL_INFO)
#define FAI_LOAD_SEQ(pointer) (pointer)->load(WEAK_ORDER("LOAD_SEQ", kLoad, mo_seq_cst), RL_INFO)
#define FAI_STORE_RELAXED(pointer, value) (pointer)->store((value), rl::mo_relaxed, RL_INFO)
#define FAI_STORE_RELEASE(pointer, value)                                                          \
    (pointer)->store((value), WEAK_ORDER("STORE_RELEASE", kStore, mo_release), RL_INFO)
#define FAI_STORE_SEQ(pointer, value)                                                              \
    (pointer)->store((value), WEAK_ORDER("STORE_SEQ", kStore, mo_seq_cst), RL_INFO)
#define FAI_EXCHANGE_ACQUIRE(pointer, value)                                                       \
    (pointer)->exchange((value), WEAK_ORDER("EXCHANGE_ACQUIRE", kUpdate, mo_acquire), RL_INFO)
#define FAI_EXCHANGE_ACQ_REL(pointer, value)                                                       \
    (pointer)->exchange((value), WEAK_ORDER("EXCHANGE_ACQ_REL", kUpdate, mo_acq_rel), RL_INFO)
#define FAI_ADD_RELAXED(pointer, value) (pointer)->fetch_add((value), rl::mo_relaxed, RL_INFO)
#define FAI_SUB_RELAXED(pointer, value) (pointer)->fetch_sub((value), rl::mo_relaxed, RL_INFO)
#define FAI_SUB_ACQ_REL(pointer, value)                                                            \
    (pointer)->fetch_sub((value), WEAK_ORDER("SUB_ACQ_REL", kUpdate, mo_acq_rel), RL_INFO)
#define FAI_SUB_RELEASE(pointer, value)                                                            \
    (pointer)->fetch_sub((value), WEAK_ORDER("SUB_RELEASE", kUpdate, mo_release), RL_INFO)
#define FAI_ADD_SEQ(pointer, value)                                                                \
    (pointer)->fetch_add((value), WEAK_ORDER("ADD_SEQ", kUpdate, mo_seq_cst), RL_INFO)
#define FAI_CAS_RELAXED(pointer, expected, desired)                                                \
    (pointer)->compare_exchange_weak(*(expected), (desired), rl::mo_relaxed, RL_INFO,              \
                                     rl::mo_relaxed, RL_INFO)
#define FAI_CAS_ACQUIRE(pointer, expected, desired)                                                \
    WEAK_CAS("CAS_ACQUIRE", mo_acquire, pointer, expected, desired)
#define FAI_CAS_RELEASE(pointer, expected, desired)                                                \
    WEAK_CAS("CAS_RELEASE", mo_release, pointer, expected, desired)
#define FAI_CAS_ACQ_REL(pointer, expected, desired)                                                \
    WEAK_CAS("CAS_ACQ_REL", mo_acq_rel, pointer, expected, desired)
#define FAI_CAS_SEQ(pointer, expected, desired)                                                    \
    WEAK_CAS("CAS_SEQ", mo_seq_cst, pointer, expected, desired)

#endif
