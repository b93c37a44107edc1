#include "lane/espeak/espeak.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <set>
#include <utility>

#include "lane/audio/converter.h"
#include "lane/card.h"
#include "lane/child/child_lane.h"
#include "lane/child/load_watch.h"
#include "lane/options.h"
#include "os/worker_pool.h"
#include "sound/sound.h"

namespace trilane::lane {
namespace {

using catalog::Purpose;

constexpr std::uint32_t kEspeakResidentsMax = 1;
constexpr std::uint32_t kEspeakRequestsMax = 2;
/// Beyond the slots' own; nobody hands it more.
constexpr std::size_t kWaitingMax = 64;
/// A process and its data while it speaks.
constexpr std::uint64_t kProcessBytes = std::uint64_t{32} << 20U;
/// It speaks some hundred times faster than a person.
constexpr std::chrono::milliseconds kSpeakPatience{60'000};
constexpr std::size_t kWavBytesMax = std::size_t{512} << 20U;
constexpr std::size_t kVoiceBytesMax = 64;
constexpr float kWordsPerMinute = 175;
constexpr float kWordsPerMinuteMin = 80;
constexpr float kWordsPerMinuteMax = 450;
constexpr std::string_view kModelId = "espeak-ng";

/// How it speaks: the program and its surroundings. **Threads:** any.
class Speaker {
public:
    Speaker(OpenedLane opened, std::vector<std::string> environment)
        : opened_(std::move(opened)),
          environment_(std::move(environment)),
          converter_(opened_.parts) {}

    [[nodiscard]] Result<job::Sound> speak(const job::Speak& ask, const CancelToken& cancel) const {
        const std::string format = ask.format.empty() ? "mp3" : ask.format;
        TRILANE_TRY_STATUS(converter_.check_format(format));
        if (ask.text.size() > kEspeakTextBytesMax) {
            return fail(Fault::invalid, "input: it is longer than {} bytes; send it in parts",
                        kEspeakTextBytesMax);
        }
        TRILANE_TRY(std::string wav, wav_of(ask, cancel));
        job::Sound sound;
        sound.type = std::string(sound::media_type(format));
        if (format == "wav") {
            sound.bytes = std::move(wav);
        } else {
            TRILANE_TRY(sound.bytes, converter_.into(wav, format, cancel));
        }
        return sound;
    }

private:
    Result<std::string> wav_of(const job::Speak& ask, const CancelToken& cancel) const {
        TRILANE_TRY(const std::string voice, espeak_voice(ask.voice));
        TRILANE_TRY(const JobFolder folder, JobFolder::make(opened_.parts.state_dir));
        // In a file, for a text is no argument: it may begin with '-', and be long.
        TRILANE_TRY_STATUS(write_job_file(folder.file("text"), ask.text));
        const std::string out = folder.file("wav");
        std::vector<std::string> argv{opened_.program,
                                      "-b",
                                      "1",
                                      "-v",
                                      voice,
                                      "-s",
                                      std::to_string(espeak_words_per_minute(ask.speed)),
                                      "-w",
                                      out,
                                      "-f",
                                      folder.file("text")};
        argv.insert(argv.end(), opened_.settings.args.begin(), opened_.settings.args.end());
        TRILANE_TRY(const Printed printed, ask_program(*opened_.parts.children, std::move(argv),
                                                       environment_, cancel, kSpeakPatience));
        if (printed.exit.code != 0 && printed.text.find("voice") != std::string::npos) {
            return fail(Fault::invalid,
                        "voice: espeak-ng has none called '{}'; `espeak-ng --voices` lists them",
                        ask.voice);
        }
        if (printed.exit.code != 0) {
            return fail(Fault::unavailable, "{} {} (\"{}\"); run it by hand to see more",
                        opened_.program, printed.exit.text(), excerpt(printed.text));
        }
        return read_job_file(out, kWavBytesMax);
    }

    const OpenedLane opened_;
    const std::vector<std::string> environment_;
    const Converter converter_;
};

class EspeakResident final : public Resident {
public:
    EspeakResident(std::shared_ptr<const Speaker> speaker, job::ModelCard card, std::uint32_t slots)
        : speaker_(std::move(speaker)),
          card_(std::move(card)),
          slots_(slots),
          pool_(std::make_unique<os::WorkerPool>(slots, kWaitingMax)) {}
    ~EspeakResident() override { stop(0); }

    [[nodiscard]] const job::ModelCard& card() const override { return card_; }
    [[nodiscard]] std::uint32_t slots() const override { return slots_; }

    void submit(job::Request request, job::EventSink sink, CancelToken cancel) override {
        requests_.fetch_add(1, std::memory_order_relaxed);
        auto* ask = std::get_if<job::Speak>(&request.ask);
        if (ask == nullptr) {
            refuse(sink, {Fault::invalid, fmt::format("model: '{}' is not made for {}", card_.id,
                                                      job::subject(request))});
            return;
        }
        auto task = std::make_shared<Task>(*this, std::move(*ask), std::move(sink), cancel);
        bool posted = false;
        {
            const std::scoped_lock lock(mutex_);
            posted = pool_ != nullptr && pool_->post([task] { task->run(); });
        }
        if (!posted) {
            task->refuse({Fault::exhausted, "too many texts wait to be spoken; try again later"});
        }
    }

    [[nodiscard]] ResidentSnapshot snapshot() const override {
        ResidentSnapshot snapshot;
        snapshot.slots = slots_;
        {
            const std::scoped_lock lock(mutex_);
            const auto tasks = static_cast<std::uint32_t>(tasks_.size());
            snapshot.slots_busy = std::min(tasks, slots_);
            snapshot.queued = tasks - snapshot.slots_busy;
        }
        snapshot.requests_total = requests_.load(std::memory_order_relaxed);
        snapshot.cancelled_total = cancelled_.load(std::memory_order_relaxed);
        snapshot.failed_total = failed_.load(std::memory_order_relaxed);
        return snapshot;
    }

    void stop(std::uint32_t patience_ms) override {
        std::unique_ptr<os::WorkerPool> pool;
        {
            std::unique_lock lock(mutex_);
            changed_.wait_for(lock, std::chrono::milliseconds(patience_ms),
                              [this] { return tasks_.empty(); });
            pool = std::move(pool_);
            stopping_ = true;
            for (const Task* task : tasks_) {
                task->cancel();
            }
        }
        pool.reset();
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return tasks_.empty(); });
    }

private:
    /// One text; its sink gets a last event even when the task is dropped.
    class Task {
    public:
        Task(EspeakResident& home, job::Speak ask, job::EventSink sink, CancelToken cancel)
            : home_(home),
              ask_(std::move(ask)),
              sink_(std::move(sink)),
              cancel_(std::move(cancel)) {
            const std::scoped_lock lock(home_.mutex_);
            home_.tasks_.insert(this);
        }
        ~Task() {
            if (!over_) {
                refuse({Fault::cancelled, ""});
            }
            const std::scoped_lock lock(home_.mutex_);
            home_.tasks_.erase(this);
            home_.changed_.notify_all();
        }
        Task(const Task&) = delete;
        Task& operator=(const Task&) = delete;

