/* Streams of framealloc. */
#include "bench/micro_framealloc.hpp"
#include "bench/micro_stream.hpp"

namespace {

class Streams {
  public:
    Streams(const std::string &backend, size_t bytes) {
        fa_streams_config config = fa_streams_config_default();
        config.bytes_max = bytes;
        if (fa_streams_create(bench::micro_allocator(backend), &config, &streams_) != FA_OK)
            throw std::runtime_error("can't create streams");
    }
    Streams(const Streams &) = delete;
    Streams &operator=(const Streams &) = delete;
    ~Streams() { fa_streams_destroy(streams_); }

    fa_stream load(size_t size) {
        fa_stream stream = fa_stream_reserve(streams_, size, 16, FA_STREAM_NORMAL, nullptr);
        void *block = fa_stream_begin(streams_, stream);
        bench::keep(block);
        return fa_stream_finish(streams_, stream) == FA_OK ? stream : FA_STREAM_NONE;
    }
    void *access(fa_stream stream) { return fa_stream_access(streams_, stream); }
    void release(fa_stream stream) { (void)fa_stream_release(streams_, stream); }

  private:
    fa_streams *streams_ = nullptr;
};

bench::MoreMicros more(bench::register_streams<Streams>);

} // namespace
