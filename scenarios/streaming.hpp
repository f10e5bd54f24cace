/* Scenario "streaming": textures on demand.
 *
 * Stands for: a camera that flies through a world of objects, each with a picture of a real game.
 * What comes into view and is not there yet is read, decoded and uploaded, nearest first, as much
 * as one frame may cost; what was not seen for the longest time goes when the budget is used up,
 * and is loaded again when it is seen again.
 *
 * Allocation shape, measured a frame with 1,600 images (9 KB, 40 KB of pixels on average):
 *
 * - frame: 5 images: the file's bytes and what stb_image asks for (compressed data that grows
 * twice, buffers for inflating and filtering, the pixels), 0.3 to 500 KB, until the image is
 * decoded: one scope for each image
 * - frame: lists of what is in view, wanted and drawn, that grow to 2 to 8 KB
 * - heap: 5 times pixels, 0.3 to 500 KB, evicted after 90 frames on average
 * - pool: as many records of 56 B, and names of 13 to 56 B
 *
 * That is 35 frame allocations and growths of 0.65 MB, 0.2 MB of it alive at a time. The whole
 * frame takes 0.9 ms on the machine of the first measurements, nearly all of it decoding.
 *
 * The pictures are kept by what the allocator has for it (texture_cache.hpp): on framealloc they
 * are streams, elsewhere heap blocks in a list. Both decide the same.
 *
 * The files are read into memory at set-up, so that the disk's speed stays out: reading one in a
 * frame is a copy into frame memory, as from the page cache.
 *
 * Leaves out: threads (an engine would decode on a worker), mip levels, sounds. */
#ifndef FA_SCENARIOS_STREAMING_HPP
#define FA_SCENARIOS_STREAMING_HPP

#include <algorithm>
#include <cmath>
#include <optional>

#include "scenarios/game_data.hpp"
#include "scenarios/image.hpp"
#include "scenarios/scenario.hpp"
#include "scenarios/texture_cache.hpp"

namespace scenarios {

/* What does not depend on the Memory. Lengths in pixels. */
struct StreamingTypes {
    struct Object {
        float x, y;
        uint32_t asset;
    };

    /* An object in view. */
    struct Visible {
        float distance;
        uint32_t object;
    };

    static bool nearer(const Visible &a, const Visible &b) {
        return a.distance != b.distance ? a.distance < b.distance : a.object < b.object;
    }

    struct Draw {
        const Texture *texture;
        float x, y, distance;
        uint32_t object;
    };

    static constexpr float kViewX = 1920, kViewY = 1080;
    static constexpr uint32_t kObjectsPerAsset = 2;
    static constexpr uint32_t kObjectsInView = 256; /* about, in a world of at least 8 views */
    static constexpr size_t kFileBytesMax = 48 << 10;
    static constexpr size_t kPixelBytesMax = 512 << 10;
    static constexpr size_t kFrameBytesMax = 320 << 10; /* a frame that decoded so much waits */
    static constexpr size_t kBudgetDivisor = 3;         /* what is in memory, of all pixels */

