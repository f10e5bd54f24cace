#include "fa/testing_checked.hpp"

#include <cstdarg>
#include <string>

using namespace fa_testing;

namespace {

std::string Of(const fa_text &text) {
    EXPECT_EQ(strlen(fa_text_c_str(&text)), text.length) << "terminated";
    return std::string(fa_text_c_str(&text), text.length);
}

fa_status List(fa_text *text, const char *format, ...) FA_PRINTF(2, 3);
fa_status List(fa_text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const fa_status status = fa_text_format_list(text, format, arguments);
    va_end(arguments);
    return status;
}

class Text : public InFrame {};

INSTANTIATE_TEST_SUITE_P(Checks, Text, testing::Values(0, FA_CHECK_ALL));

} // namespace

TEST_P(Text, OfZeroBytesIsEmptyAndFull) {
    fa_text text = {};
    EXPECT_FALSE(fa_text_is_made(&text));
    EXPECT_STREQ(fa_text_c_str(&text), "");
    EXPECT_EQ(fa_text_str(&text).length, 0u);
    EXPECT_EQ(fa_text_append(&text, "x"), FA_ERROR_FULL);
    EXPECT_EQ(fa_text_append(&text, ""), FA_OK);
    EXPECT_EQ(fa_text_append_n(&text, nullptr, 0), FA_OK);
    EXPECT_EQ(fa_text_append_char(&text, 'x'), FA_ERROR_FULL);
    EXPECT_EQ(fa_text_format(&text, "%d", 5), FA_ERROR_FULL);
    EXPECT_EQ(fa_text_format(&text, "%s", ""), FA_OK);
    EXPECT_EQ(fa_text_insert(&text, 0, "x", 1), FA_ERROR_FULL);
    EXPECT_EQ(fa_text_insert(&text, 1, "x", 1), FA_ERROR_INVALID);
    EXPECT_EQ(fa_text_reserve(&text, 0), FA_OK);
    EXPECT_EQ(fa_text_reserve(&text, 1), FA_ERROR_FULL);
    fa_text_truncate(&text, 0);
    fa_text_truncate(&text, 5);
    fa_text_clear(&text);
    EXPECT_EQ(text.bytes, nullptr);
}

TEST_P(Text, OfFixedCapacityTakesAllOrNothing) {
    fa_text text = fa_text_make_in(frame_, 5);
    EXPECT_TRUE(fa_text_is_made(&text));
    EXPECT_EQ(Of(text), "");
    EXPECT_EQ(fa_text_append(&text, "abc"), FA_OK);
    fa_last_error_clear();
    EXPECT_EQ(fa_text_append(&text, "def"), FA_ERROR_FULL);
    EXPECT_EQ(Of(text), "abc");
    EXPECT_EQ(fa_text_format(&text, "%d", 123), FA_ERROR_FULL);
    EXPECT_EQ(Of(text), "abc");
    EXPECT_EQ(List(&text, "%s", "456"), FA_ERROR_FULL);
    EXPECT_EQ(Of(text), "abc");
    EXPECT_EQ(fa_text_insert(&text, 1, "xyz", 3), FA_ERROR_FULL);
    EXPECT_EQ(Of(text), "abc");
    volatile size_t all = SIZE_MAX; // the compiler would warn of it
    EXPECT_EQ(fa_text_append_n(&text, "x", all), FA_ERROR_FULL);
    EXPECT_EQ(fa_text_format(&text, "%d", 45), FA_OK) << "just fits";
    EXPECT_EQ(Of(text), "abc45");
    EXPECT_EQ(fa_text_append_char(&text, '6'), FA_ERROR_FULL);
    EXPECT_EQ(Of(text), "abc45");
    EXPECT_EQ(fa_text_append(&text, ""), FA_OK);
    EXPECT_EQ(fa_text_format(&text, "%s", ""), FA_OK);
    fa_text_truncate(&text, 6);
    EXPECT_EQ(Of(text), "abc45");
    fa_text_truncate(&text, 1);
    EXPECT_EQ(Of(text), "a");
    EXPECT_EQ(fa_text_append_char(&text, 'z'), FA_OK);
    EXPECT_EQ(Of(text), "az");
    fa_text_clear(&text);
    EXPECT_EQ(Of(text), "");
    EXPECT_EQ(text.capacity, 5u);
    EXPECT_EQ(fa_last_error().status, FA_OK) << "full is an answer";
}

