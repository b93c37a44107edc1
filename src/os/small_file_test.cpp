// Tests of small files and of the lock, on real ones.
#include "os/small_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace trilane::os {
namespace {

namespace fs = std::filesystem;

class SmallFile : public ::testing::Test {
protected:
    SmallFile() {
        std::string place = testing::TempDir() + "smallXXXXXX";
        folder_ = ::mkdtemp(place.data());
    }
    ~SmallFile() override { fs::remove_all(folder_); }

    [[nodiscard]] std::string file(std::string_view name, std::string_view text) const {
        std::ofstream(folder_ / name, std::ios::binary) << text;
        return (folder_ / name).string();
    }

    fs::path folder_;
};

TEST_F(SmallFile, IsReadWholeOrRefused) {
    const std::string path = file("a", "0123456789");
    EXPECT_EQ(read_small_file(path, 10).value(), "0123456789");
    EXPECT_EQ(read_small_file(path, 9).error().fault, Fault::exhausted);
    EXPECT_EQ(read_small_file(file("empty", ""), 0).value(), "");
    const std::string large(200'000, 'x');
    EXPECT_EQ(read_small_file(file("large", large), large.size()).value(), large);
    // One of /proc tells no size.
    EXPECT_FALSE(read_small_file("/proc/self/status", 1U << 20U).value().empty());
}

TEST_F(SmallFile, NothingElseIsReadOrWaitedFor) {
    const std::string fifo = (folder_ / "fifo").string();
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_EQ(read_small_file(fifo, 10).error().fault, Fault::unavailable) << "and at once";
    EXPECT_EQ(read_small_file(folder_.string(), 10).error().fault, Fault::unavailable);
    EXPECT_EQ(read_small_file("/dev/zero", 10).error().fault, Fault::unavailable);
    EXPECT_EQ(read_small_file((folder_ / "none").string(), 10).error().fault, Fault::not_found);
    // Where something is in the way, nobody can say that there is no such file.
    EXPECT_EQ(read_small_file(file("a", "") + "/b", 10).error().fault, Fault::unavailable);
}

TEST_F(SmallFile, OneHoldsTheLock) {
    const std::string path = (folder_ / "lock").string();
    {
        const auto first = FileLock::take(path, std::chrono::milliseconds(0));
        ASSERT_TRUE(first);
        const auto second = FileLock::take(path, std::chrono::milliseconds(0));
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().fault, Fault::timeout);
    }
    EXPECT_TRUE(FileLock::take(path, std::chrono::milliseconds(0))) << "it went with its owner";
    EXPECT_EQ(FileLock::take(path + "/x", std::chrono::milliseconds(0)).error().fault,
              Fault::unavailable);
}

}  // namespace
}  // namespace trilane::os
