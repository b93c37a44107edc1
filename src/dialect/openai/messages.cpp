#include "dialect/openai/messages.h"

#include <algorithm>
#include <array>

#include "dialect/openai/openai.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

constexpr std::string_view kContentWanted = "a string or an array of text parts";

Result<job::Role> read_role(const Fields& message) {
    TRILANE_TRY(const std::string role,
                message.required_text("role", "\"system\", \"user\", \"assistant\" or \"tool\""));
    if (role == "system" || role == "developer") {
        return job::Role::system;
    }
    if (role == "user") {
        return job::Role::user;
    }
    if (role == "assistant") {
        return job::Role::assistant;
    }
    if (role == "tool") {
        return job::Role::tool;
    }
    return refuse(message.path_of("role"), json::Value(role),
                  "\"system\", \"user\", \"assistant\" or \"tool\"");
}

/// The text of one content part.
Result<std::string> read_part(const json::Value& part, const std::string& path) {
    if (!part.is_object()) {
        return refuse(path, part, "an object such as {\"type\": \"text\", \"text\": \"…\"}");
    }
    const Fields fields(part, path);
    TRILANE_TRY(const std::string type, fields.required_text("type", "\"text\""));
    constexpr std::array<std::string_view, 6> kOtherMedia = {
        "image_url", "image", "input_image", "input_audio", "video_url", "file"};
    if (std::find(kOtherMedia.begin(), kOtherMedia.end(), type) != kOtherMedia.end()) {
        return fail(Fault::invalid,
                    "{}: got a part of type \"{}\", but this model takes text only; send parts of "
                    "type \"text\"",
                    path, type);
    }
    const bool refusal = type == "refusal";
    if (type != "text" && !refusal) {
        return refuse(fields.path_of("type"), json::Value(type), "\"text\"");
    }
    const std::string_view name = refusal ? "refusal" : "text";
    TRILANE_TRY(std::optional<std::string> text, fields.text(name));
    if (!text) {
        return fail(Fault::invalid, "{}: missing; send the text of the part", fields.path_of(name));
    }
    return std::move(*text);
}

/// The content of a message; several parts are joined by line breaks. Absent for null.
Result<std::optional<std::string>> read_content(const Fields& message) {
    const json::Value* content = message.find("content");
    if (content == nullptr) {
        return std::nullopt;
    }
    if (content->is_string()) {
        return content->get_ref<const std::string&>();
    }
    if (!content->is_array() || content->empty()) {
        return refuse(message.path_of("content"), *content, kContentWanted);
    }
    std::string joined;
    for (std::size_t i = 0; i < content->size(); ++i) {
        const std::string path = fmt::format("{}[{}]", message.path_of("content"), i);
        TRILANE_TRY(const std::string text, read_part((*content)[i], path));
        joined += i == 0 ? "" : "\n";
        joined += text;
    }
    return joined;
}

Result<job::ToolCall> read_tool_call(const json::Value& value, const std::string& path) {
    if (!value.is_object()) {
        return refuse(path, value, "an object with id, type and function");
    }
    const Fields fields(value, path);
    TRILANE_TRY_STATUS(fields.word("type", {"function"}));
    job::ToolCall call;
    TRILANE_TRY(call.id, fields.required_text("id", "the id that the model gave the call"));
    TRILANE_TRY(const json::Value* function, fields.object("function"));
    if (function == nullptr) {
        return fail(Fault::invalid, "{}: missing; send an object with name and arguments",
                    fields.path_of("function"));
    }
    const Fields named(*function, fields.path_of("function"));
    TRILANE_TRY(call.name, named.required_text("name", "the name of the function"));
    const json::Value* arguments = named.find("arguments");
    if (arguments == nullptr) {
        call.arguments = "{}";
    } else if (arguments->is_string()) {
        call.arguments = arguments->get_ref<const std::string&>();
    } else if (arguments->is_object()) {
        call.arguments = json::dump(*arguments);
    } else {
        return refuse(named.path_of("arguments"), *arguments, "JSON text in a string");
    }
    return call;
}

Status read_tool_calls(const Fields& message, job::Message& into) {
    TRILANE_TRY(const json::Value* calls, message.array("tool_calls", "tool calls"));
    if (calls == nullptr) {
        return {};
    }
    if (calls->size() > kToolsMax) {
        return fail(Fault::invalid, "{}: got {} calls; send at most {}",
                    message.path_of("tool_calls"), calls->size(), kToolsMax);
    }
    for (std::size_t i = 0; i < calls->size(); ++i) {
        const std::string path = fmt::format("{}[{}]", message.path_of("tool_calls"), i);
        TRILANE_TRY(job::ToolCall call, read_tool_call((*calls)[i], path));
        into.tool_calls.push_back(std::move(call));
    }
    return {};
}

Result<job::Message> read_message(const json::Value& value, const std::string& path) {
    if (!value.is_object()) {
        return refuse(path, value, "an object with role and content");
    }
    const Fields fields(value, path);
    job::Message message;
    TRILANE_TRY(message.role, read_role(fields));
    TRILANE_TRY(std::optional<std::string> content, read_content(fields));
    if (message.role == job::Role::assistant) {
        TRILANE_TRY_STATUS(read_tool_calls(fields, message));
        TRILANE_TRY(std::optional<std::string> reasoning, fields.text("reasoning_content"));
        message.reasoning = std::move(reasoning).value_or("");
        TRILANE_TRY(std::optional<std::string> refusal, fields.text("refusal"));
        if (!content) {
            content = std::move(refusal);
        }
    }
    if (message.role == job::Role::tool) {
        TRILANE_TRY(message.tool_call_id,
                    fields.required_text("tool_call_id", "the id of the call that it answers"));
    }
    if (!content && message.tool_calls.empty() && message.reasoning.empty()) {
        return fail(Fault::invalid, "{}: {}; send {}", fields.path_of("content"),
                    value.contains("content") ? "got null" : "missing", kContentWanted);
    }
    message.content = std::move(content).value_or("");
    return message;
}

