#include "dialect/anthropic/blocks.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/base64.h"
#include "base/utf8.h"
#include "dialect/anthropic/anthropic.h"
#include "dialect/media.h"
#include "json/json.h"

namespace trilane::dialect::anthropic {
namespace {

constexpr std::string_view kKnownBlocks =
    R"("text", "image", "document", "search_result", "tool_use", "tool_result" or "thinking")";

/// Blocks that say nothing to a model that runs here: what the vendor's own tools did, and marks of
/// its housekeeping.
constexpr std::array<std::string_view, 8> kSilentBlocks = {
    "redacted_thinking", "server_tool_use", "mcp_tool_use",     "mcp_tool_result",
    "mcp_tool_listing",  "fallback",        "container_upload", "browser_state"};

bool is_silent(std::string_view type) {
    return std::ranges::find(kSilentBlocks, type) != kSilentBlocks.end() ||
           (type.ends_with("_tool_result") && type != "tool_result");
}

Result<std::string> required_string(const Fields& block, std::string_view name) {
    TRILANE_TRY(std::optional<std::string> text, block.text(name));
    if (!text) {
        return fail(Fault::invalid, "{}: missing; send a string", block.path_of(name));
    }
    return std::move(*text);
}

/// Reads the blocks of one turn, or of one result of a tool inside it.
class Reader {
public:
    Reader(job::Role role, ToolChanges& tools) : role_(role), tools_(tools) {}

    Status read(const json::Value& value, const std::string& path) {
        if (value.is_string()) {
            append_text(content_.text, value.get_ref<const std::string&>());
            return {};
        }
        if (!value.is_array()) {
            return refuse(path, value, "a string or an array of blocks");
        }
        if (value.size() > kBlocksMax) {
            return fail(Fault::invalid, "{}: got {} blocks; send at most {}", path, value.size(),
                        kBlocksMax);
        }
        for (std::size_t i = 0; i < value.size(); ++i) {
            TRILANE_TRY_STATUS(read_block(value[i], fmt::format("{}[{}]", path, i)));
        }
        return {};
    }

    Content take() { return std::move(content_); }

private:
    Status read_block(const json::Value& value, const std::string& path) {
        if (value.is_string()) {
            append_text(content_.text, value.get_ref<const std::string&>());
            return {};
        }
        if (!value.is_object()) {
            return refuse(path, value, "an object such as {\"type\": \"text\", \"text\": \"…\"}");
        }
        const Fields block(value, path);
        TRILANE_TRY(const std::string type, block.required_text("type", kKnownBlocks));
        using Read = Status (Reader::*)(const Fields&);
        constexpr auto kReaders = std::to_array<std::pair<std::string_view, Read>>({
            {"text", &Reader::read_text},
            {"image", &Reader::read_image},
            {"document", &Reader::read_document},
            {"search_result", &Reader::read_search_result},
            {"thinking", &Reader::read_thinking},
            {"tool_use", &Reader::read_call},
            {"tool_result", &Reader::read_result},
            {"tool_reference", &Reader::read_reference},
            {"tool_addition", &Reader::read_addition},
            {"tool_removal", &Reader::read_removal},
            {"compaction", &Reader::read_compaction},
        });
        const auto known = std::ranges::find(kReaders, type, [](const auto& r) { return r.first; });
        if (known != kReaders.end()) {
            return (this->*known->second)(block);
        }
        return is_silent(type) ? Status()
                               : refuse(block.path_of("type"), json::Value(type), kKnownBlocks);
    }

    Status read_text(const Fields& block) {
        TRILANE_TRY(const std::string text, required_string(block, "text"));
        append_text(content_.text, text);
        return {};
    }

    Result<const json::Value*> source_of(const Fields& block) {
        TRILANE_TRY(const json::Value* source, block.object("source"));
        if (source == nullptr) {
            return fail(Fault::invalid, "{}: missing; send an object with type and data",
                        block.path_of("source"));
        }
        return source;
    }

