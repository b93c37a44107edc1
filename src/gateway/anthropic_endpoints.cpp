// Anthropic's rows of the endpoint table.
#include "gateway/anthropic_endpoints.h"

#include <array>
#include <charconv>

#include "dialect/anthropic/anthropic.h"
#include "gateway/query.h"

namespace trilane::gateway {
namespace {

namespace anthropic = dialect::anthropic;

constexpr std::string_view kAnthropicTag = "Anthropic";

constexpr std::array kAnthropicRows = std::to_array<Endpoint>({
    {"POST",
     "/v1/messages",
     Guard::key,
     &anthropic::kErrorShape,
     answer_with<anthropic::ask>,
     {kAnthropicTag, "The next message of a conversation", "CreateMessageParams",
      "AnthropicMessage", dialect::kEventStreamType}},
    {"POST",
     "/v1/messages/count_tokens",
     Guard::key,
     &anthropic::kErrorShape,
     answer_with<anthropic::ask_count>,
     {kAnthropicTag, "How many tokens a conversation is", "CountMessageTokensParams",
      "CountMessageTokensResponse", ""}},
});

Result<anthropic::Page> page_of(const net::Request& request) {
    anthropic::Page page;
    page.after_id = query_text(request.target, "after_id");
    page.before_id = query_text(request.target, "before_id");
    const std::string limit = query_text(request.target, "limit");
    if (limit.empty()) {
        return page;
    }
    const char* const end = limit.data() + limit.size();
    const auto [stop, ec] = std::from_chars(limit.data(), end, page.limit);
    if (ec != std::errc() || stop != end || page.limit == 0 || page.limit > anthropic::kPageMax) {
        return fail(Fault::invalid, "limit: send a number from 1 to {}", anthropic::kPageMax);
    }
    return page;
}

}  // namespace

std::span<const Endpoint> anthropic_endpoints() {
    return kAnthropicRows;
}

bool expects_anthropic(const net::Request& request, const Endpoint* endpoint) {
    const bool shared =
        endpoint == nullptr || endpoint->path == "/v1/models" || endpoint->path == "/v1/models/";
    if (!shared) {
        return endpoint->errors == &anthropic::kErrorShape;
    }
    return request.header("anthropic-version") != nullptr ||
           (request.header("x-api-key") != nullptr && request.header("Authorization") == nullptr);
}

void list_models_as_anthropic(Desk& desk, Call& call) {
    const auto page = page_of(call.request);
    if (!page) {
        desk.refuse(call, page.error());
        return;
    }
    auto body = anthropic::models_body(desk.models_for(call.visit), *page);
    if (!body) {
        desk.refuse(call, body.error());
        return;
    }
    desk.respond_json(call, *std::move(body));
}

void show_model_as_anthropic(Desk& desk, Call& call) {
    if (const auto found = desk.model_for(call, call.tail)) {
        desk.respond_json(call, anthropic::model_body(*found));
    }
}

}  // namespace trilane::gateway
