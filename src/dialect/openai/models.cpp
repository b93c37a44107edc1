#include <fmt/format.h>

#include <iterator>

#include "dialect/openai/openai.h"
#include "dialect/openai/shapes.h"

namespace trilane::dialect::openai {
namespace {

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
    out += "}}";
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
