// The gateway's WebSockets over real sockets: who is let in, the logs' stream, and transcription
// while it is spoken, with a plane whose answers a script writes.
#include <gtest/gtest.h>

#include <cmath>
#include <condition_variable>
#include <mutex>

#include "base/base64.h"
#include "gateway/fake_service.h"
#include "gateway/gateway.h"
#include "gateway/logs_stream.h"
#include "gateway/realtime.h"
#include "gateway/socket_opening.h"
#include "json/json.h"
#include "net/web_socket_test_client.h"

namespace trilane::gateway {
namespace {

using net::Opcode;
using net::TestFrame;
using net::WebSocketTestClient;

constexpr std::string_view kLogs = "/logs/stream";
constexpr std::string_view kRealtime = "/v1/realtime?intent=transcription";

class SocketTest : public ::testing::Test {
protected:
    void start(GatewayOptions options = {}, FakeService::Script script = nullptr) {
        if (script == nullptr) {
            script = [](FakeService::Job& job) { hear(job, "heard"); };
        }
        service_ = std::make_shared<FakeService>(std::vector<std::string>{"tiny"}, script);
        options.port = 0;
        auto gateway = Gateway::start(std::move(options), service_);
        ASSERT_TRUE(gateway) << gateway.error().message;
        gateway_ = *std::move(gateway);
    }
    void TearDown() override {
        gateway_.reset();
        service_.reset();
    }

    static void hear(const FakeService::Job& job, const std::string& text) {
        job.sink(job::Started{});
        job::Segment segment;
        segment.text = " " + text;
        job.sink(segment);
        job::Transcript transcript;
        transcript.text = " " + text;
        job.sink(transcript);
        job.sink(job::Done{});
    }

    std::unique_ptr<WebSocketTestClient> opened(std::string_view path,
                                                std::string_view headers = "") {
        auto client = std::make_unique<WebSocketTestClient>(gateway_->port());
        EXPECT_TRUE(client->handshake(path, headers).starts_with("HTTP/1.1 101"));
        return client;
    }
    unsigned status_of(std::string_view path, std::string_view headers = "") {
        WebSocketTestClient client(gateway_->port());
        EXPECT_TRUE(client.ask(path, headers));
        EXPECT_TRUE(client.receive_until("\r\n\r\n"));
        return static_cast<unsigned>(std::atoi(client.received().substr(9, 3).c_str()));
    }

    /// The server needs a moment to see that a client has left.
    unsigned status_once_free(std::string_view path) {
        unsigned status = 429;
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (status == 429 && std::chrono::steady_clock::now() < until) {
            status = status_of(path);
        }
        return status;
    }

