#include "gateway/http_error.h"

namespace trilane::gateway {
namespace {

/// What lets these pass is an answer's end or a client's leaving: soon, and nobody knows when.
void add_retry_after(net::Response& response) {
    if (response.status == 429 || response.status == 503) {
        response.headers.push_back({"Retry-After", "1"});
    }
}

}  // namespace

net::Response http_error(const dialect::ErrorShape& shape, unsigned status,
                         std::string_view message) {
    net::Response response;
    response.status = status;
    response.body = shape.of_status(status, message);
    add_retry_after(response);
    return response;
}

net::Response fault_response(const dialect::ErrorShape& shape, const Error& error) {
    net::Response response;
    response.status = dialect::http_status(error.fault);
    response.body = shape.of_error(error);
    add_retry_after(response);
    return response;
}

}  // namespace trilane::gateway
