// Bad arguments to every public function: refused with the reason, and nothing changes. The list is
// compared with the headers, so that none is forgotten.
#include "fa/testing_arguments.hpp"
#include "fa/testing_arguments_arena.hpp"
#include "fa/testing_arguments_events.hpp"
#include "fa/testing_arguments_group.hpp"
#include "fa/testing_arguments_handle.hpp"
#include "fa/testing_arguments_inside.hpp"
#include "fa/testing_arguments_limit.hpp"
#include "fa/testing_arguments_retain.hpp"
#include "fa/testing_arguments_scratch.hpp"
#include "fa/testing_arguments_stream.hpp"
#include "fa/testing_arguments_tag.hpp"
#include "fa/testing_arguments_text.hpp"
#include "fa/testing_arguments_thread.hpp"
#include "fa/testing_arguments_timeline.hpp"
#include "fa/testing_arguments_typed.hpp"

#include <dirent.h>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

using namespace fa_testing;

namespace {

const Call kCalls[] = {
    {"fa_alloc_config_validate",
     [](fa_allocator *, fa_frame *) {
         EXPECT_EQ(fa_alloc_config_validate(nullptr, nullptr, 0), FA_ERROR_INVALID);
         EXPECT_EQ(fa_alloc_config_validate(nullptr, nullptr, 100), FA_ERROR_INVALID);
     }},
    {"fa_allocator_create",
     [](fa_allocator *, fa_frame *) {
         INVALID(fa_allocator_create(nullptr, nullptr));
         fa_allocator *other = nullptr;
         EXPECT_EQ(fa_allocator_create(nullptr, &other), FA_OK) << "NULL is the default";
         EXPECT_EQ(fa_allocator_destroy(other), 0u);
     }},
    {"fa_allocator_destroy",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_allocator_destroy(nullptr), 0u);
         fa_allocator_acquire(a);
         fa_last_error_clear();
         EXPECT_EQ(fa_allocator_destroy(a), SIZE_MAX);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_allocator_release(a), 0u);
     }},
    {"fa_allocator_acquire",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_allocator_acquire(nullptr), nullptr); }},
    {"fa_allocator_release",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_allocator_release(nullptr), 0u); }},
    {"fa_allocator_config",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_allocator_config(nullptr), nullptr); }},
    {"fa_allocator_trim",
     [](fa_allocator *, fa_frame *) {
         fa_last_error_clear();
         EXPECT_EQ(fa_allocator_trim(nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_backend_close", [](fa_allocator *, fa_frame *) { fa_backend_close(fa_backend{}); }},
    {"fa_backend_describe",
     [](fa_allocator *a, fa_frame *) {
         fa_backend_info info;
         INVALID(fa_backend_describe(nullptr, 0, &info));
         INVALID(fa_backend_describe(a, 0, nullptr));
         INVALID(fa_backend_describe(a, 1, &info));
         INVALID(fa_backend_describe(a, SIZE_MAX, &info));
     }},
    {"fa_backend_is_sealed",
     [](fa_allocator *, fa_frame *) { EXPECT_FALSE(fa_backend_is_sealed(nullptr)); }},
    {"fa_backend_list", Nothing},
    {"fa_backend_open",
     [](fa_allocator *, fa_frame *) {
         EXPECT_EQ(fa_backend_open("mmap", nullptr, nullptr, 0), FA_ERROR_INVALID);
     }},
    {"fa_backend_seal",
     [](fa_allocator *, fa_frame *) {
         fa_last_error_clear();
         fa_backend_seal(nullptr);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_diag_describe", Nothing}, // diag_test.cc
    {"fa_event_print", Nothing},
    {"fa_frame_alloc",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_frame_alloc(nullptr, 16));
         EACH_SIZE(REFUSED(fa_frame_alloc(a, size)))
     }},
    {"fa_frame_alloc_aligned",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_frame_alloc_aligned(nullptr, 16, 16));
         EACH_SIZE(REFUSED(fa_frame_alloc_aligned(a, size, 64)))
         EACH_ALIGN(REFUSED(fa_frame_alloc_aligned(a, 16, align)))
     }},
    {"fa_frame_alloc_aligned_in",
     [](fa_allocator *, fa_frame *f) {
         REFUSED(fa_frame_alloc_aligned_in(nullptr, 16, 16));
         EACH_SIZE(REFUSED(fa_frame_alloc_aligned_in(f, size, 64)))
         EACH_ALIGN(REFUSED(fa_frame_alloc_aligned_in(f, 16, align)))
     }},
    {"fa_frame_alloc_batch",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_frame_alloc_batch(nullptr, 2, 16));
         EACH_PRODUCT(REFUSED(fa_frame_alloc_batch(a, count, size)))
         EACH_PRODUCT(REFUSED(fa_frame_alloc_batch(a, size, count)))
     }},
    {"fa_frame_alloc_batch_in",
     [](fa_allocator *, fa_frame *f) {
         EACH_PRODUCT(REFUSED(fa_frame_alloc_batch_in(f, count, size)))
         EACH_PRODUCT(REFUSED(fa_frame_alloc_batch_in(f, size, count)))
     }},
    {"fa_frame_alloc_in",
     [](fa_allocator *, fa_frame *f) { EACH_SIZE(REFUSED(fa_frame_alloc_in(f, size))) }},
    {"fa_frame_alloc_lines",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_frame_alloc_lines(nullptr, 16, 16));
         EACH_SIZE(REFUSED(fa_frame_alloc_lines(a, size, 64)))
         EACH_ALIGN(REFUSED(fa_frame_alloc_lines(a, 16, align)))
     }},
    {"fa_frame_alloc_lines_in",
     [](fa_allocator *, fa_frame *f) {
         REFUSED(fa_frame_alloc_lines_in(nullptr, 16, 16));
         EACH_SIZE(REFUSED(fa_frame_alloc_lines_in(f, size, 64)))
         EACH_ALIGN(REFUSED(fa_frame_alloc_lines_in(f, 16, align)))
     }},
    {"fa_frame_alloc_zeroed",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_frame_alloc_zeroed(nullptr, 2, 16));
         EACH_PRODUCT(REFUSED(fa_frame_alloc_zeroed(a, count, size)))
     }},
    {"fa_frame_alloc_zeroed_in",
     [](fa_allocator *, fa_frame *f) {
         REFUSED(fa_frame_alloc_zeroed_in(nullptr, 2, 16));
         EACH_PRODUCT(REFUSED(fa_frame_alloc_zeroed_in(f, size, count)))
     }},
    {"fa_batch_each",
     [](fa_allocator *, fa_frame *) {
         INVALID(fa_batch_each(10, 1, nullptr, nullptr));
         INVALID(fa_batch_each(0, 1, nullptr, nullptr));
         INVALID(fa_batch_each(
             10, 0, [](void *, size_t, size_t) { ADD_FAILURE(); }, nullptr));
     }},
    {"fa_batch_first",
     [](fa_allocator *, fa_frame *) {
         fa_last_error_clear();
         EXPECT_EQ(fa_batch_first(10, 0).count, 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_batch_next",
     [](fa_allocator *, fa_frame *) {
         EXPECT_EQ(fa_batch_next(fa_batch_first(10, 10)).count, 0u);
         EXPECT_EQ(fa_batch_next(fa_batch{}).count, 0u);
     }},
    {"fa_frame_begin", [](fa_allocator *, fa_frame *) { REFUSED(fa_frame_begin(nullptr)); }},
    {"fa_backend_bind",
     [](fa_allocator *a, fa_frame *) {
         int here;
         INVALID(fa_backend_bind(nullptr, &here, sizeof here, 0));
         INVALID(fa_backend_bind(a, nullptr, 1, 0));
         INVALID(fa_backend_bind(a, &here, 0, 0));
         INVALID(fa_backend_bind(a, &here, sizeof here, -1));
     }},
    {"fa_backend_locate",
     [](fa_allocator *a, fa_frame *) {
         int here;
         INVALID(fa_backend_locate(nullptr, &here, sizeof here, &here, 1));
         INVALID(fa_backend_locate(a, nullptr, 1, &here, 1));
         INVALID(fa_backend_locate(a, &here, 0, &here, 1));
         INVALID(fa_backend_locate(a, &here, sizeof here, nullptr, 1));
         INVALID(fa_backend_locate(a, &here, sizeof here, &here, 0));
     }},
    {"fa_frame_count",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_frame_count(nullptr), 0u); }},
    {"fa_frame_bytes",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_frame_bytes(nullptr), 0u); }},
    {"fa_frame_bytes_in",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_frame_bytes_in(nullptr), 0u); }},
    {"fa_frame_copy",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_frame_copy(nullptr, "x", 1));
         REFUSED(fa_frame_copy(a, nullptr, 1));
         EACH_SIZE(REFUSED(fa_frame_copy(a, "x", size)))
     }},
    {"fa_frame_copy_in",
     [](fa_allocator *, fa_frame *f) {
         REFUSED(fa_frame_copy_in(nullptr, "x", 1));
         REFUSED(fa_frame_copy_in(f, nullptr, 1));
         EACH_SIZE(REFUSED(fa_frame_copy_in(f, "x", size)))
     }},
    {"fa_frame_copy_string",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_frame_copy_string(nullptr, "x"));
         REFUSED(fa_frame_copy_string(a, nullptr));
     }},
    {"fa_frame_copy_string_in",
     [](fa_allocator *, fa_frame *f) {
         REFUSED(fa_frame_copy_string_in(nullptr, "x"));
         REFUSED(fa_frame_copy_string_in(f, nullptr));
     }},
    {"fa_frame_count_in",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_frame_count_in(nullptr), 0u); }},
    {"fa_frame_current",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_frame_current(nullptr), nullptr); }},
    {"fa_frame_end", [](fa_allocator *, fa_frame *) { INVALID(fa_frame_end(nullptr)); }},
    {"fa_frame_end_in", [](fa_allocator *, fa_frame *) { INVALID(fa_frame_end_in(nullptr)); }},
    {"fa_frame_grow",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_frame_grow(nullptr, nullptr, 0, 16));
         EACH_SIZE(REFUSED(fa_frame_grow(a, nullptr, 0, size)))
         void *block = fa_frame_alloc(a, 16);
         EACH_SIZE(REFUSED(fa_frame_grow(a, block, 16, size)))
         REFUSED(fa_frame_grow(a, block, SIZE_MAX, 32));
     }},
    {"fa_frame_grow_in",
     [](fa_allocator *, fa_frame *f) {
         REFUSED(fa_frame_grow_in(nullptr, nullptr, 0, 16));
         void *block = fa_frame_alloc_in(f, 16);
         REFUSED(fa_frame_grow_in(nullptr, block, 16, 32));
         EACH_SIZE(REFUSED(fa_frame_grow_in(f, block, 16, size)))
     }},
    {"fa_frame_try_alloc",
     [](fa_allocator *a, fa_frame *) {
         void *block = nullptr;
         INVALID(fa_frame_try_alloc(nullptr, 16, 16, &block));
         INVALID(fa_frame_try_alloc(a, 16, 16, nullptr));
         EACH_SIZE(block = a; INVALID(fa_frame_try_alloc(a, size, 16, &block));
                   EXPECT_EQ(block, nullptr))
         EACH_ALIGN(INVALID(fa_frame_try_alloc(a, 16, align, &block)))
     }},
    {"fa_frame_try_alloc_in",
     [](fa_allocator *, fa_frame *f) {
         void *block = nullptr;
         INVALID(fa_frame_try_alloc_in(nullptr, 16, 16, &block));
         INVALID(fa_frame_try_alloc_in(f, 16, 16, nullptr));
         EACH_SIZE(INVALID(fa_frame_try_alloc_in(f, size, 16, &block)))
         EACH_ALIGN(INVALID(fa_frame_try_alloc_in(f, 16, align, &block)))
     }},
    {"fa_free",
     [](fa_allocator *a, fa_frame *) {
         fa_free(nullptr, nullptr);
         fa_free(a, nullptr);
         int local = 0;
         fa_last_error_clear();
         fa_free(nullptr, &local);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         fa_free(a, &local);
         EXPECT_EQ(Taken(), FA_ERROR_FOREIGN);
         fa_free(a, reinterpret_cast<void *>(UINTPTR_MAX));
         EXPECT_EQ(Taken(), FA_ERROR_FOREIGN);
         fa_free(a, reinterpret_cast<void *>(uintptr_t{1}));
         EXPECT_EQ(Taken(), FA_ERROR_FOREIGN);
     }},
    {"fa_heap_alloc",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_heap_alloc(nullptr, 16));
         EACH_SIZE(REFUSED(fa_heap_alloc(a, size)))
     }},
    {"fa_heap_alloc_aligned",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_heap_alloc_aligned(nullptr, 16, 16));
         EACH_SIZE(REFUSED(fa_heap_alloc_aligned(a, size, 16)))
         EACH_ALIGN(REFUSED(fa_heap_alloc_aligned(a, 16, align)))
     }},
    {"fa_heap_alloc_zeroed",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_heap_alloc_zeroed(nullptr, 2, 16));
         EACH_PRODUCT(REFUSED(fa_heap_alloc_zeroed(a, count, size)))
         EACH_PRODUCT(REFUSED(fa_heap_alloc_zeroed(a, size, count)))
     }},
    {"fa_heap_free",
     [](fa_allocator *a, fa_frame *) {
         fa_heap_free(a, nullptr);
         fa_heap_free(nullptr, nullptr);
         int local = 0;
         fa_last_error_clear();
         fa_heap_free(nullptr, &local);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_heap_realloc",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_heap_realloc(nullptr, nullptr, 16));
         EACH_SIZE(REFUSED(fa_heap_realloc(a, nullptr, size)))
         void *block = fa_heap_alloc(a, 100);
         Paint(block, 1, 100);
         EACH_SIZE(REFUSED(fa_heap_realloc(a, block, size)))
         REFUSED(fa_heap_realloc(nullptr, block, 16));
         EXPECT_TRUE(IsPainted(block, 1, 100));
         fa_heap_free(a, block);
     }},
    {"fa_heap_visit",
     [](fa_allocator *a, fa_frame *) {
         fa_last_error_clear();
         EXPECT_EQ(fa_heap_visit(nullptr, [](void *, const fa_heap_block *) {}, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_heap_visit(a, nullptr, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_intent_of",
     [](fa_allocator *a, fa_frame *) {
         int local = 0;
         EXPECT_EQ(fa_intent_of(nullptr, &local), FA_INTENT_NONE);
         for (void *pointer : {static_cast<void *>(nullptr), static_cast<void *>(&local),
                               reinterpret_cast<void *>(uintptr_t{1}),
                               reinterpret_cast<void *>(UINTPTR_MAX), static_cast<void *>(a)})
             EXPECT_EQ(fa_intent_of(a, pointer), FA_INTENT_NONE) << pointer;
     }},
    {"fa_last_error", Nothing},
    {"fa_last_error_clear", Nothing},
    {"fa_pool_alloc",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_pool_alloc(nullptr, 16));
         EACH_SIZE(REFUSED(fa_pool_alloc(a, size)))
     }},
    {"fa_pool_alloc_aligned",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_pool_alloc_aligned(nullptr, 16, 16));
         EACH_SIZE(REFUSED(fa_pool_alloc_aligned(a, size, 32)))
         EACH_ALIGN(REFUSED(fa_pool_alloc_aligned(a, 16, align)))
     }},
    {"fa_pool_alloc_batch",
     [](fa_allocator *a, fa_frame *) {
         void *blocks[2] = {};
         INVALID(fa_pool_alloc_batch(nullptr, 16, 2, blocks));
         INVALID(fa_pool_alloc_batch(a, 16, 2, nullptr));
         EACH_SIZE(INVALID(fa_pool_alloc_batch(a, size, 2, blocks)))
         EXPECT_EQ(fa_pool_alloc_batch(a, 16, 0, nullptr), FA_OK);
         EXPECT_EQ(fa_pool_alloc_batch(a, 16, 0, blocks), FA_OK);
         EXPECT_EQ(blocks[0], nullptr);
     }},
    {"fa_pool_alloc_zeroed",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_pool_alloc_zeroed(nullptr, 2, 16));
         EACH_PRODUCT(REFUSED(fa_pool_alloc_zeroed(a, count, size)))
         EACH_PRODUCT(REFUSED(fa_pool_alloc_zeroed(a, size, count)))
     }},
    {"fa_pool_class_size",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_pool_class_size(nullptr, 16), 0u);
         EXPECT_EQ(fa_pool_class_size(a, 0), 0u);
         EXPECT_EQ(fa_pool_class_size(a, SIZE_MAX), SIZE_MAX);
     }},
    {"fa_pool_free",
     [](fa_allocator *a, fa_frame *) {
         fa_pool_free(nullptr, nullptr);
         fa_pool_free(a, nullptr);
         int local = 0;
         fa_last_error_clear();
         fa_pool_free(nullptr, &local);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_pool_free_batch",
     [](fa_allocator *a, fa_frame *) {
         fa_last_error_clear();
         fa_pool_free_batch(a, nullptr, 0);
         EXPECT_EQ(Taken(), FA_OK);
         fa_pool_free_batch(a, nullptr, 1);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         void *blocks[2] = {};
         fa_pool_free_batch(a, blocks, 2);
         EXPECT_EQ(Taken(), FA_OK);
         blocks[1] = blocks;
         fa_pool_free_batch(nullptr, blocks, 2);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_pool_free_sized",
     [](fa_allocator *a, fa_frame *) {
         for (size_t size : {size_t{0}, size_t{16}, SIZE_MAX}) {
             fa_pool_free_sized(nullptr, nullptr, size);
             fa_pool_free_sized(a, nullptr, size);
             int local = 0;
             fa_last_error_clear();
             fa_pool_free_sized(nullptr, &local, size);
             EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         }
     }},
    {"fa_soa_alloc",
     [](fa_allocator *a, fa_frame *) {
         const fa_soa_column column = {4, 0};
         void *arrays[1] = {};
         INVALID(fa_soa_alloc(nullptr, &column, 1, 10, arrays));
         INVALID(fa_soa_alloc(a, nullptr, 1, 10, arrays));
         INVALID(fa_soa_alloc(a, &column, 1, 10, nullptr));
         INVALID(fa_soa_alloc(a, &column, 0, 10, arrays));
         EACH_SIZE(INVALID(fa_soa_alloc(a, &column, 1, size, arrays)))
         EXPECT_EQ(arrays[0], nullptr);
     }},
    {"fa_soa_alloc_in",
     [](fa_allocator *, fa_frame *f) {
         const fa_soa_column column = {4, 0};
         void *arrays[1] = {};
         INVALID(fa_soa_alloc_in(nullptr, &column, 1, 10, arrays));
         INVALID(fa_soa_alloc_in(f, nullptr, 1, 10, arrays));
         INVALID(fa_soa_alloc_in(f, &column, 1, 10, nullptr));
         INVALID(fa_soa_alloc_in(f, &column, FA_SOA_COLUMN_COUNT_MAX + 1, 10, arrays));
         EACH_SIZE(INVALID(fa_soa_alloc_in(f, &column, 1, size, arrays)))
         EXPECT_EQ(arrays[0], nullptr);
     }},
    {"fa_soa_measure",
     [](fa_allocator *, fa_frame *) {
         size_t offset = 77;
         fa_soa_layout layout = {77, 77};
         fa_soa_column column = {4, 0};
         INVALID(fa_soa_measure(nullptr, 1, 10, &offset, &layout));
         INVALID(fa_soa_measure(&column, 1, 10, nullptr, &layout));
         INVALID(fa_soa_measure(&column, 1, 10, &offset, nullptr));
         INVALID(fa_soa_measure(&column, 0, 10, &offset, &layout));
         INVALID(fa_soa_measure(&column, SIZE_MAX, 10, &offset, &layout));
         EACH_SIZE(INVALID(fa_soa_measure(&column, 1, size, &offset, &layout)))
         EACH_SIZE(column.size = size; INVALID(fa_soa_measure(&column, 1, 1, &offset, &layout)))
         column.size = 4;
         EACH_ALIGN(column.align = align;
                    if (align != 0) INVALID(fa_soa_measure(&column, 1, 10, &offset, &layout)))
         EXPECT_EQ(offset, 77u);
         EXPECT_EQ(layout.bytes, 77u);
     }},
    {"fa_stats_format",
     [](fa_allocator *, fa_frame *) {
         char text[4] = "abc";
         EXPECT_EQ(fa_stats_format(nullptr, text, sizeof text), 0u);
         EXPECT_STREQ(text, "");
         const fa_stats stats = {};
         EXPECT_GT(fa_stats_format(&stats, nullptr, 0), 100u);
         EXPECT_GT(fa_stats_format(&stats, nullptr, 100), 100u);
     }},
    {"fa_stats_get",
     [](fa_allocator *a, fa_frame *) {
         fa_stats stats, zero;
         std::memset(&stats, 1, sizeof stats);
         std::memset(&zero, 0, sizeof zero);
         INVALID(fa_stats_get(nullptr, &stats));
         EXPECT_EQ(std::memcmp(&stats, &zero, sizeof stats), 0);
         INVALID(fa_stats_get(a, nullptr));
     }},
    {"fa_stats_suggest_config",
     [](fa_allocator *a, fa_frame *) {
         fa_alloc_config config;
         INVALID(fa_stats_suggest_config(nullptr, &config));
         INVALID(fa_stats_suggest_config(a, nullptr));
     }},
    {"fa_status_name", Nothing}, // status_test.cc
    {"fa_status_text", Nothing},
    {"fa_thread_attach",
     [](fa_allocator *, fa_frame *) { INVALID(fa_thread_attach(nullptr)); }},
    {"fa_thread_count",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_thread_count(nullptr), 0u); }},
    {"fa_thread_detach",
     [](fa_allocator *, fa_frame *) { INVALID(fa_thread_detach(nullptr)); }},
    {"fa_usable_size",
     [](fa_allocator *a, fa_frame *) {
         int local = 0;
         EXPECT_EQ(fa_usable_size(nullptr, &local), 0u);
         EXPECT_EQ(fa_usable_size(a, nullptr), 0u);
         EXPECT_EQ(fa_usable_size(a, &local), 0u);
         EXPECT_EQ(fa_usable_size(a, reinterpret_cast<void *>(UINTPTR_MAX)), 0u);
     }},
    {"fa_validate",
     [](fa_allocator *, fa_frame *) {
         const void *place = &place;
         INVALID(fa_validate(nullptr, &place));
         EXPECT_EQ(place, nullptr);
         INVALID(fa_validate(nullptr, nullptr));
     }},
};

