/* Scenario "jobs": a frame as a graph of jobs, on several threads.
 *
 * Stands for: the frame of a game on a job system (job_system.hpp), in which each job takes about a
 * microsecond and needs a little memory. Jobs of a frame:
 *
 * - 512 animate: two poses of a character are blended, its bones put into the world
 * - 512 cull: which objects of a tile are drawn, opaque or blended, and which cast a shadow; 32
 * batch, each after 16 culls: their lists, sorted for drawing
 * - 512 move: the particles of an emitter of scenario "particles"; 512 draw, each after its move:
 * those in view, sorted, as instances
 * - 576 touch: contacts of the bodies of a cell, with each other and with those of 4 neighbours;
 * 576 solve, each after the 5 touch jobs that know its bodies: new velocities, hard hits
 *
 * When all are done, the main thread reads every result in a fixed order, plays the hits, and lets
 * go of everything. One barrier a frame: the end of the graph. It is the job system's own for every
 * allocator, as is the rest of the threads' life. A frame of a worker ends when the next one
 * begins, because its results are read by the main thread.
 *
 * Allocation shape, measured a frame:
 *
 * - frame, scratch: 2,620 blocks of 24 B to 768 B, 1.5 MB, in a scope of 1,600 of the jobs
 * - frame, results: 3,140 blocks of 32 B to 6 KB, 1.2 MB, 1,710 growths of lists; let go by another
 * thread than their own as a rule: the main thread, or that of a batch job
 * - pool: 1,180 particles of 80 B die in a job and were born in one, often on another thread; 31
 * hits of 64 B are born in jobs and die after 1 to 8 frames, on the main thread
 * - heap: nothing; at set-up a few arrays
 *
 * That is 8,690 allocations and growths. On one thread the whole frame takes 2 ms on the machine of
 * the first measurements.
 *
 * Results do not depend on which thread does what: a job writes what nobody else writes, sums are
 * made by the main thread.
 *
 * Leaves out: the engine of scenario "contacts" (ODE's memory hooks are global); work that needs
 * several frames; priorities. No trace: a replay is of one thread. */
#ifndef FA_SCENARIOS_JOBS_HPP
#define FA_SCENARIOS_JOBS_HPP

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "scenarios/job_system.hpp"
#include "scenarios/jobs_types.hpp"