    std::shared_ptr<FakeService> service_;
    std::unique_ptr<Gateway> gateway_;
};

json::Value next_event(WebSocketTestClient& client) {
    TestFrame frame = client.next_frame();
    while (frame.arrived && frame.opcode == Opcode::ping) {
        frame = client.next_frame();
    }
    auto event = json::parse(frame.payload);
    EXPECT_TRUE(event) << frame.payload;
    return event ? *event : json::Value::object();
}

/// A tone of so many milliseconds at 24 kHz.
std::string tone_of(std::size_t ms, double level) {
    std::string bytes;
    for (std::size_t i = 0; i < ms * 24; ++i) {
        const auto sample =
            static_cast<std::int16_t>(std::sin(static_cast<double>(i) * 0.3) * level * 32767);
        bytes += static_cast<char>(static_cast<std::uint16_t>(sample) & 0xFFU);
        bytes += static_cast<char>(static_cast<std::uint16_t>(sample) >> 8U);
    }
    return bytes;
}

std::string append_of(std::string_view bytes) {
    return R"({"type":"input_audio_buffer.append","audio":")" + base64_encoded(bytes) + "\"}";
}
std::string append_of(std::size_t ms, double level) {
    return append_of(tone_of(ms, level));
}

TEST_F(SocketTest, SaysThatTheyAreSockets) {
    start();
    for (const std::string_view path : {kLogs, kRealtime}) {
        net::TestClient client(gateway_->port());
        ASSERT_TRUE(client.get(path));
        const net::TestReply reply = client.reply();
        EXPECT_EQ(reply.status, 426U);
        EXPECT_TRUE(reply.has("Upgrade: websocket\r\n")) << reply.head;
        const auto body = json::parse(reply.body);
        ASSERT_TRUE(body) << reply.body;
        EXPECT_EQ((*body)["error"]["type"], "invalid_request_error");
    }
}

TEST_F(SocketTest, StandBelowEveryPrefix) {
    start();
    for (const std::string prefix : {"", "/v1", "/v0", "/api/v1", "/api/v0"}) {
        EXPECT_EQ(status_of(prefix + "/realtime"), 101U) << prefix;
        EXPECT_EQ(status_of(prefix + "/logs/stream"), 101U) << prefix;
    }
}

TEST_F(SocketTest, TakeTheKeyAsTheirClientsCanSendIt) {
    GatewayOptions options;
    access::KeyRing ring;
    access::Key user;
    user.name = "user";
    user.digest = access::digest_of("u");
    ASSERT_TRUE(ring.add(user));
    options.access.door = std::make_shared<access::Door>("se+cret", ring);
    start(std::move(options));
    EXPECT_EQ(status_of(kLogs), 401U);
    EXPECT_EQ(status_of("/logs/stream?api_key=wrong"), 401U);
    EXPECT_EQ(status_of("/logs/stream?api_key=u"), 403U);  // logs are for administrators
    EXPECT_EQ(status_of("/realtime?api_key=u"), 101U);
    EXPECT_EQ(status_of("/logs/stream?api_key=se%2Bcret"), 101U);
    EXPECT_EQ(status_of(kLogs, "Authorization: Bearer se+cret\r\n"), 101U);
    WebSocketTestClient client(gateway_->port());
    const std::string head = client.handshake(
        kRealtime, "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.se+cret\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 101")) << head;
    EXPECT_NE(head.find("Sec-WebSocket-Protocol: realtime\r\n"), std::string::npos) << head;
    EXPECT_EQ(head.find("se+cret"), std::string::npos) << head;
    // Elsewhere a key in the URL is none: it would stand in logs of proxies.
    EXPECT_EQ(status_of("/v1/models?api_key=se%2Bcret"), 401U);
}

TEST_F(SocketTest, LetNoForeignPagesIn) {
    start();
    EXPECT_EQ(status_of(kLogs, "Origin: https://evil.example\r\n"), 403U);
    EXPECT_EQ(status_of(kLogs, "Origin: http://localhost:3000\r\n"), 101U);
}

TEST_F(SocketTest, StreamsLogs) {
    GatewayOptions options;
    options.log = std::make_shared<os::LogRing>();
    options.log->note("warning disk is full");
    const auto own = options.log;
    start(std::move(options));
    service_->log().note("llama started");
    const auto client = opened(kLogs);
    client->send_text(R"({"type":"logs.subscribe","after_seq":null})");
    const json::Value snapshot = next_event(*client);
    EXPECT_EQ(snapshot["type"], "logs.snapshot");
    ASSERT_EQ(snapshot["entries"].size(), 2U) << snapshot.dump();
    const json::Value& first = snapshot["entries"][0];
    EXPECT_EQ(first["seq"], 1);
    EXPECT_EQ(first["severity"], "Warning");
    EXPECT_EQ(first["tag"], "trilane");
    EXPECT_TRUE(first["line"].get<std::string>().ends_with("[Warning] (trilane) disk is full"))
        << first.dump();
    EXPECT_EQ(snapshot["entries"][1]["tag"], "fake");
    service_->log().note("error: out of memory");
    own->note("info goes on");
    const json::Value error = next_event(*client);
    EXPECT_EQ(error["type"], "logs.entry");
    EXPECT_EQ(error["entry"]["seq"].get<int>() + next_event(*client)["entry"]["seq"].get<int>(), 7);
}

