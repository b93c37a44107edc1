// Any bytes as a request body: parsing must not fail otherwise than by Fault::invalid, and for what
// it takes, both writers must answer a made-up run of events with valid JSON.
#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "dialect/openai/openai.h"
#include "json/json.h"

namespace {

using namespace trilane;
using namespace trilane::dialect;

/// Makes events from the bytes of the body itself, so that the corpus steers them.
class Events {
public:
    explicit Events(std::string_view bytes) : bytes_(bytes) {}

    std::string piece() {
        const std::size_t length = next() % 12;
        std::string text;
        for (std::size_t i = 0; i < length; ++i) {
            text += static_cast<char>(next());
        }
        return text;
    }

    job::TokenLogprob token() { return {static_cast<std::int32_t>(next()), piece(), -0.25F}; }

    job::Text text(std::uint32_t choice) {
        job::Text text{choice, piece(), next() % 4 == 0, {}};
        for (std::size_t i = next() % 3; i > 0; --i) {
            text.logprobs.push_back({token(), {token(), token()}});
        }
        return text;
    }

private:
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
        const auto end = stream.find("\n\n");
        TRILANE_CHECK(stream.starts_with("data: ") && end != std::string_view::npos);
        const std::string_view frame = stream.substr(6, end - 6);
        TRILANE_CHECK(frame == "[DONE]" || json::parse(frame));
        stream.remove_prefix(end + 2);
    }
}

void answer(const openai::Parsed& parsed, std::string_view bytes) {
    openai::StreamWriter stream(parsed);
    openai::BodyWriter body(parsed);
    Events events(bytes);
    const auto send = [&](std::size_t job, const job::Event& event) {
        require_valid_frames(stream.on_event(job, event));
        body.on_event(job, event);
    };
    for (std::size_t j = 0; j < parsed.jobs.size(); ++j) {
        send(j, job::Started{5});
        for (std::uint32_t choice = 0; choice < parsed.jobs[j].choices; ++choice) {
            send(j, events.text(choice));
            send(j, events.text(choice));
            send(j, job::ChoiceEnd{choice, job::FinishReason::length});
        }
        send(j, job::Done{});
    }
    TRILANE_CHECK(stream.finished() && body.finished() && body.error() == nullptr);
    TRILANE_CHECK(json::parse(body.body()).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    for (const auto endpoint :
         {openai::Endpoint::chat_completions, openai::Endpoint::completions}) {
        const auto parsed = openai::parse(endpoint, body, {"id", 1, "fp"});
        if (!parsed) {
            TRILANE_CHECK(parsed.error().fault == Fault::invalid);
            TRILANE_CHECK(json::parse(openai::error_body(parsed.error())).has_value());
            continue;
        }
        answer(*parsed, body);
    }
    return 0;
}