namespace scenarios {

template <class M> class Jobs : JobsTypes {
  public:
    static const ScenarioInfo &info() {
        static const ScenarioInfo info = {
            "jobs",    "a frame as a graph of 3,232 jobs: animate, cull, particles, contacts",
            "threads", {1, 2, 4, 8},
            2,         2};
        return info;
    }
    Jobs(M &memory, const ScenarioSetup &setup);
    Jobs(const Jobs &) = delete;
    Jobs &operator=(const Jobs &) = delete;
    ~Jobs() { close(); }

    void frame();
    uint64_t checksum() const { return checksum_.value(); }
    std::string data_note() const { return game_data_note(found_); }
    uint64_t alloc_count() const {
        uint64_t count = 0;
        for (const auto &worker : workers_)
            count += worker->memory.count();
        return count;
    }
    size_t job_count() const { return graph_.size(); }
    size_t hit_count() const { return hit_count_; } /* alive */

  private:
    using Memory = Counted<M>;
    using Contacts = FrameArray<M, Contact>;
    struct Visible {
        FrameArray<M, const Object *> lists[kLists];
    };

    /* What a thread has for itself. */
    struct alignas(128) Worker {
        explicit Worker(M &first) : memory(first) {}
        Worker(M &first, OtherThread other)
            : own(std::make_unique<M>(first, other)), memory(*own) {}
        std::unique_ptr<M> own; /* nullptr for the main thread */
        Memory memory;
        bool open = false; /* its frame */
    };

    /* Calls a member function as a job. */
    template <void (Jobs::*kDo)(uint32_t, Memory &)>
    static void job(void *self, uint32_t index, unsigned worker) {
        Jobs *jobs = static_cast<Jobs *>(self);
        (jobs->*kDo)(index, jobs->workers_[worker]->memory);
    }
    static void enter(void *self, uint32_t, unsigned worker);
    template <class T> Result<T> result(Memory &memory, uint32_t capacity) {
        capacity = std::max(capacity, 1u);
        return {static_cast<T *>(memory.frame_alloc(capacity * sizeof(T))), 0, capacity};
    }
    template <class T> void release(Memory &memory, Result<T> &result) {
        memory.frame_free(result.items, result.capacity * sizeof(T));
        result = {nullptr, 0, 0};
    }

    void make_world();
    void make_graph();
    void close();
    void animate(uint32_t index, Memory &memory);
    void cull(uint32_t index, Memory &memory);
    void batch(uint32_t index, Memory &memory);
    void move(uint32_t index, Memory &memory);
    void draw(uint32_t index, Memory &memory);
    void touch(uint32_t index, Memory &memory);
    void touch_pair(uint32_t a, uint32_t b, Contacts &contacts, Memory &memory);
    void solve(uint32_t index, Memory &memory);
    void solve_body(uint32_t body, const Contact *const *contacts, uint32_t count);
    void submit(Memory &memory);
    void play_hits(Memory &memory);
    bool cell_at(uint32_t index, int right, int down, uint32_t *cell) const;
    bool in_view(float x, float y, float size) const {
        return std::abs(x - camera_x_) < kViewX * 0.5f + size &&
               std::abs(y - camera_y_) < kViewY * 0.5f + size;
    }

    const Scale scale_;
    const uint32_t cell_count_;
    std::string found_;
    std::vector<Effect> effects_;
    std::vector<Source> sources_;
    Object *objects_ = nullptr; /* heap blocks */
    Body *bodies_ = nullptr, *bodies_next_ = nullptr;
    /* Results by job. */
    std::vector<Result<Matrix>> palettes_;
    std::vector<Visible> visible_;
    std::vector<Result<DrawItem>> batches_;
    std::vector<Result<Instance>> instances_;
    std::vector<Contacts> contacts_;
    std::vector<FrameArray<M, Hit *>> hits_;
    Hit *hits_alive_ = nullptr;
    size_t hit_count_ = 0;
    float camera_x_ = 0, camera_y_ = 0, time_ = 0;
    uint64_t frame_index_ = 0;
    bool closing_ = false;
    Checksum checksum_;
    std::vector<std::unique_ptr<Worker>> workers_;
    JobGraph graph_;
    std::unique_ptr<JobSystem> system_;
};

/* ------------------------------------------------------------------------------------------------
 * Set-up */

template <class M>
Jobs<M>::Jobs(M &memory, const ScenarioSetup &setup)
    : scale_(setup.smoke ? kSmoke : kBench), cell_count_(scale_.side * scale_.side),
      found_(game_data_find(setup.data_dir)), effects_(effects_load(found_)) {
    auto threads = static_cast<unsigned>(scenario_size(info(), setup, JobSystem::kThreadsMax));
    workers_.push_back(std::make_unique<Worker>(memory));
    while (workers_.size() < threads)
        workers_.push_back(std::make_unique<Worker>(memory, OtherThread{}));
    try {
        make_world();
        make_graph();
        system_ = std::make_unique<JobSystem>(threads, graph_.size());
        /* Until about as many particles die as are born. */
        for (int i = 0; i < 40; i++)
            frame();
    } catch (...) {
        close();
        throw;
    }
}

template <class M> void Jobs<M>::make_world() {
    Random random(5);
    Memory &memory = workers_[0]->memory;
    size_t object_count = scale_.tiles * kTileObjects, body_count = cell_count_ * kCellBodies;
    objects_ = static_cast<Object *>(memory.heap_alloc(object_count * sizeof(Object)));
    for (size_t i = 0; i < object_count; i++)
        objects_[i] = {random.signed_unit() * kWorld, random.signed_unit() * kWorld,
                       8.0f + random.unit() * 56.0f, random.below(4096)};
    bodies_ = static_cast<Body *>(memory.heap_alloc(body_count * sizeof(Body)));
    bodies_next_ = static_cast<Body *>(memory.heap_alloc(body_count * sizeof(Body)));
    for (size_t i = 0; i < body_count; i++) {
        auto cell = static_cast<uint32_t>(i / kCellBodies);
        float left = static_cast<float>(cell % scale_.side) * kCell;
        float top = static_cast<float>(cell / scale_.side) * kCell;
        bodies_[i] = {left + random.unit() * kCell, top + random.unit() * kCell, 0, 0};
    }
    sources_.resize(scale_.emitters);
    for (uint32_t i = 0; i < scale_.emitters; i++) {
        Emitter &emitter = sources_[i].emitter;
        emitter = {};
        emitter.effect = &effects_[i % effects_.size()];
        emitter.orbit_x = random.signed_unit() * kWorld * 0.5f;
        emitter.orbit_y = random.signed_unit() * kWorld * 0.5f;
        emitter.orbit_radius = 50.0f + random.unit() * 300.0f;
        emitter.orbit_phase = random.unit() * 6.2831853f;
        emitter.orbit_step = (random.unit() + 0.2f) * 0.02f;
        emitter.layer = random.below(kLayerCount);
        emitter.rate = kParticles / (emitter.effect->lifetime * 1.25f);
        emitter.capacity = kParticles * 3;
        emitter.particles =
            static_cast<Particle **>(memory.heap_alloc(emitter.capacity * sizeof(Particle *)));
        sources_[i].random = Random(100 + i);
    }
}

template <class M> void Jobs<M>::make_graph() {
    palettes_.resize(scale_.characters);
    visible_.resize(scale_.tiles);
    batches_.resize(scale_.tiles / kTilesPerBatch);
    instances_.resize(scale_.emitters);
    contacts_.resize(cell_count_);
    hits_.resize(cell_count_);
    std::vector<uint32_t> touches;
    for (uint32_t i = 0; i < cell_count_; i++)
        touches.push_back(graph_.add(job<&Jobs::touch>, this, i));
    for (uint32_t i = 0; i < scale_.emitters; i++) {
        uint32_t moved = graph_.add(job<&Jobs::move>, this, i);
        graph_.order(moved, graph_.add(job<&Jobs::draw>, this, i));
    }
    for (uint32_t i = 0; i < scale_.tiles / kTilesPerBatch; i++) {
        uint32_t batched = graph_.add(job<&Jobs::batch>, this, i);
        for (uint32_t tile = 0; tile < kTilesPerBatch; tile++)
            graph_.order(graph_.add(job<&Jobs::cull>, this, i * kTilesPerBatch + tile), batched);
    }
    for (uint32_t i = 0; i < scale_.characters; i++)
        graph_.add(job<&Jobs::animate>, this, i);
    for (uint32_t i = 0; i < cell_count_; i++) {
        uint32_t solved = graph_.add(job<&Jobs::solve>, this, i), cell;
        graph_.order(touches[i], solved);
        for (auto [right, down] : {std::pair{-1, 0}, {1, -1}, {0, -1}, {-1, -1}})
            if (cell_at(i, right, down, &cell))
                graph_.order(touches[cell], solved);
    }
}

/* The cell beside another one, if there is one. */
template <class M>
bool Jobs<M>::cell_at(uint32_t index, int right, int down, uint32_t *cell) const {
    auto side = static_cast<int>(scale_.side);
    int x = static_cast<int>(index) % side + right, y = static_cast<int>(index) / side + down;
    *cell = static_cast<uint32_t>(y * side + x);
    return x >= 0 && y >= 0 && x < side && y < side;
}

/* Also after a set-up or a frame that broke off. */
template <class M> void Jobs<M>::close() {
    closing_ = true;
    if (system_)
        system_->run(JobGraph(), enter, this);
    system_.reset();
    Memory &memory = workers_[0]->memory;
    while (Hit *hit = hits_alive_) {
        hits_alive_ = hit->next;
        memory.pool_free(hit, sizeof(Hit));
    }
    for (Source &source : sources_) {
        Emitter &emitter = source.emitter;
        for (uint32_t i = 0; i < emitter.count; i++)
            memory.pool_free(emitter.particles[i], sizeof(Particle));
        if (emitter.particles)
            memory.heap_free(emitter.particles, emitter.capacity * sizeof(Particle *));
        emitter = {};
    }
    size_t object_count = scale_.tiles * kTileObjects, body_count = cell_count_ * kCellBodies;
    if (objects_)
        memory.heap_free(objects_, object_count * sizeof(Object));
    for (Body *bodies : {bodies_, bodies_next_})
        if (bodies)
            memory.heap_free(bodies, body_count * sizeof(Body));
    objects_ = nullptr;
    bodies_ = bodies_next_ = nullptr;
}

/* ------------------------------------------------------------------------------------------------
 * Jobs */

/* Each thread, before its first job of a frame. */
template <class M> void Jobs<M>::enter(void *self, uint32_t, unsigned number) {
    Jobs &jobs = *static_cast<Jobs *>(self);
    Worker &worker = *jobs.workers_[number];
    if (worker.open) {
        worker.open = false;
        worker.memory.frame_end();
    }
    if (!jobs.closing_) {
        worker.memory.frame_begin();
        worker.open = true;
    }
}

template <class M> void Jobs<M>::animate(uint32_t index, Memory &memory) {
    Result<Matrix> palette = result<Matrix>(memory, kBones);
    memory.scope_begin();
    Joint *poses[2];
    for (uint32_t clip = 0; clip < 2; clip++) {
        poses[clip] = static_cast<Joint *>(memory.frame_alloc(kBones * sizeof(Joint)));
        for (uint32_t bone = 0; bone < kBones; bone++)
            poses[clip][bone] = pose_of(index + clip * 1000, bone, time_);
    }
    Joint *mixed = static_cast<Joint *>(memory.frame_alloc(kBones * sizeof(Joint)));
    float share = static_cast<float>((frame_index_ + index) % 64) / 64.0f;
    for (uint32_t bone = 0; bone < kBones; bone++)
        mixed[bone] = blend(poses[0][bone], poses[1][bone], share);
    for (uint32_t bone = 0; bone < kBones; bone++)
        palette.items[bone] =
            place(mixed[bone], bone > 0 ? &palette.items[(bone - 1) / 2] : nullptr);
    for (Joint *pose : {poses[0], poses[1], mixed})
        memory.frame_free(pose, kBones * sizeof(Joint));
    memory.scope_end();
    palette.count = kBones;
    palettes_[index] = palette;
}

template <class M> void Jobs<M>::cull(uint32_t index, Memory &memory) {
    Visible visible;
    for (auto &list : visible.lists)
        list.start(4);
    const Object *objects = objects_ + index * kTileObjects;
    for (uint32_t i = 0; i < kTileObjects; i++) {
        const Object &object = objects[i];
        if (in_view(object.x, object.y, object.size))
            visible.lists[object.sprite % 4 == 0 ? kBlended : kOpaque].push(memory, &object);
        /* A shadow is longer than what casts it. */
        if (object.sprite % 4 != 0 && in_view(object.x, object.y, object.size * 4.0f))
            visible.lists[kShadow].push(memory, &object);
    }
    visible_[index] = visible;
}

template <class M> void Jobs<M>::batch(uint32_t index, Memory &memory) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < kTilesPerBatch; i++)
        for (const auto &list : visible_[index * kTilesPerBatch + i].lists)
            count += list.size();
    Result<DrawItem> items = result<DrawItem>(memory, count);
    for (uint32_t i = 0; i < kTilesPerBatch; i++) {
        for (uint64_t kind = 0; kind < kLists; kind++) {
            auto &list = visible_[index * kTilesPerBatch + i].lists[kind];
            for (const Object *object : list) {
                auto place = static_cast<uint64_t>(object - objects_);
                items.items[items.count++] = {kind << 60 | uint64_t{object->sprite} << 32 | place,
                                              object};
            }
            list.release(memory);
        }
    }
    std::sort(items.items, items.items + count, before);
    batches_[index] = items;
}

