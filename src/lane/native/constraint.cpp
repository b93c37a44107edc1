#include "lane/native/constraint.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "json/json.h"

namespace trilane::lane {
namespace {

using grammar::Builder;
using grammar::Part;

/// White space that may stand between thoughts and what follows.
constexpr std::uint32_t kSpacesMax = 4;

constexpr std::string_view kTagEnd = "\n</parameter>";

/// A string, and nothing more is said of it that would bind it.
bool is_any_string(const json::Value& schema) {
    constexpr std::array<std::string_view, 5> kRemarks{"type", "title", "description", "default",
                                                       "examples"};
    bool only_remarks = schema.value("type", json::Value()) == "string";
    for (const auto& [name, value] : schema.items()) {
        only_remarks = only_remarks && std::ranges::find(kRemarks, name) != kRemarks.end();
    }
    return only_remarks;
}

/// Whether a value may be a string, which in a tag has no quotes to tell it by.
bool may_be_string(const json::Value& schema) {
    const json::Value type = schema.value("type", json::Value());
    const auto is_other = [](const json::Value& one) { return one.is_string() && one != "string"; };
    return type.is_array() ? !std::ranges::all_of(type, is_other) : !is_other(type);
}

/// Builds the parts of one request's grammar.
class GrammarParts {
public:
    GrammarParts(const AnswerForm& form, const token::Tokenizer& tokenizer)
        : form_(form), tokenizer_(tokenizer) {}

    Result<Part> format(const job::Format& format) {
        switch (format.kind) {
            case job::Format::Kind::json_object:
                return grammar::add_json_object(builder_);
            case job::Format::Kind::json_schema:
                return grammar::add_json_schema(builder_, format.source);
            case job::Format::Kind::gbnf:
                return grammar::add_gbnf(builder_, format.source);
            case job::Format::Kind::regex:
                return grammar::add_regex(builder_, format.source);
            case job::Format::Kind::choice:
                return grammar::add_choices(builder_, format.choices);
            case job::Format::Kind::text:
                break;
        }
        return fail(Fault::internal, "a format that asks for nothing");
    }

    /// Calls of any of the tools, or of the one that is named.
    Result<Part> calls(const job::Chat& chat) {
        const reply::CallFrame frame = reply::call_frame(form_.style.calls);
        const bool named = chat.tool_choice.kind == job::ToolChoice::Kind::named;
        std::vector<Part> each;
        for (const job::Tool& tool : chat.tools) {
            if (named && tool.name != chat.tool_choice.name) {
                continue;
            }
            TRILANE_TRY(const Part arguments, this->arguments(tool));
            each.push_back(builder_.sequence(
                {spelled(frame.before_name), builder_.literal(tool.name), spelled(frame.after_name),
                 arguments, spelled(frame.after_arguments)}));
        }
        if (each.empty()) {
            return fail(Fault::invalid, "tool_choice: '{}' is not among the tools",
                        chat.tool_choice.name);
        }
        const Part call = builder_.either(std::move(each));
        std::vector<Part> all{spelled(frame.open), call};
        if (chat.parallel_tool_calls && !named && form_.calls_several) {
            all.push_back(builder_.repeat(builder_.sequence({spelled(frame.between), call}), 0,
                                          kForcedCallsMax - 1));
        }
        all.push_back(spelled(frame.close));
        return builder_.sequence(std::move(all));
    }

    /// `body` behind the thoughts that this model may have.
    Part after_thoughts(Part body, const Prompt& prompt) {
        if (prompt.in_thought) {
            return builder_.sequence({rest_of_thoughts(), body});
        }
        if (!form_.style.thinks || prompt.thoughts_are_over) {
            return body;
        }
        const Part thoughts =
            builder_.sequence({spelled(form_.style.think_open), rest_of_thoughts()});
        return builder_.sequence({builder_.optional(thoughts), body});
    }

