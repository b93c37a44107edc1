#include "dialect/anthropic/messages.h"

#include <iterator>
#include <utility>

#include "dialect/anthropic/anthropic.h"
#include "dialect/anthropic/blocks.h"
#include "dialect/anthropic/tools.h"
#include "json/json.h"

namespace trilane::dialect::anthropic {
namespace {

constexpr std::string_view kRoles = R"("user", "assistant" or "system")";
/// A text that some clients put before their system prompt for the vendor's accounting. It may
/// differ in every request, and whatever stands behind it could then never be reused.
constexpr std::string_view kBillingMark = "x-anthropic-billing-header:";

void append_message(job::Message& into, job::Message&& more) {
    const std::size_t shift = into.content.empty() ? 0 : into.content.size() + 1;
    append_text(into.content, more.content);
    for (job::Media& media : more.media) {
        // Behind a text that is empty there is no line break to count.
        media.at = more.content.empty() ? into.content.size() : media.at + shift;
        into.media.push_back(std::move(media));
    }
    append_text(into.reasoning, more.reasoning);
    std::ranges::move(more.tool_calls, std::back_inserter(into.tool_calls));
}

/// Puts the turns together as they come.
class Conversation {
public:
    Status read_system(const Fields& body) {
        const json::Value* system = body.find("system");
        if (system == nullptr) {
            return {};
        }
        TRILANE_TRY(const std::string text, system_text(*system, "system"));
        append_text(system_, text);
        return {};
    }

    Status read_message(const json::Value& value, const std::string& path) {
        if (!value.is_object()) {
            return refuse(path, value, "an object with role and content");
        }
        const Fields fields(value, path);
        TRILANE_TRY(const std::string role, fields.required_text("role", kRoles));
        const json::Value* content = fields.find("content");
        if (role == "system") {
            return content == nullptr ? Status() : add_system(*content, fields.path_of("content"));
        }
        if (role != "user" && role != "assistant") {
            return refuse(fields.path_of("role"), json::Value(role), kRoles);
        }
        if (content == nullptr) {
            return fail(Fault::invalid, "{}: missing; send a string or an array of blocks",
                        fields.path_of("content"));
        }
        const auto speaker = role == "user" ? job::Role::user : job::Role::assistant;
        TRILANE_TRY(Content read,
                    read_content(*content, fields.path_of("content"), speaker, tools));
        add_turn(speaker, std::move(read));
        return {};
    }

    Result<job::Chat> take() {
        job::Chat chat;
        if (!system_.empty()) {
            chat.messages.push_back({job::Role::system, std::move(system_), {}, {}});
        }
        std::ranges::move(turns_, std::back_inserter(chat.messages));
        if (chat.messages.empty() || chat.messages.back().role != job::Role::assistant) {
            return chat;
        }
        if (!chat.messages.back().tool_calls.empty()) {
            return fail(Fault::invalid,
                        "messages: the last one calls tools; send their results as tool_result "
                        "blocks of a user message");
        }
        chat.continue_last = true;
        return chat;
    }

    ToolChanges tools;

private:
    Result<std::string> system_text(const json::Value& value, const std::string& path) {
        if (!value.is_array()) {
            TRILANE_TRY(Content content, read_content(value, path, job::Role::system, tools));
            return std::move(content.text);
        }
        std::string text;
        for (std::size_t i = 0; i < value.size(); ++i) {
            const json::Value one = json::Value::array({value[i]});
            auto content = read_content(one, path, job::Role::system, tools);
            if (!content) {
                // The block is named by its place in the whole.
                return tl::unexpected(renumbered(std::move(content).error(), path, i));
            }
            if (!content->text.starts_with(kBillingMark)) {
                append_text(text, content->text);
            }
        }
        return text;
    }

    static Error renumbered(Error error, const std::string& path, std::size_t index) {
        const std::string first = path + "[0]";
        if (error.message.starts_with(first)) {
            error.message.replace(0, first.size(), fmt::format("{}[{}]", path, index));
        }
        return error;
    }

    Status add_system(const json::Value& value, const std::string& path) {
        TRILANE_TRY(const std::string text, system_text(value, path));
        if (!answered_) {
            append_text(system_, text);
        } else if (!text.empty()) {
            Content marked;
            marked.text = fmt::format("<system-reminder>\n{}\n</system-reminder>", text);
            add_turn(job::Role::user, std::move(marked));
        }
        return {};
    }

    void add_turn(job::Role role, Content content) {
        answered_ = answered_ || role == job::Role::assistant;
        const bool results = !content.results.empty();
        std::ranges::move(content.results, std::back_inserter(turns_));
        job::Message turn;
        turn.role = role;
        turn.content = std::move(content.text);
        turn.media = std::move(content.media);
        turn.reasoning = std::move(content.reasoning);
        turn.tool_calls = std::move(content.calls);
        const bool empty = turn.content.empty() && turn.media.empty() && turn.reasoning.empty() &&
                           turn.tool_calls.empty();
        // An empty turn of the user still is one; an empty one of the assistant is nothing yet.
        if (empty && (results || role == job::Role::assistant)) {
            return;
        }
        if (!turns_.empty() && turns_.back().role == role) {
            append_message(turns_.back(), std::move(turn));
        } else {
            turns_.push_back(std::move(turn));
        }
    }

    std::string system_;
    std::vector<job::Message> turns_;
    bool answered_ = false;  // a turn of the assistant has been
};

}  // namespace

Result<job::Chat> read_chat(const Fields& body) {
    constexpr std::string_view kWanted = "an array with at least one message";
    const json::Value* messages = body.find("messages");
    if (messages == nullptr) {
        return fail(Fault::invalid, "messages: missing; send {}", kWanted);
    }
    if (!messages->is_array() || messages->empty()) {
        return refuse("messages", *messages, kWanted);
    }
    if (messages->size() > kMessagesMax) {
        return fail(Fault::invalid, "messages: got {} messages; send at most {}", messages->size(),
                    kMessagesMax);
    }
    Conversation conversation;
    TRILANE_TRY_STATUS(conversation.read_system(body));
    for (std::size_t i = 0; i < messages->size(); ++i) {
        TRILANE_TRY_STATUS(
            conversation.read_message((*messages)[i], fmt::format("messages[{}]", i)));
    }
    TRILANE_TRY(job::Chat chat, conversation.take());
    TRILANE_TRY_STATUS(read_tools(body, conversation.tools, chat));
    if (chat.messages.empty()) {
        return fail(Fault::invalid, "messages: all of them are empty; send {}", kWanted);
    }
    return chat;
}

}  // namespace trilane::dialect::anthropic
