// Memory of a machine as loads see it, and the verdict on one load. Who goes is choice.cpp's.
#include "plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/bytes.h"
#include "plan/calibration.h"
#include "plan/choice.h"

namespace trilane::plan {
namespace {

/// A reserve never takes more of a pool than this, or small pools would be of no use.
constexpr std::uint64_t kReserveDivisorMin = 4;

/// The kernel lets an AMD GPU map half of the memory where nothing else is set.
constexpr std::uint64_t kGttDivisorDefault = 2;

/// Contexts beyond this are not looked for when the model's own is unknown.
constexpr std::uint32_t kContextTokensMax = 1U << 22U;

/// So many parts of a need are named in a sentence.
constexpr std::size_t kPartsNamed = 4;

std::uint64_t reserve_of(const Reserve& reserve, std::uint64_t total_bytes, bool is_system) {
    if (is_system && reserve.bytes.has_value()) {
        return std::min(*reserve.bytes, total_bytes);
    }
    const auto share = static_cast<std::uint64_t>(static_cast<double>(total_bytes) *
                                                  std::clamp(reserve.share, 0.0, 1.0));
    const std::uint64_t wanted =
        std::min(std::max(share, is_system ? reserve.bytes_min : 0), reserve.bytes_max);
    return std::min(wanted, total_bytes / kReserveDivisorMin);
}

/// What one GPU may draw from. Its own pool is named after it.
Device gpu_device(const probe::Machine& machine, std::size_t index) {
    const probe::GpuFacts& gpu = machine.gpus[index];
    Device device{fmt::format("gpu{}", index), {}};
    for (std::size_t p = 1; p < machine.pools.size(); ++p) {
        if (machine.pools[p].name.ends_with(':' + gpu.name)) {
            device.shares.push_back({p, machine.pools[p].total_bytes});
        }
    }
    if (gpu.integrated && !machine.pools.empty()) {
        const std::uint64_t total = machine.pools.front().total_bytes;
        const std::uint64_t unknown =
            gpu.vendor == probe::Vendor::amd ? total / kGttDivisorDefault : total;
        device.shares.push_back(
            {0, gpu.gtt_total_bytes.known() ? gpu.gtt_total_bytes.value : unknown});
    }
    return device;
}

/// The pool that a device has for itself: a GPU's own memory, or its carve-out.
std::optional<std::size_t> own_pool(const Memory& memory, std::string_view device) {
    const Device* known = memory.device(device);
    if (known != nullptr) {
        for (const Share& share : known->shares) {
            if (share.pool != 0) {
                return share.pool;
            }
        }
    }
    return std::nullopt;
}

/// What of that lies within what was claimed. Nobody has planned the rest: it counts as foreign.
std::uint64_t within_claim(const Occupant& one, std::size_t pool, std::uint64_t seen_bytes) {
    if (one.claim.empty()) {
        return seen_bytes;
    }
    return std::min(seen_bytes, pool < one.claim.size() ? one.claim[pool] : 0);
}

/// What the occupants hold of each pool, as far as they have claimed it.
std::vector<std::uint64_t> held_bytes(const Memory& memory, std::size_t pools,
                                      std::span<const Occupant> occupants) {
    std::vector<std::uint64_t> held(std::max<std::size_t>(pools, 1), 0);
    for (const Occupant& one : occupants) {
        const Observed& seen = one.observed;
        held[0] = plus(held[0], within_claim(one, 0, seen.own_bytes + seen.gpu_bytes));
        if (const auto own = own_pool(memory, one.device)) {
            const bool told = seen.gpu_bytes + seen.vram_bytes > 0;
            const std::uint64_t untold = one.claim.empty() ? 0 : kAll;
            held[*own] = plus(held[*own], within_claim(one, *own, told ? seen.vram_bytes : untold));
        }
    }
    return held;
}

std::string shown(std::uint64_t bytes) {
    const auto value = static_cast<double>(bytes);
    if (value < 999.5e6) {
        return fmt::format("{:.0f} MB", value / 1e6);
    }
    return fmt::format("{:.{}f} GB", value / 1e9, value < 99.95e9 ? 1 : 0);
}

/// "131,072"
std::string shown_count(std::uint32_t count) {
    std::string text = fmt::format("{}", count);
    for (std::size_t at = text.size(); at > 3;) {
        at -= 3;
        text.insert(at, 1, ',');
    }
    return text;
}

/// "a", "a and b", "a, b and c"
std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string_view before = i == 0 ? "" : i + 1 == names.size() ? " and " : ", ";
        text += fmt::format("{}{}", before, names[i]);
    }
    return text;
}

