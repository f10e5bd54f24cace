// What the tests of bad arguments share: bad values, what is expected of them, and the form of an
// entry. For tests only; not installed.
#ifndef FA_TESTING_ARGUMENTS_HPP
#define FA_TESTING_ARGUMENTS_HPP

#include "fa/testing.hpp"

namespace fa_testing {

inline constexpr size_t kBadSizes[] = {
    0, FA_SIZE_MAX + 1, SIZE_MAX / 2 + 1, SIZE_MAX - 15, SIZE_MAX - 1, SIZE_MAX};
inline constexpr size_t kBadAligns[] = {
    0,       3, 24, 1000, FA_ALIGN_MAX - 1, FA_ALIGN_MAX + 1, FA_ALIGN_MAX * 2, SIZE_MAX / 2 + 1,
    SIZE_MAX};

inline fa_status Taken() {
    const fa_status status = fa_last_error().status;
    fa_last_error_clear();
    return status;
}

// The call gives nothing, and says that an argument was bad.
#define REFUSED(call)                                                                              \
    do {                                                                                           \
        fa_last_error_clear();                                                                     \
        EXPECT_EQ((call), nullptr) << #call;                                                       \
        EXPECT_EQ(Taken(), FA_ERROR_INVALID) << #call;                                             \
    } while (0)
#define INVALID(call)                                                                              \
    do {                                                                                           \
        fa_last_error_clear();                                                                     \
        EXPECT_EQ((call), FA_ERROR_INVALID) << #call;                                              \
    } while (0)
#define EACH_SIZE(statement)                                                                       \
    for (size_t size : kBadSizes) {                                                                \
        SCOPED_TRACE(size);                                                                        \
        statement;                                                                                 \
    }
#define EACH_ALIGN(statement)                                                                      \
    for (size_t align : kBadAligns) {                                                              \
        SCOPED_TRACE(align);                                                                       \
        statement;                                                                                 \
    }
// Bad sizes as products of both kinds.
#define EACH_PRODUCT(statement)                                                                    \
    EACH_SIZE(for (size_t count : {size_t{1}, size_t{0}, SIZE_MAX}) statement)

struct Call {
    const char *name;
    void (*test)(fa_allocator *a, fa_frame *f);
};

inline void Nothing(fa_allocator *, fa_frame *) {} // takes nothing that could be bad

} // namespace fa_testing

#endif