template <class M> void Jobs<M>::move(uint32_t index, Memory &memory) {
    Emitter &emitter = sources_[index].emitter;
    Random &random = sources_[index].random;
    fly(emitter);
    emitter.owed += emitter.rate * (0.5f + random.unit());
    for (; emitter.owed >= 1.0f; emitter.owed -= 1.0f) {
        if (emitter.count == emitter.capacity)
            continue;
        Particle *particle = static_cast<Particle *>(memory.pool_alloc(sizeof(Particle)));
        init(emitter, random, particle);
        emitter.particles[emitter.count++] = particle;
    }
    for (uint32_t i = 0; i < emitter.count;) {
        Particle *particle = emitter.particles[i];
        if (step(particle)) {
            i++;
        } else {
            emitter.particles[i] = emitter.particles[--emitter.count];
            memory.pool_free(particle, sizeof(Particle));
        }
    }
}

template <class M> void Jobs<M>::draw(uint32_t index, Memory &memory) {
    const Emitter &emitter = sources_[index].emitter;
    Result<Instance> instances = result<Instance>(memory, emitter.count);
    memory.scope_begin();
    size_t keys_bytes = (emitter.count + 1) * sizeof(Key);
    Key *keys = static_cast<Key *>(memory.frame_alloc(keys_bytes));
    uint32_t count = 0;
    for (uint32_t i = 0; i < emitter.count; i++) {
        const Particle *particle = emitter.particles[i];
        if (in_view(particle->x, particle->y, 16.0f))
            keys[count++] = {key_of(*particle, particle->y - camera_y_ + kViewY * 0.5f), particle};
    }
    std::sort(keys, keys + count, key_before);
    for (; instances.count < count; instances.count++)
        write_instance(*keys[instances.count].particle, &instances.items[instances.count]);
    memory.frame_free(keys, keys_bytes);
    memory.scope_end();
    instances_[index] = instances;
}