    static const ScenarioInfo &info() {
        static const ScenarioInfo info = {
            "streaming",
            "a camera flies through images: read, decode, keep under a budget, evict, reload",
            "assets",
            {400, 800, 1600},
            40,
            1600};
        return info;
    }
    /* The shortest way from a to b on a line of a length whose ends are joined. */
    static float wrapped(float a, float b, float length) {
        float way = b - a;
        return way - length * std::floor(way / length + 0.5f);
    }
};

template <class M> class Streaming : StreamingTypes {
  public:
    using StreamingTypes::info;

    Streaming(M &memory, const ScenarioSetup &setup);
    Streaming(const Streaming &) = delete;
    Streaming &operator=(const Streaming &) = delete;

    void frame();
    uint64_t checksum() const { return checksum_.value(); }
    std::string data_note() const { return game_data_note(found_); }
    uint64_t alloc_count() const { return memory_.count(); }
    uint64_t load_count() const { return load_count_; }
    uint64_t evict_count() const { return cache_->evict_count(); }
    size_t resident_bytes() const { return cache_->resident_bytes(); }
    size_t budget_bytes() const { return budget_bytes_; }

  private:
    using VisibleList = FrameArray<M, Visible>;

    VisibleList look();
    void request(const VisibleList &visible);
    void load(uint32_t index);
    void draw(const VisibleList &visible);

    Counted<M> memory_;
    std::string found_;
    std::vector<Asset> assets_;
    std::vector<Object> objects_;
    ImageHooks hooks_;
    std::optional<typename TextureCacheOf<M>::type> cache_;
    size_t budget_bytes_ = 0;
    float world_; /* its sides; opposite ones are joined */
    uint64_t load_count_ = 0;
    uint32_t frame_index_ = 0;
    float camera_x_ = 0, camera_y_ = 0;
    Checksum checksum_;
};

template <class M>
Streaming<M>::Streaming(M &memory, const ScenarioSetup &setup)
    : memory_(memory), found_(game_data_find(setup.data_dir)),
      hooks_{
          &memory_,
          [](void *user, size_t size) {
              return static_cast<Counted<M> *>(user)->frame_alloc(size);
          },
          [](void *user, void *block, size_t size_old, size_t size_new) {
              return static_cast<Counted<M> *>(user)->frame_grow(block, size_old, size_new);
          },
          [](void *user, void *block) { static_cast<Counted<M> *>(user)->frame_free(block, 0); }} {
    size_t size = static_cast<size_t>(scenario_size(info(), setup, 2000));
    assets_ = assets_load(found_, {size, kFileBytesMax, kPixelBytesMax});
    for (const Asset &asset : assets_)
        budget_bytes_ += size_t{asset.width} * asset.height * 4 / kBudgetDivisor;
    cache_.emplace(memory_, assets_.size(), budget_bytes_);
    size_t object_count = assets_.size() * kObjectsPerAsset;
    size_t views = std::max<size_t>(8, object_count / kObjectsInView);
    world_ = std::sqrt(static_cast<float>(views) * kViewX * kViewY);
    Random random(5);
    for (size_t i = 0; i < object_count; i++)
        objects_.push_back({random.unit() * world_, random.unit() * world_,
                            static_cast<uint32_t>(i % assets_.size())});
    /* Until the budget is used up. */
    for (int i = 0; i < 200; i++)
        frame();
}

/* The objects in view, nearest to the middle of it first. */
template <class M> typename Streaming<M>::VisibleList Streaming<M>::look() {
    VisibleList visible;
    visible.start(64);
    for (uint32_t i = 0; i < objects_.size(); i++) {
        float x = wrapped(camera_x_, objects_[i].x, world_);
        float y = wrapped(camera_y_, objects_[i].y, world_);
        if (std::fabs(x) < kViewX * 0.5f && std::fabs(y) < kViewY * 0.5f)
            visible.push(memory_, {x * x + y * y, i});
    }
    std::sort(visible.begin(), visible.end(), nearer);
    return visible;
}

template <class M> void Streaming<M>::request(const VisibleList &visible) {
    FrameArray<M, uint32_t> wanted;
    wanted.start(16);
    for (uint32_t i = 0; i < visible.size(); i++) {
        uint32_t asset = objects_[visible[i].object].asset;
        if (!cache_->use(asset) && std::find(wanted.begin(), wanted.end(), asset) == wanted.end())
            wanted.push(memory_, asset);
    }
    size_t decoded_bytes = 0;
    for (uint32_t i = 0; i < wanted.size() && decoded_bytes < kFrameBytesMax; i++) {
        const Asset &asset = assets_[wanted[i]];
        size_t pixel_bytes = size_t{asset.width} * asset.height * 4;
        if (!cache_->make_room(wanted[i], pixel_bytes))
            break;
        load(wanted[i]);
        decoded_bytes += pixel_bytes;
    }
    wanted.release(memory_);
}

template <class M> void Streaming<M>::load(uint32_t index) {
    const Asset &asset = assets_[index];
    memory_.scope_begin();
    uint8_t *file = static_cast<uint8_t *>(memory_.frame_alloc(asset.bytes.size()));
    std::memcpy(file, asset.bytes.data(), asset.bytes.size());
    Image image = image_decode(hooks_, file, asset.bytes.size());
    memory_.frame_free(file, asset.bytes.size());
    if (!image.pixels)
        throw std::runtime_error("streaming: can't decode " + asset.name);
    cache_->load(index, image);
    memory_.frame_free(image.pixels, size_t{image.width} * image.height * 4);
    memory_.scope_end();
    cache_->name(index, asset.name);
    load_count_++;
}

/* Where an engine would draw what is there: far ones first, a few pixels stand for all. */
template <class M> void Streaming<M>::draw(const VisibleList &visible) {
    FrameArray<M, Draw> draws;
    draws.start(64);
    for (uint32_t i = visible.size(); i-- > 0;) {
        const Object &object = objects_[visible[i].object];
        if (const Texture *texture = cache_->find(object.asset))
            draws.push(memory_, {texture, object.x - camera_x_, object.y - camera_y_,
                                 visible[i].distance, visible[i].object});
    }
    for (const Draw &item : draws) {
        size_t middle = (size_t{item.texture->height} / 2 * item.texture->width) * 4;
        uint32_t pixel;
        std::memcpy(&pixel, item.texture->pixels + middle + item.texture->width / 2 * 4, 4);
        checksum_.add(uint64_t{item.object} << 32 | pixel);
    }
    draws.release(memory_);
}

template <class M> void Streaming<M>::frame() {
    memory_.frame_begin();
    cache_->frame_begin();
    float time = static_cast<float>(frame_index_);
    camera_x_ = time * 31.0f;
    camera_y_ = time * 11.0f + 600.0f * std::sin(time * 0.02f);
    VisibleList visible = look();
    request(visible);
    draw(visible);
    visible.release(memory_);
    checksum_.add(load_count_ << 32 | cache_->evict_count());
    checksum_.add(cache_->resident_bytes());
    frame_index_++;
    memory_.frame_end();
}

} // namespace scenarios

#endif
