// Tests of read-only file mappings on real files.
#include "os/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

namespace trilane::os {
namespace {

namespace fs = std::filesystem;

class MappedFileTest : public ::testing::Test {
protected:
    void SetUp() override {
        const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
        folder_ = fs::temp_directory_path() /
                  ("trilane_mapped_" + std::to_string(::getpid()) + "_" + test->name());
        fs::create_directories(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }

    std::string file(const std::string& name, const std::string& text) {
        std::ofstream(folder_ / name, std::ios::binary) << text;
        return (folder_ / name).string();
    }
    static std::string text(const MappedFile& mapped) {
        const auto bytes = mapped.bytes();
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }

    fs::path folder_;
};

TEST_F(MappedFileTest, AFifoIsRefusedAtOnce) {
    const std::string fifo = (folder_ / "fifo.gguf").string();
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    const auto mapped = MappedFile::open(fifo);
    ASSERT_FALSE(mapped);
    EXPECT_EQ(mapped.error().fault, Fault::unavailable);
}

TEST_F(MappedFileTest, ShowsTheBytesOfTheFile) {
    const std::string all = std::string("a\0b", 3) + std::string(10000, 'x');
    const auto mapped = MappedFile::open(file("some", all));
    ASSERT_TRUE(mapped) << mapped.error().message;
    EXPECT_EQ(text(*mapped), all);
}

TEST_F(MappedFileTest, AnEmptyFileIsNoBytes) {
    const auto mapped = MappedFile::open(file("empty", ""));
    ASSERT_TRUE(mapped) << mapped.error().message;
    EXPECT_TRUE(mapped->bytes().empty());
}

TEST_F(MappedFileTest, AMissingFileIsNotFoundAndNamed) {
    const auto mapped = MappedFile::open((folder_ / "absent.gguf").string());
    ASSERT_FALSE(mapped);
    EXPECT_EQ(mapped.error().fault, Fault::not_found);
    EXPECT_THAT(mapped.error().message, ::testing::HasSubstr("absent.gguf"));
}

TEST_F(MappedFileTest, AFolderIsRefused) {
    const auto mapped = MappedFile::open(folder_.string());
    ASSERT_FALSE(mapped);
    EXPECT_EQ(mapped.error().fault, Fault::unavailable);
    EXPECT_THAT(mapped.error().message, ::testing::HasSubstr("not a regular file"));
}

TEST_F(MappedFileTest, OutlivesTheNameOfTheFile) {
    const std::string path = file("gone", "still here");
    const auto mapped = MappedFile::open(path);
    ASSERT_TRUE(mapped);
    fs::remove(path);
    EXPECT_EQ(text(*mapped), "still here");
}

TEST_F(MappedFileTest, MovingHandsTheMappingOver) {
    auto first = MappedFile::open(file("first", "one"));
    auto second = MappedFile::open(file("second", "two"));
    ASSERT_TRUE(first);
    ASSERT_TRUE(second);
    const std::byte* data = first->bytes().data();
    MappedFile taken = std::move(*first);
    EXPECT_EQ(taken.bytes().data(), data);
    EXPECT_TRUE(first->bytes().empty());
    taken = std::move(*second);
    EXPECT_EQ(text(taken), "two");
}

}  // namespace
}  // namespace trilane::os
