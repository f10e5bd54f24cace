#include "fa/testing.hpp"

#include <functional>
#include <string>

using namespace fa_testing;

namespace {

constexpr size_t kKib = 1 << 10, kMib = 1 << 20, kGib = 1 << 30;

using Change = std::function<void(fa_alloc_config *)>;

std::string Message(const fa_alloc_config &config, fa_status expected) {
    char message[256] = "untouched";
    EXPECT_EQ(fa_alloc_config_validate(&config, message, sizeof message), expected) << message;
    EXPECT_EQ(fa_alloc_config_validate(&config, nullptr, 0), expected);
    return message;
}

// The change is legal: it validates, and an allocator can be made and works.
void ExpectValidChange(const char *what, const Change &change) {
    SCOPED_TRACE(what);
    fa_alloc_config config = Plain();
    change(&config);
    EXPECT_EQ(Message(config, FA_OK), "");
    config.frame_chunk_bytes_first = fa_alloc_config_default().frame_chunk_bytes_first;
    Allocator allocator(config);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    void *block = fa_pool_alloc(allocator, 40);
    EXPECT_NE(block, nullptr);
    EXPECT_NE(fa_frame_alloc(allocator, 40), nullptr);
    fa_pool_free(allocator, block);
    fa_frame_end(allocator);
    ExpectValid(allocator);
}

// The change is not: the message names the field, create refuses.
void ExpectInvalidChange(const char *field, const std::string &part, const Change &change) {
    fa_alloc_config config = Plain();
    change(&config);
    const std::string message = Message(config, FA_ERROR_CONFIG);
    EXPECT_EQ(message.rfind(field, 0), 0u) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message << " lacks " << part;
    EXPECT_EQ(message.find('\n'), std::string::npos);
    fa_allocator *allocator = reinterpret_cast<fa_allocator *>(&config);
    EXPECT_EQ(fa_allocator_create(&config, &allocator), FA_ERROR_CONFIG);
    EXPECT_EQ(allocator, nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_CONFIG);
}

#define VALID(statement) ExpectValidChange(#statement, [&](fa_alloc_config *c) { statement; })
#define INVALID(field, part, statement)                                                            \
    ExpectInvalidChange(field, part, [&](fa_alloc_config *c) { statement; })

} // namespace

TEST(Config, Presets) {
    unsetenv("FRAMEALLOC_BACKEND");
    unsetenv("FRAMEALLOC_STRICT");
    for (const fa_alloc_config &config :
         {fa_alloc_config_default(), fa_alloc_config_minimal(), fa_alloc_config_high_performance()})
        EXPECT_EQ(Message(config, FA_OK), "");

    const fa_alloc_config d = fa_alloc_config_default();
    EXPECT_EQ(d.name, nullptr);
    EXPECT_EQ(d.backends[0].vtable, nullptr);
    EXPECT_EQ(d.backend_spec, nullptr);
    EXPECT_EQ(d.bytes_max, 0u);
    EXPECT_EQ(d.reserve_bytes, 0u);
    EXPECT_EQ(d.frame_chunk_bytes_first, 64 * kKib);
    EXPECT_EQ(d.frame_chunk_bytes_max, kMib);
    EXPECT_EQ(d.frame_bytes_max, 256 * kMib);
    EXPECT_EQ(d.frame_full, FA_FRAME_FULL_FAIL);
    EXPECT_EQ(d.frames_in_flight, 1u);
    EXPECT_EQ(d.frame_trim_after, 120u);
    EXPECT_EQ(d.frame_open_after, 120u);
    EXPECT_EQ(d.pool_segment_bytes, 4 * kMib);
    EXPECT_EQ(d.pool_magazine_bytes, 256 * kKib);
    EXPECT_EQ(d.pool_magazine_count_max, 1024u);
    EXPECT_EQ(d.pool_trim_after, 120u);
    EXPECT_EQ(d.heap_region_bytes, 4 * kMib);
    EXPECT_EQ(d.heap_cache_bytes, 16 * kMib);
    EXPECT_EQ(d.thread_count_max, 0u);
    EXPECT_EQ(d.tag_count_max, 256u);
    EXPECT_EQ(d.checks, kDebug ? uint32_t{FA_CHECK_ALL} : 0u);
    EXPECT_EQ(d.on_event, kDebug ? fa_event_print : nullptr);
    EXPECT_FALSE(d.strict);
    EXPECT_TRUE(d.phase_clock);

    const fa_alloc_config m = fa_alloc_config_minimal();
    EXPECT_EQ(m.frame_chunk_bytes_first, 4 * kKib);
    EXPECT_EQ(m.frame_chunk_bytes_max, 64 * kKib);
    EXPECT_EQ(m.frame_trim_after, 8u);
    EXPECT_EQ(m.pool_segment_bytes, 256 * kKib);
    EXPECT_EQ(m.pool_magazine_count_max, 32u);
    EXPECT_EQ(m.pool_trim_after, 8u);
    EXPECT_EQ(m.heap_cache_bytes, 0u);

    const fa_alloc_config h = fa_alloc_config_high_performance();
    EXPECT_STREQ(h.backend_spec, "mmap:huge");
    EXPECT_EQ(h.frame_chunk_bytes_first, kMib);
    EXPECT_EQ(h.frame_chunk_bytes_max, 16 * kMib);
    EXPECT_EQ(h.frame_bytes_max, 0u);
    EXPECT_EQ(h.frame_trim_after, 0u);
    EXPECT_EQ(h.pool_segment_bytes, 16 * kMib);
    EXPECT_EQ(h.pool_magazine_count_max, 4096u);
    EXPECT_EQ(h.pool_trim_after, 0u);
    EXPECT_EQ(h.heap_cache_bytes, 256 * kMib);

    // The choice of the environment stands above that of a preset.
    setenv("FRAMEALLOC_BACKEND", "system", 1);
    EXPECT_EQ(fa_alloc_config_high_performance().backend_spec, nullptr);
    unsetenv("FRAMEALLOC_BACKEND");
}

