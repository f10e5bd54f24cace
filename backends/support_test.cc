// What the backends share: texts that are cut to fit, pages that are dropped, libraries.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

extern "C" {
#include "backends/internal.h"
}

TEST(Support, MessagesAreCutToFit) {
    char message[8];
    for (size_t bytes = 0; bytes <= sizeof message; bytes++) {
        std::memset(message, '#', sizeof message);
        fai_message_set(message, bytes, "%s%d", "abcdef", 42);
        if (bytes != 0) {
            EXPECT_EQ(message, std::string("abcdef42").substr(0, bytes - 1));
        }
        if (bytes < sizeof message) {
            EXPECT_EQ(message[bytes], '#');
        }
    }
    fai_message_set(nullptr, 100, "%d", 1);
}

TEST(Support, DescriptionsAddUpAndNest) {
    fa_backend_info info = {};
    fai_text_add(&info, "a:%d", 1);
    fai_text_add(&info, ",%s", "b");
    EXPECT_STREQ(info.text, "a:1,b");
    while (std::strlen(info.text) != sizeof info.text - 1)
        fai_text_add(&info, "0123456789");
    fai_text_add(&info, "more");
    EXPECT_EQ(std::strlen(info.text), sizeof info.text - 1);

    // A name around each: what does not fit is cut, and the text still ends.
    fa_backend inner = fa_backend_system();
    fa_backend_info outer = {};
    fai_inner_describe("x", &inner, &outer);
    EXPECT_STREQ(outer.text, "x(system)");
    const std::string name(sizeof outer.text - 4, 'n');
    outer = fa_backend_info{};
    fai_inner_describe(name.c_str(), &inner, &outer);
    EXPECT_EQ(outer.text, (name + "(system)").substr(0, sizeof outer.text - 1));
    fa_backend_close(inner);
}

TEST(Support, OnlyWholeUnitsAreDropped) {
    const size_t page = fai_page_bytes(), count = 6;
    ASSERT_EQ(page & (page - 1), 0u);
    for (size_t unit : {page, 2 * page}) {
        char *state = static_cast<char *>(fai_state_create(count * page));
        ASSERT_NE(state, nullptr);
        for (size_t i = 0; i < count * page; i++)
            ASSERT_EQ(state[i], 0) << "fresh state is zero";
        for (size_t begin : {size_t{0}, size_t{1}, page - 1, page, 2 * page})
            for (size_t end : {begin, begin + 1, 3 * page - 1, 3 * page, 4 * page + 1, 6 * page}) {
                if (end < begin)
                    continue;
                std::memset(state, 7, count * page);
                fai_purge_units(state + begin, end - begin, unit);
                const uintptr_t first = fai_round_up((uintptr_t)state + begin, unit);
                const uintptr_t last = ((uintptr_t)state + end) & ~(uintptr_t)(unit - 1);
                for (size_t i = 0; i < count * page; i++) {
                    const uintptr_t at = (uintptr_t)state + i;
                    ASSERT_EQ(state[i], at >= first && at < last ? 0 : 7)
                        << i << " of [" << begin << ", " << end << ")";
                }
            }
        fai_state_destroy(state, count * page);
    }
    EXPECT_EQ(fai_state_create(SIZE_MAX / 2), nullptr);
}

struct Functions {
    double (*cosine)(double);
    double (*sine)(double);
};

TEST(Support, LibrariesFillATableOrSayWhatIsMissing) {
    const fai_symbol symbols[] = {{"cos", offsetof(Functions, cosine)},
                                  {"sin", offsetof(Functions, sine)},
                                  {"no_function_of_this_name", 0}};
    fai_library library = {"libm.so.6", "libc6", symbols, 2};
    Functions functions = {};
    char message[200] = "";
    ASSERT_EQ(fai_library_load(&library, &functions, message, sizeof message), FA_OK) << message;
    EXPECT_STREQ(message, "");
    EXPECT_EQ(functions.cosine(0.0), 1.0);
    EXPECT_EQ(functions.sine(0.0), 0.0);
    library.symbol_count = 3;
    EXPECT_EQ(fai_library_load(&library, &functions, message, sizeof message), FA_ERROR_BACKEND);
    EXPECT_NE(std::string(message).find("no_function_of_this_name"), std::string::npos);
    EXPECT_NE(std::string(message).find("libc6"), std::string::npos);
    library.file = "libthere-is-none.so.1";
    EXPECT_EQ(fai_library_load(&library, &functions, message, sizeof message), FA_ERROR_BACKEND);
    EXPECT_NE(std::string(message).find("libthere-is-none.so.1"), std::string::npos);
    EXPECT_EQ(fai_library_load(&library, &functions, nullptr, 0), FA_ERROR_BACKEND);
}
