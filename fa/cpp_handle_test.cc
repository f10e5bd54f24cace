// Typed handles of C++: fa::handles, fa::handle, fa::pinned.
#include "fa/fa.hpp"
#include "fa/testing.hpp"

#include <vector>

using namespace fa_testing;

namespace {

struct Mesh {
    uint64_t number;
    char bytes[4088];
};

static_assert(sizeof(fa::handle<Mesh>) == 8 && std::is_trivially_copyable_v<fa::handle<Mesh>>);
static_assert(!std::is_convertible_v<fa::handle<int>, fa::handle<Mesh>>);
static_assert(!std::is_copy_constructible_v<fa::pinned<Mesh>>);
static_assert(!std::is_copy_constructible_v<fa::handles<Mesh>>);

TEST(CppHandle, ObjectsThatMove) {
    Allocator allocator(Plain());
    {
        fa::handles<Mesh> meshes(allocator);
        ASSERT_NE(meshes, nullptr);
        std::vector<fa::handle<Mesh>> all;
        for (uint64_t i = 0; i < 200; i++) {
            all.push_back(meshes.make(Mesh{i, {}}));
            ASSERT_TRUE(all.back());
        }
        fa::handle<Mesh> zeroed = meshes.make(), fixed = meshes.make_fixed();
        EXPECT_TRUE(IsFilled(meshes.get(zeroed), 0, sizeof(Mesh)));
        EXPECT_NE(zeroed, fixed);
        EXPECT_EQ(zeroed, zeroed);
        for (size_t i = 0; i < all.size(); i++)
            if (i % 4 != 0) {
                EXPECT_EQ(meshes.free(all[i]), FA_OK);
            }
        EXPECT_EQ(meshes.get(all[1]), nullptr);
        EXPECT_EQ(meshes.free(all[1]), FA_ERROR_FOREIGN);
        {
            fa::pinned<Mesh> pin = meshes.pin(all[100]), other = std::move(pin);
            EXPECT_FALSE(pin);
            ASSERT_TRUE(other);
            const Mesh *where = other.get();
            fa_handles_step step = meshes.compact(0, 0);
            EXPECT_TRUE(step.done);
            EXPECT_GT(step.moved_count, 0u);
            EXPECT_EQ(meshes.get(all[100]), where) << "pinned";
            EXPECT_EQ(meshes.free(all[100]), FA_ERROR_INVALID);
            other = meshes.pin(all[0]); // the first pin is taken back
            EXPECT_EQ(meshes.free(all[100]), FA_OK);
            EXPECT_EQ(other->number + (*other).number, 0u);
        }
        for (size_t i = 4; i < 100; i += 4)
            EXPECT_EQ(meshes.get(all[i])->number, i);
        EXPECT_EQ(meshes.free(all[0]), FA_OK) << "unpinned";
        EXPECT_FALSE(meshes.pin(all[0]));
        fa::handles<Mesh> moved(std::move(meshes));
        EXPECT_EQ(meshes, nullptr);
        EXPECT_NE(moved.get(fixed), nullptr);
        meshes = std::move(moved);
        EXPECT_NE(meshes.get(fixed), nullptr);
    }
    EXPECT_EQ(allocator.Destroy(), 0u);
}

TEST(CppHandle, Refusals) {
    fa::handles<Mesh> none(nullptr);
    EXPECT_EQ(none, nullptr);
    EXPECT_FALSE(none.make());
    EXPECT_FALSE(none.make(Mesh{}));
    EXPECT_EQ(none.get(fa::handle<Mesh>{}), nullptr);
    Allocator allocator(Plain());
    fa_handles_options options = {};
    options.slot_count_max = 1;
    fa::handles<int> few(allocator, &options);
    size_t count = 0;
    while (few.make(7))
        count++;
    EXPECT_GE(count, 1u);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
}

} // namespace
