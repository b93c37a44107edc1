#include "dialect/openai/messages.h"

#include <algorithm>
#include <array>

#include "dialect/media.h"
#include "dialect/openai/openai.h"
#include "dialect/openai/tools.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

constexpr std::string_view kContentWanted = "a string or an array of parts";

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
    if (role == "tool" || role == "function") {
        return job::Role::tool;
    }
    return refuse(message.path_of("role"), json::Value(role),
                  "\"system\", \"user\", \"assistant\" or \"tool\"");
}

/// {"url": "data:…"}, or the URL itself.
Result<job::Media> read_picture(const Fields& part, std::string_view name) {
    const json::Value* value = part.find(name);
    const std::string path = part.path_of(name);
    if (value == nullptr) {
        return fail(Fault::invalid, "{}: missing; send an object with the url of the picture",
                    path);
    }
    if (value->is_string()) {
        return media_of_url(job::Media::Kind::image, value->get_ref<const std::string&>(), path);
    }
    if (!value->is_object()) {
        return refuse(path, *value, "an object with the url of the picture");
    }
    const Fields fields(*value, path);
    TRILANE_TRY(const std::string url, fields.required_text("url", "the url of the picture"));
    return media_of_url(job::Media::Kind::image, url, fields.path_of("url"));
}

/// {"data": base64, "format": "wav"}
Result<job::Media> read_sound(const Fields& part) {
    TRILANE_TRY(const json::Value* value, part.object("input_audio"));
    if (value == nullptr) {
        return fail(Fault::invalid, "{}: missing; send an object with data and format",
                    part.path_of("input_audio"));
    }
    const Fields fields(*value, part.path_of("input_audio"));
    TRILANE_TRY(const std::string data, fields.required_text("data", "the sound as base64"));
    TRILANE_TRY(const auto format,
                fields.word("format", {"wav", "mp3", "flac", "ogg", "opus", "m4a", "webm"}));
    const std::string type =
        !format ? "" : "audio/" + (*format == "mp3" ? std::string("mpeg") : *format);
    return media_of_base64(job::Media::Kind::audio, type, data, fields.path_of("data"));
}

Result<std::string> read_text_part(const Fields& part, std::string_view name) {
    TRILANE_TRY(std::optional<std::string> text, part.text(name));
    if (!text) {
        return fail(Fault::invalid, "{}: missing; send the text of the part", part.path_of(name));
    }
    return std::move(*text);
}

/// Texts that follow each other are joined by line breaks; what stands between two is break enough.
void add_text(Content& content, std::string_view text) {
    content.text += content.after_text ? "\n" : "";
    content.text += text;
    content.after_text = true;
}

void add_media(Content& content, job::Media media) {
    media.at = content.text.size();
    content.media.push_back(std::move(media));
    content.after_text = false;
}

Status read_part(const json::Value& part, const std::string& path, Content& content) {
    constexpr std::string_view kWanted = "\"text\", \"image_url\" or \"input_audio\"";
    if (!part.is_object()) {
        return refuse(path, part, "an object such as {\"type\": \"text\", \"text\": \"…\"}");
    }
    const Fields fields(part, path);
    TRILANE_TRY(const std::string type, fields.required_text("type", kWanted));
    if (type == "text" || type == "refusal" || type == "input_text" || type == "output_text") {
        TRILANE_TRY(const std::string text,
                    read_text_part(fields, type == "refusal" ? "refusal" : "text"));
        add_text(content, text);
        return {};
    }
    if (type == "image_url" || type == "input_image") {
        TRILANE_TRY(job::Media picture, read_picture(fields, "image_url"));
        add_media(content, std::move(picture));
        return {};
    }
    if (type == "input_audio") {
        TRILANE_TRY(job::Media sound, read_sound(fields));
        add_media(content, std::move(sound));
        return {};
    }
    if (type == "file" || type == "input_file" || type == "video_url") {
        return fail(Fault::invalid,
                    "{}: got a part of type \"{}\", which no model here reads; send its text or "
                    "pictures of it",
                    path, type);
    }
    return refuse(fields.path_of("type"), json::Value(type), kWanted);
}

}  // namespace

Result<Content> read_parts(const json::Value& parts, const std::string& path) {
    Content content;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        TRILANE_TRY_STATUS(read_part(parts[i], fmt::format("{}[{}]", path, i), content));
    }
    return content;
}

