// Runs the data files of tests/wire/openai/realtime: what a client sends, step by step, the events
// that answer it (those fields that a file names), and the turns that come of it.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

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

/// Words of 100 ms with pauses of 100 ms between them, at 8 kHz: one event.
std::string words(std::size_t count) {
    Value parts = Value::array();
    for (std::size_t i = 0; i < count; ++i) {
        parts.push_back({100, 0.5});
        parts.push_back({100, 0});
    }
    const Value event = {{"type", "input_audio_buffer.append"},
                         {"event_id", "mine"},
                         {"audio", sound_of(parts, 8000)}};
    return event.dump();
}

TEST(RealtimeLimits, BoundsTheTurnsOfOneAppend) {
    RealtimeSession session({"x", "m", true, false});
    session.on_event(
        R"({"type":"session.update","session":{"audio":{"input":{)"
        R"("format":{"type":"audio/pcm","rate":8000},"turn_detection":{"type":"server_vad",)"
        R"("silence_duration_ms":20,"prefix_padding_ms":0}}}}})");
    constexpr std::size_t kDropped = 50;
    std::map<std::string, std::size_t> count;
    std::string committed;
    for (const std::string& text : session.on_event(words(kRealtimeTurnsMax + kDropped))) {
        const Value event = Value::parse(text);
        ++count[event["type"]];
        if (event["type"] == "input_audio_buffer.committed") {
            committed = event["item_id"].get<std::string>();
        } else if (event["type"] == "error") {
            EXPECT_EQ(event["error"]["event_id"], "mine");
            EXPECT_EQ(event["error"]["code"], "rate_limit_exceeded") << text;
            EXPECT_NE(text.find("32 turns wait"), std::string::npos) << text;
            EXPECT_NE(text.find("50 more were dropped"), std::string::npos) << text;
        }
    }
    EXPECT_EQ(count["input_audio_buffer.committed"], kRealtimeTurnsMax);
    EXPECT_EQ(count["input_audio_buffer.speech_stopped"], kRealtimeTurnsMax + kDropped);
    EXPECT_EQ(count["error"], 1U);
    for (std::size_t i = 0; i < kRealtimeTurnsMax; ++i) {
        ASSERT_TRUE(session.next_turn());
    }
    EXPECT_FALSE(session.next_turn());
    // It goes on behind the last turn that was not dropped.
    for (const std::string& text : session.on_event(words(1))) {
        const Value event = Value::parse(text);
        if (event["type"] == "input_audio_buffer.committed") {
            EXPECT_EQ(event["previous_item_id"], committed);
        }
    }
    EXPECT_TRUE(session.next_turn());
}

TEST(RealtimeLimits, BinaryMessagesAreNoEvents) {
    RealtimeSession session({"x", "m", true, false});
    ASSERT_EQ(session.on_binary().size(), 1U);
}

}  // namespace
}  // namespace trilane::dialect::openai