TEST(Config, DefaultClassesAreFourForEachDoubling) {
    const fa_alloc_config config = fa_alloc_config_default();
    const size_t *classes = config.pool_class_bytes;
    size_t count = 0;
    while (classes[count] != 0)
        count++;
    ASSERT_EQ(count, 28u);
    EXPECT_EQ(classes[0], 16u);
    EXPECT_EQ(classes[3], 64u);
    EXPECT_EQ(classes[4], 80u);
    EXPECT_EQ(classes[27], 4096u);
    for (size_t i = 8; i < count; i++)
        EXPECT_EQ(classes[i], 2 * classes[i - 4]);
}

TEST(Config, StrictFromTheEnvironment) {
    const struct {
        const char *value;
        bool strict;
    } cases[] = {{"", false}, {"0", false}, {"1", true}, {"yes", true}, {"00", true}};
    for (const auto &c : cases) {
        setenv("FRAMEALLOC_STRICT", c.value, 1);
        EXPECT_EQ(fa_alloc_config_default().strict, c.strict) << c.value;
        EXPECT_EQ(fa_alloc_config_minimal().strict, c.strict) << c.value;
        EXPECT_EQ(fa_alloc_config_high_performance().strict, c.strict) << c.value;
    }
    unsetenv("FRAMEALLOC_STRICT");
    EXPECT_FALSE(fa_alloc_config_default().strict);
}

TEST(Config, FrameFieldsAtTheirEdges) {
    VALID(c->frame_chunk_bytes_first = 4 * kKib);
    VALID(c->frame_chunk_bytes_first = c->frame_chunk_bytes_max = kGib; c->frame_bytes_max = kGib);
    INVALID("frame_chunk_bytes_first", "4095", c->frame_chunk_bytes_first = 4 * kKib - 1);
    INVALID("frame_chunk_bytes_first", "1073741825", c->frame_chunk_bytes_first = kGib + 1);
    INVALID("frame_chunk_bytes_first", "0", c->frame_chunk_bytes_first = 0);
    VALID(c->frame_chunk_bytes_max = c->frame_chunk_bytes_first);
    VALID(c->frame_chunk_bytes_max = kGib);
    INVALID("frame_chunk_bytes_max", "65535", c->frame_chunk_bytes_max = 64 * kKib - 1);
    INVALID("frame_chunk_bytes_max", "1073741825", c->frame_chunk_bytes_max = kGib + 1);
    VALID(c->frame_bytes_max = 0);
    VALID(c->frame_bytes_max = c->frame_chunk_bytes_first);
    VALID(c->frame_bytes_max = FA_SIZE_MAX);
    INVALID("frame_bytes_max", "65535", c->frame_bytes_max = 64 * kKib - 1);
    INVALID("frame_bytes_max", "is 1,", c->frame_bytes_max = 1);
    INVALID("frame_bytes_max", "legal", c->frame_bytes_max = FA_SIZE_MAX + 1);
    VALID(c->frame_full = FA_FRAME_FULL_SPILL);
    INVALID("frame_full", "2", const int value = 2;
            std::memcpy(static_cast<void *>(&c->frame_full), &value, sizeof value));
    VALID(c->frames_in_flight = FA_FRAMES_IN_FLIGHT_MAX);
    INVALID("frames_in_flight", "0", c->frames_in_flight = 0);
    INVALID("frames_in_flight", "9", c->frames_in_flight = FA_FRAMES_IN_FLIGHT_MAX + 1);
    VALID(c->frame_trim_after = 0);
    VALID(c->frame_trim_after = 1);
    VALID(c->frame_trim_after = UINT32_MAX);
    VALID(c->frame_open_after = 0);
    VALID(c->frame_open_after = UINT32_MAX);
}

