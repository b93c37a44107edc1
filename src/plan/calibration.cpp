#include "plan/calibration.h"

#include <algorithm>
#include <array>

#include "plan/bytes.h"

namespace trilane::plan {
namespace {

/// Figures beyond this are nonsense; below it, differences fit into 64 bits with a sign.
constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 60U;
/// A change of less is not worth writing down.
constexpr std::uint64_t kChangeDivisorMin = 100;

constexpr std::array<std::string_view, 2> kWeights{"weights", "footprint"};
constexpr std::array<std::string_view, 2> kFilling{"prompt cache", "context checkpoints"};

template <std::size_t N>
std::uint64_t sum_of(const Need& need, const std::array<std::string_view, N>& names) {
    std::uint64_t sum = 0;
    for (const Part& part : need.parts) {
        if (std::ranges::find(names, part.what) != names.end()) {
            sum = plus(sum, part.bytes);
        }
    }
    return sum;
}

/// Alike but for the context and the requests at once.
bool alike(const LoadKind& a, const LoadKind& b) {
    return a.model == b.model && a.weight_bytes == b.weight_bytes && a.lane == b.lane &&
           a.device == b.device && a.kv == b.kv;
}

const Observation* best_of(std::span<const Observation> known, const LoadKind& load) {
    const auto rank = [&](const Observation& one) {
        return std::pair(one.load.parallel == load.parallel, one.unix_s);
    };
    const Observation* best = nullptr;
    for (const Observation& one : known) {
        if (alike(one.load, load) && (best == nullptr || rank(one) >= rank(*best))) {
            best = &one;
        }
    }
    return best;
}

/// What one observation says against a prediction of the same load; 0 = nothing.
std::int64_t change_of(const Observation& seen, std::uint64_t predicted_bytes) {
    const std::uint64_t predicted = std::min(predicted_bytes, kBytesMax);
    const std::uint64_t held = std::min(seen.most_bytes(), kBytesMax);
    if (held > predicted) {
        return static_cast<std::int64_t>(held - predicted);
    }
    const std::uint64_t at_most = plus(held, seen.filling_bytes);
    const bool settled = seen.answers >= kSettledAnswers;
    return settled && at_most < predicted ? -static_cast<std::int64_t>(predicted - at_most) : 0;
}

bool differs(std::uint64_t a, std::uint64_t b) {
    return std::max(a, b) - std::min(a, b) > std::max(a, b) / kChangeDivisorMin;
}

}  // namespace

std::uint64_t Observation::most_bytes() const {
    return std::max(observed_bytes, before_bytes);
}

std::uint64_t weight_bytes_of(const Need& need) {
    return sum_of(need, kWeights);
}

std::uint64_t filling_bytes_of(const Need& need) {
    std::uint64_t sum = sum_of(need, kFilling);
    for (const Part& part : need.parts) {
        sum = plus(sum, part.elusive ? part.bytes : 0);
    }
    return sum;
}

std::optional<std::uint64_t> comparable_bytes(const Need& need, const Observed& observed,
                                              std::string_view device) {
    const std::uint64_t weights = weight_bytes_of(need);
    const std::uint64_t seen = plus(observed.bytes(), std::min(observed.file_bytes, weights));
    const bool blind =
        device.starts_with("gpu") && observed.gpu_bytes == 0 && observed.vram_bytes == 0;
    if (seen == 0 || seen < weights || blind) {
        return std::nullopt;
    }
    return seen;
}

bool note(std::vector<Observation>& known, const Observation& fresh, bool same_load) {
    const auto at = std::ranges::find(known, fresh.load, &Observation::load);
    if (at == known.end()) {
        if (known.size() >= kObservationsMax) {
            known.erase(std::ranges::min_element(known, {}, &Observation::unix_s));
        }
        known.push_back(fresh);
        return true;
    }
    const Observation old = *at;
    *at = fresh;
    at->before_bytes = same_load ? old.before_bytes : old.observed_bytes;
    if (same_load) {
        at->observed_bytes = std::max(old.observed_bytes, fresh.observed_bytes);
    }
    return !same_load || differs(old.observed_bytes, at->observed_bytes) ||
           (old.answers < kSettledAnswers) != (at->answers < kSettledAnswers);
}

void correct(Need& need, const LoadKind& load, std::span<const Observation> known) {
    need.correction.reset();
    const Observation* seen = best_of(known, load);
    if (seen == nullptr) {
        return;
    }
    const bool same_shape = seen->load.parallel == load.parallel;
    const std::uint32_t context = need.context_tokens == 0 ? 0 : seen->load.context_tokens;
    const std::uint64_t there =
        context == 0 ? need.predicted_bytes() : at_context(need, context).predicted_bytes();
    // Today's formula beside what was seen then; of another shape only what was said then can be.
    std::int64_t change = change_of(*seen, same_shape ? there : seen->predicted_bytes);
    change = same_shape ? change : std::max<std::int64_t>(change, 0);
    Correction& correction = need.correction.emplace();
    correction.bytes = change;
    correction.context_tokens = seen->load.context_tokens;
    correction.total_bytes = change < 0 ? less(there, static_cast<std::uint64_t>(-change))
                                        : plus(there, static_cast<std::uint64_t>(change));
    correction.predicted_bytes = seen->predicted_bytes;
    correction.observed_bytes = seen->most_bytes();
    correction.unix_s = seen->unix_s;
}

std::uint64_t corrected_bytes(const Need& need) {
    const std::uint64_t predicted = need.predicted_bytes();
    if (!need.correction || need.correction->bytes == 0) {
        return predicted;
    }
    const Correction& correction = *need.correction;
    if (correction.bytes > 0) {
        return std::min(plus(predicted, static_cast<std::uint64_t>(correction.bytes)),
                        scaled(predicted, kCorrectedMax));
    }
    // A shorter context takes no more than the longer one was seen to; how much less, nobody saw.
    const std::uint64_t lower =
        need.context_tokens < correction.context_tokens
            ? std::min(predicted, correction.total_bytes)
            : less(predicted, static_cast<std::uint64_t>(-correction.bytes));
    return std::max({lower, scaled(predicted, kCorrectedMin), weight_bytes_of(need)});
}

}  // namespace trilane::plan
