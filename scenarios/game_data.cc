#include "scenarios/game_data.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>

#include "scenarios/image.hpp"
#include "scenarios/scenario.hpp"

namespace scenarios {

namespace fs = std::filesystem;

const char *const kGameDataDir = "/usr/share/games/endless-sky";

std::string game_data_find(const std::string &data_dir) {
    if (data_dir == "none")
        return "";
    std::string folder = data_dir.empty() ? kGameDataDir : data_dir;
    std::error_code ignored;
    if (fs::is_regular_file(fs::path(folder) / "data" / "effects.txt", ignored))
        return folder;
    if (data_dir.empty())
        return "";
    throw std::runtime_error("no game data in " + data_dir + " (data/effects.txt is missing)");
}

std::string game_data_note(const std::string &found) {
    return found.empty() ? "data: generated stand-in (package endless-sky-data is absent)" : "";
}

float DataNode::number(size_t index, float otherwise) const {
    if (index >= tokens.size())
        return otherwise;
    const char *text = tokens[index].c_str();
    char *end = nullptr;
    float value = std::strtof(text, &end);
    return end != text && value > -1e6f && value < 1e6f ? value : otherwise;
}

static std::vector<std::string> split(const std::string &line, size_t at) {
    std::vector<std::string> tokens;
    while (true) {
        at = line.find_first_not_of(" \t\r", at);
        if (at == std::string::npos || line[at] == '#')
            return tokens;
        bool quoted = line[at] == '"' || line[at] == '`';
        size_t begin = quoted ? at + 1 : at;
        size_t end = quoted ? line.find(line[at], begin) : line.find_first_of(" \t\r", begin);
        if (end == std::string::npos)
            end = line.size();
        tokens.push_back(line.substr(begin, end - begin));
        at = quoted ? std::min(end + 1, line.size()) : end;
    }
}

void data_parse(std::istream &stream, const std::function<void(const DataNode &)> &visit) {
    DataNode root;
    /* Indentation and children of the nodes that the next line may lie below. Pointers stay valid:
     * only the innermost list grows while it is on the stack. */
    std::vector<std::pair<size_t, std::vector<DataNode> *>> open = {{0, &root.children}};
    for (std::string line; std::getline(stream, line);) {
        size_t indent = line.find_first_not_of(" \t");
        if (indent == std::string::npos)
            continue;
        std::vector<std::string> tokens = split(line, indent);
        if (tokens.empty())
            continue;
        while (open.size() > 1 && open.back().first > indent)
            open.pop_back();
        if (open.size() == 1 && !root.children.empty()) {
            visit(root.children.back());
            root.children.clear();
        }
        std::vector<DataNode> &siblings = *open.back().second;
        siblings.push_back({std::move(tokens), {}});
        open.push_back({indent + 1, &siblings.back().children});
    }
    if (!root.children.empty())
        visit(root.children.back());
}

static std::vector<fs::path> files_below(const fs::path &folder) {
    std::vector<fs::path> files;
    for (const fs::directory_entry &entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file())
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

namespace {

struct Sprite {
    uint32_t number, frame_count;
    Blend blend;
};

/* Sprites by name: "effect/smoke" for images/effect/smoke~0.png and so on. The character before the
 * number of the image says how it is blended: '-' with its alpha, others add light. */
std::map<std::string, Sprite> sprites_list(const fs::path &images) {
    std::map<std::string, Sprite> sprites;
    for (const fs::path &file : files_below(images / "effect")) {
        std::string name = file.lexically_relative(images).replace_extension().generic_string();
        size_t digits = name.find_last_not_of("0123456789") + 1;
        bool numbered = digits > 1 && digits < name.size();
        Blend blend = numbered && name[digits - 1] == '-' ? Blend::kAlpha : Blend::kAdditive;
        if (numbered)
            name.resize(digits - 1);
        auto added = sprites.insert({name, {static_cast<uint32_t>(sprites.size()), 0, blend}});
        added.first->second.frame_count++;
    }
    return sprites;
}

void read_sprite(const DataNode &node, const std::map<std::string, Sprite> &sprites,
                 Effect *effect) {
    auto known = node.tokens.size() > 1 ? sprites.find(node.tokens[1]) : sprites.end();
    if (known != sprites.end()) {
        effect->sprite = known->second.number;
        effect->frame_count = known->second.frame_count;
        effect->blend = known->second.blend;
    }
    for (const DataNode &child : node.children) {
        if (child.is("frame rate"))
            effect->frame_rate = child.number(1, effect->frame_rate);
        else if (child.is("frame time"))
            effect->frame_rate = 60.0f / std::max(1.0f, child.number(1, 60.0f));
        else if (child.is("no repeat"))
            effect->repeat = false;
    }
}

Effect read_effect(const DataNode &node, const std::map<std::string, Sprite> &sprites) {
    Effect effect;
    effect.name = node.tokens[1];
    for (const DataNode &child : node.children) {
        if (child.is("sprite"))
            read_sprite(child, sprites, &effect);
        else if (child.is("sound"))
            effect.has_sound = true;
        else if (child.is("lifetime"))
            effect.lifetime = std::clamp(child.number(1, 1.0f), 1.0f, 600.0f);
        else if (child.is("velocity scale"))
            effect.velocity_scale = child.number(1, 1.0f);
        else if (child.is("random velocity"))
            effect.random_velocity = child.number(1, 0.0f);
        else if (child.is("random angle"))
            effect.random_angle = child.number(1, 0.0f);
        else if (child.is("random spin"))
            effect.random_spin = child.number(1, 0.0f);
        else if (child.is("random frame rate"))
            effect.random_frame_rate = child.number(1, 0.0f);
    }
    return effect;
}

std::vector<Effect> effects_generated() {
    std::vector<Effect> effects;
    Random random(1);
    for (uint32_t i = 0; i < 64; i++) {
        Effect effect;
        effect.name = "generated " + std::to_string(i);
        effect.blend = i % 4 == 0 ? Blend::kAlpha : Blend::kAdditive;
        effect.repeat = i % 3 == 0;
        effect.sprite = i % 48;
        effect.frame_count = 1 + random.below(8);
        effect.frame_rate = static_cast<float>(4 + random.below(27));
        effect.lifetime = static_cast<float>(5 + random.below(70));
        effect.velocity_scale = random.signed_unit() * 0.5f;
        effect.random_velocity = random.unit() * 4.0f;
        effect.random_angle = random.unit() * 360.0f;
        effect.random_spin = random.unit() * 30.0f;
        effect.has_sound = i % 5 == 0;
        effects.push_back(effect);
    }
    return effects;
}

} // namespace

std::vector<Effect> effects_load(const std::string &found) {
    if (found.empty())
        return effects_generated();
    std::map<std::string, Sprite> sprites = sprites_list(fs::path(found) / "images");
    std::vector<Effect> effects;
    for (const fs::path &path : files_below(fs::path(found) / "data")) {
        std::ifstream file(path);
        data_parse(file, [&](const DataNode &node) {
            if (node.is("effect") && node.tokens.size() > 1)
                effects.push_back(read_effect(node, sprites));
        });
    }
    if (effects.empty())
        throw std::runtime_error("no effect is defined in " + found);
    return effects;
}

/* Small pictures that compress about as well as a sprite: a shaded disc with some noise on a clear
 * ground. */
static std::vector<Asset> assets_generated(size_t count) {
    std::vector<Asset> assets;
    Random random(2);
    std::vector<uint8_t> pixels;
    for (size_t i = 0; i < std::min<size_t>(count, 256); i++) {
        uint32_t width = 24 + random.below(120), height = 24 + random.below(120);
        pixels.assign(size_t{width} * height * 4, 0);
        for (uint32_t y = 0; y < height; y++) {
            for (uint32_t x = 0; x < width; x++) {
                float dx = 2.0f * static_cast<float>(x) / static_cast<float>(width) - 1.0f;
                float dy = 2.0f * static_cast<float>(y) / static_cast<float>(height) - 1.0f;
                if (dx * dx + dy * dy > 0.8f)
                    continue;
                uint8_t *pixel = &pixels[(size_t{y} * width + x) * 4];
                pixel[0] = static_cast<uint8_t>(128.0f + dx * 100.0f);
                pixel[1] = static_cast<uint8_t>(128.0f + dy * 100.0f);
                pixel[2] = static_cast<uint8_t>(96 + random.below(16));
                pixel[3] = 255;
            }
        }
        assets.push_back({"generated asset " + std::to_string(i),
                          image_encode(pixels.data(), width, height), width, height});
    }
    return assets;
}

static bool read_asset(const fs::path &path, size_t pixel_bytes_max, Asset *asset) {
    std::ifstream file(path, std::ios::binary);
    asset->bytes.resize(fs::file_size(path));
    if (!file.read(reinterpret_cast<char *>(asset->bytes.data()),
                   static_cast<std::streamsize>(asset->bytes.size())))
        return false;
    Image image = image_info(asset->bytes.data(), asset->bytes.size());
    asset->width = image.width;
    asset->height = image.height;
    size_t pixel_bytes = size_t{image.width} * image.height * 4;
    return pixel_bytes > 0 && pixel_bytes <= pixel_bytes_max;
}

std::vector<Asset> assets_load(const std::string &found, const AssetLimits &limits) {
    if (found.empty())
        return assets_generated(limits.count);
    fs::path images = fs::path(found) / "images";
    std::vector<fs::path> paths;
    for (const fs::path &path : files_below(images))
        if ((path.extension() == ".png" || path.extension() == ".jpg") &&
            fs::file_size(path) <= limits.file_bytes_max)
            paths.push_back(path);
    std::vector<Asset> assets;
    /* Every step-th first, then the ones in between: neighbours in the list look alike. */
    size_t step = std::max<size_t>(1, paths.size() / std::max<size_t>(1, limits.count));
    for (size_t i = 0; i < paths.size() && assets.size() < limits.count; i++) {
        size_t column = i / ((paths.size() + step - 1) / step);
        size_t index = i % ((paths.size() + step - 1) / step) * step + column;
        Asset asset;
        if (index >= paths.size() || !read_asset(paths[index], limits.pixel_bytes_max, &asset))
            continue;
        asset.name = paths[index].lexically_relative(images).generic_string();
        assets.push_back(std::move(asset));
    }
    if (assets.empty())
        throw std::runtime_error("no image fits the limits in " + found);
    return assets;
}

} // namespace scenarios
