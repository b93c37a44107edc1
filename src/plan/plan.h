// Plan: does a model fit, where, with what context, and who would have to go. Pure arithmetic over
// facts that were read elsewhere: no files, no processes, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "probe/machine.h"

namespace trilane::plan {

/// Bytes that loads never take from a pool, for the system and everybody else: so large a share
/// of the pool, within these bounds. Memory of a GPU's own knows no lower bound: the system does
/// not live there.
struct Reserve {
    double share = 0.06;
    std::uint64_t bytes_min = std::uint64_t{1} << 30U;
    std::uint64_t bytes_max = std::uint64_t{8} << 30U;
    std::optional<std::uint64_t> bytes;  ///< set by the user: exactly so much of system memory
};

/// One pool of memory as loads see it.
struct Pool {
    std::string name;
    std::uint64_t total_bytes = 0;
    std::uint64_t reserve_bytes = 0;
    /// Held by others than the residents, as last observed.
    std::uint64_t foreign_bytes = 0;
};

/// What a device may draw from, in the order in which it does: an APU's GPU takes its carve-out
/// first, then system memory up to the GTT's limit.
struct Share {
    std::size_t pool = 0;           ///< index into Memory::pools
    std::uint64_t limit_bytes = 0;  ///< of this device from this pool
};
struct Device {
    std::string name;  ///< "cpu", "npu", "gpu0" …: as lanes name it
    std::vector<Share> shares;
    /// How much it has is being asked for: who has no shares yet should wait rather than give up.
    bool awaited = false;
};

struct Memory {
    std::vector<Pool> pools;
    std::vector<Device> devices;
    [[nodiscard]] const Device* device(std::string_view name) const;
};

/// What one process is seen to hold, by where it lies.
struct Observed {
    std::uint64_t own_bytes = 0;   ///< of system memory, with no file behind it
    std::uint64_t gpu_bytes = 0;   ///< of system memory, given to GPUs (GTT)
    std::uint64_t vram_bytes = 0;  ///< of GPUs' own memory
    /// Of model files that it maps, what is in memory. Not among bytes(): the system counts such
    /// pages as available.
    std::uint64_t file_bytes = 0;
    bool in_this_process = false;  ///< own_bytes are among this process's own
    [[nodiscard]] std::uint64_t bytes() const { return own_bytes + gpu_bytes + vram_bytes; }
    [[nodiscard]] bool operator==(const Observed&) const = default;
};

/// Somebody of ours in memory: a resident, or a load that has begun.
struct Occupant {
    std::string device;
    std::vector<std::uint64_t> claim;  ///< of each pool, as it was planned; empty = not bounded
    Observed observed;
};

/// The pools and devices of a machine. What the occupants are seen to hold of what they claim is
/// not foreign; the rest of what is in use is, what they hold beyond their claims included. Of a
/// GPU's own memory whose driver does not say who holds it, they hold what they claim. Pools that
/// are not `live` were read when nobody of ours was in them.
Memory memory_of(const probe::Machine& machine, const Reserve& reserve,
                 std::span<const Occupant> occupants = {});

/// One part of what a load takes.
struct Part {
    std::string what;  ///< "weights", "KV cache", "compute buffers", "prompt cache", "engine"
    std::uint64_t bytes = 0;
    /// That not all of it is seen says nothing: it fills with use, or nobody can look at it.
    bool elusive = false;
};

/// What observing such a load has taught about the prediction: see calibration.h.
struct Correction {
    std::int64_t bytes = 0;  ///< it holds so much more than the parts say; negative = less
    std::uint32_t context_tokens = 0;   ///< of the load that was observed
    std::uint64_t total_bytes = 0;      ///< what the correction comes to at that context
    std::uint64_t predicted_bytes = 0;  ///< of that load, then
    std::uint64_t observed_bytes = 0;   ///< and what it was seen to hold
    std::int64_t unix_s = 0;            ///< when
};

/// What a load takes, and what would change with the context.
struct Need {
    std::vector<Part> parts;
    std::uint32_t context_tokens = 0;  ///< of one request, that the parts stand for
    std::uint32_t parallel = 1;
    double bytes_per_context_token = 0;    ///< over all parallel requests
    std::uint32_t context_tokens_max = 0;  ///< what the model was made for; 0 = not known
    std::uint64_t q8_kv_saves_bytes = 0;   ///< by a Q8_0 KV cache; 0 = nothing, or it has one
    std::optional<Correction> correction;  ///< absent = nothing like it was observed
    /// The sum of the parts: what formulas say.
    [[nodiscard]] std::uint64_t predicted_bytes() const;
    /// The same after the correction: what is planned with.
    [[nodiscard]] std::uint64_t bytes() const;
};

/// The same load with another context: its part "KV cache" grows or shrinks.
Need at_context(Need need, std::uint32_t context_tokens);

/// What somebody already holds. Bytes lie in pools as `place` put them.
struct Holding {
    std::string model;
    std::string device;
    std::vector<std::uint64_t> pool_bytes;  ///< one per pool
    bool evictable = true;                  ///< not pinned and not leased
    std::uint64_t last_used = 0;            ///< larger = later
    std::int32_t priority = 0;              ///< larger stays longer
    [[nodiscard]] std::uint64_t bytes() const;
};

enum class Fit { fits, tight, does_not_fit };
std::string_view fit_name(Fit fit);

struct Verdict {
    Fit fit = Fit::does_not_fit;
    std::uint64_t need_bytes = 0;
    std::uint64_t room_bytes = 0;  ///< for this device, beside all holdings
    /// The same without `evict`; when it does not fit, without everybody evictable.
    std::uint64_t room_after_eviction_bytes = 0;
    std::vector<std::uint64_t> pool_bytes;  ///< where it would lie, when it fits
    std::vector<std::string> evict;  ///< models that must go first, in that order; as few as needed
    /// The largest that fits beside what stays, in whole steps of kContextStep; 0 = none does.
    std::uint32_t context_tokens_max = 0;
    std::string text;  ///< for people: the numbers in one or two sentences
};

/// Whether `need` fits on `device`: in what is free, else after evicting evictable holdings that
/// hold memory of the same pools. Nobody of a higher priority goes where those of lower ones do,
/// within a priority as few as possible go, and of those the least recently used.
/// `tight`: it fits, but leaves less than kTightShare of what the device may draw from.
Verdict judge(const Memory& memory, std::span<const Holding> holdings, std::string_view device,
              const Need& need);

inline constexpr double kTightShare = 0.05;
inline constexpr std::uint32_t kContextStep = 256;
/// With more evictable holdings than this, fewest-first gives way to least-recent-first.
inline constexpr std::size_t kChoiceMax = 14;

}  // namespace trilane::plan
