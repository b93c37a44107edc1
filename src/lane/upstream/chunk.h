// Chunk: one JSON object of an OpenAI server's answer as a plain struct: a piece of a stream, a
// whole answer or an error; also of llama-server's own /infill. Shapes only; what they mean for a
// job is AnswerReader's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "job/job.h"

namespace trilane::lane::upstream {

enum class Finish : std::uint8_t { none, stop, length, tool_calls, cancelled, error };

struct ToolDelta {
    std::optional<std::uint32_t> index;  ///< as the server counts
    std::string id;
    std::string name;
    std::string arguments;
};

/// What one chunk says of one choice.
struct ChoiceDelta {
    std::uint32_t index = 0;
    std::string content;
    std::string reasoning;
    std::vector<ToolDelta> tool_calls;
    std::vector<job::LogprobEntry> logprobs;
    Finish finish = Finish::none;
    std::string stop_text;  ///< that ended it, where the server says
};

/// The figures of `usage` and `timings`. Absent, too: null, NaN, infinite or negative.
struct Figures {
    std::optional<std::uint32_t> prompt_tokens;
    std::optional<std::uint32_t> completion_tokens;
    std::optional<std::uint32_t> cached_tokens;
    // Of this answer's own work.
    std::optional<std::uint32_t> read_tokens;
    std::optional<std::uint32_t> predicted_tokens;
    std::optional<double> prompt_ms;
    std::optional<double> predicted_ms;
};

struct ServerError {
    std::string message;
    std::string type;
    unsigned code = 0;  ///< in HTTP's numbers; 0 = not said
};

struct Chunk {
    std::string_view model;  ///< into the text it was read from
    std::vector<ChoiceDelta> choices;
    bool has_choices = false;  ///< it has the field, be it empty
    bool has_usage = false;
    bool is_native = false;  ///< llama-server's own shape (/infill), which has no end mark
    Figures figures;
    std::optional<ServerError> error;
};

enum class ChunkShape : std::uint8_t { object, other_value, broken };

/// More choices or tool calls in one chunk than this are broken.
inline constexpr std::size_t kChunkPartsMax = 1024;

/// Reads one JSON text into `chunk`, whose former content goes.
ChunkShape read_chunk(std::string_view text, Chunk& chunk);

}  // namespace trilane::lane::upstream
