/* The pictures of scenario "streaming" as streams of framealloc: what TextureCacheByHand does with
 * a list, with the pixels loaded in the order that a loading thread would. Included by
 * memory_framealloc.hpp. */
#ifndef FA_SCENARIOS_TEXTURE_STREAMS_HPP
#define FA_SCENARIOS_TEXTURE_STREAMS_HPP

#include "scenarios/memory_framealloc.hpp"
#include "scenarios/texture_cache.hpp"

namespace scenarios {

class TextureStreams {
  public:
    TextureStreams(Counted<FrameallocMemory> &memory, size_t asset_count, size_t budget_bytes)
        : memory_(memory), resident_(asset_count) {
        fa_streams_config config = fa_streams_config_default();
        config.bytes_max = budget_bytes;
        config.frames_kept = 1;
        config.on_evict = evict;
        config.on_evict_user = this;
        fa_status status = fa_streams_create(memory.memory().allocator(), &config, &streams_);
        if (status != FA_OK)
            throw std::runtime_error(std::string("framealloc: ") + fa_status_text(status));
    }
    TextureStreams(const TextureStreams &) = delete;
    TextureStreams &operator=(const TextureStreams &) = delete;
    ~TextureStreams() { fa_streams_destroy(streams_); }

    void frame_begin() { fa_streams_advance(streams_); }
    /* What is used stays where it is until the next frame begins. */
    bool use(uint32_t asset) {
        Streamed *texture = resident_[asset];
        if (!texture)
            return false;
        texture->pixels = static_cast<const uint8_t *>(fa_stream_access(streams_, texture->stream));
        return true;
    }
    const Texture *find(uint32_t asset) const { return resident_[asset]; }
    bool make_room(uint32_t asset, size_t pixel_bytes) {
        reserved_ =
            fa_stream_reserve(streams_, pixel_bytes, 16, FA_STREAM_NORMAL, &resident_[asset]);
        if (reserved_ != FA_STREAM_NONE)
            return true;
        fa_error error = fa_last_error();
        if (error.diag != FA_DIAG_FA631)
            throw std::runtime_error(std::string("framealloc: ") + fa_status_text(error.status));
        return false;
    }
    void load(uint32_t asset, const Image &image) {
        Streamed *texture = static_cast<Streamed *>(memory_.pool_alloc(sizeof(Streamed)));
        *texture = {};
        texture->asset = asset;
        texture->width = image.width;
        texture->height = image.height;
        texture->stream = reserved_;
        resident_[asset] = texture;
        void *pixels =
            memory_.counted(fa_stream_begin(streams_, reserved_), texture->pixel_bytes());
        std::memcpy(pixels, image.pixels, texture->pixel_bytes());
        (void)fa_stream_finish(streams_, reserved_);
        texture->pixels = static_cast<const uint8_t *>(pixels);
        resident_bytes_ += texture->pixel_bytes();
    }
    void name(uint32_t asset, const std::string &name) {
        resident_[asset]->name = static_cast<char *>(memory_.pool_alloc(name.size() + 1));
        std::memcpy(resident_[asset]->name, name.c_str(), name.size() + 1);
    }
    uint64_t evict_count() const { return evict_count_; }
    size_t resident_bytes() const { return resident_bytes_; }

  private:
    struct Streamed : Texture {
        fa_stream stream;
    };

    static void evict(void *user, const fa_eviction *eviction) {
        TextureStreams *self = static_cast<TextureStreams *>(user);
        Streamed *&resident = *static_cast<Streamed **>(eviction->item);
        Streamed *texture = resident;
        resident = nullptr;
        if (!texture) /* reserved, and never loaded */
            return;
        self->resident_bytes_ -= eviction->size;
        self->evict_count_++;
        if (texture->name)
            self->memory_.pool_free(texture->name, std::strlen(texture->name) + 1);
        self->memory_.pool_free(texture, sizeof(Streamed));
    }

    Counted<FrameallocMemory> &memory_;
    fa_streams *streams_ = nullptr;
    std::vector<Streamed *> resident_; /* by asset; nullptr: not in memory */
    fa_stream reserved_ = FA_STREAM_NONE;
    size_t resident_bytes_ = 0;
    uint64_t evict_count_ = 0;
};

template <> struct TextureCacheOf<FrameallocMemory> { using type = TextureStreams; };

} // namespace scenarios

#endif
