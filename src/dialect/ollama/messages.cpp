// Messages, tools and pictures of Ollama's requests.
#include <algorithm>
#include <array>

#include "base/base64.h"
#include "dialect/ollama/ollama.h"
#include "dialect/ollama/reading.h"
#include "json/json.h"

namespace trilane::dialect::ollama {
namespace {

using std::string_view_literals::operator""sv;

Result<job::Role> read_role(const Fields& message) {
    TRILANE_TRY(const auto role, message.word("role", {"system", "user", "assistant", "tool"}));
    if (!role) {
        return fail(Fault::invalid,
                    "{}: missing; send \"system\", \"user\", \"assistant\" or \"tool\"",
                    message.path_of("role"));
    }
    for (const job::Role known : {job::Role::system, job::Role::user, job::Role::assistant}) {
        if (job::role_name(known) == *role) {
            return known;
        }
    }
    return job::Role::tool;
}

/// What a file's first bytes say that it is; "" = nothing known.
std::string_view type_of(std::string_view bytes) {
    if (bytes.starts_with("\x89PNG"sv)) {
        return "image/png";
    }
    if (bytes.starts_with("\xFF\xD8\xFF"sv)) {
        return "image/jpeg";
    }
    if (bytes.starts_with("GIF8"sv)) {
        return "image/gif";
    }
    if (bytes.starts_with("RIFF"sv) && bytes.size() >= 12) {
        const std::string_view form = bytes.substr(8, 4);
        return form == "WEBP" ? "image/webp" : form == "WAVE" ? "audio/wav" : "";
    }
    return bytes.starts_with("BM"sv) ? "image/bmp" : "";
}

Result<job::ToolCall> read_tool_call(const json::Value& value, const std::string& path) {
    if (!value.is_object()) {
        return refuse(path, value, "an object with a function");
    }
    const Fields fields(value, path);
    job::ToolCall call;
    TRILANE_TRY(std::optional<std::string> id, fields.text("id"));
    call.id = std::move(id).value_or("");
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
        return refuse(named.path_of("arguments"), *arguments, "an object");
    }
    return call;
}

/// Calls get ids here when the client names them by nothing but their order.
Status read_tool_calls(const Fields& message, std::size_t turn, job::Message& into) {
    TRILANE_TRY(const json::Value* calls, message.array("tool_calls", "tool calls"));
    if (calls == nullptr) {
        return {};
    }
    if (calls->size() > kToolCallsMax) {
        return fail(Fault::invalid, "{}: got {} calls; send at most {}",
                    message.path_of("tool_calls"), calls->size(), kToolCallsMax);
    }
    for (std::size_t i = 0; i < calls->size(); ++i) {
        TRILANE_TRY(
            job::ToolCall call,
            read_tool_call((*calls)[i], fmt::format("{}[{}]", message.path_of("tool_calls"), i)));
        if (call.id.empty()) {
            call.id = fmt::format("call_{}_{}", turn, i);
        }
        into.tool_calls.push_back(std::move(call));
    }
    return {};
}

/// Which call a tool's message answers: the one it names by id; else the first of that function
/// that nobody has answered yet; else the first unanswered one.
std::string answered_call(const std::vector<job::Message>& before, const std::string& id,
                          const std::string& name) {
    if (!id.empty()) {
        return id;
    }
    std::vector<std::string_view> answered;
    for (auto message = before.rbegin(); message != before.rend(); ++message) {
        if (message->role == job::Role::tool) {
            answered.push_back(message->tool_call_id);
            continue;
        }
        const job::ToolCall* first = nullptr;
        for (const job::ToolCall& call : message->tool_calls) {
            const bool open = std::ranges::find(answered, call.id) == answered.end();
            if (open && call.name == name) {
                return call.id;
            }
            first = open && first == nullptr ? &call : first;
        }
        return first != nullptr ? first->id : name;
    }
    return name;
}

Result<job::Message> read_message(const json::Value& value, std::size_t turn,
                                  const std::vector<job::Message>& before) {
    const std::string path = fmt::format("messages[{}]", turn);
    if (!value.is_object()) {
        return refuse(path, value, "an object with role and content");
    }
    const Fields fields(value, path);
    job::Message message;
    TRILANE_TRY(message.role, read_role(fields));
    TRILANE_TRY(std::optional<std::string> content, fields.text("content"));
    message.content = std::move(content).value_or("");
    TRILANE_TRY_STATUS(read_images(fields, message));
    if (message.role == job::Role::assistant) {
        TRILANE_TRY(std::optional<std::string> thinking, fields.text("thinking"));
        message.reasoning = std::move(thinking).value_or("");
        TRILANE_TRY_STATUS(read_tool_calls(fields, turn, message));
    }
    if (message.role == job::Role::tool) {
        TRILANE_TRY(const auto id, fields.text("tool_call_id"));
        TRILANE_TRY(std::optional<std::string> name, fields.text("tool_name"));
        if (!name) {
            TRILANE_TRY(name, fields.text("name"));
        }
        message.tool_call_id = answered_call(before, id.value_or(""), name.value_or(""));
    }
    return message;
}

Result<job::Tool> read_tool(const json::Value& value, const std::string& path) {
    if (!value.is_object()) {
        return refuse(path, value, "an object with type and function");
    }
    const Fields fields(value, path);
    TRILANE_TRY_STATUS(fields.word("type", {"function"}));
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
    tool.parameters =
        parameters == nullptr ? R"({"type":"object","properties":{}})" : json::dump(*parameters);
    return tool;
}

Status read_tools(const Fields& body, job::Chat& chat) {
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
        chat.tools.push_back(std::move(tool));
    }
    return {};
}

}  // namespace

