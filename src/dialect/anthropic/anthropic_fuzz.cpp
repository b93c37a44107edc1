// Any bytes as a request body: parsing must not fail otherwise than by an invalid or a not_found,
// and for what it takes, both writers must answer a made-up run of events with valid JSON.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "dialect/anthropic/anthropic.h"
#include "json/json.h"

namespace {

using namespace trilane;
using namespace trilane::dialect;

/// Makes events from the bytes of the body itself, so that the corpus steers them.
class Events {
public:
    explicit Events(std::string_view bytes) : bytes_(bytes) {}

    job::Event next_event() {
        switch (next() % 6) {
            case 0:
                return job::Started{next()};
            case 1:
                return job::ToolCallPiece{0, next() % 3U, piece(), piece(), piece()};
            case 2:
                return job::ChoiceEnd{0, static_cast<job::FinishReason>(next() % 4), piece()};
            default:
                return job::Text{0, piece(), next() % 3 == 0, {}};
        }
    }

private:
    std::string piece() {
        std::string text;
        for (std::size_t length = next() % 12; length > 0; --length) {
            text += static_cast<char>(next());
        }
        return text;
    }

    unsigned char next() {
        at_ = at_ + 1 < bytes_.size() ? at_ + 1 : 0;
        return static_cast<unsigned char>(bytes_[at_] * 31 + static_cast<char>(++turn_));
    }

    std::string_view bytes_;
    std::size_t at_ = 0;
    unsigned turn_ = 0;
};

void require_valid_frames(std::string_view stream) {
    while (!stream.empty()) {
        const auto line = stream.find("\ndata: ");
        const auto end = stream.find("\n\n");
        TRILANE_CHECK(stream.starts_with("event: ") && line < end && end != std::string_view::npos);
        TRILANE_CHECK(json::parse(stream.substr(line + 7, end - line - 7)).has_value());
        stream.remove_prefix(end + 2);
    }
}

void answer(const anthropic::Parsed& parsed, std::string_view bytes) {
    constexpr int kEvents = 24;
    anthropic::StreamWriter stream(parsed);
    anthropic::BodyWriter body(parsed);
    Events events(bytes);
    const auto send = [&](const job::Event& event) {
        require_valid_frames(stream.on_event(0, event));
        body.on_event(0, event);
    };
    for (int i = 0; i < kEvents; ++i) {
        send(events.next_event());
    }
    send(job::Done{});
    TRILANE_CHECK(stream.finished() && body.finished() && body.error() == nullptr);
    TRILANE_CHECK(json::parse(body.body()).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    const auto parsed = anthropic::parse(body, {"id", 1, "fp"});
    const auto counted = anthropic::ask_count(body, {"id", 1, "fp"});
    TRILANE_CHECK(!parsed || counted);  // a count needs less
    if (!parsed) {
        TRILANE_CHECK(parsed.error().fault == Fault::invalid ||
                      parsed.error().fault == Fault::not_found);
        TRILANE_CHECK(json::parse(anthropic::with_request(anthropic::error_body(parsed.error()),
                                                          body.substr(0, 9)))
                          .has_value());
        return 0;
    }
    answer(*parsed, body);
    return 0;
}
