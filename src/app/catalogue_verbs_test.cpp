// What `trilane pull` and `trilane loadouts` choose and say, on machines of some memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/loadout_listing.h"
#include "app/pull_listing.h"
#include "json/json.h"

namespace trilane::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;
constexpr std::uint64_t kGB = 1'000'000'000;

/// One pool of memory, all of it for the CPU and most for an integrated GPU, half of it in use.
plan::Memory machine(std::uint64_t gib, bool npu = false) {
    plan::Memory memory;
    memory.pools = {{"system", gib * kGiB, gib * kGiB / 16, gib * kGiB / 2}};
    memory.devices = {{"cpu", {{0, gib * kGiB}}}, {"gpu0", {{0, gib * kGiB}}}};
    if (npu) {
        memory.devices.push_back({"npu", {{0, gib * kGiB}}});
    }
    return memory;
}

std::vector<catalog::Variant> variants() {
    const auto variant = [](const char* name, std::uint64_t bytes) {
        return catalog::Variant{
            name, {{std::string("m-") + name + ".gguf", bytes, ""}}, {{"mmproj.gguf", 0, ""}}};
    };
    return {variant("F16", 16 * kGB), variant("Q8_0", 9 * kGB), variant("Q4_K_M", 5 * kGB),
            variant("Q2_K", 3 * kGB)};
}

VariantChoice chosen(std::uint64_t gib, const std::string& wanted = "") {
    auto choice = choose(variants(), {"o/m", "main", wanted}, machine(gib));
    EXPECT_TRUE(choice.has_value());
    return *choice;
}

std::string name_of(const VariantChoice& choice) {
    return choice.variants[choice.chosen].variant.name;
}

TEST(PullChoice, TakesTheBestThatFitsWhateverRunsNow) {
    EXPECT_EQ(name_of(chosen(128)), "Q8_0");
    EXPECT_THAT(chosen(128).why, HasSubstr("16-bit ones aside"));
    EXPECT_EQ(name_of(chosen(15)), "Q8_0");
    EXPECT_THAT(chosen(15).why, Not(HasSubstr("16-bit")));
    EXPECT_EQ(name_of(chosen(8)), "Q4_K_M");
    EXPECT_EQ(name_of(chosen(2)), "Q2_K");
    EXPECT_EQ(chosen(2).why, "none fits well; it is the smallest");
}

TEST(PullChoice, TakesWhatIsAskedFor) {
    EXPECT_EQ(name_of(chosen(128, "F16")), "F16");
    EXPECT_EQ(name_of(chosen(2, "q8_0")), "Q8_0");
    EXPECT_THAT(chosen(2, "Q8_0").why, HasSubstr("though it does not fit"));
    EXPECT_FALSE(choose(variants(), {"o/m", "main", "Q3_K"}, machine(8)).has_value());
}

TEST(PullChoice, AWideVariantOfASmallModelIsFine) {
    auto small = variants();
    for (catalog::Variant& variant : small) {
        variant.files[0].bytes /= 100;
    }
    const auto choice = choose(small, {"o/m", "main", ""}, machine(8));
    ASSERT_TRUE(choice.has_value());
    EXPECT_EQ(name_of(*choice), "F16");
}

TEST(PullChoice, IsShownWithItsReason) {
    const VariantChoice choice = chosen(15);
    const std::string text = choice_text({"o/m", "main", ""}, choice);
    EXPECT_THAT(text, HasSubstr("o/m@main"));
    EXPECT_THAT(text, HasSubstr("\n*  Q8_0     9.00 GB      2  fits on gpu0  with projector\n"));
    EXPECT_THAT(text, HasSubstr("Q8_0 (9.00 GB): the best that fits; it takes about 9.90 GB of"));
    const json::Value read = choice_json({"o/m", "main", ""}, choice);
    EXPECT_EQ(read["chosen"], "Q8_0");
    EXPECT_EQ(read["variants"].size(), 4U);
    EXPECT_EQ(read["variants"][0]["files"].size(), 2U);
}

TEST(LoadoutListing, EachFitsTheMachinesItIsFor) {
    for (const std::uint64_t gib : {7ULL, 15ULL, 30ULL, 61ULL, 92ULL, 120ULL}) {
        const auto placed = place_loadouts("", machine(gib, true));
        ASSERT_TRUE(placed.has_value());
        for (const PlacedLoadout& one : *placed) {
            if (one.loadout->memory_bytes <= gib * kGiB) {
                EXPECT_NE(one.fit, plan::Fit::does_not_fit) << one.loadout->name << ' ' << gib;
            }
        }
    }
    const auto large = place_loadouts("coder", machine(15));
    ASSERT_TRUE(large.has_value());
    EXPECT_EQ(large->back().fit, plan::Fit::does_not_fit);
}

TEST(LoadoutListing, WithoutAnNpuItsModelsMoveToTheGpu) {
    const auto placed = place_loadouts("chat", machine(15));
    ASSERT_TRUE(placed.has_value());
    for (const PlacedLoadout& one : *placed) {
        for (const PlacedModel& model : one.models) {
            EXPECT_NE(model.device, "npu");
        }
    }
    EXPECT_THAT(loadouts_text(*placed, true), HasSubstr("needs an NPU with FLM"));
    const auto with_npu = place_loadouts("chat", machine(15, true));
    EXPECT_THAT(loadouts_text(*with_npu, true), HasSubstr("flm pull qwen3:0.6b"));
}

TEST(LoadoutListing, SaysWhatThereIs) {
    const auto all = place_loadouts("", machine(30));
    EXPECT_THAT(loadouts_text(*all, false), HasSubstr("minimal"));
    EXPECT_THAT(loadouts_text(*all, false), HasSubstr("nominal"));
    EXPECT_THAT(loadouts_text(*place_loadouts("coder", machine(30)), true),
                HasSubstr("trilane pull unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF:Q4_K_M"));
    const json::Value read = loadouts_json(*all);
    EXPECT_EQ(read["loadouts"].size(), catalog::loadouts().size());
    EXPECT_EQ(read["loadouts"][0]["nominal"], true);
    const auto missing = place_loadouts("gaming", machine(30));
    ASSERT_FALSE(missing.has_value());
    EXPECT_THAT(missing.error().message, HasSubstr("coder"));
}

}  // namespace
}  // namespace trilane::app
