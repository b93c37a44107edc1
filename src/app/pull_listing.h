// What `trilane pull` says before it downloads: a repository's variants, which of them fit this
// machine, and which one is taken and why.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/pull.h"
#include "json/fwd.h"
#include "plan/plan.h"

namespace trilane::app {

/// What weights take beside their file before anything is known of the model: KV cache, buffers.
inline constexpr double kRoomPerByte = 1.1;
/// Variants of 16 bits and more are taken unasked only when they are at most so large: twice the
/// bytes of an 8-bit one take twice the time for answers that are no better.
inline constexpr std::uint64_t kWideBytesMax = 2'000'000'000;

struct JudgedVariant {
    catalog::Variant variant;
    plan::Fit fit = plan::Fit::does_not_fit;
    std::string device;  ///< where it fits, or where the most room is
    std::uint64_t need_bytes = 0;
    std::uint64_t room_bytes = 0;
};

struct VariantChoice {
    std::vector<JudgedVariant> variants;
    std::size_t chosen = 0;  ///< index into variants
    std::string why;
};

/// The hub that HF_ENDPOINT ("" = Hugging Face) and HF_TOKEN name.
catalog::Hub hub_of(const std::string& endpoint, const std::string& token);

/// Judges every variant against an otherwise empty machine and chooses one.
/// **Errors:** not_found when the reference names a variant that is not there.
Result<VariantChoice> choose(std::vector<catalog::Variant> variants,
                             const catalog::Reference& reference, const plan::Memory& memory);

std::string choice_text(const catalog::Reference& reference, const VariantChoice& choice);
json::Value choice_json(const catalog::Reference& reference, const VariantChoice& choice);

}  // namespace trilane::app
