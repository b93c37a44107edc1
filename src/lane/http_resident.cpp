#include "lane/http_resident.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "json/json.h"
#include "lane/card.h"
#include "lane/http_course.h"
#include "lane/http_pages.h"
#include "lane/upstream/sanity.h"
#include "lane/upstream/server_error.h"
#include "lane/upstream/status.h"
#include "net/ticker.h"

namespace trilane::lane {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How often what runs is looked after; a cancel that nobody tells us of is noticed so late.
constexpr milliseconds kTick{20};
/// A gap between two ticks says nothing of the server beyond this: we may have been stopped.
constexpr milliseconds kTickGapMax{250};
/// A server that still works on a request that was broken off is waited for no longer.
constexpr milliseconds kLingerMax{10'000};
constexpr milliseconds kLingerPollTimeout{1'000};
/// Calls beside those that hold slots: health and the like.
constexpr std::size_t kSideCallsMax = 4;
constexpr std::size_t kSideBodyBytesMax = std::size_t{1} << 20U;
constexpr std::size_t kListBytesMax = std::size_t{16} << 20U;
constexpr std::size_t kModelsMax = 10'000;
/// So that we, who know why, give up before the client does.
constexpr milliseconds kClientSlack{2'000};

constexpr unsigned kUnauthorized = 401;
constexpr unsigned kForbidden = 403;

/// Where a base path's own version ("…/v1") begins; its end when it has none.
std::size_t version_at(const std::string& base) {
    const std::size_t slash = base.rfind('/');
    const bool versioned = slash != std::string::npos && slash + 2 < base.size() &&
                           base[slash + 1] == 'v' && base[slash + 2] >= '0' &&
                           base[slash + 2] <= '9';
    return versioned ? slash : base.size();
}

/// What stands before "/chat/completions" when the base path has lost its version.
std::string api_prefix(const std::string& base) {
    const std::size_t at = version_at(base);
    return at == base.size() ? "/v1" : base.substr(at);
}

/// Where the server's own pages are, which have no version.
net::Target without_version(net::Target target) {
    target.base_path.resize(version_at(target.base_path));
    return target;
}

std::vector<net::Header> key_headers(const std::string& api_key) {
    std::vector<net::Header> headers;
    if (!api_key.empty()) {
        headers.push_back({"Authorization", "Bearer " + api_key});
    }
    return headers;
}

net::ClientLimits client_limits(const HttpResidentOptions& options) {
    net::ClientLimits limits;
    limits.connections_max = options.slots + kSideCallsMax;
    limits.waiting_max = kHttpWaitingMax;
    limits.head_timeout = options.silence_timeout + kClientSlack;
    limits.silence_timeout = options.silence_timeout + kClientSlack;
    return limits;
}

/// Collects a small answer whole.
class WholeListener final : public net::AnswerListener {
public:
    using Then = std::function<void(Result<net::WholeAnswer>)>;
    explicit WholeListener(Then then, std::size_t body_bytes_max = kSideBodyBytesMax)
        : then_(std::move(then)), body_bytes_max_(body_bytes_max) {}

    void on_head(net::AnswerHead head) override { answer_.head = std::move(head); }
    void on_body(std::string_view bytes) override {
        answer_.body += bytes.substr(0, body_bytes_max_ - answer_.body.size());
    }
    void on_end(const Status& status) override {
        if (status) {
            then_(std::move(answer_));
        } else {
            then_(tl::unexpected(status.error()));
        }
    }

private:
    const Then then_;
    const std::size_t body_bytes_max_;
    net::WholeAnswer answer_;
};

/// A value that one thread waits for and another brings.
template <class T>
class Awaited {
public:
    void bring(T value) {
        const std::scoped_lock lock(mutex_);
        value_ = std::move(value);
        there_.notify_all();
    }
    /// Nothing when the time is over or the wait was cancelled, which is noticed with a tick.
    std::optional<T> wait(milliseconds timeout, const CancelToken& cancel = {}) {
        const auto until = Clock::now() + timeout;
        std::unique_lock lock(mutex_);
        while (!value_ && !cancel.cancelled() && Clock::now() < until) {
            there_.wait_until(lock, std::min(until, Clock::now() + kTick));
        }
        return value_;
    }

private:
    std::mutex mutex_;
    std::condition_variable there_;
    std::optional<T> value_;
};

}  // namespace

class HttpResident::State final : public CourseHome, public std::enable_shared_from_this<State> {
public:
    State(net::Loops& loops, HttpResidentOptions options)
        : options_(std::move(options)),
          upstream_{options_.upstream_model, options_.api_key, options_.card.context_tokens,
                    options_.rules, options_.voices},
          prefix_(api_prefix(options_.target.base_path)),
          client_(std::make_unique<net::Client>(loops, without_version(options_.target),
                                                client_limits(options_))) {}

    /// Behind the constructor, for the ticker must not keep what owns it.
    void attach(net::Loops& loops) {
        ticker_ = std::make_shared<net::Ticker>(loops, kTick, [weak = weak_from_this()] {
            const auto self = weak.lock();
            return self != nullptr && self->tick();
        });
    }

    [[nodiscard]] const HttpResidentOptions& options() const { return options_; }
    [[nodiscard]] const upstream::Upstream& upstream() const override { return upstream_; }

    void submit(Course::Job job);
    void look_after_all(Clock::time_point now);
    ResidentSnapshot snapshot() const;
    void stop(milliseconds patience);
    void give_up(const Error& error);
    Status check_health(milliseconds timeout, const CancelToken& cancel);
    Status check_sanity(milliseconds timeout, const CancelToken& given_up);

    std::shared_ptr<net::Call> send(upstream::Outgoing asked,
                                    std::shared_ptr<net::AnswerListener> listener) override;
    void heard(bool progress) override;
    void answered(const Course& course, const job::Event& last) override;
    void gone(const std::shared_ptr<Course>& course, bool broken_off, bool asks_again) override;

private:
    using Courses = std::vector<std::shared_ptr<Course>>;

    [[nodiscard]] std::string health_path() const;
    std::shared_ptr<net::Call> call(net::Outgoing request,
                                    std::shared_ptr<net::AnswerListener> listener);
    std::shared_ptr<net::Call> side_call(std::string path, milliseconds timeout,
                                         WholeListener::Then then);
    [[nodiscard]] bool has_room() const { return courses_.size() + lingering_ < options_.slots; }
    [[nodiscard]] Courses take_ready();
    [[nodiscard]] Courses take_ready_locking();
    [[nodiscard]] bool is_idle() const {
        return courses_.empty() && waiting_.empty() && inside_ == 0;
    }
    void leave();
    void fail_all(const Error& error);
    bool tick();
    void watch(Clock::time_point now, bool busy);
    void ask_health(Clock::time_point now);
    void lose(const Error& error);
    void ask_at_work();
    void note_at_work(const Result<net::WholeAnswer>& answer);

    const HttpResidentOptions options_;
    const upstream::Upstream upstream_;
    const std::string prefix_;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::unique_ptr<net::Client> client_;  // until stop() is done
    std::shared_ptr<net::Ticker> ticker_;
    Courses courses_;                              // with the server
    std::deque<std::shared_ptr<Course>> waiting_;  // for one of those to end
    std::size_t inside_ = 0;       // threads that need client_, or are telling of a loss
    std::optional<Error> closed_;  // why nothing is accepted any more
    std::size_t lingering_ = 0;    // broken off, and perhaps still at work in the server
    Clock::time_point lingering_since_;
    bool asks_at_work_ = false;

    // Of the watch. Signs of life come from any thread; the rest is the ticks' own.
    std::atomic<bool> life_ = false;
    std::atomic<bool> progress_ = false;
    std::atomic<bool> health_failed_ = false;
    std::atomic<bool> asks_health_ = false;
    Clock::time_point last_tick_;
    Clock::time_point last_health_;
    Clock::duration lifeless_{0};  // busy without a sign of life for so long, by now
    Clock::duration silent_{0};    // busy without a piece of an answer for so long

    std::atomic<std::uint64_t> requests_ = 0;
    std::atomic<std::uint64_t> prompt_tokens_ = 0;
    std::atomic<std::uint64_t> cached_tokens_ = 0;
    std::atomic<std::uint64_t> predicted_tokens_ = 0;
    std::atomic<std::uint64_t> cancelled_ = 0;
    std::atomic<std::uint64_t> failed_ = 0;
};

void HttpResident::State::submit(Course::Job job) {
    if (job.counted) {
        requests_.fetch_add(1, std::memory_order_relaxed);
    }
    const auto course = std::make_shared<Course>(shared_from_this(), std::move(job));
    if (auto reason = course->reason_to_end(Clock::now())) {
        course->refuse(*std::move(reason));
        return;
    }
    if (Status able = check_able(options_.card, course->request()); !able) {
        course->refuse(std::move(able).error());
        return;
    }
    std::optional<Error> refusal;
    std::shared_ptr<net::Ticker> ticker;
    bool begins = false;
    {
        const std::scoped_lock lock(mutex_);
        if (closed_) {
            refusal = closed_;
        } else if (waiting_.empty() && has_room()) {
            courses_.push_back(course);
            begins = true;
        } else if (waiting_.size() < kHttpWaitingMax) {
            waiting_.push_back(course);
        } else {
            refusal = {Fault::exhausted,
                       fmt::format("{} requests wait for this model already; try again later",
                                   kHttpWaitingMax)};
        }
        ticker = refusal ? nullptr : ticker_;
    }
    if (refusal) {
        course->refuse(*std::move(refusal));
        return;
    }
    ticker->wake();
    if (begins) {
        course->begin();
    }
}

/// Those that may begin now. Under the lock.
HttpResident::State::Courses HttpResident::State::take_ready() {
    Courses ready;
    while (!waiting_.empty() && has_room()) {
        ready.push_back(waiting_.front());
        courses_.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
    return ready;
}

HttpResident::State::Courses HttpResident::State::take_ready_locking() {
    const std::scoped_lock lock(mutex_);
    return take_ready();
}

std::shared_ptr<net::Call> HttpResident::State::call(
    net::Outgoing request, std::shared_ptr<net::AnswerListener> listener) {
    net::Client* client = nullptr;
    {
        const std::scoped_lock lock(mutex_);
        client = client_.get();
        if (client == nullptr) {
            return nullptr;
        }
        ++inside_;
    }
    auto made = client->send(std::move(request), std::move(listener));
    leave();
    return made;
}

void HttpResident::State::leave() {
    const std::scoped_lock lock(mutex_);
    if (--inside_ == 0) {
        changed_.notify_all();
    }
}

std::shared_ptr<net::Call> HttpResident::State::send(
    upstream::Outgoing asked, std::shared_ptr<net::AnswerListener> listener) {
    net::Outgoing request;
    request.method = "POST";
    request.target = asked.at_root ? std::string() : prefix_;
    request.target += asked.path;
    request.headers = key_headers(options_.api_key);
    request.headers.push_back({"Content-Type", std::move(asked.content_type)});
    request.body = std::move(asked.body);
    auto made = call(std::move(request), listener);
    if (made == nullptr) {
        // Not while a course is with us; but a listener must hear its end.
        listener->on_end(fail(Fault::unavailable, "the model has been unloaded; try again"));
    }
    return made;
}

/// Null when the resident has stopped; `then` is not called in that case.
std::shared_ptr<net::Call> HttpResident::State::side_call(std::string path, milliseconds timeout,
                                                          WholeListener::Then then) {
    net::Outgoing request;
    request.target = std::move(path);
    request.headers = key_headers(options_.api_key);
    request.head_timeout = timeout;
    request.silence_timeout = timeout;
    return call(std::move(request), std::make_shared<WholeListener>(std::move(then)));
}

void HttpResident::State::heard(bool progress) {
    // Read first: many threads, and mostly nothing to change.
    if (!life_.load(std::memory_order_relaxed)) {
        life_.store(true, std::memory_order_relaxed);
    }
    if (progress && !progress_.load(std::memory_order_relaxed)) {
        progress_.store(true, std::memory_order_relaxed);
    }
}

void HttpResident::State::answered(const Course& course, const job::Event& last) {
    if (!course.counted()) {
        return;
    }
    if (const auto* done = std::get_if<job::Done>(&last)) {
        prompt_tokens_.fetch_add(done->usage.prompt_tokens, std::memory_order_relaxed);
        cached_tokens_.fetch_add(done->usage.cached_tokens, std::memory_order_relaxed);
        predicted_tokens_.fetch_add(done->usage.completion_tokens, std::memory_order_relaxed);
    } else if (std::get<job::Failed>(last).error.fault == Fault::cancelled) {
        cancelled_.fetch_add(1, std::memory_order_relaxed);
    } else {
        failed_.fetch_add(1, std::memory_order_relaxed);
    }
}

void HttpResident::State::gone(const std::shared_ptr<Course>& course, bool broken_off,
                               bool asks_again) {
    Courses ready;
    bool lingers = false;
    std::optional<Error> refusal;
    {
        const std::scoped_lock lock(mutex_);
        std::erase(courses_, course);
        lingers = broken_off && options_.rules.cancel_may_linger && !closed_;
        if (lingers) {
            ++lingering_;
            lingering_since_ = Clock::now();
        }
        if (asks_again && closed_) {
            refusal = closed_;
        } else if (asks_again) {
            waiting_.push_front(course);
        }
        ready = take_ready();
        if (is_idle()) {
            changed_.notify_all();
        }
    }
    if (refusal) {
        course->refuse(*std::move(refusal));
    }
    if (lingers) {
        ask_at_work();
    }
    for (const auto& next : ready) {
        next->begin();
    }
}

void HttpResident::State::look_after_all(Clock::time_point now) {
    Courses running;
    std::vector<std::pair<std::shared_ptr<Course>, Error>> leaving;
    {
        const std::scoped_lock lock(mutex_);
        running = courses_;
        std::erase_if(waiting_, [&](const std::shared_ptr<Course>& course) {
            auto reason = course->reason_to_end(now);
            if (!reason) {
                return false;
            }
            leaving.emplace_back(course, *std::move(reason));
            return true;
        });
    }
    for (const auto& course : running) {
        course->look_after(now);
    }
    for (auto& [course, error] : leaving) {
        course->refuse(std::move(error));
    }
    if (!leaving.empty()) {
        const std::scoped_lock lock(mutex_);
        changed_.notify_all();
    }
}

/// Whether there is anything to look after.
bool HttpResident::State::tick() {
    const auto now = Clock::now();
    look_after_all(now);
    bool busy = false;
    bool waits = false;
    bool lingers = false;
    {
        const std::scoped_lock lock(mutex_);
        if (lingering_ > 0 && now - lingering_since_ >= kLingerMax) {
            lingering_ = 0;
        }
        busy = !courses_.empty();
        waits = !waiting_.empty();
        lingers = lingering_ > 0;
    }
    if (lingers) {
        ask_at_work();
    }
    for (const auto& next : take_ready_locking()) {
        next->begin();
    }
    watch(now, busy);
    return busy || waits || lingers;
}

void HttpResident::State::ask_at_work() {
    {
        const std::scoped_lock lock(mutex_);
        if (std::exchange(asks_at_work_, true)) {
            return;
        }
    }
    const auto made = side_call(options_.rules.health_at_tags ? "/api/npu/status" : "/slots",
                                kLingerPollTimeout, [weak = weak_from_this()](const auto& answer) {
                                    if (const auto self = weak.lock()) {
                                        self->note_at_work(answer);
                                    }
                                });
    if (made == nullptr) {
        const std::scoped_lock lock(mutex_);
        asks_at_work_ = false;
    }
}

void HttpResident::State::note_at_work(const Result<net::WholeAnswer>& answer) {
    // A server that does not tell is not waited for; one that is too slow to tell is asked again.
    const bool slow = !answer && answer.error().fault == Fault::timeout;
    const std::size_t at_work = answer ? requests_at_work(*answer).value_or(0) : 0;
    Courses ready;
    {
        const std::scoped_lock lock(mutex_);
        asks_at_work_ = false;
        if (!slow) {
            const std::size_t ours = courses_.size();
            lingering_ = std::min(lingering_, at_work > ours ? at_work - ours : 0);
        }
        ready = take_ready();
    }
    for (const auto& next : ready) {
        next->begin();
    }
}

/// Busy time without a sign of life adds up over requests: a server that hangs makes clients leave
/// and others come.
void HttpResident::State::watch(Clock::time_point now, bool busy) {
    if (!busy) {
        last_tick_ = {};
        return;
    }
    const Clock::duration gap = last_tick_ == Clock::time_point()
                                    ? Clock::duration(0)
                                    : std::min<Clock::duration>(now - last_tick_, kTickGapMax);
    last_tick_ = now;
    lifeless_ += gap;
    silent_ += gap;
    if (life_.exchange(false)) {
        lifeless_ = Clock::duration(0);
        health_failed_ = false;
    }
    if (progress_.exchange(false)) {
        silent_ = Clock::duration(0);
    }
    using Seconds = std::chrono::duration<double>;
    if (silent_ >= options_.silence_timeout) {
        lose({Fault::unavailable,
              fmt::format("the model's server has sent no piece of an answer for {:.0f} s and is "
                          "given up; try again",
                          Seconds(silent_).count())});
    } else if (lifeless_ >= options_.hang_timeout && health_failed_) {
        lose({Fault::unavailable,
              fmt::format("the model's server has shown no sign of life for {:.0f} s and is given "
                          "up; try again",
                          Seconds(lifeless_).count())});
    } else if (lifeless_ >= options_.health_interval &&
               now - last_health_ >= options_.health_interval) {
        ask_health(now);
    }
}

void HttpResident::State::ask_health(Clock::time_point now) {
    if (asks_health_.exchange(true)) {
        return;
    }
    last_health_ = now;
    const auto made = side_call(health_path(), options_.health_timeout,
                                [weak = weak_from_this()](const auto& answer) {
                                    const auto self = weak.lock();
                                    if (self == nullptr) {
                                        return;
                                    }
                                    // Any answer at all is a sign of life.
                                    if (answer) {
                                        self->life_ = true;
                                    } else {
                                        self->health_failed_ = true;
                                    }
                                    self->asks_health_ = false;
                                });
    if (made == nullptr) {
        asks_health_ = false;
    }
}

void HttpResident::State::lose(const Error& error) {
    {
        const std::scoped_lock lock(mutex_);
        if (closed_) {
            return;
        }
        closed_ = error;
        ++inside_;
    }
    fail_all(error);
    if (options_.on_lost) {
        options_.on_lost(error);
    }
    leave();
}

void HttpResident::State::give_up(const Error& error) {
    {
        const std::scoped_lock lock(mutex_);
        closed_ = closed_.value_or(error);
    }
    fail_all(error);
}

/// Nothing new is accepted by now.
void HttpResident::State::fail_all(const Error& error) {
    Courses running;
    std::deque<std::shared_ptr<Course>> waiting;
    {
        const std::scoped_lock lock(mutex_);
        running = courses_;
        waiting.swap(waiting_);
    }
    for (const auto& course : running) {
        course->end_early(error);
    }
    for (const auto& course : waiting) {
        course->refuse(error);
    }
    const std::scoped_lock lock(mutex_);
    changed_.notify_all();
}

ResidentSnapshot HttpResident::State::snapshot() const {
    ResidentSnapshot snapshot;
    snapshot.slots = options_.slots;
    {
        const std::scoped_lock lock(mutex_);
        snapshot.slots_busy = static_cast<std::uint32_t>(
            std::ranges::count_if(courses_, [](const auto& c) { return !c->has_answered(); }));
        snapshot.queued = static_cast<std::uint32_t>(waiting_.size());
    }
    snapshot.requests_total = requests_.load(std::memory_order_relaxed);
    snapshot.prompt_tokens_total = prompt_tokens_.load(std::memory_order_relaxed);
    snapshot.cached_tokens_total = cached_tokens_.load(std::memory_order_relaxed);
    snapshot.predicted_tokens_total = predicted_tokens_.load(std::memory_order_relaxed);
    snapshot.cancelled_total = cancelled_.load(std::memory_order_relaxed);
    snapshot.failed_total = failed_.load(std::memory_order_relaxed);
    return snapshot;
}

void HttpResident::State::stop(milliseconds patience) {
    {
        std::unique_lock lock(mutex_);
        if (!closed_) {
            closed_ = {Fault::unavailable, "the model is being unloaded; try again"};
        }
        changed_.wait_for(lock, patience, [this] { return is_idle(); });
    }
    fail_all(
        {Fault::unavailable, "the model was unloaded before the answer was complete; try again"});
    std::unique_ptr<net::Client> client;
    std::shared_ptr<net::Ticker> ticker;
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return is_idle(); });
        client = std::move(client_);
        ticker = std::move(ticker_);
    }
}

std::string HttpResident::State::health_path() const {
    if (options_.rules.no_health) {
        return prefix_ + "/models";
    }
    return options_.rules.health_at_tags ? "/api/tags" : "/health";
}

Status HttpResident::State::check_health(milliseconds timeout, const CancelToken& cancel) {
    const auto answer = std::make_shared<Awaited<Result<net::WholeAnswer>>>();
    const auto made = side_call(health_path(), timeout,
                                [answer](auto whole) { answer->bring(std::move(whole)); });
    if (made == nullptr) {
        return fail(Fault::unavailable, "the model has been unloaded");
    }
    const auto whole = answer->wait(timeout, cancel);
    if (!whole) {
        made->cancel();
        if (cancel.cancelled()) {
            return fail(Fault::cancelled, "the health check was cancelled");
        }
        return fail(Fault::timeout, "the model's server did not answer a health check within {} ms",
                    timeout.count());
    }
    return judge_health(*whole, upstream_);
}

Status HttpResident::State::check_sanity(milliseconds timeout, const CancelToken& given_up) {
    Course::Job job;
    job.request.id = "sanity";
    job.request.model = options_.card.id;
    job::Message question;
    question.content = upstream::kSanityPrompt;
    job::Chat chat;
    chat.messages.push_back(std::move(question));
    job.request.ask = std::move(chat);
    job.request.sampling.temperature = 0;
    job.request.max_tokens = upstream::kSanityTokens;
    job.counted = false;
    const auto verdict = std::make_shared<Awaited<Status>>();
    job.sink = [verdict, text = std::make_shared<std::string>()](const job::Event& event) {
        if (const auto* piece = std::get_if<job::Text>(&event)) {
            *text += piece->text;
        } else if (const auto* failed = std::get_if<job::Failed>(&event)) {
            verdict->bring(tl::unexpected(failed->error));
        } else if (std::holds_alternative<job::Done>(event)) {
            verdict->bring(upstream::judge_sanity(*text));
        }
    };
    const CancelToken cancel = job.cancel;
    submit(std::move(job));
    if (auto status = verdict->wait(timeout, given_up)) {
        return *status;
    }
    cancel.cancel();
    look_after_all(Clock::now());
    if (given_up.cancelled()) {
        return fail(Fault::cancelled, "the test question was cancelled");
    }
    return fail(Fault::timeout, "the model did not answer a test question within {} ms",
                timeout.count());
}

HttpResident::HttpResident(net::Loops& loops, HttpResidentOptions options) {
    options.slots = std::max(options.slots, 1U);
    state_ = std::make_shared<State>(loops, std::move(options));
    state_->attach(loops);
}

HttpResident::~HttpResident() {
    state_->stop(milliseconds(0));
}

const job::ModelCard& HttpResident::card() const {
    return state_->options().card;
}

std::uint32_t HttpResident::slots() const {
    return state_->options().slots;
}

void HttpResident::submit(job::Request request, job::EventSink sink, CancelToken cancel) {
    state_->submit({std::move(request), std::move(sink), std::move(cancel)});
}

void HttpResident::notice_cancel() {
    state_->look_after_all(Clock::now());
}

ResidentSnapshot HttpResident::snapshot() const {
    return state_->snapshot();
}

void HttpResident::stop(std::uint32_t patience_ms) {
    state_->stop(milliseconds(patience_ms));
}

void HttpResident::give_up(const Error& error) {
    state_->give_up(error);
}

Status HttpResident::check_health(milliseconds timeout, const CancelToken& cancel) {
    return state_->check_health(timeout, cancel);
}

Status HttpResident::check_sanity(milliseconds timeout, const CancelToken& cancel) {
    return state_->check_sanity(timeout, cancel);
}

Result<std::vector<std::string>> list_upstream_models(net::Client& client,
                                                      const std::string& api_key,
                                                      milliseconds timeout,
                                                      const CancelToken& cancel) {
    const upstream::Upstream server{"", api_key, 0, {}};
    net::Outgoing request;
    const std::string& base = client.target().base_path;
    request.target = (version_at(base) == base.size() ? "/v1" : "") + std::string("/models");
    request.headers = key_headers(api_key);
    request.head_timeout = timeout;
    request.silence_timeout = timeout;
    const auto awaited = std::make_shared<Awaited<Result<net::WholeAnswer>>>();
    const auto made = client.send(
        std::move(request),
        std::make_shared<WholeListener>([awaited](auto whole) { awaited->bring(std::move(whole)); },
                                        kListBytesMax));
    const auto came = awaited->wait(timeout, cancel);
    if (!came) {
        made->cancel();
        if (cancel.cancelled()) {
            return fail(Fault::cancelled, "the list of models was not waited for");
        }
        return fail(Fault::timeout, "{} did not list its models within {} ms",
                    client.target().text(), timeout.count());
    }
    TRILANE_TRY(const net::WholeAnswer answer, *came);
    const unsigned status = answer.head.status;
    if (status == kUnauthorized || status == kForbidden) {
        return fail(Fault::invalid, "{} refused the key; set the lane's api_key",
                    client.target().text());
    }
    if (status != upstream::kStatusOk) {
        return tl::unexpected(upstream::error_of_status(status, answer.body, server));
    }
    const auto body = json::parse(answer.body);
    const auto not_a_list = [&] {
        return fail(Fault::corrupt, "{} lists its models as what is no list: {}",
                    client.target().text(), upstream::quoted(answer.body, server));
    };
    if (!body || !body->is_object() || !body->contains("data") || !(*body)["data"].is_array()) {
        return not_a_list();
    }
    std::vector<std::string> models;
    for (const json::Value& model : (*body)["data"]) {
        if (!model.is_object() || !model.contains("id") || !model["id"].is_string()) {
            return not_a_list();
        }
        if (models.size() < kModelsMax) {
            models.push_back(model["id"].get<std::string>());
        }
    }
    return models;
}

}  // namespace trilane::lane
