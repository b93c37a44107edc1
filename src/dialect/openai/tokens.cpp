// POST /tokenize and /detokenize: texts as a model's tokens and back, in llama.cpp's shape and in
// vLLM's.
#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "base/utf8.h"
#include "dialect/body.h"
#include "dialect/openai/asks.h"
#include "dialect/openai/common_fields.h"
#include "dialect/openai/openai.h"
#include "dialect/whole_answer.h"
#include "json/json.h"
#include "json/text.h"

namespace trilane::dialect::openai {
namespace {

/// A text as long as this may be millions of tokens, and their pieces are longer than the text.
constexpr std::size_t kTokenizeBytesMax = std::size_t{4} << 20U;
constexpr std::size_t kDetokenizeIdsMax = 262'144;
constexpr std::size_t kAnsweredTokensMax = 1'000'000;

enum class Shape { llama, llama_pieces, vllm, vllm_pieces };

/// Part of a character cannot stand in a JSON string: llama.cpp then lists bytes.
void append_piece(std::string& out, std::string_view piece) {
    if (is_valid_utf8(piece)) {
        json::append_string(out, piece);
        return;
    }
    out += '[';
    for (const char c : piece) {
        fmt::format_to(std::back_inserter(out), "{}{}", out.ends_with('[') ? "" : ",",
                       static_cast<unsigned char>(c));
    }
    out += ']';
}

class TokensAnswer final : public WholeAnswer {
public:
    TokensAnswer(std::string model, Shape shape) : WholeAnswer(std::move(model)), shape_(shape) {}

    [[nodiscard]] std::string body() const override {
        const bool vllm = shape_ == Shape::vllm || shape_ == Shape::vllm_pieces;
        std::string out = "{";
        if (vllm) {
            fmt::format_to(std::back_inserter(out), "\"count\":{},", tokens_.ids.size());
        }
        out += "\"tokens\":[";
        for (std::size_t i = 0; i < tokens_.ids.size(); ++i) {
            out += i == 0 ? "" : ",";
            append_token(out, i);
        }
        out += ']';
        if (vllm) {
            append_texts(out);
        }
        out += '}';
        return out;
    }

protected:
    Status take(const job::Event& event) override {
        if (const auto* tokens = std::get_if<job::Tokens>(&event)) {
            if (tokens->ids.size() > kAnsweredTokensMax) {
                return fail(Fault::invalid,
                            "content: it is {} tokens and {} can be listed; send it in parts",
                            tokens->ids.size(), kAnsweredTokensMax);
            }
            tokens_ = *tokens;
            tokens_.pieces.resize(tokens_.ids.size());
        }
        return {};
    }

private:
    void append_token(std::string& out, std::size_t index) const {
        if (shape_ != Shape::llama_pieces) {
            fmt::format_to(std::back_inserter(out), "{}", tokens_.ids[index]);
            return;
        }
        fmt::format_to(std::back_inserter(out), "{{\"id\":{},\"piece\":", tokens_.ids[index]);
        append_piece(out, tokens_.pieces[index]);
        out += '}';
    }

    void append_texts(std::string& out) const {
        out += ",\"token_strs\":";
        if (shape_ == Shape::vllm) {
            out += "null";
            return;
        }
        out += '[';
        for (std::size_t i = 0; i < tokens_.pieces.size(); ++i) {
            out += i == 0 ? "" : ",";
            json::append_string(out, tokens_.pieces[i]);
        }
        out += ']';
    }

    const Shape shape_;
    job::Tokens tokens_;
};

/// llama.cpp's "content" and vLLM's "prompt" are the same text.
class TextAnswer final : public WholeAnswer {
public:
    using WholeAnswer::WholeAnswer;

    [[nodiscard]] std::string body() const override {
        std::string out = "{\"content\":";
        json::append_string(out, text_);
        out += ",\"prompt\":";
        json::append_string(out, text_);
        out += '}';
        return out;
    }

protected:
    Status take(const job::Event& event) override {
        if (const auto* text = std::get_if<job::Text>(&event)) {
            text_ += text->text;
        }
        return {};
    }

private:
    std::string text_;
};

Asked asked_of(job::Request request, std::unique_ptr<AnswerWriter> writer) {
    Asked asked;
    asked.model = request.model;
    asked.writer = std::move(writer);
    asked.jobs.push_back(std::move(request));
    return asked;
}

}  // namespace

Result<Asked> ask_tokens(std::string_view body, const Context& context) {
    TRILANE_TRY(const json::Value value, read_object(body));
    const Fields fields(value, "");
    TRILANE_TRY(job::Request request,
                read_common(fields, ModelField::optional, "tokens-", context));
    const bool vllm = fields.find("content") == nullptr && fields.find("prompt") != nullptr;
    job::Tokenize tokenize;
    TRILANE_TRY(std::optional<std::string> text, fields.text(vllm ? "prompt" : "content"));
    if (!text) {
        return fail(Fault::invalid, "content: missing; send the text whose tokens are wanted{}",
                    fields.find("messages") == nullptr
                        ? ""
                        : ": conversations are counted at /v1/messages/count_tokens");
    }
    if (text->size() > kTokenizeBytesMax) {
        return fail(Fault::invalid, "{}: it has {} bytes; send at most {} MiB at once",
                    vllm ? "prompt" : "content", text->size(), kTokenizeBytesMax >> 20U);
    }
    tokenize.text = *std::move(text);
    TRILANE_TRY(const auto special, fields.boolean(vllm ? "add_special_tokens" : "add_special"));
    tokenize.add_special = special.value_or(vllm);
    TRILANE_TRY(const auto parse_special, fields.boolean("parse_special"));
    tokenize.parse_special = parse_special.value_or(true);
    TRILANE_TRY(const auto pieces, fields.boolean(vllm ? "return_token_strs" : "with_pieces"));
    const Shape shape = vllm ? (pieces.value_or(false) ? Shape::vllm_pieces : Shape::vllm)
                             : (pieces.value_or(false) ? Shape::llama_pieces : Shape::llama);
    request.ask = std::move(tokenize);
    auto writer = std::make_unique<TokensAnswer>(request.model, shape);
    return asked_of(std::move(request), std::move(writer));
}

Result<Asked> ask_text_of_tokens(std::string_view body, const Context& context) {
    TRILANE_TRY(const json::Value value, read_object(body));
    const Fields fields(value, "");
    TRILANE_TRY(job::Request request, read_common(fields, ModelField::optional, "text-", context));
    const json::Value* tokens = fields.find("tokens");
    if (tokens == nullptr) {
        return fail(Fault::invalid, "tokens: missing; send an array of token ids");
    }
    if (tokens->is_array() && tokens->size() > kDetokenizeIdsMax) {
        return fail(Fault::invalid, "tokens: there are {}; send at most {} at once", tokens->size(),
                    kDetokenizeIdsMax);
    }
    job::Detokenize detokenize;
    if (!tokens->is_array() || !tokens->empty()) {  // of nothing the text is ""
        TRILANE_TRY(detokenize.ids, read_token_ids(*tokens, "tokens"));
    }
    request.ask = std::move(detokenize);
    auto writer = std::make_unique<TextAnswer>(request.model);
    return asked_of(std::move(request), std::move(writer));
}

}  // namespace trilane::dialect::openai
