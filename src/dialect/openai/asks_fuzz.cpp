// Any bytes as the body of the endpoints beside chats and completions: reading must not fail
// otherwise than by Fault::invalid, and what is taken must be answered, whole or as a stream, with
// what its content type says. The first byte picks the endpoint; a form follows as
// "Content-Type\nbody".
#include <map>
#include <string_view>

#include "base/check.h"
#include "dialect/openai/asks.h"
#include "dialect/openai/openai.h"
#include "dialect/openai/responses.h"
#include "json/json.h"

namespace {

using namespace trilane;
using namespace trilane::dialect;

class OneResponse final : public openai::ResponseStore {
public:
    std::shared_ptr<const openai::StoredResponse> find(std::string_view id) override {
        return kept_ && kept_->id == id ? kept_ : nullptr;
    }
    void keep(std::shared_ptr<const openai::StoredResponse> response) override {
        kept_ = std::move(response);
    }
    bool remove(std::string_view /*id*/) override { return false; }

private:
    std::shared_ptr<const openai::StoredResponse> kept_;
};

const Context kContext{"id", 1, "fp"};

Result<Asked> ask(unsigned char which, std::string_view body,
                  const std::shared_ptr<openai::ResponseStore>& store) {
    const std::size_t line = std::min(body.find('\n'), body.size());
    const std::string_view type = body.substr(0, line);
    const std::string_view form = body.substr(std::min(line + 1, body.size()));
    switch (which % 9) {
        case 0:
            return openai::ask_embeddings(body, kContext);
        case 1:
            return openai::ask_rerank(body, kContext);
        case 2:
            return openai::ask_tokens(body, kContext);
        case 3:
            return openai::ask_text_of_tokens(body, kContext);
        case 4:
            return openai::ask_response(body, kContext, store);
        case 5:
            return openai::ask_speech(body, kContext);
        case 6:
            return openai::ask_transcription(type, form, kContext, false);
        case 7:
            return openai::ask_pictures(openai::PictureAsk::edit, type, form, kContext);
        default:
            return openai::ask_pictures(openai::PictureAsk::generation, "", body, kContext);
    }
}

/// One of every event that some endpoint waits for.
std::vector<job::Event> events_for(const job::Request& request) {
    std::vector<job::Event> events = {job::Started{3}};
    if (const auto* embed = std::get_if<job::Embed>(&request.ask)) {
        events.emplace_back(job::Vectors{{embed->inputs.size(), {0.5F, -1.0F}}});
    } else if (const auto* rerank = std::get_if<job::Rerank>(&request.ask)) {
        events.emplace_back(job::Scores{std::vector<float>(rerank->documents.size(), 1.0F)});
    }
    events.emplace_back(job::Tokens{{1, 2}, {"a", "\xC3"}});
    events.emplace_back(job::Text{0, "thought", true, {}});
    events.emplace_back(job::Text{0, "text", false, {}});
    events.emplace_back(job::ToolCallPiece{0, 0, "c", "f", "{}"});
    events.emplace_back(job::Segment{0, 1, " heard", {{"heard", 0, 1}}});
    events.emplace_back(job::Transcript{"heard", "en", 1});
    events.emplace_back(job::Sound{"audio/wav", "RIFF"});
    events.emplace_back(job::Picture{0, "image/png", "PNG", ""});
    events.emplace_back(job::ChoiceEnd{});
    events.emplace_back(job::Done{});
    return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto store = std::make_shared<OneResponse>();
    const auto asked = ask(data[0], body, store);
    if (!asked) {
        TRILANE_CHECK(asked.error().fault == Fault::invalid);
        TRILANE_CHECK(json::parse(openai::error_body(asked.error())).has_value());
        return 0;
    }
    std::string stream;
    for (const job::Event& event : events_for(asked->jobs.front())) {
        stream += asked->writer->on_event(0, event);
    }
    TRILANE_CHECK(asked->writer->finished() && asked->writer->error() == nullptr);
    TRILANE_CHECK(!asked->writer->content_type().empty());
    if (!asked->stream) {
        TRILANE_CHECK(stream.empty());
        TRILANE_CHECK(asked->writer->content_type() != kJsonType ||
                      json::parse(asked->writer->body()).has_value());
    }
    if (const auto kept = store->find("resp_id")) {
        TRILANE_CHECK(json::parse(kept->body).has_value());
        TRILANE_CHECK(openai::input_items_body(*kept, "order=asc").has_value());
    }
    return 0;
}
