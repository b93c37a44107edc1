// RealtimeSession: OpenAI's realtime API as far as it transcribes: events of the client → turns to
// be transcribed, what came of them → events of the server. Takes today's session objects, those of
// the beta and the flat ones that other local servers speak. Pure; no sockets, no lanes.
// **Source:** https://developers.openai.com/api/reference/resources/realtime
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/openai/realtime_audio.h"
#include "dialect/openai/transcript.h"
#include "job/job.h"
#include "json/fwd.h"

namespace trilane::dialect::openai {

/// Of one session, in turns that wait and the one that is being spoken.
inline constexpr std::size_t kRealtimeSamplesMax = 8U << 20U;
inline constexpr std::size_t kRealtimeTurnsMax = 32;  ///< that wait
/// Of one event: base64 of half a minute and more.
inline constexpr std::size_t kRealtimeEventBytesMax = 2U << 20U;

/// What the client says before its first event.
struct RealtimeOpening {
    std::string id_suffix;       ///< unique
    std::string model;           ///< of the URL; "" = the session's first update names it
    bool transcription = false;  ///< the URL's intent: OpenAI's API is spoken, at 24 kHz
    bool beta = false;           ///< "OpenAI-Beta: realtime=v1"
};

/// One stretch of speech to be transcribed.
struct RealtimeTurn {
    std::string item_id;
    std::uint32_t rate = 0;
    std::vector<std::int16_t> samples;
    double seconds = 0;  ///< of them, also when they have been moved away
    std::string model;
    std::string language;
    std::string prompt;
};

/// **Threads:** one at a time.
class RealtimeSession {
public:
    /// JSON texts to send, in order.
    using Events = std::vector<std::string>;

    explicit RealtimeSession(RealtimeOpening opening);

    /// What the server says first.
    Events opened();
    /// The client's event.
    Events on_event(std::string_view text);
    /// The client sent what is no text.
    Events on_binary();

    /// The next turn to transcribe, if any waits. One at a time: answers keep the order of turns.
    std::optional<RealtimeTurn> next_turn();
    /// What came of it. After Done or Failed it is over.
    Events on_answer(const RealtimeTurn& turn, const job::Event& event);

private:
    struct Transcription {
        std::string model;
        std::string language;
        std::string prompt;
    };
    /// All that an update may change.
    struct Settings {
        Transcription transcription;
        std::uint32_t rate = 0;
        bool rate_said = false;
        bool openai = false;  ///< rather than flat, with loudness as threshold
        std::optional<VoiceSettings> voice;
        json::Value shown_detection() const;
    };

    Status take(const json::Value& event, Events& out);
    Status update(const json::Value& event, Events& out);
    Status append(const json::Value& event, Events& out);
    /// What speech began and ended; turns that are too many are dropped, with one error.
    Status tell(std::vector<SpeechBorder>& borders, Events& out);
    Status commit(Events& out);
    Status read_settings(const json::Value& session, Settings& settings) const;
    static Status read_input(const json::Value& input, Settings& settings);
    static Status read_transcription(const json::Value& object, std::string path,
                                     Settings& settings);
    static Status read_detection(const json::Value& value, const std::string& path,
                                 Settings& settings);
    void cut(std::string item_id, std::vector<std::int16_t> samples, Events& out);
    [[nodiscard]] std::size_t waiting_samples() const;
    [[nodiscard]] json::Value session_object(bool beta) const;
    json::Value event_of(std::string_view type);
    std::string new_item();
    std::string error_event(const Error& error, std::string_view client_event_id);

    const RealtimeOpening opening_;
    Settings settings_;
    SpeechCutter cutter_;
    std::deque<RealtimeTurn> waiting_;
    std::string speaking_item_;  // of the turn that is being spoken
    std::string last_item_;      // "" = none yet
    Heard heard_;                // of the turn that is being transcribed
    std::uint64_t event_count_ = 0;
    std::uint64_t item_count_ = 0;
};

}  // namespace trilane::dialect::openai
