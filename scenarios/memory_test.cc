/* Every Memory but mi_heap's, which has a test of its own, against the model. */
#include <gtest/gtest.h>

#include "scenarios/memory_apr.hpp"
#include "scenarios/memory_checked.hpp"
#include "scenarios/memory_framealloc.hpp"
#include "scenarios/memory_malloc.hpp"
#include "scenarios/memory_model.hpp"
#include "scenarios/memory_obstack.hpp"
#include "scenarios/memory_pmr.hpp"
#include "scenarios/memory_recorder.hpp"

using namespace scenarios;

namespace {

TEST(Memory, Malloc) { check_memory<MallocMemory>(); }
TEST(Memory, Obstack) { check_memory<ObstackMemory>(); }
TEST(Memory, Apr) { check_memory<AprMemory>(); }
TEST(Memory, Pmr) { check_memory<PmrMemory>(); }
TEST(Memory, Recorder) { check_memory<RecorderMemory>(); }
TEST(Memory, Checked) { check_memory<CheckedMemory>(); }
TEST(Memory, Framealloc) {
    for (const char *backend : {"", "mmap:huge,prefault", "system", "mimalloc", "numa",
                                "counting+system", "fixed:bytes=256m"})
        check_memory<FrameallocMemory>(backend);
}

} // namespace
