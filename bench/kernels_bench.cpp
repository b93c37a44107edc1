// kernels_bench [ISA …]: one thread, every matrix kernel of the named tables (default: all this CPU
// can run): GB/s of weights at one token from the second-level cache and from memory, GMAC/s at 512
// tokens. Samples of all cases are interleaved; medians are printed, as a table.
#include <fmt/core.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/block_formats.h"
#include "kernels/kernels.h"
#include "probe/cpu.h"

namespace trilane::bench {
namespace {

using kernels::Isa;
using kernels::KernelTable;

constexpr int kSamples = 7;
constexpr double kSampleSecondsMin = 0.02;
constexpr std::size_t kColumns = 2560;
constexpr std::size_t kCacheBytes = std::size_t{384} << 10;
constexpr std::size_t kMemoryBytes = std::size_t{192} << 20;
constexpr std::size_t kGemmTokens = 512;
constexpr std::size_t kGemmRows = 2560;

struct Kind {
    const char* name;
    kernels::Matmul KernelTable::*op;
    double bytes_per_weight;
    bool per_token;
};
const Kind kKinds[] = {
    {"t2_i8", &KernelTable::t2_i8, 0.25, true},
    {"q8_0", &KernelTable::q8_0, 34.0 / 32, false},
    {"q4_0", &KernelTable::q4_0, 18.0 / 32, false},
    {"q4_k", &KernelTable::q4_k, 144.0 / 256, false},
    {"q5_k", &KernelTable::q5_k, 176.0 / 256, false},
    {"q6_k", &KernelTable::q6_k, 210.0 / 256, false},
    {"f16", &KernelTable::f16, 2.0, false},
};

/// Weights in large pages where the kernel gives them, all the byte 0x11: a valid value everywhere.
/// The process ends with the program; nothing is unmapped.
std::uint8_t* mapped_weights() {
    constexpr std::size_t kLargePage = std::size_t{2} << 20;
    constexpr std::size_t kBytes = kMemoryBytes + kLargePage;
    void* memory =
        ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fmt::print(stderr, "kernels_bench: no {} MiB of memory\n", kBytes >> 20);
        std::exit(EXIT_FAILURE);
    }
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    auto* aligned = reinterpret_cast<std::uint8_t*>((address + kLargePage - 1) & ~(kLargePage - 1));
    ::madvise(aligned, kMemoryBytes, MADV_HUGEPAGE);
    std::memset(aligned, 0x11, kMemoryBytes);
    return aligned;
}

/// What every case reads.
struct Inputs {
    std::uint8_t* weights = mapped_weights();
    std::vector<float> x = std::vector<float>(kGemmTokens * kColumns, 0.5F);
    std::vector<std::int8_t> xq = std::vector<std::int8_t>(kGemmTokens * kColumns, 3);
    std::vector<float> scale = std::vector<float>(kGemmTokens * kColumns / kernels::kGroup, 0.1F);
    std::vector<std::int32_t> sum = std::vector<std::int32_t>(scale.size(), 96);
    std::vector<float> y;
};

struct Case {
    std::string name;
    kernels::Matmul op;
    kernels::MatmulArgs args;
    double units;  ///< bytes or multiply-adds of one call
    int calls = 1;
    std::vector<double> rates;
};

/// CPU time of this thread: what other processes take on a shared machine does not count.
double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double run(Case& c) {
    const double begin = cpu_seconds();
    for (int i = 0; i < c.calls; ++i) {
        c.op(c.args);
    }
    return cpu_seconds() - begin;
}

std::size_t rows_of(const Kind& kind, std::size_t bytes) {
    const double row_bytes = kind.bytes_per_weight * static_cast<double>(kColumns);
    const auto rows = static_cast<std::size_t>(static_cast<double>(bytes) / row_bytes);
    return std::max<std::size_t>(rows / 32 * 32, 32);
}

void add_cases(std::vector<Case>& cases, const KernelTable& table, const Kind& kind, Inputs& in) {
    kernels::MatmulArgs args;
    args.weights = in.weights;
    args.k = kColumns;
    args.n = 1;
    args.x = in.x.data();
    args.x_stride = kColumns;
    args.xq = in.xq.data();
    args.x_scale = in.scale.data();
    args.x_sum = in.sum.data();
    args.x_group_stride = kind.per_token ? 1 : kColumns / kernels::kGroup;
    args.y = in.y.data();
    const double row_bytes = kind.bytes_per_weight * static_cast<double>(kColumns);
    const auto add = [&](const char* what, std::size_t rows, std::size_t tokens, bool macs) {
        args.row_end = args.y_stride = rows;
        args.n = tokens;
        const double bytes = row_bytes * static_cast<double>(rows);
        const double work = static_cast<double>(rows * kColumns * tokens);
        cases.push_back({fmt::format("{:8} {:6} {}", isa_name(table.isa), kind.name, what),
                         table.*kind.op,
                         args,
                         macs ? work : bytes,
                         1,
                         {}});
    };
    add("1 token, cache      GB/s", rows_of(kind, kCacheBytes), 1, false);
    if (table.isa == Isa::generic) {
        return;  // the reference is not meant to be fast
    }
    add("1 token, memory     GB/s", rows_of(kind, kMemoryBytes), 1, false);
    add("8 tokens, memory    GB/s", rows_of(kind, kMemoryBytes / 4), 8, false);
    add("512 tokens        GMAC/s", kGemmRows, kGemmTokens, true);
}

int measure(const std::vector<Isa>& isas) {
    Inputs in;
    in.y.resize(std::max(kGemmTokens * kGemmRows, 2 * rows_of(kKinds[0], kMemoryBytes)));
    std::vector<Case> cases;
    for (const Isa isa : isas) {
        const auto table = kernels::table_for(isa);
        if (!table) {
            fmt::print(stderr, "kernels_bench: {}\n", table.error().message);
            return EXIT_FAILURE;
        }
        for (const Kind& kind : kKinds) {
            add_cases(cases, **table, kind, in);
        }
    }
    for (Case& c : cases) {
        while (run(c) < kSampleSecondsMin) {
            c.calls *= 2;
        }
    }
    for (int sample = 0; sample < kSamples; ++sample) {
        for (Case& c : cases) {
            c.rates.push_back(c.units * c.calls / run(c) / 1e9);
        }
    }
    fmt::print("{}\n{:44} median    max\n", probe::cpu_facts().model_name, "isa      kernel case");
    for (Case& c : cases) {
        std::sort(c.rates.begin(), c.rates.end());
        fmt::print("{:44} {:6.1f} {:6.1f}\n", c.name, c.rates[c.rates.size() / 2], c.rates.back());
    }
    return EXIT_SUCCESS;
}

}  // namespace
}  // namespace trilane::bench

int main(int argc, char** argv) {
    std::vector<trilane::kernels::Isa> isas;
    for (int i = 1; i < argc; ++i) {
        const auto isa = trilane::kernels::isa_from_name(argv[i]);
        if (!isa) {
            fmt::print(stderr, "kernels_bench: {}\n", isa.error().message);
            return EXIT_FAILURE;
        }
        isas.push_back(*isa);
    }
    if (isas.empty()) {
        isas = trilane::probe::cpu_facts().isas;
    }
    return trilane::bench::measure(isas);
}
