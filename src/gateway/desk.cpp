#include "gateway/desk.h"

#include <utility>

#include "gateway/http_error.h"

namespace trilane::gateway {

void Desk::respond_json(Call& call, std::string body) {
    respond_text(call, std::string(dialect::kJsonType), std::move(body));
}

void Desk::respond_text(Call& call, std::string content_type, std::string body) {
    net::Response response;
    response.content_type = std::move(content_type);
    response.body = std::move(body);
    respond(call, std::move(response));
}

void Desk::refuse(Call& call, const Error& error) {
    respond(call, fault_response(*call.endpoint->errors, error));
}

void Desk::refuse(Call& call, unsigned status, std::string_view message) {
    respond(call, http_error(*call.endpoint->errors, status, message));
}

}  // namespace trilane::gateway
