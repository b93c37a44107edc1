// AnswerParser: bytes from a server → the heads and bodies of its answers, within limits. Pure: no
// sockets, no clock, so that a fuzzer can drive it. Keeps nothing of a body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/client.h"

namespace trilane::net {

/// Hears what an AnswerParser finds.
class AnswerSink {
public:
    virtual ~AnswerSink() = default;
    virtual void on_head(AnswerHead head) = 0;
    virtual void on_body(std::string_view bytes) = 0;  ///< never empty
};

/// Reads one answer after the other. After `corrupt` the byte stream has no known meaning any more.
/// **Threads:** one at a time. **Source:** RFC 9112 (line ends must be CRLF), RFC 9110.
class AnswerParser {
public:
    enum class Step { need_more, complete, corrupt };

    /// `head_bytes_max` bounds what comes before an answer's body (with 1xx answers, which are
    /// skipped), and what comes behind it.
    explicit AnswerParser(std::size_t head_bytes_max) : head_bytes_max_(head_bytes_max) {}

    /// Begins the next answer. That to a HEAD request has no body, whatever its head says.
    void expect(bool to_head_request);

    /// Reads from the front of `bytes` and sets `consumed`. Hand over what was not consumed again,
    /// with more behind it, in one piece. Reads no byte past the end of an answer.
    Step feed(std::string_view bytes, std::size_t& consumed, AnswerSink& sink);

    /// The server has ended the stream. `complete` if that is how the answer ends, else
    /// `need_more`: it is cut off.
    Step end_of_stream();

    /// After `complete`: whether the connection may be used again.
    [[nodiscard]] bool keep_alive() const { return keep_alive_; }
    /// Whether the head has been handed to the sink.
    [[nodiscard]] bool head_done() const { return stage_ != Stage::head; }
    /// After `corrupt`: what is wrong, without an end of sentence.
    [[nodiscard]] const std::string& reason() const { return reason_; }

private:
    enum class Stage {
        head,
        counted,
        until_close,
        chunk_size,
        chunk,
        chunk_end,
        trailer,
        complete
    };
    struct Framing;

    bool read(std::string_view rest, std::size_t& taken, AnswerSink& sink);
    bool read_head(std::string_view rest, std::size_t& taken, AnswerSink& sink);
    bool read_counted(std::string_view rest, std::size_t& taken, AnswerSink& sink);
    bool read_chunk_size(std::string_view rest, std::size_t& taken);
    bool read_chunk_end(std::string_view rest, std::size_t& taken);
    bool read_trailer(std::string_view rest, std::size_t& taken);
    bool parse_head(std::string_view head, AnswerSink& sink);
    bool parse_status_line(std::string_view line, AnswerHead& head, Framing& framing);
    bool parse_field(std::string_view line, AnswerHead& head);
    bool weigh_field(const Header& field, Framing& framing);
    void begin_body(unsigned status, const Framing& framing);
    bool line_of(std::string_view rest, std::size_t bytes_max, std::string_view& line);
    bool count_line(std::size_t bytes);
    bool corrupt(std::string reason);

    std::size_t head_bytes_max_;
    Stage stage_ = Stage::head;
    bool to_head_request_ = false;
    bool keep_alive_ = false;
    bool corrupt_ = false;
    std::size_t searched_bytes_ = 0;     // of the rest that holds no end of the head
    std::size_t line_bytes_ = 0;         // of head and trailer lines read so far
    std::uint64_t remaining_bytes_ = 0;  // of the counted body or the chunk
    std::string reason_;
};

}  // namespace trilane::net
