#include "lane/native/chat_values.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "json/json.h"

namespace trilane::lane {
namespace {

using Messages = std::vector<job::Message>;

/// Nine letters and digits that tell one id from another.
std::string short_id(std::string_view id) {
    constexpr std::string_view kLetters =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    constexpr std::size_t kLength = 9;
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char c : id) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    std::string text;
    for (std::size_t i = 0; i < kLength; ++i) {
        text += kLetters[hash % kLetters.size()];
        hash /= kLetters.size();
    }
    return text;
}

json::Value content_value(std::string text, const TemplateTraits& traits) {
    if (!traits.content_in_parts) {
        return text;
    }
    json::Value part;
    part["type"] = "text";
    part["text"] = std::move(text);
    return json::Value::array({std::move(part)});
}

json::Value call_value(const job::ToolCall& call, const TemplateTraits& traits) {
    json::Value value;
    value["id"] = traits.short_ids ? short_id(call.id) : call.id;
    value["type"] = "function";
    value["function"]["name"] = call.name;
    value["function"]["arguments"] =
        traits.arguments_as_text ? json::Value(call.arguments) : value_of(call.arguments);
    return value;
}

json::Value message_value(const job::Message& message, const TemplateTraits& traits,
                          const std::string& tool_name) {
    json::Value value;
    value["role"] = job::role_name(message.role);
    if (traits.null_content && message.content.empty() && !message.tool_calls.empty()) {
        value["content"] = nullptr;
    } else {
        value["content"] = content_value(message.content, traits);
    }
    if (!message.reasoning.empty()) {
        value["reasoning_content"] = message.reasoning;
    }
    if (message.role == job::Role::tool) {
        if (!tool_name.empty()) {
            value["name"] = tool_name;
        }
        value["tool_call_id"] =
            traits.short_ids ? short_id(message.tool_call_id) : message.tool_call_id;
    }
    for (const job::ToolCall& call : message.tool_calls) {
        value["tool_calls"].push_back(call_value(call, traits));
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

/// Which tool each message of a tool is the result of, by the id of its call.
std::map<std::string, std::string> names_of_calls(const Messages& messages) {
    std::map<std::string, std::string> names;
    for (const job::Message& message : messages) {
        for (const job::ToolCall& call : message.tool_calls) {
            names[call.id] = call.name;
        }
    }
    return names;
}

/// The calls of a message as the model itself writes them.
std::string written_calls(const job::Message& message, reply::Calls calls) {
    const reply::CallFrame frame = reply::call_frame(calls);
    std::string text = message.content;
    text += text.empty() || text.ends_with('\n') ? "" : "\n";
    text += frame.open;
    for (std::size_t i = 0; i < message.tool_calls.size(); ++i) {
        const job::ToolCall& call = message.tool_calls[i];
        text += i == 0 ? "" : frame.between;
        text += frame.before_name;
        text += call.name;
        text += frame.after_name;
        text += call.arguments.empty() ? "{}" : call.arguments;
        text += frame.after_arguments;
    }
    text += frame.close;
    return text;
}

/// Tools in words, for templates that have none for them.
std::string tools_in_words(const std::vector<job::Tool>& tools, reply::Calls calls) {
    const reply::CallFrame frame = reply::call_frame(calls);
    std::string text = "You can use these tools:\n<tools>\n";
    for (const job::Tool& tool : tools) {
        text += json::dump(tool_value(tool)) + "\n";
    }
    text += "</tools>\nTo use one, write its name and its arguments as a JSON object, like this:\n";
    text += frame.open;
    text += frame.before_name;
    text += "name";
    text += frame.after_name;
    text += "{\"argument\": \"value\"}";
    text += frame.after_arguments;
    text += frame.close;
    text += "\nThe results come between <tool_response> and </tool_response>.";
    return text;
}

/// `text` before everything else that is said: in the system's message, or the first one where the
/// template knows no system.
void add_instructions(Messages& messages, const std::string& text, const TemplateTraits& traits) {
    if (!messages.empty() && messages.front().role == job::Role::system) {
        std::string& content = messages.front().content;
        content += (content.empty() ? "" : "\n\n") + text;
    } else if (traits.shows_system) {
        messages.insert(
            messages.begin(),
            job::Message{
                .role = job::Role::system, .content = text, .reasoning = {}, .tool_calls = {}});
    } else if (!messages.empty() && messages.front().role == job::Role::user) {
        messages.front().content = text + "\n\n" + messages.front().content;
    } else {
        messages.insert(
            messages.begin(),
            job::Message{
                .role = job::Role::user, .content = text, .reasoning = {}, .tool_calls = {}});
    }
}

/// Messages of the system as the beginning of what the user says next.
void fold_system(Messages& messages) {
    std::string text;
    Messages kept;
    for (job::Message& message : messages) {
        if (message.role == job::Role::system) {
            text += message.content + "\n\n";
            continue;
        }
        if (message.role == job::Role::user && !text.empty()) {
            message.content = std::exchange(text, {}) + message.content;
        }
        kept.push_back(std::move(message));
    }
    messages = std::move(kept);
}

/// Results of tools as words of the user; those that follow each other in one message.
void fold_results(Messages& messages) {
    Messages kept;
    bool follows = false;
    for (job::Message& message : messages) {
        const bool is_result = message.role == job::Role::tool;
        if (is_result) {
            std::string text = "<tool_response>\n" + message.content + "\n</tool_response>";
            if (follows) {
                kept.back().content += "\n" + text;
                continue;
            }
            message.role = job::Role::user;
            message.content = std::move(text);
        }
        follows = is_result;
        kept.push_back(std::move(message));
    }
    messages = std::move(kept);
}

/// Each call in a message of its own, followed by its result.
void split_calls(Messages& messages) {
    Messages split;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const std::vector<job::ToolCall> calls = messages[i].tool_calls;
        if (calls.size() < 2) {
            split.push_back(messages[i]);
            continue;
        }
        std::size_t end = i + 1;
        while (end < messages.size() && messages[end].role == job::Role::tool) {
            ++end;
        }
        for (const job::ToolCall& call : calls) {
            job::Message one = messages[i];
            one.content = split.empty() || &call == calls.data() ? one.content : "";
            one.tool_calls = {call};
            split.push_back(std::move(one));
            for (std::size_t j = i + 1; j < end; ++j) {
                if (messages[j].tool_call_id == call.id) {
                    split.push_back(messages[j]);
                }
            }
        }
        i = end - 1;
    }
    messages = std::move(split);
}

/// The conversation in what the template can say.
Messages fitted(const job::Chat& chat, const TemplateTraits& traits, reply::Calls calls,
                const Shield& shield) {
    Messages messages = chat.messages;
    for (job::Message& message : messages) {
        if (message.role == job::Role::user || message.role == job::Role::tool) {
            message.content = shield(message.content);
        }
        if (!traits.shows_calls && !message.tool_calls.empty()) {
            message.content = written_calls(message, calls);
            message.tool_calls.clear();
        }
    }
    if (traits.one_call_each) {
        split_calls(messages);
    }
    if (!traits.shows_results) {
        fold_results(messages);
    }
    if (!chat.tools.empty() && !traits.shows_tools) {
        add_instructions(messages, tools_in_words(chat.tools, calls), traits);
    } else if (!chat.tools.empty() && traits.tools_need_system) {
        add_instructions(messages, "", traits);
    }
    if (!traits.shows_system) {
        fold_system(messages);
    }
    return messages;
}

/// Small conversations that show what a template does.
class Probe {
public:
    Probe(const chat::Template& chat_template, const SpecialTexts& texts)
        : template_(chat_template), texts_(texts) {}

    /// Whether all of `words` are in what the template makes of the conversation.
    [[nodiscard]] bool shows(const job::Chat& chat, const TemplateTraits& traits,
                             std::initializer_list<std::string_view> words) const {
        TemplateTraits as_it_stands = traits;
        as_it_stands.shows_system = as_it_stands.shows_tools = as_it_stands.shows_calls =
            as_it_stands.shows_results = true;
        as_it_stands.one_call_each = false;
        const auto text =
            template_.render(chat_values(chat, as_it_stands, reply::Calls::hermes, texts_,
                                         [](std::string_view own) { return std::string(own); }));
        return text && std::ranges::all_of(words, [&](std::string_view word) {
                   return text->find(word) != std::string::npos;
               });
    }

private:
    const chat::Template& template_;
    const SpecialTexts& texts_;
};

job::Message said(job::Role role, std::string content) {
    job::Message message;
    message.role = role;
    message.content = std::move(content);
    return message;
}

job::Chat called(std::size_t calls) {
    job::Chat chat;
    chat.messages = {said(job::Role::user, "kwuser"), said(job::Role::assistant, "")};
    for (std::size_t i = 0; i < calls; ++i) {
        const std::string number = std::to_string(i);
        chat.messages[1].tool_calls.push_back(
            {"kwcall-00" + number, "kwtool" + number, R"({"kwkey": "kwvalue)" + number + "\"}"});
        chat.messages.push_back(said(job::Role::tool, "kwresult" + number));
        chat.messages.back().tool_call_id = "kwcall-00" + number;
    }
    return chat;
}

job::Tool probe_tool() {
    return {"kwoffer", "kwdescription", R"({"type": "object", "properties": {}})"};
}

void find_calls(const Probe& probe, TemplateTraits& traits) {
    for (const bool as_text : {false, true}) {
        for (const bool null_content : {false, true}) {
            TemplateTraits tried = traits;
            tried.arguments_as_text = as_text;
            tried.null_content = null_content;
            // Without the result behind it, where templates know calls and no results.
            job::Chat bare = called(1);
            bare.messages.pop_back();
            const bool with_result =
                probe.shows(called(1), tried, {"kwtool0", "\"kwkey\"", "kwvalue0"});
            if (with_result || probe.shows(bare, tried, {"kwtool0", "\"kwkey\"", "kwvalue0"})) {
                traits = tried;
                traits.shows_calls = true;
                traits.shows_results = probe.shows(called(1), traits, {"kwresult0"});
                traits.one_call_each = !probe.shows(called(2), traits, {"kwtool0", "kwtool1"});
                return;
            }
        }
    }
}

}  // namespace

