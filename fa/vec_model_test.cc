// Random vectors against std::vector, several in one frame, so that some can grow where they lie
// and others can't.
#include "fa/testing.hpp"

#include <algorithm>

using namespace fa_testing;

namespace {

struct Element {
    uint64_t mark;
    uint32_t other;
    bool operator==(const Element &e) const { return mark == e.mark && other == e.other; }
};
FA_VEC(elements, Element)

struct Pair {
    elements vec;
    std::vector<Element> model;
    size_t capacity;
};

class VecModel {
  public:
    VecModel(fa_allocator *allocator, Random *random) : allocator_(allocator), random_(random) {
        for (Pair &pair : pairs_) {
            pair.capacity = random->OneIn(2) ? 0 : random->Size(80);
            pair.vec = random->OneIn(2)
                           ? elements_make(allocator, pair.capacity)
                           : elements_make_in(fa_frame_current(allocator), pair.capacity);
        }
    }

    void Step() {
        Pair &pair = pairs_[random_->Below(4)];
        elements *vec = &pair.vec;
        std::vector<Element> next = pair.model;
        const size_t count = next.size(), index = random_->Below(count + 2);
        const auto at = [&] { return next.begin() + static_cast<ptrdiff_t>(index); };
        fa_status status = FA_OK;
        switch (random_->Below(12)) {
        case 0:
        case 1:
        case 2:
            next.push_back(New());
            status = elements_push(vec, next.back());
            break;
        case 3: {
            std::vector<Element> more(random_->Size(20) - 1);
            std::generate(more.begin(), more.end(), [this] { return New(); });
            next.insert(next.end(), more.begin(), more.end());
            status = elements_push_n(vec, more.data(), more.size());
            break;
        }
        case 4: {
            const Element element = New();
            status = elements_insert(vec, index, element);
            if (index > count) {
                ASSERT_EQ(status, FA_ERROR_INVALID);
                status = FA_OK;
            } else {
                next.insert(at(), element);
            }
            break;
        }
        case 5:
            ASSERT_EQ(elements_remove(vec, index), index < count);
            if (index < count)
                next.erase(at());
            break;
        case 6:
            ASSERT_EQ(elements_remove_swap(vec, index), index < count);
            if (index < count) {
                *at() = next.back();
                next.pop_back();
            }
            break;
        case 7: {
            Element out = {};
            ASSERT_EQ(elements_pop(vec, &out), count != 0);
            if (count != 0) {
                ASSERT_TRUE(out == next.back());
                next.pop_back();
            }
            break;
        }
        case 8:
            if (random_->OneIn(8))
                Retain(vec, &next);
            break;
        case 9:
            next.resize(random_->Size(100) - 1);
            status = elements_resize(vec, next.size());
            break;
        case 10:
            if (random_->OneIn(30)) {
                next.clear();
                elements_clear(vec);
            }
            break;
        default:
            ASSERT_NE(fa_frame_alloc(allocator_, random_->Size(100)), nullptr);
        }
        if (pair.capacity != 0 && next.size() > pair.capacity) {
            ASSERT_EQ(status, FA_ERROR_FULL);
        } else {
            ASSERT_EQ(status, FA_OK);
            pair.model = next;
        }
        for (const Pair &each : pairs_)
            Compare(each);
    }

  private:
    Element New() { return Element{++mark_, static_cast<uint32_t>(mark_ * 7)}; }

    static void Retain(elements *vec, std::vector<Element> *model) {
        const auto keep = [](void *, const Element *e) { return e->mark % 3 != 0; };
        const size_t before = model->size();
        model->erase(std::remove_if(model->begin(), model->end(),
                                    [&](const Element &e) { return !keep(nullptr, &e); }),
                     model->end());
        ASSERT_EQ(elements_retain(vec, keep, nullptr), before - model->size());
    }

    static void Compare(const Pair &pair) {
        ASSERT_EQ(elements_count(&pair.vec), pair.model.size());
        ASSERT_TRUE(std::equal(pair.vec.begin(), pair.vec.end(), pair.model.begin()));
        if (pair.capacity != 0) {
            ASSERT_EQ(elements_capacity(&pair.vec), pair.capacity);
        }
    }

    fa_allocator *allocator_;
    Random *random_;
    Pair pairs_[4];
    uint64_t mark_ = 0;
};

} // namespace

TEST(VecModel, RandomOperations) {
    Random random;
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)})
        for (uint32_t in_flight : {1u, 2u}) {
            fa_alloc_config config = Plain();
            config.checks = checks;
            config.frames_in_flight = in_flight;
            config.frame_chunk_bytes_first = 4096;
            Allocator allocator(config);
            for (int frame = 0; frame < 15; frame++) {
                SCOPED_TRACE(testing::Message() << "FA_TEST_SEED=" << random.Seed() << ", frame "
                                                << frame << ", checks " << checks);
                ASSERT_NE(fa_frame_begin(allocator), nullptr);
                VecModel model(allocator, &random);
                for (int i = 0; i < 400 && !HasFatalFailure(); i++)
                    model.Step();
                ExpectValid(allocator);
                ASSERT_EQ(fa_frame_end(allocator), FA_OK);
            }
        }
}
