// AnswerReader: the bytes of one HTTP answer of an OpenAI server, cut anywhere → events of a job.
// Streams and whole answers, errors in every place where servers put them, and what the rules say
// must be repaired. Knows no sockets and no clock; what several answers make together, and what is
// cut from them, is AnswerShaper's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "job/job.h"
#include "lane/upstream/chunk.h"
#include "lane/upstream/request_writer.h"
#include "lane/upstream/rules.h"
#include "lane/upstream/sse_parser.h"

namespace trilane::lane::upstream {

/// An answer that is not a stream, and the body of an error, of which only the beginning is read.
inline constexpr std::size_t kWholeBytesMax = std::size_t{16} << 20U;
inline constexpr std::size_t kErrorBytesMax = std::size_t{64} << 10U;
/// Of one choice.
inline constexpr std::uint32_t kToolCallsMax = 256;

/// The last event is exactly one Done or Failed, and comes at the latest from on_end(). It comes
/// with the answer's own end mark where there is one: then the bytes that follow say nothing.
///
/// `Started` comes with the first piece that is no error, so that what fails at once has no other
/// event than Failed; its prompt_tokens are 0 where the server tells them only at the end
/// (streams). Choices and calls of tools are in range, all texts whole UTF-8 characters.
class AnswerReader {
public:
    /// `upstream` must outlive the reader. `asked` says what write_request() has written.
    AnswerReader(const Upstream& upstream, const job::Request& request, const WrittenRequest& asked,
                 std::function<void(job::Event)> sink);
    AnswerReader(const AnswerReader&) = delete;
    AnswerReader& operator=(const AnswerReader&) = delete;

    void on_head(unsigned status, std::string_view content_type);
    void on_body(std::string_view bytes);
    /// The transfer has ended, well or not.
    void on_end(const Status& status);
    /// Nothing more is to be waited for: as if the transfer had ended here.
    void conclude() { on_end({}); }

    [[nodiscard]] bool finished() const { return finished_; }
    /// The last event was Done.
    [[nodiscard]] bool completed() const { return completed_; }
    /// The failure was the server's own words rather than a broken transfer: asking again may help.
    [[nodiscard]] bool server_said() const { return server_said_; }
    /// All choices have ended, but the end mark is not there yet.
    [[nodiscard]] bool only_end_missing() const { return !finished_ && choices_left_ == 0; }
    /// Pieces of the answer so far; comments and heads do not count.
    [[nodiscard]] std::uint64_t pieces() const { return pieces_; }

private:
    enum class Mode : std::uint8_t { unknown, stream, whole, error };
    struct Call {
        std::optional<std::uint32_t> upstream_index;
        std::string id;
        bool opened = false;
        bool named = false;
    };
    struct Choice {
        std::string content_tail;  // the beginning of a character
        std::string reasoning_tail;
        std::vector<Call> calls;
        std::uint32_t tokens = 0;  // as far as pieces tell
        Finish finish = Finish::none;
        std::string stop_text;
        bool end_sent = false;
    };

    void choose_mode(std::string_view& bytes);
    bool take_data(std::string_view data);
    void take_whole();
    void take_chunk();
    void take_delta(ChoiceDelta& delta);
    void send_text(ChoiceDelta& delta, Choice& choice);
    void send_piece(Choice& choice, job::Text piece);
    void send_tool_call(Choice& choice, std::uint32_t index, ToolDelta& delta);
    void send_end(Choice& choice, std::uint32_t index);
    [[nodiscard]] std::size_t call_number(const Choice& choice, const ToolDelta& delta) const;
    [[nodiscard]] job::FinishReason reason_of(const Choice& choice) const;
    [[nodiscard]] job::Done closing_figures() const;
    [[nodiscard]] static Error broken_off(const Status& status);
    void start();
    void stream_ended(const Status& status);
    void done();
    void fail(Error error);
    void fail_with_report(const ServerError& report);

    const Upstream& upstream_;
    std::function<void(job::Event)> sink_;
    const std::string request_id_;
    const std::optional<std::uint32_t> max_tokens_;
    const std::optional<std::uint32_t> top_logprobs_;
    const std::vector<std::string> stop_;

    Mode mode_ = Mode::unknown;
    unsigned status_ = 0;
    bool says_json_ = false;
    bool started_ = false;
    bool finished_ = false;
    bool completed_ = false;
    bool server_said_ = false;
    std::uint64_t pieces_ = 0;
    std::size_t choices_left_;
    std::vector<Choice> choices_;
    Figures figures_;
    Chunk chunk_;  // of the piece being read; kept for its memory
    SseParser sse_;
    std::string whole_;
};

}  // namespace trilane::lane::upstream
