#include "os/memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

namespace trilane::os {
namespace {

/// A folder that stands in for "/".
class Root {
public:
    Root() {
        char name[] = "/tmp/trilane-memory-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    ~Root() { std::filesystem::remove_all(path_); }
    Root(const Root&) = delete;
    Root& operator=(const Root&) = delete;

    void write(const std::string& file, const std::string& text) const {
        std::filesystem::create_directories(std::filesystem::path(path_ + file).parent_path());
        std::ofstream(path_ + file) << text;
    }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

TEST(ResidentBytes, AreThePagesThatWereTouched) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t size = 40'000 * page;  // more than one question's worth
    void* mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    ::madvise(mapped, size, MADV_NOHUGEPAGE);
    auto* bytes = static_cast<std::byte*>(mapped);
    EXPECT_EQ(resident_bytes({bytes, size}), 0U);
    for (const std::size_t at : {std::size_t{0}, std::size_t{17}, std::size_t{39'999}}) {
        bytes[at * page + 5] = std::byte{1};
    }
    EXPECT_EQ(resident_bytes({bytes, size}), 3 * page);
    EXPECT_EQ(resident_bytes({bytes + 17 * page + 100, 10}), 10U) << "no more than was asked about";
    EXPECT_EQ(resident_bytes({bytes + 18 * page, page}), 0U);
    ::munmap(mapped, size);
    EXPECT_EQ(resident_bytes({bytes, size}), 0U) << "nothing is mapped there";
    EXPECT_EQ(resident_bytes({}), 0U);
}

TEST(AvailableMemory, IsTheSmallerOfMachineAndGroup) {
    const Root root;
    root.write("/proc/meminfo",
               "MemTotal:       24000 kB\nMemFree: 1 kB\nMemAvailable:   1000 kB\n");
    EXPECT_EQ(available_memory_bytes(root.path()), 1000U * 1024U);
    root.write("/sys/fs/cgroup/memory.max", "max\n");
    root.write("/sys/fs/cgroup/memory.current", "5000\n");
    EXPECT_EQ(available_memory_bytes(root.path()), 1000U * 1024U);
    root.write("/sys/fs/cgroup/memory.max", "9000\n");
    EXPECT_EQ(available_memory_bytes(root.path()), 4000U);
    root.write("/sys/fs/cgroup/memory.max", "3000\n");
    EXPECT_EQ(available_memory_bytes(root.path()), 0U);
}

TEST(AvailableMemory, SaysMuchWhereNothingCanBeRead) {
    const Root root;
    EXPECT_GT(available_memory_bytes(root.path()), std::uint64_t{1} << 60U);
    EXPECT_GT(available_memory_bytes(), 0U);
}

TEST(Memory, OwnBytesGrowWithWhatIsTouched) {
    const std::uint64_t before = own_anonymous_bytes();
    ASSERT_GT(before, 0U);
    constexpr std::size_t kBytes = std::size_t{64} << 20U;
    const std::vector<char> touched(kBytes, 'x');
    EXPECT_GE(own_anonymous_bytes(), before + kBytes / 2) << touched[kBytes / 2];
}

}  // namespace
}  // namespace trilane::os
