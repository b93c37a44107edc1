#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/pull.h"

namespace trilane::catalog {
namespace {

std::string read(std::string_view text) {
    const auto reference = parse_reference(text);
    return reference ? fmt::format("{}|{}|{}", reference->repository, reference->revision,
                                   reference->variant)
                     : "refused";
}

TEST(References, AllTheWaysPeopleWriteThem) {
    EXPECT_EQ(read("owner/name"), "owner/name|main|");
    EXPECT_EQ(read("owner/name:Q4_K_M"), "owner/name|main|Q4_K_M");
    EXPECT_EQ(read("owner/name:sub/file.gguf"), "owner/name|main|sub/file.gguf");
    EXPECT_EQ(read("owner/name@v1.0"), "owner/name|v1.0|");
    EXPECT_EQ(read("owner/name@refs/pr/1:Q8_0"), "owner/name|refs/pr/1|Q8_0");
    EXPECT_EQ(read("hf.co/owner/name:Q4_0"), "owner/name|main|Q4_0");
    EXPECT_EQ(read("https://huggingface.co/owner/name"), "owner/name|main|");
    EXPECT_EQ(read("https://huggingface.co/owner/name/"), "owner/name|main|");
    EXPECT_EQ(read("https://huggingface.co/owner/name/tree/dev"), "owner/name|dev|");
    EXPECT_EQ(read("https://huggingface.co/owner/name/blob/main/Q4/a%20b.gguf"),
              "owner/name|main|Q4/a b.gguf");
    EXPECT_EQ(read("https://huggingface.co/owner/name/resolve/refs%2Fpr%2F2/a.gguf?download=true"),
              "owner/name|refs/pr/2|a.gguf");
}

TEST(References, WhatIsNoneIsRefused) {
    for (const char* text : {"",
                             "name",
                             "owner/",
                             "/name",
                             "owner/name/more",
                             "owner/na me",
                             "owner/..",
                             "../name",
                             "owner/name@",
                             "owner/name@a..b",
                             "owner/name@/a",
                             "owner/name:",
                             "owner/name:../x.gguf",
                             "owner/name:/x.gguf",
                             "https://example.com/owner/name",
                             "https://huggingface.co/owner/name/blob/main/readme.md",
                             "https://huggingface.co/owner/name/blob/main/..%2f..%2fa.gguf",
                             "https://huggingface.co/owner/name/settings",
                             "https://huggingface.co/owner",
                             "https://huggingface.co/owner/name/tree/%zz",
                             "owner/name\n"}) {
        EXPECT_EQ(read(text), "refused") << text;
    }
    EXPECT_EQ(read("owner/" + std::string(2000, 'a')), "refused");
}

TEST(References, RefusalsSayWhatToWrite) {
    EXPECT_THAT(parse_reference("nothing").error().message, ::testing::HasSubstr("owner/name"));
    EXPECT_THAT(parse_reference("https://example.com/a/b").error().message,
                ::testing::HasSubstr("HF_ENDPOINT"));
}

}  // namespace
}  // namespace trilane::catalog
