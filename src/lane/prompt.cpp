#include "lane/prompt.h"

#include "gguf/gguf.h"
#include "json/json.h"

namespace trilane::lane {
namespace {

std::string_view role_name(job::Role role) {
    switch (role) {
        case job::Role::system:
            return "system";
        case job::Role::user:
            return "user";
        case job::Role::assistant:
            return "assistant";
        case job::Role::tool:
            break;
    }
    return "tool";
}

/// JSON text of a tool call or schema as a value; text that is no JSON stays a string.
json::Value value_of(const std::string& text) {
    auto value = json::parse(text);
    return value ? *std::move(value) : json::Value(text);
}

json::Value message_value(const job::Message& message) {
    json::Value value;
    value["role"] = role_name(message.role);
    value["content"] = message.content;
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
                           std::shared_ptr<const token::Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)), template_(compile(file)) {}

Result<std::string> PromptWriter::render(const job::Chat& chat) const {
    if (!template_) {
        return tl::unexpected(template_.error());
    }
    json::Value variables = json::Value::object();
    variables["messages"] = json::Value::array();
    for (const job::Message& message : chat.messages) {
        variables["messages"].push_back(message_value(message));
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
    auto ids = tokenizer_->encode(*text, {.add_special = false, .parse_special = true});
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
    auto ids = tokenizer_->encode(std::get<std::string>(completion.prompt),
                                  {.add_special = true, .parse_special = true});
    if (ids.empty() && tokenizer_->bos().has_value()) {
        ids.push_back(*tokenizer_->bos());  // an empty prompt starts a text
    }
    return ids;
}

}  // namespace trilane::lane
