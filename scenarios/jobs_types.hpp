/* What in scenario "jobs" (jobs.hpp) does not depend on the Memory. */
#ifndef FA_SCENARIOS_JOBS_TYPES_HPP
#define FA_SCENARIOS_JOBS_TYPES_HPP

#include <cmath>

#include "scenarios/particles.hpp"

namespace scenarios {

struct JobsTypes : ParticlesTypes {
    static constexpr uint32_t kBones = 24, kTileObjects = 96, kTilesPerBatch = 16;
    static constexpr uint32_t kParticles = 24; /* of an emitter, alive at a time, about */
    static constexpr uint32_t kCellBodies = 6;
    static constexpr float kCell = 4, kRadius = 0.55f; /* metres */

    struct Scale {
        uint32_t characters, tiles, emitters, side; /* side: cells along one side of the field */
    };
    static constexpr Scale kSmoke = {24, 32, 24, 5}, kBench = {512, 512, 512, 24};

    struct Joint {
        float rotation[4], move[3], scale;
    };
    struct Matrix {
        float axes[9], origin[3];
    };
    struct Object {
        float x, y, size;
        uint32_t sprite;
    };
    enum { kOpaque, kBlended, kShadow, kLists };
    struct DrawItem {
        uint64_t key;
        const Object *object;
    };
    struct Source {
        Emitter emitter;
        Random random{0};
    };
    struct Body {
        float x, y, velocity_x, velocity_y;
    };
    struct Contact {
        uint32_t bodies[2];
        float normal_x, normal_y, depth, approach;
        uint64_t id;
    };
    /* A pool object: made where a contact was solved, heard for a while. */
    struct Hit {
        Hit *next;
        uint32_t frames_left, body;
        float x, y, strength;
        uint32_t channels[8];
    };
    /* A block that a job made for others. */
    template <class T> struct Result {
        T *items;
        uint32_t count, capacity;
    };

    static Joint pose_of(uint32_t character, uint32_t bone, float time);
    static Joint blend(const Joint &a, const Joint &b, float share);
    static Matrix place(const Joint &joint, const Matrix *parent);
    static bool before(const DrawItem &a, const DrawItem &b) { return a.key < b.key; }
    static bool key_before(const Key &a, const Key &b) {
        return a.key != b.key ? a.key < b.key : a.particle->seed < b.particle->seed;
    }
};

inline JobsTypes::Joint JobsTypes::pose_of(uint32_t character, uint32_t bone, float time) {
    float swing = time * 0.25f + static_cast<float>(character * 7 + bone * 3) * 0.125f;
    swing -= std::floor(swing); /* a triangle wave, from -1 to 1 */
    float x = std::abs(swing * 4.0f - 2.0f) - 1.0f;
    float w = std::sqrt(1.25f - 0.25f * x * x);
    return {{x * 0.5f, 0.0f, 0.0f, w}, {0.0f, 0.25f, x * 0.125f}, 1.0f + x * 0.0625f};
}

inline JobsTypes::Joint JobsTypes::blend(const Joint &a, const Joint &b, float share) {
    Joint joint;
    float length = 0;
    for (int i = 0; i < 4; i++) {
        joint.rotation[i] = a.rotation[i] + (b.rotation[i] - a.rotation[i]) * share;
        length += joint.rotation[i] * joint.rotation[i];
    }
    float factor = 1.0f / std::sqrt(length);
    for (float &part : joint.rotation)
        part *= factor;
    for (int i = 0; i < 3; i++)
        joint.move[i] = a.move[i] + (b.move[i] - a.move[i]) * share;
    joint.scale = a.scale + (b.scale - a.scale) * share;
    return joint;
}

/* The joint as a matrix, in the space of its parent. */
inline JobsTypes::Matrix JobsTypes::place(const Joint &joint, const Matrix *parent) {
    auto [x, y, z, w] = joint.rotation;
    float own[9] = {1 - 2 * (y * y + z * z), 2 * (x * y - z * w),     2 * (x * z + y * w),
                    2 * (x * y + z * w),     1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
                    2 * (x * z - y * w),     2 * (y * z + x * w),     1 - 2 * (x * x + y * y)};
    Matrix matrix;
    for (int row = 0; row < 3; row++) {
        for (int column = 0; column < 3; column++) {
            float sum = own[row * 3 + column];
            if (parent)
                sum = parent->axes[row * 3] * own[column] +
                      parent->axes[row * 3 + 1] * own[3 + column] +
                      parent->axes[row * 3 + 2] * own[6 + column];
            matrix.axes[row * 3 + column] = sum * joint.scale;
        }
        matrix.origin[row] = joint.move[row] + (parent ? parent->origin[row] : 0.0f);
    }
    return matrix;
}

} // namespace scenarios

#endif
