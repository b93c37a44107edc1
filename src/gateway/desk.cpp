#include "gateway/desk.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "dialect/anthropic/anthropic.h"
#include "gateway/anthropic_endpoints.h"
#include "gateway/http_error.h"
#include "gateway/metrics.h"

namespace trilane::gateway {
namespace {

constexpr std::size_t kShownNameBytesMax = 100;  ///< of a name in an error message

}  // namespace

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
    respond(call, fault_response(shape_for(call), error));
}

void Desk::refuse(Call& call, unsigned status, std::string_view message) {
    respond(call, http_error(shape_for(call), status, message));
}

void Desk::refuse_by_library(Call& call, const Error& error) {
    if (const unsigned status = library_status(error); status == kInsufficientStorage) {
        refuse(call, status, error.message);
    } else {
        refuse(call, error);
    }
}

const dialect::ErrorShape& Desk::shape_for(const Call& call) const {
    if (expects_anthropic(call.request, call.endpoint)) {
        return dialect::anthropic::kErrorShape;
    }
    const bool known = call.endpoint != nullptr && call.endpoint->errors != nullptr;
    return known ? *call.endpoint->errors : endpoints().errors_at(call.request.path());
}

std::vector<job::ModelCard> Desk::models_for(const access::Visit& visit) const {
    std::vector<job::ModelCard> models = service().models();
    std::erase_if(models,
                  [&](const job::ModelCard& card) { return !visit.may_use_model(card.id); });
    return models;
}

Result<job::ModelCard> Desk::find_for(const access::Visit& visit, std::string_view name) const {
    auto card = service().find(name);
    if (card || card.error().fault != Fault::not_found) {
        return card;
    }
    // The plane's words list all there is.
    const std::vector<job::ModelCard> all = service().models();
    const bool limited = std::ranges::any_of(
        all, [&](const job::ModelCard& one) { return !visit.may_use_model(one.id); });
    if (!limited) {
        return card;
    }
    return fail(Fault::not_found,
                "model: there is none called '{}' for the API key '{}'; GET /v1/models lists those "
                "it may use",
                utf8_clipped(name, kShownNameBytesMax), visit.name());
}

std::string Desk::not_for_key(const access::Visit& visit, std::string_view name) {
    return fmt::format("the API key '{}' may not use the model '{}'", visit.name(),
                       utf8_clipped(name, kShownNameBytesMax));
}

std::optional<job::ModelCard> Desk::model_for(Call& call, std::string_view name) {
    auto card = find_for(call.visit, name);
    if (!card) {
        refuse(call, card.error());
        return std::nullopt;
    }
    if (!call.visit.may_use_model(card->id)) {
        refuse(call, 403, not_for_key(call.visit, name));
        return std::nullopt;
    }
    return *std::move(card);
}

void Admitted::end(const job::Event& last) {
    using std::chrono::steady_clock;
    record.duration_s = std::chrono::duration<double>(steady_clock::now() - began).count();
    record.status = 200;
    if (const auto* failed = std::get_if<job::Failed>(&last)) {
        record.status = dialect::http_status(failed->error.fault);
        record.error = fault_name(failed->error.fault);
        record.detail = failed->error.message;
    } else if (const auto* done = std::get_if<job::Done>(&last)) {
        record.lane = done->lane;
        record.usage = done->usage;
        record.timings = done->timings;
        metrics->count_tokens(done->usage);
    }
    metrics->request_duration.observe(record.duration_s);
    if (recorder) {
        recorder(record);
    }
}

}  // namespace trilane::gateway
