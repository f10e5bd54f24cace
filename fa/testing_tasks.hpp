// What tests of tasks share. For tests only; not installed.
#ifndef FA_TESTING_TASKS_HPP
#define FA_TESTING_TASKS_HPP

#include "fa/testing_checked.hpp"

namespace fa_testing {

inline fa_task_stats TaskStats(fa_task task) {
    fa_task_stats stats;
    EXPECT_EQ(fa_task_stats_get(task, &stats), FA_OK);
    return stats;
}

class Tasks : public Checked {
  protected:
    fa_task Begin(const char *name = "task") { return fa_task_begin(allocator_, name); }
    size_t PoolLive() { return Stats(allocator_).pool_live_count; }
};

} // namespace fa_testing

#endif
