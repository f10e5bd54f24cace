/* Scopes of C++: an allocator, a frame, a tag, a phase, a mark and scratch memory that end with
 * their object. Part of fa.hpp, which says what holds for all. */
#ifndef FA_CPP_SCOPE_HPP
#define FA_CPP_SCOPE_HPP

#include "fa/allocator.h"
#include "fa/frame.h"
#include "fa/mark.h"
#include "fa/phase.h"
#include "fa/scratch.h"
#include "fa/tag.h"
#include "fa/task.h"

#include <utility>

namespace fa {

/* What scopes have in common: they stand where they were made. */
class scope {
  public:
    scope(const scope &) = delete;
    scope &operator=(const scope &) = delete;

  protected:
    scope() = default;
    ~scope() = default;
};

/* Owns an allocator: creates it, and destroys it at its end. Converts to the fa_allocator * that
 * every call takes: nullptr when it could not be created. Can be moved. */
class memory {
  public:
    /* fa_last_error says why, when it converts to nullptr; fa_allocator_create in its own words. */
    memory() : memory(nullptr) {}
    explicit memory(const fa_alloc_config &config) : memory(&config) {}
    memory(memory &&other) noexcept : allocator_(std::exchange(other.allocator_, nullptr)) {}
    memory &operator=(memory &&other) noexcept {
        if (this != &other) {
            (void)destroy();
            allocator_ = std::exchange(other.allocator_, nullptr);
        }
        return *this;
    }
    ~memory() { (void)destroy(); }

    operator fa_allocator *() const noexcept { return allocator_; }
    fa_allocator *get() const noexcept { return allocator_; }
    /* Destroys it now; returns how many pool and heap blocks were alive. Where others hold
     * references (fa_allocator_acquire), gives up this one and returns 0. */
    size_t destroy() noexcept { return fa_allocator_release(std::exchange(allocator_, nullptr)); }

  private:
    explicit memory(const fa_alloc_config *config) {
        (void)fa_allocator_create(config, &allocator_);
    }
    fa_allocator *allocator_ = nullptr;
};

/* A frame of the calling thread, begun and ended. Converts to the handle that the _in calls take,
 * nullptr when begin was refused: then it ends nothing. To be ended on the same thread. */
class frame_scope : scope {
  public:
    explicit frame_scope(fa_allocator *allocator) noexcept : frame_((fa_frame_begin)(allocator)) {}
    ~frame_scope() { (void)end(); }

    operator fa_frame *() const noexcept { return frame_; }
    fa_frame *get() const noexcept { return frame_; }
    /* Ends it now. Returns as fa_frame_end_in; FA_OK when there is nothing to end. What could not
     * be ended now, as by one of its clean-ups, is ended later. */
    fa_status end() noexcept {
        fa_status status = frame_ != nullptr ? (fa_frame_end_in)(frame_) : FA_OK;
        if (status == FA_OK || status == FA_ERROR_NO_FRAME)
            frame_ = nullptr;
        return status;
    }

  private:
    fa_frame *frame_;
};

/* The calling thread is in a tag. status() says whether it was entered; if not, nothing is left. */
class tag_scope : scope {
  public:
    tag_scope(fa_allocator *allocator, fa_tag tag) noexcept
        : allocator_(allocator), status_(fa_tag_enter(allocator, tag)) {}
    /* The tag of that name below the one that the thread is in. */
    tag_scope(fa_allocator *allocator, const char *name) noexcept
        : allocator_(allocator), status_(fa_tag_enter_name(allocator, name)) {}
    ~tag_scope() {
        if (status_ == FA_OK)
            (void)fa_tag_leave(allocator_);
    }

    fa_status status() const noexcept { return status_; }

  private:
    fa_allocator *allocator_;
    fa_status status_;
};

/* A task captures the calling thread's pool allocations, those of standard containers with pool
 * memory too. status() says whether it does; if not, nothing is ended. */
class capture_scope : scope {
  public:
    explicit capture_scope(fa_task task) noexcept
        : task_(task), status_((fa_task_capture_begin)(task)) {}
    ~capture_scope() {
        if (status_ == FA_OK)
            (void)(fa_task_capture_end)(task_);
    }

    fa_status status() const noexcept { return status_; }

  private:
    fa_task task_;
    fa_status status_;
};

/* A phase of an open frame; name as for fa_phase_begin. */
class phase_scope : scope {
  public:
    phase_scope(fa_frame *frame, const char *name) noexcept
        : frame_(fai_phase_scope_begin_in(frame, name)) {}
    phase_scope(fa_allocator *allocator, const char *name) noexcept
        : frame_(fai_phase_scope_begin(allocator, name)) {}
    ~phase_scope() { fai_phase_scope_end(&frame_); }

  private:
    fa_frame *frame_; /* nullptr: there is nothing to end */
};

/* Goes back to where the frame stood, unless committed: see fa_mark_guard. Declare it before the
 * containers and owners whose memory it frees, so that they are gone before. */
class mark_scope : scope {
  public:
    explicit mark_scope(fa_frame *frame) noexcept : guard_((fa_mark_guard_begin_in)(frame)) {}
    explicit mark_scope(fa_allocator *allocator) noexcept
        : guard_((fa_mark_guard_begin)(allocator)) {}
    ~mark_scope() { (void)end(); }

    /* Whether there is something to go back to. */
    explicit operator bool() const noexcept { return guard_.frame != nullptr; }
    /* Keeps what was allocated. */
    void commit() noexcept { fa_mark_guard_commit(&guard_); }
    /* Goes back now; returns as fa_mark_guard_end. */
    fa_status end() noexcept { return (fa_mark_guard_end)(&guard_); }

  private:
    fa_mark_guard guard_;
};

/* A scratch scope of the calling thread, on an arena that none of the conflicts is on: scopes of
 * callers that results are allocated from. Converts to the fa_scratch that the calls take, none
 * when it was refused: then it ends nothing. Declare it before containers that use it. */
class scratch_scope : scope {
  public:
    explicit scratch_scope(fa_allocator *allocator) noexcept
        : scratch_((fa_scratch_begin)(allocator, nullptr, 0)) {}
    template <class... Scopes>
    scratch_scope(fa_allocator *allocator, fa_scratch conflict, const Scopes &...more) noexcept {
        const fa_scratch conflicts[] = {conflict, more...};
        scratch_ = (fa_scratch_begin)(allocator, conflicts, 1 + sizeof...(more));
    }
    ~scratch_scope() { (void)end(); }

    operator fa_scratch() const noexcept { return scratch_; }
    fa_scratch get() const noexcept { return scratch_; }
    explicit operator bool() const noexcept { return scratch_.head != nullptr; }
    /* Ends it now. Returns as fa_scratch_end; FA_OK when there is nothing to end. What could not be
     * ended now, because a newer scope is open on its arena, is ended later. */
    fa_status end() noexcept {
        fa_status status = scratch_.head != nullptr ? (fa_scratch_end)(scratch_) : FA_OK;
        if (status == FA_OK || fa_last_error().diag == FA_DIAG_FA610)
            scratch_ = fa_scratch{};
        return status;
    }

  private:
    fa_scratch scratch_;
};

} // namespace fa

#endif
