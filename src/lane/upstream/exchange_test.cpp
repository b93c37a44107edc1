// The exchanges that are no generations: what they ask, and what answers mean, without a server.
#include "lane/upstream/exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/base64.h"
#include "json/json.h"
#include "lane/upstream/form.h"
#include "lane/upstream/test_transcripts.h"

namespace trilane::lane::upstream {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Played {
    std::vector<Outgoing> asked;
    std::vector<std::string> events;
};

struct Reply {
    std::string body;
    unsigned status = 200;
    std::string type = "application/json";
};

/// Answers one request after the other, each in pieces of seven bytes.
Played play(const job::Request& request, const Upstream& server,
            const std::vector<Reply>& replies) {
    Played played;
    const auto sink = [&](const job::Event& event) { played.events.push_back(described(event)); };
    const auto exchange = open_exchange(request, server, sink);
    for (const Reply& reply : replies) {
        auto out = exchange->ask();
        if (!out) {
            played.events.push_back("refused: " + out.error().message);
            return played;
        }
        played.asked.push_back(*out);
        exchange->on_head(reply.status, reply.type);
        Next next = Next::more;
        for (std::size_t at = 0; at < reply.body.size() && next == Next::more; at += 7) {
            next = exchange->on_body(reply.body.substr(at, 7));
        }
        next = next == Next::more ? exchange->on_end({}) : next;
        if (next == Next::failed) {
            played.events.push_back(fmt::format("failed {}: {}",
                                                fault_name(exchange->failure().fault),
                                                exchange->failure().message));
        }
        if (next != Next::ask_again) {
            return played;
        }
        EXPECT_TRUE(exchange->completed());
    }
    played.events.emplace_back("asks again");
    return played;
}

json::Value body_of(const Outgoing& out) {
    return json::parse(out.body).value();
}

std::string floats(std::vector<float> values) {
    std::string bytes(values.size() * sizeof(float), '\0');
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return base64_encoded(bytes);
}

job::Request of(job::Embed embed) {
    job::Request request;
    request.ask = std::move(embed);
    return request;
}

TEST(EmbedExchangeTest, ReadsBase64AndNumbersInAnyOrder) {
    const Played played = play(
        of({{std::string("a"), std::string("b")}, std::nullopt}), {"m", "", 512, {}},
        {{R"({"data":[{"index":1,"embedding":")" + floats({0, 2}) +
          R"("},{"index":0,"embedding":[3,4]}],"usage":{"prompt_tokens":7,"total_tokens":7}})"}});
    EXPECT_THAT(played.events, ElementsAre("started 7", "vectors [0.60 0.80] [0.00 1.00]",
                                           testing::StartsWith("done prompt=7")));
    ASSERT_EQ(played.asked.size(), 1U);
    EXPECT_EQ(played.asked[0].path, "/embeddings");
    EXPECT_FALSE(played.asked[0].at_root);
    EXPECT_EQ(body_of(played.asked[0]),
              *json::parse(R"({"model":"m","input":["a","b"],"encoding_format":"base64"})"));
}

TEST(EmbedExchangeTest, CutsDimensionsAndSpeaksToTheNpuOneByOne) {
    Upstream server{"m", "", 0, {}};
    server.rules.vectors_one_by_one = true;
    const Reply reply{R"({"data":[{"embedding":[3,4,12]}],"usage":{"prompt_tokens":0}})"};
    const Played played =
        play(of({{std::string("a"), std::string("b")}, 2U}), server, {reply, reply});
    EXPECT_THAT(played.events, ElementsAre("started 0", "vectors [0.60 0.80] [0.60 0.80]",
                                           testing::StartsWith("done")));
    EXPECT_EQ(played.asked[1].body, R"({"model":"m","input":["b"]})");
    const Played more = play(of({{std::string("a")}, 4U}), server, {reply});
    EXPECT_THAT(more.events, ElementsAre(HasSubstr("dimensions: the model's vectors have 3")));
}