TEST_F(SocketTest, ResumesLogsWhereTheClientWas) {
    start();
    for (int i = 0; i < 10; ++i) {
        service_->log().note(std::to_string(i));
    }
    const auto client = opened(kLogs);
    client->send_text(R"({"type":"logs.subscribe","after_seq":7})");
    json::Value snapshot = next_event(*client);
    ASSERT_EQ(snapshot["entries"].size(), 3U);
    EXPECT_EQ(snapshot["entries"][0]["seq"], 8);
    // A number that this daemon has not given yet is from another life.
    client->send_text(R"({"type":"logs.subscribe","after_seq":4711})");
    EXPECT_EQ(next_event(*client)["entries"].size(), 10U);
}

TEST_F(SocketTest, AKeyThatMayNotUseAModelHearsNoMoreOfIt) {
    access::KeyRing ring;
    access::Key narrow;
    narrow.name = "narrow";
    narrow.digest = access::digest_of("n");
    narrow.models = {"other"};
    ASSERT_TRUE(ring.add(narrow));
    GatewayOptions options;
    options.access.door = std::make_shared<access::Door>("", ring);
    start(std::move(options));
    service_->alias("ears", "tiny");
    const auto client = opened("/v1/realtime?intent=transcription&model=ears&api_key=n");
    next_event(*client);
    client->send_text(R"({"type":"session.update","session":{"turn_detection":null}})");
    next_event(*client);
    client->send_text(append_of(200, 0.1));
    client->send_text(R"({"type":"input_audio_buffer.commit"})");
    next_event(*client);
    const std::string message = next_event(*client)["error"]["message"].get<std::string>();
    EXPECT_EQ(message, "the API key 'narrow' may not use the model 'ears'");
}

TEST_F(SocketTest, LogsEndWithTheKeyThatOpenedThem) {
    const auto ring_of = [](bool with_boss) {
        access::KeyRing ring;
        access::Key user;
        user.name = "user";
        user.digest = access::digest_of("u");
        EXPECT_TRUE(ring.add(user));
        access::Key boss;
        boss.name = "boss";
        boss.digest = access::digest_of("b");
        boss.admin = true;
        EXPECT_TRUE(!with_boss || ring.add(boss));
        return ring;
    };
    GatewayOptions options;
    const auto door = std::make_shared<access::Door>("master", ring_of(true));
    options.access.door = door;
    start(std::move(options));
    const auto boss = opened("/logs/stream?api_key=b");
    const auto master = opened("/logs/stream?api_key=master");
    for (WebSocketTestClient* client : {boss.get(), master.get()}) {
        client->send_text(R"({"type":"logs.subscribe","after_seq":null})");
        EXPECT_EQ(next_event(*client)["type"], "logs.snapshot");
    }
    door->replace(ring_of(false));
    TestFrame last = boss->next_frame();
    while (last.arrived && last.opcode != Opcode::close) {
        last = boss->next_frame();
    }
    EXPECT_TRUE(last.closes_with(1008)) << last.payload;
    service_->log().note("goes on");
    EXPECT_EQ(next_event(*master)["entry"]["tag"], "fake") << "another key still holds";
}

TEST_F(SocketTest, RefusesOtherWordsOnTheLogsStream) {
    start();
    const auto client = opened(kLogs);
    for (const std::string_view text :
         {"", "[]", R"({"type":"logs"})", R"({"type":"logs.subscribe","after_seq":"7"})",
          R"({"type":"logs.subscribe","after_seq":-1})"}) {
        client->send_text(text);
        const json::Value event = next_event(*client);
        EXPECT_EQ(event["type"], "error") << text;
        EXPECT_FALSE(event["error"]["message"].get<std::string>().empty());
    }
    client->send_text(std::string(5000, ' '));
    EXPECT_TRUE(client->next_frame().closes_with(1009));
}

