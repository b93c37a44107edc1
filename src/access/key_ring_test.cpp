#include "access/key_ring.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "access/key_test.h"

namespace trilane::access {
namespace {

struct Folder {
    Folder() {
        std::string place = testing::TempDir() + "keysXXXXXX";
        path = ::mkdtemp(place.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string file() const { return path + "/deep/keys.json"; }
    std::string path;
};

TEST(KeyRing, DigestsAreSha256) {
    EXPECT_EQ(digest_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(KeyRing, PatternsMatchAsPeopleExpect) {
    EXPECT_TRUE(matches("*", ""));
    EXPECT_TRUE(matches("qwen*", "qwen3-4b"));
    EXPECT_TRUE(matches("*coder*", "qwen3-coder-30b"));
    EXPECT_TRUE(matches("a*b*c", "aXbYbc"));
    EXPECT_TRUE(matches("exact", "exact"));
    EXPECT_FALSE(matches("exact", "exactly"));
    EXPECT_FALSE(matches("qwen*", "my-qwen"));
    EXPECT_FALSE(matches("", "x"));
    EXPECT_TRUE(allows({}, "anything"));
    EXPECT_FALSE(allows({"a", "b*"}, "c"));
    EXPECT_TRUE(allows({"a", "b*"}, "bc"));
}

TEST(KeyRing, FreshKeysAreLongAndDiffer) {
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) {
        const auto fresh = random_key();
        ASSERT_TRUE(fresh);
        EXPECT_EQ(fresh->size(), 46U);
        EXPECT_TRUE(fresh->starts_with("tl-"));
        seen.insert(*fresh);
    }
    EXPECT_EQ(seen.size(), 100U);
}

TEST(KeyRing, FindsOnlyWhatWasGiven) {
    KeyRing ring;
    ASSERT_TRUE(ring.add(key("ann", "tl-1")));
    ASSERT_TRUE(ring.add(key("bob", "tl-2")));
    ASSERT_NE(ring.find("tl-2"), nullptr);
    EXPECT_EQ(ring.find("tl-2")->name, "bob");
    EXPECT_EQ(ring.find("tl-3"), nullptr);
    EXPECT_EQ(ring.find(""), nullptr);
    EXPECT_EQ(ring.find(std::string(kKeyBytesMax + 1, 'x')), nullptr);
    EXPECT_FALSE(ring.add(key("ann", "tl-4"))) << "the name is taken";
    EXPECT_FALSE(ring.add(key("two words", "tl-4")));
    EXPECT_FALSE(ring.remove("carl"));
    ASSERT_TRUE(ring.remove("ann"));
    EXPECT_EQ(ring.find("tl-1"), nullptr);
}

TEST(KeyRing, FilesKeepDigestsAndLimitsOnly) {
    const Folder folder;
    KeyRing ring;
    Key one = key("ann", "tl-secret");
    one.admin = true;
    one.models = {"qwen*"};
    one.lanes = {"npu"};
    one.requests_per_minute = 30;
    one.concurrent = 2;
    one.created_unix_s = 5;
    one.expires_unix_s = 99;
    ASSERT_TRUE(ring.add(one));
    ASSERT_TRUE(ring.save(folder.file()));
    std::ifstream file(folder.file());
    const std::string text(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(text.find("tl-secret"), std::string::npos);
    struct stat facts {};
    ASSERT_EQ(::stat(folder.file().c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0600U);

    const auto again = KeyRing::load(folder.file());
    ASSERT_TRUE(again) << again.error().message;
    const Key* found = again->find("tl-secret");
    ASSERT_NE(found, nullptr);
    EXPECT_TRUE(found->admin);
    EXPECT_EQ(found->models, one.models);
    EXPECT_EQ(found->lanes, one.lanes);
    EXPECT_EQ(found->requests_per_minute, 30U);
    EXPECT_EQ(found->concurrent, 2U);
    EXPECT_EQ(found->expires_unix_s, 99);
}

TEST(KeyRing, BrokenFilesAreToldAndNeverWidenLimits) {
    const Folder folder;
    EXPECT_TRUE(KeyRing::load(folder.file())) << "no file is an empty ring";
    std::filesystem::create_directories(folder.path + "/deep");
    for (
        const char* text :
        {"", "[]", R"({"version":2,"keys":[]})", R"({"version":1,"keys":[{"name":"a"}]})",
         R"({"version":1,"keys":[{"name":"a","sha256":"12"}]})",
         R"({"version":1,"keys":[{"name":"a","sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","models":"x"}]})",
         R"({"version":1,"keys":[{"name":"a","sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","concurrent":-1}]})"}) {
        std::ofstream(folder.file()) << text;
        const auto ring = KeyRing::load(folder.file());
        ASSERT_FALSE(ring) << text;
        EXPECT_EQ(ring.error().fault, Fault::corrupt) << text;
    }
}

}  // namespace
}  // namespace trilane::access
