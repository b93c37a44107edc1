// The OpenAI dialect: request bodies → job::Request, job::Events → response bodies and SSE. Pure
// translation: no sockets, no lanes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "job/job.h"

namespace trilane::dialect::openai {

enum class Endpoint { chat_completions, completions };

/// A request as it came in: the job for a lane (one per prompt: /v1/completions takes arrays), and how
/// the client wants the answer written.
struct Parsed {
    Endpoint endpoint = Endpoint::chat_completions;
    std::vector<job::Request> jobs;  ///< at least one; ids share the response id
    std::string response_id;         ///< "chatcmpl-…" or "cmpl-…"
    std::int64_t created_unix_s = 0;
    std::string model;
    bool stream = false;
    bool include_usage = false;
};

/// What the gateway knows when a request comes in.
struct Context {
    std::string response_id_suffix;  ///< unique; without the prefix
    std::int64_t now_unix_s = 0;
};

/// **Errors:** invalid, whose message names the field, what it was and what would be right.
Result<Parsed> parse(Endpoint endpoint, std::string_view body, const Context& context);

/// Writes one streamed answer: each call returns the SSE bytes to send now (may be empty). Choices of
/// job j are numbered after those of the jobs before it. After the last job's Done it returns the
/// usage chunk when asked for, and "data: [DONE]\n\n".
/// A Failed event gives `data: {"error": …}` and no [DONE].
class StreamWriter {
public:
    explicit StreamWriter(const Parsed& parsed);
    std::string on_event(std::size_t job_index, const job::Event& event);
    [[nodiscard]] bool finished() const;  ///< nothing more will come
    // private state is up to the implementation
};

/// Collects one answer that is sent whole.
class BodyWriter {
public:
    explicit BodyWriter(const Parsed& parsed);
    void on_event(std::size_t job_index, const job::Event& event);
    [[nodiscard]] bool finished() const;
    [[nodiscard]] const Error* error() const;  ///< the first failure, or null
    [[nodiscard]] std::string body() const;    ///< of a finished answer without error
};

/// HTTP status of a fault: invalid 400, not_found 404, exhausted 429 …
unsigned http_status(Fault fault);

/// {"error": {"message", "type", "param", "code"}}
std::string error_body(const Error& error);

/// GET /v1/models and GET /v1/models/{id}
std::string models_body(std::span<const job::ModelCard> cards);
std::string model_body(const job::ModelCard& card);

}  // namespace trilane::dialect::openai
