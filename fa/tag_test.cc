// Tags, call by call: names, the stack, frame memory, text.
#include "fa/testing_tags.hpp"

using namespace fa_testing;

// ---- names ----

TEST(Tag, StandardTagsAreThereFromTheStart) {
    Tracked allocator;
    EXPECT_EQ(fa_tag_count(allocator), static_cast<size_t>(FA_TAG_STANDARD_COUNT));
    const char *names[] = {"rendering", "physics", "audio",      "scripting",
                           "assets",    "ui",      "networking", "general"};
    const fa_tag tags[] = {FA_TAG_RENDERING, FA_TAG_PHYSICS, FA_TAG_AUDIO,      FA_TAG_SCRIPTING,
                           FA_TAG_ASSETS,    FA_TAG_UI,      FA_TAG_NETWORKING, FA_TAG_GENERAL};
    for (size_t i = 0; i < 8; i++) {
        EXPECT_EQ(fa_tag_find(allocator, names[i]), tags[i]);
        EXPECT_EQ(fa_tag_intern(allocator, names[i]), tags[i]);
        EXPECT_EQ(Path(allocator, tags[i]), names[i]);
        EXPECT_EQ(fa_tag_parent(allocator, tags[i]), FA_TAG_ROOT);
    }
    EXPECT_EQ(Path(allocator, FA_TAG_ROOT), "");
    EXPECT_EQ(fa_tag_parent(allocator, FA_TAG_ROOT), FA_TAG_NONE);
}

TEST(Tag, PathsAreInternedByContent) {
    Tracked allocator;
    char path[] = "ai::pathfinding::grid";
    const fa_tag grid = fa_tag_intern(allocator, path);
    ASSERT_NE(grid, FA_TAG_NONE);
    EXPECT_EQ(fa_tag_count(allocator), static_cast<size_t>(FA_TAG_STANDARD_COUNT) + 3);
    path[0] = 'x'; // it was copied
    EXPECT_EQ(fa_tag_find(allocator, "ai::pathfinding::grid"), grid);
    EXPECT_EQ(fa_tag_find(allocator, path), FA_TAG_NONE);
    EXPECT_EQ(fa_last_error().status, FA_OK) << "not found is no error";
    const fa_tag pathfinding = fa_tag_find(allocator, "ai::pathfinding");
    EXPECT_EQ(fa_tag_parent(allocator, grid), pathfinding);
    EXPECT_EQ(fa_tag_parent(allocator, pathfinding), fa_tag_find(allocator, "ai"));
    EXPECT_EQ(Path(allocator, grid), "ai::pathfinding::grid");
    EXPECT_NE(fa_tag_intern(allocator, "world::pathfinding"), pathfinding);
    EXPECT_EQ(fa_tag_find(allocator, "pathfinding"), FA_TAG_NONE);
    EXPECT_EQ(fa_tag_find(allocator, "ai::path"), FA_TAG_NONE);
    EXPECT_NE(fa_tag_intern(allocator, "ai::path finding, 2nd (\xC3\xA4)"), FA_TAG_NONE);
}

TEST(Tag, PathIsCutToTheRoomThatThereIs) {
    Tracked allocator;
    const fa_tag tag = fa_tag_intern(allocator, "ab::cd");
    char text[8] = "1234567";
    EXPECT_EQ(fa_tag_path(allocator, tag, text, 4), 6u);
    EXPECT_STREQ(text, "ab:");
    EXPECT_EQ(text[4], '5');
    EXPECT_EQ(fa_tag_path(allocator, tag, nullptr, 0), 6u);
    EXPECT_EQ(fa_tag_path(allocator, tag, text, 7), 6u);
    EXPECT_STREQ(text, "ab::cd");
}