TEST_P(Text, Grows) {
    fa_text text = fa_text_make(allocator_, 0), other = fa_text_make_in(frame_, 0);
    EXPECT_TRUE(fa_text_is_made(&text));
    EXPECT_EQ(Of(text), "");
    std::string expected, other_expected;
    for (int i = 0; i < 1000; i++) {
        ASSERT_EQ(fa_text_format(&text, "%d:%s;", i, "x"), FA_OK);
        ASSERT_EQ(fa_text_append_char(&other, static_cast<char>('a' + i % 26)), FA_OK);
        expected += std::to_string(i) + ":x;";
        other_expected += static_cast<char>('a' + i % 26);
    }
    EXPECT_EQ(Of(text), expected);
    EXPECT_EQ(Of(other), other_expected);
    const std::string large(10000, 'L');
    ASSERT_EQ(fa_text_format(&text, "%s", large.c_str()), FA_OK);
    EXPECT_EQ(Of(text), expected + large);
    ASSERT_EQ(fa_text_reserve(&other, 50000), FA_OK);
    const char *bytes = other.bytes;
    EXPECT_EQ(Of(other), other_expected);
    while (other.length < 50000)
        ASSERT_EQ(fa_text_append(&other, "0123456789"), FA_OK);
    EXPECT_EQ(other.bytes, bytes);
}

TEST_P(Text, InsertsAnywhere) {
    fa_text text = fa_text_make_in(frame_, 0);
    EXPECT_EQ(fa_text_insert(&text, 0, "bd", 2), FA_OK);
    EXPECT_EQ(fa_text_insert(&text, 1, "c", 1), FA_OK);
    EXPECT_EQ(fa_text_insert(&text, 0, "a", 1), FA_OK);
    EXPECT_EQ(fa_text_insert(&text, 4, "e", 1), FA_OK);
    EXPECT_EQ(fa_text_insert(&text, 6, "f", 1), FA_ERROR_INVALID);
    EXPECT_EQ(fa_text_insert(&text, 2, nullptr, 0), FA_OK);
    EXPECT_EQ(Of(text), "abcde");
}

TEST_P(Text, AppendsItself) {
    fa_text text = fa_text_make_in(frame_, 0);
    ASSERT_EQ(fa_text_append(&text, "abc"), FA_OK);
    std::string expected = "abc";
    for (int i = 0; i < 10; i++) {
        ASSERT_NE(fa_frame_alloc_in(frame_, 1), nullptr); // it can't grow where it lies
        ASSERT_EQ(fa_text_append(&text, fa_text_c_str(&text)), FA_OK);
        ASSERT_EQ(fa_text_append_n(&text, text.bytes + 1, 2), FA_OK);
        expected += expected;
        expected += expected.substr(1, 2);
    }
    EXPECT_EQ(Of(text), expected);
}

TEST_P(Text, KeepsZeroBytes) {
    fa_text text = fa_text_make_in(frame_, 0);
    ASSERT_EQ(fa_text_append_n(&text, "a\0b", 3), FA_OK);
    ASSERT_EQ(fa_text_append_char(&text, '\0'), FA_OK);
    EXPECT_EQ(text.length, 4u);
    EXPECT_EQ(memcmp(fa_text_str(&text).data, "a\0b\0", 5), 0);
    EXPECT_EQ(fa_text_str(&text).length, 4u);
}

