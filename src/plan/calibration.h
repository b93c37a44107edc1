// Calibration: what loads were seen to hold beside what was predicted for them, and how later
// predictions follow from it. Pure: plane observes, app remembers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plan/plan.h"
#include "plan/shape.h"

namespace trilane::plan {

/// A corrected need is at most so many times what was predicted, and at least so many times: what
/// is further off is no matter of a formula's last per cents, and must not keep a model out, or
/// others in, for ever. Never less than the weights in any case.
inline constexpr double kCorrectedMax = 2.0;
inline constexpr double kCorrectedMin = 0.75;
/// Less than predicted is believed only of a load that has given so many answers: buffers are
/// touched when they are first needed. More than predicted is believed at once.
inline constexpr std::uint32_t kSettledAnswers = 3;
/// A load is observed until it has given so many: what it holds after days is no start's need.
inline constexpr std::uint32_t kObservedAnswersMax = 256;
/// Remembered at most; the oldest go.
inline constexpr std::size_t kObservationsMax = 256;
/// How the correction is called where parts are listed.
inline constexpr std::string_view kCorrectionName = "observed correction";

/// Which loads are alike.
struct LoadKind {
    std::string model;               ///< its id
    std::uint64_t weight_bytes = 0;  ///< weight_bytes_of its need: other files under the same id
    std::string lane;                ///< the kind: "llama-server"
    std::string device;              ///< "gpu0"
    KvType kv = KvType::f16;
    std::uint32_t context_tokens = 0;
    std::uint32_t parallel = 1;
    [[nodiscard]] bool operator==(const LoadKind&) const = default;
};

/// The most that a load was seen to hold.
struct Observation {
    LoadKind load;
    std::uint64_t predicted_bytes = 0;
    /// Of these, what fills with use, such as a prompt cache, or cannot be looked at: that it is
    /// not seen says nothing.
    std::uint64_t filling_bytes = 0;
    std::uint64_t observed_bytes = 0;  ///< of the latest such load
    std::uint64_t before_bytes = 0;    ///< of the one before; 0 = there was none
    std::uint32_t answers = 0;         ///< that it had given, up to kObservedAnswersMax
    std::int64_t unix_s = 0;
    /// What counts: the larger of the latest two.
    [[nodiscard]] std::uint64_t most_bytes() const;
};

/// The weights among the parts, by what lanes call them.
std::uint64_t weight_bytes_of(const Need& need);
/// The parts that fill with use, or that nobody can look at.
std::uint64_t filling_bytes_of(const Need& need);

/// What was seen, as a figure that can stand beside `need.predicted_bytes()`: mapped weights count
/// with what of them is in memory. Absent where it cannot be told: not even the weights are seen
/// (they lie in memory whose driver says nothing), or the device is a GPU and nothing on it is
/// seen.
std::optional<std::uint64_t> comparable_bytes(const Need& need, const Observed& observed,
                                              std::string_view device);

/// Notes an observation among `known`. `same_load`: of the same load as the last one of its kind,
/// so that the higher counts; else of the next one. Returns whether anything changed that is worth
/// writing down: more than a per cent, or that it has settled.
bool note(std::vector<Observation>& known, const Observation& fresh, bool same_load);

/// Corrects the need by the best of what is known of such loads: those with as many parallel
/// requests before others, of these the latest. Others say only that more is needed, never less.
/// Correcting twice is as correcting once; a need that nothing is known of stays as it is.
void correct(Need& need, const LoadKind& load, std::span<const Observation> known);

/// Need::bytes(): the predicted bytes and the correction, within the bounds above. Does not shrink
/// as the context grows.
std::uint64_t corrected_bytes(const Need& need);

}  // namespace trilane::plan
