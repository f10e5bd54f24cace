#include "fa/testing.hpp"

#include <set>
#include <string>

TEST(Status, EachHasANameAndATextOfItsOwn) {
    std::set<std::string> names, texts;
    for (int i = 0; i < FA_STATUS_COUNT; i++) {
        const fa_status status = static_cast<fa_status>(i);
        const std::string text = fa_status_text(status), name = fa_status_name(status);
        EXPECT_TRUE(names.insert(name).second) << name;
        EXPECT_TRUE(texts.insert(text).second) << text;
        EXPECT_EQ(name.rfind(i == 0 ? "FA_OK" : "FA_ERROR_", 0), 0u) << name;
        ASSERT_FALSE(text.empty());
        EXPECT_NE(text.back(), '.');
    }
    EXPECT_STREQ(fa_status_name(FA_ERROR_LIMIT), "FA_ERROR_LIMIT");
}

TEST(Status, OutsideOfTheEnumeration) {
    // 31 is the last value that a C++ program may give this enumeration.
    for (fa_status status : {FA_STATUS_COUNT, static_cast<fa_status>(31)}) {
        EXPECT_STREQ(fa_status_text(status), "unknown status");
        EXPECT_STREQ(fa_status_name(status), "unknown status");
    }
}