class Arguments : public testing::TestWithParam<Call> {};

std::string Name(const testing::TestParamInfo<Call> &call) { return call.param.name; }

// Names of the functions that the public headers declare.
std::set<std::string> Declared() {
    std::set<std::string> names;
    DIR *folder = opendir("fa");
    if (folder == nullptr)
        return names;
    while (const dirent *entry = readdir(folder)) {
        const std::string file = entry->d_name;
        if (file.size() < 3 || file.substr(file.size() - 2) != ".h")
            continue;
        std::stringstream text;
        text << std::ifstream("fa/" + file).rdbuf();
        const std::string source = text.str();
        // From "FA_API" at the start of a line the first word fa_... before a parenthesis.
        const std::string word = "abcdefghijklmnopqrstuvwxyz0123456789_";
        for (size_t at = 0; (at = source.find("\nFA_API ", at)) != std::string::npos; at++)
            for (size_t name = at; (name = source.find("fa_", name)) != std::string::npos;) {
                const size_t end = source.find_first_not_of(word, name);
                const bool whole = word.find(source[name - 1]) == std::string::npos;
                if (whole && end != std::string::npos && source[end] == '(') {
                    names.insert(source.substr(name, end - name));
                    break;
                }
                name = end;
            }
    }
    closedir(folder);
    return names;
}

} // namespace

