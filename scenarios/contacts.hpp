/* Scenario "contacts": a physics step with its contacts, on the Open Dynamics Engine.
 *
 * Stands for: a pile of boxes in a bin, 60 steps a second, while new boxes keep falling on it. Each
 * frame the engine finds the contacts, makes a contact joint for each, solves, and hands the game
 * what touches what and how hard: one record for each pair, and for each body the list of its pairs
 * with the strongest first. All of it dies with the frame.
 *
 * Allocation shape, measured a frame with 500 boxes (100 have a fifth of it, 2,000 four times):
 *
 * - frame: 2,340 contact joints of 416 B, freed one by one when the game has seen them
 * - frame: 640 records of pairs, 200 B to 1.4 KB (1 to 8 points, most often 4), 495 lists of
 * touches, 96 B, every twelfth of which grows, a table of the lists and a list of hard hits, until
 * then
 * - frame: the solver's working memory in 2 blocks, 3.1 MB and 64 KiB, from the step to the end
 * - pool: every third frame a body of 752 B and a geometry of 192 B die and are born; 2 blocks of
 * at most 40 B that belong to the step
 * - heap: nothing; at set-up and while the world grows a few tables of ODE
 *
 * That is 3,640 frame allocations and growths of 4.6 MB, all alive at the end of the frame. The
 * whole frame takes 3.5 ms on the machine of the first measurements, most of it collision and
 * solver.
 *
 * Whose memory is what: ODE's hooks tell nothing but a size, so a flag around the calls does.
 * Contact joints (made outside of a joint group, hence one block each) and the solver's working
 * memory (given back after each step) are frame memory; bodies, geometries, spaces are pool or,
 * above 4 KiB, heap memory. "contacts_ode_arena" is the same with what ODE has built in: a joint
 * group, which is an arena, and working memory that is kept; the game's lists stay frame memory.
 *
 * Leaves out: threads, sleeping bodies, shapes other than boxes and planes.
 *
 * ODE's hooks are global: one object of these classes at a time in a process. */
#ifndef FA_SCENARIOS_CONTACTS_HPP
#define FA_SCENARIOS_CONTACTS_HPP

#include <ode/ode.h>

#include <algorithm>
#include <cmath>
#include <new>

#include "scenarios/scenario.hpp"

namespace scenarios {

/* What does not depend on the Memory. Lengths in metres. */
struct ContactsTypes {
    static constexpr int kNoBody = -1; /* the floor or a wall */
    static constexpr int kPointsMax = 8;
    static constexpr double kSide = 0.5; /* of a box */
    static constexpr double kPitch = 0.53;
    static constexpr double kStep = 1.0 / 60.0;
    static constexpr size_t kPoolBytesMax = 4096;

    struct Point {
        dJointID joint;
        dJointFeedback feedback; /* ODE writes the forces here */
        double position[3];
        double depth;
    };

    /* A pair that touches; its points follow it in the same block. */
    struct alignas(16) Manifold {
        Manifold *next;
        int bodies[2];
        uint32_t count;
        double impulse; /* of the strongest point, in newton seconds */
        Point *points() { return reinterpret_cast<Point *>(this + 1); }
        size_t bytes() const { return sizeof(Manifold) + count * sizeof(Point); }
    };

    /* An entry in the list of a body. */
    struct Touch {
        double impulse;
        int other;
        const Manifold *manifold;
    };

    struct Box {
        dBodyID body;
        dGeomID geom;
        double damage;
    };

    struct Hit {
        double impulse;
        int body;
    };

    static bool stronger(const Touch &a, const Touch &b) {
        return a.impulse != b.impulse ? a.impulse > b.impulse : a.other < b.other;
    }
    static bool louder(const Hit &a, const Hit &b) {
        return a.impulse != b.impulse ? a.impulse > b.impulse : a.body < b.body;
    }

    inline static bool taken_ = false; /* by an object of any of the classes */

