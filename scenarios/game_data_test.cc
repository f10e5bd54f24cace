#include "scenarios/game_data.hpp"

#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <stdexcept>

#include "scenarios/image.hpp"

using namespace scenarios;

namespace {

std::vector<DataNode> parse_all(std::istream &stream) {
    std::vector<DataNode> nodes;
    data_parse(stream, [&](const DataNode &node) { nodes.push_back(node); });
    return nodes;
}

TEST(DataParse, NestsByIndentation) {
    std::istringstream text("# a comment\n"
                            "effect \"blue smoke\"\n"
                            "\tsprite \"effect/smoke\" # and another\n"
                            "\t\t\"frame rate\" 12\n"
                            "\n"
                            "\tlifetime 30\r\n"
                            "effect `with \" inside`\n"
                            "\t\"velocity scale\" -.05\n");
    std::vector<DataNode> nodes = parse_all(text);
    ASSERT_EQ(2u, nodes.size());
    EXPECT_EQ((std::vector<std::string>{"effect", "blue smoke"}), nodes[0].tokens);
    ASSERT_EQ(2u, nodes[0].children.size());
    ASSERT_EQ(1u, nodes[0].children[0].children.size());
    EXPECT_EQ(2u, nodes[0].children[0].tokens.size());
    EXPECT_TRUE(nodes[0].children[0].children[0].is("frame rate"));
    EXPECT_EQ(12.0f, nodes[0].children[0].children[0].number(1, 0));
    EXPECT_EQ(30.0f, nodes[0].children[1].number(1, 0));
    EXPECT_EQ("with \" inside", nodes[1].tokens[1]);
    EXPECT_EQ(-.05f, nodes[1].children[0].number(1, 0));
}

TEST(DataParse, ToleratesWhatItDoesNotKnow) {
    std::istringstream text(
        "\t\tdeep first\n\tless\nname \"never closed\n  blanks 1 two nan\n\"\"\n");
    std::vector<DataNode> nodes = parse_all(text);
    ASSERT_EQ(4u, nodes.size());
    EXPECT_EQ("never closed", nodes[2].tokens[1]);
    ASSERT_EQ(1u, nodes[2].children.size());
    const DataNode &blanks = nodes[2].children[0];
    EXPECT_EQ(7.0f, blanks.number(2, 7)) << "not a number";
    EXPECT_EQ(7.0f, blanks.number(3, 7)) << "no finite number";
    EXPECT_EQ(7.0f, blanks.number(4, 7)) << "no such token";
    EXPECT_EQ("", nodes[3].tokens[0]);
}

/* The package's data where it is installed, generated data always. */
std::vector<std::string> folders() {
    std::string found = game_data_find("");
    return found.empty() ? std::vector<std::string>{""} : std::vector<std::string>{"", found};
}

TEST(GameData, EffectsAreUsable) {
    for (const std::string &folder : folders()) {
        std::vector<Effect> effects = effects_load(folder);
        EXPECT_GE(effects.size(), 60u);
        std::set<float> lifetimes;
        for (const Effect &effect : effects) {
            EXPECT_FALSE(effect.name.empty());
            EXPECT_GE(effect.lifetime, 1.0f);
            EXPECT_GE(effect.frame_count, 1u);
            EXPECT_GT(effect.frame_rate, 0.0f) << effect.name;
            lifetimes.insert(effect.lifetime);
        }
        EXPECT_GT(lifetimes.size(), 10u);
    }
}

TEST(GameData, AssetsDecode) {
    static int blocks;
    const ImageHooks hooks = {nullptr,
                              [](void *, size_t size) {
                                  blocks++;
                                  return malloc(size);
                              },
                              [](void *, void *block, size_t, size_t size) {
                                  blocks += block == nullptr;
                                  return realloc(block, size);
                              },
                              [](void *, void *block) {
                                  blocks--;
                                  free(block);
                              }};
    for (const std::string &folder : folders()) {
        std::vector<Asset> assets = assets_load(folder, {50, 48 << 10, 512 << 10});
        EXPECT_EQ(50u, assets.size());
        std::set<std::string> names;
        for (const Asset &asset : assets) {
            Image image = image_decode(hooks, asset.bytes.data(), asset.bytes.size());
            ASSERT_NE(nullptr, image.pixels) << asset.name;
            EXPECT_EQ(asset.width, image.width);
            EXPECT_EQ(asset.height, image.height);
            hooks.free(nullptr, image.pixels);
            names.insert(asset.name);
        }
        EXPECT_EQ(50u, names.size());
        Image broken = image_decode(hooks, assets[0].bytes.data(), assets[0].bytes.size() / 2);
        EXPECT_EQ(nullptr, broken.pixels);
        EXPECT_EQ(0, blocks) << "lost by stb_image or by the hooks";
    }
}

TEST(GameData, FolderThatWasAskedForMustBeThere) {
    EXPECT_EQ("", game_data_find("none"));
    EXPECT_THROW(game_data_find("no/such/folder"), std::runtime_error);
}

} // namespace
