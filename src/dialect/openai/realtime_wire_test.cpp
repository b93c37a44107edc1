// Runs the data files of tests/wire/openai/realtime: what a client sends, step by step, the events
// that answer it (those fields that a file names), and the turns that come of it.
#include <gtest/gtest.h>

#include <cmath>

#include "base/base64.h"
#include "dialect/openai/realtime.h"
#include "dialect/openai/wire_cases.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

/// [["tone", ms, level] …] at a rate, as base64.
std::string sound_of(const Value& parts, std::uint32_t rate) {
    std::string bytes;
    for (const Value& part : parts) {
        const auto count = std::size_t{rate} * part[0].get<std::size_t>() / 1000;
        for (std::size_t i = 0; i < count; ++i) {
            const double wave = std::sin(static_cast<double>(i) * 0.3) * std::sqrt(2.0);
            const auto sample = static_cast<std::int16_t>(wave * part[1].get<double>() * 32767);
            bytes += static_cast<char>(static_cast<std::uint16_t>(sample) & 0xFFU);
            bytes += static_cast<char>(static_cast<std::uint16_t>(sample) >> 8U);
        }
    }
    return base64_encoded(bytes);
}

/// Whether everything that `wanted` names is in `got`.
bool has_all(const Value& got, const Value& wanted) {
    if (!wanted.is_object()) {
        return got == wanted;
    }
    for (const auto& [name, value] : wanted.items()) {
        if (!got.is_object() || !got.contains(name) || !has_all(got[name], value)) {
            return false;
        }
    }
    return true;
}

class RealtimeWire : public ::testing::TestWithParam<Case> {
protected:
    void compare(const RealtimeSession::Events& events, const Value& step) {
        const Value wanted = step.value("events", Value::array());
        ASSERT_EQ(events.size(), wanted.size()) << step.dump() << "\n" << Value(events).dump();
        for (std::size_t i = 0; i < events.size(); ++i) {
            const auto event = json::parse(events[i]);
            ASSERT_TRUE(event) << events[i];
            EXPECT_TRUE(has_all(*event, wanted[i])) << events[i] << "\nwanted " << wanted[i].dump();
            const std::string id = event->value("event_id", "");
            EXPECT_FALSE(id.empty() || id == last_event_id_) << events[i];
            last_event_id_ = id;
        }
    }

    void take_turns(RealtimeSession& session, const Value& wanted) {
        for (const Value& one : wanted) {
            const auto turn = session.next_turn();
            ASSERT_TRUE(turn) << one.dump();
            turn_ = *turn;
            const Value facts = {{"item_id", turn->item_id}, {"rate", turn->rate},
                                 {"seconds", turn->seconds}, {"samples", turn->samples.size()},
                                 {"model", turn->model},     {"language", turn->language},
                                 {"prompt", turn->prompt}};
            EXPECT_TRUE(has_all(facts, one)) << facts.dump() << "\nwanted " << one.dump();
        }
    }

    std::string last_event_id_;
    RealtimeTurn turn_;
};

job::Event answer_of(const Value& answer) {
    if (answer.contains("segment")) {
        job::Segment segment;
        segment.text = answer["segment"].get<std::string>();
        return segment;
    }
    if (answer.contains("transcript")) {
        job::Transcript transcript;
        transcript.text = answer["transcript"].get<std::string>();
        return transcript;
    }
    return event_of(answer);
}

TEST_P(RealtimeWire, Answers) {
    const Value& data = GetParam().data;
    const Value opening = data.value("opening", Value::object());
    RealtimeSession session({"x", opening.value("model", ""), opening.value("transcription", false),
                             opening.value("beta", false)});
    Value first = {{"events", Value::array({data["opened"]})}};
    compare(session.opened(), first);
    for (const Value& step : data["steps"]) {
        if (step.contains("sound")) {
            const Value event = {{"type", "input_audio_buffer.append"},
                                 {"audio", sound_of(step["sound"], step["rate"])}};
            compare(session.on_event(event.dump()), step);
        } else if (step.contains("answer")) {
            compare(session.on_answer(turn_, answer_of(step["answer"])), step);
        } else if (step.contains("text")) {
            compare(session.on_event(step["text"].get<std::string>()), step);
        } else {
            compare(session.on_event(step["client"].dump()), step);
        }
        take_turns(session, step.value("turns", Value::array()));
    }
    EXPECT_FALSE(session.next_turn());
}

INSTANTIATE_TEST_SUITE_P(Files, RealtimeWire, ::testing::ValuesIn(load_cases("openai/realtime")),
                         [](const auto& one) { return one.param.id; });

/// Audio of so many samples as a client's event.
std::string append_of(std::size_t samples) {
    return R"({"type":"input_audio_buffer.append","audio":")" +
           base64_encoded(std::string(samples * 2, '\x11')) + "\"}";
}

TEST(RealtimeLimits, RefusesWhatTheModelsCannotFollow) {
    RealtimeSession session({"x", "m", true, false});
    session.on_event(R"({"type":"session.update","session":{"turn_detection":null}})");
    constexpr std::size_t kHalfTurn = kTurnSamplesMax / 2;
    std::size_t refused = 0;
    for (int i = 0; i < 10; ++i) {
        const auto events = session.on_event(append_of(kHalfTurn));
        refused += events.empty() ? 0U : 1U;
        if (!events.empty()) {
            EXPECT_NE(events[0].find("rate_limit_exceeded"), std::string::npos) << events[0];
        }
        if (i % 2 == 1) {
            session.on_event(R"({"type":"input_audio_buffer.commit"})");
        }
    }
    EXPECT_EQ(refused, 10 - kRealtimeSamplesMax / kHalfTurn);
    ASSERT_TRUE(session.next_turn());
    EXPECT_TRUE(session.on_event(append_of(kHalfTurn)).empty());
}

TEST(RealtimeLimits, BoundsTheTurnsThatWait) {
    RealtimeSession session({"x", "m", true, false});
    session.on_event(R"({"type":"session.update","session":{"turn_detection":null}})");
    std::size_t committed = 0;
    for (std::size_t i = 0; i < kRealtimeTurnsMax + 5; ++i) {
        session.on_event(append_of(2400));
        const auto events = session.on_event(R"({"type":"input_audio_buffer.commit"})");
        committed += events[0].find("committed") != std::string::npos ? 1U : 0U;
    }
    EXPECT_EQ(committed, kRealtimeTurnsMax);
}

TEST(RealtimeLimits, BinaryMessagesAreNoEvents) {
    RealtimeSession session({"x", "m", true, false});
    ASSERT_EQ(session.on_binary().size(), 1U);
}

}  // namespace
}  // namespace trilane::dialect::openai
