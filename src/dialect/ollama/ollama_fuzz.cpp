// Any bytes as a request body: parsing must not fail otherwise than by Fault::invalid, and for what
// it takes, the writer must answer a made-up run of events with valid JSON, line by line.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "dialect/ollama/library_asks.h"
#include "dialect/ollama/listings.h"
#include "dialect/ollama/ollama.h"
#include "json/json.h"

namespace {

using namespace trilane;
using namespace trilane::dialect;

/// Pieces of the body itself, so that the corpus steers them.
std::string piece(std::string_view bytes, std::size_t turn) {
    const std::size_t at = bytes.empty() ? 0 : turn * 31 % bytes.size();
    return std::string(bytes.substr(at, 7));
}

void require_lines(std::string_view out) {
    while (!out.empty()) {
        const std::size_t end = out.find('\n');
        TRILANE_CHECK(end != std::string_view::npos);
        TRILANE_CHECK(json::parse(out.substr(0, end)).has_value());
        out.remove_prefix(end + 1);
    }
}

void answer(ollama::Asking& asking, std::string_view bytes) {
    AnswerWriter& writer = *asking.asked.writer;
    job::Text text;
    text.text = piece(bytes, 1);
    text.logprobs.push_back({{1, piece(bytes, 2), -0.5F}, {{2, piece(bytes, 3), -1.0F}}});
    job::Text thought;
    thought.text = piece(bytes, 4);
    thought.reasoning = true;
    const job::Event events[] = {
        job::Started{3},
        thought,
        text,
        job::ToolCallPiece{0, 0, piece(bytes, 5), piece(bytes, 6), piece(bytes, 7)},
        job::ToolCallPiece{0, 2, "", piece(bytes, 8), std::string(bytes)},
        job::Vectors{{{0.5F, -0.5F}, {}}},
        job::ChoiceEnd{0, job::FinishReason::stop, {}},
        job::Done{}};
    for (const job::Event& event : events) {
        require_lines(writer.on_event(0, event));
    }
    TRILANE_CHECK(writer.finished() && writer.error() == nullptr);
    TRILANE_CHECK(asking.asked.stream || json::parse(writer.body()).has_value());
}

/// What was read of a request about models; refused as invalid, or else anything.
template <class Ask>
void require_invalid(const Result<Ask>& ask) {
    TRILANE_CHECK(ask || ask.error().fault == Fault::invalid);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    const auto lookup = [](const std::string& model) -> Result<ollama::Preset> {
        ollama::Preset preset;
        preset.abilities.chat = model != "plain";
        preset.abilities.complete = true;
        preset.parameters = R"({"temperature":0.5})";
        return preset;
    };
    for (const auto endpoint : {ollama::Endpoint::chat, ollama::Endpoint::generate,
                                ollama::Endpoint::embed, ollama::Endpoint::embeddings}) {
        auto asking = ollama::ask(endpoint, body, {"id", 1, "fp"}, lookup);
        if (!asking) {
            TRILANE_CHECK(asking.error().fault == Fault::invalid);
            TRILANE_CHECK(json::parse(ollama::error_body(asking.error())).has_value());
        } else if (!asking->load_only) {
            answer(*asking, body);
        }
    }
    require_invalid(ollama::read_name_ask(body));
    require_invalid(ollama::read_copy_ask(body));
    const auto created = ollama::read_create_ask(body);
    require_invalid(created);
    if (created) {
        ollama::Shown shown;
        shown.listed.name = created->model;
        shown.system = created->system;
        shown.parameters = created->parameters;
        TRILANE_CHECK(json::parse(ollama::show_body(shown)).has_value());
    }
    return 0;
}