TEST(LogJournalTest, KeepsTheNewest) {
    const auto ring = std::make_shared<os::LogRing>(64U << 20U);
    FakeService service({"tiny"}, [](FakeService::Job&) {});
    LogJournal journal(ring);
    for (std::size_t i = 0; i < kJournalEntriesMax + 10; ++i) {
        ring->note("info " + std::to_string(i));
    }
    journal.collect(service);
    const auto entries = journal.after(0, kJournalEntriesMax * 2);
    ASSERT_EQ(entries.size(), kJournalEntriesMax);
    EXPECT_EQ(entries.front().seq, 11U);
    EXPECT_EQ(journal.after(0, 3).front().seq, kJournalEntriesMax + 8);
    EXPECT_TRUE(journal.after(kJournalEntriesMax + 10, 5).empty());
}

TEST_F(SocketTest, TranscribesWhatIsSpoken) {
    start({}, [](FakeService::Job& job) {
        const auto& ask = std::get<job::Transcribe>(job.request.ask);
        hear(job, ask.language + " " + std::to_string(ask.sound.bytes.size()) + " " +
                      ask.sound.bytes.substr(0, 4));
    });
    const auto client = opened(kRealtime);
    EXPECT_EQ(next_event(*client)["type"], "session.created");
    client->send_text(
        R"({"type":"session.update","session":{"type":"transcription","audio":{"input":{)"
        R"("transcription":{"model":"tiny","language":"de"}}}}})");
    EXPECT_EQ(next_event(*client)["type"], "session.updated");
    client->send_text(append_of(200, 0));
    client->send_text(append_of(500, 0.2));
    client->send_text(append_of(500, 0));
    std::vector<std::string> types;
    json::Value event;
    do {
        event = next_event(*client);
        types.push_back(event.value("type", ""));
    } while (!types.back().ends_with(".completed") && !types.back().empty());
    const std::vector<std::string> wanted = {
        "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed", "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed"};
    EXPECT_EQ(types, wanted);
    EXPECT_EQ(event["transcript"], "de 57644 RIFF");  // 1.2 s at 24 kHz, and a head of 44 bytes
}

TEST_F(SocketTest, AnswersTurnsInOrderAndOneAtATime) {
    std::atomic<int> at_once = 0;
    std::atomic<int> count = 0;
    start({}, [&](FakeService::Job& job) {
        EXPECT_EQ(at_once.fetch_add(1), 0);
        const int number = count++;
        at_once -= 1;
        if (number == 1) {
            job.sink(job::Failed{{Fault::unavailable, "out of order"}});
        } else {
            hear(job, std::to_string(number));
        }
    });
    const auto client = opened("/v1/realtime?intent=transcription&model=tiny");
    next_event(*client);
    client->send_text(R"({"type":"session.update","session":{"turn_detection":null}})");
    next_event(*client);
    for (int i = 0; i < 4; ++i) {
        client->send_text(append_of(200, 0.1));
        client->send_text(R"({"type":"input_audio_buffer.commit"})");
    }
    std::vector<std::string> ends;
    std::vector<std::string> items;
    while (ends.size() < 4) {
        const json::Value event = next_event(*client);
        const std::string type = event.value("type", "");
        ASSERT_FALSE(type.empty());
        if (type.ends_with(".committed")) {
            items.push_back(event["item_id"].get<std::string>());
        } else if (type.ends_with(".completed") || type.ends_with(".failed")) {
            EXPECT_EQ(event["item_id"], items.at(ends.size()));
            ends.push_back(event.value("transcript", "failed"));
        }
    }
    EXPECT_EQ(ends, (std::vector<std::string>{"0", "failed", "2", "3"}));
}