TEST(Tag, BadPathsAreRefused) {
    Tracked allocator;
    const std::string name(FA_TAG_NAME_BYTES - 1, 'n');
    const std::string full = name + "::" + name + "::" + name + "::" + std::string(60, 'm');
    ASSERT_EQ(full.size(), static_cast<size_t>(FA_TAG_PATH_BYTES) - 1);
    const std::string bad[] = {
        "",        ":",     "::",  "a::",      "::a",   "a::::b", "a:b",      "a:",
        ":a",      "a:::b", "a\n", "a::\t::b", "a\x7F", "a::b:",  name + "n", "a::" + name + "n",
        full + "x"};
    for (const std::string &path : bad) {
        SCOPED_TRACE(path);
        EXPECT_EQ(fa_tag_intern(allocator, path.c_str()), FA_TAG_NONE);
        EXPECT_EQ(Taken(), FA_ERROR_INVALID);
        EXPECT_EQ(fa_tag_find(allocator, path.c_str()), FA_TAG_NONE);
        EXPECT_EQ(fa_tag_enter_name(allocator, path.c_str()), FA_ERROR_INVALID);
    }
    EXPECT_EQ(fa_tag_count(allocator), static_cast<size_t>(FA_TAG_STANDARD_COUNT));
    EXPECT_EQ(fa_tag_current(allocator), FA_TAG_ROOT);
    const fa_tag tag = fa_tag_intern(allocator, full.c_str());
    EXPECT_EQ(Path(allocator, tag), full);
    EXPECT_EQ(fa_tag_enter(allocator, tag), FA_OK);
    EXPECT_EQ(fa_tag_enter_name(allocator, "x"), FA_ERROR_INVALID) << "the whole path counts";
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
}

TEST(Tag, CountIsLimitedAndNothingIsMadeByHalves) {
    fa_alloc_config config = Config();
    config.tag_count_max = 16;
    Tracked allocator(config);
    for (int i = 0; fa_tag_count(allocator) < 14; i++)
        ASSERT_NE(fa_tag_intern(allocator, ("t" + std::to_string(i)).c_str()), FA_TAG_NONE);
    EXPECT_EQ(fa_tag_intern(allocator, "a::b::c"), FA_TAG_NONE);
    EXPECT_EQ(Taken(), FA_ERROR_LIMIT);
    EXPECT_EQ(allocator.Count(FA_DIAG_FA402), 1u);
    EXPECT_EQ(fa_tag_find(allocator, "a"), FA_TAG_NONE);
    EXPECT_EQ(fa_tag_count(allocator), 14u);
    EXPECT_NE(fa_tag_intern(allocator, "a::b"), FA_TAG_NONE);
    EXPECT_EQ(fa_tag_enter_name(allocator, "c"), FA_ERROR_LIMIT);
    EXPECT_NE(fa_tag_intern(allocator, "a::b"), FA_TAG_NONE) << "what exists is found";
}

TEST(Tag, ManyTagsOnManyThreadsAreTheSame) {
    fa_alloc_config config = Config();
    config.tag_count_max = FA_TAG_COUNT_MAX;
    Tracked allocator(config);
    std::vector<std::vector<fa_tag>> found(4);
    std::vector<std::thread> threads;
    for (std::vector<fa_tag> &tags : found)
        threads.emplace_back([&] {
            for (int i = 0; i < 300; i++) {
                const std::string path =
                    "many::" + std::to_string(i % 20) + "::" + std::to_string(i);
                tags.push_back(fa_tag_intern(allocator, path.c_str()));
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    for (const std::vector<fa_tag> &tags : found)
        EXPECT_EQ(tags, found[0]);
    EXPECT_EQ(fa_tag_count(allocator), FA_TAG_STANDARD_COUNT + 1u + 20 + 300);
    EXPECT_EQ(fa_thread_count(allocator), 0u) << "names need no thread";
    for (int i = 0; i < 300; i += 37)
        EXPECT_EQ(Path(allocator, found[0][static_cast<size_t>(i)]),
                  "many::" + std::to_string(i % 20) + "::" + std::to_string(i));
}

// ---- the stack ----

TEST(Tag, NestsAndIsAbsolute) {
    Tracked allocator;
    EXPECT_EQ(fa_tag_current(allocator), FA_TAG_ROOT);
    EXPECT_EQ(fa_thread_count(allocator), 0u) << "a question attaches nobody";
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_PHYSICS), FA_OK);
    EXPECT_EQ(fa_thread_count(allocator), 1u);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_AUDIO), FA_OK);
    EXPECT_EQ(fa_tag_current(allocator), FA_TAG_AUDIO) << "not below physics";
    EXPECT_EQ(fa_tag_enter_name(allocator, "music::streams"), FA_OK);
    EXPECT_EQ(Path(allocator, fa_tag_current(allocator)), "audio::music::streams");
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_ROOT), FA_OK);
    EXPECT_EQ(fa_tag_current(allocator), FA_TAG_ROOT);
    for (const char *path : {"audio::music::streams", "audio", "physics", ""}) {
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
        EXPECT_EQ(Path(allocator, fa_tag_current(allocator)), path);
    }
}