    Part any(std::vector<Part> ways) { return builder_.either(std::move(ways)); }

    [[nodiscard]] Result<grammar::Compiled> build(Part root) const { return builder_.build(root); }

private:
    Result<Part> arguments(const job::Tool& tool) {
        json::Value schema = json::Value::object();
        if (auto value = json::parse(tool.parameters); value && value->is_object()) {
            schema = *std::move(value);
        }
        if (!schema.contains("type") && !schema.contains("$ref")) {
            schema["type"] = "object";
        }
        if (form_.style.calls == reply::Calls::xml) {
            if (const auto tags = this->tags(schema)) {
                return *tags;
            }
        }
        const std::string text = json::dump(schema);
        Builder trial;
        if (!grammar::add_json_schema(trial, text)) {
            return grammar::add_json_object(builder_);
        }
        return grammar::add_json_schema(builder_, text);
    }

    /// Arguments as one tag each, where every one of them can be said so; else they are JSON, which
    /// the reader takes there as well.
    std::optional<Part> tags(const json::Value& schema) {
        if (!schema.contains("properties") || !schema["properties"].is_object()) {
            return std::nullopt;
        }
        const json::Value required = schema.value("required", json::Value::array());
        std::vector<Builder::Member> members;
        for (const auto& [name, property] : schema["properties"].items()) {
            const auto value = tag_value(property);
            if (!value || name.find('>') != std::string::npos) {
                return std::nullopt;
            }
            members.push_back(
                {builder_.sequence({builder_.literal("<parameter=" + name + ">\n"), *value}),
                 std::ranges::find(required, json::Value(name)) != required.end()});
        }
        return builder_.list(members, builder_.literal("\n"));
    }

    /// The value of a tag, and the tag's end.
    std::optional<Part> tag_value(const json::Value& property) {
        if (!property.is_object()) {
            return std::nullopt;
        }
        if (is_any_string(property)) {
            return builder_.until(kTagEnd);
        }
        const std::string text = json::dump(property);
        // References mean another document than this one.
        Builder trial;
        if (text.find("$ref") != std::string::npos || may_be_string(property) ||
            !grammar::add_json_schema(trial, text)) {
            return std::nullopt;
        }
        return builder_.sequence(
            {*grammar::add_json_schema(builder_, text), builder_.literal(kTagEnd)});
    }

    /// Anything up to the end of the thoughts, and the white space behind it.
    Part rest_of_thoughts() {
        const std::string& close = form_.style.think_close;
        const auto marker = marker_at(close);
        const Part thoughts =
            marker ? builder_.sequence({builder_.repeat(builder_.chars(grammar::CharSet::all()), 0,
                                                        grammar::kUnbounded),
                                        builder_.token(*marker)})
                   : builder_.until(close);
        const Part space = builder_.chars({{' ', ' '}, {'\n', '\n'}});
        return builder_.sequence({thoughts, builder_.repeat(space, 0, kSpacesMax)});
    }

    /// The control token whose name `text` begins with.
    [[nodiscard]] std::optional<token::Id> marker_at(std::string_view text) const {
        const auto found = std::ranges::find_if(
            form_.markers, [&](token::Id id) { return text.starts_with(tokenizer_.entry(id)); });
        return found == form_.markers.end() ? std::nullopt : std::optional(*found);
    }

    /// A text of the frame: control tokens as such, the rest letter by letter.
    Part spelled(std::string_view text) {
        std::vector<Part> parts;
        std::string letters;
        while (!text.empty()) {
            const auto marker = marker_at(text);
            if (!marker) {
                letters += text.front();
                text.remove_prefix(1);
                continue;
            }
            parts.push_back(builder_.literal(std::exchange(letters, {})));
            parts.push_back(builder_.token(*marker));
            text.remove_prefix(tokenizer_.entry(*marker).size());
        }
        parts.push_back(builder_.literal(letters));
        return builder_.sequence(std::move(parts));
    }