template <class M>
void Jobs<M>::touch_pair(uint32_t a, uint32_t b, Contacts &contacts, Memory &memory) {
    const Body &first = bodies_[a], &second = bodies_[b];
    float x = second.x - first.x, y = second.y - first.y, square = x * x + y * y;
    if (square >= 4 * kRadius * kRadius || square == 0.0f)
        return;
    float distance = std::sqrt(square);
    x /= distance;
    y /= distance;
    float approach =
        (first.velocity_x - second.velocity_x) * x + (first.velocity_y - second.velocity_y) * y;
    contacts.push(memory, {{a, b}, x, y, 2 * kRadius - distance, approach, uint64_t{a} << 32 | b});
}

/* Each pair of neighbours is looked at once: by the cell above, or by the left one. */
template <class M> void Jobs<M>::touch(uint32_t index, Memory &memory) {
    Contacts contacts;
    contacts.start(4);
    uint32_t first = index * kCellBodies, cell;
    for (uint32_t i = 0; i < kCellBodies; i++)
        for (uint32_t j = i + 1; j < kCellBodies; j++)
            touch_pair(first + i, first + j, contacts, memory);
    for (auto [right, down] : {std::pair{1, 0}, {-1, 1}, {0, 1}, {1, 1}}) {
        if (!cell_at(index, right, down, &cell))
            continue;
        for (uint32_t i = 0; i < kCellBodies; i++)
            for (uint32_t j = 0; j < kCellBodies; j++)
                touch_pair(first + i, cell * kCellBodies + j, contacts, memory);
    }
    contacts_[index] = contacts;
}