TEST(Tag, LeavingWithoutEnteringIsReported) {
    Events events;
    fa_alloc_config config = Config();
    events.Watch(&config);
    Tracked allocator(config);
    EXPECT_EQ(fa_tag_leave(allocator), FA_ERROR_INVALID);
    EXPECT_EQ(fa_thread_count(allocator), 0u);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(fa_tag_leave(allocator), FA_ERROR_INVALID);
    EXPECT_EQ(events.Count(FA_DIAG_FA401), 2u);
    OnThread([&] { EXPECT_EQ(fa_tag_leave(allocator), FA_ERROR_INVALID); });
    EXPECT_EQ(allocator.Count(FA_DIAG_FA401), 3u);
}

TEST(Tag, DepthIsLimited) {
    Events events;
    fa_alloc_config config = Config();
    events.Watch(&config);
    Tracked allocator(config);
    for (int i = 0; i < FA_TAG_DEPTH_MAX; i++)
        ASSERT_EQ(fa_tag_enter(allocator, i % 2 ? FA_TAG_UI : FA_TAG_AUDIO), FA_OK);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_PHYSICS), FA_ERROR_LIMIT);
    EXPECT_EQ(events.Count(FA_DIAG_FA402), 1u);
    EXPECT_EQ(fa_tag_current(allocator), FA_TAG_UI);
    EXPECT_EQ(fa_tagged_pool_alloc({allocator, FA_TAG_UI}, 10), nullptr);
    EXPECT_EQ(Taken(), FA_ERROR_LIMIT);
    for (int i = 0; i < FA_TAG_DEPTH_MAX; i++)
        ASSERT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(fa_tag_leave(allocator), FA_ERROR_INVALID);
}

TEST(Tag, AThreadThatDetachesLeavesAll) {
    Tracked allocator;
    for (int round = 0; round < 2; round++) {
        EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
        EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_AUDIO), FA_OK);
        EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
        EXPECT_EQ(fa_tag_current(allocator), FA_TAG_ROOT);
        fa_frame *frame = fa_frame_begin(allocator);
        EXPECT_NE(fa_frame_alloc_in(frame, 64), nullptr);
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        void *block = fa_pool_alloc(allocator, 64);
        EXPECT_EQ(TagStats(allocator, FA_TAG_AUDIO).pool_alloc_count, 0u);
        EXPECT_EQ(TagStats(allocator, FA_TAG_AUDIO).frame_bytes_total, 0u);
        fa_pool_free(allocator, block);
        EXPECT_EQ(fa_tag_leave(allocator), FA_ERROR_INVALID);
    }
}

