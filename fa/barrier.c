/* Frame barriers: who is a member, misuse, spinning and sleeping, numbers. What members share
 * without a lock is the word of fa/internal/barrier.h. */
#define _GNU_SOURCE /* syscall, sched_getaffinity */
#include "fa/internal/barrier.h"

#include "fa/barrier.h"
#include "fa/heap.h"
#include "fa/internal/allocator.h"
#include "fa/internal/clock.h"
#include "fa/internal/thread.h"

#include <sched.h>
#include <string.h>

/* How long a wait spins before it sleeps, in looks at the word of some 25 ns. It doubles when a
 * spin was enough and halves when it was not, but never below what it takes to wake a thread: else
 * two that once had to sleep would never meet again without. */
#define SPINS_MIN 256
#define SPINS_MAX 1024
#define SPINS_FIRST 512

/* Of one member; written by it alone. */
typedef struct member {
    struct member *next; /* guarded by the barrier's lock */
    const void *thread;  /* its slot: an address that no other living thread has */
    uint64_t arrived_in; /* NOWHERE: it has not signalled since it joined */
    uint32_t spins;
    fai_barrier_inside is_inside;                       /* of a signal or a wait */
    uint64_t wait_count, timeout_count, total, longest; /* read by anybody */
} member;
#define NOWHERE UINT64_MAX

struct fa_barrier {
    fai_owned owned; /* must be first */
    fa_allocator *allocator;
    uint64_t serial;      /* no other barrier of this process has it */
    uint32_t core_count;  /* that the process may use */
    pthread_mutex_t lock; /* members, open_count, retired */
    member *members;
    size_t member_count;
    size_t open_count; /* seats that nobody took yet */
    member retired;    /* numbers of members that have left */
    member *gone;      /* of threads that exited: to be freed */
    pid_t forking;     /* the process that is about to fork */
    /* Every member writes it: on a line of its own. */
    fai_barrier_word word __attribute__((aligned(64)));
    char padding[64 - sizeof(fai_barrier_word)];
};

/* The barrier that this thread used last. */
static __thread struct {
    const fa_barrier *barrier;
    uint64_t serial;
    member *self;
} t_last;

/* Barriers that this thread is a member of, or more: of those that others have destroyed. */
static __thread size_t t_joined_count;

static uint64_t k_serial; /* atomic */

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- who is a member ---- */

static member *find_locked(const fa_barrier *barrier) {
    member *self = barrier->members;
    while (self != NULL && self->thread != &fai_slot)
        self = self->next;
    return self;
}

static size_t seat_count(const fa_barrier *barrier) {
    return barrier->member_count + barrier->open_count;
}

/* The calling thread's, or NULL. */
static member *find(fa_barrier *barrier) {
    if (FA_LIKELY(t_last.barrier == barrier && t_last.serial == barrier->serial))
        return t_last.self;
    pthread_mutex_lock(&barrier->lock);
    member *self = find_locked(barrier);
    pthread_mutex_unlock(&barrier->lock);
    if (self != NULL) {
        t_last.barrier = barrier;
        t_last.serial = barrier->serial;
        t_last.self = self;
    }
    return self;
}

FA_COLD static fa_status refuse(const fa_barrier *barrier, fa_diag diag, fa_status status) {
    return fai_report(barrier->allocator, diag, status, 0, 0, barrier);
}

/* Frees what exits left, where no lock is held. */
static void free_gone(fa_barrier *barrier) {
    if (FAI_LOAD_RELAXED(&barrier->gone) == NULL)
        return;
    pthread_mutex_lock(&barrier->lock);
    member *gone = barrier->gone;
    FAI_STORE_RELAXED(&barrier->gone, NULL);
    pthread_mutex_unlock(&barrier->lock);
    for (member *next; gone; gone = next) {
        next = gone->next;
        (fa_heap_free)(barrier->allocator, gone);
    }
}

