/* The pictures that scenario "streaming" has in memory, under a budget: what was not seen for the
 * longest time goes first, and nothing that the present frame uses.
 *
 * TextureCacheOf<M>::type says how a program on M would do it: by hand, with a list and heap blocks
 * (TextureCacheByHand), or with what the allocator offers (texture_streams.hpp). Both decide the
 * same:
 *
 *   Cache(Counted<M> &memory, size_t asset_count, size_t budget_bytes);
 *   void frame_begin();
 *   bool use(uint32_t asset);                  // is it there? Then it is used now
 *   const Texture *find(uint32_t asset) const; // pixels: once it was used or loaded in this frame
 *   bool make_room(uint32_t asset, size_t pixel_bytes); // false: all stays as it is
 *   void load(uint32_t asset, const Image &image);           // after make_room: copies the pixels
 *   void name(uint32_t asset, const std::string &name);      // after load
 *   uint64_t evict_count() const;
 *   size_t resident_bytes() const; */
#ifndef FA_SCENARIOS_TEXTURE_CACHE_HPP
#define FA_SCENARIOS_TEXTURE_CACHE_HPP

#include "scenarios/image.hpp"
#include "scenarios/scenario.hpp"

namespace scenarios {

/* What is known of a picture that is in memory: a pool object. */
struct Texture {
    const uint8_t *pixels;
    char *name; /* pool block */
    uint32_t asset, width, height;
    size_t pixel_bytes() const { return size_t{width} * height * 4; }
};

/* A list by time of last use, pixels in heap blocks. */
template <class M> class TextureCacheByHand {
  public:
    TextureCacheByHand(Counted<M> &memory, size_t asset_count, size_t budget_bytes)
        : memory_(memory), resident_(asset_count), budget_bytes_(budget_bytes) {}
    TextureCacheByHand(const TextureCacheByHand &) = delete;
    TextureCacheByHand &operator=(const TextureCacheByHand &) = delete;
    ~TextureCacheByHand() {
        while (oldest_)
            evict(oldest_);
    }

    void frame_begin() { frame_index_++; }
    bool use(uint32_t asset) {
        if (resident_[asset])
            use(resident_[asset]);
        return resident_[asset] != nullptr;
    }
    const Texture *find(uint32_t asset) const { return resident_[asset]; }
    bool make_room(uint32_t, size_t pixel_bytes) {
        size_t left = resident_bytes_;
        for (Linked *at = oldest_; left + pixel_bytes > budget_bytes_; at = at->newer) {
            if (!at || at->used_frame == frame_index_)
                return false;
            left -= at->pixel_bytes();
        }
        while (resident_bytes_ > left)
            evict(oldest_);
        return true;
    }
    void load(uint32_t asset, const Image &image) {
        Linked *texture = static_cast<Linked *>(memory_.pool_alloc(sizeof(Linked)));
        *texture = {};
        texture->asset = asset;
        texture->width = image.width;
        texture->height = image.height;
        uint8_t *pixels = static_cast<uint8_t *>(memory_.heap_alloc(texture->pixel_bytes()));
        std::memcpy(pixels, image.pixels, texture->pixel_bytes());
        texture->pixels = pixels;
        resident_[asset] = texture;
        resident_bytes_ += texture->pixel_bytes();
        use(texture);
    }
    void name(uint32_t asset, const std::string &name) {
        resident_[asset]->name = static_cast<char *>(memory_.pool_alloc(name.size() + 1));
        std::memcpy(resident_[asset]->name, name.c_str(), name.size() + 1);
    }
    uint64_t evict_count() const { return evict_count_; }
    size_t resident_bytes() const { return resident_bytes_; }

  private:
    struct Linked : Texture {
        uint32_t used_frame;
        Linked *newer, *older;
    };

    void evict(Linked *texture) {
        unlink(texture);
        resident_[texture->asset] = nullptr;
        resident_bytes_ -= texture->pixel_bytes();
        evict_count_++;
        memory_.heap_free(const_cast<uint8_t *>(texture->pixels), texture->pixel_bytes());
        if (texture->name)
            memory_.pool_free(texture->name, std::strlen(texture->name) + 1);
        memory_.pool_free(texture, sizeof(Linked));
    }
    void unlink(Linked *texture) {
        (texture->newer ? texture->newer->older : newest_) = texture->older;
        (texture->older ? texture->older->newer : oldest_) = texture->newer;
    }
    /* Moves a texture, linked or new, to the newer end of the list. */
    void use(Linked *texture) {
        texture->used_frame = frame_index_;
        if (newest_ == texture)
            return;
        if (texture->newer)
            unlink(texture);
        texture->newer = nullptr;
        texture->older = newest_;
        (newest_ ? newest_->newer : oldest_) = texture;
        newest_ = texture;
    }

    Counted<M> &memory_;
    std::vector<Linked *> resident_; /* by asset; nullptr: not in memory */
    Linked *newest_ = nullptr, *oldest_ = nullptr;
    size_t resident_bytes_ = 0, budget_bytes_;
    uint64_t evict_count_ = 0;
    uint32_t frame_index_ = 0;
};

template <class M> struct TextureCacheOf { using type = TextureCacheByHand<M>; };

} // namespace scenarios

#endif