    static double impulse_of(const Manifold &manifold, const Point &point) {
        const dReal *force = manifold.bodies[0] != kNoBody ? point.feedback.f1 : point.feedback.f2;
        return std::sqrt(force[0] * force[0] + force[1] * force[1] + force[2] * force[2]) * kStep;
    }
};

template <class M, bool kOdeArena> class BasicContacts : ContactsTypes {
  public:
    static const ScenarioInfo &info();
    BasicContacts(M &memory, const ScenarioSetup &setup);
    BasicContacts(const BasicContacts &) = delete;
    BasicContacts &operator=(const BasicContacts &) = delete;
    ~BasicContacts() { close(); }

    void frame();
    uint64_t checksum() const { return checksum_.value(); }
    std::string data_note() const { return ""; }
    uint64_t alloc_count() const { return memory_.count(); }
    uint32_t contact_count() const { return contact_count_; } /* of the last frame */

  private:
    using Touches = FrameArray<M, Touch>;

    static void *ode_alloc(dsizeint size);
    static void *ode_realloc(void *block, dsizeint size_old, dsizeint size_new);
    static void ode_free(void *block, dsizeint size);
    static void *step_alloc(dsizeint size) { return active_->memory_.frame_alloc(size); }
    static void *step_shrink(void *block, dsizeint, dsizeint) { return block; }
    static void step_free(void *block, dsizeint size) { active_->memory_.frame_free(block, size); }
    static void near_callback(void *user, dGeomID a, dGeomID b);

    void make_world();
    void make_boxes();
    void make_box(Box *box, int index, double x, double y, double z);
    void close();
    void drop_box();
    void touch(int body_a, int body_b, const dContact *contacts, int count);
    Touches *list_touches();
    void play(Touches *touches);
    void forget(Touches *touches);

    inline static BasicContacts *active_ = nullptr;

    Counted<M> memory_;
    bool intact_ = false;           /* set up, and no frame is open or broke off */
    bool ode_frame_memory_ = false; /* what ODE's hooks are asked for now dies with the frame */
    int box_count_;
    int row_; /* boxes along one side of the bin */
    dWorldID world_ = nullptr;
    dSpaceID space_ = nullptr;
    dJointGroupID group_ = nullptr;
    std::vector<Box> boxes_;
    Manifold *manifolds_ = nullptr;
    uint32_t contact_count_ = 0;
    uint64_t frame_index_ = 0;
    Random random_{4};
    Checksum checksum_;
};

template <class M> using Contacts = BasicContacts<M, false>;
template <class M> using ContactsOdeArena = BasicContacts<M, true>;

template <class M, bool kOdeArena> const ScenarioInfo &BasicContacts<M, kOdeArena>::info() {
    static const ScenarioInfo info = {
        kOdeArena ? "contacts_ode_arena" : "contacts",
        kOdeArena ? "the same pile of boxes, contact joints and solver memory in ODE's own arena"
                  : "a pile of boxes in ODE: contact joints, solver memory, contact lists",
        "boxes",
        {100, 250, 500, 1000, 2000},
        60,
        500};
    return info;
}

/* ------------------------------------------------------------------------------------------------
 * ODE's memory */

template <class M, bool kOdeArena> void *BasicContacts<M, kOdeArena>::ode_alloc(dsizeint size) {
    if (active_->ode_frame_memory_)
        return active_->memory_.frame_alloc(size);
    return size <= kPoolBytesMax ? active_->memory_.pool_alloc(size)
                                 : active_->memory_.heap_alloc(size);
}

template <class M, bool kOdeArena>
void BasicContacts<M, kOdeArena>::ode_free(void *block, dsizeint size) {
    if (!block)
        return;
    if (active_->ode_frame_memory_)
        active_->memory_.frame_free(block, size);
    else if (size <= kPoolBytesMax)
        active_->memory_.pool_free(block, size);
    else
        active_->memory_.heap_free(block, size);
}

template <class M, bool kOdeArena>
void *BasicContacts<M, kOdeArena>::ode_realloc(void *block, dsizeint size_old, dsizeint size_new) {
    void *other = ode_alloc(size_new);
    if (block)
        std::memcpy(other, block, std::min(size_old, size_new));
    ode_free(block, size_old);
    return other;
}

/* ------------------------------------------------------------------------------------------------
 * Set-up */

template <class M, bool kOdeArena>
BasicContacts<M, kOdeArena>::BasicContacts(M &memory, const ScenarioSetup &setup)
    : memory_(memory), box_count_(scenario_size(info(), setup, 100000)),
      row_(static_cast<int>(std::ceil(std::sqrt(box_count_ / 8.0)))) {
    if (taken_)
        throw std::runtime_error("contacts: one at a time in a process");
    taken_ = true;
    active_ = this;
    try {
        make_world();
        make_boxes();
        intact_ = true;
        /* Until the pile has settled. */
        for (int i = 0; i < 60; i++)
            frame();
    } catch (...) {
        close();
        throw;
    }
}

template <class M, bool kOdeArena> void BasicContacts<M, kOdeArena>::make_world() {
    dSetAllocHandler(ode_alloc);
    dSetReallocHandler(ode_realloc);
    dSetFreeHandler(ode_free);
    dInitODE2(0);
    dAllocateODEDataForThread(dAllocateMaskAll);
    dRandSetSeed(1);
    world_ = dWorldCreate();
    dWorldSetGravity(world_, 0, 0, -9.81);
    dWorldSetQuickStepNumIterations(world_, 20);
    dWorldSetContactMaxCorrectingVel(world_, 2);
    dWorldSetContactSurfaceLayer(world_, 0.001);
    space_ = dHashSpaceCreate(nullptr);
    if (kOdeArena) {
        group_ = dJointGroupCreate(0);
    } else {
        dWorldStepMemoryFunctionsInfo functions = {sizeof functions, step_alloc, step_shrink,
                                                   step_free};
        dWorldSetStepMemoryManager(world_, &functions);
    }
    double wall = -(row_ * kPitch * 0.5 + 0.05);
    dCreatePlane(space_, 0, 0, 1, 0);
    dCreatePlane(space_, 1, 0, 0, wall);
    dCreatePlane(space_, -1, 0, 0, wall);
    dCreatePlane(space_, 0, 1, 0, wall);
    dCreatePlane(space_, 0, -1, 0, wall);
}

template <class M, bool kOdeArena> void BasicContacts<M, kOdeArena>::make_boxes() {
    boxes_.resize(static_cast<size_t>(box_count_));
    double middle = (row_ - 1) * 0.5;
    for (int i = 0; i < box_count_; i++) {
        int layer = i / (row_ * row_), x = i % row_, y = i / row_ % row_;
        make_box(&boxes_[static_cast<size_t>(i)], i, (x - middle) * kPitch, (y - middle) * kPitch,
                 kSide * 0.5 + layer * (kSide + 0.01));
    }
}

template <class M, bool kOdeArena>
void BasicContacts<M, kOdeArena>::make_box(Box *box, int index, double x, double y, double z) {
    box->body = dBodyCreate(world_);
    box->geom = dCreateBox(space_, kSide, kSide, kSide);
    box->damage = 0;
    dMass mass;
    dMassSetBox(&mass, 1, kSide, kSide, kSide);
    dBodySetMass(box->body, &mass);
    dBodySetPosition(box->body, x + random_.unit() * 0.01, y + random_.unit() * 0.01, z);
    dBodySetData(box->body, reinterpret_cast<void *>(static_cast<intptr_t>(index)));
    dGeomSetBody(box->geom, box->body);
}

/* A world in which memory ran out is left alone: ODE would free what it never got. */
template <class M, bool kOdeArena> void BasicContacts<M, kOdeArena>::close() {
    if (intact_) {
        if (group_)
            dJointGroupDestroy(group_);
        dSpaceDestroy(space_);
        dWorldDestroy(world_);
        dCloseODE();
    }
    dSetAllocHandler(nullptr);
    dSetReallocHandler(nullptr);
    dSetFreeHandler(nullptr);
    active_ = nullptr;
    taken_ = false;
}

/* ------------------------------------------------------------------------------------------------
 * A frame */

/* One box after the other leaves the pile and falls on it again: objects come and go, and the pile
 * never comes to rest. */
template <class M, bool kOdeArena> void BasicContacts<M, kOdeArena>::drop_box() {
    uint64_t every = std::max<uint64_t>(1, 1500 / static_cast<uint64_t>(box_count_));
    if (frame_index_ % every != 0)
        return;
    int index = static_cast<int>(frame_index_ / every % static_cast<uint64_t>(box_count_));
    Box *box = &boxes_[static_cast<size_t>(index)];
    dGeomDestroy(box->geom);
    dBodyDestroy(box->body);
    double half = (row_ - 1) * 0.5 * kPitch;
    make_box(box, index, random_.signed_unit() * half, random_.signed_unit() * half, 8 * kSide + 1);
}

template <class M, bool kOdeArena>
void BasicContacts<M, kOdeArena>::near_callback(void *user, dGeomID a, dGeomID b) {
    dBodyID body_a = dGeomGetBody(a), body_b = dGeomGetBody(b);
    if (!body_a && !body_b)
        return;
    dContact contacts[kPointsMax];
    int count = dCollide(a, b, kPointsMax, &contacts[0].geom, sizeof(dContact));
    if (count == 0)
        return;
    auto index = [](dBodyID body) {
        return body ? static_cast<int>(reinterpret_cast<intptr_t>(dBodyGetData(body))) : kNoBody;
    };
    for (int i = 0; i < count; i++) {
        contacts[i].surface.mode = dContactBounce;
        contacts[i].surface.mu = 0.6;
        contacts[i].surface.bounce = 0.05;
        contacts[i].surface.bounce_vel = 0.1;
    }
    static_cast<BasicContacts *>(user)->touch(index(body_a), index(body_b), contacts, count);
}

/* Makes the record of a pair, and ODE's joints for it. */
template <class M, bool kOdeArena>
void BasicContacts<M, kOdeArena>::touch(int body_a, int body_b, const dContact *contacts,
                                        int count) {
    size_t bytes = sizeof(Manifold) + static_cast<size_t>(count) * sizeof(Point);
    Manifold *manifold = new (memory_.frame_alloc(bytes)) Manifold;
    *manifold = {manifolds_, {body_a, body_b}, static_cast<uint32_t>(count), 0.0};
    manifolds_ = manifold;
    contact_count_ += manifold->count;
    auto body = [this](int index) {
        return index == kNoBody ? nullptr : boxes_[static_cast<size_t>(index)].body;
    };
    for (int i = 0; i < count; i++) {
        Point *point = new (&manifold->points()[i]) Point;
        ode_frame_memory_ = !kOdeArena;
        point->joint = dJointCreateContact(world_, group_, &contacts[i]);
        ode_frame_memory_ = false;
        dJointAttach(point->joint, body(body_a), body(body_b));
        dJointSetFeedback(point->joint, &point->feedback);
        std::copy_n(contacts[i].geom.pos, 3, point->position);
        point->depth = contacts[i].geom.depth;
    }
}

/* After the step: how hard each pair touched, and for each body its pairs, strongest first. */
template <class M, bool kOdeArena>
typename BasicContacts<M, kOdeArena>::Touches *BasicContacts<M, kOdeArena>::list_touches() {
    size_t bytes = boxes_.size() * sizeof(Touches);
    Touches *touches = static_cast<Touches *>(memory_.frame_alloc(bytes));
    for (size_t i = 0; i < boxes_.size(); i++)
        (new (&touches[i]) Touches)->start(4);
    for (Manifold *manifold = manifolds_; manifold; manifold = manifold->next) {
        for (uint32_t i = 0; i < manifold->count; i++)
            manifold->impulse =
                std::max(manifold->impulse, impulse_of(*manifold, manifold->points()[i]));
        for (int side = 0; side < 2; side++)
            if (manifold->bodies[side] != kNoBody)
                touches[manifold->bodies[side]].push(
                    memory_, {manifold->impulse, manifold->bodies[1 - side], manifold});
    }
    for (size_t i = 0; i < boxes_.size(); i++)
        std::sort(touches[i].begin(), touches[i].end(), stronger);
    return touches;
}

/* The game: hard hits do damage, and the loudest of them are heard. */
template <class M, bool kOdeArena> void BasicContacts<M, kOdeArena>::play(Touches *touches) {
    FrameArray<M, Hit> hits;
    hits.start(16);
    for (size_t i = 0; i < boxes_.size(); i++) {
        if (touches[i].size() == 0)
            continue;
        const Touch &strongest = touches[i][0];
        boxes_[i].damage += std::max(0.0, strongest.impulse - 0.2);
        if (strongest.impulse > 0.2)
            hits.push(memory_, {strongest.impulse, static_cast<int>(i)});
        checksum_.add(uint64_t{touches[i].size()} << 32 | strongest.manifold->count);
        checksum_.add_bits(strongest.impulse);
    }
    std::sort(hits.begin(), hits.end(), louder);
    for (uint32_t i = 0; i < std::min(hits.size(), 8u); i++)
        checksum_.add(static_cast<uint64_t>(hits[i].body));
    hits.release(memory_);
}

template <class M, bool kOdeArena> void BasicContacts<M, kOdeArena>::forget(Touches *touches) {
    for (size_t i = 0; i < boxes_.size(); i++)
        touches[i].release(memory_);
    memory_.frame_free(touches, boxes_.size() * sizeof(Touches));
    if (kOdeArena)
        dJointGroupEmpty(group_);
    while (Manifold *manifold = manifolds_) {
        manifolds_ = manifold->next;
        ode_frame_memory_ = !kOdeArena;
        for (uint32_t i = 0; !kOdeArena && i < manifold->count; i++)
            dJointDestroy(manifold->points()[i].joint);
        ode_frame_memory_ = false;
        memory_.frame_free(manifold, manifold->bytes());
    }
    if (!kOdeArena)
        dWorldCleanupWorkingMemory(world_);
}

template <class M, bool kOdeArena> void BasicContacts<M, kOdeArena>::frame() {
    intact_ = false;
    memory_.frame_begin();
    contact_count_ = 0;
    drop_box();
    dSpaceCollide(space_, this, near_callback);
    dWorldQuickStep(world_, kStep);
    Touches *touches = list_touches();
    play(touches);
    forget(touches);
    checksum_.add(contact_count_);
    if (frame_index_ % 16 == 0) {
        const dReal *position = dBodyGetPosition(boxes_[boxes_.size() / 2].body);
        for (int i = 0; i < 3; i++)
            checksum_.add_bits(position[i]);
    }
    frame_index_++;
    memory_.frame_end();
    intact_ = true;
}

} // namespace scenarios

#endif
