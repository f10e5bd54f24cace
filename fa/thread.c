/* Which state belongs to which thread.
 *
 * A thread has one state in each allocator that it uses. All of them hang on t_states; fai_slot
 * holds the one used last. Two events come from outside: another thread destroys an allocator, and
 * the process forks. Both, like thread exit, go through the registry's lock, which therefore also
 * guards every thread's list. */
#define _GNU_SOURCE /* PTHREAD_DESTRUCTOR_ITERATIONS */
#include "fa/thread.h"

#include "fa/frame.h"
#include "fa/internal/frame.h"
#include "fa/internal/park.h"
#include "fa/internal/thread.h"

#include <limits.h>
#include <string.h>

__thread fai_thread_slot fai_slot = {.frame_owner = FAI_NOBODY, .owner = FAI_NOBODY};

static __thread fai_thread *t_states;   /* guarded by k_lock; atomic: fai_thread_search peeks */
static __thread unsigned t_exit_rounds; /* how often this thread's exit has been seen */

/* Whether this thread may be in a tag of another allocator than the one that it used last, which is
 * the only one whose tags it can enter and leave. */
static __thread bool t_tagged_elsewhere;

/* Frees of other threads' objects while this one was not attached. */
static __thread int32_t t_stray_frees;
#define STRAY_FREES_MAX 64
#define STRAY_FREES_RETRY 65536

#define EXIT_ROUNDS_MAX (PTHREAD_DESTRUCTOR_ITERATIONS - 1)
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN true
#elif defined(__has_feature)
#define UNDER_TSAN __has_feature(thread_sanitizer)
#else
#define UNDER_TSAN false
#endif

static pthread_mutex_t k_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t k_once = PTHREAD_ONCE_INIT;
static pthread_key_t k_exit_key;
static bool k_exit_key_works;
static fa_allocator *k_allocators;

static void detach_locked(fai_thread *thread);

/* A state of the calling thread whose open frame has clean-ups to run or objects to keep. */
static fai_thread *find_unclean(void) {
    pthread_mutex_lock(&k_lock);
    fai_thread *thread = t_states;
    while (thread != NULL && thread->cleanups == NULL && !fai_retain_is_due(thread))
        thread = thread->next_on_thread;
    pthread_mutex_unlock(&k_lock);
    return thread;
}

/* The calling thread exits: nobody is to wait for it. The allocator stays while it is told. */
static void leave_barriers(void) {
    while (fai_barrier_is_joined()) {
        const void *barrier = NULL;
        pthread_mutex_lock(&k_lock);
        fa_allocator *allocator = k_allocators;
        while (allocator != NULL && (barrier = fai_barrier_abandon(allocator)) == NULL)
            allocator = allocator->next;
        bool told = allocator != NULL && fai_events_exit_begin(allocator);
        pthread_mutex_unlock(&k_lock);
        if (allocator == NULL)
            fai_barrier_forget(); /* of those that it has joined the last are gone */
        if (!told)
            continue;
        fai_report(allocator, FA_DIAG_FA208, FA_ERROR_STATE, 0, 0, barrier);
        fai_events_exit_done(allocator);
    }
}

/* A state of the calling thread that was not told of yet, where somebody wants to hear that it
 * detaches; the allocator stays until fai_events_exit_done. */
static fai_thread *find_untold(void) {
    pthread_mutex_lock(&k_lock);
    fai_thread *thread = t_states;
    while (thread != NULL &&
           (thread->exit_told ||
            !fai_events_want(&thread->allocator->events, FA_EVENTS_THREAD_DETACHED) ||
            !fai_events_exit_begin(thread->allocator)))
        thread = thread->next_on_thread;
    if (thread != NULL)
        thread->exit_told = true;
    pthread_mutex_unlock(&k_lock);
    return thread;
}

static void tell_exit(void) {
    for (fai_thread *thread; (thread = find_untold()) != NULL;) {
        fa_allocator *allocator = thread->allocator;
        fai_events_thread(thread, FA_EVENTS_THREAD_DETACHED);
        fai_events_exit_done(allocator);
    }
}

