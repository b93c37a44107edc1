// Any bytes as events of a realtime session, one a line: every answer must be JSON with a type, and
// no more sound may be kept than its limits say.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "dialect/openai/realtime.h"
#include "json/json.h"

namespace {

using namespace trilane;
using namespace trilane::dialect::openai;

void require_events(const RealtimeSession::Events& events) {
    for (const std::string& text : events) {
        const auto event = json::parse(text);
        TRILANE_CHECK(event && event->is_object() && event->contains("type"));
    }
}

void answer(RealtimeSession& session) {
    while (const auto turn = session.next_turn()) {
        TRILANE_CHECK(turn->samples.size() <= kTurnSamplesMax && turn->rate >= kRealtimeRateMin);
        job::Segment segment;
        segment.text = turn->prompt;
        require_events(session.on_answer(*turn, segment));
        require_events(session.on_answer(*turn, job::Done{}));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    const bool transcription = size % 2 == 0;
    RealtimeSession session({"x", "m", transcription, size % 3 == 0});
    require_events(session.opened());
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        require_events(session.on_event(line));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.size() % 5 == 0) {
            answer(session);
        }
    }
    answer(session);
    return 0;
}
