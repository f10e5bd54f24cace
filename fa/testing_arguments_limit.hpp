// Bad arguments to the calls of budget.h and reserve.h: for arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_LIMIT_HPP
#define FA_TESTING_ARGUMENTS_LIMIT_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

inline const Call kLimitCalls[] = {
    {"fa_budget_get",
     [](fa_allocator *a, fa_frame *) {
         fa_budget_usage usage = {};
         usage.used = 1;
         INVALID(fa_budget_get(nullptr, FA_INTENT_HEAP, &usage));
         EXPECT_EQ(usage.used, 0u);
         INVALID(fa_budget_get(a, FA_INTENT_HEAP, nullptr));
     }},
    {"fa_budget_get_tag",
     [](fa_allocator *a, fa_frame *) {
         fa_budget_usage usage = {};
         usage.used = 1;
         INVALID(fa_budget_get_tag(nullptr, FA_TAG_ROOT, FA_INTENT_HEAP, &usage));
         EXPECT_EQ(usage.used, 0u);
         INVALID(fa_budget_get_tag(a, FA_TAG_NONE, FA_INTENT_HEAP, &usage));
         INVALID(fa_budget_get_tag(a, FA_TAG_ROOT, FA_INTENT_HEAP, nullptr));
     }},
    {"fa_budget_get_thread",
     [](fa_allocator *a, fa_frame *) {
         fa_budget_usage usage = {};
         usage.used = 1;
         INVALID(fa_budget_get_thread(nullptr, FA_INTENT_POOL, &usage));
         EXPECT_EQ(usage.used, 0u);
         INVALID(fa_budget_get_thread(a, FA_INTENT_POOL, nullptr));
         INVALID(fa_budget_get_thread(a, FA_INTENT_HEAP, &usage));
     }},
    {"fa_budget_remaining",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_budget_remaining(nullptr, FA_INTENT_HEAP), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_budget_remaining(a, FA_INTENT_NONE), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_budget_set",
     [](fa_allocator *a, fa_frame *) {
         fa_budget budget = {};
         INVALID(fa_budget_set(nullptr, FA_INTENT_HEAP, &budget));
         budget.policy = FA_BUDGET_ASK;
         INVALID(fa_budget_set(a, FA_INTENT_HEAP, &budget));
     }},
    {"fa_budget_set_tag",
     [](fa_allocator *a, fa_frame *) {
         fa_budget budget = {};
         INVALID(fa_budget_set_tag(nullptr, FA_TAG_UI, FA_INTENT_HEAP, &budget));
         INVALID(fa_budget_set_tag(a, FA_TAG_NONE, FA_INTENT_HEAP, &budget));
     }},
    {"fa_budget_set_thread",
     [](fa_allocator *a, fa_frame *) {
         fa_budget budget = {};
         INVALID(fa_budget_set_thread(nullptr, FA_INTENT_POOL, &budget));
         INVALID(fa_budget_set_thread(a, FA_INTENT_HEAP, &budget));
     }},
    {"fa_budget_set_thread_default",
     [](fa_allocator *a, fa_frame *) {
         fa_budget budget = {};
         INVALID(fa_budget_set_thread_default(nullptr, FA_INTENT_POOL, &budget));
         INVALID(fa_budget_set_thread_default(a, FA_INTENT_HEAP, &budget));
     }},
    {"fa_reclaimer_add",
     [](fa_allocator *a, fa_frame *) {
         const auto none = [](void *, fa_allocator *, size_t) -> size_t { return 0; };
         INVALID(fa_reclaimer_add(nullptr, 0, none, nullptr));
         INVALID(fa_reclaimer_add(a, 0, nullptr, nullptr));
     }},
    {"fa_reclaimer_remove",
     [](fa_allocator *a, fa_frame *) {
         const auto none = [](void *, fa_allocator *, size_t) -> size_t { return 0; };
         INVALID(fa_reclaimer_remove(nullptr, none, nullptr));
         INVALID(fa_reclaimer_remove(a, nullptr, nullptr));
         INVALID(fa_reclaimer_remove(a, none, nullptr));
     }},
    {"fa_reserve_held",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_reserve_held(nullptr), 0u);
         EXPECT_EQ(fa_reserve_held(a), 0u);
     }},
    {"fa_reserve_refill", [](fa_allocator *, fa_frame *) { INVALID(fa_reserve_refill(nullptr)); }},
};

} // namespace fa_testing

#endif