TEST_P(Arguments, AreRefusedAndNothingChanges) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        fa_alloc_config config = Plain();
        config.checks = checks;
        Allocator allocator(config);
        fa_frame *frame = fa_frame_begin(allocator);
        void *pool = fa_pool_alloc(allocator, 100), *heap = fa_heap_alloc(allocator, 5000);
        void *block = fa_frame_alloc(allocator, 100);
        for (void *each : {pool, heap, block})
            Paint(each, 3, 100);
        const fa_stats before = Stats(allocator);
        GetParam().test(allocator, frame);
        const fa_stats after = Stats(allocator);
        EXPECT_EQ(after.heap_live_count, before.heap_live_count);
        EXPECT_EQ(after.heap_live_bytes, before.heap_live_bytes);
        EXPECT_EQ(after.pool_live_count, before.pool_live_count);
        EXPECT_EQ(after.frame_count, before.frame_count);
        EXPECT_EQ(after.bytes_held, before.bytes_held);
        EXPECT_EQ(after.thread_count, before.thread_count);
        EXPECT_EQ(fa_frame_current(allocator), frame);
        for (void *each : {pool, heap, block})
            EXPECT_TRUE(IsPainted(each, 3, 100));
        ExpectValid(allocator);
        fa_free(allocator, pool);
        fa_free(allocator, heap);
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    }
}

