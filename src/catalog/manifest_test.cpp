#include "catalog/manifest.h"

#include <gtest/gtest.h>

#include "catalog/local_hub_test.h"

namespace trilane::catalog {
namespace {

Manifest sample() {
    Manifest manifest;
    manifest.repository = "o/n";
    manifest.revision = "main";
    manifest.commit = "abc";
    manifest.variant = "Q8_0";
    manifest.added_unix_s = 1'700'000'000;
    manifest.files = {{"a.gguf", "x/a.gguf", 5, "hash", false},
                      {"mmproj.gguf", "mmproj.gguf", 6, "", true}};
    return manifest;
}

TEST(Manifests, AreReadAsWritten) {
    const TempFolder folder;
    ASSERT_TRUE(write_manifest(folder.path(), sample()).has_value());
    const auto read = read_manifest(folder.path());
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(manifest_text(*read), manifest_text(sample()));
    EXPECT_TRUE(read->files == sample().files);
    EXPECT_EQ(folder.files().size(), 1U);
}

TEST(Manifests, NamesThatLeaveTheFolderAreRefused) {
    for (const char* name : {"../a.gguf", "/etc/passwd", "", "a/b.gguf", ".."}) {
        Manifest manifest = sample();
        manifest.files[0].name = name;
        EXPECT_FALSE(parse_manifest(manifest_text(manifest)).has_value()) << name;
    }
    for (const char* text : {"", "{}", "[]", R"({"format":2,"files":[]})",
                             R"({"format":1,"files":7})", R"({"format":1,"files":[7]})"}) {
        EXPECT_FALSE(parse_manifest(text).has_value()) << text;
    }
}

TEST(Manifests, NoneIsNone) {
    const TempFolder folder;
    EXPECT_FALSE(read_manifest(folder.path()).has_value());
    folder.write("manifest.json", "not JSON");
    EXPECT_FALSE(read_manifest(folder.path()).has_value());
}

}  // namespace
}  // namespace trilane::catalog
