#include "script.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "json/json.h"

namespace trilane::fake_lane {
namespace {

constexpr std::array<std::pair<std::string_view, Garbage>, 10> kGarbage = {{
    {"none", Garbage::none},
    {"text", Garbage::text},
    {"empty", Garbage::empty},
    {"bytes", Garbage::bytes},
    {"json", Garbage::json},
    {"truncated", Garbage::truncated},
    {"bad_chunk", Garbage::bad_chunk},
    {"huge_head", Garbage::huge_head},
    {"second_response", Garbage::second_response},
    {"endless_line", Garbage::endless_line},
}};
constexpr std::array<std::pair<std::string_view, StreamEnd>, 5> kStreamEnds = {{
    {"done", StreamEnd::done},
    {"no_done", StreamEnd::no_done},
    {"eof", StreamEnd::eof},
    {"reset", StreamEnd::reset},
    {"silence", StreamEnd::silence},
}};
constexpr std::array<std::pair<std::string_view, Concurrency>, 3> kConcurrency = {{
    {"crash", Concurrency::crash},
    {"queue", Concurrency::queue},
    {"allow", Concurrency::allow},
}};
constexpr std::array<std::string_view, 11> kQuirks = {
    "single_token", "tool_index", "finish_reason", "substitution", "error_status", "keep_alive",
    "query_404",    "api_chat",   "null_usage",    "socket_limit", "early_bind"};
constexpr std::array<std::string_view, 5> kNpuStates = {"ready", "old_kernel", "no_device",
                                                        "memlock", "old_firmware"};

template <class Choices, class T>
Status choose(T& target, const json::Value& value, const Choices& choices) {
    if (value.is_string()) {
        const auto& name = value.get_ref<const std::string&>();
        for (const auto& [known, choice] : choices) {
            if (known == name) {
                target = choice;
                return {};
            }
        }
    }
    return fail(Fault::invalid, "has no such choice; README.md lists them");
}

Status assign(Garbage& target, const json::Value& value) {
    return choose(target, value, kGarbage);
}
Status assign(StreamEnd& target, const json::Value& value) {
    return choose(target, value, kStreamEnds);
}
Status assign(Concurrency& target, const json::Value& value) {
    return choose(target, value, kConcurrency);
}

Status assign(bool& target, const json::Value& value) {
    if (!value.is_boolean()) {
        return fail(Fault::invalid, "must be true or false");
    }
    target = value.get<bool>();
    return {};
}

Status assign(std::int64_t& target, const json::Value& value) {
    if (!value.is_number_integer()) {
        return fail(Fault::invalid, "must be an integer");
    }
    target = value.get<std::int64_t>();
    return {};
}

Status assign(double& target, const json::Value& value) {
    if (!value.is_number() || value.get<double>() < 0) {
        return fail(Fault::invalid, "must be a number that is not negative");
    }
    target = value.get<double>();
    return {};
}

Status assign(std::string& target, const json::Value& value) {
    if (!value.is_string()) {
        return fail(Fault::invalid, "must be a string");
    }
    target = value.get<std::string>();
    return {};
}

Status assign(std::vector<std::string>& target, const json::Value& value) {
    std::vector<std::string> read;
    for (const json::Value& element : value) {
        if (!element.is_string()) {
            return fail(Fault::invalid, "must be an array of strings");
        }
        read.push_back(element.get<std::string>());
    }
    target = std::move(read);
    return {};
}

Status assign(std::vector<PrintedLine>& target, const json::Value& value) {
    std::vector<PrintedLine> read;
    for (const json::Value& element : value) {
        PrintedLine line;
        if (element.is_string()) {
            line.text = element.get<std::string>();
        } else if (element.is_object() && element.contains("text") && element["text"].is_string()) {
            line.text = element["text"].get<std::string>();
            line.to_stderr = element.contains("to") && element["to"] == "stderr";
            if (element.contains("repeat")) {
                TRILANE_TRY_STATUS(assign(line.repeat, element["repeat"]));
            }
        } else {
            return fail(Fault::invalid, "must hold strings or {{\"text\", \"to\", \"repeat\"}}");
        }
        read.push_back(std::move(line));
    }
    target = std::move(read);
    return {};
}

/// A field of an object by its name, and how it is set.
template <class Object>
struct Field {
    std::string_view name;
    Status (*set)(Object& object, const json::Value& value);
};

template <auto Member, class Object>
Status set(Object& object, const json::Value& value) {
    return assign(object.*Member, value);
}

Status set_text(Behaviour& behaviour, const json::Value& value) {
    behaviour.has_text = !value.is_null();
    return value.is_null() ? Status{} : assign(behaviour.text, value);
}

constexpr Field<Behaviour> kBehaviourFields[] = {
    {"prompt_tps", set<&Behaviour::prompt_tps>},
    {"decode_tps", set<&Behaviour::decode_tps>},
    {"tokens", set<&Behaviour::tokens>},
    {"text", set_text},
    {"prompt_tokens", set<&Behaviour::prompt_tokens>},
    {"cached_tokens", set<&Behaviour::cached_tokens>},
    {"latency_ms", set<&Behaviour::latency_ms>},
    {"hang", set<&Behaviour::hang>},
    {"hang_after_tokens", set<&Behaviour::hang_after_tokens>},
    {"crash", set<&Behaviour::crash>},
    {"crash_after_tokens", set<&Behaviour::crash_after_tokens>},
    {"crash_signal", set<&Behaviour::crash_signal>},
    {"garbage", set<&Behaviour::garbage>},
    {"close_after_bytes", set<&Behaviour::close_after_bytes>},
    {"close_with_reset", set<&Behaviour::close_with_reset>},
    {"error_status", set<&Behaviour::error_status>},
    {"error_message", set<&Behaviour::error_message>},
    {"error_as_string", set<&Behaviour::error_as_string>},
    {"retry_after_s", set<&Behaviour::retry_after_s>},
    {"refuse_cancel", set<&Behaviour::refuse_cancel>},
    {"cancel_lag_ms", set<&Behaviour::cancel_lag_ms>},
    {"sse_ping_ms", set<&Behaviour::sse_ping_ms>},
    {"stream_end", set<&Behaviour::stream_end>},
    {"write_each", set<&Behaviour::write_each>},
    {"write_bytes_max", set<&Behaviour::write_bytes_max>},
    {"switch_ms", set<&Behaviour::switch_ms>},
};

/// true stands for a reason of our own.
Status set_fail_load(Script& script, const json::Value& value) {
    if (value.is_boolean()) {
        script.fail_load = value.get<bool>() ? "failed to allocate the model's buffer" : "";
        return {};
    }
    return assign(script.fail_load, value);
}

Status one_of(const std::string& name, std::span<const std::string_view> known) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
        return fail(Fault::invalid, "knows no '{}'; README.md lists what it knows", name);
    }
    return {};
}

