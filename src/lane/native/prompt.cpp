#include "lane/native/prompt.h"

#include <algorithm>
#include <utility>

#include "gguf/gguf.h"
#include "json/json.h"

namespace trilane::lane {
namespace {

/// Cuts the names of control tokens in foreign text; a control character that no text needs.
constexpr char kShield = '\x01';

/// JSON text of a tool call or schema as a value; text that is no JSON stays a string.
json::Value value_of(const std::string& text) {
    auto value = json::parse(text);
    return value ? *std::move(value) : json::Value(text);
}

json::Value message_value(const job::Message& message, std::string content) {
    json::Value value;
    value["role"] = job::role_name(message.role);
    value["content"] = std::move(content);
    if (!message.reasoning.empty()) {
        value["reasoning_content"] = message.reasoning;
    }
    if (!message.tool_call_id.empty()) {
        value["tool_call_id"] = message.tool_call_id;
    }
    for (const job::ToolCall& call : message.tool_calls) {
        json::Value entry;
        entry["id"] = call.id;
        entry["type"] = "function";
        entry["function"]["name"] = call.name;
        entry["function"]["arguments"] = value_of(call.arguments);
        value["tool_calls"].push_back(std::move(entry));
    }
    return value;
}

json::Value tool_value(const job::Tool& tool) {
    json::Value value;
    value["type"] = "function";
    value["function"]["name"] = tool.name;
    value["function"]["description"] = tool.description;
    value["function"]["parameters"] =
        tool.parameters.empty() ? json::Value::object() : value_of(tool.parameters);
    return value;
}

Result<chat::Template> compile(const gguf::File& file) {
    const auto source = file.string("tokenizer.chat_template");
    if (!source.has_value()) {
        return fail(Fault::invalid,
                    "this model has no chat template; use /v1/completions with the prompt as the "
                    "model expects it");
    }
    auto compiled = chat::Template::compile(*source);
    if (!compiled) {
        return tl::unexpected(
            std::move(compiled).error().because("the model's chat template cannot be used"));
    }
    return compiled;
}

std::string entry_text(const token::Tokenizer& tokenizer, std::optional<token::Id> id) {
    return id.has_value() ? std::string(tokenizer.entry(*id)) : std::string();
}

}  // namespace

PromptWriter::PromptWriter(const gguf::File& file,
                           std::shared_ptr<const token::Tokenizer> tokenizer,
                           std::uint32_t context_tokens)
    : tokenizer_(std::move(tokenizer)), template_(compile(file)), context_tokens_(context_tokens) {
    for (std::size_t i = 0; i < tokenizer_->size(); ++i) {
        const auto id = static_cast<token::Id>(i);
        const std::string_view entry = tokenizer_->entry(id);
        token_bytes_max_ = std::max(token_bytes_max_, entry.size());
        if (tokenizer_->is_control(id) && entry.size() >= 2) {
            control_names_.emplace_back(entry);
        }
    }
}

/// A text that could not fit if every token of it were the longest is refused before it costs time.
Status PromptWriter::check_length(std::string_view text) const {
    if (text.size() / token_bytes_max_ > context_tokens_) {
        return fail(Fault::invalid,
                    "the prompt has {} bytes, more than {} tokens of context can hold; shorten it",
                    text.size(), context_tokens_);
    }
    return {};
}

/// `text` with a mark inside every name of a control token, where encode_shielded() will cut.
std::string PromptWriter::shielded(std::string_view text) const {
    std::string out(text);
    std::erase(out, kShield);
    for (const std::string& name : control_names_) {
        for (std::size_t at = out.find(name); at != std::string::npos; at = out.find(name, at)) {
            out.insert(at + 1, 1, kShield);
        }
    }
    return out;
}

/// The tokens of a rendered chat. Cut at the marks, so that no piece holds a whole name.
std::vector<token::Id> PromptWriter::encode_shielded(std::string_view text) const {
    std::vector<token::Id> ids;
    while (true) {
        const std::size_t mark = std::min(text.find(kShield), text.size());
        const auto piece =
            tokenizer_->encode(text.substr(0, mark), {.add_special = false, .parse_special = true});
        ids.insert(ids.end(), piece.begin(), piece.end());
        if (mark == text.size()) {
            return ids;
        }
        text.remove_prefix(mark + 1);
    }
}

Result<std::string> PromptWriter::render(const job::Chat& chat) const {
    if (!template_) {
        return tl::unexpected(template_.error());
    }
    json::Value variables = json::Value::object();
    variables["messages"] = json::Value::array();
    for (const job::Message& message : chat.messages) {
        const bool foreign = message.role == job::Role::user || message.role == job::Role::tool;
        variables["messages"].push_back(
            message_value(message, foreign ? shielded(message.content) : message.content));
    }
    if (!chat.tools.empty()) {
        for (const job::Tool& tool : chat.tools) {
            variables["tools"].push_back(tool_value(tool));
        }
    }
    variables["bos_token"] = entry_text(*tokenizer_, tokenizer_->bos());
    variables["eos_token"] = entry_text(*tokenizer_, tokenizer_->eos());
    variables["add_generation_prompt"] = true;
    for (const auto& [name, text] : chat.template_variables) {
        variables[name] = value_of(text);
    }
    return template_->render(variables);
}

Result<std::vector<token::Id>> PromptWriter::tokens(const job::Request& request) const {
    if (const auto* completion = std::get_if<job::Completion>(&request.ask)) {
        return completion_tokens(*completion);
    }
    auto text = render(std::get<job::Chat>(request.ask));
    if (!text) {
        return tl::unexpected(std::move(text).error().because("messages"));
    }
    TRILANE_TRY_STATUS(check_length(*text));
    auto ids = encode_shielded(*text);
    // The answer follows, so nothing is put at the end; and templates that write the
    // beginning-of-text token themselves must not get a second one.
    const auto bos = tokenizer_->adds_bos() ? tokenizer_->bos() : std::nullopt;
    if (bos.has_value() && (ids.empty() || ids.front() != *bos)) {
        ids.insert(ids.begin(), *bos);
    }
    return ids;
}

Result<std::vector<token::Id>> PromptWriter::completion_tokens(
    const job::Completion& completion) const {
    if (const auto* ids = std::get_if<std::vector<std::int32_t>>(&completion.prompt)) {
        return std::vector<token::Id>(ids->begin(), ids->end());
    }
    const std::string& text = std::get<std::string>(completion.prompt);
    TRILANE_TRY_STATUS(check_length(text));
    auto ids = tokenizer_->encode(text, {.add_special = true, .parse_special = true});
    if (ids.empty() && tokenizer_->bos().has_value()) {
        ids.push_back(*tokenizer_->bos());  // an empty prompt starts a text
    }
    return ids;
}

}  // namespace trilane::lane
