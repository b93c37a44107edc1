#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <utility>

#include "base/utf8.h"
#include "dialect/anthropic/anthropic.h"
#include "dialect/anthropic/messages.h"
#include "dialect/body.h"
#include "dialect/fields.h"
#include "json/json.h"

namespace trilane::dialect::anthropic {
namespace {

constexpr std::int64_t kMaxTokensMax = std::numeric_limits<std::uint32_t>::max();
constexpr std::int64_t kTopKMax = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kBudgetMax = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kUserBytesMax = 128;
constexpr double kUnset = -1;  // what some clients send for "not set"

/// What this dialect reads itself or may leave unread without anybody missing it. Sorted.
constexpr auto kKnownFields = std::to_array<std::string_view>({
    "anthropic_beta", "anthropic_version",
    "betas",          "billing_policy",
    "cache_control",  "compaction",
    "container",      "context_management",
    "diagnostics",    "fallback_credit_token",
    "fallbacks",      "inference_geo",
    "max_tokens",     "mcp_servers",
    "messages",       "metadata",
    "model",          "output_config",
    "output_format",  "service_tier",
    "speed",          "stop_sequences",
    "stream",         "system",
    "temperature",    "thinking",
    "thread",         "tool_choice",
    "tools",          "top_k",
    "top_p",          "user_profile_id",
    "workspace_id",
});
static_assert(std::ranges::is_sorted(kKnownFields));

/// Things that a client would miss if they were passed over in silence.
Status refuse_what_is_missing(const Fields& body) {
    struct Missing {
        std::string_view field;
        std::string_view instead;
    };
    constexpr std::array<Missing, 3> kMissing = {{
        {"mcp_servers", "let the client call them, and send their tools as tools"},
        {"container", "nothing is executed on this server"},
        {"compaction", "ask for a summary in a message"},
    }};
    for (const Missing& missing : kMissing) {
        const json::Value* value = body.find(missing.field);
        if (value != nullptr && !value->empty()) {
            return fail(Fault::invalid, "{}: not supported here; leave it out: {}", missing.field,
                        missing.instead);
        }
    }
    return {};
}

/// The conversation that this one goes on with is not kept here: clients know that answer, and send
/// the whole. What begins a thread is whole already.
Status read_thread(const Fields& body) {
    TRILANE_TRY(const json::Value* thread, body.object("thread"));
    if (thread != nullptr && thread->value("type", json::Value()) != "create") {
        return fail(Fault::not_found, "{}: no conversation is kept here; send the whole one",
                    kThreadField);
    }
    return {};
}

/// A number within its range, where −1 is nobody's wish.
Result<std::optional<double>> number_or_unset(const Fields& body, std::string_view name,
                                              double max) {
    const json::Value* value = body.find(name);
    if (value != nullptr && value->is_number() && value->get<double>() == kUnset) {
        return std::nullopt;
    }
    return body.number(name, 0, max);
}

Status read_sampling(const Fields& body, job::Sampling& sampling) {
    TRILANE_TRY(const auto temperature, body.number("temperature", 0, 2));
    sampling.temperature = static_cast<float>(temperature.value_or(sampling.temperature));
    TRILANE_TRY(const auto top_p, number_or_unset(body, "top_p", 1));
    // The smallest set is one token.
    sampling.top_p = std::max(static_cast<float>(top_p.value_or(sampling.top_p)),
                              std::numeric_limits<float>::min());
    TRILANE_TRY(const auto top_k, body.integer("top_k", -1, kTopKMax));
    sampling.top_k = static_cast<std::int32_t>(std::max<std::int64_t>(top_k.value_or(0), 0));
    return {};
}

Status read_stop(const Fields& body, job::Request& request) {
    TRILANE_TRY(const json::Value* texts, body.array("stop_sequences", "strings"));
    if (texts == nullptr) {
        return {};
    }
    if (texts->size() > kStopTextsMax) {
        return fail(Fault::invalid, "stop_sequences: got {} texts; send at most {}", texts->size(),
                    kStopTextsMax);
    }
    for (std::size_t i = 0; i < texts->size(); ++i) {
        const json::Value& text = (*texts)[i];
        if (!text.is_string() || text.get_ref<const std::string&>().empty() ||
            text.get_ref<const std::string&>().size() > kStopBytesMax) {
            return refuse(fmt::format("stop_sequences[{}]", i), text,
                          fmt::format("a text of 1 to {} bytes", kStopBytesMax));
        }
        request.stop.push_back(text.get_ref<const std::string&>());
    }
    return {};
}

Status read_thinking(const Fields& body, Parsed& parsed, job::Chat& chat) {
    auto& variables = chat.template_variables;
    TRILANE_TRY(const json::Value* value, body.object("thinking"));
    if (value == nullptr) {
        variables["enable_thinking"] = "false";
        return {};
    }
    const Fields thinking(*value, "thinking");
    constexpr std::string_view kTypes = R"("enabled", "adaptive", "between_tools" or "disabled")";
    TRILANE_TRY(const std::string type, thinking.required_text("type", kTypes));
    if (type == "disabled") {
        variables["enable_thinking"] = "false";
        return {};
    }
    if (type == "enabled") {
        variables["enable_thinking"] = "true";
        TRILANE_TRY(const auto budget, thinking.integer("budget_tokens", 0, kBudgetMax));
        if (budget) {
            parsed.job.extra["thinking_budget_tokens"] = fmt::format("{}", *budget);
        }
    } else if (type != "adaptive" && type != "between_tools") {
        return refuse("thinking.type", json::Value(type), kTypes);
    }
    // Adaptive: the model, or its template, decides by itself.
    TRILANE_TRY(const auto display, thinking.text("display"));
    parsed.thinking = display.value_or("") == "omitted" ? Thinking::sealed : Thinking::shown;
    return {};
}

Status read_format(const Fields& holder, std::string_view name, job::Format& format) {
    TRILANE_TRY(const json::Value* value, holder.object(name));
    if (value == nullptr) {
        return {};
    }
    const Fields fields(*value, holder.path_of(name));
    TRILANE_TRY(const std::string type, fields.required_text("type", "\"json_schema\""));
    if (type != "json_schema") {
        return refuse(fields.path_of("type"), json::Value(type), "\"json_schema\"");
    }
    TRILANE_TRY(const json::Value* schema, fields.object("schema"));
    if (schema == nullptr) {
        return fail(Fault::invalid, "{}: missing; send a JSON schema", fields.path_of("schema"));
    }
    format.kind = job::Format::Kind::json_schema;
    format.source = json::dump(*schema);
    format.name = "answer";
    format.strict = true;
    return {};
}

Status read_output(const Fields& body, job::Request& request, job::Chat& chat) {
    TRILANE_TRY_STATUS(read_format(body, "output_format", request.format));
    TRILANE_TRY(const json::Value* value, body.object("output_config"));
    if (value == nullptr) {
        return {};
    }
    const Fields output(*value, "output_config");
    TRILANE_TRY_STATUS(read_format(output, "format", request.format));
    TRILANE_TRY(const auto effort, output.text("effort"));
    if (effort) {
        chat.template_variables["reasoning_effort"] = json::dump(json::Value(*effort));
    }
    return {};
}

Status read_client(const Fields& body, job::Request& request) {
    TRILANE_TRY(const json::Value* value, body.object("metadata"));
    if (value != nullptr) {
        TRILANE_TRY(const auto user, Fields(*value, "metadata").text("user_id"));
        request.client = utf8_clipped(user.value_or(""), kUserBytesMax);
    }
    return {};
}

/// The rest is for lanes that may know it.
Status read_extra(const json::Value& body, job::Request& request) {
    for (const auto& [key, value] : body.items()) {
        if (value.is_null() || std::ranges::binary_search(kKnownFields, std::string_view(key))) {
            continue;
        }
        if (request.extra.size() >= kExtraFieldsMax) {
            return fail(Fault::invalid,
                        "the body has more than {} fields that are not known here; send fewer",
                        kExtraFieldsMax);
        }
        request.extra.emplace(key, json::dump(value));
    }
    return {};
}

/// What messages and their counting share: all but max_tokens.
Result<Parsed> parse_shared(const json::Value& value, const Context& context) {
    const Fields body(value, "");
    Parsed parsed;
    parsed.response_id = "msg_" + context.response_id_suffix;
    job::Request& request = parsed.job;
    request.id = parsed.response_id;
    TRILANE_TRY(request.model,
                body.required_text("model", "the id of a model that GET /v1/models lists"));
    TRILANE_TRY_STATUS(refuse_what_is_missing(body));
    TRILANE_TRY_STATUS(read_thread(body));
    TRILANE_TRY(const auto stream, body.boolean("stream"));
    parsed.stream = stream.value_or(false);
    TRILANE_TRY_STATUS(read_sampling(body, request.sampling));
    TRILANE_TRY_STATUS(read_stop(body, request));
    TRILANE_TRY_STATUS(read_client(body, request));
    TRILANE_TRY_STATUS(read_extra(value, request));
    TRILANE_TRY(job::Chat chat, read_chat(body));
    TRILANE_TRY_STATUS(read_thinking(body, parsed, chat));
    TRILANE_TRY_STATUS(read_output(body, request, chat));
    request.ask = std::move(chat);
    return parsed;
}

}  // namespace

Result<Parsed> parse(std::string_view body, const Context& context) {
    TRILANE_TRY(const json::Value value, read_object(body));
    TRILANE_TRY(Parsed parsed, parse_shared(value, context));
    TRILANE_TRY(const auto max_tokens, Fields(value, "").integer("max_tokens", 1, kMaxTokensMax));
    if (!max_tokens) {
        return fail(Fault::invalid,
                    "max_tokens: missing; send how many tokens the answer may have at most");
    }
    parsed.job.max_tokens = static_cast<std::uint32_t>(*max_tokens);
    return parsed;
}

Result<Asked> ask(std::string_view body, const Context& context) {
    TRILANE_TRY(Parsed parsed, parse(body, context));
    Asked asked;
    asked.model = parsed.job.model;
    asked.stream = parsed.stream;
    if (parsed.stream) {
        asked.writer = std::make_unique<StreamWriter>(parsed);
    } else {
        asked.writer = std::make_unique<BodyWriter>(parsed);
    }
    asked.jobs.push_back(std::move(parsed.job));
    return asked;
}

Result<Asked> ask_count(std::string_view body, const Context& context) {
    TRILANE_TRY(const json::Value value, read_object(body));
    TRILANE_TRY(Parsed parsed, parse_shared(value, context));
    Asked asked;
    asked.model = parsed.job.model;
    asked.writer = std::make_unique<CountWriter>();
    job::Request& count = asked.jobs.emplace_back();
    count.id = std::move(parsed.job.id);
    count.model = std::move(parsed.job.model);
    count.client = std::move(parsed.job.client);
    count.ask = job::CountTokens{std::get<job::Chat>(std::move(parsed.job.ask))};
    return asked;
}

}  // namespace trilane::dialect::anthropic
