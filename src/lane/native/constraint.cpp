#include "lane/native/constraint.h"

#include <algorithm>
#include <vector>

#include "json/json.h"

namespace trilane::lane {
namespace {

using grammar::Builder;
using grammar::Part;

/// White space that may stand between thoughts and what follows.
constexpr std::uint32_t kSpacesMax = 4;

/// Builds the parts of one request's grammar.
class Parts {
public:
    Parts(const AnswerForm& form, const token::Tokenizer& tokenizer)
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
        if (chat.parallel_tool_calls && !named) {
            all.push_back(builder_.repeat(builder_.sequence({spelled(frame.between), call}), 0,
                                          kForcedCallsMax - 1));
        }
        all.push_back(spelled(frame.close));
        return builder_.sequence(std::move(all));
    }

    /// One of the `ways` behind the thoughts that this model may have.
    Part after_thoughts(std::vector<Part> ways, const Prompt& prompt) {
        const Part body = ways.size() == 1 ? ways.front() : builder_.either(std::move(ways));
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
        const std::string text = json::dump(schema);
        Builder trial;
        if (!grammar::add_json_schema(trial, text)) {
            return grammar::add_json_object(builder_);
        }
        return grammar::add_json_schema(builder_, text);
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

}  // namespace

Result<grammar::Compiled> constraint_of(const job::Request& request, const Prompt& prompt,
                                        const AnswerForm& form, const token::Tokenizer& tokenizer) {
    using Choice = job::ToolChoice::Kind;
    const auto* chat = std::get_if<job::Chat>(&request.ask);
    const Choice choice = chat == nullptr ? Choice::none : chat->tool_choice.kind;
    const bool must_call = choice == Choice::required || choice == Choice::named;
    const bool may_call = choice == Choice::automatic && !chat->tools.empty();
    const bool has_format = request.format.kind != job::Format::Kind::text;
    if (!must_call && !has_format) {
        return nullptr;
    }
    Parts parts(form, tokenizer);
    std::vector<Part> ways;
    if (has_format && !must_call) {
        TRILANE_TRY(const Part format, parts.format(request.format));
        ways.push_back(format);
    }
    if (must_call || may_call) {
        TRILANE_TRY(const Part calls, parts.calls(*chat));
        ways.push_back(calls);
    }
    return parts.build(parts.after_thoughts(std::move(ways), prompt));
}

}  // namespace trilane::lane