TEST(EmbedExchangeTest, MeasuresWhatMayBeTooLong) {
    const std::string text(20, 'x');
    const Reply tokens{R"({"tokens":[101,1,2,3,4,5,6,7,102]})"};
    const Reply vector{R"({"data":[{"index":0,"embedding":[1,0]}]})"};
    const Upstream server{"m", "", 5, {}};
    const Played played = play(of({{text}, std::nullopt, true}), server, {tokens, vector});
    ASSERT_EQ(played.asked.size(), 2U);
    EXPECT_EQ(played.asked[0].path, "/tokenize");
    EXPECT_TRUE(played.asked[0].at_root);
    EXPECT_EQ(body_of(played.asked[0])["add_special"], true);
    EXPECT_EQ(body_of(played.asked[1])["input"], *json::parse("[[101,1,2,3,102]]"));
    const Played refused = play(of({{text}, std::nullopt, false}), server, {tokens, vector});
    EXPECT_THAT(refused.events, ElementsAre(HasSubstr("9 tokens long, and the model reads 5")));
    const Played short_enough =
        play(of({{text}, std::nullopt, false}), server, {{R"({"tokens":[1,2]})"}, vector});
    EXPECT_EQ(body_of(short_enough.asked[1])["input"][0], text);
}

TEST(EmbedExchangeTest, AsksForManyInBatchesOfOneKind) {
    job::Embed embed;
    embed.inputs.assign(70, std::string("t"));
    embed.inputs.emplace_back(std::vector<std::int32_t>{1, 2});
    const auto vectors = [](std::size_t count) {
        json::Value list = json::Value::array();
        for (std::size_t i = 0; i < count; ++i) {
            list.push_back({{"index", i}, {"embedding", {1, 1}}});
        }
        return Reply{json::dump({{"data", list}, {"usage", {{"prompt_tokens", 2}}}})};
    };
    const Played played = play(of(embed), {"m", "", 0, {}}, {vectors(64), vectors(6), vectors(1)});
    EXPECT_EQ(played.asked.size(), 3U);
    EXPECT_EQ(body_of(played.asked[2])["input"], *json::parse("[[1,2]]"));
    EXPECT_EQ(played.events.front(), "started 6");
}

TEST(EmbedExchangeTest, ToldNonsense) {
    for (const char* body :
         {"null", "{}", "[]", "{", R"({"data":[]})", R"({"data":[{"embedding":[0,0]}]})",
          R"({"data":[{"embedding":[null]}]})", R"({"data":[{"index":3,"embedding":[1]}]})",
          R"({"data":[{"embedding":"!!!!"}]})", R"({"data":[1]})",
          R"({"data":[{"embedding":[]}]})"}) {
        const Played played = play(of({{std::string("a")}, std::nullopt}), {}, {{body}});
        ASSERT_EQ(played.events.size(), 1U) << body;
        EXPECT_THAT(played.events[0], HasSubstr("failed corrupt")) << body;
    }
    const Played error = play(of({{std::string("a")}, std::nullopt}), {"m", "", 0, {}},
                              {{R"({"error":{"code":503,"message":"busy"}})"}});
    EXPECT_THAT(error.events, ElementsAre(HasSubstr("failed unavailable")));
    const Played status = play(of({{std::string("a")}, std::nullopt}), {"m", "", 0, {}},
                               {{R"({"error":{"message":"too long"}})", 400}});
    EXPECT_THAT(status.events, ElementsAre(HasSubstr("failed invalid")));
}

TEST(RerankExchangeTest, PutsScoresBackInOrder) {
    job::Request request;
    request.ask = job::Rerank{"q", {"a", "b"}};
    const Played played =
        play(request, {"m", "", 0, {}},
             {{R"({"results":[{"index":1,"relevance_score":2.5},)"
               R"({"index":0,"relevance_score":-1}],"usage":{"prompt_tokens":9}})"}});
    EXPECT_THAT(played.events, ElementsAre("started 9", "scores -1.00 2.50",
                                           testing::StartsWith("done prompt=9")));
    EXPECT_EQ(played.asked[0].path, "/rerank");
    EXPECT_EQ(played.asked[0].body, R"({"model":"m","query":"q","documents":["a","b"]})");
    const Played half = play(request, {}, {{R"({"results":[{"index":1,"relevance_score":2.5}]})"}});
    EXPECT_THAT(half.events, ElementsAre(HasSubstr("no ranking of all documents")));
}

