// OpenAI's endpoints over a real socket with a scripted plane: that bodies of all kinds get in, and
// answers of all kinds get out. What the bodies say is in tests/wire/openai.
#include <gtest/gtest.h>

#include <string>

#include "gateway/fake_service.h"
#include "gateway/gateway.h"
#include "gateway/parsed_test.h"
#include "json/json.h"
#include "net/loopback_test_client.h"

namespace trilane::gateway {
namespace {

using net::TestClient;
using net::TestReply;

/// Answers every kind of ask with a little of what it wants.
void answer_anything(FakeService::Job& job) {
    const job::EventSink& sink = job.sink;
    const auto& ask = job.request.ask;
    sink(job::Started{3});
    if (const auto* embed = std::get_if<job::Embed>(&ask)) {
        sink(job::Vectors{{embed->inputs.size(), {1.0F, 0.0F}}});
    } else if (const auto* rerank = std::get_if<job::Rerank>(&ask)) {
        sink(job::Scores{std::vector<float>(rerank->documents.size(), 0.5F)});
    } else if (std::holds_alternative<job::Tokenize>(ask)) {
        sink(job::Tokens{{7, 8}, {"a", "b"}});
    } else if (const auto* transcribe = std::get_if<job::Transcribe>(&ask)) {
        const std::string heard = std::to_string(transcribe->sound.bytes.size());
        sink(job::Segment{0, 1, heard, {}});
        sink(job::Transcript{heard, "en", 1});
    } else if (const auto* speak = std::get_if<job::Speak>(&ask)) {
        sink(job::Sound{"audio/wav", std::string("RI\0F", 4)});
        if (speak->text == "break off") {
            sink(job::Failed{{Fault::unavailable, "gone"}});
            return;
        }
        sink(job::Sound{"audio/wav", "F"});
    } else if (std::holds_alternative<job::Draw>(ask)) {
        const bool large = std::get<job::Draw>(ask).prompt == "a large cat";
        sink(job::Picture{0, "image/png", large ? std::string(3U << 20U, 'P') : "PNG", ""});
    } else if (const auto* chat = std::get_if<job::Chat>(&ask)) {
        sink(job::Text{0, std::to_string(chat->messages.size()), false, {}});
        sink(job::ChoiceEnd{});
    } else {
        sink(job::Text{0, "text", false, {}});
        sink(job::ChoiceEnd{});
    }
    job::Done done;
    done.usage.prompt_tokens = 3;
    sink(done);
}

class OpenaiEndpoints : public testing::Test {
protected:
    void SetUp() override {
        GatewayOptions options;
        options.port = 0;
        auto gateway = Gateway::start(
            std::move(options),
            std::make_shared<FakeService>(std::vector<std::string>{"tiny"}, answer_anything));
        ASSERT_TRUE(gateway) << gateway.error().message;
        gateway_ = std::move(*gateway);
    }