        void run() {
            Result<job::Sound> sound = home_.speaker_->speak(ask_, cancel_);
            if (!sound) {
                refuse(std::move(sound).error());
                return;
            }
            over_ = true;
            sink_(job::Started{});
            sink_(*std::move(sound));
            sink_(job::Done{});
        }
        void refuse(Error error) {
            over_ = true;
            home_.refuse(sink_, std::move(error));
        }
        void cancel() const { cancel_.cancel(); }

    private:
        EspeakResident& home_;
        const job::Speak ask_;
        const job::EventSink sink_;
        const CancelToken cancel_;
        bool over_ = false;
    };

    void refuse(const job::EventSink& sink, Error error) {
        {
            const std::scoped_lock lock(mutex_);
            if (stopping_ && error.fault == Fault::cancelled) {
                error = {Fault::unavailable, "the model has been unloaded; try again"};
            }
        }
        (error.fault == Fault::cancelled ? cancelled_ : failed_)
            .fetch_add(1, std::memory_order_relaxed);
        sink(job::Failed{std::move(error)});
    }

    const std::shared_ptr<const Speaker> speaker_;
    const job::ModelCard card_;
    const std::uint32_t slots_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::set<const Task*> tasks_;  // that wait or run
    bool stopping_ = false;
    std::unique_ptr<os::WorkerPool> pool_;
    std::atomic<std::uint64_t> requests_{0};
    std::atomic<std::uint64_t> cancelled_{0};
    std::atomic<std::uint64_t> failed_{0};
};

class EspeakLane final : public Lane {
public:
    explicit EspeakLane(OpenedLane opened)
        : settings_(opened.settings),
          program_(opened.program),
          speaker_(std::make_shared<Speaker>(
              opened,
              child_environment(opened.parts.environment, {}, opened.settings.environment))) {}

    [[nodiscard]] const std::string& name() const override { return settings_.name; }
    [[nodiscard]] const Descriptor& descriptor() const override { return kEspeakDescriptor; }
    [[nodiscard]] const std::string& device() const override { return settings_.device; }
    [[nodiscard]] std::uint32_t residents_max() const override { return kEspeakResidentsMax; }
    [[nodiscard]] std::shared_ptr<os::LogRing> log() const override { return log_; }
    [[nodiscard]] bool can_serve(const catalog::Entry& entry) const override {
        return entry.store == catalog::Store::program && entry.id == kModelId;
    }
    [[nodiscard]] std::vector<catalog::Entry> offers() const override {
        catalog::Entry entry;
        entry.id = kModelId;
        entry.store = catalog::Store::program;
        entry.purpose = Purpose::speak;
        entry.path = program_;
        return {entry};
    }
    [[nodiscard]] Result<plan::Need> need(const catalog::Entry& /*entry*/,
                                          const LoadWishes& /*wishes*/) const override {
        plan::Need need;
        need.parts = {{"processes", kProcessBytes}};
        need.parallel = slots();
        return need;
    }

