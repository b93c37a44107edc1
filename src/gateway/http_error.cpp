#include "gateway/http_error.h"

#include <string>

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

net::Response fault_response(const dialect::ErrorShape& shape, const Error& error) {
    net::Response response;
    response.status = dialect::http_status(error.fault);
    response.body = shape.of_error(error);
    add_retry_after(response, 1);
    return response;
}

}  // namespace trilane::gateway