TEST(Tag, TwoAllocatorsInterleaved) {
    Tracked one, other;
    const fa_tag ai = fa_tag_intern(one, "ai"), sound = fa_tag_intern(other, "sound::effects");
    fa_frame *first = fa_frame_begin(one), *second = fa_frame_begin(other);
    std::vector<void *> from_one, from_other;
    EXPECT_EQ(fa_tag_enter(one, ai), FA_OK);
    for (int i = 0; i < 100; i++) {
        EXPECT_NE(fa_frame_alloc_in(first, 64), nullptr);
        from_one.push_back(fa_pool_alloc(one, 64));
        EXPECT_EQ(fa_tag_enter(other, sound), FA_OK);
        EXPECT_NE(fa_frame_alloc_in(second, 32), nullptr);
        from_other.push_back(fa_pool_alloc(other, 64));
        from_one.push_back(fa_heap_alloc(one, 64));
        EXPECT_EQ(fa_tag_leave(other), FA_OK);
        EXPECT_NE(fa_frame_alloc_in(second, 16), nullptr);
        from_other.push_back(fa_pool_alloc(other, 64));
        EXPECT_EQ(fa_tag_current(one), ai);
        EXPECT_EQ(fa_tag_current(other), FA_TAG_ROOT);
    }
    EXPECT_EQ(fa_tag_leave(one), FA_OK);
    if (kCounted) {
        EXPECT_EQ(TagStats(one, ai).pool_live_count, 100u);
        EXPECT_EQ(TagStats(other, sound).pool_live_count, 100u);
        EXPECT_EQ(TagStats(other, FA_TAG_ROOT).pool_live_count, 200u);
    }
    EXPECT_EQ(TagStats(one, ai).heap_live_count, 100u);
    const size_t all = fa_frame_bytes_in(second);
    EXPECT_EQ(TagStats(one, ai).frame_bytes, fa_frame_bytes_in(first));
    EXPECT_GT(TagStats(other, sound).frame_bytes, all / 2);
    EXPECT_LT(TagStats(other, sound).frame_bytes, all);
    for (void *block : from_one)
        fa_free(one, block);
    for (void *block : from_other)
        fa_free(other, block);
    EXPECT_EQ(TagStats(one, ai).pool_live_count, 0u);
    EXPECT_EQ(fa_frame_end_in(first), FA_OK);
    EXPECT_EQ(fa_frame_end_in(second), FA_OK);
    one.Check();
    other.Check();
}

// ---- frame memory ----

TEST(Tag, FrameNumbersOverFrames) {
    Tracked allocator;
    const fa_tag child = fa_tag_intern(allocator, "ai::grid"), ai = fa_tag_parent(allocator, child);
    fa_frame *frame = fa_frame_begin(allocator);
    EXPECT_NE(fa_frame_alloc_in(frame, 1000), nullptr);
    EXPECT_EQ(fa_tag_enter(allocator, ai), FA_OK); // stays entered over the end
    size_t before = fa_frame_bytes_in(frame);
    EXPECT_NE(fa_frame_alloc_in(frame, 100), nullptr);
    EXPECT_NE(fa_frame_alloc_in(frame, 200000), nullptr); // another chunk
    const size_t first = fa_frame_bytes_in(frame) - before;
    EXPECT_EQ(TagStats(allocator, ai).frame_bytes, first);
    EXPECT_EQ(TagStats(allocator, FA_TAG_ROOT).frame_bytes, before + first);
    EXPECT_EQ(TagStats(allocator, ai).frame_bytes_total, 0u);
    const size_t whole = fa_frame_bytes_in(frame);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(TagStats(allocator, ai).frame_bytes, 0u);
    EXPECT_EQ(TagStats(allocator, ai).frame_bytes_last, first);
    EXPECT_EQ(TagStats(allocator, FA_TAG_ROOT).frame_bytes_last, whole);

    EXPECT_EQ(fa_frame_begin(allocator), frame);
    EXPECT_EQ(fa_tag_enter(allocator, child), FA_OK);
    EXPECT_NE(fa_frame_alloc_in(frame, 64), nullptr);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    const size_t second = fa_frame_bytes_in(frame);
    EXPECT_NE(fa_frame_alloc_in(frame, 64), nullptr);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    fa_tag_stats stats = TagStats(allocator, ai);
    EXPECT_EQ(stats.frame_bytes_last, second) << "with the child's";
    EXPECT_EQ(stats.frame_bytes_peak, first);
    EXPECT_EQ(stats.frame_bytes_total, first + second);
    EXPECT_EQ(stats.frame_alloc_count, 3 * kOne);
    EXPECT_EQ(TagStats(allocator, child).frame_bytes_peak, second);

    EXPECT_EQ(fa_frame_begin(allocator), frame); // nobody enters anything
    EXPECT_NE(fa_frame_alloc_in(frame, 64), nullptr);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(TagStats(allocator, ai).frame_bytes_last, 0u);
    EXPECT_EQ(TagStats(allocator, ai).frame_bytes_total, first + second);
    EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
    EXPECT_EQ(TagStats(allocator, ai).frame_bytes_total, first + second);
    EXPECT_EQ(TagStats(allocator, ai).frame_bytes_peak, first);
}