    Result<std::shared_ptr<Resident>> load(LoadRequest request) override {
        if (request.on_phase) {
            request.on_phase(LoadPhase::warming);
        }
        job::Speak word;
        word.text = "Ready.";
        word.format = "wav";
        TRILANE_TRY(const job::Sound sound, speaker_->speak(word, request.cancel));
        if (auto clip = sound::decode(sound.bytes, 0); !clip) {
            return fail(Fault::corrupt, "lane {}: {} says nothing that can be heard ({})", name(),
                        program_, clip.error().message);
        }
        log_->note(fmt::format("{} speaks", program_));
        return std::shared_ptr<Resident>(
            std::make_shared<EspeakResident>(speaker_, card_of(request.entry), slots()));
    }

private:
    [[nodiscard]] std::uint32_t slots() const {
        return settings_.requests_max == 0 ? kEspeakRequestsMax : settings_.requests_max;
    }

    const Settings settings_;
    const std::string program_;
    const std::shared_ptr<const Speaker> speaker_;
    const std::shared_ptr<os::LogRing> log_ = std::make_shared<os::LogRing>();
};

struct VoiceRow {
    std::string_view name;
    std::string_view voice;
};

/// OpenAI's voices, as near as its own come. "" = nobody has chosen.
constexpr std::array<VoiceRow, 14> kOpenAiVoices{{
    {"", "en-us"},
    {"alloy", "en-us"},
    {"ash", "en-us+m3"},
    {"ballad", "en-gb+m3"},
    {"cedar", "en-us+m2"},
    {"coral", "en-us+f2"},
    {"echo", "en-us+m1"},
    {"fable", "en-gb"},
    {"marin", "en-us+f4"},
    {"nova", "en-us+f3"},
    {"onyx", "en-us+m7"},
    {"sage", "en-us+f1"},
    {"shimmer", "en-us+f5"},
    {"verse", "en-us+m4"},
}};
/// The first letter of Kokoro's voices is a language's.
constexpr std::array<VoiceRow, 9> kKokoroLanguages{{
    {"a", "en-us"},
    {"b", "en-gb"},
    {"e", "es"},
    {"f", "fr-fr"},
    {"h", "hi"},
    {"i", "it"},
    {"j", "ja"},
    {"p", "pt-br"},
    {"z", "cmn"},
}};

constexpr std::array kEspeakPurposes{Purpose::speak};
constexpr std::array<std::string_view, 2> kEspeakPrograms{"espeak-ng", "espeak"};
constexpr std::array kEspeakOptions{
    option::program("espeak-ng, else espeak, on PATH"),
    option::args("Further arguments for every text, such as -p with a pitch."),
    option::environment(),
    option::requests_max("Texts that are spoken at once.", "2", 256),
};

}  // namespace

const Descriptor kEspeakDescriptor{
    .kind = "espeak",
    .summary = "eSpeak NG, one child per text: speech in a hundred languages without a model",
    .silicon = Silicon::cpu,
    .store = catalog::Store::program,
    .purposes = kEspeakPurposes,
    .programs = kEspeakPrograms,
    .options = kEspeakOptions,
    .residents_max = kEspeakResidentsMax,
    .requests_max = kEspeakRequestsMax,
    .open = open_espeak_lane,
};

Result<std::string> espeak_voice(std::string_view voice) {
    for (const VoiceRow& row : kOpenAiVoices) {
        if (row.name == voice) {
            return std::string(row.voice);
        }
    }
    if (voice.size() > 3 && voice[2] == '_' && (voice[1] == 'f' || voice[1] == 'm')) {
        for (const VoiceRow& row : kKokoroLanguages) {
            if (row.name.front() == voice.front()) {
                return std::string(row.voice) + (voice[1] == 'f' ? "+f3" : "+m3");
            }
        }
    }
    const bool good = voice.size() <= kVoiceBytesMax && voice.front() != '-' &&
                      std::all_of(voice.begin(), voice.end(), [](char c) {
                          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                 (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '+';
                      });
    if (!good) {
        return fail(Fault::invalid,
                    "voice: it must be a name of letters, digits, '-', '_' and '+'; `espeak-ng "
                    "--voices` lists them");
    }
    return std::string(voice);
}

std::uint32_t espeak_words_per_minute(float speed) {
    return static_cast<std::uint32_t>(
        std::lround(std::clamp(speed * kWordsPerMinute, kWordsPerMinuteMin, kWordsPerMinuteMax)));
}

Result<std::shared_ptr<Lane>> open_espeak_lane(const Settings& settings, const Parts& parts) {
    constexpr std::array<Reserved, 4> kEspeakReserved{{
        {"-w", "remove it"},
        {"-f", "remove it"},
        {"--stdin", "remove it"},
        {"--stdout", "remove it"},
    }};
    TRILANE_TRY(OpenedLane opened,
                open_shared(settings, parts, kEspeakDescriptor, "cpu", kEspeakReserved));
    return std::shared_ptr<Lane>(std::make_shared<EspeakLane>(std::move(opened)));
}

}  // namespace trilane::lane
