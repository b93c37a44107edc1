#include <fmt/format.h>

#include <algorithm>

#include "dialect/anthropic/anthropic.h"
#include "json/text.h"

namespace trilane::dialect::anthropic {
namespace {

constexpr std::string_view kOverloaded = "overloaded_error";
constexpr std::string_view kInvalid = "invalid_request_error";

std::string body_of(std::string_view type, std::string_view message, std::string_view code = {}) {
    std::string out = fmt::format(R"({{"type":"error","error":{{"type":"{}","message":)", type);
    json::append_string(out, message);
    if (!code.empty()) {
        out += fmt::format(R"(,"details":{{"error_code":"{}"}})", code);
    }
    out += "}}";
    return out;
}

std::string_view type_of(Fault fault) {
    switch (fault) {
        case Fault::invalid:
            return kInvalid;
        case Fault::not_found:
            return "not_found_error";
        case Fault::exhausted:
            return "rate_limit_error";
        case Fault::unavailable:
            return kOverloaded;
        case Fault::timeout:
            return "timeout_error";
        case Fault::cancelled:
        case Fault::corrupt:
        case Fault::internal:
            break;
    }
    return "api_error";
}

std::string_view type_of(unsigned status) {
    switch (status) {
        case 401:
            return "authentication_error";
        case 403:
            return "permission_error";
        case 404:
            return "not_found_error";
        case 408:
        case 504:
            return "timeout_error";
        case 413:
            return "request_too_large";
        case 429:
            return "rate_limit_error";
        case 503:
            return kOverloaded;
        default:
            return status < 500 ? kInvalid : "api_error";
    }
}

/// Whether the prompt did not fit, as lanes say it: of no field, or of all messages, and of the
/// context. A model that does not load for its context is something else: no client can help it.
bool is_too_long(const Error& error) {
    const std::string_view path =
        std::string_view(error.message).substr(0, error.message.find(": "));
    const bool of_prompt = path.size() == error.message.size() || path == "messages" ||
                           path.find(' ') != std::string_view::npos;
    return error.fault == Fault::invalid && of_prompt &&
           error.message.find("context") != std::string::npos &&
           error.message.find("cannot be loaded") == std::string::npos;
}

/// The name in "model: there is none called 'NAME' here; …"; "" for other messages.
std::string_view unknown_model(const Error& error) {
    const std::string_view message = error.message;
    const std::size_t begin = message.find('\'');
    if (error.fault != Fault::not_found || !message.starts_with("model: ") ||
        begin == std::string_view::npos) {
        return {};
    }
    const std::string_view rest = message.substr(begin + 1);
    return rest.substr(0, std::min(rest.find('\''), rest.size()));
}

}  // namespace

std::string error_body(const Error& error) {
    if (is_too_long(error)) {
        return body_of(kInvalid, "prompt is too long: " + error.message);
    }
    if (const std::string_view name = unknown_model(error); !name.empty()) {
        return body_of(type_of(error.fault),
                       fmt::format("{}; or give one of them this name, too, in config.toml: "
                                   "[model.\"ID\"] aliases = [\"{}\"]",
                                   error.message, name));
    }
    const bool thread = error.fault == Fault::not_found && error.message.starts_with(kThreadField);
    return body_of(type_of(error.fault), error.message, thread ? "thread_not_found" : "");
}

std::string status_body(unsigned status, std::string_view message) {
    return body_of(type_of(status), message);
}

std::string with_request(std::string body, std::string_view request_id) {
    if (body.ends_with('}')) {
        body.pop_back();
        body += ",\"request_id\":";
        json::append_string(body, request_id);
        body += '}';
    }
    return body;
}

}  // namespace trilane::dialect::anthropic