TEST_P(Text, BadArgumentsAreRefused) {
    fa_text text = fa_text_make_in(frame_, 0);
    ASSERT_EQ(fa_text_append(&text, "abc"), FA_OK);
    EXPECT_EQ(fa_text_append(&text, nullptr), FA_ERROR_INVALID);
    EXPECT_EQ(fa_text_append_n(&text, nullptr, 1), FA_ERROR_INVALID);
    volatile size_t all = SIZE_MAX; // the compiler would warn of it
    EXPECT_EQ(fa_text_append_n(&text, "x", all), FA_ERROR_INVALID);
    EXPECT_EQ(fa_text_append_n(&text, "x", all / 2), FA_ERROR_INVALID);
    EXPECT_EQ(fa_text_reserve(&text, all), FA_ERROR_INVALID);
    EXPECT_EQ(Of(text), "abc");
    for (size_t capacity : {SIZE_MAX, SIZE_MAX - 1, FA_SIZE_MAX}) {
        fa_last_error_clear();
        fa_text bad = fa_text_make_in(frame_, capacity);
        EXPECT_FALSE(fa_text_is_made(&bad));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        bad = fa_text_make(allocator_, capacity);
        EXPECT_FALSE(fa_text_is_made(&bad));
    }
}

TEST_P(Text, RefusedWithoutAFrame) {
    fa_text text = fa_text_make_in(frame_, 0);
    fa_frame_end(allocator_);
    EXPECT_EQ(fa_text_append(&text, "x"), FA_ERROR_NO_FRAME);
    EXPECT_EQ(Of(text), "");
    for (size_t capacity : {size_t{0}, size_t{10}}) {
        fa_text none = fa_text_make(allocator_, capacity);
        EXPECT_FALSE(fa_text_is_made(&none));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_FRAME);
        none = fa_text_make_in(frame_, capacity);
        EXPECT_FALSE(fa_text_is_made(&none));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_FRAME);
    }
    fa_frame_begin(allocator_);
}

// Against std::string.
TEST_P(Text, Model) {
    Random random;
    for (int round = 0; round < 60; round++) {
        const size_t capacity = random.OneIn(2) ? 0 : random.Size(100);
        SCOPED_TRACE(testing::Message() << "FA_TEST_SEED=" << random.Seed() << ", " << capacity);
        fa_text text = random.OneIn(2) ? fa_text_make(allocator_, capacity)
                                       : fa_text_make_in(frame_, capacity);
        std::string model;
        for (int step = 0; step < 200; step++) {
            const std::string more(random.Size(30) - 1, static_cast<char>('a' + random.Below(26)));
            const int number = static_cast<int>(random.Below(1000000));
            const size_t index = random.Below(model.size() + 1);
            std::string next = model;
            fa_status status = FA_OK;
            switch (random.Below(7)) {
            case 0:
                next += more;
                status = fa_text_append(&text, more.c_str());
                break;
            case 1:
                next += more.substr(0, more.size() / 2);
                status = fa_text_append_n(&text, more.data(), more.size() / 2);
                break;
            case 2:
                next += 'Z';
                status = fa_text_append_char(&text, 'Z');
                break;
            case 3:
                next += more + std::to_string(number);
                status = fa_text_format(&text, "%s%d", more.c_str(), number);
                break;
            case 4:
                next.insert(index, more);
                status = fa_text_insert(&text, index, more.data(), more.size());
                break;
            case 5:
                next.resize(index);
                fa_text_truncate(&text, index);
                break;
            default:
                if (!random.OneIn(10))
                    break;
                next.clear();
                fa_text_clear(&text);
            }
            if (capacity != 0 && next.size() > capacity) {
                ASSERT_EQ(status, FA_ERROR_FULL);
            } else {
                ASSERT_EQ(status, FA_OK);
                model = next;
            }
            ASSERT_EQ(Of(text), model);
            if (random.OneIn(20)) {
                ASSERT_NE(fa_frame_alloc_in(frame_, random.Size(50)), nullptr);
            }
        }
    }
}
