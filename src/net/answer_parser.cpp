#include "net/answer_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace trilane::net {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kVersion = "HTTP/1.";
/// "HTTP/1.1 200"
constexpr std::size_t kStatusBytes = 12;
/// A chunk's size with its extensions, which nobody uses.
constexpr std::size_t kChunkLineBytesMax = 1024;
constexpr std::size_t kFieldsMax = 256;
/// Most answers have fewer fields.
constexpr std::size_t kFieldsUsual = 8;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// Text within a line: anything but control characters, tabs allowed.
bool is_line_text(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
    });
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t";
    const auto from = text.find_first_not_of(kBlanks);
    if (from == std::string_view::npos) {
        return {};
    }
    return text.substr(from, text.find_last_not_of(kBlanks) - from + 1);
}

std::optional<std::uint64_t> number_of(std::string_view text, int base) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, ec] = std::from_chars(text.data(), end, number, base);
    if (text.empty() || ec != std::errc() || stop != end) {
        return std::nullopt;
    }
    return number;
}

/// Splits off what is before the first comma.
std::string_view next_item(std::string_view& list) {
    const auto comma = list.find(',');
    const std::string_view item = trimmed(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    return item;
}

/// The beginning of foreign bytes, fit for a message.
std::string quoted_start(std::string_view bytes) {
    constexpr std::size_t kShownBytes = 24;
    std::string shown(bytes.substr(0, kShownBytes));
    std::replace_if(
        shown.begin(), shown.end(), [](char c) { return c < 0x20 || c > 0x7E; }, '?');
    return shown;
}

}  // namespace

/// What the head says about the body's length and the connection.
struct AnswerParser::Framing {
    unsigned minor = 1;
    std::optional<std::uint64_t> length_bytes;
    bool chunked = false;
    bool close = false;
    bool keep_alive = false;
};

void AnswerParser::expect(bool to_head_request) {
    stage_ = Stage::head;
    to_head_request_ = to_head_request;
    keep_alive_ = false;
    searched_bytes_ = 0;
    line_bytes_ = 0;
    remaining_bytes_ = 0;
}

AnswerParser::Step AnswerParser::feed(std::string_view bytes, std::size_t& consumed,
                                      AnswerSink& sink) {
    consumed = 0;
    bool goes_on = !corrupt_;
    while (goes_on && stage_ != Stage::complete && consumed < bytes.size()) {
        std::size_t taken = 0;
        goes_on = read(bytes.substr(consumed), taken, sink);
        consumed += taken;
    }
    if (corrupt_) {
        return Step::corrupt;
    }
    return stage_ == Stage::complete ? Step::complete : Step::need_more;
}

AnswerParser::Step AnswerParser::end_of_stream() {
    if (stage_ == Stage::until_close) {
        stage_ = Stage::complete;
    }
    return stage_ == Stage::complete ? Step::complete : Step::need_more;
}

/// False when nothing can go on before more bytes come, or ever.
bool AnswerParser::read(std::string_view rest, std::size_t& taken, AnswerSink& sink) {
    switch (stage_) {
        case Stage::head:
            return read_head(rest, taken, sink);
        case Stage::counted:
        case Stage::chunk:
            return read_counted(rest, taken, sink);
        case Stage::until_close:
            sink.on_body(rest);
            taken = rest.size();
            return true;
        case Stage::chunk_size:
            return read_chunk_size(rest, taken);
        case Stage::chunk_end:
            return read_chunk_end(rest, taken);
        case Stage::trailer:
            return read_trailer(rest, taken);
        case Stage::complete:
            break;
    }
    return false;
}

bool AnswerParser::read_head(std::string_view rest, std::size_t& taken, AnswerSink& sink) {
    // Whoever speaks something else may never send the end of a head: tell early.
    const std::size_t known = std::min(rest.size(), kVersion.size());
    if (rest.substr(0, known) != kVersion.substr(0, known)) {
        return corrupt(fmt::format("the answer begins with \"{}\"", quoted_start(rest)));
    }
    const auto end = rest.find(kHeadEnd, searched_bytes_);
    const std::size_t bytes = end == std::string_view::npos ? rest.size() : end + kHeadEnd.size();
    if (line_bytes_ + bytes > head_bytes_max_) {
        return corrupt(fmt::format("the answer's head is longer than {} bytes", head_bytes_max_));
    }
    if (end == std::string_view::npos) {
        searched_bytes_ = rest.size() - std::min(rest.size(), kHeadEnd.size() - 1);
        return false;
    }
    searched_bytes_ = 0;
    line_bytes_ += bytes;
    taken = bytes;
    return parse_head(rest.substr(0, end + kLineEnd.size()), sink);
}

