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
using ::testing::IsEmpty;

class Import : public ::testing::Test {
protected:
    TempFolder from_;
    TempFolder to_;
    PullOptions options_ = [this] {
        PullOptions options;
        options.directory = to_.path();
        options.spare_bytes = 0;
        return options;
    }();
};

TEST_F(Import, CopiesAFile) {
    const std::string bytes = gguf_bytes(100'000);
    const auto entry = import_file(from_.write("my model-Q8_0.gguf", bytes), options_, false);
    ASSERT_TRUE(entry.has_value()) << entry.error().message;
    EXPECT_EQ(entry->id, "my_model-Q8_0");
    EXPECT_EQ(entry->repository, "");
    EXPECT_EQ(file_text(entry->path), bytes);
    EXPECT_FALSE(fs::is_symlink(entry->path));
    EXPECT_THAT(to_.files(),
                ElementsAre("my_model-Q8_0/manifest.json", "my_model-Q8_0/my_model-Q8_0.gguf"));
}

TEST_F(Import, LinksShardsAllTogether) {
    from_.write("big-00001-of-00002.gguf", gguf_bytes(10, 1));
    const std::string second = from_.write("big-00002-of-00002.gguf", gguf_bytes(10, 2));
    options_.id = "big";
    const auto entry = import_file(second, options_, true);
    ASSERT_TRUE(entry.has_value()) << entry.error().message;
    EXPECT_EQ(entry->path, to_.file("big/big-00001-of-00002.gguf"));
    EXPECT_EQ(entry->more_paths.size(), 1U);
    EXPECT_EQ(fs::read_symlink(entry->path), from_.file("big-00001-of-00002.gguf"));

    ASSERT_TRUE(remove(*entry, {to_.path()}).has_value());
    EXPECT_THAT(to_.files(), IsEmpty());
    EXPECT_TRUE(fs::exists(second));
}

TEST_F(Import, WhatIsNoModelIsRefusedAndLeavesNothing) {
    EXPECT_EQ(import_file(from_.file("none.gguf"), options_, false).error().fault,
              Fault::not_found);
    EXPECT_EQ(import_file(from_.write("a.gguf", "no"), options_, false).error().fault,
              Fault::corrupt);
    EXPECT_EQ(import_file(from_.write("a.txt", "no"), options_, false).error().fault,
              Fault::invalid);
    EXPECT_EQ(import_file(from_.write("mmproj-x.gguf", gguf_bytes(9, 1, "clip")), options_, false)
                  .error()
                  .fault,
              Fault::invalid);
    EXPECT_EQ(import_file(from_.write("b-00001-of-00002.gguf", gguf_bytes(9)), options_, false)
                  .error()
                  .fault,
              Fault::not_found);
    EXPECT_THAT(to_.files(), IsEmpty());
}

TEST_F(Import, NeitherOverwritesNorOverfills) {
    const std::string path = from_.write("a.gguf", gguf_bytes(10));
    options_.spare_bytes = std::uint64_t{1} << 60U;
    EXPECT_EQ(import_file(path, options_, false).error().fault, Fault::exhausted);
    options_.spare_bytes = 0;
    ASSERT_TRUE(import_file(path, options_, false).has_value());
    const auto again = import_file(path, options_, false);
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().fault, Fault::invalid);
    EXPECT_THAT(again.error().message, HasSubstr("--id"));
    options_.cancel.cancel();
    options_.id = "other";
    EXPECT_EQ(import_file(path, options_, false).error().fault, Fault::cancelled);
    EXPECT_THAT(to_.files(), ElementsAre("a/a.gguf", "a/manifest.json"));
}

}  // namespace
}  // namespace trilane::catalog