TEST(Tag, FramesWithoutATagCountForNone) {
    Tracked allocator;
    for (int round = 0; round < 2; round++) {
        fa_frame *frame = fa_frame_begin(allocator);
        for (int i = 0; i < 5; i++)
            EXPECT_NE(fa_frame_alloc_in(frame, 64), nullptr);
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    }
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK); // between two frames
    fa_frame *frame = fa_frame_begin(allocator);
    EXPECT_NE(fa_frame_alloc_in(frame, 64), nullptr);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_NE(fa_frame_alloc_in(frame, 64), nullptr);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(TagStats(allocator, FA_TAG_UI).frame_alloc_count, kOne);
    EXPECT_EQ(TagStats(allocator, FA_TAG_ROOT).frame_alloc_count, 12 * kOne);
}

TEST(Tag, ARewindTakesBackWhatEachGot) {
    Tracked allocator;
    fa_frame *frame = fa_frame_begin(allocator);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
    EXPECT_NE(fa_frame_alloc_in(frame, 100), nullptr);
    const size_t ui = fa_frame_bytes_in(frame);
    const fa_mark mark = fa_frame_mark_in(frame);
    EXPECT_NE(fa_frame_alloc_in(frame, 100), nullptr);
    for (int i = 0; i < 1000; i++) { // more than the log has room for at first
        EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_AUDIO), FA_OK);
        EXPECT_NE(fa_frame_alloc_in(frame, 300), nullptr);
        EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_PHYSICS), FA_OK);
        EXPECT_NE(fa_frame_alloc_in(frame, 500), nullptr);
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    }
    EXPECT_GT(TagStats(allocator, FA_TAG_AUDIO).frame_bytes, 300000u);
    EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
    EXPECT_EQ(TagStats(allocator, FA_TAG_AUDIO).frame_bytes, 0u);
    EXPECT_EQ(TagStats(allocator, FA_TAG_PHYSICS).frame_bytes, 0u);
    EXPECT_EQ(TagStats(allocator, FA_TAG_UI).frame_bytes, ui);
    EXPECT_NE(fa_frame_alloc_in(frame, 100), nullptr);
    const size_t whole = fa_frame_bytes_in(frame);
    EXPECT_EQ(TagStats(allocator, FA_TAG_UI).frame_bytes, whole);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(TagStats(allocator, FA_TAG_UI).frame_bytes_total, whole);
    EXPECT_EQ(TagStats(allocator, FA_TAG_PHYSICS).frame_bytes_total, 0u);
    EXPECT_EQ(TagStats(allocator, FA_TAG_PHYSICS).frame_alloc_count, 1000 * kOne);
    allocator.Check();
}