Status read_images(const Fields& owner, job::Message& message) {
    TRILANE_TRY(const json::Value* images, owner.array("images", "base64 texts"));
    if (images == nullptr) {
        return {};
    }
    if (images->size() > kImagesMax) {
        return fail(Fault::invalid, "{}: got {} images; send at most {}", owner.path_of("images"),
                    images->size(), kImagesMax);
    }
    for (std::size_t i = 0; i < images->size(); ++i) {
        const std::string path = fmt::format("{}[{}]", owner.path_of("images"), i);
        const json::Value& image = (*images)[i];
        std::string_view text = image.is_string()
                                    ? std::string_view(image.get_ref<const std::string&>())
                                    : std::string_view();
        if (text.starts_with("data:")) {
            text.remove_prefix(std::min(text.find(',') + 1, text.size()));
        }
        auto bytes = base64_decoded(text);
        if (!bytes || bytes->empty()) {
            return fail(Fault::invalid, "{}: is no base64; send the bytes of a picture in base64",
                        path);
        }
        job::Media media;
        media.type = type_of(*bytes);
        media.kind =
            media.type.starts_with("audio/") ? job::Media::Kind::audio : job::Media::Kind::image;
        media.bytes = *std::move(bytes);
        media.at = message.content.size();
        message.media.push_back(std::move(media));
    }
    return {};
}

Result<job::Chat> read_chat(const Fields& body, const std::string& system) {
    job::Chat chat;
    TRILANE_TRY(const json::Value* messages, body.array("messages", "messages"));
    const std::size_t count = messages == nullptr ? 0 : messages->size();
    if (count > kMessagesMax) {
        return fail(Fault::invalid, "messages: got {} messages; send at most {}", count,
                    kMessagesMax);
    }
    for (std::size_t i = 0; i < count; ++i) {
        TRILANE_TRY(job::Message message, read_message((*messages)[i], i, chat.messages));
        chat.messages.push_back(std::move(message));
    }
    if (chat.messages.empty()) {
        return chat;
    }
    if (!system.empty() && chat.messages.front().role != job::Role::system) {
        chat.messages.insert(chat.messages.begin(), {job::Role::system, system, {}, {}});
    }
    const job::Message& last = chat.messages.back();
    chat.continue_last = last.role == job::Role::assistant && last.tool_calls.empty();
    TRILANE_TRY_STATUS(read_tools(body, chat));
    TRILANE_TRY_STATUS(read_think(body, chat));
    return chat;
}

Status read_think(const Fields& body, job::Chat& chat) {
    const json::Value* think = body.find("think");
    if (think == nullptr) {
        return {};
    }
    auto& variables = chat.template_variables;
    if (think->is_boolean()) {
        variables["enable_thinking"] = think->get<bool>() ? "true" : "false";
        return {};
    }
    constexpr std::array kLevels = {"low", "medium", "high", "max"};
    if (!think->is_string() ||
        std::ranges::find(kLevels, think->get_ref<const std::string&>()) == kLevels.end()) {
        return refuse("think", *think, R"(true, false, "low", "medium", "high" or "max")");
    }
    variables["enable_thinking"] = "true";
    variables["reasoning_effort"] = json::dump(*think);
    return {};
}

}  // namespace trilane::dialect::ollama