Result<job::Tool> read_tool(const json::Value& value, const std::string& path) {
    if (!value.is_object()) {
        return refuse(path, value, "an object with type and function");
    }
    const Fields fields(value, path);
    TRILANE_TRY(const std::string type, fields.required_text("type", "\"function\""));
    if (type != "function") {
        return refuse(fields.path_of("type"), json::Value(type), "\"function\"");
    }
    TRILANE_TRY(const json::Value* function, fields.object("function"));
    if (function == nullptr) {
        return fail(Fault::invalid,
                    "{}: missing; send an object with name, description and parameters",
                    fields.path_of("function"));
    }
    const Fields named(*function, fields.path_of("function"));
    job::Tool tool;
    TRILANE_TRY(tool.name, named.required_text("name", "the name of the function"));
    TRILANE_TRY(std::optional<std::string> description, named.text("description"));
    tool.description = std::move(description).value_or("");
    TRILANE_TRY(const json::Value* parameters, named.object("parameters"));
    // A function without parameters takes an empty object; templates print what stands here.
    tool.parameters =
        parameters == nullptr ? R"({"type":"object","properties":{}})" : json::dump(*parameters);
    return tool;
}

/// Whether the model is to see the tools at all.
Result<bool> read_tool_choice(const Fields& body) {
    const json::Value* choice = body.find("tool_choice");
    if (choice == nullptr || *choice == "auto") {
        return true;
    }
    if (*choice == "none") {
        return false;
    }
    if (choice->is_object() || *choice == "required") {
        return fail(Fault::invalid,
                    "tool_choice: forcing a call is not supported yet; send \"auto\" or \"none\"");
    }
    return refuse("tool_choice", *choice, "\"auto\" or \"none\"");
}

Status read_tools(const Fields& body, job::Chat& chat) {
    for (const std::string_view old : {"functions", "function_call"}) {
        const json::Value* value = body.find(old);
        if (value != nullptr && *value != "none" && *value != "auto" && !value->empty()) {
            return fail(Fault::invalid, "{}: not supported; send tools and tool_choice instead",
                        old);
        }
    }
    TRILANE_TRY(const bool shown, read_tool_choice(body));
    TRILANE_TRY(const json::Value* tools, body.array("tools", "tools"));
    if (tools == nullptr) {
        return {};
    }
    if (tools->size() > kToolsMax) {
        return fail(Fault::invalid, "tools: got {} tools; send at most {}", tools->size(),
                    kToolsMax);
    }
    for (std::size_t i = 0; i < tools->size(); ++i) {
        TRILANE_TRY(job::Tool tool, read_tool((*tools)[i], fmt::format("tools[{}]", i)));
        if (shown) {
            chat.tools.push_back(std::move(tool));
        }
    }
    return {};
}

Status read_template_variables(const Fields& body, job::Chat& chat) {
    auto& variables = chat.template_variables;
    TRILANE_TRY(const std::optional<std::string> effort,
                body.word("reasoning_effort",
                          {"none", "minimal", "low", "medium", "high", "xhigh", "max"}));
    if (effort) {
        variables["reasoning_effort"] = json::dump(json::Value(*effort));
        if (*effort == "none") {
            variables["enable_thinking"] = "false";
        }
    }
    TRILANE_TRY(const std::optional<bool> thinking, body.boolean("enable_thinking"));
    if (thinking) {
        variables["enable_thinking"] = *thinking ? "true" : "false";
    }
    TRILANE_TRY(const json::Value* given, body.object("chat_template_kwargs"));
    if (given == nullptr) {
        return {};
    }
    constexpr std::array<std::string_view, 5> kTaken = {
        "messages", "tools", "add_generation_prompt", "bos_token", "eos_token"};
    for (const auto& [name, value] : given->items()) {
        if (std::find(kTaken.begin(), kTaken.end(), name) != kTaken.end()) {
            return fail(
                Fault::invalid,
                "chat_template_kwargs.{}: is set from the request and the model; leave it out",
                name);
        }
        variables[name] = json::dump(value);
    }
    return {};
}

}  // namespace

Result<job::Chat> read_chat(const Fields& body) {
    constexpr std::string_view kWanted = "an array with at least one message";
    const json::Value* messages = body.find("messages");
    if (messages == nullptr) {
        return fail(
            Fault::invalid, "messages: missing; send {}{}", kWanted,
            body.find("prompt") == nullptr ? "" : ", or send the prompt to /v1/completions");
    }
    if (!messages->is_array() || messages->empty()) {
        return refuse("messages", *messages, kWanted);
    }
    if (messages->size() > kMessagesMax) {
        return fail(Fault::invalid, "messages: got {} messages; send at most {}", messages->size(),
                    kMessagesMax);
    }
    job::Chat chat;
    chat.messages.reserve(messages->size());
    for (std::size_t i = 0; i < messages->size(); ++i) {
        TRILANE_TRY(job::Message message,
                    read_message((*messages)[i], fmt::format("messages[{}]", i)));
        chat.messages.push_back(std::move(message));
    }
    TRILANE_TRY_STATUS(read_tools(body, chat));
    TRILANE_TRY_STATUS(read_template_variables(body, chat));
    return chat;
}

}  // namespace trilane::dialect::openai
