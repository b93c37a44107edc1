// The Anthropic dialect: bodies of the Messages API → job::Request, job::Events → messages and
// their streams. Pure translation: no sockets, no lanes.
// **Source:** https://platform.claude.com/docs/en/api, versions 2023-06-01 and 2026-10-21.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/dialect.h"
#include "job/job.h"

namespace trilane::dialect::anthropic {

// What one request may hold; each refusal names its limit.
inline constexpr std::size_t kMessagesMax = 16384;
inline constexpr std::size_t kBlocksMax = 4096;  ///< of one message, and of one result of a tool
inline constexpr std::size_t kToolsMax = 1024;
inline constexpr std::size_t kStopTextsMax = 64;
inline constexpr std::size_t kStopBytesMax = 1024;  ///< of one stop sequence
inline constexpr std::size_t kExtraFieldsMax = 64;
inline constexpr std::uint32_t kToolCallsMax = 256;  ///< of one answer
inline constexpr std::size_t kPageMax = 1000;        ///< models of one page of a list
inline constexpr std::size_t kPageUsual = 20;

/// What messages about threads begin with.
inline constexpr std::string_view kThreadField = "thread";

/// What becomes of the model's thinking. Who did not ask for it gets none: such clients take the
/// first block for the answer.
enum class Thinking {
    hidden,
    shown,
    sealed,  ///< "omitted": not as text, but in the signature, from where it comes back
};

/// A request for a message as it came in.
struct Parsed {
    job::Request job;
    std::string response_id;  ///< "msg_…"
    bool stream = false;
    Thinking thinking = Thinking::hidden;
};

/// Reads the body of POST /v1/messages. What it knows and has no use for here (cache_control,
/// service_tier, context_management …) is dropped; what it does not know goes into
/// job::Request::extra, for lanes that may know it. What cannot be done here and would be missed
/// (tools that run at the vendor, PDFs, files) is refused.
///
/// Consecutive turns of one role are one; results of tools become messages of their own, before the
/// text beside them; a last turn of the assistant is continued. Turns of role "system" before the
/// first answer belong to the system prompt; later ones stand where they are, as marked text of the
/// user, because few chat templates know a system prompt in the middle. Tools with defer_loading
/// are shown once a message refers to them, or at once when the search for them is the vendor's.
/// **Errors:** invalid, whose message names the field, what it was and what would be right;
/// not_found: the thread that it continues.
Result<Parsed> parse(std::string_view body, const Context& context);
/// The same with the writer of its answer.
Result<Asked> ask(std::string_view body, const Context& context);
/// POST /v1/messages/count_tokens: the same body, where only the conversation and the tools count.
Result<Asked> ask_count(std::string_view body, const Context& context);

/// The blocks of an answer, in order, as pieces of them come in.
struct Block {
    enum class Kind { text, thinking, tool_use };
    Kind kind = Kind::text;
    std::string text;  ///< of a tool_use: JSON text of its input
    std::string id;
    std::string name;
    std::uint32_t call = 0;  ///< which of the answer's calls
};

/// Writes one streamed message: message_start, for each block content_block_start, _delta and
/// _stop, then message_delta and message_stop; a failure on the way is an error event.
/// **Threads:** one at a time.
class StreamWriter final : public AnswerWriter {
public:
    explicit StreamWriter(const Parsed& parsed);
    void name_model(std::string_view id) override { model_ = id; }
    std::string on_event(std::size_t job_index, const job::Event& event) override;
    [[nodiscard]] bool finished() const override { return finished_; }
    [[nodiscard]] std::string content_type() const override;
    [[nodiscard]] std::string heartbeat() const override;

private:
    void start(std::string& out, std::uint32_t prompt_tokens);
    void text(std::string& out, const job::Text& piece);
    void thinking(std::string& out, std::string_view text);
    void tool_call(std::string& out, const job::ToolCallPiece& piece);
    void open(std::string& out, const Block& block);
    void close(std::string& out);
    void delta(std::string& out, std::string_view type, std::string_view field,
               std::string_view text) const;
    void done(std::string& out, const job::Done& last);
    void fail(std::string& out, const Error& error);

    const std::string id_;
    std::string model_;
    const Thinking thinking_;
    bool started_ = false;
    bool finished_ = false;
    std::optional<Block> open_;  // its text only as far as it is still needed
    std::size_t blocks_ = 0;     // opened so far
    std::uint32_t calls_ = 0;    // opened so far
    std::string blanks_;         // a text's beginning that is nothing yet
    job::ChoiceEnd end_;
};

/// Collects one message that is sent whole.
/// **Threads:** one at a time.
class BodyWriter final : public AnswerWriter {
public:
    explicit BodyWriter(const Parsed& parsed);
    void name_model(std::string_view id) override { model_ = id; }
    /// Always "".
    std::string on_event(std::size_t job_index, const job::Event& event) override;
    [[nodiscard]] bool finished() const override { return error_ || usage_; }
    [[nodiscard]] const Error* error() const override { return error_ ? &*error_ : nullptr; }
    [[nodiscard]] std::string body() const override;
    [[nodiscard]] std::string content_type() const override { return std::string(kJsonType); }

private:
    void text(const job::Text& piece);
    void tool_call(const job::ToolCallPiece& piece);

    const std::string id_;
    std::string model_;
    const Thinking thinking_;
    std::vector<Block> blocks_;
    std::string blanks_;  // a text's beginning that is nothing yet
    job::ChoiceEnd end_;
    std::optional<job::Usage> usage_;
    std::optional<Error> error_;
};

/// {"input_tokens": n}
/// **Threads:** one at a time.
class CountWriter final : public AnswerWriter {
public:
    void name_model(std::string_view /*id*/) override {}
    /// Always "".
    std::string on_event(std::size_t job_index, const job::Event& event) override;
    [[nodiscard]] bool finished() const override { return error_ || tokens_; }
    [[nodiscard]] const Error* error() const override { return error_ ? &*error_ : nullptr; }
    [[nodiscard]] std::string body() const override;
    [[nodiscard]] std::string content_type() const override { return std::string(kJsonType); }

private:
    std::optional<std::uint32_t> tokens_;
    std::optional<Error> error_;
};

/// {"type": "error", "error": {"type", "message"}}. A prompt that the context cannot hold is
/// "prompt is too long: …", by which clients know that they must shorten it; a name that no model
/// has comes with the way to give it to one.
std::string error_body(const Error& error);
/// The same for HTTP's own.
std::string status_body(unsigned status, std::string_view message);
/// Either of them with "request_id".
std::string with_request(std::string body, std::string_view request_id);
inline constexpr ErrorShape kErrorShape{error_body, status_body, with_request};

/// Which part of the list of models is asked for.
struct Page {
    std::size_t limit = kPageUsual;
    std::string after_id;   ///< "" = from the beginning
    std::string before_id;  ///< "" = as far as it goes
};
/// GET /v1/models and GET /v1/models/{id}. **Errors:** invalid: no model has the page's id.
Result<std::string> models_body(std::span<const job::ModelCard> cards, const Page& page);
std::string model_body(const job::ModelCard& card);

}  // namespace trilane::dialect::anthropic