/// `head` is every line with its end, without the blank one.
bool AnswerParser::parse_head(std::string_view head, AnswerSink& sink) {
    AnswerHead answer;
    Framing framing;
    answer.headers.reserve(kFieldsUsual);
    const auto status_end = head.find(kLineEnd);
    if (!parse_status_line(head.substr(0, status_end), answer, framing)) {
        return false;
    }
    head.remove_prefix(status_end + kLineEnd.size());
    while (!head.empty()) {
        const auto end = head.find(kLineEnd);
        if (!parse_field(head.substr(0, end), answer)) {
            return false;
        }
        head.remove_prefix(end + kLineEnd.size());
    }
    for (const Header& field : answer.headers) {
        if (!weigh_field(field, framing)) {
            return false;
        }
    }
    if (answer.status < 200) {
        // An interim answer; the real one follows. An upgrade was never asked for.
        return answer.status != 101 || corrupt("the answer is 101 Switching Protocols");
    }
    begin_body(answer.status, framing);
    sink.on_head(std::move(answer));
    return true;
}

bool AnswerParser::parse_status_line(std::string_view line, AnswerHead& head, Framing& framing) {
    const auto faulty = [&] {
        return corrupt(fmt::format("its status line is \"{}\"", quoted_start(line)));
    };
    if (line.size() < kStatusBytes || !is_line_text(line)) {
        return faulty();
    }
    const std::string_view digits = line.substr(kVersion.size() + 2, 3);
    const char minor = line[kVersion.size()];
    const bool well_formed = is_digit(minor) && line[kVersion.size() + 1] == ' ' &&
                             digits.front() >= '1' &&
                             std::all_of(digits.begin(), digits.end(), is_digit) &&
                             (line.size() == kStatusBytes || line[kStatusBytes] == ' ');
    if (!well_formed) {
        return faulty();
    }
    framing.minor = minor == '0' ? 0 : 1;
    head.status = static_cast<unsigned>(*number_of(digits, 10));
    return true;
}

bool AnswerParser::parse_field(std::string_view line, AnswerHead& head) {
    if (!is_line_text(line)) {
        return corrupt("a header of the answer holds a control character");
    }
    if (line.starts_with(' ') || line.starts_with('\t')) {
        // An old way to continue a value on the next line.
        if (head.headers.empty()) {
            return corrupt("the answer's first header has no name");
        }
        head.headers.back().value.append(" ").append(trimmed(line));
        return true;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
        return corrupt(fmt::format("\"{}\" is no header", quoted_start(line)));
    }
    if (head.headers.size() >= kFieldsMax) {
        return corrupt(fmt::format("the answer has more than {} headers", kFieldsMax));
    }
    head.headers.push_back(
        {std::string(line.substr(0, colon)), std::string(trimmed(line.substr(colon + 1)))});
    return true;
}

bool AnswerParser::weigh_field(const Header& field, Framing& framing) {
    std::string_view list = field.value;
    if (equal_ignoring_case(field.name, "Content-Length")) {
        do {
            const std::string_view item = next_item(list);
            const auto length = number_of(item, 10);
            if (!length || (framing.length_bytes && *framing.length_bytes != *length)) {
                return corrupt(fmt::format("its Content-Length is \"{}\"", quoted_start(item)));
            }
            framing.length_bytes = length;
        } while (!list.empty());
    } else if (equal_ignoring_case(field.name, "Transfer-Encoding")) {
        if (framing.chunked || !equal_ignoring_case(field.value, "chunked")) {
            return corrupt(
                fmt::format("its Transfer-Encoding is \"{}\"", quoted_start(field.value)));
        }
        framing.chunked = true;
    } else if (equal_ignoring_case(field.name, "Connection")) {
        while (!list.empty()) {
            const std::string_view item = next_item(list);
            framing.close = framing.close || equal_ignoring_case(item, "close");
            framing.keep_alive = framing.keep_alive || equal_ignoring_case(item, "keep-alive");
        }
    }
    return true;
}

