#include <algorithm>
#include <array>
#include <limits>

#include "base/utf8.h"
#include "dialect/body.h"
#include "dialect/fields.h"
#include "dialect/openai/common_fields.h"
#include "dialect/openai/format.h"
#include "dialect/openai/messages.h"
#include "dialect/openai/openai.h"
#include "dialect/openai/sampling.h"
#include "dialect/openai/tools.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

constexpr std::int64_t kMaxTokensMax = std::numeric_limits<std::uint32_t>::max();

Status read_lengths(const Fields& body, Endpoint endpoint, job::Request& request) {
    // An answer of no tokens makes sense only where the prompt can be echoed and scored.
    const std::int64_t min = endpoint == Endpoint::completions ? 0 : 1;
    for (const std::string_view name : {"max_tokens", "max_completion_tokens"}) {
        TRILANE_TRY(const auto tokens, body.integer(name, min, kMaxTokensMax));
        if (tokens) {
            request.max_tokens = static_cast<std::uint32_t>(*tokens);
        }
    }
    TRILANE_TRY(const auto choices, body.integer("n", 1, kChoicesMax));
    request.choices = static_cast<std::uint32_t>(choices.value_or(1));
    TRILANE_TRY(const auto ignore_end, body.boolean("ignore_eos"));
    request.ignore_end = ignore_end.value_or(false);
    return {};
}

Status read_chat_logprobs(const Fields& body, job::Request& request) {
    const json::Value* logprobs = body.find("logprobs");
    if (logprobs != nullptr && !logprobs->is_boolean()) {
        return refuse("logprobs", *logprobs, "true or false, and the number as top_logprobs");
    }
    const bool wanted = logprobs != nullptr && logprobs->get<bool>();
    TRILANE_TRY(const auto top, body.integer("top_logprobs", 0, kChatTopLogprobsMax));
    if (top.value_or(0) > 0 && !wanted) {
        return fail(Fault::invalid,
                    "top_logprobs: got {} without logprobs; send logprobs: true, too", *top);
    }
    if (wanted) {
        request.top_logprobs = static_cast<std::uint32_t>(top.value_or(0));
    }
    return {};
}

Status read_modalities(const Fields& body) {
    TRILANE_TRY(const json::Value* modalities, body.array("modalities", "strings"));
    if (modalities == nullptr) {
        return {};
    }
    for (const json::Value& modality : *modalities) {
        if (modality != "text") {
            return refuse("modalities", modality, "[\"text\"]: this model answers in text only");
        }
    }
    return {};
}

Status read_chat_request(const Fields& body, job::Request& request) {
    TRILANE_TRY(job::Chat chat, read_chat(body));
    request.ask = std::move(chat);
    TRILANE_TRY_STATUS(read_modalities(body));
    return read_chat_logprobs(body, request);
}

using Prompt = std::variant<std::string, std::vector<std::int32_t>>;

Result<std::vector<Prompt>> read_prompts(const Fields& body) {
    constexpr std::string_view kWanted =
        "a string, an array of strings, an array of token ids, or an array of such arrays";
    const json::Value* prompt = body.find("prompt");
    if (prompt == nullptr) {
        return fail(Fault::invalid, "prompt: missing; send {}{}", kWanted,
                    body.find("messages") == nullptr
                        ? ""
                        : ", or send the messages to /v1/chat/completions");
    }
    if (prompt->is_string()) {
        return std::vector<Prompt>{prompt->get_ref<const std::string&>()};
    }
    if (!prompt->is_array() || prompt->empty()) {
        return refuse("prompt", *prompt, kWanted);
    }
    if (prompt->front().is_number()) {
        TRILANE_TRY(std::vector<std::int32_t> ids, read_token_ids(*prompt, "prompt"));
        return std::vector<Prompt>{std::move(ids)};
    }
    if (prompt->size() > kChoicesMax) {
        return fail(Fault::invalid, "prompt: got {} prompts; send at most {}", prompt->size(),
                    kChoicesMax);
    }
    std::vector<Prompt> prompts;
    for (std::size_t i = 0; i < prompt->size(); ++i) {
        const json::Value& one = (*prompt)[i];
        const std::string path = fmt::format("prompt[{}]", i);
        if (one.type() != prompt->front().type() || !(one.is_string() || one.is_array())) {
            return refuse(path, one,
                          "the same kind as the other prompts: strings or arrays of ids");
        }
        if (one.is_string()) {
            prompts.emplace_back(one.get_ref<const std::string&>());
        } else {
            TRILANE_TRY(std::vector<std::int32_t> ids, read_token_ids(one, path));
            prompts.emplace_back(std::move(ids));
        }
    }
    return prompts;
}

Status read_completion_extras(const Fields& body, job::Request& request) {
    const json::Value* logprobs = body.find("logprobs");
    if (logprobs != nullptr && logprobs->is_boolean() && !logprobs->get<bool>()) {
        logprobs = nullptr;
    }
    if (logprobs != nullptr) {
        TRILANE_TRY(const auto top, body.integer("logprobs", 0, kCompletionLogprobsMax));
        request.top_logprobs = static_cast<std::uint32_t>(*top);
    }
    TRILANE_TRY(const auto best_of, body.integer("best_of", 1, kChoicesMax));
    if (best_of.value_or(request.choices) != request.choices) {
        return fail(Fault::invalid, "best_of: got {} with n {}; send both equal, or leave it out",
                    *best_of, request.choices);
    }
    return {};
}

