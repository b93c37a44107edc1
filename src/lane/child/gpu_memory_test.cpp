// Texts as the kernel writes them, and a process of links to files that look like it.
#include "lane/child/gpu_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "lane/child/test_folder.h"

namespace trilane::lane {
namespace {

using namespace rig;

constexpr std::string_view kOlder =
    "pos:\t0\nflags:\t02100002\ndrm-driver:\tamdgpu\ndrm-client-id:\t42\n"
    "drm-pdev:\t0000:c5:00.0\ndrm-memory-vram:\t1024 KiB\ndrm-memory-gtt: \t2048 KiB\n"
    "drm-memory-cpu: \t4096 KiB\ndrm-engine-gfx:\t123 ns\n";
constexpr std::string_view kNewer =
    "drm-client-id:\t43\ndrm-pdev:\t0000:c5:00.0\ndrm-memory-gtt:\t9999 MiB\n"
    "drm-total-gtt:\t9999 MiB\ndrm-resident-gtt:\t3 MiB\ndrm-resident-vram:\t4096\n";

TEST(GpuMemory, ReadsAFile) {
    EXPECT_EQ(parse_fdinfo(kOlder).bytes, (GpuBytes{2048U << 10U, 1024U << 10U}));
    EXPECT_EQ(parse_fdinfo(kOlder).id, "\t0000:c5:00.0/\t42");
    EXPECT_EQ(parse_fdinfo(kNewer).bytes, (GpuBytes{3U << 20U, 4096U}))
        << "resident says more than memory";
    EXPECT_TRUE(parse_fdinfo("pos:\t0\nflags:\t0\nmnt_id:\t15\n").id.empty());
    EXPECT_EQ(parse_fdinfo("drm-client-id:\t1\ndrm-memory-vram:\tmuch\n").bytes, GpuBytes());
    EXPECT_EQ(parse_fdinfo("drm-client-id:\t1\ndrm-resident-local0:\t8 KiB\n"
                           "drm-resident-system0:\t4 KiB\n")
                  .bytes,
              (GpuBytes{4096U, 8192U}))
        << "i915's names";
}

TEST(GpuMemory, CountsEachClientOnce) {
    const TestFolder proc;
    namespace fs = std::filesystem;
    fs::create_directories(proc.path() + "/7/fd");
    const auto open = [&](const std::string& number, const std::string& target,
                          std::string_view text) {
        fs::create_symlink(target, proc.path() + "/7/fd/" + number);
        proc.write("7/fdinfo/" + number, text);
    };
    open("0", "/dev/null", "pos:\t0\n");
    open("3", "/dev/dri/renderD128", kOlder);
    open("4", "/dev/dri/renderD128", kOlder);  // a copy of the same client
    open("5", "/dev/dri/renderD128", kNewer);
    open("6", "socket:[123]", kNewer);
    EXPECT_EQ(gpu_bytes_of(7, proc.path()),
              (GpuBytes{(2048U << 10U) + (3U << 20U), (1024U << 10U) + 4096U}));
    EXPECT_EQ(gpu_bytes_of(8, proc.path()), GpuBytes());
}

TEST(GpuMemory, ThisProcessCanBeAsked) {
    EXPECT_EQ(gpu_bytes_of(::getpid()), GpuBytes());
}

}  // namespace
}  // namespace trilane::lane
