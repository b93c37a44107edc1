#include "gateway/generation.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "gateway/http_error.h"

namespace trilane::gateway {
namespace {

constexpr unsigned kClientGone = 499;

double seconds_between(std::chrono::steady_clock::time_point from,
                       std::chrono::steady_clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

void add(Record& record, const job::Done& done) {
    record.lane = done.lane;
    record.usage.prompt_tokens += done.usage.prompt_tokens;
    record.usage.cached_tokens += done.usage.cached_tokens;
    record.usage.completion_tokens += done.usage.completion_tokens;
    record.timings = done.timings;
}

}  // namespace

Generation::Generation(GenerationParts parts)
    : parts_(std::move(parts)), service_(parts_.service), writer_(std::move(parts_.asked.writer)) {
    for (const job::Request& request : parts_.asked.jobs) {
        last_text_.emplace_back(request.choices);
    }
}

Generation::~Generation() {
    if (!ended_) {
        parts_.metrics->count(parts_.row, 500);  // the exchange, dropped with this, says so
        write_record(500);
    }
}

void Generation::begin(GenerationParts parts) {
    std::make_shared<Generation>(std::move(parts))->submit();
}

void Generation::submit() {
    parts_.exchange->on_gone([self = weak_from_this(), cancel = cancel_, service = service_] {
        cancel.cancel();
        if (const auto plane = service.lock()) {
            plane->notice_cancel();
        }
        if (const auto generation = self.lock()) {
            generation->on_client_gone();
        }
    });
    std::vector<job::Request> jobs = std::move(parts_.asked.jobs);
    // The plane must not be kept alive by what it itself may be the last to drop.
    const std::shared_ptr<plane::Service> service = std::move(parts_.service);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        service->submit(
            std::move(jobs[i]),
            [self = shared_from_this(), i](const job::Event& event) { self->on_event(i, event); },
            cancel_);
    }
}

void Generation::on_event(std::size_t job_index, const job::Event& event) {
    look_when_to_retry(event);
    const std::scoped_lock lock(mutex_);
    measure(job_index, event);
    if (ended_) {
        return;
    }
    if (parts_.asked.stream) {
        on_stream_event(job_index, event);
    } else {
        on_body_event(job_index, event);
    }
}

/// A model that fails again and again is paused for longer and longer. Asks the plane, so not with
/// the mutex.
void Generation::look_when_to_retry(const job::Event& event) {
    const auto* failed = std::get_if<job::Failed>(&event);
    const auto service = failed == nullptr ? nullptr : service_.lock();
    if (service != nullptr && failed->error.fault == Fault::unavailable) {
        const auto pause = service->next_try_in(parts_.asked.model);
        retry_after_s_ = static_cast<std::uint32_t>(std::max<std::int64_t>(pause.count(), 1));
    }
}

void Generation::on_body_event(std::size_t job_index, const job::Event& event) {
    writer_->on_event(job_index, event);
    if (!writer_->finished()) {
        return;
    }
    if (const Error* error = writer_->error()) {
        respond(fault_response(*parts_.errors, *error, retry_after_s_));
        return;
    }
    net::Response response;
    response.body = writer_->body();
    response.content_type = writer_->content_type();
    respond(std::move(response));
}

void Generation::on_stream_event(std::size_t job_index, const job::Event& event) {
    if (const auto* failed = std::get_if<job::Failed>(&event); failed && !stream_begun_) {
        respond(fault_response(*parts_.errors, failed->error, retry_after_s_));
        return;
    }
    const std::string bytes = writer_->on_event(job_index, event);
    if (!stream_begun_) {
        net::StreamHead head;
        head.content_type = writer_->content_type();
        if (head.content_type.empty()) {
            return;  // known with the first bytes
        }
        stream_begun_ = true;
        head.headers = std::move(parts_.headers);
        head.headers.push_back({"Cache-Control", "no-cache"});
        head.heartbeat = writer_->heartbeat();
        head.heartbeat_interval = parts_.heartbeat_interval;
        parts_.exchange->start_stream(std::move(head));
    }
    if (!bytes.empty() && !parts_.exchange->send(bytes)) {
        end(kClientGone);
        return;
    }
    if (writer_->finished()) {
        end(200);
        // Bytes of a sound have no words for a failure: their stream breaks off instead.
        if (writer_->error() == nullptr || !writer_->heartbeat().empty()) {
            parts_.exchange->finish();
        } else {
            parts_.exchange.reset();
        }
    }
}

void Generation::measure(std::size_t job_index, const job::Event& event) {
    Metrics& metrics = *parts_.metrics;
    if (const auto* text = std::get_if<job::Text>(&event)) {
        std::vector<Time>& last = last_text_[job_index];
        if (text->choice >= last.size()) {
            return;
        }
        const Time now = std::chrono::steady_clock::now();
        Time& previous = last[text->choice];
        if (previous != Time()) {
            metrics.inter_token.observe(seconds_between(previous, now));
        } else if (text->choice == 0) {
            const double first_s = seconds_between(parts_.began, now);
            metrics.time_to_first_token.observe(first_s);
            parts_.record.first_text_s = first_s;
        }
        previous = now;
    } else if (const auto* done = std::get_if<job::Done>(&event)) {
        constexpr double kSecondsPerMs = 1e-3;
        metrics.count_tokens(done->usage);
        add(parts_.record, *done);
        metrics.queue_wait.observe(done->timings.queue_ms * kSecondsPerMs);
    } else if (const auto* failed = std::get_if<job::Failed>(&event)) {
        parts_.record.error = fault_name(failed->error.fault);
        parts_.record.detail = failed->error.message;
    } else if (const auto* started = std::get_if<job::Started>(&event)) {
        parts_.record.lane = started->lane;
    }
}

void Generation::on_client_gone() {
    const std::scoped_lock lock(mutex_);
    end(kClientGone);
}

void Generation::respond(net::Response response) {
    name_request(*parts_.errors, parts_.headers, response);
    std::ranges::move(parts_.headers, std::back_inserter(response.headers));
    end(response.status);
    parts_.exchange->respond(std::move(response));
}

/// Called before the last bytes leave, so that who has them also finds them counted. Whatever other
/// jobs of the request still do is for nobody.
void Generation::end(unsigned status) {
    if (std::exchange(ended_, true)) {
        return;
    }
    cancel_.cancel();
    parts_.metrics->count(parts_.row, status);
    const double duration_s = seconds_between(parts_.began, std::chrono::steady_clock::now());
    parts_.metrics->request_duration.observe(duration_s);
    parts_.record.duration_s = duration_s;
    write_record(status);
    parts_.visit = {};
}

void Generation::write_record(unsigned status) {
    if (parts_.recorder) {
        parts_.record.status = status;
        parts_.recorder(parts_.record);
    }
}

}  // namespace trilane::gateway