/* New velocity and place from all contacts of a body; a spring holds it to its cell. */
template <class M>
void Jobs<M>::solve_body(uint32_t body, const Contact *const *contacts, uint32_t count) {
    Body next = bodies_[body];
    uint32_t cell = body / kCellBodies;
    float middle_x = (static_cast<float>(cell % scale_.side) + 0.5f) * kCell;
    float middle_y = (static_cast<float>(cell / scale_.side) + 0.5f) * kCell;
    float push_x = 0, push_y = 0;
    for (int turn = 0; turn < 4; turn++) {
        for (uint32_t i = 0; i < count; i++) {
            const Contact &contact = *contacts[i];
            float side = contact.bodies[0] == body ? 1.0f : -1.0f;
            float impulse = std::max(0.0f, contact.approach + contact.depth * 4.0f) * 0.125f;
            push_x -= contact.normal_x * side * impulse;
            push_y -= contact.normal_y * side * impulse;
        }
    }
    float phase = time_ * 2.0f + static_cast<float>(body) * 0.7f;
    next.velocity_x += push_x + ((middle_x - next.x) * 2.0f + std::cos(phase) * 3.0f) / 60.0f;
    next.velocity_y += push_y + ((middle_y - next.y) * 2.0f + std::sin(phase) * 3.0f) / 60.0f;
    next.velocity_x *= 0.98f;
    next.velocity_y *= 0.98f;
    next.x += next.velocity_x / 60.0f;
    next.y += next.velocity_y / 60.0f;
    bodies_next_[body] = next;
}