    TestReply ask(const std::string& line) const {
        TestClient client(gateway_->port());
        EXPECT_TRUE(client.send(line + " HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        return client.reply();
    }
    TestReply post(std::string_view path, std::string_view body,
                   std::string_view headers = "") const {
        TestClient client(gateway_->port());
        EXPECT_TRUE(client.post(path, body, headers));
        return client.reply();
    }

    std::unique_ptr<Gateway> gateway_;
};

TEST_F(OpenaiEndpoints, VectorsRanksAndTokens) {
    const auto vectors = post("/v1/embeddings", R"({"model":"tiny","input":["a","b"]})");
    EXPECT_EQ(parsed(vectors)["data"].size(), 2U);
    EXPECT_EQ(parsed(vectors)["model"], "tiny");
    for (const char* path :
         {"/v1/rerank", "/v1/reranking", "/v1/rerankings", "/rerank", "/reranking"}) {
        const auto ranks = post(path, R"({"query":"q","documents":["a"]})");
        EXPECT_EQ(parsed(ranks)["results"][0]["relevance_score"], 0.5) << path;
    }
    for (const char* path : {"/tokenize", "/v1/tokenize"}) {
        EXPECT_EQ(post(path, R"({"content":"ab"})").body, R"({"tokens":[7,8]})") << path;
    }
    for (const char* path : {"/detokenize", "/v1/detokenize"}) {
        EXPECT_EQ(parsed(post(path, R"({"tokens":[7]})"))["content"], "text") << path;
    }
}

TEST_F(OpenaiEndpoints, ResponsesAreKeptAndFollowed) {
    const json::Value first = parsed(post("/v1/responses", R"({"model":"tiny","input":"a"})"));
    EXPECT_EQ(first["output"][0]["content"][0]["text"], "1");
    const std::string id = first["id"];
    const json::Value second =
        parsed(post("/v1/responses", R"({"model":"tiny","input":"b","previous_response_id":")" +
                                         id + R"(","stream":false})"));
    EXPECT_EQ(second["output"][0]["content"][0]["text"], "3");
    EXPECT_EQ(parsed(ask("GET /v1/responses/" + id)), first);
    const json::Value items = parsed(ask("GET /v1/responses/" + id + "/input_items?limit=1"));
    EXPECT_EQ(items["data"][0]["content"][0]["text"], "a");
    EXPECT_EQ(ask("GET /v1/responses/" + id + "/input_items?limit=0").status, 400U);
    EXPECT_EQ(post("/v1/responses/" + id + "/cancel", "").status, 400U);
    EXPECT_EQ(ask("DELETE /v1/responses/" + id).status, 200U);
    EXPECT_EQ(ask("GET /v1/responses/" + id).status, 404U);
    EXPECT_EQ(ask("GET /v1/responses/" + id + "/input_items").status, 404U);
    EXPECT_EQ(ask("DELETE /v1/responses/" + id).status, 404U);
    EXPECT_EQ(ask("GET /v1/responses/a/b").status, 404U);
    EXPECT_EQ(parsed(post("/v1/responses/input_tokens", R"({"model":"tiny","input":"a"})")),
              json::Value({{"object", "response.input_tokens"}, {"input_tokens", 3}}));
}

std::string form(std::size_t sound_bytes) {
    return "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ntiny\r\n"
           "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n" +
           std::string(sound_bytes, '\xFF') + "\r\n--b--\r\n";
}
constexpr std::string_view kFormHeader = "Content-Type: multipart/form-data; boundary=b\r\n";

TEST_F(OpenaiEndpoints, SoundsOf25MegabytesGetIn) {
    constexpr std::size_t kBytes = 25U << 20U;
    const auto heard = post("/v1/audio/transcriptions", form(kBytes), kFormHeader);
    EXPECT_EQ(heard.status, 200U) << heard.body;
    EXPECT_EQ(parsed(heard)["text"], std::to_string(kBytes));
    EXPECT_EQ(parsed(post("/v1/audio/translations", form(5), kFormHeader))["text"], "5");
}

TEST_F(OpenaiEndpoints, JsonOfThatLengthDoesNot) {
    const auto refused = post("/v1/chat/completions", std::string((32U << 20U) + 1, ' '));
    EXPECT_EQ(refused.status, 413U);
    EXPECT_EQ(parsed(refused)["error"]["code"], "request_too_large");
}

TEST_F(OpenaiEndpoints, SpeechIsBytes) {
    const auto whole = post("/v1/audio/speech", R"({"model":"tiny","input":"Hi"})");
    EXPECT_EQ(whole.body, std::string("RI\0FF", 5));
    EXPECT_TRUE(whole.has("Content-Type: audio/wav\r\n")) << whole.head;
    EXPECT_TRUE(whole.has("Content-Length: 5\r\n")) << whole.head;
    const auto pieces =
        post("/v1/audio/speech", R"({"model":"tiny","input":"Hi","stream_format":"audio"})");
    EXPECT_EQ(pieces.body, whole.body);
    EXPECT_TRUE(pieces.complete);
    EXPECT_TRUE(pieces.has("Content-Type: audio/wav\r\n")) << pieces.head;
    const auto events =
        post("/v1/audio/speech", R"({"model":"tiny","input":"Hi","stream_format":"sse"})");
    EXPECT_NE(events.body.find("speech.audio.done"), std::string::npos);
}

TEST_F(OpenaiEndpoints, BytesThatBreakOffAreNotTakenForAWhole) {
    const auto broken =
        post("/v1/audio/speech", R"({"model":"tiny","input":"break off","stream_format":"audio"})");
    // What had not yet left when it broke off is told as a whole answer.
    EXPECT_TRUE(!broken.complete || broken.status == 500U) << broken.head;
    const auto whole = post("/v1/audio/speech", R"({"model":"tiny","input":"break off"})");
    EXPECT_EQ(whole.status, 503U);
}

TEST_F(OpenaiEndpoints, PicturesAreBase64) {
    const auto drawn = post("/v1/images/generations", R"({"model":"tiny","prompt":"a cat"})");
    EXPECT_EQ(parsed(drawn)["data"][0]["b64_json"], "UE5H");
    const std::string edit =
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ntiny\r\n"
        "--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na hat\r\n"
        "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\nX\r\n--b--";
    EXPECT_EQ(parsed(post("/v1/images/edits", edit, kFormHeader))["data"].size(), 1U);
    EXPECT_EQ(post("/v1/images/variations", edit, kFormHeader).status, 200U);
    EXPECT_EQ(post("/v1/images/edits", "--c--", kFormHeader).status, 400U);
}

TEST_F(OpenaiEndpoints, LargePicturesStreamInOnePiece) {
    const auto drawn =
        post("/v1/images/generations", R"({"model":"tiny","prompt":"a large cat","stream":true})");
    EXPECT_TRUE(drawn.complete);
    EXPECT_GT(drawn.body.size(), 4U << 20U);
}

TEST_F(OpenaiEndpoints, SoundsInMessagesNeedAModelThatHears) {
    const auto refused =
        post("/v1/chat/completions",
             R"({"model":"tiny","messages":[{"role":"user","content":[{"type":"input_audio",)"
             R"("input_audio":{"data":"UklGRg==","format":"wav"}}]}]})");
    EXPECT_EQ(refused.status, 400U);
    EXPECT_NE(refused.body.find("not made for chat about sounds"), std::string::npos)
        << refused.body;
}

TEST_F(OpenaiEndpoints, ModerationIsNotHere) {
    EXPECT_EQ(post("/v1/moderations", R"({"input":"x"})").status, 404U);
}

TEST_F(OpenaiEndpoints, TheDocumentIsServed) {
    EXPECT_EQ(parsed(ask("GET /openapi.json"))["openapi"], "3.1.0");
}

}  // namespace
}  // namespace trilane::gateway