TEST(Config, PoolFieldsAtTheirEdges) {
    VALID(c->pool_segment_bytes = 256 * kKib);
    VALID(c->pool_segment_bytes = 64 * kMib);
    INVALID("pool_segment_bytes", "131072", c->pool_segment_bytes = 128 * kKib);
    INVALID("pool_segment_bytes", "134217728", c->pool_segment_bytes = 128 * kMib);
    INVALID("pool_segment_bytes", "power of two", c->pool_segment_bytes = 3 * kMib);
    INVALID("pool_segment_bytes", "power of two", c->pool_segment_bytes = 0);
    VALID(c->pool_magazine_bytes = 0);
    VALID(c->pool_magazine_bytes = 64 * kMib);
    INVALID("pool_magazine_bytes", "67108865", c->pool_magazine_bytes = 64 * kMib + 1);
    VALID(c->pool_magazine_count_max = 8);
    VALID(c->pool_magazine_count_max = 32768);
    INVALID("pool_magazine_count_max", "7", c->pool_magazine_count_max = 7);
    INVALID("pool_magazine_count_max", "32769", c->pool_magazine_count_max = 32769);
    VALID(c->pool_trim_after = 0);
    VALID(c->pool_trim_after = 1);
    VALID(c->pool_trim_after = UINT32_MAX);
}

TEST(Config, PoolClassesAtTheirEdges) {
    VALID(c->pool_class_bytes[0] = 0);
    VALID(c->pool_class_bytes[0] = 16; c->pool_class_bytes[1] = 0);
    VALID(c->pool_class_bytes[0] = FA_POOL_CLASS_BYTES_MAX; c->pool_class_bytes[1] = 0);
    VALID(for (size_t i = 0; i < FA_POOL_CLASS_COUNT_MAX; i++) c->pool_class_bytes[i] = 16 * i + 16;
          c->pool_class_bytes[FA_POOL_CLASS_COUNT_MAX] = 0);
    INVALID("pool_class_bytes", "no 0 at its end",
            for (size_t i = 0; i <= FA_POOL_CLASS_COUNT_MAX; i++) c->pool_class_bytes[i] =
                16 * i + 16);
    INVALID("pool_class_bytes[0]", "is 8,", c->pool_class_bytes[0] = 8);
    INVALID("pool_class_bytes[1]", "is 24,", c->pool_class_bytes[1] = 24);
    INVALID("pool_class_bytes[1]", "is 16,", c->pool_class_bytes[1] = 16);
    INVALID("pool_class_bytes[3]", "is 16,", c->pool_class_bytes[3] = 16);
    INVALID("pool_class_bytes[0]", "is 8208,", c->pool_class_bytes[0] = 8208;
            c->pool_class_bytes[1] = 0);
}

TEST(Config, OtherFieldsAtTheirEdges) {
    VALID(c->name = "");
    VALID(c->name = "a name that is much longer than what the allocator keeps of it");
    VALID(c->bytes_max = FA_SIZE_MAX);
    VALID(c->bytes_max = SIZE_MAX);
    VALID(c->bytes_max = 16 * kMib);
    VALID(c->reserve_bytes = kMib);
    VALID(c->reserve_bytes = kMib; c->bytes_max = 16 * kMib);
    INVALID("reserve_bytes", "1048577", c->reserve_bytes = kMib + 1; c->bytes_max = kMib);
    INVALID("reserve_bytes", "legal", c->reserve_bytes = FA_SIZE_MAX + 1);
    INVALID("reserve_bytes", "legal", c->reserve_bytes = SIZE_MAX; c->bytes_max = SIZE_MAX);
    VALID(c->heap_region_bytes = 0);
    VALID(c->heap_region_bytes = 256 * kKib);
    VALID(c->heap_region_bytes = 256 * kKib + 1);
    VALID(c->heap_region_bytes = 64 * kMib);
    INVALID("heap_region_bytes", "262143", c->heap_region_bytes = 256 * kKib - 1);
    INVALID("heap_region_bytes", "67108865", c->heap_region_bytes = 64 * kMib + 1);
    VALID(c->heap_cache_bytes = 0);
    VALID(c->heap_cache_bytes = SIZE_MAX);
    VALID(c->thread_count_max = 1);
    VALID(c->thread_count_max = UINT32_MAX);
    VALID(c->tag_count_max = 16);
    VALID(c->tag_count_max = FA_TAG_COUNT_MAX);
    for (uint32_t checks : AllChecks())
        VALID(c->checks = checks);
    INVALID("checks", "8", c->checks = FA_CHECK_ALL + 1);
    VALID(c->strict = true);
    VALID(c->phase_clock = false);
    VALID(c->on_event_user = nullptr);
    VALID(c->backend_spec = "mmap+system");
}

