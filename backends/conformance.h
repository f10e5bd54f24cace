// The conformance suite for backends: everything that fa/backend.h demands, tried from outside.
//
// A backend is checked by instantiating the suite with it:
//
//     INSTANTIATE_TEST_SUITE_P(Own, BackendConformance,
//                              testing::Values(BackendCase{"own", [] { return own_backend(); }}),
//                              BackendCaseName());
#ifndef FA_BACKENDS_CONFORMANCE_H
#define FA_BACKENDS_CONFORMANCE_H

#include <functional>
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "fa/backend.h"

struct BackendCase {
    std::string name;                   // letters, digits and '_'
    std::function<fa_backend()> open;   // a fresh one; closed by the suite with fa_backend_close
    bool returns_address_space = false; // after close the process is as large as before open
    fa_span_kind kind = FA_SPAN_HEAP;   // one that the backend doesn't decline
};

inline void PrintTo(const BackendCase &backend_case, std::ostream *out) {
    *out << backend_case.name;
}

struct BackendCaseName {
    template <class Info> std::string operator()(const Info &info) const { return info.param.name; }
};

class BackendConformance : public testing::TestWithParam<BackendCase> {
  protected:
    struct Span {
        unsigned char *ptr = nullptr;
        size_t size = 0;
        size_t align = 0;
        fa_span_kind kind = FA_SPAN_HEAP;
        unsigned char seed = 0; // of its contents
    };

    void SetUp() override;
    void TearDown() override;

    // Gets a span and checks address, alignment and the claim of being zeroed.
    Span Alloc(size_t size, size_t align, fa_span_kind kind);
    Span Alloc(size_t size, size_t align); // of the kind that the case names
    void Free(const Span &span);
    // All of a small span, the ends and one byte a page of a large one.
    static void Fill(Span &span, unsigned char seed);
    static bool Intact(const Span &span, size_t size);

    fa_backend backend_ = {};
    fa_backend_info info_ = {};
    size_t budget_ = 0; // bytes that the tests may hold at once
};

#endif
