// What the tests of tags share. For tests only; not installed.
#ifndef FA_TESTING_TAGS_HPP
#define FA_TESTING_TAGS_HPP

#include "fa/testing_threads.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace fa_testing {

inline std::string Path(fa_allocator *allocator, fa_tag tag) {
    char text[FA_TAG_PATH_BYTES];
    EXPECT_NE(fa_tag_path(allocator, tag, text, sizeof text), SIZE_MAX);
    return text;
}

inline fa_tag_stats TagStats(fa_allocator *allocator, fa_tag tag) {
    fa_tag_stats stats;
    EXPECT_EQ(fa_tag_stats_get(allocator, tag, &stats), FA_OK);
    return stats;
}

inline fa_status Taken() {
    const fa_status status = fa_last_error().status;
    fa_last_error_clear();
    return status;
}

inline constexpr uint64_t kOne = kCounted ? 1 : 0;

} // namespace fa_testing

#endif
