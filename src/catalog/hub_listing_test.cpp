#include "catalog/hub_listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trilane::catalog {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<RemoteFile> files(const std::vector<std::pair<std::string, std::uint64_t>>& named) {
    std::vector<RemoteFile> out;
    for (const auto& [path, bytes] : named) {
        out.push_back({path, bytes, ""});
    }
    return out;
}

std::vector<std::string> names(const std::vector<Variant>& variants) {
    std::vector<std::string> out;
    for (const Variant& variant : variants) {
        out.push_back(variant.name);
    }
    return out;
}

TEST(HubListing, ReadsFilesAndTheirHashes) {
    std::vector<RemoteFile> read;
    const std::string hash(64, 'a');
    const Status parsed = parse_tree(R"([
        {"type":"directory","oid":"x","size":0,"path":"Q4"},
        {"type":"file","oid":"x","size":12,"path":"README.md"},
        {"type":"file","oid":"x","size":5,"path":"Q4/a.gguf","xetHash":"y",
         "lfs":{"oid":")" + hash + R"(","size":5000000000,"pointerSize":135}},
        {"type":"file","oid":"x","size":7,"path":"b.gguf","lfs":{"oid":"short"}}])",
                                     read);
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
    ASSERT_EQ(read.size(), 3U);
    EXPECT_EQ(read[1].path, "Q4/a.gguf");
    EXPECT_EQ(read[1].bytes, 5'000'000'000U);
    EXPECT_EQ(read[1].sha256, hash);
    EXPECT_EQ(read[2].bytes, 7U);
    EXPECT_EQ(read[2].sha256, "");
}

TEST(HubListing, TheNextPageIsFoundAmongLinks) {
    EXPECT_EQ(next_page(R"(<https://h/a?cursor=x>; rel="next")"), "https://h/a?cursor=x");
    EXPECT_EQ(next_page(R"(<https://h/p>; rel="prev", <https://h/n>; rel="next")"), "https://h/n");
    EXPECT_EQ(next_page(R"(<https://h/p>; rel="prev")"), "");
    EXPECT_EQ(next_page("<https://h/p"), "");
    EXPECT_EQ(next_page(">"), "");
    EXPECT_EQ(next_page(""), "");
}

TEST(HubListing, VariantsComeBestFirstWithTheirProjector) {
    const auto variants = group_variants(files({{"gemma-Q4_K_M.gguf", 4},
                                                {"gemma-F16.gguf", 16},
                                                {"gemma-Q8_0.gguf", 8},
                                                {"gemma-UD-IQ2_XXS.gguf", 2},
                                                {"mmproj-F32.gguf", 3},
                                                {"mmproj-BF16.gguf", 2},
                                                {"mmproj-F16.gguf", 1},
                                                {"imatrix_gemma.gguf", 1},
                                                {"README.md", 1}}));
    EXPECT_THAT(names(variants), ElementsAre("F16", "Q8_0", "Q4_K_M", "UD-IQ2_XXS"));
    for (const Variant& variant : variants) {
        ASSERT_EQ(variant.companions.size(), 1U);
        EXPECT_EQ(variant.companions[0].path, "mmproj-F16.gguf");
    }
    EXPECT_EQ(variants[2].bytes(), 5U);
}

TEST(HubListing, ShardsInFoldersAreOneVariantEach) {
    const auto variants = group_variants(files({{"BF16/m-00002-of-00002.gguf", 2},
                                                {"BF16/m-00001-of-00002.gguf", 1},
                                                {"Q4_K_M/m-Q4_K_M-00001-of-00003.gguf", 1},
                                                {"Q4_K_M/m-Q4_K_M-00002-of-00003.gguf", 1},
                                                {"Q4_K_M/m-Q4_K_M-00003-of-00003.gguf", 1},
                                                {"Q2_K/m-Q2_K-00001-of-00002.gguf", 1},
                                                {"m-Q3_K_M.gguf", 1}}));
    EXPECT_THAT(names(variants), ElementsAre("BF16", "Q4_K_M", "Q3_K_M"));
    EXPECT_EQ(variants[0].files[0].path, "BF16/m-00001-of-00002.gguf");
    EXPECT_EQ(variants[1].files.size(), 3U);
}

TEST(HubListing, VariantsOfOneNameAreCalledByTheirFiles) {
    const auto variants = group_variants(
        files({{"small-Q8_0.gguf", 1}, {"large-Q8_0.gguf", 9}, {"a/x.gguf", 1}, {"b/x.gguf", 1}}));
    EXPECT_THAT(names(variants), ElementsAre("large-Q8_0", "small-Q8_0", "x", "b/x"));
}

TEST(HubListing, ARepositoryOfNothingHasNoVariants) {
    EXPECT_THAT(group_variants({}), IsEmpty());
    EXPECT_THAT(group_variants(files({{"mmproj-F16.gguf", 1}})), IsEmpty());
}

class Choice : public ::testing::Test {
protected:
    std::vector<Variant> variants_ = group_variants(files({{"m-F16.gguf", 160},
                                                           {"m-Q8_0.gguf", 80},
                                                           {"m-UD-Q4_K_XL.gguf", 45},
                                                           {"m-Q4_K_M.gguf", 40}}));
    std::string choose(const std::string& wanted, const Fits& fits = {}) {
        const auto chosen = choose_variant(variants_, {"o/n", "main", wanted}, fits);
        return chosen ? chosen->name : chosen.error().message;
    }
};

TEST_F(Choice, TheNamedOne) {
    EXPECT_EQ(choose("q4_k_m"), "Q4_K_M");
    EXPECT_EQ(choose("m-Q8_0.gguf"), "Q8_0");
    EXPECT_EQ(choose("m-Q8_0"), "Q8_0");
    EXPECT_EQ(choose("Q4_K_XL"), "UD-Q4_K_XL");
    EXPECT_THAT(choose("Q2_K"), HasSubstr("no 'Q2_K'; name one of: F16, Q8_0, UD-Q4_K_XL, Q4_K_M"));
}

TEST_F(Choice, ElseTheBestThatFits) {
    EXPECT_EQ(choose("", [](const Variant& v) { return v.bytes() <= 80; }), "Q8_0");
    EXPECT_EQ(choose("", {}), "F16");
}

TEST_F(Choice, ElseTheSmallest) {
    EXPECT_EQ(choose("", [](const Variant&) { return false; }), "Q4_K_M");
}

TEST_F(Choice, NoneAmongNone) {
    EXPECT_FALSE(choose_variant({}, {"o/n", "main", ""}, {}).has_value());
}

}  // namespace
}  // namespace trilane::catalog