/// Holds up whoever records the end of a turn.
class Brake {
public:
    static Recorder recorder(const std::shared_ptr<Brake>& brake) {
        return [brake](const Record& record) {
            if (record.endpoint == "GET /v1/realtime" && record.status == 200) {
                brake->hold();
            }
        };
    }
    bool wait_until_held(std::size_t count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return held_ >= count; });
    }
    void release() {
        const std::scoped_lock lock(mutex_);
        released_ = true;
        changed_.notify_all();
    }

private:
    void hold() {
        std::unique_lock lock(mutex_);
        ++held_;
        changed_.notify_all();
        changed_.wait_for(lock, std::chrono::seconds(60), [this] { return released_; });
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t held_ = 0;
    bool released_ = false;
};

TEST_F(SocketTest, BusySessionsHoldUpNobodyElseAndAreReadLater) {
    const auto brake = std::make_shared<Brake>();
    GatewayOptions options;
    options.recorder = Brake::recorder(brake);
    start(std::move(options));
    std::vector<std::unique_ptr<WebSocketTestClient>> clients;
    for (std::size_t i = 0; i < kRealtimeThreads; ++i) {
        clients.push_back(opened("/v1/realtime?intent=transcription&model=tiny"));
        clients.back()->send_text(R"({"type":"session.update","session":{"turn_detection":null}})");
        clients.back()->send_text(append_of(200, 0.1));
        clients.back()->send_text(R"({"type":"input_audio_buffer.commit"})");
    }
    ASSERT_TRUE(brake->wait_until_held(kRealtimeThreads));
    // All who work on sessions are busy. One client sends much more than may wait for them.
    constexpr std::size_t kTurns = 20;
    const std::string sound = append_of(10'000, 0.1);
    ASSERT_GT(kTurns * sound.size(), 2 * kRealtimeQueueBytesMax);
    WebSocketTestClient& client = *clients.front();
    std::thread sending([&] {
        for (std::size_t i = 0; i < kTurns; ++i) {
            EXPECT_TRUE(client.send_text(sound));
            EXPECT_TRUE(client.send_text(R"({"type":"input_audio_buffer.commit"})"));
        }
    });
    for (int i = 0; i < 8; ++i) {  // whichever loop they are on
        net::TestClient plain(gateway_->port());
        EXPECT_TRUE(plain.get("/v1/models"));
        EXPECT_EQ(plain.reply().status, 200U);
    }
    brake->release();
    sending.join();
    std::vector<std::string> items;
    std::size_t completed = 0;
    while (completed < kTurns + 1) {
        const json::Value event = next_event(client);
        const std::string type = event.value("type", "");
        ASSERT_FALSE(type.empty() || type == "error") << event.dump();
        if (type.ends_with(".committed")) {
            items.push_back(event["item_id"].get<std::string>());
        } else if (type.ends_with(".completed")) {
            EXPECT_EQ(event["item_id"], items.at(completed++));
            EXPECT_DOUBLE_EQ(event["usage"]["seconds"].get<double>(), completed == 1 ? 0.2 : 10.0);
        }
    }
}

TEST_F(SocketTest, ClosesSessionsWhoseWorkWaits) {
    const auto brake = std::make_shared<Brake>();
    GatewayOptions options;
    options.recorder = Brake::recorder(brake);
    start(std::move(options));
    for (std::size_t i = 0; i < kRealtimeThreads + 2; ++i) {
        const auto client = opened("/v1/realtime?intent=transcription&model=tiny");
        client->send_text(R"({"type":"session.update","session":{"turn_detection":null}})");
        client->send_text(append_of(200, 0.1));
        client->send_text(R"({"type":"input_audio_buffer.commit"})");
        if (i < kRealtimeThreads) {
            ASSERT_TRUE(brake->wait_until_held(i + 1));
        }
        client->reset();
    }
    std::thread ending([this] { gateway_.reset(); });  // waits for who works, not for what waits
    brake->release();
    ending.join();
}

TEST_F(SocketTest, TurnsThatAreAnsweredAtOnceComeOneAfterAnother) {
    std::atomic<int> within = 0;
    start({}, [&](FakeService::Job& job) {
        EXPECT_EQ(within.fetch_add(1), 0) << "the answer to one turn submits the next";
        job.sink(job::Failed{{Fault::exhausted, "the line is full"}});
        within -= 1;
    });
    service_->answer_at_once();
    const auto client = opened("/v1/realtime?intent=transcription&model=tiny");
    client->send_text(
        R"({"type":"session.update","session":{"turn_detection":{"type":"server_vad",)"
        R"("silence_duration_ms":20,"prefix_padding_ms":0}}})");
    constexpr std::size_t kTurns = 20;
    std::string speech;
    for (std::size_t i = 0; i < kTurns; ++i) {
        speech += tone_of(100, 0.5) + tone_of(100, 0);
    }
    client->send_text(append_of(speech));
    for (std::size_t failed = 0; failed < kTurns;) {
        const json::Value event = next_event(*client);
        ASSERT_TRUE(event.contains("type")) << failed;
        ASSERT_NE(event["type"], "error") << event.dump();
        failed += event["type"].get<std::string>().ends_with(".failed") ? 1U : 0U;
    }
}

TEST_F(SocketTest, SaysWhatIsWrongWithATurn) {
    start();
    const auto client = opened("/v1/realtime?intent=transcription&model=none");
    next_event(*client);
    client->send_text(R"({"type":"session.update","session":{"turn_detection":null}})");
    next_event(*client);
    client->send_text(append_of(200, 0.1));
    client->send_text(R"({"type":"input_audio_buffer.commit"})");
    EXPECT_EQ(next_event(*client)["type"], "input_audio_buffer.committed");
    const json::Value failed = next_event(*client);
    EXPECT_EQ(failed["type"], "conversation.item.input_audio_transcription.failed");
    EXPECT_NE(failed["error"]["message"].get<std::string>().find("none"), std::string::npos);
}

TEST_F(SocketTest, CancelsTheTurnOfAClientThatLeaves) {
    std::mutex mutex;
    std::condition_variable arrived;
    std::optional<FakeService::Job> held;
    start({}, [&](FakeService::Job& job) {
        const std::scoped_lock lock(mutex);
        held = std::move(job);
        arrived.notify_all();
    });
    auto client = opened("/v1/realtime?intent=transcription&model=tiny");
    next_event(*client);
    client->send_text(R"({"type":"session.update","session":{"turn_detection":null}})");
    next_event(*client);
    client->send_text(append_of(200, 0.1));
    client->send_text(R"({"type":"input_audio_buffer.commit"})");
    {
        std::unique_lock lock(mutex);
        ASSERT_TRUE(arrived.wait_for(lock, std::chrono::seconds(30), [&] { return !!held; }));
    }
    client->reset();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!held->cancel.cancelled() && std::chrono::steady_clock::now() < until) {
        std::this_thread::yield();
    }
    EXPECT_TRUE(held->cancel.cancelled());
    gateway_.reset();  // before the lane has said its last
    held->sink(job::Failed{{Fault::cancelled, "cancelled"}});
    held.reset();
}

