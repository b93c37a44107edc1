#include "gateway/realtime.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <variant>

#include "dialect/openai/realtime.h"
#include "gateway/query.h"
#include "gateway/socket_opening.h"
#include "os/worker_pool.h"
#include "sound/sound.h"

namespace trilane::gateway {
namespace {

namespace openai = dialect::openai;

/// What every server of this API has.
constexpr std::string_view kUsualModel = "whisper-1";

/// A session's go at its workers ends after so many bytes: then it is the next one's.
constexpr std::size_t kGoBytes = 16U << 10U;

/// One client. Lives as long as its socket, the lane that works for it, or a go at the workers.
///
/// **Threads:** What comes (messages on the loop of the socket, answers on threads of lanes, which
/// can be loops, too) is put into a queue of the session's own. The workers take it out in order,
/// one of them at a time (busy_), so that the session needs no lock. mutex_ is held for a few
/// assignments only, never while JSON, sound or the plane is worked on: no loop waits for it. A go
/// is asked for under mutex_ and only while the socket is open; the server's end waits for
/// on_close(), so nothing is asked of workers that are being destroyed, and they end before the
/// desk does.
class RealtimeSocket final : public net::WebSocketListener,
                             public std::enable_shared_from_this<RealtimeSocket> {
public:
    RealtimeSocket(Desk& desk, openai::RealtimeOpening opening, std::string key,
                   SocketSeats::Seat seat)
        : desk_(desk),
          workers_(desk.realtime_workers()),
          id_(opening.id_suffix),
          key_(std::move(key)),
          seat_(std::move(seat)),
          session_(std::move(opening)) {}

    /// On the loop, before it opens: the session counts among its key's answers at once.
    void keep(access::Visit visit) {
        const std::scoped_lock lock(mutex_);
        if (!closed_) {
            visit_ = std::move(visit);
        }
    }

    /// On the loop. The first that comes, so nobody else has the session.
    void on_open(std::shared_ptr<net::WebSocketWriter> writer) override {
        writer_ = std::move(writer);
        send(session_.opened());
    }

    /// On the loop.
    void on_message(std::string_view message, bool text) override {
        const std::scoped_lock lock(mutex_);
        push_locked(Message{std::string(message), text});
    }

    /// On the loop.
    bool wants_more() override {
        const std::scoped_lock lock(mutex_);
        held_back_ = bytes_ >= kRealtimeQueueBytesMax;
        return !held_back_;
    }

    /// On the loop. What was heard is dropped; answers that wait still end their turn.
    void on_close() override {
        std::shared_ptr<Running> running;
        {
            const std::scoped_lock lock(mutex_);
            closed_ = true;
            std::erase_if(
                queue_, [](const Piece& piece) { return std::holds_alternative<Message>(piece); });
            if (!busy_) {
                leave_locked();
            }
            running = running_;
            if (running != nullptr) {
                running->admitted.visit = std::move(visit_);  // until the lane is done with it
            }
            visit_ = {};
        }
        if (running != nullptr) {
            running->cancel.cancel();
            running->admitted.service->notice_cancel();
        }
    }

private:
    /// A turn at a lane. Whoever takes it out of running_ ends it.
    struct Running {
        openai::RealtimeTurn turn;
        Admitted admitted;
        CancelToken cancel;
        std::uint64_t number = 0;
    };
    struct Message {
        std::string bytes;
        bool text = true;
    };
    struct Answer {
        std::uint64_t number = 0;
        job::Event event;
    };
    using Piece = std::variant<Message, Answer>;

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

    static std::size_t bytes_of(const Piece& piece) {
        const auto* message = std::get_if<Message>(&piece);
        return sizeof(Piece) + (message != nullptr ? message->bytes.size() : 0);
    }
    static bool is_last(const job::Event& event) {
        return std::holds_alternative<job::Done>(event) ||
               std::holds_alternative<job::Failed>(event);
    }

    /// The seat is kept until nobody works any more: as many goes are asked for as there are seats.
    void leave_locked() { seat_.reset(); }

    void push_locked(Piece piece) {
        bytes_ += bytes_of(piece);
        queue_.push_back(std::move(piece));
        if (!busy_) {
            busy_ = ask_for_go_locked();
        }
    }

    /// Never refused: the workers' line has room for every seat.
    bool ask_for_go_locked() {
        return workers_.post([self = shared_from_this()] { self->work(); });
    }

    /// On a worker: a go.
    void work() {
        for (std::size_t done = 0;;) {
            Piece piece;
            bool resumes = false;
            {
                const std::scoped_lock lock(mutex_);
                if (queue_.empty()) {
                    busy_ = false;
                    if (closed_) {
                        leave_locked();
                    }
                    return;
                }
                if (done >= kGoBytes && !closed_ && ask_for_go_locked()) {
                    return;
                }
                piece = std::move(queue_.front());
                queue_.pop_front();
                const std::size_t bytes = bytes_of(piece);
                bytes_ -= std::min(bytes_, bytes);
                done += bytes;
                resumes = held_back_ && bytes_ <= kRealtimeQueueBytesMax / 2;
                held_back_ = held_back_ && !resumes;
            }
            if (resumes) {
                writer_->resume();
            }
            take(piece);
        }
    }

    /// On a worker.
    void take(const Piece& piece) {
        if (const auto* message = std::get_if<Message>(&piece)) {
            send(message->text ? session_.on_event(message->bytes) : session_.on_binary());
        } else if (const auto* answer = std::get_if<Answer>(&piece)) {
            take_answer(*answer);
        }
        start_turn();
    }

    /// On a worker.
    void take_answer(const Answer& answer) {
        std::shared_ptr<Running> running;
        {
            const std::scoped_lock lock(mutex_);
            if (!running_ || running_->number != answer.number) {
                return;
            }
            running = is_last(answer.event) ? std::exchange(running_, nullptr) : running_;
        }
        send(session_.on_answer(running->turn, answer.event));
        if (is_last(answer.event)) {
            running->admitted.end(answer.event);
        }
    }

    void send(const openai::RealtimeSession::Events& events) {
        for (const std::string& event : events) {
            writer_->send(event);
        }
    }

    [[nodiscard]] bool may_start() {
        const std::scoped_lock lock(mutex_);
        return !closed_ && !running_;
    }

    /// On a worker: gives the next turn to a lane, unless one is there. A lane may answer at once,
    /// from within submit(): that waits in the queue.
    void start_turn() {
        while (may_start()) {
            auto turn = session_.next_turn();
            if (!turn) {
                return;
            }
            job::Request job = job_of(*turn);
            auto admitted = desk_.admit(key_, job);
            if (!admitted) {
                send(session_.on_answer(*turn, job::Failed{admitted.error()}));
                continue;
            }
            const std::uint64_t number = ++turn_count_;
            const auto service = admitted->service;
            const CancelToken cancel;
            {
                const std::scoped_lock lock(mutex_);
                if (closed_) {
                    return;
                }
                running_ = std::make_shared<Running>(
                    Running{*std::move(turn), *std::move(admitted), cancel, number});
            }
            const auto sink = std::make_shared<Sink>(shared_from_this(), number);
            service->submit(
                std::move(job), [sink](const job::Event& event) { (*sink)(event); }, cancel);
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

    /// On threads of lanes.
    void on_answer(std::uint64_t number, const job::Event& event) {
        std::shared_ptr<Running> ended;
        {
            const std::scoped_lock lock(mutex_);
            if (!running_ || running_->number != number) {
                return;
            }
            if (!closed_) {
                push_locked(Answer{number, event});
                return;
            }
            if (is_last(event)) {
                ended = std::exchange(running_, nullptr);
            }
        }
        if (ended != nullptr) {
            ended->admitted.end(event);
        }
    }

    Desk& desk_;               // the workers' alone: it may be gone before a lane is done
    os::WorkerPool& workers_;  // only while the socket is open
    const std::string id_;
    const std::string key_;
    std::mutex mutex_;         // guards from here …
    std::deque<Piece> queue_;  // empty unless busy_
    std::size_t bytes_ = 0;    // of queue_, about
    bool busy_ = false;        // a worker has a go, or is asked for one
    bool held_back_ = false;   // the client is not read
    bool closed_ = false;
    access::Visit visit_;
    std::shared_ptr<Running> running_;
    std::optional<SocketSeats::Seat> seat_;         // … to here
    std::shared_ptr<net::WebSocketWriter> writer_;  // set before anything else comes
    openai::RealtimeSession session_;               // whoever is busy, and on_open()
    std::uint64_t turn_count_ = 0;                  // the same
};

}  // namespace

void open_realtime(Desk& desk, Call call) {
    auto seat = SocketSeats::take(desk.realtime_seats(), socket_client(call));
    if (!seat) {
        desk.refuse(call, seat.error());
        return;
    }
    openai::RealtimeOpening opening;
    opening.id_suffix = desk.context().response_id_suffix;
    opening.model = query_text(call.request.target, "model");
    opening.transcription = query_text(call.request.target, "intent") == "transcription";
    const std::string* beta = call.request.header("OpenAI-Beta");
    opening.beta = beta != nullptr && net::has_token(*beta, "realtime=v1");
    const auto socket = std::make_shared<RealtimeSocket>(
        desk, std::move(opening), socket_key_sent(call.request), *std::move(seat));
    if (open_socket(desk, call, openai::kRealtimeEventBytesMax, socket)) {
        socket->keep(std::move(call.visit));
    }
}

}  // namespace trilane::gateway
