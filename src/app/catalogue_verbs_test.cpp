// What `trilane pull` and `trilane loadouts` choose and say, on machines of some memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "app/loadout_listing.h"
#include "app/pull_listing.h"
#include "app/verbs.h"
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

/// A models folder of its own that goes with the test, and one of somebody else's.
class StoreVerbs : public ::testing::Test {
protected:
    StoreVerbs() {
        std::filesystem::remove_all(dir_);
        std::filesystem::create_directories(own_);
    }
    ~StoreVerbs() override { std::filesystem::remove_all(dir_); }

    /// What the verb printed, or its error.
    template <class Options>
    static std::string run(const Options& options) {
        ::testing::internal::CaptureStdout();
        const auto done = perform(options);
        const std::string printed = ::testing::internal::GetCapturedStdout();
        return done ? printed : done.error().message;
    }
    std::string remove(const std::string& model) const {
        return run(RemoveOptions{
            .model = model, .yes = true, .models_dir = own_, .model_dirs = {kModels, own_}});
    }
    std::string import(const std::string& path, const std::string& id, bool link) const {
        return run(ImportOptions{
            .path = path, .id = id, .link = link, .config_file = "", .models_dir = own_});
    }

    const std::string kModels = TRILANE_SOURCE_DIR "/models";
    const std::string kNano = kModels + "/trilane-nano/trilane-nano-tq2_0.gguf";
    const std::string dir_ = ::testing::TempDir() + "trilane_store_verbs";
    const std::string own_ = dir_ + "/own";
};

TEST_F(StoreVerbs, WhatIsImportedCanBeRemoved) {
    EXPECT_THAT(import(kNano, "mine", false), HasSubstr("mine is stored in " + own_ + "/mine"));
    EXPECT_THAT(import(kNano, "linked", true), HasSubstr("linked is linked in"));
    EXPECT_THAT(import(kNano, "mine", false), HasSubstr("--id"));
    EXPECT_EQ(remove("mine"), "deleted mine, 32.5 MB are free again\n");
    EXPECT_EQ(remove("linked"), "deleted linked, 0 B are free again\n");
    EXPECT_TRUE(std::filesystem::is_empty(own_));
    EXPECT_TRUE(std::filesystem::exists(kNano));
}

TEST_F(StoreVerbs, WhatIsBrokenCanBeRemovedToo) {
    std::ofstream(own_ + "/bad-00002-of-00002.gguf") << "no model";
    EXPECT_EQ(remove("bad"), "deleted bad, 8 B are free again\n");
}

TEST_F(StoreVerbs, AnUnfinishedDownloadCanBeRemoved) {
    std::filesystem::create_directories(own_ + "/.pull-half");
    std::ofstream(own_ + "/.pull-half/half.gguf.part") << "x";
    EXPECT_EQ(remove("half"), "deleted what had arrived of half\n");
    EXPECT_TRUE(std::filesystem::is_empty(own_));
}

TEST_F(StoreVerbs, NothingElseIsRemoved) {
    EXPECT_THAT(remove("trilane-nano"), HasSubstr("not in Trilane's own folder"));
    EXPECT_TRUE(std::filesystem::exists(kNano));
    EXPECT_THAT(remove("nothing"), HasSubstr("there are: none"));
    EXPECT_THAT(remove("../own"), HasSubstr("is called '../own'"));
    EXPECT_TRUE(std::filesystem::exists(own_));
}

TEST_F(StoreVerbs, PullSaysWhoseModelsItDoesNotPull) {
    PullVerbOptions options;
    options.models_dir = own_;
    options.reference = "flm:qwen3:4b";
    EXPECT_EQ(run(options), "FLM keeps models of its own; run: flm pull qwen3:4b");
    options.reference = "engine:kokoro";
    EXPECT_THAT(run(options), HasSubstr("brings its own model"));
    options.reference = "owner/name";
    options.models_dir.clear();
    EXPECT_THAT(run(options), HasSubstr("XDG_DATA_HOME"));
}

}  // namespace
}  // namespace trilane::app
