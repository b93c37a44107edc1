// What FLM knows without a server: its models, its store, its command line.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/fwd.h"
#include "personality.h"

namespace trilane::fake_lane {

struct FlmModel {
    enum class Kind { chat, embedding, transcription };
    std::string_view tag;  ///< "family:size"
    double footprint_gb;
    std::int64_t context_tokens;
    std::string_view labels;  ///< separated by spaces
    Kind kind = Kind::chat;
};

inline constexpr std::string_view kFlmFallback = "llama3.2:1b";
inline constexpr std::string_view kFlmEmbedding = "embed-gemma:300m";
inline constexpr std::string_view kFlmTranscription = "whisper-v3:turbo";

std::span<const FlmModel> flm_models();
/// FLM's own reading of a tag: what stands before '/' is dropped, a family alone is its first size.
/// Null when it is unknown.
const FlmModel* find_flm_model(std::string_view tag);
json::Value flm_details(const FlmModel& model);

/// In the script's list, or in the store that FLM_MODEL_PATH names.
bool is_installed(const FlmModel& model, const Script& script);
/// Puts a model into that store; nothing where there is none.
void install(const FlmModel& model);

struct FlmFlags {
    std::string verb;
    std::string tag;
    Address address{"127.0.0.1", 52625};
    std::int64_t context_tokens = -1;
    std::int64_t sockets = 10;
    std::int64_t queue_length = 10;
    bool asr = false;
    bool embed = false;
    bool cors = true;
    bool json = false;
    bool quiet = false;
    std::string filter = "all";
};

/// **Errors:** invalid: an unknown verb or flag, a missing value.
Result<FlmFlags> read_flm_flags(const std::vector<std::string>& arguments,
                                const std::vector<std::string>& without);

}  // namespace trilane::fake_lane
