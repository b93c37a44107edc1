#include "dialect/openai/responses_input.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "dialect/fields.h"
#include "dialect/media.h"
#include "dialect/openai/messages.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

constexpr std::string_view kItemWanted =
    "\"message\", \"function_call\", \"function_call_output\", \"reasoning\" or "
    "\"item_reference\"";

/// A text, or an array of parts.
Result<Content> read_text_or_parts(const Fields& item, std::string_view name) {
    const json::Value* content = item.find(name);
    if (content == nullptr) {
        return fail(Fault::invalid, "{}: missing; send a string or an array of parts",
                    item.path_of(name));
    }
    if (content->is_string()) {
        return Content{content->get_ref<const std::string&>(), {}, true};
    }
    if (!content->is_array()) {
        return refuse(item.path_of(name), *content, "a string or an array of parts");
    }
    return read_parts(*content, item.path_of(name));
}

/// The texts of [{"type": …, "text": …}], joined.
Result<std::string> read_texts(const Fields& item, std::string_view name) {
    TRILANE_TRY(const json::Value* parts, item.array(name, "parts"));
    std::string joined;
    for (std::size_t i = 0; parts != nullptr && i < parts->size(); ++i) {
        const std::string path = fmt::format("{}[{}]", item.path_of(name), i);
        if (!(*parts)[i].is_object()) {
            return refuse(path, (*parts)[i], "an object with type and text");
        }
        TRILANE_TRY(std::optional<std::string> text, Fields((*parts)[i], path).text("text"));
        joined += joined.empty() ? "" : "\n";
        joined += text.value_or("");
    }
    return joined;
}

class InputReader {
public:
    InputReader(std::string_view suffix, const SpacedNames& names, ResponseStore& store)
        : suffix_(suffix), names_(names), store_(store) {}

    Status read(const json::Value& item, const std::string& path) {
        if (!item.is_object()) {
            return refuse(path, item, "an object with a type");
        }
        const Fields fields(item, path);
        TRILANE_TRY(std::optional<std::string> type, fields.text("type"));
        if (!type && fields.find("role") != nullptr) {
            type = "message";
        }
        if (type == "item_reference") {
            return read_reference(fields);
        }
        if (type == "message") {
            TRILANE_TRY_STATUS(read_message(fields));
        } else if (type == "function_call") {
            TRILANE_TRY_STATUS(read_call(fields));
        } else if (type == "function_call_output") {
            TRILANE_TRY_STATUS(read_output(fields));
        } else if (type == "reasoning") {
            TRILANE_TRY_STATUS(read_reasoning(fields));
        } else if (type) {
            return refuse(fields.path_of("type"), json::Value(*type), kItemWanted);
        } else {
            return fail(Fault::invalid, "{}: missing; send {}", fields.path_of("type"),
                        kItemWanted);
        }
        keep(item, *type);
        return {};
    }

    Result<Input> finish() {
        std::size_t media = 0;
        for (const job::Message& message : input_.messages) {
            media += message.media.size();
        }
        if (media > kMediaMax) {
            return fail(Fault::invalid, "input: got {} pictures and sounds; send at most {}", media,
                        kMediaMax);
        }
        // Thoughts that led to nothing say nothing to a template.
        std::erase_if(input_.messages, [](const job::Message& message) {
            return message.role == job::Role::assistant && message.content.empty() &&
                   message.tool_calls.empty();
        });
        return std::move(input_);
    }

private:
    Status read_message(const Fields& item) {
        TRILANE_TRY(const auto role,
                    item.word("role", {"user", "assistant", "system", "developer"}));
        if (!role) {
            return fail(Fault::invalid, "{}: missing; send \"user\", \"assistant\" or \"system\"",
                        item.path_of("role"));
        }
        TRILANE_TRY(Content content, read_text_or_parts(item, "content"));
        job::Message message;
        message.role = *role == "user"        ? job::Role::user
                       : *role == "assistant" ? job::Role::assistant
                                              : job::Role::system;
        if (message.role == job::Role::assistant && only_thought()) {
            message.reasoning = std::move(input_.messages.back().reasoning);
            input_.messages.pop_back();
        }
        message.content = std::move(content.text);
        message.media = std::move(content.media);
        input_.messages.push_back(std::move(message));
        return {};
    }

