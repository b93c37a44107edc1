#include <fmt/format.h>

#include <algorithm>

#include "dialect/openai/openai.h"
#include "dialect/openai/shapes.h"

namespace trilane::dialect::openai {
namespace {

/// The field that a message of the form "field: …" or "field[1].part: …" speaks of; else "".
std::string_view param_of(std::string_view message) {
    constexpr std::string_view kFields =
        " add_special add_special_tokens after background best_of cfg cfg_scale"
        " chat_template_kwargs content continue_final_message conversation dimensions documents"
        " echo enable_thinking encoding_format file frequency_penalty function_call functions"
        " grammar guidance_scale guided_choice guided_grammar guided_json guided_regex height"
        " ignore_eos image images include input input_type instructions json_schema language"
        " limit logit_bias logprobs mask max_completion_tokens max_output_tokens max_tokens"
        " max_tokens_per_doc max_tool_calls messages metadata min_p modalities model moderation"
        " n negative_prompt order output_compression output_format parallel_tool_calls"
        " parse_special partial_images path presence_penalty previous_response_id prompt"
        " quality query reasoning reasoning_effort repeat_penalty repetition_penalty"
        " response_format response_id return_documents return_token_strs seed size speed steps"
        " stop store stream stream_format stream_options structured_outputs style suffix"
        " temperature text texts timestamp_granularities tokens tool_choice tools top_k"
        " top_logprobs top_n top_p truncation user voice width with_pieces ";
    const std::string_view path = message.substr(0, std::min(message.find(": "), message.size()));
    const std::string_view root = path.substr(0, path.find_first_of(".["));
    const bool known = path.size() < message.size() && path.find(' ') == std::string_view::npos &&
                       kFields.find(fmt::format(" {} ", root)) != std::string_view::npos;
    return known ? path : std::string_view();
}

struct ErrorKind {
    std::string_view type;
    std::string_view code;  // "" = null
};

ErrorKind kind_of(const Error& error, std::string_view param) {
    switch (error.fault) {
        case Fault::invalid: {
            const bool of_prompt =
                param.empty() || param == "messages" || param == "prompt" || param == "input";
            const bool too_long = of_prompt && error.message.find("context") != std::string::npos;
            return {"invalid_request_error", too_long ? "context_length_exceeded" : ""};
        }
        case Fault::not_found:
            return {"invalid_request_error", param == "path"          ? "unknown_url"
                                             : param == "response_id" ? "response_not_found"
                                                                      : "model_not_found"};
        case Fault::exhausted:
            return {"rate_limit_error", "rate_limit_exceeded"};
        case Fault::cancelled:
            return {"request_cancelled", "cancelled"};
        case Fault::unavailable:
        case Fault::timeout:
        case Fault::corrupt:
        case Fault::internal:
            break;
    }
    return {"server_error", fault_name(error.fault)};
}

void append_nullable(std::string& out, std::string_view text) {
    if (text.empty()) {
        out += "null";
    } else {
        append_string(out, text);
    }
}

std::string_view code_of(unsigned status) {
    switch (status) {
        case 401:
            return "invalid_api_key";
        case 403:
            return "permission_denied";
        case 404:
            return "unknown_url";
        case 405:
            return "method_not_allowed";
        case 408:
            return "request_timeout";
        case 413:
            return "request_too_large";
        case 431:
            return "headers_too_large";
        case 501:
        case 505:
            return "unsupported_protocol";
        case 503:
            return "unavailable";
        case 507:
            return "insufficient_storage";
        default:
            return status < 500 ? "bad_request" : "internal";
    }
}

}  // namespace

std::string error_body(const Error& error) {
    const std::string_view param = param_of(error.message);
    const ErrorKind kind = kind_of(error, param);
    std::string out = "{\"error\":{\"message\":";
    append_string(out, error.message);
    out += ",\"type\":";
    append_string(out, kind.type);
    out += ",\"param\":";
    append_nullable(out, param == "path" ? "" : param);
    out += ",\"code\":";
    append_nullable(out, kind.code);
    out += "}}";
    return out;
}

std::string status_body(unsigned status, std::string_view message) {
    std::string out = "{\"error\":{\"message\":";
    append_string(out, message);
    out += fmt::format(R"(,"type":"{}","param":null,"code":"{}"}}}})",
                       status < 500 ? "invalid_request_error" : "server_error", code_of(status));
    return out;
}

}  // namespace trilane::dialect::openai