TEST(Config, BackendsAreLookedAt) {
    const fa_backend good = fa_backend_system();
    VALID(c->backends[0] = good);
    VALID(for (fa_backend &backend : c->backends) backend = good);
    INVALID("backends", "gap", c->backends[1] = good);
    INVALID("backends", "gap", c->backends[0] = c->backends[3] = good);
    for (int missing = 0; missing < 4; missing++) {
        fa_backend_vtable vtable = *good.vtable;
        if (missing == 0)
            vtable.name = nullptr;
        else if (missing == 1)
            vtable.alloc = nullptr;
        else if (missing == 2)
            vtable.free = nullptr;
        else
            vtable.describe = nullptr;
        INVALID("a backend", "lacks", (c->backends[0] = fa_backend{&vtable, nullptr}));
    }
    fa_backend_vtable least = *good.vtable;
    least.resize = nullptr;
    least.purge = nullptr;
    least.bind = nullptr;
    least.locate = nullptr;
    least.close = nullptr;
    VALID((c->backends[0] = fa_backend{&least, good.context}));
}

TEST(Config, ACookieThatIsNotOurs) {
    INVALID("the configuration was not filled", "preset", c->cookie = 0);
    INVALID("the configuration was not filled", "FA_DEBUG", c->cookie ^= 1);
    INVALID("the configuration was not filled", "FA_MINIMAL", c->cookie ^= 2);
    INVALID("the configuration was not filled", "headers", c->cookie ^= (uint64_t)1 << 24);
    fa_alloc_config zero;
    std::memset(static_cast<void *>(&zero), 0, sizeof zero);
    EXPECT_NE(Message(zero, FA_ERROR_CONFIG), "");
}

TEST(Config, AProgramWithASmallerStructureIsNotWrittenPast) {
    struct {
        alignas(fa_alloc_config) unsigned char config[sizeof(fa_alloc_config)];
    } memory;
    void (*const presets[])(fa_alloc_config *, size_t) = {fai_config_default, fai_config_minimal,
                                                          fai_config_high_performance};
    for (auto *preset : presets) {
        std::memset(&memory, 0x77, sizeof memory);
        preset(reinterpret_cast<fa_alloc_config *>(memory.config), 64);
        EXPECT_TRUE(IsFilled(memory.config + 64, 0x77, sizeof memory.config - 64));
    }
}

TEST(Config, MessagesAreCutAndMayBeMissing) {
    fa_alloc_config config = Plain();
    config.frames_in_flight = 0;
    char message[8] = "1234567";
    EXPECT_EQ(fa_alloc_config_validate(&config, message, sizeof message), FA_ERROR_CONFIG);
    EXPECT_STREQ(message, "frames_");
    EXPECT_EQ(fa_alloc_config_validate(&config, message, 0), FA_ERROR_CONFIG);
    EXPECT_STREQ(message, "frames_");
    EXPECT_EQ(fa_alloc_config_validate(nullptr, message, sizeof message), FA_ERROR_INVALID);
    EXPECT_STREQ(message, "");
    EXPECT_EQ(fa_alloc_config_validate(nullptr, nullptr, 0), FA_ERROR_INVALID);
}

TEST(Config, WhatIsInForceCanBeReadBack) {
    char name[] = "level";
    char spec[] = "system";
    fa_alloc_config config = Plain();
    config.name = name;
    config.backend_spec = spec;
    config.frame_chunk_bytes_first = 5000;
    config.frame_chunk_bytes_max = 9001;
    config.pool_class_bytes[0] = 0;
    Allocator allocator(config);
    name[0] = spec[0] = 'X';
    const fa_alloc_config *own = fa_allocator_config(allocator);
    EXPECT_STREQ(own->name, "level");
    EXPECT_STREQ(own->backend_spec, "system");
    EXPECT_GE(own->frame_chunk_bytes_first, 5000u);
    EXPECT_EQ(own->frame_chunk_bytes_first % FA_CACHE_LINE, 0u);
    EXPECT_GE(own->frame_chunk_bytes_max, 9001u);
    EXPECT_EQ(own->pool_class_bytes[0], 16u);
    EXPECT_EQ(own->cookie, FA_CONFIG_COOKIE);

    config.name = "0123456789012345678901234567890123456789";
    config.backend_spec = "system";
    Allocator other(config);
    EXPECT_STREQ(fa_allocator_config(other)->name, "0123456789012345678901234567890");
    config.name = nullptr;
    Allocator third(config);
    EXPECT_STREQ(fa_allocator_config(third)->name, "");
}