INSTANTIATE_TEST_SUITE_P(All, Arguments, testing::ValuesIn(kCalls), Name);
INSTANTIATE_TEST_SUITE_P(Events, Arguments, testing::ValuesIn(kEventsCalls), Name);
INSTANTIATE_TEST_SUITE_P(Handle, Arguments, testing::ValuesIn(kHandleCalls), Name);
INSTANTIATE_TEST_SUITE_P(Inside, Arguments, testing::ValuesIn(kInsideCalls), Name);
INSTANTIATE_TEST_SUITE_P(Retain, Arguments, testing::ValuesIn(kRetainCalls), Name);
INSTANTIATE_TEST_SUITE_P(Limit, Arguments, testing::ValuesIn(kLimitCalls), Name);
INSTANTIATE_TEST_SUITE_P(Arena, Arguments, testing::ValuesIn(kArenaCalls), Name);
INSTANTIATE_TEST_SUITE_P(Task, Arguments, testing::ValuesIn(kTaskCalls), Name);
INSTANTIATE_TEST_SUITE_P(Group, Arguments, testing::ValuesIn(kGroupCalls), Name);
INSTANTIATE_TEST_SUITE_P(Scratch, Arguments, testing::ValuesIn(kScratchCalls), Name);
INSTANTIATE_TEST_SUITE_P(Stream, Arguments, testing::ValuesIn(kStreamCalls), Name);
INSTANTIATE_TEST_SUITE_P(Tag, Arguments, testing::ValuesIn(kTagCalls), Name);
INSTANTIATE_TEST_SUITE_P(Text, Arguments, testing::ValuesIn(kTextCalls), Name);
INSTANTIATE_TEST_SUITE_P(Thread, Arguments, testing::ValuesIn(kThreadCalls), Name);
INSTANTIATE_TEST_SUITE_P(Timeline, Arguments, testing::ValuesIn(kTimelineCalls), Name);
INSTANTIATE_TEST_SUITE_P(Typed, Arguments, testing::ValuesIn(kTypedCalls), Name);