TEST(Tag, ABlockOfAnotherTagIsCopiedWhenItGrows) {
    Tracked allocator;
    fa_frame *frame = fa_frame_begin(allocator);
    void *block = fa_frame_alloc_in(frame, 100);
    Paint(block, 1, 100);
    EXPECT_EQ(fa_frame_grow_in(frame, block, 100, 200), block);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
    const size_t before = fa_frame_bytes_in(frame);
    void *copy = fa_frame_grow_in(frame, block, 200, 300);
    EXPECT_NE(copy, block);
    EXPECT_TRUE(IsPainted(copy, 1, 100));
    if (!kAsan) { // there a block that keeps an alignment has room behind it
        EXPECT_EQ(fa_frame_grow_in(frame, copy, 300, 400), copy);
    }
    EXPECT_EQ(TagStats(allocator, FA_TAG_UI).frame_bytes, fa_frame_bytes_in(frame) - before);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    frame = fa_frame_begin(allocator);
    block = fa_frame_alloc_in(frame, 100);
    EXPECT_EQ(fa_frame_grow_in(frame, block, 100, 200), block) << "as before";
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
}

// ---- visits and text ----

TEST(Tag, VisitsParentsFirst) {
    Tracked allocator;
    fa_tag_intern(allocator, "ai::first");
    fa_tag_intern(allocator, "audio::music");
    fa_tag_intern(allocator, "ai::second::deep");
    fa_tag_intern(allocator, "ai::third");
    struct Seen {
        fa_allocator *allocator;
        std::vector<std::string> paths;
    } seen = {allocator, {}};
    EXPECT_EQ(fa_tag_visit(
                  allocator,
                  [](void *user, const fa_tag_stats *stats) {
                      auto *here = static_cast<Seen *>(user);
                      here->paths.push_back(Path(here->allocator, stats->tag));
                      void *block = fa_heap_alloc(here->allocator, 100); // no lock is held
                      fa_heap_free(here->allocator, block);
                  },
                  &seen),
              fa_tag_count(allocator));
    const std::vector<std::string> expected = {"",
                                               "rendering",
                                               "physics",
                                               "audio",
                                               "audio::music",
                                               "scripting",
                                               "assets",
                                               "ui",
                                               "networking",
                                               "general",
                                               "ai",
                                               "ai::first",
                                               "ai::second",
                                               "ai::second::deep",
                                               "ai::third"};
    EXPECT_EQ(seen.paths, expected);
}

TEST(Tag, TableIsAligned) {
    Tracked allocator;
    void *block =
        fa_tagged_heap_alloc({allocator, fa_tag_intern(allocator, "ai::pathfinding")}, 77);
    const size_t length = fa_tag_format(allocator, nullptr, 0);
    std::string text(length + 1, 'x');
    EXPECT_EQ(fa_tag_format(allocator, &text[0], text.size()), length);
    text.pop_back();
    EXPECT_EQ(text.find("physics"), std::string::npos) << "never used";
    std::vector<std::string> lines;
    for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
        lines.push_back(text.substr(at, end - at));
    ASSERT_EQ(lines.size(), 4u) << text;
    EXPECT_EQ(lines[0].substr(0, 3), "tag");
    for (const char *memory : {"frame", "pool", "heap"})
        EXPECT_NE(lines[0].find(std::string(memory) + " peak"), std::string::npos);
    EXPECT_EQ(lines[1].substr(0, 5), "(all)");
    EXPECT_EQ(lines[3].substr(0, 16), "ai::pathfinding ");
    for (const std::string &line : lines)
        EXPECT_EQ(line.size(), lines[0].size());
    EXPECT_NE(lines[3].find(" 77"), std::string::npos);
    char cut[10];
    EXPECT_EQ(fa_tag_format(allocator, cut, sizeof cut), length);
    EXPECT_EQ(std::string(cut), text.substr(0, 9));
    fa_heap_free(allocator, block);
}
