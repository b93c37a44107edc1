// libFuzzer target `http_answer`: raw bytes → what a client makes of them as a server's answers.
// Nothing here may crash, what is refused must say why, and how the bytes are cut must not matter.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "net/answer_parser.h"

namespace {

using trilane::net::AnswerHead;
using trilane::net::AnswerParser;
using Step = AnswerParser::Step;

constexpr std::size_t kHeadBytesMax = 512;

struct Heard final : trilane::net::AnswerSink {
    std::size_t heads = 0;
    std::size_t header_bytes = 0;
    std::string body;

    void on_head(AnswerHead head) override {
        TRILANE_CHECK(head.status >= 200 && head.status <= 999);
        ++heads;
        for (const auto& header : head.headers) {
            TRILANE_CHECK(!header.name.empty());
            TRILANE_CHECK(header.value.find_first_of("\r\n") == std::string::npos);
            header_bytes += header.name.size() + header.value.size();
        }
        TRILANE_CHECK(header_bytes < kHeadBytesMax);
    }
    void on_body(std::string_view bytes) override {
        TRILANE_CHECK(heads == 1 && !bytes.empty());
        body.append(bytes);
    }
};

struct Outcome {
    Step step = Step::need_more;
    std::size_t consumed = 0;
    bool keep_alive = false;
    Heard heard;
};

/// What comes of the first answer when the bytes arrive `piece` at a time.
Outcome parsed(std::string_view bytes, std::size_t piece, bool to_head_request) {
    AnswerParser parser(kHeadBytesMax);
    parser.expect(to_head_request);
    Outcome outcome;
    for (std::size_t end = 0; end < bytes.size() && outcome.step == Step::need_more;) {
        end = std::min(bytes.size(), end + piece);
        std::size_t consumed = 0;
        const auto rest = bytes.substr(outcome.consumed, end - outcome.consumed);
        outcome.step = parser.feed(rest, consumed, outcome.heard);
        TRILANE_CHECK(consumed <= rest.size());
        outcome.consumed += consumed;
    }
    TRILANE_CHECK((outcome.step == Step::corrupt) == !parser.reason().empty());
    if (outcome.step == Step::complete) {
        TRILANE_CHECK(outcome.heard.heads == 1);
        outcome.keep_alive = parser.keep_alive();
    }
    if (outcome.step == Step::need_more && parser.end_of_stream() == Step::complete) {
        TRILANE_CHECK(outcome.consumed == bytes.size() && !parser.keep_alive());
    }
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const bool to_head_request = data[0] % 2 == 1;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Outcome whole = parsed(bytes, std::max<std::size_t>(bytes.size(), 1), to_head_request);
    constexpr std::size_t kPieceBytes = 7;
    for (const std::size_t piece : {std::size_t{1}, kPieceBytes}) {
        const Outcome cut = parsed(bytes, piece, to_head_request);
        TRILANE_CHECK(cut.step == whole.step && cut.keep_alive == whole.keep_alive);
        TRILANE_CHECK(cut.heard.heads == whole.heard.heads && cut.heard.body == whole.heard.body);
        TRILANE_CHECK(cut.step == Step::corrupt || cut.consumed == whole.consumed);
    }
    return 0;
}