TEST(TokenExchangeTest, TokensTextsAndCounts) {
    job::Request request;
    request.ask = job::Tokenize{"ab", true, false};
    Upstream server{"m", "", 0, {}};
    Played played =
        play(request, server, {{R"({"tokens":[{"id":5,"piece":"a"},{"id":6,"piece":[195,40]}]})"}});
    EXPECT_THAT(played.events, ElementsAre("started 2", "tokens 5 6 'a|\xC3('",
                                           testing::StartsWith("done prompt=2")));
    EXPECT_EQ(body_of(played.asked[0])["content"], "ab");
    EXPECT_EQ(body_of(played.asked[0])["parse_special"], false);

    request.ask = job::Detokenize{{5, 6}};
    played = play(request, server, {{R"({"content":"ab"})"}});
    EXPECT_THAT(played.events,
                ElementsAre("started 0", "text 0 'ab'", testing::StartsWith("done")));
    EXPECT_EQ(played.asked[0].body, R"({"model":"m","tokens":[5,6]})");

    job::CountTokens count;
    count.chat = std::get<job::Chat>(chat_request("Hi").ask);
    count.chat.messages[0].media.push_back({job::Media::Kind::image, "image/png", "x", "", 0});
    request.ask = count;
    server.rules.renders_templates = true;
    played = play(request, server, {{R"({"prompt":"<user>Hi"})"}, {R"({"tokens":[1,2,3]})"}});
    EXPECT_THAT(played.events, ElementsAre("started 3", testing::StartsWith("done prompt=3")));
    EXPECT_EQ(played.asked[0].path, "/apply-template");
    EXPECT_EQ(body_of(played.asked[0])["messages"][0]["content"], "Hi");
    EXPECT_EQ(body_of(played.asked[1])["content"], "<user>Hi");
    server.rules.renders_templates = false;
    played = play(request, server, {{R"({"tokens":[1,2],"count":2})"}});
    EXPECT_EQ(played.asked[0].path, "/tokenize");
    EXPECT_TRUE(body_of(played.asked[0]).contains("messages"));
    EXPECT_THAT(played.events.back(), HasSubstr("done prompt=2"));
    played = play(request, server, {{R"({"detail":"Not Found"})", 404}});
    EXPECT_THAT(played.events, ElementsAre(HasSubstr("does not tell of its tokens")));
    server.rules.no_token_pages = true;
    played = play(request, server, {{}});
    EXPECT_THAT(played.events, ElementsAre(HasSubstr("refused: model: the server of 'm'")));
}

job::Request recording() {
    job::Transcribe ask;
    ask.sound = {job::Media::Kind::audio, "audio/wav", "RIFFdata", "", 0};
    ask.file_name = "a\"\r\nb.wav";
    ask.word_times = true;
    job::Request request;
    request.ask = ask;
    return request;
}

constexpr const char* kWhisperAnswer =
    R"({"task":"transcribe","language":"english","duration":2.5,"text":" Hello wor\nld.\n",
    "segments":[{"id":0,"text":" Hello wor","start":0.0,"end":1.5,"words":[
      {"word":" Hel","start":0.0,"end":0.3},{"word":"lo","start":0.3,"end":0.5},
      {"word":" wor","start":0.5,"end":1.5}]},{"id":1,"text":"ld.","start":1.5,"end":2.5,
      "words":[{"word":"ld","start":1.5,"end":2.0}]}]})";

TEST(TranscribeExchangeTest, HearsByWhisper) {
    Upstream server{"whisper", "", 0, {}};
    server.rules.own_inference_page = true;
    const Played played = play(recording(), server, {{kWhisperAnswer}});
    EXPECT_THAT(played.events,
                ElementsAre("started 0",
                            "segment 0.00-1.50 ' Hello wor' Hello@0.00-0.50 "
                            "wor@0.50-1.50",
                            "segment 1.50-2.50 'ld.' ld@1.50-2.00",
                            "transcript english 2.50 'Hello world.'", testing::StartsWith("done")));
    const Outgoing& out = played.asked[0];
    EXPECT_EQ(out.path, "/inference");
    EXPECT_TRUE(out.at_root);
    EXPECT_THAT(out.content_type, testing::StartsWith("multipart/form-data; boundary="));
    EXPECT_THAT(out.body, HasSubstr("name=\"language\"\r\n\r\nauto\r\n"));
    EXPECT_THAT(out.body, HasSubstr("name=\"translate\"\r\n\r\nfalse\r\n"));
    EXPECT_THAT(out.body,
                HasSubstr("filename=\"ab.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFFdata"));
    EXPECT_THAT(out.body, HasSubstr("verbose_json"));
}