/// `request` holds what all prompts share.
Result<std::vector<job::Request>> read_completion_jobs(const Fields& body, job::Request request) {
    TRILANE_TRY(const auto echo, body.boolean("echo"));
    TRILANE_TRY(const auto suffix, body.text("suffix"));
    TRILANE_TRY_STATUS(read_completion_extras(body, request));
    TRILANE_TRY(std::vector<Prompt> prompts, read_prompts(body));
    if (prompts.size() * request.choices > kChoicesMax) {
        return fail(Fault::invalid, "n: got {} for {} prompts; send at most {} choices in all",
                    request.choices, prompts.size(), kChoicesMax);
    }
    std::vector<job::Request> jobs;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        job::Request job = request;
        if (prompts.size() > 1) {
            job.id += fmt::format("-{}", i);
        }
        job.ask = job::Completion{std::move(prompts[i]), echo.value_or(false), suffix.value_or("")};
        jobs.push_back(std::move(job));
    }
    return jobs;
}

/// What this dialect reads itself.
constexpr std::array kRequestFields = std::to_array<std::string_view>({"best_of",
                                                                       "chat_template_kwargs",
                                                                       "continue_final_message",
                                                                       "echo",
                                                                       "enable_thinking",
                                                                       "frequency_penalty",
                                                                       "function_call",
                                                                       "functions",
                                                                       "grammar",
                                                                       "guided_choice",
                                                                       "guided_grammar",
                                                                       "guided_json",
                                                                       "guided_regex",
                                                                       "ignore_eos",
                                                                       "json_schema",
                                                                       "logit_bias",
                                                                       "logprobs",
                                                                       "max_completion_tokens",
                                                                       "max_tokens",
                                                                       "messages",
                                                                       "min_p",
                                                                       "modalities",
                                                                       "model",
                                                                       "n",
                                                                       "parallel_tool_calls",
                                                                       "presence_penalty",
                                                                       "prompt",
                                                                       "reasoning_effort",
                                                                       "repeat_penalty",
                                                                       "repetition_penalty",
                                                                       "response_format",
                                                                       "seed",
                                                                       "stop",
                                                                       "stream",
                                                                       "stream_options",
                                                                       "structured_outputs",
                                                                       "suffix",
                                                                       "temperature",
                                                                       "tool_choice",
                                                                       "tools",
                                                                       "top_k",
                                                                       "top_logprobs",
                                                                       "top_p",
                                                                       "user"});

Status read_delivery(const Fields& body, Parsed& parsed) {
    TRILANE_TRY(const auto stream, body.boolean("stream"));
    parsed.stream = stream.value_or(false);
    TRILANE_TRY(const json::Value* options, body.object("stream_options"));
    if (options != nullptr) {
        const Fields fields(*options, "stream_options");
        TRILANE_TRY(const auto include_usage, fields.boolean("include_usage"));
        parsed.include_usage = include_usage.value_or(false);
    }
    return {};
}

}  // namespace

Result<Parsed> parse(Endpoint endpoint, std::string_view body, const Context& context) {
    TRILANE_TRY(const json::Value value, read_object(body));
    const Fields fields(value, "");
    Parsed parsed;
    parsed.endpoint = endpoint;
    parsed.created_unix_s = context.now_unix_s;
    parsed.system_fingerprint = context.system_fingerprint;
    TRILANE_TRY(
        job::Request request,
        read_common(fields, ModelField::required,
                    endpoint == Endpoint::chat_completions ? "chatcmpl-" : "cmpl-", context));
    parsed.response_id = request.id;
    parsed.model = request.model;
    TRILANE_TRY_STATUS(read_delivery(fields, parsed));
    TRILANE_TRY_STATUS(read_lengths(fields, endpoint, request));
    TRILANE_TRY_STATUS(read_sampling(fields, request.sampling));
    TRILANE_TRY_STATUS(read_stop(fields, request));
    TRILANE_TRY(request.format, read_format(fields));
    TRILANE_TRY_STATUS(read_extra(value, kRequestFields, request));
    if (endpoint == Endpoint::chat_completions) {
        TRILANE_TRY_STATUS(read_chat_request(fields, request));
        parsed.old_functions = has_old_functions(fields);
        parsed.jobs.push_back(std::move(request));
    } else {
        TRILANE_TRY(parsed.jobs, read_completion_jobs(fields, std::move(request)));
    }
    return parsed;
}

Result<Asked> ask(Endpoint endpoint, std::string_view body, const Context& context) {
    TRILANE_TRY(Parsed parsed, parse(endpoint, body, context));
    Asked asked;
    asked.model = parsed.model;
    asked.stream = parsed.stream;
    if (parsed.stream) {
        asked.writer = std::make_unique<StreamWriter>(parsed);
    } else {
        asked.writer = std::make_unique<BodyWriter>(parsed);
    }
    asked.jobs = std::move(parsed.jobs);
    return asked;
}

}  // namespace trilane::dialect::openai
