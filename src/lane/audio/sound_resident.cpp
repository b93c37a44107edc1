#include "lane/audio/sound_resident.h"

#include <chrono>
#include <utility>

#include "sound/sound.h"

namespace trilane::lane {

/// One conversion and the job's sink, which gets its last event even when the work is dropped.
class SoundResident::Work {
public:
    Work(SoundResident& home, job::EventSink sink, CancelToken cancel,
         std::function<void(const job::EventSink&)> work)
        : home_(home), sink_(std::move(sink)), cancel_(std::move(cancel)), work_(std::move(work)) {
        const std::scoped_lock lock(home_.mutex_);
        home_.works_.insert(this);
    }
    ~Work() {
        if (work_) {
            home_.refuse(sink_, {Fault::cancelled, ""});
        }
        const std::scoped_lock lock(home_.mutex_);
        home_.works_.erase(this);
        home_.changed_.notify_all();
    }
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

    void run() { std::exchange(work_, nullptr)(sink_); }
    void cancel() const { cancel_.cancel(); }
    /// There was no room for it.
    void give_up() {
        work_ = nullptr;
        home_.refuse(sink_, {Fault::exhausted,
                             "too many sounds wait to be converted already; try again later"});
    }

private:
    SoundResident& home_;
    const job::EventSink sink_;
    const CancelToken cancel_;
    std::function<void(const job::EventSink&)> work_;
};

/// An answer that is being spoken.
struct SoundResident::Speech {
    std::string format;
    job::EventSink sink;
    CancelToken cancel;
    std::string wav;
};

SoundResident::SoundResident(std::shared_ptr<Resident> inner, SoundNeeds needs, const Parts& parts)
    : inner_(std::move(inner)),
      needs_(needs),
      converter_(parts),
      pool_(std::make_unique<os::WorkerPool>(kSoundThreads, kSoundWaitingMax)) {}

SoundResident::~SoundResident() {
    stop(0);
}

void SoundResident::refuse(const job::EventSink& sink, Error error) {
    {
        const std::scoped_lock lock(mutex_);
        if (stopping_ && error.fault == Fault::cancelled) {
            error = {Fault::unavailable, "the model has been unloaded; try again"};
        }
    }
    refused_.fetch_add(1, std::memory_order_relaxed);
    sink(job::Failed{std::move(error)});
}

void SoundResident::post(job::EventSink sink, CancelToken cancel,
                         std::function<void(const job::EventSink&)> work) {
    const auto piece =
        std::make_shared<Work>(*this, std::move(sink), std::move(cancel), std::move(work));
    bool posted = false;
    {
        const std::scoped_lock lock(mutex_);
        posted = pool_ != nullptr && pool_->post([piece] { piece->run(); });
    }
    if (!posted) {
        piece->give_up();
    }
}

void SoundResident::submit(job::Request request, job::EventSink sink, CancelToken cancel) {
    if (needs_.hears_wav && std::holds_alternative<job::Transcribe>(request.ask)) {
        hear(std::move(request), std::move(sink), std::move(cancel));
    } else if (needs_.speaks_wav && std::holds_alternative<job::Speak>(request.ask)) {
        speak(std::move(request), std::move(sink), std::move(cancel));
    } else {
        inner_->submit(std::move(request), std::move(sink), std::move(cancel));
    }
}

void SoundResident::hear(job::Request request, job::EventSink sink, CancelToken cancel) {
    auto shared = std::make_shared<job::Request>(std::move(request));
    post(std::move(sink), cancel, [this, shared, cancel](const job::EventSink& to) {
        auto& ask = std::get<job::Transcribe>(shared->ask);
        Result<std::string> wav = converter_.for_hearing(ask.sound.bytes, cancel);
        if (!wav) {
            refuse(to, std::move(wav).error());
            return;
        }
        ask.sound.bytes = *std::move(wav);
        ask.sound.type = "audio/wav";
        ask.file_name = "sound.wav";
        inner_->submit(std::move(*shared), to, cancel);
    });
}

void SoundResident::speak(job::Request request, job::EventSink sink, CancelToken cancel) {
    auto& ask = std::get<job::Speak>(request.ask);
    auto speech = std::make_shared<Speech>();
    speech->format = ask.format.empty() ? "mp3" : ask.format;
    if (Status known = converter_.check_format(speech->format); !known) {
        refuse(sink, std::move(known).error());
        return;
    }
    ask.format = "wav";
    if (speech->format == "wav") {
        inner_->submit(std::move(request), std::move(sink), std::move(cancel));
        return;
    }
    speech->sink = std::move(sink);
    speech->cancel = cancel;
    inner_->submit(
        std::move(request),
        [this, speech](job::Event event) { take_speech(speech, std::move(event)); },
        std::move(cancel));
}

void SoundResident::take_speech(const std::shared_ptr<Speech>& speech, job::Event event) {
    if (auto* sound = std::get_if<job::Sound>(&event)) {
        const std::size_t room = kSpeechBytesMax - speech->wav.size();
        speech->wav.append(sound->bytes, 0, room);
    } else if (const auto* done = std::get_if<job::Done>(&event)) {
        finish_speech(speech, *done);
    } else if (std::holds_alternative<job::Failed>(event)) {
        speech->sink(std::move(event));
    }
}

void SoundResident::finish_speech(const std::shared_ptr<Speech>& speech, job::Done done) {
    post(speech->sink, speech->cancel, [this, speech, done](const job::EventSink& to) {
        Result<std::string> file = converter_.into(speech->wav, speech->format, speech->cancel);
        if (!file) {
            refuse(to, std::move(file).error());
            return;
        }
        to(job::Started{});
        to(job::Sound{std::string(sound::media_type(speech->format)), *std::move(file)});
        to(done);
    });
}

ResidentSnapshot SoundResident::snapshot() const {
    ResidentSnapshot snapshot = inner_->snapshot();
    const std::uint64_t refused = refused_.load(std::memory_order_relaxed);
    snapshot.requests_total += refused;
    snapshot.failed_total += refused;
    return snapshot;
}

void SoundResident::stop(std::uint32_t patience_ms) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
    inner_->stop(patience_ms);
    std::unique_ptr<os::WorkerPool> pool;
    {
        std::unique_lock lock(mutex_);
        changed_.wait_until(lock, until, [this] { return works_.empty(); });
        pool = std::move(pool_);
        stopping_ = true;
        for (const Work* work : works_) {
            work->cancel();
        }
    }
    // What waits is dropped, and so refused; what runs ends soon.
    pool.reset();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return works_.empty(); });
}

}  // namespace trilane::lane