TEST(TranscribeExchangeTest, HearsByOthers) {
    Upstream server{"whisper-1", "", 0, {}};
    job::Request request = recording();
    std::get<job::Transcribe>(request.ask).language = "de";
    std::get<job::Transcribe>(request.ask).temperature = 0.5F;
    Played played =
        play(request, server, {{R"({"text":"a b","language":"german","duration":2,"segments":[
                 {"start":0,"end":1,"text":" a"},{"start":1,"end":2,"text":" b"}],
                 "words":[{"word":"a","start":0.1,"end":0.2},{"word":"b","start":1.2,"end":1.5}]})"}});
    EXPECT_THAT(played.events,
                ElementsAre("started 0", "segment 0.00-1.00 ' a' a@0.10-0.20",
                            "segment 1.00-2.00 ' b' b@1.20-1.50", "transcript german 2.00 'a b'",
                            testing::StartsWith("done")));
    EXPECT_EQ(played.asked[0].path, "/audio/transcriptions");
    EXPECT_THAT(played.asked[0].body, HasSubstr("timestamp_granularities[]\"\r\n\r\nword"));
    EXPECT_THAT(played.asked[0].body, HasSubstr("name=\"temperature\"\r\n\r\n0.5\r\n"));
    std::get<job::Transcribe>(request.ask).translate = true;
    EXPECT_EQ(play(request, server, {{R"({"text":""})"}}).asked[0].path, "/audio/translations");
    server.rules.plain_transcripts = true;
    EXPECT_THAT(play(request, server, {{}}).events, ElementsAre(HasSubstr("does not translate")));
    std::get<job::Transcribe>(request.ask).translate = false;
    played = play(request, server, {{R"({"model":"w","text":" Hi. "})"}});
    EXPECT_THAT(played.events,
                ElementsAre("started 0", "transcript  0.00 'Hi.'", testing::StartsWith("done")));
    EXPECT_THAT(played.asked[0].body, testing::Not(HasSubstr("response_format")));
    played = play(request, server,
                  {{R"({"error":{"code":503,"message":"ASR is not loaded","type":"x"}})"}});
    EXPECT_THAT(played.events, ElementsAre(HasSubstr("failed unavailable")));
}

TEST(SpeakExchangeTest, PassesSoundOn) {
    job::Speak ask;
    ask.text = "Say \"it\"";
    ask.voice = "alloy";
    ask.format = "wav";
    ask.speed = 1.5F;
    job::Request request;
    request.ask = ask;
    Upstream server{"kokoro", "", 0, {}};
    server.voices = {"af_heart", "am_adam"};
    Played played = play(request, server, {{"0123456789", 200, "audio/wav"}});
    EXPECT_THAT(played.events, ElementsAre("started 0", "sound audio/wav 7", "sound audio/wav 3",
                                           testing::StartsWith("done")));
    EXPECT_EQ(played.asked[0].path, "/audio/speech");
    EXPECT_EQ(body_of(played.asked[0]),
              *json::parse(R"({"model":"kokoro","input":"Say \"it\"","voice":"af_heart",
                               "response_format":"wav","speed":1.5})"));
    std::get<job::Speak>(request.ask).voice = "am_adam";
    EXPECT_EQ(body_of(play(request, server, {{}}).asked[0])["voice"], "am_adam");
    played = play(request, server, {{R"({"error":{"message":"no such voice"}})", 400}});
    EXPECT_THAT(played.events, ElementsAre(HasSubstr("no such voice")));
    played = play(request, server, {{R"({"error":"no"})", 200, "application/json"}});
    EXPECT_THAT(played.events, ElementsAre(HasSubstr("failed ")));
    played = play(request, server, {{"", 200, "audio/wav"}});
    EXPECT_THAT(played.events, ElementsAre(HasSubstr("no sound")));
}