fa_status fa_barrier_join(fa_barrier *barrier) {
    if (barrier == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    if (find(barrier) != NULL)
        return fai_fail(FA_ERROR_EXISTS, 0);
    fa_status status = fai_thread_watch_exit();
    if (status != FA_OK)
        return fai_fail(status, 0);
    free_gone(barrier);
    member *self = (member *)(fa_heap_alloc_aligned)(barrier->allocator, sizeof *self, 64);
    if (self == NULL)
        return fa_last_error().status;
    memset(self, 0, sizeof *self);
    self->thread = &fai_slot;
    self->arrived_in = NOWHERE;
    self->spins = SPINS_FIRST;
    pthread_mutex_lock(&barrier->lock);
    if (find_locked(barrier) != NULL) { /* by an event hook, meanwhile */
        status = FA_ERROR_EXISTS;
    } else if (seat_count(barrier) == FA_BARRIER_SEAT_COUNT_MAX && barrier->open_count == 0) {
        status = FA_ERROR_FULL;
    } else {
        if (barrier->open_count != 0)
            barrier->open_count--;
        else
            (void)fai_barrier_add(&barrier->word, 1);
        self->next = barrier->members;
        barrier->members = self;
        barrier->member_count++;
        t_joined_count++;
    }
    pthread_mutex_unlock(&barrier->lock);
    if (status == FA_OK)
        return FA_OK;
    (fa_heap_free)(barrier->allocator, self);
    return fai_fail(status, 0);
}

/* Adds what a member has counted. */
static void add_numbers(member *sum, const member *one) {
    sum->wait_count += FAI_LOAD_ACQUIRE(&one->wait_count);
    sum->timeout_count += FAI_LOAD_RELAXED(&one->timeout_count);
    sum->total += FAI_LOAD_RELAXED(&one->total);
    uint64_t longest = FAI_LOAD_RELAXED(&one->longest);
    sum->longest = longest > sum->longest ? longest : sum->longest;
}

static void leave_locked(fa_barrier *barrier, member *self) {
    member **link = &barrier->members;
    while (*link != self)
        link = &(*link)->next;
    *link = self->next;
    barrier->member_count--;
    add_numbers(&barrier->retired, self);
    fai_barrier_drop(&barrier->word, self->arrived_in);
}

fa_status fa_barrier_leave(fa_barrier *barrier) {
    if (barrier == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    member *self = find(barrier);
    if (self == NULL)
        return refuse(barrier, FA_DIAG_FA203, FA_ERROR_FOREIGN);
    fa_allocator *allocator = barrier->allocator;
    pthread_mutex_lock(&barrier->lock);
    leave_locked(barrier, self);
    pthread_mutex_unlock(&barrier->lock); /* others, whom that let go, may destroy it now */
    t_last.barrier = NULL;
    t_joined_count--;
    (fa_heap_free)(allocator, self);
    return FA_OK;
}

fa_status fa_barrier_expect(fa_barrier *barrier, size_t count) {
    if (barrier == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    pthread_mutex_lock(&barrier->lock);
    bool fits = count <= FA_BARRIER_SEAT_COUNT_MAX - seat_count(barrier);
    if (fits && count != 0) {
        (void)fai_barrier_add(&barrier->word, count);
        barrier->open_count += count;
    }
    pthread_mutex_unlock(&barrier->lock);
    return fits ? FA_OK : fai_fail(FA_ERROR_FULL, count);
}

/* ---- signals and waits ---- */

/* Whether the generation that a member has arrived in is still open. Any thread. */
static bool is_awaited(const fa_barrier *barrier, const member *one) {
    uint64_t generation = FAI_LOAD_RELAXED(&one->arrived_in);
    return generation != NOWHERE && !fai_barrier_is_over(&barrier->word, generation);
}

/* On success the member is still inside: others may find the generation over, and destroy the
 * barrier, before the caller has written down that it arrived. */
static fa_status signal_as(fa_barrier *barrier, member *self) {
    if (self == NULL)
        return refuse(barrier, FA_DIAG_FA203, FA_ERROR_FOREIGN);
    if (is_awaited(barrier, self))
        return refuse(barrier, FA_DIAG_FA204, FA_ERROR_STATE);
    bool is_last;
    fai_barrier_enter(&self->is_inside);
    FAI_STORE_RELAXED(&self->arrived_in, fai_barrier_arrive(&barrier->word, &is_last));
    return FA_OK;
}

/* Looks at the word for a while, where the others may be running. */
static bool spin(const fa_barrier *barrier, member *self, uint64_t generation) {
    if (fai_barrier_members(FAI_LOAD_RELAXED(&barrier->word)) > barrier->core_count)
        return false;
    for (uint32_t i = 0; i < self->spins; i++) {
        if (fai_barrier_is_over(&barrier->word, generation)) {
            self->spins = self->spins * 2 < SPINS_MAX ? self->spins * 2 : SPINS_MAX;
            return true;
        }
        pause_briefly();
    }
    self->spins = self->spins / 2 > SPINS_MIN ? self->spins / 2 : SPINS_MIN;
    return false;
}

static bool sleep_until(fa_barrier *barrier, uint64_t generation, uint64_t begin,
                        uint64_t nanoseconds) {
    if (nanoseconds >= FA_BARRIER_FOREVER - begin)
        return fai_barrier_sleep(&barrier->word, generation, NULL);
    uint64_t end = begin + nanoseconds;
    struct timespec deadline = {(time_t)(end / 1000000000u), (long)(end % 1000000000u)};
    return fai_barrier_sleep(&barrier->word, generation, &deadline);
}

/* For the end of the generation that the member has arrived in. */
static fa_status wait_inside(fa_barrier *barrier, member *self, uint64_t nanoseconds) {
    uint64_t begin = fai_clock(), generation = self->arrived_in;
    bool is_over = nanoseconds != 0 && (spin(barrier, self, generation) ||
                                        sleep_until(barrier, generation, begin, nanoseconds));
    uint64_t took = fai_clock() - begin;
    FAI_BUMP(&self->total, took);
    if (took > self->longest)
        FAI_STORE_RELAXED(&self->longest, took);
    if (is_over)
        return FA_OK;
    FAI_BUMP(&self->timeout_count, 1);
    bool is_closed = (FAI_LOAD_RELAXED(&barrier->word) & FAI_BARRIER_CLOSED) != 0;
    return is_closed ? FA_ERROR_STATE : FA_ERROR_TIMEOUT;
}

static fa_status wait_as(fa_barrier *barrier, member *self, uint64_t nanoseconds) {
    if (self == NULL)
        return refuse(barrier, FA_DIAG_FA203, FA_ERROR_FOREIGN);
    if (self->arrived_in == NOWHERE)
        return refuse(barrier, FA_DIAG_FA204, FA_ERROR_STATE);
    fai_barrier_enter(&self->is_inside);
    /* Whoever reads this count sees that the thread is inside. */
    FAI_STORE_RELEASE(&self->wait_count, self->wait_count + 1);
    fa_status status = FA_OK;
    if (is_awaited(barrier, self))
        status = wait_inside(barrier, self, nanoseconds);
    fai_barrier_exit(&self->is_inside);
    return status == FA_OK ? FA_OK : fai_fail(status, 0);
}

fa_status fa_barrier_signal(fa_barrier *barrier) {
    if (barrier == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    member *self = find(barrier);
    fa_status status = signal_as(barrier, self);
    if (status == FA_OK)
        fai_barrier_exit(&self->is_inside);
    return status;
}

fa_status fa_barrier_wait_for(fa_barrier *barrier, uint64_t nanoseconds) {
    return barrier != NULL ? wait_as(barrier, find(barrier), nanoseconds)
                           : fai_fail(FA_ERROR_INVALID, 0);
}

fa_status fa_barrier_wait(fa_barrier *barrier) {
    return fa_barrier_wait_for(barrier, FA_BARRIER_FOREVER);
}

fa_status fa_barrier_signal_and_wait(fa_barrier *barrier) {
    if (barrier == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    member *self = find(barrier);
    fa_status status = signal_as(barrier, self);
    return status == FA_OK ? wait_as(barrier, self, FA_BARRIER_FOREVER) : status;
}

/* ---- as something that the allocator owns ---- */

/* Whether somebody sleeps or spins for the end of a generation. */
static bool is_waited_at(fa_barrier *barrier) {
    bool any = false;
    pthread_mutex_lock(&barrier->lock);
    for (const member *one = barrier->members; one && !any; one = one->next)
        any = fai_barrier_is_inside(&one->is_inside) && is_awaited(barrier, one);
    pthread_mutex_unlock(&barrier->lock);
    return any;
}

/* Frees all once the last thread is out. */
static void dispose(fa_barrier *barrier) {
    fa_allocator *allocator = barrier->allocator;
    for (member *one = barrier->members, *next; one; one = next) {
        next = one->next;
        while (fai_barrier_is_inside(&one->is_inside))
            sched_yield();
        t_joined_count -= one->thread == &fai_slot;
        (fa_heap_free)(allocator, one);
    }
    free_gone(barrier);
    pthread_mutex_destroy(&barrier->lock);
    (fa_heap_free)(allocator, barrier);
}

static void destroy_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fa_barrier *barrier = (fa_barrier *)owned;
    if (is_waited_at(barrier))
        (void)refuse(barrier, FA_DIAG_FA205, FA_ERROR_STATE);
    fai_barrier_close(&barrier->word);
    dispose(barrier);
}

static const void *validate_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fa_barrier *barrier = (fa_barrier *)owned;
    size_t members = 0;
    pthread_mutex_lock(&barrier->lock);
    for (const member *one = barrier->members; one; one = one->next)
        members += one->thread != NULL;
    uint64_t word = FAI_LOAD_RELAXED(&barrier->word);
    bool is_sound = members == barrier->member_count &&
                    members + barrier->open_count == fai_barrier_members(word) &&
                    fai_barrier_arrived(word) <= fai_barrier_members(word);
    pthread_mutex_unlock(&barrier->lock);
    return is_sound ? NULL : barrier;
}

static void lock_owned(fai_owned *owned) {
    fa_barrier *barrier = (fa_barrier *)owned;
    pthread_mutex_lock(&barrier->lock);
    barrier->forking = getpid();
}

/* Of the members only the forking thread is left. */
static void keep_one(fa_barrier *barrier) {
    const member *self = find_locked(barrier);
    uint64_t word = FAI_LOAD_RELAXED(&barrier->word);
    bool has_arrived = self != NULL && self->arrived_in == fai_barrier_generation(word);
    for (member *one = barrier->members; one; one = one->next) {
        FAI_STORE_RELAXED(&one->is_inside, 0);
        if (one != self)
            one->thread = NULL; /* freed with the barrier */
    }
    barrier->member_count = self != NULL;
    barrier->open_count = 0;
    word = fai_barrier_generation(word) << FAI_BARRIER_GENERATION_SHIFT |
           (uint64_t)(self != NULL) << FAI_BARRIER_MEMBERS_SHIFT |
           (uint64_t)has_arrived << FAI_BARRIER_ARRIVED_SHIFT;
    FAI_STORE_RELAXED(&barrier->word, fai_barrier_advance(word));
}

static void unlock_owned(fai_owned *owned) {
    fa_barrier *barrier = (fa_barrier *)owned;
    if (barrier->forking != getpid())
        keep_one(barrier);
    pthread_mutex_unlock(&barrier->lock);
}

static const fai_owned_kind k_barriers = {.destroy = destroy_owned,
                                          .validate = validate_owned,
                                          .lock = lock_owned,
                                          .unlock = unlock_owned};

bool fai_barrier_is_joined(void) { return t_joined_count != 0; }

void fai_barrier_forget(void) { t_joined_count = 0; }

const void *fai_barrier_abandon(fa_allocator *allocator) {
    fa_barrier *barrier = NULL;
    pthread_mutex_lock(&allocator->owned.lock);
    for (fai_owned *at = allocator->owned.newest; at != NULL && barrier == NULL; at = at->next) {
        if (at->kind != &k_barriers)
            continue;
        barrier = (fa_barrier *)at;
        pthread_mutex_lock(&barrier->lock);
        member *self = find_locked(barrier);
        if (self != NULL) {
            leave_locked(barrier, self);
            t_joined_count--;
            t_last.barrier = NULL;
            self->next = barrier->gone;
            FAI_STORE_RELAXED(&barrier->gone, self);
        }
        pthread_mutex_unlock(&barrier->lock);
        if (self == NULL)
            barrier = NULL;
    }
    pthread_mutex_unlock(&allocator->owned.lock);
    return barrier;
}

static uint32_t count_cores(void) {
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? (uint32_t)CPU_COUNT(&cores) : 1;
}

fa_status fa_barrier_create(fa_allocator *allocator, size_t seats, fa_barrier **result) {
    if (result == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    *result = NULL;
    if (allocator == NULL || seats > FA_BARRIER_SEAT_COUNT_MAX)
        return fai_fail(FA_ERROR_INVALID, seats);
    fa_barrier *barrier = (fa_barrier *)(fa_heap_alloc_aligned)(allocator, sizeof *barrier, 64);
    if (barrier == NULL)
        return fa_last_error().status;
    memset(barrier, 0, sizeof *barrier);
    if (pthread_mutex_init(&barrier->lock, NULL) != 0) {
        (fa_heap_free)(allocator, barrier);
        return fai_fail(FA_ERROR_NO_MEMORY, sizeof *barrier);
    }
    barrier->allocator = allocator;
    barrier->serial = FAI_ADD_RELAXED(&k_serial, 1) + 1;
    barrier->core_count = count_cores();
    barrier->open_count = seats;
    barrier->word = seats * FAI_BARRIER_ONE_MEMBER;
    fai_owned_add(allocator, &barrier->owned, &k_barriers);
    *result = barrier;
    return FA_OK;
}

fa_status fa_barrier_destroy(fa_barrier *barrier) {
    if (barrier == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    if (is_waited_at(barrier))
        return refuse(barrier, FA_DIAG_FA205, FA_ERROR_STATE);
    fai_owned_remove(barrier->allocator, &barrier->owned);
    dispose(barrier);
    return FA_OK;
}

fa_status fa_barrier_stats_get(fa_barrier *barrier, fa_barrier_stats *stats) {
    if (barrier == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    pthread_mutex_lock(&barrier->lock);
    member sum = barrier->retired;
    for (const member *one = barrier->members; one; one = one->next)
        add_numbers(&sum, one);
    uint64_t word = FAI_LOAD_RELAXED(&barrier->word);
    *stats = (fa_barrier_stats){.generation = fai_barrier_generation(word),
                                .seat_count = fai_barrier_members(word),
                                .member_count = barrier->member_count,
                                .arrived_count = fai_barrier_arrived(word),
                                .wait_count = sum.wait_count,
                                .timeout_count = sum.timeout_count,
                                .wait_nanoseconds_total = sum.total,
                                .wait_nanoseconds_max = sum.longest};
    pthread_mutex_unlock(&barrier->lock);
    return FA_OK;
}