    Status read_image(const Fields& block) {
        if (role_ == job::Role::system) {
            return fail(Fault::invalid, "{}: a system prompt takes text only",
                        block.path_of("type"));
        }
        TRILANE_TRY(const json::Value* value, source_of(block));
        const Fields source(*value, block.path_of("source"));
        TRILANE_TRY(const std::string type, source.required_text("type", R"("base64" or "url")"));
        constexpr auto kImage = job::Media::Kind::image;
        job::Media media;
        if (type == "base64") {
            TRILANE_TRY(const std::optional<std::string> media_type, source.text("media_type"));
            TRILANE_TRY(const std::string data, required_string(source, "data"));
            TRILANE_TRY(media, media_of_base64(kImage, media_type.value_or(""), data,
                                               source.path_of("data")));
        } else if (type == "url") {
            TRILANE_TRY(const std::string url,
                        source.required_text("url", "an address: http://… or https://…"));
            TRILANE_TRY(media, media_of_url(kImage, url, source.path_of("url")));
        } else {
            return refuse(source.path_of("type"), json::Value(type),
                          R"("base64" with the picture itself, or "url")");
        }
        media.at = content_.text.size();
        content_.media.push_back(std::move(media));
        return {};
    }

    Status read_document(const Fields& block) {
        TRILANE_TRY(const json::Value* value, source_of(block));
        for (const std::string_view name : {"title", "context"}) {
            TRILANE_TRY(const std::optional<std::string> text, block.text(name));
            append_text(content_.text, text.value_or(""));
        }
        const Fields source(*value, block.path_of("source"));
        TRILANE_TRY(const std::string type, source.required_text("type", R"("text" or "content")"));
        if (type == "text") {
            TRILANE_TRY(const std::string text, required_string(source, "data"));
            append_text(content_.text, text);
            return {};
        }
        if (type == "content") {
            const json::Value* inside = source.find("content");
            return inside == nullptr ? Status(fail(Fault::invalid, "{}: missing; send blocks",
                                                   source.path_of("content")))
                                     : read_inside(*inside, source.path_of("content"));
        }
        return fail(Fault::invalid,
                    "{}: got a document of type \"{}\", and this server reads plain text only; "
                    "send its text as a source of type \"text\"",
                    block.path_of("source"), type);
    }

    Status read_search_result(const Fields& block) {
        for (const std::string_view name : {"title", "source"}) {
            TRILANE_TRY(const std::optional<std::string> text, block.text(name));
            append_text(content_.text, text.value_or(""));
        }
        const json::Value* inside = block.find("content");
        return inside == nullptr ? Status() : read_inside(*inside, block.path_of("content"));
    }

    /// Blocks inside a block: one level, which is all that the API has.
    Status read_inside(const json::Value& value, const std::string& path) {
        if (inside_) {
            return fail(Fault::invalid, "{}: blocks stand too deep in each other", path);
        }
        inside_ = true;
        auto status = read(value, path);
        inside_ = false;
        return status;
    }

    Status read_thinking(const Fields& block) {
        TRILANE_TRY(std::optional<std::string> thinking, block.text("thinking"));
        TRILANE_TRY(const std::optional<std::string> signature, block.text("signature"));
        append_text(content_.reasoning,
                    thinking && !thinking->empty() ? *thinking : unsealed(signature.value_or("")));
        return {};
    }

    Status read_call(const Fields& block) {
        if (role_ != job::Role::assistant) {
            return fail(Fault::invalid, "{}: a tool_use stands in messages of the assistant",
                        block.path_of("type"));
        }
        if (content_.calls.size() >= kToolCallsMax) {
            return fail(Fault::invalid, "{}: more than {} calls in one message",
                        block.path_of("type"), kToolCallsMax);
        }
        job::ToolCall call;
        TRILANE_TRY(call.id, block.required_text("id", "the id that the answer gave the call"));
        TRILANE_TRY(call.name, block.required_text("name", "the name of the tool"));
        const json::Value* input = block.find("input");
        if (input == nullptr) {
            call.arguments = "{}";
        } else if (input->is_string()) {
            call.arguments = input->get_ref<const std::string&>();
        } else {
            call.arguments = json::dump(*input);
        }
        content_.calls.push_back(std::move(call));
        return {};
    }

