// `trilane token`: a text as the model reads it.
#include <fmt/core.h>

#include "app/model_files.h"
#include "app/output.h"
#include "app/token_listing.h"
#include "app/verbs.h"
#include "gguf/gguf.h"
#include "json/json.h"
#include "token/tokenizer.h"

namespace trilane::app {
namespace {

constexpr std::size_t kTokenizedBytesMax = 64U << 20U;

}  // namespace

std::string tokens_text(const token::Tokenizer& tokenizer, std::span<const token::Id> ids) {
    std::string out;
    for (const token::Id id : ids) {
        out += fmt::format("{:>7}  {}\n", id, in_quotes(tokenizer.bytes_of(id, true)));
    }
    return out + fmt::format("{} token{}\n", ids.size(), ids.size() == 1 ? "" : "s");
}

json::Value tokens_json(const token::Tokenizer& tokenizer, std::span<const token::Id> ids) {
    json::Value pieces = json::Value::array();
    for (const token::Id id : ids) {
        pieces.push_back({{"id", id},
                          {"text", tokenizer.bytes_of(id, true)},
                          {"entry", std::string(tokenizer.entry(id))},
                          {"control", tokenizer.is_control(id)}});
    }
    return {{"tokenizer", tokenizer.description()},
            {"count", ids.size()},
            {"ids", std::vector<token::Id>(ids.begin(), ids.end())},
            {"pieces", std::move(pieces)}};
}

Result<int> perform(const TokenOptions& options) {
    TRILANE_TRY(const ModelFile found, find_model(options.file, options.model_dirs));
    TRILANE_TRY(const auto file, gguf::File::open(found.path));
    TRILANE_TRY(const auto tokenizer, token::Tokenizer::from_gguf(file));
    std::string text = options.text;
    if (text == "-") {
        TRILANE_TRY(text, read_stdin(kTokenizedBytesMax));
    }
    const auto ids =
        tokenizer->encode(text, {.add_special = !options.no_bos, .parse_special = options.special});
    TRILANE_TRY_STATUS(print(options.json ? json::dump_pretty(tokens_json(*tokenizer, ids)) + '\n'
                                          : tokens_text(*tokenizer, ids)));
    return 0;
}

}  // namespace trilane::app
