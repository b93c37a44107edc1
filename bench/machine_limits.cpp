// machine_limits: what this machine can do at best, as JSON on standard output: bytes read from
// memory and int8 multiply-adds per second. Kernels and engine figures are quoted as shares of
// these.
#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "os/thread_team.h"
#include "probe/cpu.h"
#if TRILANE_X86_LIMITS
#include "vnni.h"
#endif

namespace trilane::bench {
namespace {

constexpr int kSamples = 9;
constexpr std::size_t kReadBytes = std::size_t{512}
                                   << 20;  ///< far above any last-level cache share
constexpr std::size_t kVnniRounds = 4'000'000;

double seconds(const std::function<void()>& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

/// Sums words in sixteen chains, so that only memory is waited for.
std::uint64_t read_all(const std::uint64_t* words, std::size_t count) {
    std::uint64_t sums[16] = {};
    for (std::size_t i = 0; i + 16 <= count; i += 16) {
        for (std::size_t j = 0; j < 16; ++j) {
            sums[j] += words[i + j];
        }
    }
    std::uint64_t total = 0;
    for (const std::uint64_t sum : sums) {
        total += sum;
    }
    return total;
}

double read_gbs(os::ThreadTeam& team, const std::uint64_t* words) {
    const std::size_t share = kReadBytes / sizeof(std::uint64_t) / team.size();
    const double s = seconds([&] {
        team.run([&](std::size_t worker) {
            const std::uint64_t sum = read_all(words + worker * share, share);
            asm volatile("" : : "r"(sum));
        });
    });
    return static_cast<double>(kReadBytes) / s / 1e9;
}

using Vnni = std::size_t (*)(std::size_t rounds);

/// The widest dot-product instruction of this CPU; null when it has none.
Vnni widest_vnni([[maybe_unused]] std::string& name) {
#if TRILANE_X86_LIMITS
    if (kernels::isa_available(kernels::Isa::avx512)) {
        name = "avx512";
        return vnni_avx512;
    }
    if (kernels::isa_available(kernels::Isa::avxvnni)) {
        name = "avxvnni";
        return vnni_avxvnni;
    }
#endif
    return nullptr;
}

double vnni_gmacs(os::ThreadTeam& team, Vnni vnni) {
    std::vector<std::size_t> macs(team.size());
    const double s =
        seconds([&] { team.run([&](std::size_t worker) { macs[worker] = vnni(kVnniRounds); }); });
    std::size_t total = 0;
    for (const std::size_t m : macs) {
        total += m;
    }
    return static_cast<double>(total) / s / 1e9;
}

int measure() {
    void* memory =
        ::mmap(nullptr, kReadBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fmt::print(stderr, "machine_limits: no {} MiB of memory\n", kReadBytes >> 20);
        return EXIT_FAILURE;
    }
    ::madvise(memory, kReadBytes, MADV_HUGEPAGE);
    std::memset(memory, 1, kReadBytes);
    const auto* words = static_cast<const std::uint64_t*>(memory);

    const probe::CpuFacts cpu = probe::cpu_facts();
    std::string vnni_name = "none";
    const Vnni vnni = widest_vnni(vnni_name);
    std::vector<std::size_t> sizes{1, 2, cpu.cores};
    std::sort(sizes.begin(), sizes.end());
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());

    // Interleaved: a slow spell of a shared machine then touches all sizes alike.
    std::vector<std::vector<double>> reads(sizes.size());
    std::vector<std::vector<double>> macs(sizes.size());
    for (int sample = 0; sample < kSamples; ++sample) {
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            os::ThreadTeam team(sizes[i]);
            reads[i].push_back(read_gbs(team, words));
            macs[i].push_back(vnni != nullptr ? vnni_gmacs(team, vnni) : 0.0);
        }
    }
    ::munmap(memory, kReadBytes);

    std::string rows;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        rows += fmt::format(
            "{}    {{\"threads\": {}, \"read_gb_s\": {:.1f}, \"read_gb_s_max\": {:.1f}, "
            "\"vnni_gmac_s\": {:.0f}, \"vnni_gmac_s_max\": {:.0f}}}",
            i == 0 ? "" : ",\n", sizes[i], median(reads[i]),
            *std::max_element(reads[i].begin(), reads[i].end()), median(macs[i]),
            *std::max_element(macs[i].begin(), macs[i].end()));
    }
    fmt::print(
        "{{\n  \"cpu\": \"{}\",\n  \"cores\": {},\n  \"vnni\": \"{}\",\n  \"samples\": {},\n"
        "  \"limits\": [\n{}\n  ]\n}}\n",
        cpu.model_name, cpu.cores, vnni_name, kSamples, rows);
    return EXIT_SUCCESS;
}

}  // namespace
}  // namespace trilane::bench

int main() {
    return trilane::bench::measure();
}
