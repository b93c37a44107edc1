// The checks by what they are about, and what they share. Inside of doctor only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "doctor/doctor.h"
#include "doctor/version.h"

namespace trilane::doctor {

// What is known of versions. Change them when more becomes known; versions outside a known range
// are warned of, never refused.
inline constexpr Version kFlmKnownMin{{0, 9, 40}};
inline constexpr Version kFlmKnownMax{{1, 0, 11}};
/// Below it gfx1151 hangs under load.
inline constexpr Version kGfx1151KernelMin{{6, 18, 4}};
/// FLM starts from here on; below 7.0 its driver comes from amdxdna-dkms.
inline constexpr Version kFlmKernelMin{{6, 17, 0}};
inline constexpr Version kNpuFirmwareMin{{1, 1, 0}};
/// The first series of Mesa that was made with gfx1151 at hand.
inline constexpr Version kGfx1151MesaMin{{25, 0, 0}};
/// amdgpu's scheduler firmware in linux-firmware 20251125: ROCm faults and hangs with it.
inline constexpr std::uint32_t kBadMesFirmware = 0x83;
inline constexpr std::string_view kBadLinuxFirmware = "20251125";
/// What FLM asks of RLIMIT_MEMLOCK before it tries at all.
inline constexpr std::uint64_t kFlmMemlockMin = std::uint64_t{100} << 20U;

/// A share of system memory that the GPU of an APU should be able to reach.
inline constexpr double kGttShareMin = 0.75;
/// Of all memory, what the firmware may cut out for it.
inline constexpr double kCarveOutShareMax = 0.125;
/// Percent of the last 10 s in which somebody waited for memory.
inline constexpr double kPressureMax = 10.0;
inline constexpr double kAvailableShareMin = 0.10;
inline constexpr double kSwapUsedShareMax = 0.5;

/// What checks look at, with the engines sorted out.
struct View {
    const probe::Machine& machine;
    const Surroundings& around;
    const probe::Engine* flm = nullptr;    ///< the first one; null = none is installed
    bool has_rocm_build = false;           ///< a llama-server that offers a ROCm device
    const LlamaLane* rocm_lane = nullptr;  ///< the first that works with ROCm; null = none does
    /// Whether somebody means to use the NPU: only then is it a failure that it cannot be used.
    [[nodiscard]] bool npu_matters() const { return around.npu_wanted || flm != nullptr; }
};

/// A finding in the making: what it is about, then what became of it.
class Check {
public:
    Check(std::string id, std::string title) {
        finding_.id = std::move(id);
        finding_.title = std::move(title);
    }
    Finding ok(std::string evidence) { return made(State::ok, std::move(evidence), ""); }
    Finding skipped(std::string why) { return made(State::skipped, std::move(why), ""); }
    Finding unknown(std::string evidence, std::string fix) {
        return made(State::unknown, std::move(evidence), std::move(fix));
    }
    Finding warning(std::string evidence, std::string fix) {
        return made(State::warning, std::move(evidence), std::move(fix));
    }
    Finding failure(std::string evidence, std::string fix) {
        return made(State::failure, std::move(evidence), std::move(fix));
    }
    Finding bad(bool is_failure, std::string evidence, std::string fix) {
        return made(is_failure ? State::failure : State::warning, std::move(evidence),
                    std::move(fix));
    }

private:
    Finding made(State state, std::string evidence, std::string fix) {
        finding_.state = state;
        finding_.evidence = std::move(evidence);
        finding_.fix = std::move(fix);
        return std::move(finding_);
    }
    Finding finding_;
};

std::vector<Finding> system_checks(const View& view);
std::vector<Finding> gpu_checks(const View& view);
std::vector<Finding> npu_checks(const View& view);
std::vector<Finding> memory_checks(const View& view);
std::vector<Finding> engine_checks(const View& view);

/// gfx1151: the GPU of Strix Halo.
bool is_gfx1151(const probe::GpuFacts& gpu);

}  // namespace trilane::doctor
