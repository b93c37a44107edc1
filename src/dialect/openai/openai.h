// The OpenAI dialect: request bodies → job::Request, job::Events → response bodies and SSE. Pure
// translation: no sockets, no lanes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/dialect.h"
#include "job/job.h"

namespace trilane::dialect::openai {

enum class Endpoint { chat_completions, completions };

// What one request may hold; each refusal names its limit.
inline constexpr std::size_t kMessagesMax = 4096;
inline constexpr std::size_t kToolsMax = 128;
inline constexpr std::size_t kStopTextsMax = 4;
inline constexpr std::size_t kStopBytesMax = 1024;  ///< of one stop text
inline constexpr std::size_t kLogitBiasMax = 1024;  ///< entries
inline constexpr std::uint32_t kChoicesMax = 128;   ///< n × prompts
inline constexpr std::size_t kExtraFieldsMax = 64;
inline constexpr std::size_t kToolCallsMax = 128;  ///< of one choice
inline constexpr std::size_t kFormatChoicesMax = 1024;
inline constexpr std::uint32_t kChatTopLogprobsMax = 20;
inline constexpr std::uint32_t kCompletionLogprobsMax = 5;

/// A request as it came in: the job for a lane (one per prompt: /v1/completions takes arrays), and
/// how the client wants the answer written.
struct Parsed {
    Endpoint endpoint = Endpoint::chat_completions;
    std::vector<job::Request> jobs;  ///< at least one; ids are or start with the response id
    std::string response_id;         ///< "chatcmpl-…" or "cmpl-…"
    std::int64_t created_unix_s = 0;
    std::string model;
    std::string system_fingerprint;
    bool stream = false;
    bool include_usage = false;
    bool old_functions =
        false;  ///< a call is answered as function_call, as before there were tools
};

/// Reads the body of a POST to `endpoint`. Fields it does not know go into job::Request::extra, for
/// lanes that may know them; null means absent wherever a field is optional; whole numbers may be
/// written as 16.0.
/// **Errors:** invalid, whose message names the field, what it was and what would be right, as in
/// "messages[0].role: got \"bot\"; send …", see error_body(). Never another fault.
Result<Parsed> parse(Endpoint endpoint, std::string_view body, const Context& context);
/// The same with the writer of its answer.
Result<Asked> ask(Endpoint endpoint, std::string_view body, const Context& context);

/// Usage and timings of an answer so far: sums over its jobs.
struct Tally {
    job::Usage usage;
    job::Timings timings;
    void add(const job::Done& done);
};

/// Writes one streamed answer: each call returns the SSE bytes to send now (may be empty). Choices
/// of job j are numbered after those of the jobs before it. After the last job's Done it returns
/// the usage chunk when asked for, and "data: [DONE]\n\n". A Failed event gives `data: {"error":
/// …}` and no [DONE]; it ends the answer, whatever other jobs of it still do. Events after the end
/// give "".
/// **Threads:** one at a time.
class StreamWriter final : public AnswerWriter {
public:
    /// Copies what it needs: `parsed.jobs` may be moved away afterwards, not before.
    explicit StreamWriter(const Parsed& parsed);
    void name_model(std::string_view id) override;
    std::string on_event(std::size_t job_index, const job::Event& event) override;
    [[nodiscard]] bool finished() const override { return finished_; }
    [[nodiscard]] std::string content_type() const override;
    [[nodiscard]] std::string heartbeat() const override;

private:
    struct Choice {
        bool opened = false;           // the chunk with the role went out
        std::uint32_t characters = 0;  // Unicode characters in its tokens so far
    };

    void open_choice(std::string& out, std::size_t index);
    void open_choices(std::string& out, std::size_t job_index);
    void text(std::string& out, std::size_t index, const job::Text& text);
    void tool_call(std::string& out, std::size_t index, const job::ToolCallPiece& piece);
    void end_choice(std::string& out, std::size_t index, const job::ChoiceEnd& end);
    void done(std::string& out, const job::Done& done);
    void begin_chunk(std::string& out, std::size_t index) const;

    void write_head();

    Parsed asked_;  // without its jobs
    bool with_logprobs_;
    std::string head_;                       // what every chunk begins with, up to its choice
    std::string tail_;                       // what every chunk ends with, from after its choice
    std::vector<std::size_t> first_choice_;  // per job, and one past the last
    std::vector<Choice> choices_;
    std::size_t choices_running_;
    std::size_t jobs_running_;
    std::string held_;  // the last finish chunk, less its tail: timings still belong in it
    Tally tally_;
    bool finished_ = false;
};

/// Collects one answer that is sent whole.
/// **Threads:** one at a time.
class BodyWriter final : public AnswerWriter {
public:
    /// Copies what it needs: `parsed.jobs` may be moved away afterwards, not before.
    explicit BodyWriter(const Parsed& parsed);
    void name_model(std::string_view id) override { asked_.model = id; }
    /// Always "".
    std::string on_event(std::size_t job_index, const job::Event& event) override;
    [[nodiscard]] bool finished() const override { return error_ || jobs_running_ == 0; }
    [[nodiscard]] const Error* error() const override;
    [[nodiscard]] std::string body() const override;
    [[nodiscard]] std::string content_type() const override { return std::string(kJsonType); }

private:
    struct Choice {
        std::string text;
        std::string reasoning;
        std::vector<job::ToolCall> tool_calls;
        std::vector<job::LogprobEntry> logprobs;
        job::FinishReason reason = job::FinishReason::stop;
        std::string stop_text;
    };

    void append_choice(std::string& out, std::size_t index) const;

    Parsed asked_;  // without its jobs
    bool with_logprobs_;
    std::vector<std::size_t> first_choice_;  // per job, and one past the last
    std::vector<Choice> choices_;
    std::size_t jobs_running_;
    Tally tally_;
    std::optional<Error> error_;
};

/// {"error": {"message", "type", "param", "code"}}. A message of the form "field: …", where the
/// field is one of the API ("messages[0].content: got null; …"), sets `param`. So a lane or the
/// gateway can name a field, too. An invalid that speaks of the "context" and of no field but
/// messages or prompt gives code "context_length_exceeded".
/// not_found gives "model_not_found"; with a message "path: …", "unknown_url".
std::string error_body(const Error& error);
/// The same for HTTP's own: "param" is null, and "code" follows from the status.
std::string status_body(unsigned status, std::string_view message);
inline constexpr ErrorShape kErrorShape{error_body, status_body};

/// GET /v1/models and GET /v1/models/{id}
std::string models_body(std::span<const job::ModelCard> cards);
std::string model_body(const job::ModelCard& card);

}  // namespace trilane::dialect::openai