    /// Calls belong to the turn of the assistant before them.
    Status read_call(const Fields& item) {
        job::ToolCall call;
        TRILANE_TRY(call.id, item.required_text("call_id", "the id that the call had"));
        TRILANE_TRY(call.name, item.required_text("name", "the name of the function"));
        TRILANE_TRY(const std::optional<std::string> space, item.text("namespace"));
        if (space) {
            call.name = names_.joined(*space, call.name);
        }
        TRILANE_TRY(std::optional<std::string> arguments, item.text("arguments"));
        call.arguments = std::move(arguments).value_or("{}");
        if (input_.messages.empty() || input_.messages.back().role != job::Role::assistant) {
            input_.messages.emplace_back().role = job::Role::assistant;
        }
        input_.messages.back().tool_calls.push_back(std::move(call));
        return {};
    }

    Status read_output(const Fields& item) {
        job::Message message;
        message.role = job::Role::tool;
        TRILANE_TRY(message.tool_call_id,
                    item.required_text("call_id", "the id of the call that it answers"));
        TRILANE_TRY(Content content, read_text_or_parts(item, "output"));
        message.content = std::move(content.text);
        message.media = std::move(content.media);
        input_.messages.push_back(std::move(message));
        return {};
    }

    Status read_reasoning(const Fields& item) {
        TRILANE_TRY(std::string text, read_texts(item, "content"));
        if (text.empty()) {
            TRILANE_TRY(text, read_texts(item, "summary"));
        }
        if (text.empty()) {
            return {};  // encrypted, or nothing
        }
        job::Message& message = input_.messages.emplace_back();
        message.role = job::Role::assistant;
        message.reasoning = std::move(text);
        return {};
    }

    /// Ids of output items are those of their response and a number: see responses_answer.cpp.
    Status read_reference(const Fields& item) {
        TRILANE_TRY(const std::string id, item.required_text("id", "the id of an earlier item"));
        const std::size_t from = id.find('_');
        const std::size_t number_at = id.rfind('_');
        std::size_t index = 0;
        bool known = from != std::string::npos && number_at > from;
        if (known) {
            const char* const end = id.data() + id.size();
            const auto parsed = std::from_chars(id.data() + number_at + 1, end, index);
            known = parsed.ec == std::errc() && parsed.ptr == end;
        }
        const auto stored =
            known ? store_.find("resp" + id.substr(from, number_at - from)) : nullptr;
        const auto body = stored ? json::parse(stored->body) : fail(Fault::invalid, "none");
        if (!body || index >= (*body)["output"].size() || (*body)["output"][index]["id"] != id) {
            return refuse(item.path_of("id"), json::Value(id),
                          "the item itself: this one is not kept here");
        }
        return read((*body)["output"][index], item.path_of("id"));
    }

    [[nodiscard]] bool only_thought() const {
        return !input_.messages.empty() && input_.messages.back().role == job::Role::assistant &&
               input_.messages.back().content.empty() && input_.messages.back().tool_calls.empty();
    }

    /// The item as GET …/input_items shows it: with a type, an id, and parts for content.
    void keep(const json::Value& item, const std::string& type) {
        json::Value kept = {{"id", nullptr}, {"type", type}};
        kept.update(item);
        if (!kept["id"].is_string()) {
            const std::string_view prefix = type == "message"         ? "msg"
                                            : type == "reasoning"     ? "rs"
                                            : type == "function_call" ? "fc"
                                                                      : "fco";
            kept["id"] = fmt::format("{}_{}_in{}", prefix, suffix_, input_.items.size());
        }
        if (type == "message" && kept["content"].is_string()) {
            const bool answer = kept["role"] == "assistant";
            json::Value part = {{"type", answer ? "output_text" : "input_text"},
                                {"text", kept["content"]}};
            if (answer) {
                part["annotations"] = json::Value::array();
            }
            kept["content"] = json::Value::array({std::move(part)});
        }
        if (!kept.contains("status") && type != "reasoning") {
            kept["status"] = "completed";
        }
        input_.items.push_back(json::dump(kept));
    }

    const std::string_view suffix_;
    const SpacedNames& names_;
    ResponseStore& store_;
    Input input_;
};

}  // namespace

Result<Input> read_input(const json::Value* input, std::string_view suffix,
                         const SpacedNames& names, ResponseStore& store) {
    InputReader reader(suffix, names, store);
    if (input == nullptr) {
        return reader.finish();
    }
    if (input->is_string()) {
        TRILANE_TRY_STATUS(reader.read({{"role", "user"}, {"content", *input}}, "input"));
        return reader.finish();
    }
    if (!input->is_array()) {
        return refuse("input", *input, "a string or an array of items");
    }
    if (input->size() > kItemsMax) {
        return fail(Fault::invalid, "input: got {} items; send at most {}", input->size(),
                    kItemsMax);
    }
    for (std::size_t i = 0; i < input->size(); ++i) {
        TRILANE_TRY_STATUS(reader.read((*input)[i], fmt::format("input[{}]", i)));
    }
    return reader.finish();
}

}  // namespace trilane::dialect::openai