json::Value value_of(const std::string& text) {
    auto value = json::parse(text);
    return value ? *std::move(value) : json::Value(text);
}

TemplateTraits traits_of(const chat::Template& chat_template, const SpecialTexts& texts) {
    const Probe probe(chat_template, texts);
    TemplateTraits traits;
    job::Chat chat;
    chat.messages = {said(job::Role::user, "kwuser")};
    TemplateTraits in_parts;
    in_parts.content_in_parts = true;
    traits.content_in_parts =
        !probe.shows(chat, traits, {"kwuser"}) && probe.shows(chat, in_parts, {"kwuser"});
    chat.tools = {probe_tool()};
    traits.shows_tools = chat_template.mentions("tools") && probe.shows(chat, traits, {"kwoffer"});
    chat.messages.insert(chat.messages.begin(), said(job::Role::system, "kwsystem"));
    if (!traits.shows_tools && probe.shows(chat, traits, {"kwoffer", "kwsystem"})) {
        traits.shows_tools = traits.tools_need_system = true;
    }
    chat.tools.clear();
    traits.shows_system = probe.shows(chat, traits, {"kwuser", "kwsystem"});
    // That ids must be short shows only in that templates refuse all others.
    TemplateTraits found = traits;
    for (const bool short_ids : {false, true}) {
        TemplateTraits tried = traits;
        tried.short_ids = short_ids;
        find_calls(probe, tried);
        if (tried.shows_results || (tried.shows_calls && !found.shows_calls)) {
            found = tried;
        }
        if (found.shows_results) {
            break;
        }
    }
    return found;
}

json::Value chat_values(const job::Chat& chat, const TemplateTraits& traits, reply::Calls calls,
                        const SpecialTexts& texts, const Shield& shield) {
    const auto names = names_of_calls(chat.messages);
    json::Value variables = json::Value::object();
    variables["messages"] = json::Value::array();
    for (const job::Message& message : fitted(chat, traits, calls, shield)) {
        const auto name = names.find(message.tool_call_id);
        variables["messages"].push_back(
            message_value(message, traits, name == names.end() ? "" : name->second));
    }
    if (traits.shows_tools) {
        for (const job::Tool& tool : chat.tools) {
            variables["tools"].push_back(tool_value(tool));
        }
    }
    variables["bos_token"] = texts.bos;
    variables["eos_token"] = texts.eos;
    variables["add_generation_prompt"] = true;
    for (const auto& [name, text] : chat.template_variables) {
        variables[name] = value_of(text);
    }
    return variables;
}

}  // namespace trilane::lane