namespace {

/// The content of a message; absent for null.
Result<std::optional<Content>> read_content(const Fields& message) {
    const json::Value* content = message.find("content");
    if (content == nullptr) {
        return std::nullopt;
    }
    if (content->is_string()) {
        return Content{content->get_ref<const std::string&>(), {}, true};
    }
    if (!content->is_array() || content->empty()) {
        return refuse(message.path_of("content"), *content, kContentWanted);
    }
    TRILANE_TRY(Content joined, read_parts(*content, message.path_of("content")));
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

/// {"name", "arguments"}: the call of an old assistant message, and its only one. The answer to it
/// names no id, so it gets one here.
Status read_old_call(const Fields& message, job::Message& into) {
    TRILANE_TRY(const json::Value* call, message.object("function_call"));
    if (call == nullptr) {
        return {};
    }
    const Fields fields(*call, message.path_of("function_call"));
    TRILANE_TRY(std::string name, fields.required_text("name", "the name of the function"));
    TRILANE_TRY(std::optional<std::string> arguments, fields.text("arguments"));
    std::string id = "call_" + name;
    into.tool_calls.push_back(
        {std::move(id), std::move(name), std::move(arguments).value_or("{}")});
    return {};
}

Status read_answered_call(const Fields& message, job::Message& into) {
    if (*message.find("role") == "function") {
        TRILANE_TRY(const std::string name,
                    message.required_text("name", "the name of the function that answers"));
        into.tool_call_id = "call_" + name;
        return {};
    }
    TRILANE_TRY(into.tool_call_id,
                message.required_text("tool_call_id", "the id of the call that it answers"));
    return {};
}

Result<job::Message> read_message(const json::Value& value, const std::string& path) {
    if (!value.is_object()) {
        return refuse(path, value, "an object with role and content");
    }
    const Fields fields(value, path);
    job::Message message;
    TRILANE_TRY(message.role, read_role(fields));
    TRILANE_TRY(std::optional<Content> content, read_content(fields));
    if (message.role == job::Role::assistant) {
        TRILANE_TRY_STATUS(read_tool_calls(fields, message));
        TRILANE_TRY_STATUS(read_old_call(fields, message));
        for (const std::string_view name : {"reasoning_content", "reasoning"}) {
            TRILANE_TRY(std::optional<std::string> reasoning, fields.text(name));
            if (message.reasoning.empty()) {
                message.reasoning = std::move(reasoning).value_or("");
            }
        }
        TRILANE_TRY(std::optional<std::string> refusal, fields.text("refusal"));
        if (!content && refusal) {
            content = Content{*std::move(refusal), {}, true};
        }
    }
    if (message.role == job::Role::tool) {
        TRILANE_TRY_STATUS(read_answered_call(fields, message));
    }
    if (!content && message.tool_calls.empty() && message.reasoning.empty()) {
        return fail(Fault::invalid, "{}: {}; send {}", fields.path_of("content"),
                    value.contains("content") ? "got null" : "missing", kContentWanted);
    }
    if (content) {
        message.content = std::move(content->text);
        message.media = std::move(content->media);
    }
    return message;
}

}  // namespace

Status read_effort(const Fields& fields, std::string_view name, job::Chat& chat) {
    TRILANE_TRY(const std::optional<std::string> effort,
                fields.word(name, {"none", "minimal", "low", "medium", "high", "xhigh", "max"}));
    if (effort) {
        chat.template_variables["reasoning_effort"] = json::dump(json::Value(*effort));
        if (*effort == "none") {
            chat.template_variables["enable_thinking"] = "false";
        }
    }
    return {};
}

Status read_template_variables(const Fields& body, job::Chat& chat) {
    auto& variables = chat.template_variables;
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
    std::size_t media = 0;
    for (std::size_t i = 0; i < messages->size(); ++i) {
        TRILANE_TRY(job::Message message,
                    read_message((*messages)[i], fmt::format("messages[{}]", i)));
        media += message.media.size();
        chat.messages.push_back(std::move(message));
    }
    if (media > kMediaMax) {
        return fail(Fault::invalid, "messages: got {} pictures and sounds; send at most {}", media,
                    kMediaMax);
    }
    TRILANE_TRY_STATUS(read_tools(body, ToolShape::nested, chat));
    TRILANE_TRY_STATUS(read_effort(body, "reasoning_effort", chat));
    TRILANE_TRY_STATUS(read_template_variables(body, chat));
    TRILANE_TRY(const auto goes_on, body.boolean("continue_final_message"));
    chat.continue_last = goes_on.value_or(false);
    if (chat.continue_last && chat.messages.back().role != job::Role::assistant) {
        return fail(Fault::invalid,
                    "continue_final_message: got true, but the last message is not the "
                    "assistant's; send one that the answer can go on from");
    }
    return chat;
}

}  // namespace trilane::dialect::openai
