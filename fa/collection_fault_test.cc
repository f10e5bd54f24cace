// Collections that grow while the backend fails at its first call, its second, ...: what could not
// be done changes nothing, and what was there stays.
#include "fa/testing.hpp"

#include <map>
#include <string>

using namespace fa_testing;

namespace {

FA_VEC(ints, int)
FA_MAP(numbers, uint64_t, int, fa_hash_u64, fa_equal_u64)
FA_RING(queue, int)

void ExpectRefusal(fa_status status) {
    EXPECT_TRUE(status == FA_ERROR_NO_MEMORY || status == FA_ERROR_LIMIT) << fa_status_name(status);
    EXPECT_EQ(fa_last_error().status, status);
}

// All four at once, so that none can grow where it lies.
class Collections {
  public:
    explicit Collections(fa_allocator *allocator)
        : ints_(ints_make(allocator, 0)), numbers_(numbers_make(allocator, 0)),
          text_(fa_text_make(allocator, 0)), queue_(queue_make(allocator, 50)) {
        for (bool made :
             {ints_is_made(&ints_), numbers_is_made(&numbers_), fa_text_is_made(&text_)})
            EXPECT_TRUE(made) << "takes no memory yet";
        if (!queue_is_made(&queue_))
            ExpectRefusal(fa_last_error().status);
    }

    void Step(int i) {
        fa_status status = ints_push(&ints_, i);
        if (status == FA_OK)
            vec_model_.push_back(i);
        else
            ExpectRefusal(status);
        status = numbers_insert(&numbers_, static_cast<uint64_t>(i) * 77, i);
        if (status == FA_OK)
            map_model_[static_cast<uint64_t>(i) * 77] = i;
        else
            ExpectRefusal(status);
        status = fa_text_format(&text_, "%d ", i);
        if (status == FA_OK)
            text_model_ += std::to_string(i) + " ";
        else
            ExpectRefusal(status);
        status = queue_push_back_over(&queue_, i);
        EXPECT_EQ(status, queue_is_made(&queue_) ? FA_OK : FA_ERROR_FULL);
    }

    void Check() const {
        EXPECT_EQ(std::vector<int>(ints_.begin(), ints_.end()), vec_model_);
        EXPECT_EQ(fa_text_c_str(&text_), text_model_);
        EXPECT_EQ(numbers_count(&numbers_), map_model_.size());
        for (const auto &[key, value] : map_model_) {
            ASSERT_NE(numbers_find(&numbers_, key), nullptr);
            EXPECT_EQ(*numbers_find(&numbers_, key), value);
        }
        size_t visited = 0;
        fa_map_cursor cursor = {};
        while (numbers_next(&numbers_, &cursor) != nullptr)
            visited++;
        EXPECT_EQ(visited, map_model_.size());
    }

  private:
    ints ints_;
    numbers numbers_;
    fa_text text_;
    queue queue_;
    std::vector<int> vec_model_;
    std::map<uint64_t, int> map_model_;
    std::string text_model_;
};

} // namespace

class CollectionFault : public testing::TestWithParam<std::tuple<bool, uint32_t>> {};

INSTANTIATE_TEST_SUITE_P(All, CollectionFault,
                         testing::Combine(testing::Bool(),
                                          testing::Values(0u, uint32_t{FA_CHECK_ALL})));

TEST_P(CollectionFault, AtEveryBackendCall) {
    const auto [lasting, checks] = GetParam();
    uint64_t at = 1;
    for (bool failed = true; failed; at++) {
        SCOPED_TRACE(testing::Message() << "fails at call " << at << (lasting ? " and on" : ""));
        ASSERT_LT(at, 200u);
        Source source;
        source.Fail(at, lasting);
        fa_alloc_config config = Plain(fa_alloc_config_minimal());
        config.checks = checks;
        config.frame_chunk_bytes_first = 4096;
        config.backends[0] = source.backend;
        fa_allocator *allocator = nullptr;
        if (fa_allocator_create(&config, &allocator) == FA_OK) {
            for (int frame = 0; frame < 2; frame++)
                if (fa_frame_begin(allocator) != nullptr) {
                    Collections run(allocator);
                    for (int i = 0; i < 3000; i++)
                        run.Step(i);
                    run.Check();
                    ExpectValid(allocator);
                    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
                }
            EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
        }
        EXPECT_EQ(source.BytesLive(), 0u);
        failed = fa_failing_calls(&source.failing, FA_FAILING_ALLOC) >= at;
        if (HasFailure())
            return;
    }
    EXPECT_GT(at, 4u) << "no call could fail";
}

TEST_P(CollectionFault, AtTheCapOfTheFrame) {
    fa_alloc_config config = Plain();
    config.checks = std::get<1>(GetParam());
    config.frame_bytes_max = config.frame_chunk_bytes_first = 65536;
    Allocator allocator(config);
    for (int frame = 0; frame < 3; frame++) {
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        Collections run(allocator);
        for (int i = 0; i < 20000; i++)
            run.Step(i);
        run.Check();
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    }
}