static void clean_up(void) {
    for (fai_thread *thread; (thread = find_unclean()) != NULL;) {
        fai_cleanup_run(thread, 0);
        fai_retain_keep(thread);
    }
}

static void thread_exit(void *value) {
    /* Called in every round from now on but the last, so that attach knows how far the exit is. Not
     * under the thread sanitizer, which takes no calls in the last round: a thread that attached
     * only now would get there. */
    bool again = ++t_exit_rounds < EXIT_ROUNDS_MAX && !UNDER_TSAN &&
                 pthread_setspecific(k_exit_key, value) == 0;
    /* A destructor of the program may be about to leave its barrier: it has until our last round,
     * and the thread stays as it is until then. */
    if (again && fai_barrier_is_joined())
        return;
    clean_up(); /* which may leave a barrier, too */
    leave_barriers();
    tell_exit();
    clean_up(); /* what hooks and listeners have registered */
    pthread_mutex_lock(&k_lock);
    while (t_states != NULL)
        detach_locked(t_states);
    pthread_mutex_unlock(&k_lock);
}

static void fork_prepare(void) {
    pthread_mutex_lock(&k_lock);
    for (fa_allocator *allocator = k_allocators; allocator; allocator = allocator->next) {
        fai_owned_lock_all(&allocator->owned);
        fai_lock(allocator);
        pthread_mutex_lock(&allocator->heap.lock);
        pthread_mutex_lock(&allocator->store.lock);
    }
}

static void fork_release(void) {
    for (fa_allocator *allocator = k_allocators; allocator; allocator = allocator->next) {
        pthread_mutex_unlock(&allocator->store.lock);
        pthread_mutex_unlock(&allocator->heap.lock);
        fai_unlock(allocator);
        fai_owned_unlock_all(&allocator->owned);
    }
    pthread_mutex_unlock(&k_lock);
}

static void unlink_state(fai_thread **list, fai_thread *thread) {
    if (thread->prev)
        thread->prev->next = thread->next;
    else
        *list = thread->next;
    if (thread->next)
        thread->next->prev = thread->prev;
    thread->next = thread->prev = NULL;
}

static void link_state(fai_thread **list, fai_thread *thread) {
    thread->prev = NULL;
    thread->next = *list;
    if (*list)
        (*list)->prev = thread;
    *list = thread;
}

/* In the child only the forking thread is left. The states of the others may have been anywhere in
 * an operation: nobody looks at them again, their memory stays as it is until destroy, and what is
 * freed of it waits in their queues. */
static void fork_child(void) {
    for (fa_allocator *allocator = k_allocators; allocator; allocator = allocator->next) {
        fai_spans_fork_child(&allocator->spans);
        fai_reserve_fork_child(allocator);
        fai_budget_fork_child(allocator);
        fai_owned_fork_child(&allocator->owned);
        fai_events_fork_child(allocator);
        allocator->ending_all = 0;
        allocator->thread_count = 0; /* others may have been about to attach */
        for (fai_thread *thread = allocator->threads, *next; thread; thread = next) {
            next = thread->next;
            if (thread->slot == &fai_slot) {
                allocator->thread_count++;
                continue;
            }
            unlink_state(&allocator->threads, thread);
            link_state(&allocator->frozen, thread);
            thread->slot = NULL;
            /* That thread's memory may be used again. What it was at matters where the fork comes
             * out of the end of its frame (fa_frame_end_all). */
            if (thread->frame != &thread->frame_beside)
                thread->frame_beside = *thread->frame;
            thread->frame = &thread->frame_beside;
        }
    }
    fork_release();
}

static void initialise_once(void) {
    fai_pool_initialise();
    k_exit_key_works = pthread_key_create(&k_exit_key, thread_exit) == 0;
    pthread_atfork(fork_prepare, fork_release, fork_child);
}

void fai_registry_add(fa_allocator *allocator) {
    pthread_once(&k_once, initialise_once);
    pthread_mutex_lock(&k_lock);
    allocator->prev = NULL;
    allocator->next = k_allocators;
    if (k_allocators)
        k_allocators->prev = allocator;
    k_allocators = allocator;
    pthread_mutex_unlock(&k_lock);
}