/// ", observed correction +0.3 GB"; "" = none that changes anything
std::string shown_correction(const Need& need) {
    const std::uint64_t predicted = need.predicted_bytes();
    const std::uint64_t planned = need.bytes();
    if (planned == predicted) {
        return "";
    }
    const bool more = planned > predicted;
    return fmt::format(", {} {}{}", kCorrectionName, more ? "+" : "-",
                       shown(more ? planned - predicted : predicted - planned));
}

/// "5.4 GB (weights 4.1 GB, KV cache 1.1 GB, …, observed correction +0.2 GB)"
std::string shown_need(const Need& need) {
    std::vector<Part> parts = need.parts;
    std::erase_if(parts, [](const Part& part) { return part.bytes == 0; });
    std::stable_sort(parts.begin(), parts.end(),
                     [](const Part& a, const Part& b) { return a.bytes > b.bytes; });
    std::string text;
    for (std::size_t i = 0; i < std::min(parts.size(), kPartsNamed); ++i) {
        text += fmt::format("{}{} {}", i == 0 ? "" : ", ", parts[i].what, shown(parts[i].bytes));
    }
    text += parts.size() > kPartsNamed ? ", …" : "";
    text += shown_correction(need);
    return fmt::format("{}{}", shown(need.bytes()), text.empty() ? "" : fmt::format(" ({})", text));
}

/// One question with everything its answer is made from.
class Judging {
public:
    Judging(const Memory& memory, std::span<const Holding> holdings, const Device& device,
            const Need& need)
        : memory_(memory),
          holdings_(holdings),
          device_(device),
          need_(need),
          room_(memory, device, holdings),
          stays_(holdings.size(), true) {}

    Verdict verdict() {
        verdict_.need_bytes = need_.bytes();
        verdict_.room_bytes = room_.bytes(stays_);
        const auto gone = choose_evictions(room_, holdings_, verdict_.need_bytes);
        for (const std::size_t i : gone) {
            stays_[i] = false;
        }
        verdict_.room_after_eviction_bytes = room_.bytes(stays_);
        if (verdict_.room_after_eviction_bytes >= verdict_.need_bytes) {
            verdict_.fit = leaves_little() ? Fit::tight : Fit::fits;
            place();
            for (const std::size_t i : gone) {
                verdict_.evict.push_back(holdings_[i].model);
            }
        }
        verdict_.context_tokens_max = largest_context();
        verdict_.text = verdict_.fit == Fit::does_not_fit ? refusal(gone) : acceptance();
        return std::move(verdict_);
    }

private:
    [[nodiscard]] bool leaves_little() const {
        std::uint64_t capacity = 0;
        for (const Share& share : device_.shares) {
            capacity += std::min(share.limit_bytes, memory_.pools[share.pool].total_bytes);
        }
        const std::uint64_t left = verdict_.room_after_eviction_bytes - verdict_.need_bytes;
        return static_cast<double>(left) < kTightShare * static_cast<double>(capacity);
    }