TEST_F(SocketTest, ALaneThatForgetsATurnHasFailed) {
    std::atomic<int> count = 0;
    start({}, [&](FakeService::Job& job) {
        if (count++ > 0) {
            hear(job, "again");
        }
    });
    const auto client = opened("/v1/realtime?intent=transcription&model=tiny");
    next_event(*client);
    client->send_text(R"({"type":"session.update","session":{"turn_detection":null}})");
    next_event(*client);
    for (const std::string_view end : {".failed", ".completed"}) {
        client->send_text(append_of(200, 0.1));
        client->send_text(R"({"type":"input_audio_buffer.commit"})");
        std::string type;
        do {
            type = next_event(*client).value("type", "");
        } while (type.ends_with(".committed") || type.ends_with(".delta"));
        EXPECT_TRUE(type.ends_with(end)) << type;
    }
}

/// Sessions' keys: "k0", "k1" …
GatewayOptions options_with_keys(std::size_t keys, std::uint32_t concurrent = 0) {
    access::KeyRing ring;
    for (std::size_t i = 0; i < keys; ++i) {
        access::Key key;
        key.name = "name" + std::to_string(i);
        key.digest = access::digest_of("k" + std::to_string(i));
        key.concurrent = concurrent;
        EXPECT_TRUE(ring.add(key));
    }
    GatewayOptions options;
    options.access.door = std::make_shared<access::Door>("", ring);
    return options;
}