/* Takes an allocator away from a place that its thread may be writing at this moment. */
static void take_away(fa_allocator **place, fa_allocator *allocator) {
    fa_allocator *seen = allocator;
    while (!FAI_CAS_RELAXED(place, &seen, FAI_NOBODY))
        if (seen != allocator)
            break;
}

void fai_registry_remove(fa_allocator *allocator) {
    pthread_mutex_lock(&k_lock);
    for (fai_thread *thread = allocator->threads; thread; thread = thread->next) {
        fai_thread **link = thread->on_thread;
        while (*link != thread)
            link = &(*link)->next_on_thread;
        FAI_STORE_RELAXED(link, thread->next_on_thread);
        if (thread->slot == &fai_slot)
            fai_captures_forget(thread);
        take_away(&thread->slot->owner, allocator);
        take_away(&thread->slot->frame_owner, allocator);
        thread->frame = &thread->frame_beside; /* the slot is the other thread's alone */
    }
    if (allocator->prev)
        allocator->prev->next = allocator->next;
    else
        k_allocators = allocator->next;
    if (allocator->next)
        allocator->next->prev = allocator->prev;
    pthread_mutex_unlock(&k_lock);
}

/* From now on the state that is found at once. Under the registry's lock. */
static void use(fai_thread *thread) {
    fai_slot.head = &thread->head;
    fai_slot.view = fai_thread_view(thread);
    FAI_STORE_RELAXED(&fai_slot.owner, thread->allocator);
    t_tagged_elsewhere = false;
    for (const fai_thread *other = t_states; other; other = other->next_on_thread)
        t_tagged_elsewhere |= other != thread && fai_tally_depth(&other->tallies) != 0;
}

/* The calling thread's state in an allocator, or NULL. Under the registry's lock. */
static fai_thread *find_locked(const fa_allocator *allocator) {
    fai_thread *thread = t_states;
    while (thread != NULL && thread->allocator != allocator)
        thread = thread->next_on_thread;
    return thread;
}

void fai_registry_silence(fa_allocator *allocator) {
    pthread_mutex_lock(&k_lock);
    fai_events_close(allocator);
    pthread_mutex_unlock(&k_lock);
    fai_events_await_exits(allocator);
}

void fai_registry_bury(fa_allocator *allocator) {
    pthread_mutex_lock(&k_lock);
    bool hushed = fai_hush(true);
    for (fai_thread *thread = allocator->threads; thread; thread = thread->next)
        fai_meter_bury_all(thread);
    fai_thread *const lists[] = {allocator->threads, allocator->idle, allocator->trimmed,
                                 allocator->frozen};
    for (size_t i = 0; i < 4; i++)
        for (fai_thread *thread = lists[i]; thread; thread = thread->next)
            fai_park_bury(thread);
    fai_hush(hushed);
    for (fai_thread *thread = allocator->threads; thread; thread = thread->next)
        fai_scratch_detach(thread);
    for (fai_thread *thread = allocator->frozen; thread; thread = thread->next)
        fai_scratch_detach(thread);
    pthread_mutex_unlock(&k_lock);
}

/* Takes an idle state, or makes one. No lock held. */
static fai_thread *obtain_state(fa_allocator *allocator, bool quiet) {
    fai_lock(allocator);
    fai_thread *thread = NULL;
    bool full = allocator->config.thread_count_max != 0 &&
                allocator->thread_count >= allocator->config.thread_count_max;
    if (!full) {
        allocator->thread_count++; /* reserved, so that the limit holds at every instant */
        thread = allocator->idle;
        if (thread)
            allocator->idle = thread->next;
    }
    fai_unlock(allocator);
    if (full) {
        fai_report(allocator, FA_DIAG_FA202, FA_ERROR_LIMIT, 0, allocator->config.thread_count_max,
                   NULL);
        return NULL;
    }
    if (thread != NULL) {
        thread->next = NULL;
        return thread;
    }
    fai_span span;
    fa_status status =
        fai_span_alloc(&allocator->spans, allocator->thread_bytes, 64, FA_SPAN_META, &span, NULL);
    if (status != FA_OK) {
        fai_lock(allocator);
        allocator->thread_count--;
        fai_unlock(allocator);
        if (!quiet)
            fai_report(allocator, FA_DIAG_FA202, status, allocator->thread_bytes, 0, NULL);
        return NULL;
    }
    thread = (fai_thread *)span.address;
    memset(thread, 0, sizeof *thread);
    thread->span = span;
    thread->allocator = allocator;
    fai_queue_close(&thread->deferred); /* until it is attached */
    return thread;
}

