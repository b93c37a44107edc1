#include "dialect/openai/wire_cases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

namespace trilane::dialect::openai {

void PrintTo(const Case& one, std::ostream* out) {
    *out << one.id;
}

namespace {

std::string alphanumeric(std::string text) {
    std::replace_if(
        text.begin(), text.end(),
        [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
    return text;
}

}  // namespace

std::vector<Case> load_cases(const std::string& folder) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry :
         std::filesystem::directory_iterator(TRILANE_SOURCE_DIR "/tests/wire/" + folder)) {
        if (entry.path().extension() == ".json") {
            paths.push_back(entry.path());
        }
    }
    std::sort(paths.begin(), paths.end());
    std::vector<Case> cases;
    for (const auto& path : paths) {
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        auto file = json::parse(text.str());
        if (!file) {
            cases.push_back({alphanumeric(path.stem().string() + " is not JSON"), nullptr});
            continue;
        }
        const Value list = file->is_array() ? *file : Value::array({*file});
        for (const Value& one : list) {
            cases.push_back(
                {alphanumeric(path.stem().string() + " " + one.value("name", "unnamed")), one});
        }
    }
    return cases;
}

namespace {

/// The shortest decimal that is this float, so that 0.7 in a data file is 0.7 here.
Value short_float(float value) {
    return std::stod(fmt::format("{}", value));
}

Value fact(bool value) {
    return value;
}
Value fact(std::int32_t value) {
    return value;
}
Value fact(std::uint32_t value) {
    return value;
}
Value fact(float value) {
    return short_float(value);
}
Value fact(const std::string& value) {
    return value;
}
Value fact(const std::vector<std::string>& value) {
    return value;
}
template <class T>
Value fact(const std::optional<T>& value) {
    return value ? Value(*value) : Value();
}
Value fact(const std::map<std::string, std::string>& texts) {
    Value all = Value::object();
    for (const auto& [name, text] : texts) {
        all[name] = text;
    }
    return all;
}
Value fact(const std::map<std::int32_t, float>& biases) {
    Value all = Value::object();
    for (const auto& [id, bias] : biases) {
        all[std::to_string(id)] = short_float(bias);
    }
    return all;
}

template <class T>
void add_fact(Value& facts, const char* name, const T& value, const T& usual) {
    if (value != usual) {
        facts[name] = fact(value);
    }
}

Value message_facts(const job::Message& message) {
    constexpr const char* kRoles[] = {"system", "user", "assistant", "tool"};
    Value facts = {{"role", kRoles[static_cast<int>(message.role)]}, {"content", message.content}};
    add_fact(facts, "reasoning", message.reasoning, {});
    add_fact(facts, "tool_call_id", message.tool_call_id, {});
    for (const job::Media& one : message.media) {
        const bool image = one.kind == job::Media::Kind::image;
        facts["media"].push_back(Value::array(
            {image ? "image" : "audio", one.type, one.url.empty() ? one.bytes : one.url, one.at}));
    }
    for (const job::ToolCall& call : message.tool_calls) {
        facts["tool_calls"].push_back(Value::array({call.id, call.name, call.arguments}));
    }
    return facts;
}

void add_ask(Value& facts, const job::Request& request) {
    if (const auto* completion = std::get_if<job::Completion>(&request.ask)) {
        std::visit([&](const auto& prompt) { facts["prompt"] = prompt; }, completion->prompt);
        add_fact(facts, "echo", completion->echo, false);
        add_fact(facts, "suffix", completion->suffix, {});
        return;
    }
    const auto& chat = std::get<job::Chat>(request.ask);
    for (const job::Message& message : chat.messages) {
        facts["messages"].push_back(message_facts(message));
    }
    for (const job::Tool& tool : chat.tools) {
        facts["tools"].push_back(Value::array({tool.name, tool.description, tool.parameters}));
    }
    constexpr const char* kChoices[] = {"auto", "none", "required", "named"};
    if (chat.tool_choice.kind != job::ToolChoice::Kind::automatic) {
        facts["tool_choice"] = Value::array(
            {kChoices[static_cast<int>(chat.tool_choice.kind)], chat.tool_choice.name});
    }
    add_fact(facts, "parallel_tool_calls", chat.parallel_tool_calls, true);
    for (const auto& [name, text] : chat.template_variables) {
        facts["template_variables"][name] = text;
    }
}

Value format_facts(const job::Format& format) {
    constexpr const char* kKinds[] = {"text", "json_object", "json_schema",
                                      "gbnf", "regex",       "choice"};
    Value facts = {{"kind", kKinds[static_cast<int>(format.kind)]}};
    add_fact(facts, "source", format.source, {});
    add_fact(facts, "name", format.name, {});
    add_fact(facts, "strict", format.strict, false);
    add_fact(facts, "choices", format.choices, {});
    return facts;
}

}  // namespace

Value job_facts(const job::Request& request) {
    const job::Request usual;
    const job::Sampling& draw = request.sampling;
    Value facts = {{"id", request.id}, {"model", request.model}};
    add_ask(facts, request);
    add_fact(facts, "temperature", draw.temperature, usual.sampling.temperature);
    add_fact(facts, "top_k", draw.top_k, usual.sampling.top_k);
    add_fact(facts, "top_p", draw.top_p, usual.sampling.top_p);
    add_fact(facts, "min_p", draw.min_p, usual.sampling.min_p);
    add_fact(facts, "repeat_penalty", draw.repeat_penalty, usual.sampling.repeat_penalty);
    add_fact(facts, "presence_penalty", draw.presence_penalty, usual.sampling.presence_penalty);
    add_fact(facts, "frequency_penalty", draw.frequency_penalty, usual.sampling.frequency_penalty);
    add_fact(facts, "logit_bias", draw.logit_bias, usual.sampling.logit_bias);
    add_fact(facts, "seed", draw.seed, usual.sampling.seed);
    add_fact(facts, "choices", request.choices, usual.choices);
    add_fact(facts, "max_tokens", request.max_tokens, usual.max_tokens);
    add_fact(facts, "stop", request.stop, usual.stop);
    add_fact(facts, "top_logprobs", request.top_logprobs, usual.top_logprobs);
    add_fact(facts, "ignore_end", request.ignore_end, usual.ignore_end);
    add_fact(facts, "client", request.client, usual.client);
    add_fact(facts, "extra", request.extra, usual.extra);
    if (request.format.kind != job::Format::Kind::text) {
        facts["format"] = format_facts(request.format);
    }
    return facts;
}

namespace {

job::TokenLogprob logprob_of(const Value& token) {
    job::TokenLogprob logprob;
    if (token[0].is_string()) {
        logprob.bytes = token[0].get<std::string>();
    } else {
        for (const Value& byte : token[0]) {
            logprob.bytes += static_cast<char>(byte.get<int>());
        }
    }
    logprob.logprob = token[1].is_null()     ? std::numeric_limits<float>::quiet_NaN()
                      : token[1].is_string() ? -std::numeric_limits<float>::infinity()
                                             : token[1].get<float>();
    return logprob;
}

job::Text text_of(const Value& event) {
    job::Text text{event.value("choice", 0U),
                   event["text"].get<std::string>(),
                   event.value("reasoning", false),
                   {}};
    for (const Value& entry : event.value("logprobs", Value::array())) {
        job::LogprobEntry logprobs{logprob_of(entry["chosen"]), {}};
        for (const Value& rival : entry.value("top", Value::array())) {
            logprobs.top.push_back(logprob_of(rival));
        }
        text.logprobs.push_back(std::move(logprobs));
    }
    return text;
}

job::Done done_of(const Value& facts) {
    job::Done done;
    done.usage.prompt_tokens = facts.value("prompt", 0U);
    done.usage.cached_tokens = facts.value("cached", 0U);
    done.usage.completion_tokens = facts.value("completion", 0U);
    done.timings.prompt_tokens = done.usage.prompt_tokens - done.usage.cached_tokens;
    done.timings.prompt_ms = facts.value("prompt_ms", 0.0);
    done.timings.predicted_tokens = done.usage.completion_tokens;
    done.timings.predicted_ms = facts.value("predicted_ms", 0.0);
    return done;
}

template <class Enum>
Enum named(const std::string& name, std::initializer_list<std::pair<const char*, Enum>> names) {
    for (const auto& [known, value] : names) {
        if (name == known) {
            return value;
        }
    }
    ADD_FAILURE() << "the data file names " << name;
    return names.begin()->second;
}

}  // namespace

job::Event event_of(const Value& event) {
    using job::FinishReason;
    if (event.contains("started")) {
        return job::Started{event["started"].get<std::uint32_t>()};
    }
    if (event.contains("text")) {
        return text_of(event);
    }
    if (event.contains("tool_call")) {
        const Value& call = event["tool_call"];
        return job::ToolCallPiece{event.value("choice", 0U), call[0].get<std::uint32_t>(),
                                  call[1].get<std::string>(), call[2].get<std::string>(),
                                  call[3].get<std::string>()};
    }
    if (event.contains("end")) {
        return job::ChoiceEnd{
            event.value("choice", 0U),
            named<FinishReason>(event["end"], {{"stop", FinishReason::stop},
                                               {"length", FinishReason::length},
                                               {"tool_calls", FinishReason::tool_calls},
                                               {"cancelled", FinishReason::cancelled}}),
            event.value("stop_text", "")};
    }
    if (event.contains("done")) {
        return done_of(event["done"]);
    }
    return job::Failed{{named<Fault>(event["failed"][0], {{"invalid", Fault::invalid},
                                                          {"exhausted", Fault::exhausted},
                                                          {"unavailable", Fault::unavailable},
                                                          {"timeout", Fault::timeout},
                                                          {"internal", Fault::internal}}),
                        event["failed"][1]}};
}

}  // namespace trilane::dialect::openai
