#include "gateway/http_error.h"

#include <fmt/format.h>

#include "dialect/openai/openai.h"
#include "json/json.h"

namespace trilane::gateway {
namespace {

std::string_view code_of(unsigned status) {
    switch (status) {
        case 401:
            return "invalid_api_key";
        case 403:
            return "origin_not_allowed";
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
        default:
            return status < 500 ? "bad_request" : "internal";
    }
}

/// What lets these pass is an answer's end or a client's leaving: soon, and nobody knows when.
void add_retry_after(net::Response& response) {
    if (response.status == 429 || response.status == 503) {
        response.headers.push_back({"Retry-After", "1"});
    }
}

}  // namespace

net::Response http_error(unsigned status, std::string_view message) {
    net::Response response;
    response.status = status;
    response.body =
        fmt::format(R"({{"error":{{"message":{},"type":"{}","param":null,"code":"{}"}}}})",
                    json::dump(json::Value(message)),
                    status < 500 ? "invalid_request_error" : "server_error", code_of(status));
    add_retry_after(response);
    return response;
}

net::Response fault_response(const Error& error) {
    net::Response response;
    response.status = dialect::openai::http_status(error.fault);
    response.body = dialect::openai::error_body(error);
    add_retry_after(response);
    return response;
}

}  // namespace trilane::gateway