fa_status fai_thread_watch_exit(void) {
    if (!k_exit_key_works || t_exit_rounds >= EXIT_ROUNDS_MAX)
        return FA_ERROR_UNSUPPORTED;
    return pthread_setspecific(k_exit_key, &fai_slot) == 0 ? FA_OK : FA_ERROR_NO_MEMORY;
}

static fai_thread *attach(fa_allocator *allocator, bool quiet) {
    /* Past our last round of thread exit nobody would detach this state again. */
    if (!k_exit_key_works || t_exit_rounds >= EXIT_ROUNDS_MAX) {
        fai_report(allocator, FA_DIAG_FA202, FA_ERROR_UNSUPPORTED, 0, 0, NULL);
        return NULL;
    }
    fai_thread *thread = obtain_state(allocator, quiet);
    if (thread == NULL)
        return NULL;
    if (fai_thread_watch_exit() != FA_OK) {
        fai_lock(allocator);
        allocator->thread_count--;
        thread->next = allocator->idle;
        allocator->idle = thread;
        fai_unlock(allocator);
        if (!quiet)
            fai_report(allocator, FA_DIAG_FA202, FA_ERROR_NO_MEMORY, 0, 0, NULL);
        return NULL;
    }
    bool first = FAI_LOAD_RELAXED(&fai_slot.frame_owner) == FAI_NOBODY;
    thread->frame = first ? &fai_slot.frame : &thread->frame_beside;
    thread->exit_told = false;
    thread->name[0] = 0;
    memset(&thread->counts, 0, sizeof thread->counts);
    fai_tally_attach(thread);
    fai_frame_attach(thread);
    fai_pool_attach(thread);
    pthread_mutex_lock(&k_lock);
    if (first)
        FAI_STORE_RELAXED(&fai_slot.frame_owner, allocator);
    FAI_STORE_RELAXED(&thread->slot, &fai_slot);
    thread->on_thread = &t_states;
    thread->next_on_thread = t_states;
    FAI_STORE_RELAXED(&t_states, thread);
    fai_lock(allocator);
    FAI_STORE_RELAXED(&thread->index, ++allocator->attach_count);
    fai_budget_attach(thread);
    fai_pool_open(thread);
    link_state(&allocator->threads, thread);
    fai_events_attach(thread);
    fai_unlock(allocator);
    use(thread);
    pthread_mutex_unlock(&k_lock);
    fai_events_thread(thread, FA_EVENTS_THREAD_ATTACHED);
    return thread;
}

fai_thread *fai_thread_search(fa_allocator *allocator, bool may_attach) {
    if (allocator == NULL || allocator == FAI_NOBODY)
        return NULL;
    /* Only this thread puts states on its list: one that only frees what others allocated pays for
     * no lock. */
    if (!may_attach && FAI_LOAD_RELAXED(&t_states) == NULL)
        return NULL;
    pthread_mutex_lock(&k_lock);
    fai_thread *thread = find_locked(allocator);
    if (thread != NULL)
        use(thread);
    pthread_mutex_unlock(&k_lock);
    return thread == NULL && may_attach ? attach(allocator, false) : thread;
}

fai_thread *fai_thread_for_free(fa_allocator *allocator) {
    if (++t_stray_frees < STRAY_FREES_MAX)
        return NULL;
    t_stray_frees = 0;
    const fa_alloc_config *config = &allocator->config;
    bool may = !allocator->watched && config->thread_count_max == 0 && config->bytes_max == 0 &&
               config->deferred.gather_count > 1 && config->deferred.count_max == 0 &&
               !FAI_LOAD_RELAXED(&allocator->spans.sealed) &&
               !FAI_LOAD_RELAXED(&allocator->budgets.any) && t_exit_rounds == 0 && k_exit_key_works;
    fai_thread *thread = may ? attach(allocator, true) : NULL;
    if (may && thread == NULL)
        t_stray_frees = -STRAY_FREES_RETRY;
    return thread;
}