Status set_npu(Script& script, const json::Value& value) {
    TRILANE_TRY_STATUS(assign(script.npu, value));
    return one_of(script.npu, kNpuStates);
}

Status set_quirks_off(Script& script, const json::Value& value) {
    TRILANE_TRY_STATUS(assign(script.quirks_off, value));
    for (const std::string& name : script.quirks_off) {
        TRILANE_TRY_STATUS(one_of(name, kQuirks));
    }
    return {};
}

constexpr Field<Script> kScriptFields[] = {
    {"start_ms", set<&Script::start_ms>},
    {"load_ms", set<&Script::load_ms>},
    {"never_ready", set<&Script::never_ready>},
    {"fail_load", set_fail_load},
    {"fail_bind", set<&Script::fail_bind>},
    {"exit_after_ms", set<&Script::exit_after_ms>},
    {"exit_code", set<&Script::exit_code>},
    {"exit_signal", set<&Script::exit_signal>},
    {"crash_on_request", set<&Script::crash_on_request>},
    {"hang_after_ms", set<&Script::hang_after_ms>},
    {"hang_health", set<&Script::hang_health>},
    {"frozen", set<&Script::frozen>},
    {"ready_but_insane", set<&Script::ready_but_insane>},
    {"slots", set<&Script::slots>},
    {"resident_mb", set<&Script::resident_mb>},
    {"print", set<&Script::print>},
    {"log_requests", set<&Script::log_requests>},
    {"slow_term_ms", set<&Script::slow_term_ms>},
    {"ignore_term", set<&Script::ignore_term>},
    {"grandchild", set<&Script::grandchild>},
    {"exit_on_stdin_eof", set<&Script::exit_on_stdin_eof>},
    {"check_model_file", set<&Script::check_model_file>},
    {"api_key", set<&Script::api_key>},
    {"close_on_accept", set<&Script::close_on_accept>},
    {"keep_alive_max", set<&Script::keep_alive_max>},
    {"keep_alive_ms", set<&Script::keep_alive_ms>},
    {"version", set<&Script::version>},
    {"devices", set<&Script::devices>},
    {"without_flags", set<&Script::without_flags>},
    {"concurrency", set<&Script::concurrency>},
    {"cooldown_ms", set<&Script::cooldown_ms>},
    {"installed", set<&Script::installed>},
    {"npu", set_npu},
    {"missing_plugin", set<&Script::missing_plugin>},
    {"health_route", set<&Script::health_route>},
    {"fail_default_model", set<&Script::fail_default_model>},
    {"quirks_off", set_quirks_off},
};