std::string with_key(std::size_t number) {
    return fmt::format("{}&api_key=k{}", kRealtime, number);
}

TEST_F(SocketTest, BoundsRealtimeSessions) {
    constexpr std::size_t kKeys = kRealtimeSessionsMax / kRealtimeSessionsOfOneMax;
    start(options_with_keys(kKeys + 1));
    std::vector<std::unique_ptr<WebSocketTestClient>> clients;
    for (std::size_t i = 0; i < kRealtimeSessionsMax; ++i) {
        clients.push_back(opened(with_key(i / kRealtimeSessionsOfOneMax)));
    }
    net::WebSocketTestClient refused(gateway_->port());
    ASSERT_TRUE(refused.ask(with_key(kKeys)));
    const net::TestReply reply = refused.reply();
    EXPECT_EQ(reply.status, 429U);
    EXPECT_NE(reply.body.find("32 realtime sessions are open"), std::string::npos) << reply.body;
    clients.back()->send_frame(Opcode::close, std::string_view("\x03\xE8", 2));
    clients.back()->next_frame();
    clients.back()->next_frame();
    clients.pop_back();
    EXPECT_EQ(status_once_free(with_key(kKeys)), 101U);
}

TEST_F(SocketTest, BoundsTheSessionsOfAKey) {
    start(options_with_keys(2));
    std::vector<std::unique_ptr<WebSocketTestClient>> clients;
    for (std::size_t i = 0; i < kRealtimeSessionsOfOneMax; ++i) {
        clients.push_back(opened(with_key(0)));
    }
    net::WebSocketTestClient refused(gateway_->port());
    ASSERT_TRUE(refused.ask(with_key(0)));
    const net::TestReply reply = refused.reply();
    EXPECT_EQ(reply.status, 429U);
    EXPECT_NE(reply.body.find("the API key 'name0' has 8 realtime sessions open"),
              std::string::npos)
        << reply.body;
    EXPECT_EQ(status_of(with_key(1)), 101U);
    clients.back()->reset();
    EXPECT_EQ(status_once_free(with_key(0)), 101U);
}

TEST_F(SocketTest, BoundsTheSessionsOfAnAddressWithoutKeys) {
    start();
    std::vector<std::unique_ptr<WebSocketTestClient>> clients;
    for (std::size_t i = 0; i < kRealtimeSessionsOfOneMax; ++i) {
        clients.push_back(opened(kRealtime));
    }
    net::WebSocketTestClient refused(gateway_->port());
    ASSERT_TRUE(refused.ask(kRealtime));
    const net::TestReply reply = refused.reply();
    EXPECT_EQ(reply.status, 429U);
    EXPECT_NE(reply.body.find("the address 127.0.0.1 has 8 realtime sessions open"),
              std::string::npos)
        << reply.body;
    EXPECT_EQ(status_of(kLogs), 101U);
}

