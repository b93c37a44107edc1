#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "catalog/local_hub_test.h"
#include "catalog/pull.h"

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Remove : public ::testing::Test {
protected:
    Entry entry(const std::string& id) {
        LocalModels models({folder_.path()});
        models.scan();
        for (const Entry& one : models.list()) {
            if (one.id == id) {
                return one;
            }
        }
        ADD_FAILURE() << id << " is not listed";
        return {};
    }
    Status remove_one(const std::string& id) { return remove(entry(id), {folder_.path()}); }
    TempFolder folder_;
};

TEST_F(Remove, ALooseFileWithItsShards) {
    folder_.write("a-00001-of-00002.gguf", gguf_bytes(9));
    folder_.write("a-00002-of-00002.gguf", gguf_bytes(9));
    folder_.write("b.gguf", gguf_bytes(9));
    ASSERT_TRUE(remove_one("a").has_value());
    EXPECT_THAT(folder_.files(), ElementsAre("b.gguf"));
}

TEST_F(Remove, AFolderGoesWhenNothingElseIsInIt) {
    folder_.write("m/x.gguf", gguf_bytes(9));
    folder_.write("m/mmproj-F16.gguf", gguf_bytes(9, 1, "clip"));
    ASSERT_TRUE(remove_one("m").has_value());
    EXPECT_FALSE(fs::exists(folder_.file("m")));
}

TEST_F(Remove, WhatOthersPutThereStays) {
    folder_.write("m/x.gguf", gguf_bytes(9));
    folder_.write("m/notes.txt", "mine");
    ASSERT_TRUE(remove_one("m").has_value());
    EXPECT_THAT(folder_.files(), ElementsAre("m/notes.txt"));
}

TEST_F(Remove, ASharedProjectorStaysUntilTheLast) {
    folder_.write("m/x-Q4_0.gguf", gguf_bytes(9));
    folder_.write("m/x-Q8_0.gguf", gguf_bytes(9));
    folder_.write("m/mmproj-F16.gguf", gguf_bytes(9, 1, "clip"));
    ASSERT_TRUE(remove_one("x-Q4_0").has_value());
    EXPECT_THAT(folder_.files(), ElementsAre("m/mmproj-F16.gguf", "m/x-Q8_0.gguf"));
    ASSERT_TRUE(remove_one("m").has_value());
    EXPECT_THAT(folder_.files(), ::testing::IsEmpty());
}

TEST_F(Remove, OnlyWhatWeKeep) {
    const TempFolder elsewhere;
    Entry entry;
    entry.id = "x";
    entry.path = elsewhere.write("x.gguf", gguf_bytes(9));
    const Status refused = remove(entry, {folder_.path()});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::invalid);
    EXPECT_TRUE(fs::exists(entry.path));

    // A link to a folder of the user's is no folder of ours.
    fs::create_directory_symlink(elsewhere.path(), folder_.file("link"));
    entry.path = folder_.file("link/x.gguf");
    EXPECT_EQ(remove(entry, {folder_.path()}).error().fault, Fault::invalid);
    EXPECT_TRUE(fs::exists(elsewhere.file("x.gguf")));

    // Nor is the root, whatever the list of folders says.
    entry.path = "/etc/hostname";
    EXPECT_FALSE(remove(entry, {"", "/nowhere"}).has_value());
}

TEST_F(Remove, WhatIsNotThereOrNotOursSaysSo) {
    Entry entry;
    entry.id = "x";
    entry.path = folder_.file("x.gguf");
    EXPECT_EQ(remove(entry, {folder_.path()}).error().fault, Fault::not_found);
    entry.store = Store::flm;
    entry.path = "qwen3:4b";
    EXPECT_THAT(remove(entry, {folder_.path()}).error().message, HasSubstr("flm remove qwen3:4b"));
}

}  // namespace
}  // namespace trilane::catalog
