/* Scenario "particles": the particle system of a 2D game.
 *
 * Stands for: engine trails, hits, smoke and explosions of a battle. Ships fly in circles and emit
 * the effects that the data of a real game define (lifetime, velocity, spin, frame rate ...); a
 * camera looks at the middle of it. Each frame every emitter emits new particles in bursts, all
 * particles move, dead ones go; those in view get a sort key, keys are sorted, and instances are
 * written in batches of one layer and sprite, as they would be for the GPU.
 *
 * Allocation shape, measured a frame with 30,000 live particles (package's data):
 *
 * - pool: 2,945 particles of 80 B are born and as many die, after 1 to 900 frames, 10 on average
 * - frame: 234 lists of the particles in view, one an emitter, 1 KB each, until the keys are made
 * - frame: 2 arrays of sort keys, 175 KB each, until the batches are written
 * - frame: 84 draw records of 56 B, 84 instance buffers that grow from 1 KiB in 2 steps on average,
 * to 16 KiB at the most, one list of sounds that grows to 1 KiB, until the end of the frame
 * - heap: nothing; at set-up one array of particles for each emitter
 *
 * That is 590 frame allocations and growths of 1.4 MB together, 0.6 MB of it alive at a time. The
 * whole frame takes 0.7 ms on the machine of the first measurements.
 *
 * Leaves out: threads, GPU upload, textures (streaming has those), collision. */
#ifndef FA_SCENARIOS_PARTICLES_HPP
#define FA_SCENARIOS_PARTICLES_HPP

#include <algorithm>
#include <cmath>
#include <utility>

#include "scenarios/game_data.hpp"
#include "scenarios/scenario.hpp"

namespace scenarios {

/* What does not depend on the Memory. Lengths in pixels, times in frames, angles in radians. */
struct ParticlesTypes {
    /* A pool object: lives as long as the particle. */
    struct Particle {
        const Effect *effect;
        float x, y, velocity_x, velocity_y;
        float angle, spin;
        float image, image_step; /* of the animation */
        float scale, fade;       /* fade: opacity lost in one frame, towards the end of its life */
        float tint[4];
        int32_t age, lifetime;
        uint32_t layer, seed;
    };

    struct Emitter {
        const Effect *effect;
        float orbit_x, orbit_y, orbit_radius, orbit_phase, orbit_step;
        float x, y, velocity_x, velocity_y;
        float rate, owed; /* particles a frame; emitted together when owed reaches burst */
        uint32_t burst, layer;
        uint32_t count, capacity;
        Particle **particles;     /* heap block */
        const Particle **visible; /* frame memory, while count > 0 */
        uint32_t visible_count;
    };

    /* A particle in view. key: layer, blending, sprite, height on the screen. */
    struct Key {
        uint64_t key;
        const Particle *particle;
    };

    /* What the vertex shader reads. */
    struct Instance {
        float x, y, axis_x, axis_y;
        float image, opacity;
        uint8_t tint[4];
        uint32_t seed;
    };

    /* One draw call; frame memory like its instances. */
    struct Draw {
        Draw *next;
        Instance *instances;
        uint32_t count, capacity;
        uint32_t layer, sprite, blend;
        float bounds[4];
    };

    struct Sound {
        const Effect *effect;
        float x, y;
    };

    static constexpr uint32_t kLayerCount = 4;
    static constexpr uint32_t kEmitterParticles = 128; /* alive at a time, about */
    static constexpr float kWorld = 2400, kViewX = 1920, kViewY = 1080;
    static constexpr uint32_t kBatchFirst = 32; /* instances that a batch starts with */

