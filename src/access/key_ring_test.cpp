#include "access/key_ring.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

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
    Key one = key("ann", "tl-secret");
    one.models = {"qwen*"};
    one.lanes = {"npu"};
    one.requests_per_minute = 30;
    one.concurrent = 2;
    one.created_unix_s = 5;
    one.expires_unix_s = 99;
    ASSERT_TRUE(KeyRing::change(folder.file(), [&](KeyRing& ring) { return ring.add(one); }));
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
    EXPECT_FALSE(found->admin);
    EXPECT_EQ(found->models, one.models);
    EXPECT_EQ(found->lanes, one.lanes);
    EXPECT_EQ(found->requests_per_minute, 30U);
    EXPECT_EQ(found->concurrent, 2U);
    EXPECT_EQ(found->expires_unix_s, 99);
}

TEST(KeyRing, WhoIsLimitedDoesNotAdminister) {
    const Folder folder;
    const auto add = [&](const Key& one) {
        return KeyRing::change(folder.file(), [&](KeyRing& ring) { return ring.add(one); });
    };
    Key boss = key("boss", "b");
    boss.admin = true;
    boss.requests_per_minute = 9;
    ASSERT_TRUE(add(boss)) << "a rate is no limit of that kind";
    EXPECT_TRUE(KeyRing::load(folder.file())->find("b")->admin);
    Key by_model = key("ann", "a");
    by_model.admin = true;
    by_model.models = {"qwen*"};
    Key by_lane = key("carl", "c");
    by_lane.admin = true;
    by_lane.lanes = {"npu"};
    for (const Key& one : {by_model, by_lane}) {
        const Status added = add(one);
        ASSERT_FALSE(added);
        EXPECT_EQ(added.error().fault, Fault::invalid);
        EXPECT_NE(added.error().message.find("leave out --admin"), std::string::npos);
    }
    // One that was made before.
    std::ofstream(folder.file())
        << R"({"version":1,"keys":[{"name":"old","admin":true,"models":["qwen*"],"sha256":")"
        << digest_of("o") << "\"}]}";
    const auto ring = KeyRing::load(folder.file());
    ASSERT_TRUE(ring) << ring.error().message;
    ASSERT_NE(ring->find("o"), nullptr);
    EXPECT_FALSE(ring->find("o")->admin);
    EXPECT_EQ(ring->find("o")->models, by_model.models);
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

TEST(KeyRing, OnlyAFileThatIsNotThereMeansNoKeys) {
    const Folder folder;
    ASSERT_TRUE(KeyRing::load(folder.file()));
    EXPECT_FALSE(KeyRing::load(folder.file())->has_file());
    std::filesystem::create_directories(folder.file());
    EXPECT_EQ(KeyRing::load(folder.file()).error().fault, Fault::unavailable) << "a folder";
    std::filesystem::remove(folder.file());
    ASSERT_EQ(::mkfifo(folder.file().c_str(), 0600), 0);
    EXPECT_EQ(KeyRing::load(folder.file()).error().fault, Fault::unavailable) << "and at once";
    std::filesystem::remove(folder.file());
    // Nobody can look in there, so nobody can say that there is none.
    std::ofstream(folder.path + "/no_folder") << "";
    EXPECT_EQ(KeyRing::load(folder.path + "/no_folder/keys.json").error().fault,
              Fault::unavailable);
    std::ofstream(folder.file()) << R"({"version":1,"keys":[]})";
    const auto empty = KeyRing::load(folder.file());
    ASSERT_TRUE(empty);
    EXPECT_TRUE(empty->has_file());
}

TEST(KeyRing, ChangesAtOnceAllCount) {
    const Folder folder;
    ASSERT_TRUE(
        KeyRing::change(folder.file(), [](KeyRing& ring) { return ring.add(key("victim", "v")); }));
    constexpr int kAtOnce = 12;
    std::vector<std::thread> threads;
    for (int i = 0; i < kAtOnce; ++i) {
        threads.emplace_back([&, i] {
            const std::string name = "k" + std::to_string(i);
            EXPECT_TRUE(KeyRing::change(folder.file(),
                                        [&](KeyRing& ring) { return ring.add(key(name, name)); }));
        });
    }
    threads.emplace_back([&] {
        EXPECT_TRUE(
            KeyRing::change(folder.file(), [](KeyRing& ring) { return ring.remove("victim"); }));
    });
    for (std::thread& thread : threads) {
        thread.join();
    }
    const auto ring = KeyRing::load(folder.file());
    ASSERT_TRUE(ring);
    EXPECT_EQ(ring->keys().size(), std::size_t{kAtOnce});
    EXPECT_EQ(ring->find("v"), nullptr);
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path + "/deep")) {
        files += entry.is_regular_file() ? 1U : 0U;
    }
    EXPECT_EQ(files, 2U) << "the keys and the lock; nothing half written";
}

TEST(KeyRing, AChangeThatFailsChangesNothing) {
    const Folder folder;
    ASSERT_TRUE(
        KeyRing::change(folder.file(), [](KeyRing& ring) { return ring.add(key("ann", "a")); }));
    EXPECT_FALSE(KeyRing::change(folder.file(), [](KeyRing& ring) { return ring.remove("bob"); }));
    EXPECT_EQ(KeyRing::load(folder.file())->keys().size(), 1U);
}

}  // namespace
}  // namespace trilane::access