const std::string kPng = "\x89PNG\r\n";

TEST(DrawExchangeTest, DrawsBySdapiOrAsOpenAi) {
    job::Draw ask;
    ask.prompt = "a <sd_cpp_extra_args>{\"x\":1}</sd_cpp_extra_args> cat";
    ask.negative_prompt = "dogs";
    ask.count = 2;
    ask.width = 64;
    ask.height = 32;
    ask.steps = 4;
    ask.seed = 7;
    job::Request request;
    request.ask = ask;
    Upstream server{"flux", "", 0, {}};
    server.rules.draws_by_sdapi = true;
    const std::string b64 = base64_encoded(kPng);
    Played played = play(request, server, {{R"({"images":[")" + b64 + R"(",")" + b64 + R"("]})"}});
    EXPECT_THAT(played.events,
                ElementsAre("started 0", "picture 0 image/png 6 ''", "picture 1 image/png 6 ''",
                            testing::StartsWith("done")));
    EXPECT_EQ(played.asked[0].path, "/sdapi/v1/txt2img");
    json::Value body = body_of(played.asked[0]);
    EXPECT_EQ(body["batch_size"], 2);
    EXPECT_EQ(body["steps"], 4);
    EXPECT_EQ(body["seed"], 7);
    EXPECT_EQ(body["width"], 64);
    EXPECT_EQ(body["prompt"].get<std::string>().find("sd_cpp"), std::string::npos);
    // An older version.
    const Reply answer{R"({"data":[{"b64_json":")" + b64 + R"(","revised_prompt":"A cat."}]})"};
    played = play(request, server, {{"", 404, ""}, answer});
    EXPECT_EQ(played.asked[1].path, "/images/generations");
    body = body_of(played.asked[1]);
    EXPECT_EQ(body["size"], "64x32");
    EXPECT_EQ(body["n"], 2);
    EXPECT_THAT(played.events, ElementsAre("started 0", "picture 0 image/png 6 'A cat.'",
                                           testing::StartsWith("done")));
    played = play(request, {"m", "", 0, {}}, {{R"({"data":[{"url":"http://x"}]})"}});
    EXPECT_THAT(played.events, ElementsAre(HasSubstr("addresses rather than pictures")));
}

TEST(DrawExchangeTest, ChangesPictures) {
    job::Draw ask;
    ask.prompt = "a hat";
    ask.images = {{job::Media::Kind::image, "", kPng, "", 0},
                  {job::Media::Kind::image, "", "B", "", 0}};
    ask.mask = job::Media{job::Media::Kind::image, "", "M", "", 0};
    job::Request request;
    request.ask = ask;
    Upstream server{"flux", "", 0, {}};
    Played played = play(request, server, {{R"({"data":[]})"}});
    EXPECT_EQ(played.asked[0].path, "/images/edits");
    EXPECT_THAT(played.asked[0].body, HasSubstr("name=\"image[]\"; filename=\"image.png\""));
    EXPECT_THAT(played.asked[0].body, HasSubstr("name=\"mask\""));
    EXPECT_THAT(played.events, ElementsAre(HasSubstr("no list of pictures")));
    server.rules.draws_by_sdapi = true;
    played = play(request, server, {{"{}"}});
    EXPECT_EQ(played.asked[0].path, "/sdapi/v1/img2img");
    const json::Value body = body_of(played.asked[0]);
    EXPECT_EQ(body["init_images"][0], base64_encoded(kPng));
    EXPECT_EQ(body["extra_images"][0], base64_encoded("B"));
    EXPECT_EQ(body["mask"], base64_encoded("M"));
    EXPECT_FALSE(body.contains("width"));
}

TEST(FormTest, ItsBoundaryIsInNoValue) {
    Form probe;
    probe.add("a", "x");
    const std::string usual = probe.finish().content_type;
    const std::string boundary = usual.substr(usual.find('=') + 1);
    Form form;
    form.add("a", "--" + boundary + "--");
    EXPECT_EQ(form.finish().content_type.find(boundary), std::string::npos);
}

}  // namespace
}  // namespace trilane::lane::upstream
