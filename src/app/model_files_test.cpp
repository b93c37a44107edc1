#include "app/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace trilane::app {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// A folder of its own that goes with the test.
class ModelFiles : public ::testing::Test {
protected:
    ModelFiles()
        : dir_(fs::path(::testing::TempDir()) /
               ("trilane_models_" +
                std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()))) {
        fs::remove_all(dir_);
        fs::create_directories(dir_);
    }
    ~ModelFiles() override { fs::remove_all(dir_); }

    std::string touch(const std::string& name) const {
        const fs::path path = dir_ / name;
        fs::create_directories(path.parent_path());
        std::ofstream(path) << "x";
        return path.string();
    }
    [[nodiscard]] std::vector<std::string> dirs() const { return {dir_.string()}; }

    fs::path dir_;
};

TEST_F(ModelFiles, AFileIsNamedForItselfAndALoneOneForItsFolder) {
    touch("plain.gguf");
    touch("alone/weights-q8.gguf");
    touch("alone/README.md");
    touch("pair/a.gguf");
    touch("pair/b.gguf");
    touch("notes.txt");
    std::vector<std::string> ids;
    for (const ModelFile& model : list_models(dirs())) {
        ids.push_back(model.id);
    }
    EXPECT_THAT(ids, ::testing::ElementsAre("a", "alone", "b", "plain"));
}

TEST_F(ModelFiles, TheFirstFolderWins) {
    const std::string first = touch("one/m.gguf");
    touch("two/m.gguf");
    const std::vector<std::string> both{(dir_ / "one").string(), (dir_ / "two").string(),
                                        (dir_ / "missing").string()};
    const auto models = list_models(both);
    ASSERT_EQ(models.size(), 1U);
    EXPECT_EQ(models[0].path, first);
}

TEST_F(ModelFiles, FindsByIdByFileNameAndByPath) {
    const std::string path = touch("alone/weights-q8.gguf");
    EXPECT_EQ(find_model("alone", dirs())->path, path);
    EXPECT_EQ(find_model("weights-q8", dirs())->id, "alone");
    const auto by_path = find_model(path, {});
    ASSERT_TRUE(by_path.has_value());
    EXPECT_EQ(by_path->id, "weights-q8");
}

TEST_F(ModelFiles, BundledMeansTheNanoModel) {
    const auto missing = find_model("bundled", dirs());
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().fault, Fault::not_found);
    EXPECT_THAT(missing.error().message, HasSubstr("TRILANE_MODELS_DIR"));
    const std::string path = touch("trilane-nano/any.gguf");
    EXPECT_EQ(find_model("bundled", dirs())->path, path);
}

TEST_F(ModelFiles, AnUnknownNameSaysWhatThereIs) {
    touch("known.gguf");
    const auto found = find_model("unknown", dirs());
    ASSERT_FALSE(found.has_value());
    EXPECT_THAT(found.error().message, HasSubstr("'unknown'"));
    EXPECT_THAT(found.error().message, HasSubstr("known models: known"));
}

TEST_F(ModelFiles, AFolderIsNoModelFile) {
    fs::create_directories(dir_ / "folder.gguf");
    EXPECT_TRUE(list_models(dirs()).empty());
    EXPECT_FALSE(find_model((dir_ / "folder.gguf").string(), {}).has_value());
}

TEST_F(ModelFiles, APromptIsNoModelButAMissingFileIsMeantAsOne) {
    touch("known.gguf");
    EXPECT_TRUE(names_model("known", dirs()));
    EXPECT_TRUE(names_model("missing.gguf", dirs()));
    EXPECT_FALSE(names_model("Tell me a story.", dirs()));
    EXPECT_FALSE(names_model("", dirs()));
}

}  // namespace
}  // namespace trilane::app
