/* As scenarios_test, for the Memory that replaces malloc: hence in a program of its own. */
#include <gtest/gtest.h>

#include "scenarios/contacts.hpp"
#include "scenarios/jobs.hpp"
#include "scenarios/memory_malloc.hpp"
#include "scenarios/memory_mi_heap.hpp"
#include "scenarios/memory_model.hpp"
#include "scenarios/particles.hpp"
#include "scenarios/streaming.hpp"

using namespace scenarios;

namespace {

template <template <class> class S, class M> uint64_t checksum_on() {
    M memory{MemoryOptions{}};
    S<M> scenario(memory, ScenarioSetup{true, 0, ""});
    for (int i = 0; i < 40; i++)
        scenario.frame();
    return scenario.checksum();
}

template <template <class> class S> void check() {
    EXPECT_EQ((checksum_on<S, MallocMemory>()), (checksum_on<S, MiHeapMemory>()));
}

TEST(MiHeap, Model) { check_memory<MiHeapMemory>(); }
TEST(MiHeap, Particles) { check<Particles>(); }
TEST(MiHeap, Contacts) { check<Contacts>(); }
TEST(MiHeap, ContactsOdeArena) { check<ContactsOdeArena>(); }
TEST(MiHeap, Streaming) { check<Streaming>(); }
TEST(MiHeap, Jobs) { check<Jobs>(); }

} // namespace