    void place() {
        verdict_.pool_bytes.assign(memory_.pools.size(), 0);
        std::uint64_t left = verdict_.need_bytes;
        const std::vector<std::uint64_t> room = room_.by_share(stays_);
        for (std::size_t s = 0; s < room.size(); ++s) {
            const std::uint64_t taken = std::min(left, room[s]);
            verdict_.pool_bytes[device_.shares[s].pool] += taken;
            left -= taken;
        }
    }

    [[nodiscard]] bool context_fits(std::uint32_t tokens) const {
        return at_context(need_, tokens).bytes() <= verdict_.room_after_eviction_bytes;
    }

    [[nodiscard]] std::uint32_t largest_context() const {
        if (need_.bytes_per_context_token <= 0) {
            const std::uint32_t any =
                need_.context_tokens_max > 0 ? need_.context_tokens_max : need_.context_tokens;
            return context_fits(any) ? any : 0;
        }
        const std::uint32_t most =
            need_.context_tokens_max > 0 ? need_.context_tokens_max : kContextTokensMax;
        if (context_fits(most)) {
            return most;
        }
        std::uint32_t fits = 0;  // steps
        std::uint32_t fails = most / kContextStep + 1;
        while (fails - fits > 1) {
            const std::uint32_t middle = fits + (fails - fits) / 2;
            (context_fits(middle * kContextStep) ? fits : fails) = middle;
        }
        return fits * kContextStep;
    }

    /// "system", "carve-out:card0 and system"
    [[nodiscard]] std::string pool_names() const {
        std::vector<std::string> names;
        names.reserve(device_.shares.size());
        for (const Share& share : device_.shares) {
            names.push_back(memory_.pools[share.pool].name);
        }
        return listed(names);
    }

    [[nodiscard]] std::string acceptance() const {
        std::string text = fmt::format("needs {} of {} free in {}", shown_need(need_),
                                       shown(verdict_.room_bytes), pool_names());
        if (!verdict_.evict.empty()) {
            text += fmt::format(", {} after unloading {}",
                                shown(verdict_.room_after_eviction_bytes), listed(verdict_.evict));
        }
        if (need_.bytes_per_context_token > 0) {
            text += fmt::format("; the largest context that fits is {} tokens",
                                shown_count(verdict_.context_tokens_max));
        }
        return text;
    }

    [[nodiscard]] std::string refusal(const std::vector<std::size_t>& gone) const {
        std::string text = fmt::format("needs {}, but {} has {} free in {}", shown_need(need_),
                                       device_.name, shown(verdict_.room_bytes), pool_names());
        if (!gone.empty()) {
            std::vector<std::string> names;
            names.reserve(gone.size());
            for (const std::size_t i : gone) {
                names.push_back(holdings_[i].model);
            }
            text += fmt::format(", {} after unloading {}",
                                shown(verdict_.room_after_eviction_bytes), listed(names));
        }
        return text + "; " + advice();
    }

    /// What would make it fit, the mildest first.
    [[nodiscard]] std::string advice() const {
        std::vector<std::string> ways;
        if (verdict_.context_tokens_max > 0) {
            ways.push_back(fmt::format("use a context of at most {} tokens{}",
                                       shown_count(verdict_.context_tokens_max),
                                       need_.parallel > 1 ? " or fewer parallel requests" : ""));
        }
        const std::uint64_t lacking = verdict_.need_bytes - verdict_.room_after_eviction_bytes;
        if (need_.q8_kv_saves_bytes >= lacking) {
            ways.emplace_back("use a q8 KV cache");
        }
        std::vector<std::string> keepers;
        std::uint64_t kept = 0;
        for (std::size_t i = 0; i < holdings_.size(); ++i) {
            if (!holdings_[i].evictable && room_.concerns(i)) {
                keepers.push_back(
                    fmt::format("{} ({})", holdings_[i].model, shown(holdings_[i].bytes())));
                kept += holdings_[i].bytes();
            }
        }
        if (kept >= lacking) {
            ways.push_back(fmt::format("free what is pinned or in use: {}", listed(keepers)));
        }
        if (verdict_.context_tokens_max == 0 || ways.empty()) {
            ways.push_back(
                fmt::format("use a smaller model or quantization: {} too much", shown(lacking)));
        }
        std::string text;
        for (const std::string& way : ways) {
            text += (text.empty() ? "" : ", or ") + way;
        }
        return text;
    }