TEST_F(SocketTest, SessionsCountAmongTheAnswersAtOnceOfTheirKey) {
    start(options_with_keys(1, 2));
    const auto first = opened(with_key(0) + "&model=tiny");
    auto second = opened(with_key(0));
    EXPECT_EQ(status_of(with_key(0)), 429U);
    // Its turns belong to the session: they are not counted once more.
    next_event(*first);
    first->send_text(R"({"type":"session.update","session":{"turn_detection":null}})");
    next_event(*first);
    first->send_text(append_of(200, 0.1));
    first->send_text(R"({"type":"input_audio_buffer.commit"})");
    std::string type;
    do {
        type = next_event(*first).value("type", "");
    } while (type.ends_with(".committed") || type.ends_with(".delta"));
    EXPECT_TRUE(type.ends_with(".completed")) << type;
    EXPECT_EQ(status_of(with_key(0)), 429U) << "still as many";
    second->reset();
    EXPECT_EQ(status_once_free(with_key(0)), 101U);
}

TEST(SocketSeatsTest, AreGivenBack) {
    const auto seats = std::make_shared<SocketSeats>("sockets", 3, 2);
    auto a = SocketSeats::take(seats, "a");
    {
        const auto more = SocketSeats::take(seats, "a");
        EXPECT_TRUE(a && more);
        const auto refused = SocketSeats::take(seats, "a");
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().fault, Fault::exhausted);
        EXPECT_EQ(refused.error().message,
                  "a has 2 sockets open, as many as one client may; close one or try again later");
        const auto other = SocketSeats::take(seats, "b");
        EXPECT_TRUE(other);
        const auto full = SocketSeats::take(seats, "c");
        ASSERT_FALSE(full);
        EXPECT_EQ(full.error().message, "3 sockets are open; close one or try again later");
    }
    const SocketSeats::Seat moved = *std::move(a);
    const auto b = SocketSeats::take(seats, "b");
    const auto b2 = SocketSeats::take(seats, "b");
    EXPECT_TRUE(b && b2);
    EXPECT_FALSE(SocketSeats::take(seats, "a"));
}

TEST_F(SocketTest, CountsThem) {
    start();
    const auto client = opened(kRealtime);
    next_event(*client);  // the answer is out before it is counted
    net::TestClient plain(gateway_->port());
    ASSERT_TRUE(plain.get("/metrics"));
    EXPECT_NE(plain.reply().body.find(R"(endpoint="/v1/realtime",method="GET",status="101"} 1)"),
              std::string::npos);
}

TEST_F(SocketTest, CountsThoseThatAreRefusedAsWhatTheyAre) {
    std::mutex mutex;
    std::vector<unsigned> recorded;
    GatewayOptions options;
    options.limits.sockets_max = 1;
    options.recorder = [&](const Record& record) {
        if (record.endpoint == "GET /v1/realtime") {
            const std::scoped_lock lock(mutex);
            recorded.push_back(record.status);
        }
    };
    start(std::move(options));
    const auto client = opened(kRealtime);
    next_event(*client);
    EXPECT_EQ(status_of(kRealtime), 503U);
    EXPECT_EQ(status_of(kRealtime, "\r\n\x81\x80"), 400U);  // did not wait for the answer
    net::TestClient plain(gateway_->port());
    ASSERT_TRUE(plain.get("/v1/realtime"));
    EXPECT_EQ(plain.reply().status, 426U);
    ASSERT_TRUE(plain.get("/metrics"));
    const std::string metrics = plain.reply().body;
    const auto count_of = [&](std::string_view labels) {
        const auto at = metrics.find(labels);
        return at == std::string::npos ? 0 : std::atoi(metrics.c_str() + at + labels.size());
    };
    EXPECT_EQ(count_of(R"(endpoint="/v1/realtime",method="GET",status="101"} )"), 1) << metrics;
    EXPECT_EQ(count_of(R"(endpoint="/v1/realtime",method="GET",status="426"} )"), 1) << metrics;
    EXPECT_EQ(count_of(R"(status="503"} )"), 1) << metrics;
    EXPECT_EQ(count_of(R"(status="400"} )"), 1) << metrics;
    const std::scoped_lock lock(mutex);
    EXPECT_EQ(recorded, (std::vector<unsigned>{101, 426}));
}

}  // namespace
}  // namespace trilane::gateway
