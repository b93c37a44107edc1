#include "app/conversation.h"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <limits>
#include <memory>

#include "app/options.h"
#include "app/output.h"
#include "json/json.h"

namespace trilane::app {
namespace {

constexpr std::size_t kSavedBytesMax = 64U << 20U;
constexpr std::size_t kSettings = 9;

constexpr std::string_view kHelp =
    R"(/help                this list
/clear               forget the conversation, keep the settings
/system [TEXT]       show or set the system message
/set [NAME VALUE]    show the settings, or set one
/save FILE           write the conversation as JSON
/load FILE           read one back
/stats               figures of the last answer
/quit                end (also Ctrl-D)
Ctrl-C stops an answer.
)";

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// The first word and what follows it.
std::pair<std::string_view, std::string_view> split_word(std::string_view text) {
    const std::size_t end = text.find_first_of(" \t");
    if (end == std::string_view::npos) {
        return {text, {}};
    }
    return {text.substr(0, end), trimmed(text.substr(end))};
}

/// A setting as text goes in and out: its range, and where it lives.
struct Setting {
    std::string_view name;
    double low;
    double high;
    double (*get)(const Conversation&);
    void (*set)(Conversation&, double);
};

constexpr std::array<Setting, kSettings - 1> kNumbers{{
    {"temperature", 0, 2, [](const Conversation& c) { return double{c.sampling.temperature}; },
     [](Conversation& c, double v) { c.sampling.temperature = static_cast<float>(v); }},
    {"top_k", 0, 1'000'000, [](const Conversation& c) { return double(c.sampling.top_k); },
     [](Conversation& c, double v) { c.sampling.top_k = static_cast<std::int32_t>(v); }},
    {"top_p", 0.0001, 1, [](const Conversation& c) { return double{c.sampling.top_p}; },
     [](Conversation& c, double v) { c.sampling.top_p = static_cast<float>(v); }},
    {"min_p", 0, 1, [](const Conversation& c) { return double{c.sampling.min_p}; },
     [](Conversation& c, double v) { c.sampling.min_p = static_cast<float>(v); }},
    {"repeat_penalty", 0.01, 2,
     [](const Conversation& c) { return double{c.sampling.repeat_penalty}; },
     [](Conversation& c, double v) { c.sampling.repeat_penalty = static_cast<float>(v); }},
    {"presence_penalty", -2, 2,
     [](const Conversation& c) { return double{c.sampling.presence_penalty}; },
     [](Conversation& c, double v) { c.sampling.presence_penalty = static_cast<float>(v); }},
    {"frequency_penalty", -2, 2,
     [](const Conversation& c) { return double{c.sampling.frequency_penalty}; },
     [](Conversation& c, double v) { c.sampling.frequency_penalty = static_cast<float>(v); }},
    {"max_tokens", 0, kContextTokensMax, [](const Conversation& c) { return double(c.max_tokens); },
     [](Conversation& c, double v) { c.max_tokens = static_cast<std::uint32_t>(v); }},
}};

std::string settings_text(const Conversation& conversation) {
    std::string out;
    for (const Setting& setting : kNumbers) {
        out += fmt::format("{:<18} {:g}\n", setting.name, setting.get(conversation));
    }
    const auto& seed = conversation.sampling.seed;
    return out + fmt::format("{:<18} {}\n", "seed",
                             seed ? fmt::format("{}", *seed) : "fresh for each answer");
}

template <class T>
std::optional<T> number_from(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

Status set_seed(std::string_view value, Conversation& conversation) {
    if (value == "none") {
        conversation.sampling.seed.reset();
        return {};
    }
    const auto seed = number_from<std::uint64_t>(value);
    if (!seed) {
        return fail(Fault::invalid, "seed is '{}'; use a whole number, or none", value);
    }
    conversation.sampling.seed = *seed;
    return {};
}

Status set_option(std::string_view name, std::string_view value, Conversation& conversation) {
    if (name == "seed") {
        return set_seed(value, conversation);
    }
    std::string names;
    for (const Setting& setting : kNumbers) {
        if (setting.name != name) {
            names += fmt::format("{}, ", setting.name);
            continue;
        }
        const auto number = number_from<double>(value);
        if (!number || !(*number >= setting.low && *number <= setting.high)) {
            return fail(Fault::invalid, "{} is '{}'; use a number from {:g} to {:g}", name, value,
                        setting.low, setting.high);
        }
        setting.set(conversation, *number);
        return {};
    }
    return fail(Fault::invalid, "no setting is called '{}'; there are: {}seed", name, names);
}

Status save(const std::string& path, const Conversation& conversation) {
    json::Value messages = json::Value::array();
    if (!conversation.system.empty()) {
        messages.push_back({{"role", "system"}, {"content", conversation.system}});
    }
    for (const job::Message& message : conversation.messages) {
        const char* role = message.role == job::Role::user ? "user" : "assistant";
        messages.push_back({{"role", role}, {"content", message.content}});
    }
    const json::Value saved{{"model", conversation.model_id}, {"messages", std::move(messages)}};
    const std::string text = json::dump_pretty(saved) + '\n';
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (file == nullptr) {
        return fail(Fault::unavailable, "cannot write {}; is the folder there and yours?", path);
    }
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (std::fclose(file) != 0 || !written) {
        return fail(Fault::unavailable, "cannot write all of {}; is the disk full?", path);
    }
    return {};
}

Status load(const std::string& path, Conversation& conversation) {
    TRILANE_TRY(const std::string text, read_file(path, kSavedBytesMax));
    TRILANE_TRY(const json::Value saved, json::parse(text));
    const auto wrong =
        fail(Fault::invalid,
             "{} is no saved conversation: it needs \"messages\", a list of "
             "{{\"role\": \"user\" or \"assistant\" or \"system\", \"content\": text}}",
             path);
    if (!saved.is_object() || !saved.contains("messages") || !saved["messages"].is_array()) {
        return wrong;
    }
    std::string system;
    std::vector<job::Message> messages;
    for (const json::Value& message : saved["messages"]) {
        if (!message.is_object() || !message.contains("role") || !message["role"].is_string() ||
            !message.contains("content") || !message["content"].is_string()) {
            return wrong;
        }
        const auto role = message["role"].get<std::string>();
        auto content = message["content"].get<std::string>();
        if (role == "system" && messages.empty()) {
            system = std::move(content);
        } else if (role == "user" || role == "assistant") {
            job::Message& added = messages.emplace_back();
            added.role = role == "user" ? job::Role::user : job::Role::assistant;
            added.content = std::move(content);
        } else {
            return wrong;
        }
    }
    conversation.system = std::move(system);
    conversation.messages = std::move(messages);
    return {};
}

Result<CommandReply> obey_set(std::string_view rest, Conversation& conversation) {
    if (rest.empty()) {
        return CommandReply{settings_text(conversation)};
    }
    const auto [name, value] = split_word(rest);
    TRILANE_TRY_STATUS(set_option(name, value, conversation));
    return CommandReply{};
}

Result<CommandReply> obey_system(std::string_view rest, Conversation& conversation) {
    if (rest.empty()) {
        return CommandReply{conversation.system.empty()
                                ? "No system message. Set one: /system TEXT\n"
                                : conversation.system + '\n'};
    }
    conversation.system = rest;
    return CommandReply{};
}

Result<CommandReply> obey_file(std::string_view name, std::string_view rest,
                               Conversation& conversation) {
    if (rest.empty()) {
        return fail(Fault::invalid, "{} needs a file: {} FILE", name, name);
    }
    const std::string path(rest);
    if (name == "/save") {
        TRILANE_TRY_STATUS(save(path, conversation));
        return CommandReply{fmt::format("Saved {} messages in {}.\n", conversation.messages.size(),
                                        printable(path))};
    }
    TRILANE_TRY_STATUS(load(path, conversation));
    return CommandReply{fmt::format("Loaded {} messages.\n", conversation.messages.size())};
}

double rate(std::uint32_t tokens, double ms) {
    return ms > 0 ? 1000.0 * tokens / ms : 0;
}

}  // namespace

job::Request next_request(const Conversation& conversation) {
    job::Request request;
    request.id = "run";
    request.model = conversation.model_id;
    job::Chat chat;
    if (!conversation.system.empty()) {
        job::Message& system = chat.messages.emplace_back();
        system.role = job::Role::system;
        system.content = conversation.system;
    }
    chat.messages.insert(chat.messages.end(), conversation.messages.begin(),
                         conversation.messages.end());
    request.ask = std::move(chat);
    request.sampling = conversation.sampling;
    if (conversation.max_tokens > 0) {
        request.max_tokens = conversation.max_tokens;
    }
    return request;
}

bool is_command(std::string_view line) {
    return trimmed(line).starts_with('/');
}

Result<CommandReply> obey(std::string_view line, Conversation& conversation) {
    const auto [name, rest] = split_word(trimmed(line));
    if (name == "/help" || name == "/?") {
        return CommandReply{std::string(kHelp)};
    }
    if (name == "/quit" || name == "/exit" || name == "/bye") {
        return CommandReply{{}, true};
    }
    if (name == "/clear") {
        conversation.messages.clear();
        conversation.last.reset();
        return CommandReply{};
    }
    if (name == "/system") {
        return obey_system(rest, conversation);
    }
    if (name == "/set") {
        return obey_set(rest, conversation);
    }
    if (name == "/save" || name == "/load") {
        return obey_file(name, rest, conversation);
    }
    if (name == "/stats") {
        return CommandReply{conversation.last ? figures_text(*conversation.last) + '\n'
                                              : "No answer yet.\n"};
    }
    return fail(Fault::invalid, "no command is called '{}'; /help lists them", name);
}

std::string figures_text(const job::Done& done) {
    const job::Timings& t = done.timings;
    return fmt::format("{} tokens, {:.1f} tok/s; prompt {} tokens ({} cached), {:.1f} tok/s",
                       done.usage.completion_tokens, rate(t.predicted_tokens, t.predicted_ms),
                       done.usage.prompt_tokens, done.usage.cached_tokens,
                       rate(t.prompt_tokens, t.prompt_ms));
}

}  // namespace trilane::app
