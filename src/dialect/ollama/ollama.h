// The Ollama dialect: bodies of /api/chat, /api/generate, /api/embed and /api/embeddings → jobs,
// and their events → NDJSON or one object. What lists and shows models is in listings.h, what
// changes them in library_asks.h. Pure translation: no sockets, no lanes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/dialect.h"
#include "job/job.h"

namespace trilane::dialect::ollama {

enum class Endpoint { chat, generate, embed, embeddings };

// What one request may hold; each refusal names its limit.
inline constexpr std::size_t kMessagesMax = 4096;
inline constexpr std::size_t kToolsMax = 128;
inline constexpr std::size_t kToolCallsMax = 128;  ///< of one message
inline constexpr std::size_t kImagesMax = 64;      ///< of one message
inline constexpr std::size_t kStopTextsMax = 16;
inline constexpr std::size_t kStopBytesMax = 1024;  ///< of one stop text
inline constexpr std::size_t kInputsMax = 2048;     ///< of /api/embed
inline constexpr std::uint32_t kTopLogprobsMax = 20;
inline constexpr std::uint32_t kContextTokensMax = 1U << 22U;
/// Numbers of one "context": each holds up to three bytes of an earlier conversation.
inline constexpr std::size_t kContextNumbersMax = 1U << 20U;

/// Ollama's own defaults, for clients that are tuned to them.
inline constexpr float kTemperature = 0.8F;
inline constexpr std::int32_t kTopK = 40;
inline constexpr float kTopP = 0.9F;

/// The version of Ollama's API that is spoken here: clients compare it before they use what came
/// with a later one.
inline constexpr std::string_view kApiVersion = "0.12.11";

/// What a model's name stands for, beside the model.
struct Preset {
    job::Abilities abilities;
    std::string system;      ///< said first, when the client says nothing of the kind
    std::string parameters;  ///< a JSON object of options; the client's go before. "" = none
};
/// **Errors:** not_found.
using Lookup = std::function<Result<Preset>(const std::string& model)>;

/// Where an answer's times come from. **Units:** nanoseconds.
struct Clock {
    std::int64_t (*unix_ns)() = nullptr;
    std::int64_t (*steady_ns)() = nullptr;
};
Clock real_clock();

/// A request as it came in.
struct Asking {
    Asked asked;        ///< without jobs and writer when `load_only`
    std::string named;  ///< the model as the client wrote it
    /// There is nothing to answer: the model is to be loaded or, with a keep_alive of 0, unloaded.
    bool load_only = false;
    /// How long the model is to stay after this; negative = until its room is needed.
    std::optional<std::chrono::milliseconds> keep_alive;
    std::optional<std::uint32_t> context_tokens;  ///< num_ctx
};

/// Reads the body of a POST to `endpoint`. "model" and "name" are the same; ":latest" is left out.
/// Fields and options that it does not know are ignored, as Ollama does.
/// **Errors:** invalid, whose message names the field, what it was and what would be right; those
/// of `lookup`.
Result<Asking> ask(Endpoint endpoint, std::string_view body, const Context& context,
                   const Lookup& lookup, const Clock& clock = real_clock());

/// The whole answer to a request that was load_only. `reason`: "load" or "unload".
std::string loaded_body(Endpoint endpoint, std::string_view model, std::string_view reason,
                        std::int64_t now_unix_ns);

/// {"error": "…"}
std::string error_body(const Error& error);
std::string status_body(unsigned status, std::string_view message);
inline constexpr ErrorShape kErrorShape{error_body, status_body};

/// "name:latest" → "name".
std::string bare_name(std::string_view name);
/// The name as Ollama's lists show it: with a tag, which is "latest" when the model has none.
std::string tagged_name(std::string_view id);

/// "2023-11-14T22:13:20.000000001Z"
std::string time_text(std::int64_t unix_ns);

/// "5m", "1h30m", "-1", 300 (seconds), 0 …; negative = for ever. **Errors:** invalid, without the
/// field's name.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// Checks options as a model made of another brings them. **Errors:** invalid.
Status check_parameters(std::string_view json_text);

}  // namespace trilane::dialect::ollama
