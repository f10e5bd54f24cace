#include "scenarios/image.hpp"

#include <cstdlib>

namespace {

/* stb_image passes no user data: the hooks of the call in progress. */
const scenarios::ImageHooks *current_hooks;

void *hook_alloc(size_t size) { return current_hooks->alloc(current_hooks->user, size); }

void *hook_grow(void *block, size_t size_old, size_t size_new) {
    return current_hooks->grow(current_hooks->user, block, size_old, size_new);
}

void hook_free(void *block) {
    if (block)
        current_hooks->free(current_hooks->user, block);
}

} // namespace

#define STBI_MALLOC(size) hook_alloc(size)
#define STBI_REALLOC(block, size)                                                                  \
    hook_grow(block, 0, size) /* asked for by the checks, never used */
#define STBI_REALLOC_SIZED(block, size_old, size_new) hook_grow(block, size_old, size_new)
#define STBI_FREE(block) hook_free(block)
#define STBI_NO_STDIO
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

namespace scenarios {
namespace {

/* image_info decodes nothing, but stb_image is free to allocate. */
const ImageHooks kMallocHooks = {
    nullptr, [](void *, size_t size) { return std::malloc(size); },
    [](void *, void *block, size_t, size_t size_new) { return std::realloc(block, size_new); },
    [](void *, void *block) { std::free(block); }};

} // namespace

Image image_decode(const ImageHooks &hooks, const uint8_t *bytes, size_t size) {
    int width = 0, height = 0, channels = 0;
    current_hooks = &hooks;
    uint8_t *pixels =
        stbi_load_from_memory(bytes, static_cast<int>(size), &width, &height, &channels, 4);
    current_hooks = nullptr;
    return {pixels, static_cast<uint32_t>(width), static_cast<uint32_t>(height)};
}

Image image_info(const uint8_t *bytes, size_t size) {
    int width = 0, height = 0, channels = 0;
    current_hooks = &kMallocHooks;
    int known = stbi_info_from_memory(bytes, static_cast<int>(size), &width, &height, &channels);
    current_hooks = nullptr;
    if (!known)
        return {nullptr, 0, 0};
    return {nullptr, static_cast<uint32_t>(width), static_cast<uint32_t>(height)};
}

std::vector<uint8_t> image_encode(const uint8_t *pixels, uint32_t width, uint32_t height) {
    std::vector<uint8_t> file;
    auto append = [](void *context, void *data, int size) {
        auto *out = static_cast<std::vector<uint8_t> *>(context);
        const uint8_t *begin = static_cast<const uint8_t *>(data);
        out->insert(out->end(), begin, begin + size);
    };
    stbi_write_png_compression_level = 5; /* half the time, about the same size */
    stbi_write_png_to_func(append, &file, static_cast<int>(width), static_cast<int>(height), 4,
                           pixels, 0);
    return file;
}

} // namespace scenarios
