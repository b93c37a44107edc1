#include "gateway/desk.h"

#include <utility>

#include "gateway/http_error.h"
#include "gateway/metrics.h"

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
