// Text that may not fit: pieces, lengths, terminators.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

extern "C" {
#include "fa/internal/writer.h"
}

TEST(Writer, PiecesBecomeOneText) {
    char text[32] = "old";
    fai_writer out = fai_writer_begin(text, sizeof text);
    EXPECT_STREQ(text, "") << "it starts empty";
    fai_put(&out, "%s %d", "one", 2);
    fai_put(&out, "%s", "");
    fai_put(&out, ", %c", 'x');
    EXPECT_STREQ(text, "one 2, x");
    EXPECT_EQ(out.length, 8u);
}

TEST(Writer, AnyCapacityKeepsWhatFits) {
    const std::string whole = "alpha-beta-gamma";
    for (size_t bytes = 0; bytes <= whole.size() + 2; bytes++) {
        char text[32];
        std::memset(text, '#', sizeof text);
        fai_writer out = fai_writer_begin(text, bytes);
        for (const char *piece : {"alpha", "-", "beta", "-gam", "ma"})
            fai_put(&out, "%s", piece);
        EXPECT_EQ(out.length, whole.size()) << "of all, also of what was cut off";
        if (bytes != 0) {
            EXPECT_EQ(text, whole.substr(0, bytes - 1));
        }
        EXPECT_EQ(text[bytes], '#') << "nothing is written behind it";
    }
    fai_writer out = fai_writer_begin(nullptr, 100);
    fai_put(&out, "%05d", 7);
    EXPECT_EQ(out.length, 5u);
}
