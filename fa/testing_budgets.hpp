// What the tests of budgets share.
#ifndef FA_TESTING_BUDGETS_HPP
#define FA_TESTING_BUDGETS_HPP

#include "fa/testing_threads.hpp"

#include <functional>
#include <string>

namespace fa_testing {

constexpr fa_intent kTotal = FA_INTENT_NONE;

inline void Ignore(const void *) {}

inline fa_budget Hard(size_t bytes, fa_budget_policy policy = FA_BUDGET_FAIL) {
    fa_budget budget = {};
    budget.hard_bytes = bytes;
    budget.policy = policy;
    return budget;
}

inline fa_budget_usage Usage(fa_allocator *allocator, fa_intent intent, fa_tag tag = FA_TAG_ROOT) {
    fa_budget_usage usage;
    EXPECT_EQ(fa_budget_get_tag(allocator, tag, intent, &usage), FA_OK);
    return usage;
}

inline size_t Used(fa_allocator *allocator, fa_intent intent, fa_tag tag = FA_TAG_ROOT) {
    return Usage(allocator, intent, tag).used;
}

inline fa_budget_usage ThreadUsage(fa_allocator *allocator, fa_intent intent) {
    fa_budget_usage usage;
    EXPECT_EQ(fa_budget_get_thread(allocator, intent, &usage), FA_OK);
    return usage;
}

#define EXPECT_REFUSED(block)                                                                      \
    do {                                                                                           \
        fa_last_error_clear();                                                                     \
        EXPECT_EQ(block, nullptr);                                                                 \
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);                                            \
        EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);                                         \
    } while (0)

// A callback made of a function.
struct Asked {
    std::function<fa_budget_answer(const fa_budget_request &)> body;
    std::vector<fa_budget_request> all;

    static fa_budget_answer Call(void *user, const fa_budget_request *request) {
        Asked *self = static_cast<Asked *>(user);
        self->all.push_back(*request);
        return self->body(*request);
    }
    fa_budget Budget(size_t hard) {
        fa_budget budget = Hard(hard, FA_BUDGET_ASK);
        budget.ask = Call;
        budget.user = this;
        return budget;
    }
};

// Configurations that differ in how frames and pools work.
struct Kind {
    const char *name;
    uint32_t checks;
    uint32_t in_flight;
    bool small;
};

class Budget : public testing::TestWithParam<Kind> {
  protected:
    Events events_;

    fa_alloc_config Config() {
        fa_alloc_config config =
            Plain(GetParam().small ? fa_alloc_config_minimal() : fa_alloc_config_default());
        config.checks = GetParam().checks;
        config.frames_in_flight = GetParam().in_flight;
        events_.Watch(&config);
        return config;
    }
    // What a frame block of that size is charged.
    static size_t FrameBytes(fa_allocator *allocator, size_t size) {
        EXPECT_NE(fa_frame_begin(allocator), nullptr);
        Ignore(fa_frame_alloc(allocator, 16));
        const size_t before = fa_frame_bytes(allocator);
        Ignore(fa_frame_alloc(allocator, size));
        const size_t bytes = fa_frame_bytes(allocator) - before;
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        return bytes;
    }
    static size_t ClassBytes(fa_allocator *allocator, size_t size) {
        if ((GetParam().checks & FA_CHECK_GUARD) == 0)
            return fa_pool_class_size(allocator, size);
        void *block = fa_pool_alloc(allocator, size); /* it alone: nothing is kept ready */
        const size_t bytes = Used(allocator, FA_INTENT_POOL);
        fa_pool_free(allocator, block);
        return bytes;
    }
};

inline const Kind kBudgetKinds[] = {{"Plain", 0, 1, false},
                                    {"Small", 0, 1, true},
                                    {"InFlight", 0, 2, true},
                                    {"Checked", FA_CHECK_ALL, 1, true},
                                    {"CheckedInFlight", FA_CHECK_ALL, 3, false}};

inline std::string BudgetKindName(const testing::TestParamInfo<Kind> &kind) {
    return kind.param.name;
}

} // namespace fa_testing

#endif