constexpr Field<Rule> kRuleFields[] = {
    {"path", set<&Rule::path>},   {"body_has", set<&Rule::body_has>}, {"from", set<&Rule::from>},
    {"every", set<&Rule::every>}, {"times", set<&Rule::times>},
};

constexpr std::string_view kNested[] = {"rules", "paths", "by_model"};

template <class Object, std::size_t N>
std::optional<Status> set_named(const Field<Object> (&fields)[N], Object& object,
                                std::string_view name, const json::Value& value) {
    for (const Field<Object>& field : fields) {
        if (field.name == name) {
            Status set = field.set(object, value);
            if (!set) {
                return tl::unexpected(std::move(set).error().because(name));
            }
            return set;
        }
    }
    return std::nullopt;
}

Result<Rule> read_rule(const Behaviour& base, const json::Value& fields) {
    if (!fields.is_object()) {
        return fail(Fault::invalid, "a rule must be an object");
    }
    Rule rule;
    rule.does = base;
    rule.seen = std::make_shared<std::atomic<std::int64_t>>(0);
    for (const auto& [name, value] : fields.items()) {
        std::optional<Status> known = set_named(kRuleFields, rule, name, value);
        if (!known) {
            known = set_named(kBehaviourFields, rule.does, name, value);
        }
        if (!known) {
            return fail(Fault::invalid, "rules have no field '{}'; see README.md", name);
        }
        TRILANE_TRY_STATUS(*known);
    }
    return rule;
}

Status apply_rules(Script& script, const json::Value& fields) {
    if (fields.contains("rules") || fields.contains("paths")) {
        script.rules.clear();
    }
    if (fields.contains("rules")) {
        for (const json::Value& each : fields["rules"]) {
            TRILANE_TRY(Rule rule, read_rule(script.base, each));
            script.rules.push_back(std::move(rule));
        }
    }
    if (fields.contains("paths")) {
        for (const auto& [path, each] : fields["paths"].items()) {
            TRILANE_TRY(Rule rule, read_rule(script.base, each));
            rule.path = path;
            script.rules.push_back(std::move(rule));
        }
    }
    return {};
}

bool is_nested(std::string_view name) {
    return std::find(std::begin(kNested), std::end(kNested), name) != std::end(kNested);
}

}  // namespace

bool Script::has_quirk(std::string_view name) const {
    return std::find(quirks_off.begin(), quirks_off.end(), name) == quirks_off.end();
}

Status apply(Script& script, const json::Value& fields, std::string_view model) {
    if (!fields.is_object()) {
        return fail(Fault::invalid, "a script must be a JSON object, not {}",
                    json::type_name(fields));
    }
    Script changed = script;
    for (const auto& [name, value] : fields.items()) {
        if (is_nested(name)) {
            continue;
        }
        std::optional<Status> known = set_named(kBehaviourFields, changed.base, name, value);
        if (!known) {
            known = set_named(kScriptFields, changed, name, value);
        }
        if (!known) {
            return fail(Fault::invalid, "scripts have no field '{}'; see README.md", name);
        }
        TRILANE_TRY_STATUS(*known);
    }
    TRILANE_TRY_STATUS(apply_rules(changed, fields));
    if (fields.contains("by_model")) {
        for (const auto& [part, own] : fields["by_model"].items()) {
            if (model.find(part) != std::string_view::npos) {
                TRILANE_TRY_STATUS(apply(changed, own, ""));
                break;
            }
        }
    }
    script = std::move(changed);
    return {};
}

Status apply_text(Script& script, std::string_view text, std::string_view model) {
    TRILANE_TRY(const json::Value fields, json::parse(text));
    return apply(script, fields, model);
}

std::vector<std::string> field_names() {
    std::vector<std::string> names;
    const auto add = [&names](const auto& fields) {
        for (const auto& field : fields) {
            names.emplace_back(field.name);
        }
    };
    add(kBehaviourFields);
    add(kScriptFields);
    add(kRuleFields);
    names.insert(names.end(), std::begin(kNested), std::end(kNested));
    return names;
}

}  // namespace trilane::fake_lane
