/* Streams in C++ (fa/stream.h says what they are). Part of fa.hpp.
 *
 *     fa::streams assets(memory);
 *     fa_stream stone = assets.reserve(size, 16, FA_STREAM_NORMAL);
 *     fa::stream_load load = assets.load(stone);     what was begun is cancelled at its end...
 *     if (load && read(file, load.data(), size))
 *         load.finish();                             ...unless it was finished
 *     if (fa::stream_pin pin = assets.pin(stone))    not evicted while it lives
 *         draw(pin.data());
 *
 * Refusals are empty; fa_last_error says why. */
#ifndef FA_CPP_STREAM_HPP
#define FA_CPP_STREAM_HPP

#include "fa/cpp/owner.hpp"
#include "fa/stream.h"

namespace fa {

namespace inside {

/* A block of a stream that something is to be done about at its end, by End. */
template <class End> class stream_hold {
  public:
    stream_hold() = default;
    stream_hold(fa_streams *streams, fa_stream stream, void *data) noexcept
        : streams_(streams), stream_(stream), data_(data) {}
    stream_hold(stream_hold &&other) noexcept
        : streams_(other.streams_), stream_(other.stream_),
          data_(std::exchange(other.data_, nullptr)) {}
    stream_hold &operator=(stream_hold &&other) noexcept {
        stream_hold moved(std::move(other));
        std::swap(streams_, moved.streams_);
        std::swap(stream_, moved.stream_);
        std::swap(data_, moved.data_);
        return *this;
    }
    ~stream_hold() {
        if (data_ != nullptr)
            (void)End::end(streams_, stream_);
    }

    void *data() const noexcept { return data_; }
    fa_stream stream() const noexcept { return stream_; }
    explicit operator bool() const noexcept { return data_ != nullptr; }

  protected:
    fa_streams *streams_ = nullptr;
    fa_stream stream_ = FA_STREAM_NONE;
    void *data_ = nullptr; /* nullptr: there is nothing to end */
};

struct stream_unpin {
    static fa_status end(fa_streams *streams, fa_stream stream) noexcept {
        return (fa_stream_unpin)(streams, stream);
    }
};
struct stream_cancel {
    static fa_status end(fa_streams *streams, fa_stream stream) noexcept {
        return (fa_stream_cancel)(streams, stream);
    }
};

} // namespace inside

/* A pin that is taken back at its end, on whatever thread. */
using stream_pin = inside::stream_hold<inside::stream_unpin>;

/* A load that was begun. */
class stream_load : public inside::stream_hold<inside::stream_cancel> {
  public:
    using stream_hold::stream_hold;
    fa_status progress(size_t bytes) const noexcept {
        return (fa_stream_progress)(streams_, stream_, bytes);
    }
    /* It is complete. FA_ERROR_FOREIGN: it was released meanwhile. */
    fa_status finish() noexcept {
        return std::exchange(data_, nullptr) != nullptr ? (fa_stream_finish)(streams_, stream_)
                                                        : FA_ERROR_INVALID;
    }
};

/* Owns a cache of streams. Converts to the fa_streams * that other calls take; nullptr when it
 * could not be made. To be destroyed before its allocator, after its loads and pins. */
class streams {
  public:
    explicit streams(from<fa_allocator> memory,
                     const fa_streams_config *config = nullptr) noexcept {
        inside::at<false> place(memory.site());
        (void)(fa_streams_create)(memory.get(), config, &streams_);
    }
    streams(streams &&other) noexcept : streams_(std::exchange(other.streams_, nullptr)) {}
    streams &operator=(streams &&other) noexcept {
        streams moved(std::move(other));
        std::swap(streams_, moved.streams_);
        return *this;
    }
    ~streams() { (void)(fa_streams_destroy)(streams_); }

    operator fa_streams *() const noexcept { return streams_; }

    fa_stream reserve(size_t size, size_t align, fa_stream_priority priority,
                      void *item = nullptr) noexcept {
        return (fa_stream_reserve)(streams_, size, align, priority, item);
    }
    stream_load load(fa_stream stream) noexcept {
        return {streams_, stream, (fa_stream_begin)(streams_, stream)};
    }
    stream_pin pin(fa_stream stream) noexcept {
        return {streams_, stream, (fa_stream_pin)(streams_, stream)};
    }
    fa_status release(fa_stream stream) noexcept { return (fa_stream_release)(streams_, stream); }

  private:
    fa_streams *streams_ = nullptr;
};

} // namespace fa

#endif
