/* The data of a real game, from the Debian package endless-sky-data: its particle effects (indented
 * text files) and its images. Where the package is absent, a small generated set stands in. Read at
 * set-up only; uses std::vector and std::string freely. */
#ifndef FA_SCENARIOS_GAME_DATA_HPP
#define FA_SCENARIOS_GAME_DATA_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <istream>
#include <string>
#include <vector>

namespace scenarios {

/* Where the package puts its files. */
extern const char *const kGameDataDir;

/* Resolves ScenarioSetup::data_dir: "" gives the package's folder if it is there, else ""; "none"
 * gives "", which stands for generated data. Throws std::runtime_error when a folder that was asked
 * for by name has no data/effects.txt. */
std::string game_data_find(const std::string &data_dir);

/* What a scenario's data_note says about the folder that game_data_find answered. */
std::string game_data_note(const std::string &found);

/* One line of a data file, with the lines that are indented below it. Tokens are separated by
 * blanks, or quoted with " or `; # starts a comment. */
struct DataNode {
    std::vector<std::string> tokens;
    std::vector<DataNode> children;

    bool is(const char *word) const { return !tokens.empty() && tokens[0] == word; }
    /* Token number index as a number; otherwise when there is none or it is no number. */
    float number(size_t index, float otherwise) const;
};

/* Reads a data file and visits its outermost nodes one after the other: only one is held at a time,
 * so that set-up leaves no large free heap to the allocator that is measured. Tolerant: what it
 * does not understand becomes nodes that nobody asks for. */
void data_parse(std::istream &stream, const std::function<void(const DataNode &)> &visit);

enum class Blend : uint8_t { kAlpha, kAdditive };

/* An effect definition. Lengths in pixels, angles in degrees, times in steps of 1/60 s. */
struct Effect {
    std::string name;
    Blend blend = Blend::kAdditive;
    bool repeat = true;       /* the animation starts again at its end */
    uint32_t sprite = 0;      /* effects with the same sprite have the same number */
    uint32_t frame_count = 1; /* images of the sprite */
    float frame_rate = 2;     /* images a second */
    float random_frame_rate = 0;
    float lifetime = 1;       /* at least 1 */
    float velocity_scale = 1; /* of the emitter's velocity */
    float random_velocity = 0;
    float random_angle = 0;
    float random_spin = 0;
    bool has_sound = false;
};

/* All effects, in the order of file names and lines. found: what game_data_find answered. Never
 * empty: throws std::runtime_error where a folder defines none. */
std::vector<Effect> effects_load(const std::string &found);

/* An image file, as it lies on the disk. */
struct Asset {
    std::string name;
    std::vector<uint8_t> bytes;
    uint32_t width = 0, height = 0;
};

/* Up to count images whose file has at most file_bytes_max and whose pixels (4 bytes each) have at
 * most pixel_bytes_max bytes, evenly spread over the sorted list of all. Throws std::runtime_error
 * when there is none. */
struct AssetLimits {
    size_t count, file_bytes_max, pixel_bytes_max;
};
std::vector<Asset> assets_load(const std::string &found, const AssetLimits &limits);

} // namespace scenarios

#endif