    static const ScenarioInfo &info() {
        static const ScenarioInfo info = {
            "particles",
            "a 2D battle's particle system: spawn, move, sort, write instances",
            "live particles",
            {3000, 30000, 100000},
            1500,
            30000};
        return info;
    }
    static uint64_t key_of(const Particle &particle, float screen_y);
    static void write_instance(const Particle &particle, Instance *instance);
    static void sort(Key *keys, Key *scratch, uint32_t count);
    /* The next place of an emitter. */
    static void fly(Emitter &emitter);
    static void init(const Emitter &emitter, Random &random, Particle *particle);
    /* One frame of a particle's life; false when it is over. */
    static bool step(Particle *particle);
};

inline uint64_t ParticlesTypes::key_of(const Particle &particle, float screen_y) {
    const Effect &effect = *particle.effect;
    uint64_t height = static_cast<uint64_t>(std::clamp(screen_y, 0.0f, kViewY - 1.0f)) >> 3;
    return uint64_t{particle.layer} << 20 | static_cast<uint64_t>(effect.blend) << 19 |
           uint64_t{effect.sprite & 0xFFF} << 7 | std::min<uint64_t>(height, 127);
}

inline void ParticlesTypes::write_instance(const Particle &particle, Instance *instance) {
    float opacity = 1.0f - particle.fade * static_cast<float>(particle.age);
    instance->x = particle.x;
    instance->y = particle.y;
    instance->axis_x = std::cos(particle.angle) * particle.scale;
    instance->axis_y = std::sin(particle.angle) * particle.scale;
    instance->image = std::floor(particle.image);
    instance->opacity = opacity;
    for (int i = 0; i < 4; i++)
        instance->tint[i] = static_cast<uint8_t>(particle.tint[i] * opacity * 255.0f);
    instance->seed = particle.seed;
}

/* Radix sort of the 22 bits of a key, 11 at a time: stable, so equal keys stay in emitter order. */
inline void ParticlesTypes::sort(Key *keys, Key *scratch, uint32_t count) {
    constexpr uint32_t kBits = 11, kBins = 1u << kBits;
    for (uint32_t shift = 0; shift < 2 * kBits; shift += kBits) {
        uint32_t starts[kBins] = {};
        for (uint32_t i = 0; i < count; i++)
            starts[keys[i].key >> shift & (kBins - 1)]++;
        uint32_t sum = 0;
        for (uint32_t &start : starts)
            sum += std::exchange(start, sum);
        for (uint32_t i = 0; i < count; i++)
            scratch[starts[keys[i].key >> shift & (kBins - 1)]++] = keys[i];
        std::swap(keys, scratch);
    }
}

inline void ParticlesTypes::fly(Emitter &emitter) {
    float phase = emitter.orbit_phase += emitter.orbit_step;
    float x = emitter.orbit_x + std::cos(phase) * emitter.orbit_radius;
    float y = emitter.orbit_y + std::sin(phase) * emitter.orbit_radius;
    emitter.velocity_x = x - emitter.x;
    emitter.velocity_y = y - emitter.y;
    emitter.x = x;
    emitter.y = y;
}

inline void ParticlesTypes::init(const Emitter &emitter, Random &random, Particle *particle) {
    constexpr float kRadians = 3.14159265f / 180.0f;
    const Effect &effect = *emitter.effect;
    float heading = random.unit() * 6.2831853f;
    float speed = random.unit() * effect.random_velocity;
    particle->effect = &effect;
    particle->x = emitter.x;
    particle->y = emitter.y;
    particle->velocity_x = emitter.velocity_x * effect.velocity_scale + std::cos(heading) * speed;
    particle->velocity_y = emitter.velocity_y * effect.velocity_scale + std::sin(heading) * speed;
    particle->angle = emitter.orbit_phase + random.signed_unit() * effect.random_angle * kRadians;
    particle->spin = random.signed_unit() * effect.random_spin * kRadians;
    particle->image = 0;
    particle->image_step = (effect.frame_rate + random.unit() * effect.random_frame_rate) / 60.0f;
    particle->scale = 0.75f + random.unit() * 0.5f;
    for (float &channel : particle->tint)
        channel = 0.8f + random.unit() * 0.2f;
    particle->age = 0;
    particle->lifetime = static_cast<int32_t>(effect.lifetime * (1.0f + random.unit() * 0.5f));
    particle->fade = 1.0f / static_cast<float>(particle->lifetime + 1);
    particle->layer = emitter.layer;
    particle->seed = static_cast<uint32_t>(random.next());
}

inline bool ParticlesTypes::step(Particle *particle) {
    if (++particle->age > particle->lifetime)
        return false;
    particle->x += particle->velocity_x;
    particle->y += particle->velocity_y;
    particle->angle += particle->spin;
    particle->image += particle->image_step;
    float end = static_cast<float>(particle->effect->frame_count);
    if (particle->image >= end)
        particle->image = particle->effect->repeat ? particle->image - end : end - 1.0f;
    return true;
}

template <class M> class Particles : ParticlesTypes {
  public:
    using ParticlesTypes::info;

    Particles(M &memory, const ScenarioSetup &setup);
    Particles(const Particles &) = delete;
    Particles &operator=(const Particles &) = delete;
    ~Particles();

    void frame();
    uint64_t checksum() const { return checksum_.value(); }
    std::string data_note() const { return game_data_note(found_); }
    uint64_t alloc_count() const { return memory_.count(); }
    size_t live_count() const { return live_count_; }

  private:
    void make_emitter(uint32_t index, Emitter *emitter);
    void emit(Emitter &emitter);
    void spawn(Emitter &emitter);
    void move(Emitter &emitter);
    void cull(Emitter &emitter);
    Key *make_keys();
    Draw *batch(const Key *keys);
    void add_instance(Draw *draw, const Particle &particle);
    void submit(Draw *draws);

    Counted<M> memory_;
    std::string found_;
    std::vector<Effect> effects_;
    std::vector<Emitter> emitters_;
    FrameArray<M, Sound> sounds_;
    Random random_{3};
    Checksum checksum_;
    uint64_t frame_index_ = 0;
    size_t live_count_ = 0;
    uint32_t visible_count_ = 0;
    float camera_x_ = 0, camera_y_ = 0;
};

template <class M>
Particles<M>::Particles(M &memory, const ScenarioSetup &setup)
    : memory_(memory), found_(game_data_find(setup.data_dir)), effects_(effects_load(found_)) {
    uint32_t size = static_cast<uint32_t>(scenario_size(info(), setup, 1000000));
    emitters_.resize(std::max(1u, size / kEmitterParticles));
    for (uint32_t i = 0; i < emitters_.size(); i++)
        make_emitter(i, &emitters_[i]);
    sounds_.start(16);
    /* Until about as many die as are born. */
    for (uint32_t i = 0; i < 120; i++)
        frame();
}

template <class M> Particles<M>::~Particles() {
    for (Emitter &emitter : emitters_) {
        for (uint32_t i = 0; i < emitter.count; i++)
            memory_.pool_free(emitter.particles[i], sizeof(Particle));
        memory_.heap_free(emitter.particles, emitter.capacity * sizeof(Particle *));
    }
}

template <class M> void Particles<M>::make_emitter(uint32_t index, Emitter *emitter) {
    const Effect &effect = effects_[index % effects_.size()];
    emitter->effect = &effect;
    emitter->orbit_x = random_.signed_unit() * kWorld * 0.5f;
    emitter->orbit_y = random_.signed_unit() * kWorld * 0.5f;
    emitter->orbit_radius = 50.0f + random_.unit() * 300.0f;
    emitter->orbit_phase = random_.unit() * 6.2831853f;
    emitter->orbit_step = (random_.unit() + 0.2f) * 0.02f;
    emitter->layer = random_.below(kLayerCount);
    /* A particle lives 1.25 lifetimes on average, see spawn. */
    emitter->rate = kEmitterParticles / (effect.lifetime * 1.25f);
    emitter->burst = 1u << random_.below(6);
    emitter->owed = random_.unit() * static_cast<float>(emitter->burst);
    emitter->count = 0;
    emitter->capacity = kEmitterParticles * 3;
    emitter->particles =
        static_cast<Particle **>(memory_.heap_alloc(emitter->capacity * sizeof(Particle *)));
}

template <class M> void Particles<M>::emit(Emitter &emitter) {
    fly(emitter);
    emitter.owed += emitter.rate * (0.5f + random_.unit());
    if (emitter.owed < static_cast<float>(emitter.burst))
        return;
    uint32_t count = static_cast<uint32_t>(emitter.owed);
    emitter.owed -= static_cast<float>(count);
    count = std::min(count, emitter.capacity - emitter.count);
    for (uint32_t i = 0; i < count; i++)
        spawn(emitter);
    if (count > 0 && emitter.effect->has_sound)
        sounds_.push(memory_, {emitter.effect, emitter.x, emitter.y});
}

template <class M> void Particles<M>::spawn(Emitter &emitter) {
    Particle *particle = static_cast<Particle *>(memory_.pool_alloc(sizeof(Particle)));
    init(emitter, random_, particle);
    emitter.particles[emitter.count++] = particle;
}

template <class M> void Particles<M>::move(Emitter &emitter) {
    uint32_t i = 0;
    while (i < emitter.count) {
        Particle *particle = emitter.particles[i];
        if (!step(particle)) {
            emitter.particles[i] = emitter.particles[--emitter.count];
            memory_.pool_free(particle, sizeof(Particle));
            continue;
        }
        i++;
    }
    live_count_ += emitter.count;
}

/* The particles of an emitter that are in view, in an array that would hold all of them. */
template <class M> void Particles<M>::cull(Emitter &emitter) {
    emitter.visible_count = 0;
    if (emitter.count == 0)
        return;
    emitter.visible =
        static_cast<const Particle **>(memory_.frame_alloc(emitter.count * sizeof(Particle *)));
    float left = camera_x_ - kViewX * 0.5f, top = camera_y_ - kViewY * 0.5f;
    for (uint32_t i = 0; i < emitter.count; i++) {
        const Particle *particle = emitter.particles[i];
        float x = particle->x - left, y = particle->y - top;
        if (x >= 0.0f && y >= 0.0f && x < kViewX && y < kViewY)
            emitter.visible[emitter.visible_count++] = particle;
    }
    visible_count_ += emitter.visible_count;
}

/* Sort keys of all that is in view. The emitters' lists are done with. */
template <class M> typename Particles<M>::Key *Particles<M>::make_keys() {
    Key *keys = static_cast<Key *>(memory_.frame_alloc((visible_count_ + 1) * sizeof(Key)));
    uint32_t count = 0;
    float top = camera_y_ - kViewY * 0.5f;
    for (Emitter &emitter : emitters_) {
        for (uint32_t i = 0; i < emitter.visible_count; i++) {
            const Particle *particle = emitter.visible[i];
            keys[count++] = {key_of(*particle, particle->y - top), particle};
        }
        if (emitter.count > 0)
            memory_.frame_free(emitter.visible, emitter.count * sizeof(Particle *));
    }
    return keys;
}

/* Writes the instances of each run of one layer, blending and sprite. How long a run is shows when
 * it ends: the buffer grows. */
template <class M> typename Particles<M>::Draw *Particles<M>::batch(const Key *keys) {
    Draw *first = nullptr, **end = &first, *draw = nullptr;
    uint64_t run = ~uint64_t{0};
    for (uint32_t i = 0; i < visible_count_; i++) {
        const Particle &particle = *keys[i].particle;
        if (keys[i].key >> 7 != run) {
            run = keys[i].key >> 7;
            draw = static_cast<Draw *>(memory_.frame_alloc(sizeof(Draw)));
            *draw = {nullptr,
                     nullptr,
                     0,
                     0,
                     particle.layer,
                     particle.effect->sprite,
                     static_cast<uint32_t>(particle.effect->blend),
                     {particle.x, particle.y, particle.x, particle.y}};
            *end = draw;
            end = &draw->next;
        }
        add_instance(draw, particle);
    }
    return first;
}

template <class M> void Particles<M>::add_instance(Draw *draw, const Particle &particle) {
    if (draw->count == draw->capacity) {
        uint32_t capacity = draw->capacity ? draw->capacity * 2 : kBatchFirst;
        draw->instances = static_cast<Instance *>(memory_.frame_grow(
            draw->instances, draw->capacity * sizeof(Instance), capacity * sizeof(Instance)));
        draw->capacity = capacity;
    }
    write_instance(particle, &draw->instances[draw->count++]);
    draw->bounds[0] = std::min(draw->bounds[0], particle.x);
    draw->bounds[1] = std::min(draw->bounds[1], particle.y);
    draw->bounds[2] = std::max(draw->bounds[2], particle.x);
    draw->bounds[3] = std::max(draw->bounds[3], particle.y);
}

/* Where an engine would hand the batches to the GPU; each is done with afterwards. */
template <class M> void Particles<M>::submit(Draw *draws) {
    while (draws) {
        Draw *draw = draws;
        const Instance &first = draw->instances[0], &last = draw->instances[draw->count - 1];
        checksum_.add(uint64_t{draw->layer} << 48 | uint64_t{draw->sprite} << 32 | draw->count);
        checksum_.add(uint64_t{first.seed} << 32 | last.seed);
        checksum_.add_bits(first.axis_x + last.axis_y + first.opacity + last.image);
        for (float bound : draw->bounds)
            checksum_.add_bits(bound);
        draws = draw->next;
        memory_.frame_free(draw->instances, draw->capacity * sizeof(Instance));
        memory_.frame_free(draw, sizeof(Draw));
    }
    for (const Sound &sound : sounds_) {
        checksum_.add_bits(sound.x);
        checksum_.add_bits(sound.y);
    }
    sounds_.release(memory_);
}

template <class M> void Particles<M>::frame() {
    memory_.frame_begin();
    float phase = static_cast<float>(frame_index_++) * 0.01f;
    camera_x_ = std::cos(phase) * 200.0f;
    camera_y_ = std::sin(phase) * 200.0f;
    live_count_ = visible_count_ = 0;
    for (Emitter &emitter : emitters_) {
        emit(emitter);
        move(emitter);
        cull(emitter);
    }
    Key *keys = make_keys();
    size_t keys_bytes = (visible_count_ + 1) * sizeof(Key);
    Key *scratch = static_cast<Key *>(memory_.frame_alloc(keys_bytes));
    sort(keys, scratch, visible_count_);
    memory_.frame_free(scratch, keys_bytes);
    Draw *draws = batch(keys);
    memory_.frame_free(keys, keys_bytes);
    submit(draws);
    memory_.frame_end();
}

} // namespace scenarios

#endif
