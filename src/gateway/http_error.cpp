#include "gateway/http_error.h"

#include <algorithm>
#include <string>
#include <utility>

namespace trilane::gateway {
namespace {

void add_retry_after(net::Response& response, std::uint32_t seconds) {
    if (response.status == 429 || response.status == 503) {
        response.headers.push_back({"Retry-After", std::to_string(seconds)});
    }
}

}  // namespace

net::Response http_error(const dialect::ErrorShape& shape, unsigned status,
                         std::string_view message, std::uint32_t retry_after_s) {
    net::Response response;
    response.status = status;
    response.body = shape.of_status(status, message);
    add_retry_after(response, retry_after_s);
    return response;
}

net::Response fault_response(const dialect::ErrorShape& shape, const Error& error,
                             std::uint32_t retry_after_s) {
    net::Response response;
    response.status = dialect::http_status(error.fault);
    response.body = shape.of_error(error);
    add_retry_after(response, retry_after_s);
    return response;
}

unsigned library_status(const Error& error) {
    return error.fault == Fault::exhausted ? kInsufficientStorage
                                           : dialect::http_status(error.fault);
}

void name_request(const dialect::ErrorShape& shape, std::span<const net::Header> headers,
                  net::Response& response) {
    const auto id = std::ranges::find(headers, "x-request-id", &net::Header::name);
    if (response.status >= 400 && shape.with_request != nullptr && id != headers.end()) {
        response.body = shape.with_request(std::move(response.body), id->value);
    }
}

}  // namespace trilane::gateway
