// What the listing verbs say of the bundled model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "app/gguf_show.h"
#include "app/model_listing.h"
#include "app/token_listing.h"
#include "app/version.h"
#include "gguf/gguf.h"
#include "json/json.h"

namespace trilane::app {
namespace {

using ::testing::HasSubstr;

const std::string kModels = TRILANE_SOURCE_DIR "/models";
const std::string kNano = kModels + "/trilane-nano/trilane-nano-tq2_0.gguf";

TEST(Listings, ModelsListsTheBundledOne) {
    const ModelListing listing = list_all({kModels}, {});
    ASSERT_EQ(listing.entries.size(), 1U);
    const json::Value listed = listing_json(listing);
    const json::Value& nano = listed["models"][0];
    EXPECT_EQ(nano["name"], "trilane-nano");
    EXPECT_EQ(nano["purpose"], "chat");
    EXPECT_EQ(nano["store"], "gguf");
    EXPECT_EQ(nano["quantization"], "TQ2_0");
    EXPECT_EQ(nano["architecture"], "bitnet-b1.58");
    EXPECT_EQ(nano["licence"], "CC-BY-SA-4.0");
    EXPECT_EQ(nano["parameters"], 81'841'920);
    EXPECT_EQ(nano["context_tokens"], 1024);
    EXPECT_EQ(nano["runs"], true);
    EXPECT_THAT(listing_text(listing), HasSubstr("trilane-nano  chat"));
}

TEST(Listings, ABrokenFileIsNamedWithItsFault) {
    const std::string dir = ::testing::TempDir() + "trilane_listings";
    std::filesystem::create_directories(dir);
    std::ofstream(dir + "/trilane_broken.gguf") << "GGUF but not for long";
    const ModelListing listing = list_all({dir}, {});
    EXPECT_TRUE(listing.entries.empty());
    ASSERT_EQ(listing.problems.size(), 1U);
    EXPECT_EQ(listing_json(listing)["problems"].size(), 1U);
    EXPECT_THAT(listing_text(listing), HasSubstr("cannot be used: "));
    EXPECT_THAT(listing_text(listing), HasSubstr("trilane_broken.gguf"));
    std::filesystem::remove_all(dir);
}

TEST(Listings, ModelsThatFlmKeepsAreAskedFor) {
    const std::string dir = ::testing::TempDir() + "trilane_flm";
    std::filesystem::create_directories(dir);
    const std::string program = dir + "/flm";
    std::ofstream(program)
        << "#!/bin/sh\n"
           "[ \"$1 $2 $FLM_DISABLE_UPDATE_CHECK $OWN\" = \"list -j 1 yes\" ] || exit 3\n"
           "echo '{\"models\":[{\"model\":\"qwen3:0.6b\",\"installed\":true,"
           "\"footprint\":0.66}]}'\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    const ModelListing listing =
        list_all({}, {{"/nowhere", dir}, {"OWN=yes", "PATH=/usr/bin:/bin"}});
    ASSERT_EQ(listing.entries.size(), 1U) << listing_text(listing);
    EXPECT_THAT(listing_text(listing), HasSubstr("qwen3:0.6b  chat"));
    EXPECT_FALSE(listing_json(listing)["models"][0].contains("runs"));

    const ModelListing failing = list_all({}, {{dir}, {}});
    EXPECT_TRUE(failing.entries.empty());
    ASSERT_EQ(failing.problems.size(), 1U);
    EXPECT_THAT(failing.problems[0], HasSubstr("exit status 3"));
    std::filesystem::remove_all(dir);
}

TEST(Listings, NoModelsIsSaid) {
    EXPECT_THAT(listing_text({}), HasSubstr("No models found"));
}

TEST(Listings, GgufShowSaysWhatIsInTheFile) {
    const auto file = gguf::File::open(kNano);
    ASSERT_TRUE(file.has_value());
    const json::Value shown = show_json(**file, kNano, true);
    EXPECT_EQ(shown["version"], 3);
    EXPECT_EQ(shown["metadata"]["general.architecture"], "bitnet-b1.58");
    EXPECT_EQ(shown["metadata"]["tokenizer.ggml.tokens"]["count"], 8192);
    EXPECT_EQ(shown["metadata"]["tokenizer.ggml.tokens"]["first"][2], "<|end|>");
    EXPECT_EQ(shown["runs"], true);
    EXPECT_EQ(shown["tensors"].size(), 134U);
    std::uint64_t weights = 0;
    for (const json::Value& type : shown["types"]) {
        weights += type["weights"].get<std::uint64_t>();
    }
    EXPECT_EQ(weights, 81'841'920U);
    EXPECT_FALSE(show_json(**file, kNano, false).contains("tensors"));

    const std::string text = show_text(**file, kNano, false);
    EXPECT_THAT(text, HasSubstr("TQ2_0"));
    EXPECT_THAT(text, HasSubstr("Trilane runs this file."));
    EXPECT_THAT(text, HasSubstr("[8192] \"<|pad|>\", \"<|bos|>\""));
}

TEST(Listings, AVocabularyAloneDoesNotRun) {
    const auto file =
        gguf::File::open(TRILANE_SOURCE_DIR "/tests/fixtures/tokenizers/ggml-vocab-gpt-2.gguf");
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_FALSE(runs_here(**file).has_value());
    EXPECT_THAT(show_text(**file, "vocabulary", false), HasSubstr("cannot run this file"));
}

TEST(Listings, TokensAreShownWithTheirText) {
    const auto file = gguf::File::open(kNano);
    ASSERT_TRUE(file.has_value());
    const auto tokenizer = token::Tokenizer::from_gguf(*file);
    ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
    const std::vector<token::Id> ids{1, 2450, 690};
    EXPECT_EQ(tokens_text(**tokenizer, ids),
              "      1  \"<|bos|>\"\n"
              "   2450  \"Once\"\n"
              "    690  \" upon\"\n"
              "3 tokens\n");
    const json::Value listed = tokens_json(**tokenizer, ids);
    EXPECT_EQ(listed["count"], 3);
    EXPECT_EQ(listed["pieces"][0]["control"], true);
    EXPECT_EQ(listed["pieces"][2]["text"], " upon");
}

TEST(Listings, VersionNamesTheKernelsInUse) {
    const json::Value version = version_json(kernels::Isa::generic);
    EXPECT_EQ(version["kernels_in_use"], "generic");
    EXPECT_EQ(version["kernels_forced"], true);
    EXPECT_EQ(version["kernels"].size(), 4U);
    EXPECT_EQ(version["kernels"][0]["available"], true);
    EXPECT_EQ(version_json(std::nullopt)["kernels_forced"], false);
    EXPECT_THAT(version_text(std::nullopt), HasSubstr(version_number()));
}

}  // namespace
}  // namespace trilane::app