template <class M> void Jobs<M>::solve(uint32_t index, Memory &memory) {
    uint32_t cells[5] = {index}, cell_count = 1, capacity = contacts_[index].size() + 1;
    for (auto [right, down] : {std::pair{-1, 0}, {1, -1}, {0, -1}, {-1, -1}})
        if (cell_at(index, right, down, &cells[cell_count]))
            capacity += contacts_[cells[cell_count++]].size();
    memory.scope_begin();
    size_t bytes = capacity * sizeof(Contact *);
    const Contact **own = static_cast<const Contact **>(memory.frame_alloc(bytes));
    for (uint32_t body = index * kCellBodies; body < (index + 1) * kCellBodies; body++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < cell_count; i++)
            for (const Contact &contact : contacts_[cells[i]])
                if (contact.bodies[0] == body || contact.bodies[1] == body)
                    own[count++] = &contact;
        solve_body(body, own, count);
    }
    memory.frame_free(own, bytes);
    memory.scope_end();
    FrameArray<M, Hit *> hits;
    hits.start(4);
    for (const Contact &contact : contacts_[index]) {
        if (contact.approach < 0.8f)
            continue;
        Hit *hit = static_cast<Hit *>(memory.pool_alloc(sizeof(Hit)));
        const Body &body = bodies_[contact.bodies[0]];
        auto frames = std::min(8u, static_cast<uint32_t>(contact.approach * 4.0f));
        *hit = {nullptr, frames, contact.bodies[0], body.x, body.y, contact.approach, {}};
        hits.push(memory, hit);
    }
    hits_[index] = hits;
}

/* ------------------------------------------------------------------------------------------------
 * The main thread */

template <class M> void Jobs<M>::play_hits(Memory &memory) {
    for (FrameArray<M, Hit *> &hits : hits_) {
        for (Hit *hit : hits) {
            checksum_.add_bits(hit->strength);
            hit->next = hits_alive_;
            hits_alive_ = hit;
            hit_count_++;
        }
        hits.release(memory);
    }
    for (Hit **link = &hits_alive_; *link;) {
        Hit *hit = *link;
        hit->channels[hit->frames_left & 7] += hit->body;
        if (hit->frames_left-- > 0) {
            link = &hit->next;
            continue;
        }
        *link = hit->next;
        memory.pool_free(hit, sizeof(Hit));
        hit_count_--;
    }
    checksum_.add(hit_count_);
}

/* Where an engine would hand everything to the GPU. */
template <class M> void Jobs<M>::submit(Memory &memory) {
    for (Result<Matrix> &palette : palettes_) {
        checksum_.add_bits(palette.items[palette.count - 1].origin[2]);
        release(memory, palette);
    }
    for (Result<DrawItem> &items : batches_) {
        checksum_.add(items.count);
        for (uint32_t i = 0; i < items.count; i += 8)
            checksum_.add(items.items[i].key);
        release(memory, items);
    }
    for (Result<Instance> &instances : instances_) {
        checksum_.add(instances.count);
        for (uint32_t i = 0; i < instances.count; i += 8)
            checksum_.add_bits(instances.items[i].axis_x + instances.items[i].opacity);
        release(memory, instances);
    }
    for (Contacts &contacts : contacts_) {
        checksum_.add(contacts.size());
        contacts.release(memory);
    }
    play_hits(memory);
}

template <class M> void Jobs<M>::frame() {
    time_ = static_cast<float>(frame_index_) / 60.0f;
    camera_x_ = std::cos(time_) * 200.0f;
    camera_y_ = std::sin(time_) * 200.0f;
    system_->run(graph_, enter, this);
    Worker &main = *workers_[0];
    submit(main.memory);
    main.open = false;
    main.memory.frame_end();
    std::swap(bodies_, bodies_next_);
    frame_index_++;
}

} // namespace scenarios

#endif