    const AnswerForm& form_;
    const token::Tokenizer& tokenizer_;
    Builder builder_;
};

/// Whether the request binds the answer at all.
bool is_bound(const job::Request& request) {
    const auto* chat = std::get_if<job::Chat>(&request.ask);
    return request.format.kind != job::Format::Kind::text ||
           (chat != nullptr && (chat->tool_choice.kind == job::ToolChoice::Kind::required ||
                                chat->tool_choice.kind == job::ToolChoice::Kind::named));
}

/// Everything that constraint_of() looks at.
std::string key_of(const job::Request& request, const Prompt& prompt) {
    std::string key;
    const auto add = [&](std::string_view text) {
        key += std::to_string(text.size()) + ':';
        key += text;
    };
    key += static_cast<char>(request.format.kind);
    add(request.format.source);
    for (const std::string& choice : request.format.choices) {
        add(choice);
    }
    if (const auto* chat = std::get_if<job::Chat>(&request.ask)) {
        key += prompt.in_thought ? "|in" : prompt.thoughts_are_over ? "|over" : "|free";
        key += chat->parallel_tool_calls ? "|several" : "|one";
        key += static_cast<char>(chat->tool_choice.kind);
        add(chat->tool_choice.name);
        for (const job::Tool& tool : chat->tools) {
            add(tool.name);
            add(tool.parameters);
        }
    }
    return key;
}

}  // namespace

Result<grammar::Compiled> Constraints::of(const job::Request& request, const Prompt& prompt) {
    if (!is_bound(request)) {
        return nullptr;
    }
    std::string key = key_of(request, prompt);
    const auto find = [&] {
        return std::ranges::find(kept_, key, &std::pair<std::string, grammar::Compiled>::first);
    };
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (const auto known = find(); known != kept_.end()) {
            std::rotate(kept_.begin(), known, known + 1);
            return kept_.front().second;
        }
    }
    TRILANE_TRY(grammar::Compiled made, constraint_of(request, prompt, *form_, *tokenizer_));
    const std::lock_guard<std::mutex> lock(mutex_);
    if (const auto known = find(); known != kept_.end()) {
        return known->second;  // somebody else was as fast
    }
    kept_.emplace_front(std::move(key), made);
    if (kept_.size() > kKeptMax) {
        kept_.pop_back();
    }
    return made;
}

Result<grammar::Compiled> constraint_of(const job::Request& request, const Prompt& prompt,
                                        const AnswerForm& form, const token::Tokenizer& tokenizer) {
    using Choice = job::ToolChoice::Kind;
    const auto* chat = std::get_if<job::Chat>(&request.ask);
    const Choice choice = chat == nullptr ? Choice::none : chat->tool_choice.kind;
    const bool must_call = choice == Choice::required || choice == Choice::named;
    const bool may_call = choice == Choice::automatic && !chat->tools.empty();
    const bool has_format = request.format.kind != job::Format::Kind::text;
    if (!is_bound(request)) {
        return nullptr;
    }
    GrammarParts parts(form, tokenizer);
    std::vector<Part> ways;
    if (has_format && !must_call) {
        TRILANE_TRY(const Part format, parts.format(request.format));
        ways.push_back(format);
    }
    if (must_call || may_call) {
        TRILANE_TRY(const Part calls, parts.calls(*chat));
        ways.push_back(calls);
    }
    const Part body = ways.size() == 1 ? ways.front() : parts.any(std::move(ways));
    return parts.build(chat == nullptr ? body : parts.after_thoughts(body, prompt));
}

bool ends_in_time(const job::Request& request) {
    const auto* chat = std::get_if<job::Chat>(&request.ask);
    return request.format.kind != job::Format::Kind::text &&
           (chat == nullptr || chat->tools.empty() ||
            chat->tool_choice.kind == job::ToolChoice::Kind::none);
}

}  // namespace trilane::lane