TEST(ArgumentsList, HasEveryPublicFunction) {
    std::set<std::string> listed;
    std::vector<Call> calls(std::begin(kCalls), std::end(kCalls));
    calls.insert(calls.end(), std::begin(kHandleCalls), std::end(kHandleCalls));
    calls.insert(calls.end(), std::begin(kEventsCalls), std::end(kEventsCalls));
    calls.insert(calls.end(), std::begin(kLimitCalls), std::end(kLimitCalls));
    calls.insert(calls.end(), std::begin(kArenaCalls), std::end(kArenaCalls));
    calls.insert(calls.end(), std::begin(kTaskCalls), std::end(kTaskCalls));
    calls.insert(calls.end(), std::begin(kGroupCalls), std::end(kGroupCalls));
    calls.insert(calls.end(), std::begin(kScratchCalls), std::end(kScratchCalls));
    calls.insert(calls.end(), std::begin(kStreamCalls), std::end(kStreamCalls));
    calls.insert(calls.end(), std::begin(kTagCalls), std::end(kTagCalls));
    calls.insert(calls.end(), std::begin(kThreadCalls), std::end(kThreadCalls));
    calls.insert(calls.end(), std::begin(kTimelineCalls), std::end(kTimelineCalls));
    calls.insert(calls.end(), std::begin(kTextCalls), std::end(kTextCalls));
    calls.insert(calls.end(), std::begin(kTypedCalls), std::end(kTypedCalls));
    calls.insert(calls.end(), std::begin(kInsideCalls), std::end(kInsideCalls));
    calls.insert(calls.end(), std::begin(kRetainCalls), std::end(kRetainCalls));
    for (const Call &call : calls)
        EXPECT_TRUE(listed.insert(call.name).second) << call.name << " is there twice";
    const std::set<std::string> declared = Declared();
    EXPECT_GE(declared.size(), 60u) << "the headers were not found";
    for (const std::string &name : declared)
        EXPECT_EQ(listed.count(name), 1u) << name << " is not tested here";
    for (const std::string &name : listed)
        EXPECT_EQ(declared.count(name), 1u) << name << " is not declared";
}
