#include "lane/http_pages.h"

#include <algorithm>

#include "json/json.h"
#include "lane/upstream/server_error.h"
#include "lane/upstream/status.h"

namespace trilane::lane {
namespace {

constexpr unsigned kUnavailable = 503;

}  // namespace

Status judge_health(const Result<net::WholeAnswer>& answer, const upstream::Upstream& server) {
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    if (answer->head.status == upstream::kStatusOk) {
        return {};
    }
    if (answer->head.status == kUnavailable) {
        return fail(Fault::exhausted, "the model's server is still loading");
    }
    return tl::unexpected(upstream::error_of_status(answer->head.status, answer->body, server));
}

std::optional<std::size_t> requests_at_work(const net::WholeAnswer& answer) {
    const auto body = json::parse(answer.body);
    if (answer.head.status != upstream::kStatusOk || !body) {
        return std::nullopt;
    }
    if (body->is_object()) {
        const auto active = body->find("active_requests");
        if (active == body->end() || !active->is_number_unsigned()) {
            return std::nullopt;
        }
        return active->get<std::size_t>();
    }
    if (!body->is_array()) {
        return std::nullopt;
    }
    return static_cast<std::size_t>(std::ranges::count_if(*body, [](const json::Value& slot) {
        return slot.is_object() && slot.contains("is_processing") && slot["is_processing"] == true;
    }));
}

}  // namespace trilane::lane