void AnswerParser::begin_body(unsigned status, const Framing& framing) {
    keep_alive_ = !framing.close && (framing.minor > 0 || framing.keep_alive);
    if (to_head_request_ || status == 204 || status == 304) {
        stage_ = Stage::complete;
    } else if (framing.chunked) {
        // With a length as well, or from HTTP/1.0, the chunks are true but nobody knows what
        // somebody in between has made of them (RFC 9112 §6.1).
        keep_alive_ = keep_alive_ && !framing.length_bytes && framing.minor > 0;
        stage_ = Stage::chunk_size;
    } else if (framing.length_bytes) {
        remaining_bytes_ = *framing.length_bytes;
        stage_ = remaining_bytes_ > 0 ? Stage::counted : Stage::complete;
    } else {
        keep_alive_ = false;
        stage_ = Stage::until_close;
    }
}

bool AnswerParser::read_counted(std::string_view rest, std::size_t& taken, AnswerSink& sink) {
    taken = static_cast<std::size_t>(std::min<std::uint64_t>(rest.size(), remaining_bytes_));
    sink.on_body(rest.substr(0, taken));
    remaining_bytes_ -= taken;
    if (remaining_bytes_ == 0) {
        stage_ = stage_ == Stage::chunk ? Stage::chunk_end : Stage::complete;
    }
    return true;
}

bool AnswerParser::read_chunk_size(std::string_view rest, std::size_t& taken) {
    std::string_view line;
    if (!line_of(rest, kChunkLineBytesMax, line)) {
        return false;
    }
    const auto size = number_of(trimmed(line.substr(0, line.find(';'))), 16);
    if (!size || !is_line_text(line)) {
        return corrupt(fmt::format("\"{}\" is no size of a chunk", quoted_start(line)));
    }
    taken = line.size() + kLineEnd.size();
    remaining_bytes_ = *size;
    stage_ = *size > 0 ? Stage::chunk : Stage::trailer;
    return true;
}

bool AnswerParser::read_chunk_end(std::string_view rest, std::size_t& taken) {
    const std::size_t known = std::min(rest.size(), kLineEnd.size());
    if (rest.substr(0, known) != kLineEnd.substr(0, known)) {
        return corrupt("a chunk of the answer is longer than it says");
    }
    if (known < kLineEnd.size()) {
        return false;
    }
    taken = known;
    stage_ = Stage::chunk_size;
    return true;
}

/// What comes behind the last chunk is read and dropped.
bool AnswerParser::read_trailer(std::string_view rest, std::size_t& taken) {
    std::string_view line;
    if (!line_of(rest, head_bytes_max_, line) || !count_line(line.size() + kLineEnd.size())) {
        return false;
    }
    if (!is_line_text(line)) {
        return corrupt("a trailer of the answer holds a control character");
    }
    taken = line.size() + kLineEnd.size();
    if (line.empty()) {
        stage_ = Stage::complete;
    }
    return true;
}

/// The line at the front of `rest`, without its end; false while it is incomplete, or too long.
bool AnswerParser::line_of(std::string_view rest, std::size_t bytes_max, std::string_view& line) {
    const auto end = rest.find(kLineEnd);
    // Of a line without its whole end, the last byte may be the end's first.
    if (end == std::string_view::npos ? rest.size() > bytes_max + 1 : end > bytes_max) {
        return corrupt(fmt::format("a line of the answer is longer than {} bytes", bytes_max));
    }
    line = rest.substr(0, end);
    return end != std::string_view::npos;
}

bool AnswerParser::count_line(std::size_t bytes) {
    line_bytes_ += bytes;
    return line_bytes_ <= head_bytes_max_ ||
           corrupt(fmt::format("the answer has more than {} bytes of headers", head_bytes_max_));
}

bool AnswerParser::corrupt(std::string reason) {
    corrupt_ = true;
    reason_ = std::move(reason);
    return false;
}

}  // namespace trilane::net
