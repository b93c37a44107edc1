#include "lane/upstream/turns.h"

#include <algorithm>

#include "base/base64.h"
#include "json/text.h"

namespace trilane::lane::upstream {
namespace {

/// "wav" of "audio/x-wav", "mp3" of "audio/mpeg": as `input_audio` names formats.
std::string_view sound_format(std::string_view type) {
    if (type.find("mpeg") != std::string_view::npos || type.find("mp3") != std::string_view::npos) {
        return "mp3";
    }
    if (type.find("flac") != std::string_view::npos) {
        return "flac";
    }
    return "wav";
}

void append_part(std::string& out, const job::Media& media) {
    if (media.kind == job::Media::Kind::audio) {
        out += R"({"type":"input_audio","input_audio":{"data":")";
        out += base64_encoded(media.bytes);
        out += R"(","format":")";
        out += sound_format(media.type);
        out += "\"}}";
        return;
    }
    out += R"({"type":"image_url","image_url":{"url":)";
    if (media.bytes.empty()) {
        append_text(out, media.url);
    } else {
        out += "\"data:";
        json::append_escaped(out, media.type.empty() ? std::string_view("image/png") : media.type);
        out += ";base64,";
        out += base64_encoded(media.bytes);
        out += '"';
    }
    out += "}}";
}

void append_text_part(std::string& out, std::string_view text, char& mark) {
    if (!text.empty()) {
        out += mark;
        mark = ',';
        out += R"({"type":"text","text":)";
        append_text(out, text);
        out += '}';
    }
}

/// The text in pieces, with each picture where it stands.
void append_parts(std::string& out, const job::Message& message) {
    const std::string_view text = message.content;
    std::size_t begin = 0;
    char mark = '[';
    for (const job::Media& media : message.media) {
        const std::size_t at = std::clamp(media.at, begin, text.size());
        append_text_part(out, text.substr(begin, at - begin), mark);
        begin = at;
        out += mark;
        mark = ',';
        append_part(out, media);
    }
    append_text_part(out, text.substr(begin), mark);
    out += ']';
}

void append_calls(std::string& out, const std::vector<job::ToolCall>& calls) {
    append_field(out, "tool_calls");
    char mark = '[';
    for (const job::ToolCall& call : calls) {
        out += mark;
        mark = ',';
        out += R"({"id":)";
        append_text(out, call.id);
        out += R"(,"type":"function","function":{"name":)";
        append_text(out, call.name);
        out += R"(,"arguments":)";
        append_text(out, call.arguments);
        out += "}}";
    }
    out += ']';
}

void append_message(std::string& out, const job::Message& message, MediaParts media) {
    out += R"({"role":")";
    out += job::role_name(message.role);
    out += R"(","content":)";
    if (message.media.empty() || media == MediaParts::left_out) {
        append_text(out, message.content);
    } else {
        append_parts(out, message);
    }
    if (!message.reasoning.empty()) {
        append_field(out, "reasoning_content");
        append_text(out, message.reasoning);
    }
    if (!message.tool_call_id.empty()) {
        append_field(out, "tool_call_id");
        append_text(out, message.tool_call_id);
    }
    if (!message.tool_calls.empty()) {
        append_calls(out, message.tool_calls);
    }
    out += '}';
}

}  // namespace

void append_field(std::string& out, std::string_view name) {
    out += ",\"";
    out += name;
    out += "\":";
}

void append_text(std::string& out, std::string_view text) {
    out += '"';
    json::append_escaped(out, text);
    out += '"';
}

void append_messages(std::string& out, const job::Chat& chat, MediaParts media) {
    append_field(out, "messages");
    char mark = '[';
    for (const job::Message& message : chat.messages) {
        out += mark;
        mark = ',';
        append_message(out, message, media);
    }
    out += chat.messages.empty() ? "[]" : "]";
}

void append_tools(std::string& out, const job::Chat& chat, std::string_view only) {
    char mark = '[';
    for (const job::Tool& tool : chat.tools) {
        if (!only.empty() && tool.name != only) {
            continue;
        }
        if (mark == '[') {
            append_field(out, "tools");
        }
        out += mark;
        mark = ',';
        out += R"({"type":"function","function":{"name":)";
        append_text(out, tool.name);
        if (!tool.description.empty()) {
            append_field(out, "description");
            append_text(out, tool.description);
        }
        if (!tool.parameters.empty()) {
            append_field(out, "parameters");
            out += tool.parameters;
        }
        out += "}}";
    }
    out += mark == ',' ? "]" : "";
}

void append_variables(std::string& out, const job::Chat& chat, const UpstreamRules& rules) {
    if (chat.template_variables.empty()) {
        return;
    }
    append_field(out, "chat_template_kwargs");
    char mark = '{';
    for (const auto& [name, value] : chat.template_variables) {
        out += mark;
        mark = ',';
        append_text(out, name);
        out += ':';
        out += value.empty() ? std::string_view("null") : std::string_view(value);
    }
    out += '}';
    const auto thinking = chat.template_variables.find("enable_thinking");
    if (rules.think_is_a_parameter && thinking != chat.template_variables.end()) {
        append_field(out, "think");
        out += thinking->second;
    }
}

Status check_media(const job::Chat& chat, const UpstreamRules& rules) {
    for (const job::Message& message : chat.messages) {
        for (const job::Media& media : message.media) {
            if (!media.bytes.empty()) {
                continue;
            }
            if (media.kind == job::Media::Kind::audio) {
                return fail(Fault::invalid, "messages: a sound is empty; send its bytes");
            }
            if (!rules.fetches_urls) {
                return fail(Fault::invalid,
                            "messages: pictures are not fetched from other machines; send the "
                            "picture itself, as a data URL (data:image/png;base64,…)");
            }
        }
    }
    return {};
}

}  // namespace trilane::lane::upstream