    Status read_result(const Fields& block) {
        if (role_ != job::Role::user || inside_ || inside_result_) {
            return fail(Fault::invalid, "{}: a tool_result stands in messages of the user",
                        block.path_of("type"));
        }
        job::Message result;
        result.role = job::Role::tool;
        TRILANE_TRY(result.tool_call_id,
                    block.required_text("tool_use_id", "the id of the call that it answers"));
        if (const json::Value* content = block.find("content")) {
            Reader reader(job::Role::user, tools_);
            reader.inside_result_ = true;
            TRILANE_TRY_STATUS(reader.read(*content, block.path_of("content")));
            Content inside = reader.take();
            result.content = std::move(inside.text);
            result.media = std::move(inside.media);
        }
        TRILANE_TRY(const std::optional<bool> error, block.boolean("is_error"));
        if (error.value_or(false)) {
            mark_error(result);
        }
        content_.results.push_back(std::move(result));
        return {};
    }

    /// A template has no place for "this is an error": the text says it.
    static void mark_error(job::Message& result) {
        constexpr std::string_view kMark = "Error: ";
        if (!result.content.starts_with("Error") &&
            !result.content.starts_with("<tool_use_error")) {
            result.content.insert(0, kMark);
            for (job::Media& media : result.media) {
                media.at += kMark.size();
            }
        }
    }

    /// What a search for tools has found: the model sees its definition from now on.
    Status read_reference(const Fields& block) {
        TRILANE_TRY(const std::string name,
                    block.required_text("tool_name", "the name of one of the tools"));
        tools_.shown[name] = true;
        append_text(content_.text, fmt::format("The tool {} can be used now.", name));
        return {};
    }

    Status read_addition(const Fields& block) {
        TRILANE_TRY(const json::Value* value, block.object("tool"));
        if (value == nullptr) {
            return fail(Fault::invalid, "{}: missing; send a reference or a definition",
                        block.path_of("tool"));
        }
        const Fields tool(*value, block.path_of("tool"));
        if (const json::Value* definition = tool.find("definition")) {
            if (tools_.added.size() >= kToolsMax) {
                return fail(Fault::invalid, "{}: more than {} tools", block.path_of("tool"),
                            kToolsMax);
            }
            TRILANE_TRY(std::optional<job::Tool> added,
                        read_tool(*definition, tool.path_of("definition")));
            if (added) {
                tools_.shown[added->name] = true;
                tools_.added.push_back(*std::move(added));
            }
            return {};
        }
        TRILANE_TRY(const std::string name,
                    tool.required_text("name", "the name of one of the tools"));
        tools_.shown[name] = true;
        return {};
    }

    Status read_removal(const Fields& block) {
        TRILANE_TRY(const json::Value* value, block.object("tool"));
        if (value != nullptr) {
            const Fields tool(*value, block.path_of("tool"));
            TRILANE_TRY(const std::string name,
                        tool.required_text("name", "the name of one of the tools"));
            tools_.shown[name] = false;
        }
        return {};
    }

    /// The summary that stands for the conversation before it.
    Status read_compaction(const Fields& block) {
        TRILANE_TRY(const std::optional<std::string> text, block.text("content"));
        append_text(content_.text, text.value_or(""));
        return {};
    }

    const job::Role role_;
    ToolChanges& tools_;
    Content content_;
    bool inside_ = false;         // a block inside a block is being read
    bool inside_result_ = false;  // this reads what a tool answered
};

}  // namespace

std::string sealed(std::string_view thinking) {
    return std::string(kSealMark) + base64_encoded(thinking);
}

std::string unsealed(std::string_view signature) {
    if (!signature.starts_with(kSealMark)) {
        return {};
    }
    auto thinking = base64_decoded(signature.substr(kSealMark.size()));
    return thinking && is_valid_utf8(*thinking) ? *std::move(thinking) : std::string();
}

Result<Content> read_content(const json::Value& value, const std::string& path, job::Role role,
                             ToolChanges& tools) {
    Reader reader(role, tools);
    TRILANE_TRY_STATUS(reader.read(value, path));
    return reader.take();
}

void append_text(std::string& text, std::string_view more) {
    if (more.empty()) {
        return;
    }
    text += text.empty() ? "" : "\n";
    text += more;
}

}  // namespace trilane::dialect::anthropic
