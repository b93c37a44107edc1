// SoundResident: stands before a resident whose server takes or makes sounds of one format only:
// recordings are converted before it hears them, speech after it has made it. On threads of its
// own, for that takes longer than others' threads can wait.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "lane/audio/converter.h"
#include "lane/lane.h"
#include "os/worker_pool.h"

namespace trilane::lane {

/// Conversions that run at once, and that may wait, of one resident.
inline constexpr std::size_t kSoundThreads = 2;
inline constexpr std::size_t kSoundWaitingMax = 64;
/// Of one answer before it is converted.
inline constexpr std::size_t kSpeechBytesMax = std::size_t{256} << 20U;

/// What has to be converted.
struct SoundNeeds {
    bool hears_wav = false;   ///< recordings must be WAV, 16 kHz, one channel
    bool speaks_wav = false;  ///< speech comes as WAV
    [[nodiscard]] bool any() const { return hears_wav || speaks_wav; }
};

class SoundResident final : public Resident {
public:
    /// Events of `inner` must have ended when its stop() returns.
    SoundResident(std::shared_ptr<Resident> inner, SoundNeeds needs, const Parts& parts);
    ~SoundResident() override;
    SoundResident(const SoundResident&) = delete;
    SoundResident& operator=(const SoundResident&) = delete;

    [[nodiscard]] const job::ModelCard& card() const override { return inner_->card(); }
    [[nodiscard]] std::uint32_t slots() const override { return inner_->slots(); }
    void submit(job::Request request, job::EventSink sink, CancelToken cancel) override;
    void notice_cancel() override { inner_->notice_cancel(); }
    [[nodiscard]] ResidentSnapshot snapshot() const override;
    void look_again() override { inner_->look_again(); }
    void stop(std::uint32_t patience_ms) override;

private:
    class Work;
    struct Speech;

    void hear(job::Request request, job::EventSink sink, CancelToken cancel);
    void speak(job::Request request, job::EventSink sink, CancelToken cancel);
    void take_speech(const std::shared_ptr<Speech>& speech, job::Event event);
    void finish_speech(const std::shared_ptr<Speech>& speech, job::Done done);
    void post(job::EventSink sink, CancelToken cancel,
              std::function<void(const job::EventSink&)> work);
    void refuse(const job::EventSink& sink, Error error);

    const std::shared_ptr<Resident> inner_;
    const SoundNeeds needs_;
    const Converter converter_;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<const Work*> works_;  // that wait or run
    bool stopping_ = false;
    std::unique_ptr<os::WorkerPool> pool_;  // until stop() is done
    std::atomic<std::uint64_t> refused_{0};
};

}  // namespace trilane::lane
