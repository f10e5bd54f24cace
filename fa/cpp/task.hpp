/* Tasks in C++ (fa/task.h says what they are): memory of one piece of work that goes on over many
 * callbacks. Part of fa.hpp.
 *
 *     fa::task request(memory, "request");
 *     Parser *parser = request.make<Parser>(socket);       destroyed with the task, newest first
 *     {
 *         fa::capture_scope capture(request);              what the parser allocates, too
 *         parser->feed(bytes);
 *     }
 *     later->data = request.release();                     the callback says fa::task(handle)
 *
 * Objects are nullptr when memory is refused; fa_last_error says why. What a constructor throws
 * passes; the memory is back before. Any thread may make and destroy objects; the task itself is
 * moved by one at a time. */
#ifndef FA_CPP_TASK_HPP
#define FA_CPP_TASK_HPP

#include "fa/cpp/allocator.hpp"
#include "fa/cpp/owner.hpp"
#include "fa/task.h"

namespace fa {

namespace inside {

/* Stands before what needs more than a block of a task by itself: an alignment, a destructor. */
struct task_header {
    void *block; /* at its start is room for the alignment */
    bool is_made;
};
static_assert(sizeof(task_header) == FA_ALIGN_MIN, "what follows it is aligned as it is");

inline task_header *task_header_of(void *object) noexcept {
    return static_cast<task_header *>(object) - 1;
}

/* Where the object lies in its block: behind a header, at a multiple of its alignment. */
inline void *task_object(void *block, size_t align) noexcept {
    uintptr_t after = reinterpret_cast<uintptr_t>(block) + sizeof(task_header);
    return static_cast<char *>(block) + sizeof(task_header) + (-after & (align - 1));
}

/* Room behind a header; end: is called with the block when that goes, or nullptr. */
inline void *task_take(fa_task task, size_t bytes, size_t align, fa_destructor_fn *end) noexcept {
    align = align < FA_ALIGN_MIN ? FA_ALIGN_MIN : align;
    size_t all = align <= FA_ALIGN_MAX && bytes <= FA_SIZE_MAX - align ? bytes + align : 0;
    void *block =
        end != nullptr ? (fa_task_alloc_with)(task, all, end) : (fa_task_alloc)(task, all);
    if (block == nullptr)
        return nullptr;
    void *object = task_object(block, align);
    ::new (task_header_of(object)) task_header{block, false};
    return object;
}

/* Gives a block back when a constructor throws. */
class task_rescue {
  public:
    task_rescue(fa_task task, void *block) noexcept : task_(task), block_(block) {}
    ~task_rescue() {
        if (block_ != nullptr)
            (void)(fa_task_free)(task_, block_);
    }
    task_rescue(const task_rescue &) = delete;
    task_rescue &operator=(const task_rescue &) = delete;
    void done() noexcept { block_ = nullptr; }

  private:
    fa_task task_;
    void *block_;
};

} // namespace inside

/* Owns a task; converts to the fa_task that other calls take, none when it could not be begun. To
 * be destroyed before its allocator. */
class task {
  public:
    explicit task(from<fa_allocator> memory, const char *name = "") noexcept {
        inside::at<false> place(memory.site());
        task_ = (fa_task_begin)(memory.get(), name);
    }
    /* Takes over what release gave. */
    explicit task(fa_task released) noexcept : task_(released) {}
    task(task &&other) noexcept : task_(other.release()) {}
    task &operator=(task &&other) noexcept {
        task moved(std::move(other));
        std::swap(task_, moved.task_);
        return *this;
    }
    ~task() { (void)end(); }

    operator fa_task() const noexcept { return task_; }
    fa_task get() const noexcept { return task_; }
    explicit operator bool() const noexcept { return fa_task_is_open(task_); }