uint32_t fai_tag_now(fa_allocator *allocator) {
    if (FA_LIKELY(FAI_LOAD_RELAXED(&fai_slot.owner) == allocator))
        return fai_tally_now(&((const fai_thread *)fai_slot.head)->tallies)->tag;
    if (FA_LIKELY(!t_tagged_elsewhere))
        return 0;
    pthread_mutex_lock(&k_lock);
    const fai_thread *thread = find_locked(allocator);
    uint32_t tag = thread ? fai_tally_now(&thread->tallies)->tag : 0;
    pthread_mutex_unlock(&k_lock);
    return tag;
}

fai_thread *fai_thread_capturing(uint32_t level) {
    pthread_mutex_lock(&k_lock);
    fai_thread *thread = t_states;
    while (thread != NULL && (thread->captures.count == 0 ||
                              thread->capture_level[thread->captures.count - 1] < level))
        thread = thread->next_on_thread;
    pthread_mutex_unlock(&k_lock);
    return thread;
}

/* Under the registry's lock, on the thread that owns the state. */
static void detach_locked(fai_thread *thread) {
    fa_allocator *allocator = thread->allocator;
    fai_captures_forget(thread);
    fai_thread **link = &t_states;
    while (*link != thread)
        link = &(*link)->next_on_thread;
    *link = thread->next_on_thread;
    if (FAI_LOAD_RELAXED(&fai_slot.owner) == allocator)
        FAI_STORE_RELAXED(&fai_slot.owner, FAI_NOBODY);
    fai_frame_detach(thread);
    fai_scratch_detach(thread);
    if (thread->frame == &fai_slot.frame)
        FAI_STORE_RELAXED(&fai_slot.frame_owner, FAI_NOBODY);
    FAI_STORE_RELAXED(&thread->frame, &thread->frame_beside); /* others look whether it is open */
    fai_lock(allocator);
    fai_pool_detach(thread);
    fai_tally_detach(thread);
    fai_budget_detach(thread);
    allocator->frame_count += thread->frame_count;
    allocator->frame_alloc_count += thread->frame_alloc_count;
    allocator->frame_bytes += thread->frame_bytes;
    unlink_state(&allocator->threads, thread);
    FAI_STORE_RELAXED(&thread->slot, NULL);
    thread->next = allocator->idle;
    allocator->idle = thread;
    allocator->thread_count--;
    fai_unlock(allocator);
}

fa_status fa_thread_attach(fa_allocator *allocator) {
    if (allocator == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    return fai_thread_get(allocator) ? FA_OK : fa_last_error().status;
}

fa_status fa_thread_detach(fa_allocator *allocator) {
    fai_thread *thread = allocator ? fai_thread_find(allocator) : NULL;
    if (thread == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    /* Called by one of its clean-ups, or while another call is at work on its state. */
    if (thread->hold.is_held || fai_callback_is_amid(allocator))
        return fai_report(allocator, FA_DIAG_FA009, FA_ERROR_FRAME_OPEN, 0, 0, thread->frame);
    if (fai_frame_is_open(thread))
        (void)(fa_frame_end_in)(thread->frame);
    fai_events_thread(thread, FA_EVENTS_THREAD_DETACHED);
    /* A frame that a hook began there would end without its clean-ups. */
    fai_hold hold = fai_frame_hold(thread);
    fai_meter_bury_all(thread);
    fai_frame_unhold(thread, hold);
    pthread_mutex_lock(&k_lock);
    detach_locked(thread);
    pthread_mutex_unlock(&k_lock);
    return FA_OK;
}

size_t fa_thread_count(const fa_allocator *allocator) {
    if (allocator == NULL)
        return 0;
    fa_allocator *shared = (fa_allocator *)(uintptr_t)allocator;
    fai_lock(shared);
    size_t count = shared->thread_count;
    fai_unlock(shared);
    return count;
}
