// The standard containers inside of a frame, in C++17: what would have been thousands of calls to
// malloc and free is a cursor that moves, and a frame that ends.
#include "fa/fa.hpp"

#include <cstdio>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

struct Entity {
    std::string name; // its text is on the heap of the standard library: an owner must destroy it
    float x;
    Entity(std::string text, float place) : name(std::move(text)), x(place) {}
};

template <class T> using FrameVector = std::vector<T, fa::frame_allocator<T>>;

// Fastest: containers that know the frame's handle.
size_t count_pairs(fa_frame *frame, const std::vector<fa::pool_ptr<Entity>> &entities) {
    fa::mark_scope scratch(frame); // first, so that what is below is gone before it goes back
    FrameVector<std::pair<const Entity *, const Entity *>> near(frame);
    for (const auto &left : entities)
        for (const auto &right : entities)
            if (left->x < right->x && right->x - left->x < 3)
                near.emplace_back(left.get(), right.get());
    return near.size();
}

// For code that takes any std::pmr::memory_resource, and knows nothing of frames.
size_t count_names(std::pmr::memory_resource *memory,
                   const std::vector<fa::pool_ptr<Entity>> &entities) {
    std::pmr::unordered_map<std::pmr::string, int> seen(memory);
    for (const auto &entity : entities)
        seen[std::pmr::string(entity->name, memory)]++;
    return seen.size();
}

} // namespace

int main() {
    fa::memory memory; // destroyed last
    if (memory == nullptr)
        return 1;
    std::vector<fa::pool_ptr<Entity>> entities;
    for (int i = 0; i < 100; i++) {
        // Empty when there is no memory: nothing is thrown, but by constructors.
        auto made = fa::make_pool<Entity>(memory, "an entity of sort " + std::to_string(i % 7),
                                          static_cast<float>(i));
        if (made == nullptr)
            return 1;
        entities.push_back(std::move(made));
    }
    fa::frame_resource resource(memory); // whatever frame the calling thread has open: one for all
    for (int number = 0; number < 2; number++) {
        fa::frame_scope frame(memory);
        if (frame == nullptr)
            return 1;
        // An object of the frame whose destructor runs when that ends.
        auto *log = fa::frame_new<std::string>(frame, "frame " + std::to_string(number));
        if (log == nullptr)
            return 1;
        *log += ": " + std::to_string(count_pairs(frame, entities)) + " pairs, " +
                std::to_string(count_names(&resource, entities)) + " names";
        std::printf("%s\n", log->c_str());
    }
    entities.resize(10); // ninety are destroyed, and back in their pool
    std::printf("%zu entities, the last is '%s'\n", entities.size(), entities.back()->name.c_str());
    entities.clear();
    std::printf("left over: %zu\n", memory.destroy());
    return 0;
}
