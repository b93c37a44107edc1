#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "dialect/openai/openai.h"
#include "dialect/openai/shapes.h"

namespace trilane::dialect::openai {
namespace {

void append_abilities(std::string& out, const job::Abilities& abilities) {
    const std::pair<bool, std::string_view> named[] = {
        {abilities.chat, "chat"},         {abilities.complete, "completion"},
        {abilities.insert, "insert"},     {abilities.tools, "tools"},
        {abilities.vision, "vision"},     {abilities.hearing, "audio"},
        {abilities.thinking, "thinking"}, {abilities.embed, "embedding"},
        {abilities.rerank, "rerank"},     {abilities.transcribe, "transcription"},
        {abilities.speak, "speech"},      {abilities.draw, "image"}};
    for (const auto& [able, name] : named) {
        if (able) {
            out += out.ends_with('[') ? "" : ",";
            append_string(out, name);
        }
    }
}

/// OpenAI's four fields, and what our own clients like to know under "meta".
void append_model(std::string& out, const job::ModelCard& card) {
    out += "{\"id\":";
    append_string(out, card.id);
    fmt::format_to(std::back_inserter(out),
                   R"(,"object":"model","created":{},"owned_by":"trilane","meta":{{"name":)",
                   card.created_unix_s);
    append_string(out, card.name);
    out += ",\"architecture\":";
    append_string(out, card.architecture);
    fmt::format_to(std::back_inserter(out),
                   R"(,"n_params":{},"size":{},"n_ctx":{},"n_vocab":{},"licence":)",
                   card.parameters, card.bytes, card.context_tokens, card.vocab_tokens);
    append_string(out, card.licence);
    if (!card.quantization.empty()) {
        out += ",\"quantization\":";
        append_string(out, card.quantization);
    }
    out += ",\"capabilities\":[";
    append_abilities(out, card.abilities);
    out += "]}}";
}

}  // namespace

std::string models_body(std::span<const job::ModelCard> cards) {
    std::string out = R"({"object":"list","data":[)";
    for (std::size_t i = 0; i < cards.size(); ++i) {
        out += i == 0 ? "" : ",";
        append_model(out, cards[i]);
    }
    out += "]}";
    return out;
}

std::string model_body(const job::ModelCard& card) {
    std::string out;
    append_model(out, card);
    return out;
}

}  // namespace trilane::dialect::openai
