/* stb_image and stb_image_write behind two functions; the caller gives the decoder's memory. */
#ifndef FA_SCENARIOS_IMAGE_HPP
#define FA_SCENARIOS_IMAGE_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

namespace scenarios {

/* Functions as stb_image wants them, with the user data that it lacks. May throw: through a C
 * library, so what it held is lost (a region gets it back at the end of its frame). */
struct ImageHooks {
    void *user;
    void *(*alloc)(void *user, size_t size);
    void *(*grow)(void *user, void *block, size_t size_old, size_t size_new);
    void (*free)(void *user, void *block);
};

struct Image {
    uint8_t *pixels; /* from hooks.alloc, rows of 4 bytes a pixel; nullptr: not an image */
    uint32_t width, height;
};

/* Decodes a PNG or JPEG file. One call at a time in a process. */
Image image_decode(const ImageHooks &hooks, const uint8_t *bytes, size_t size);

/* Reads width and height only (pixels stays nullptr); 0 by 0 where it is no image. */
Image image_info(const uint8_t *bytes, size_t size);

/* Makes a PNG file of 4 bytes a pixel. Allocates as it likes: for set-up. */
std::vector<uint8_t> image_encode(const uint8_t *pixels, uint32_t width, uint32_t height);

} // namespace scenarios

#endif
