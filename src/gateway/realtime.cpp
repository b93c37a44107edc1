#include "gateway/realtime.h"

#include <mutex>
#include <utility>

#include "dialect/openai/realtime.h"
#include "gateway/query.h"
#include "gateway/socket_opening.h"
#include "sound/sound.h"

namespace trilane::gateway {
namespace {

namespace openai = dialect::openai;

/// What every server of this API has.
constexpr std::string_view kUsualModel = "whisper-1";

/// One client. Lives as long as its socket or the lane that works for it. **Threads:** any.
class RealtimeSocket final : public net::WebSocketListener,
                             public std::enable_shared_from_this<RealtimeSocket> {
public:
    RealtimeSocket(Desk& desk, openai::RealtimeOpening opening, std::string key,
                   SocketSeats::Seat seat)
        : desk_(desk),
          id_(opening.id_suffix),
          key_(std::move(key)),
          seat_(std::move(seat)),
          session_(std::move(opening)) {}

    void on_open(std::shared_ptr<net::WebSocketWriter> writer) override {
        const std::scoped_lock lock(mutex_);
        writer_ = std::move(writer);
        send(session_.opened());
    }

    void on_message(std::string_view message, bool text) override {
        {
            const std::scoped_lock lock(mutex_);
            send(text ? session_.on_event(message) : session_.on_binary());
        }
        start_turns();
    }

    void on_close() override {
        std::shared_ptr<plane::Service> service;
        {
            const std::scoped_lock lock(mutex_);
            closed_ = true;
            seat_.reset();
            if (!running_) {
                return;
            }
            running_->cancel.cancel();
            service = running_->admitted.service;
        }
        service->notice_cancel();
    }

private:
    /// A turn at a lane.
    struct Running {
        openai::RealtimeTurn turn;
        Admitted admitted;
        CancelToken cancel;
        std::uint64_t number = 0;
    };

    /// A lane that drops a sink without a last event has failed.
    class Sink {
    public:
        Sink(std::shared_ptr<RealtimeSocket> socket, std::uint64_t number)
            : socket_(std::move(socket)), number_(number) {}
        ~Sink() {
            socket_->on_answer(
                number_,
                job::Failed{{Fault::internal, "the lane ended without an answer; try again"}});
        }
        Sink(const Sink&) = delete;
        Sink& operator=(const Sink&) = delete;
        void operator()(const job::Event& event) { socket_->on_answer(number_, event); }

    private:
        const std::shared_ptr<RealtimeSocket> socket_;
        const std::uint64_t number_;
    };

    void send(const openai::RealtimeSession::Events& events) {
        for (const std::string& event : events) {
            writer_->send(event);
        }
    }

    /// Gives the next turn to a lane, unless one is there.
    void start_turns() {
        for (;;) {
            job::Request job;
            std::shared_ptr<plane::Service> service;
            CancelToken cancel;
            std::uint64_t number = 0;
            {
                const std::scoped_lock lock(mutex_);
                if (closed_ || running_) {
                    return;
                }
                auto turn = session_.next_turn();
                if (!turn) {
                    return;
                }
                number = ++turn_count_;
                job = job_of(*turn);
                auto admitted = desk_.admit(key_, job);
                if (!admitted) {
                    send(session_.on_answer(*turn, job::Failed{admitted.error()}));
                    continue;
                }
                service = admitted->service;
                running_ = std::make_unique<Running>(
                    Running{*std::move(turn), *std::move(admitted), cancel, number});
            }
            const auto sink = std::make_shared<Sink>(shared_from_this(), number);
            service->submit(
                std::move(job), [sink](const job::Event& event) { (*sink)(event); }, cancel);
            return;  // its end goes on with the next one
        }
    }

    job::Request job_of(openai::RealtimeTurn& turn) const {
        job::Transcribe ask;
        ask.sound.kind = job::Media::Kind::audio;
        ask.sound.type = "audio/wav";
        ask.sound.bytes = sound::wav_of({turn.rate, std::exchange(turn.samples, {})});
        ask.file_name = "turn.wav";
        ask.language = turn.language;
        ask.prompt = turn.prompt;
        job::Request job;
        job.id = "audio-" + id_ + "-" + turn.item_id;
        job.model = turn.model.empty() ? std::string(kUsualModel) : turn.model;
        job.ask = std::move(ask);
        return job;
    }

    void on_answer(std::uint64_t number, const job::Event& event) {
        std::unique_ptr<Running> ended;
        {
            const std::scoped_lock lock(mutex_);
            if (!running_ || running_->number != number) {
                return;
            }
            if (!closed_) {
                send(session_.on_answer(running_->turn, event));
            }
            if (std::holds_alternative<job::Done>(event) ||
                std::holds_alternative<job::Failed>(event)) {
                ended = std::move(running_);
            }
        }
        if (ended != nullptr) {
            ended->admitted.end(event);
            ended.reset();  // and with it the visit
            start_turns();
        }
    }

    Desk& desk_;  // not once the socket is closed: then the server may be gone
    const std::string id_;
    const std::string key_;
    std::optional<SocketSeats::Seat> seat_;
    std::mutex mutex_;
    openai::RealtimeSession session_;
    std::shared_ptr<net::WebSocketWriter> writer_;
    std::unique_ptr<Running> running_;
    std::uint64_t turn_count_ = 0;
    bool closed_ = false;
};

}  // namespace

void open_realtime(Desk& desk, Call call) {
    auto seat = SocketSeats::take(desk.realtime_seats());
    if (!seat) {
        desk.refuse(call, Error{Fault::exhausted,
                                fmt::format("{} realtime sessions are open; close one or try again "
                                            "later",
                                            kRealtimeSessionsMax)});
        return;
    }
    openai::RealtimeOpening opening;
    opening.id_suffix = desk.context().response_id_suffix;
    opening.model = query_text(call.request.target, "model");
    opening.transcription = query_text(call.request.target, "intent") == "transcription";
    const std::string* beta = call.request.header("OpenAI-Beta");
    opening.beta = beta != nullptr && net::has_token(*beta, "realtime=v1");
    open_socket(desk, call, openai::kRealtimeEventBytesMax,
                std::make_shared<RealtimeSocket>(desk, std::move(opening),
                                                 socket_key_sent(call.request), *std::move(seat)));
}

}  // namespace trilane::gateway