    const Memory& memory_;
    std::span<const Holding> holdings_;
    const Device& device_;
    const Need& need_;
    Room room_;
    std::vector<bool> stays_;
    Verdict verdict_;
};

}  // namespace

const Device* Memory::device(std::string_view name) const {
    const auto at = std::find_if(devices.begin(), devices.end(),
                                 [&](const Device& device) { return device.name == name; });
    return at == devices.end() ? nullptr : &*at;
}

Memory memory_of(const probe::Machine& machine, const Reserve& reserve,
                 std::span<const Occupant> occupants) {
    Memory memory;
    const std::vector<Share> system =
        machine.pools.empty() ? std::vector<Share>{}
                              : std::vector<Share>{{0, machine.pools.front().total_bytes}};
    memory.devices.push_back({"cpu", system});
    if (!machine.npus.empty()) {
        memory.devices.push_back({"npu", system});
    }
    for (std::size_t i = 0; i < machine.gpus.size(); ++i) {
        memory.devices.push_back(gpu_device(machine, i));
    }
    const std::vector<std::uint64_t> held = held_bytes(memory, machine.pools.size(), occupants);
    for (std::size_t p = 0; p < machine.pools.size(); ++p) {
        const probe::MemoryPool& pool = machine.pools[p];
        const std::uint64_t used = less(pool.total_bytes, pool.available_bytes);
        memory.pools.push_back({pool.name, pool.total_bytes,
                                reserve_of(reserve, pool.total_bytes, p == 0),
                                pool.live ? less(used, held[p]) : used});
    }
    return memory;
}

std::uint64_t Need::predicted_bytes() const {
    std::uint64_t sum = 0;
    for (const Part& part : parts) {
        sum = plus(sum, part.bytes);
    }
    return sum;
}

std::uint64_t Need::bytes() const {
    return corrected_bytes(*this);
}

Need at_context(Need need, std::uint32_t context_tokens) {
    const double change =
        (static_cast<double>(context_tokens) - need.context_tokens) * need.bytes_per_context_token;
    for (Part& part : need.parts) {
        if (part.what == "KV cache") {
            const double bytes = std::max(0.0, static_cast<double>(part.bytes) + change);
            part.bytes = bytes < 0x1p63 ? static_cast<std::uint64_t>(std::ceil(bytes)) : kAll;
        }
    }
    need.context_tokens = context_tokens;
    return need;
}

std::uint64_t Holding::bytes() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t bytes : pool_bytes) {
        sum = plus(sum, bytes);
    }
    return sum;
}

std::string_view fit_name(Fit fit) {
    switch (fit) {
        case Fit::fits:
            return "fits";
        case Fit::tight:
            return "tight";
        case Fit::does_not_fit:
            break;
    }
    return "does not fit";
}

Verdict judge(const Memory& memory, std::span<const Holding> holdings, std::string_view device,
              const Need& need) {
    const Device* known = memory.device(device);
    if (known != nullptr && !known->shares.empty()) {
        return Judging(memory, holdings, *known, need).verdict();
    }
    Verdict verdict;
    verdict.need_bytes = need.bytes();
    std::vector<std::string> names;
    for (const Device& one : memory.devices) {
        names.push_back(one.name);
    }
    verdict.text = known != nullptr
                       ? fmt::format(
                             "how much memory {} has could not be read; use another "
                             "device ({})",
                             device, listed(names))
                       : fmt::format("there is no device {} here; use {}", device, listed(names));
    return verdict;
}

}  // namespace trilane::plan