    /* One with a destructor, or that needs more than 16 for its alignment, takes 16 bytes more, or
     * its alignment. */
    template <class T, class... Arguments> T *make(Arguments &&...arguments) {
        void *object = has_header<T> ? inside::task_take(task_, sizeof(T), alignof(T), end_of<T>())
                                     : (fa_task_alloc)(task_, sizeof(T));
        if (object == nullptr)
            return nullptr;
        inside::task_rescue saved(task_, block_of<T>(object));
        T *made = inside::construct<T>(object, std::forward<Arguments>(arguments)...);
        if constexpr (has_header<T>)
            inside::task_header_of(object)->is_made = true;
        saved.done();
        return made;
    }
    /* Each as by T(). Their type needs no destructor: else use a container, or make; and an
     * alignment of 16 at most. */
    template <class T> T *make_array(size_t count) {
        static_assert(std::is_trivially_destructible_v<T>, "nobody would destroy the elements");
        static_assert(alignof(T) <= FA_ALIGN_MIN, "blocks of tasks are aligned to 16");
        void *block = (fa_task_alloc)(task_, inside::bytes_of<T>(count));
        if (block == nullptr)
            return nullptr;
        inside::task_rescue saved(task_, block);
        T *items = static_cast<T *>(block);
        std::uninitialized_value_construct_n(items, count);
        saved.done();
        return items;
    }
    /* Destroys and frees what make returned, or frees what make_array did, before the task ends; a
     * pointer to a base class will do where that has a virtual destructor. nullptr is ignored.
     * Returns as fa_task_free. */
    template <class T> fa_status destroy(T *object) noexcept {
        static_assert(!std::is_polymorphic_v<T> || std::is_final_v<T> ||
                          std::has_virtual_destructor_v<T>,
                      "nobody knows whether there is more before the object");
        if (object == nullptr)
            return FA_OK;
        return (fa_task_free)(task_, block_of<T>(inside::block_of(object)));
    }
    /* Ends it now. Returns as fa_task_end; FA_OK when there is none. */
    fa_status end() noexcept {
        fa_task ending = release();
        return ending.head != nullptr ? (fa_task_end)(ending) : FA_OK;
    }
    /* Leaves it to whoever gets the handle: a callback that comes later. */
    [[nodiscard]] fa_task release() noexcept { return std::exchange(task_, fa_task{}); }

  private:
    template <class T>
    static constexpr bool has_header =
        !std::is_trivially_destructible_v<T> || (alignof(T) > FA_ALIGN_MIN);

    template <class T> static fa_destructor_fn *end_of() noexcept {
        if constexpr (std::is_trivially_destructible_v<T>)
            return nullptr;
        else
            return [](void *block) {
                void *object = inside::task_object(block, alignof(T) < FA_ALIGN_MIN ? FA_ALIGN_MIN
                                                                                    : alignof(T));
                if (inside::task_header_of(object)->is_made) /* else its constructor threw */
                    static_cast<T *>(object)->~T();
            };
    }
    template <class T> static void *block_of(void *object) noexcept {
        return has_header<T> ? inside::task_header_of(object)->block : object;
    }

    fa_task task_;
};

/* Memory of a task for std::pmr, on any thread; deallocate frees it. Containers are to be gone
 * before the task ends. */
class task_resource final : public std::pmr::memory_resource {
  public:
    explicit task_resource(fa_task task) noexcept : task_(task) {}

  private:
    void *do_allocate(size_t bytes, size_t align) override {
        bytes = bytes != 0 ? bytes : 1;
        void *block = align <= FA_ALIGN_MIN ? (fa_task_alloc)(task_, bytes)
                                            : inside::task_take(task_, bytes, align, nullptr);
        if (FA_UNLIKELY(block == nullptr))
            inside::refused();
        return block;
    }
    void do_deallocate(void *block, size_t, size_t align) override {
        (void)(fa_task_free)(task_,
                             align <= FA_ALIGN_MIN ? block : inside::task_header_of(block)->block);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
        if (this == &other)
            return true;
        const task_resource *same = inside::same_kind<task_resource>(other);
        return same != nullptr && same->task_.serial == task_.serial &&
               same->task_.head == task_.head;
    }

    fa_task task_;
};

} // namespace fa

#endif
