// What the data files of tests/wire do not say well: both writers against each other, limits,
// events after the end, error mapping. The cases of the API itself are in tests/wire/openai.
#include "dialect/openai/openai.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "dialect/openai/asks.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

const Context kContext{"t", 1700000000, "fp"};

Parsed parsed(Endpoint endpoint, std::string_view body) {
    auto result = parse(endpoint, body, kContext);
    EXPECT_TRUE(result) << result.error().message;
    return result ? std::move(*result) : Parsed{};
}

const char* const kChat = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";

std::string message_of(std::string_view body) {
    const auto result = parse(Endpoint::chat_completions, body, kContext);
    EXPECT_FALSE(result);
    return result ? "" : result.error().message;
}

TEST(OpenaiParse, BodyThatIsNoObject) {
    EXPECT_EQ(message_of(""), "the body is empty; send a JSON object");
    EXPECT_EQ(message_of("[]"), "the body is an array; send a JSON object");
    EXPECT_NE(message_of(R"({"model": tru})").find("line 1"), std::string::npos);
    EXPECT_NE(message_of("{\"model\":\"\xFF\"}").find("not valid JSON"), std::string::npos);
    EXPECT_NE(message_of(R"({"temperature":1e999})").find("not valid JSON"), std::string::npos);
    EXPECT_NE(message_of(R"({"temperature":NaN})").find("not valid JSON"), std::string::npos);
}

TEST(OpenaiParse, SyntaxMessagesStayShort) {
    const std::string body = R"({"model":")" + std::string(1 << 20, 'a') + "\xFF\"}";
    EXPECT_LT(message_of(body).size(), 400U);
    EXPECT_LT(message_of(R"({"model":"m","messages":")" + std::string(1 << 20, 'a') + "\"}").size(),
              400U);
}

TEST(OpenaiParse, GiantObjectsAreRefusedBeforeTheyCostTime) {
    std::string body = R"({"model":"m","logit_bias":{)";
    for (int i = 0; i < 200000; ++i) {
        body += fmt::format("{}\"{}\":1", i == 0 ? "" : ",", i);
    }
    EXPECT_NE(message_of(body + "}}").find("thousands of fields"), std::string::npos);
}

TEST(OpenaiTokens, AreLimitedInNumberAndLength) {
    std::string ids = "1";
    for (int i = 1; i < 262'144; ++i) {
        ids += ",1";
    }
    const auto text_of = [](const std::string& list) {
        return ask_text_of_tokens(R"({"model":"m","tokens":[)" + list + "]}", kContext);
    };
    EXPECT_TRUE(text_of(ids));
    const auto refused = text_of(ids + ",1");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "tokens: there are 262145; send at most 262144 at once");

    const std::string most(std::size_t{4} << 20U, 'a');
    const auto tokens_of = [](const std::string& text) {
        return ask_tokens(R"({"model":"m","content":")" + text + "\"}", kContext);
    };
    EXPECT_FALSE(tokens_of(most + "a"));
    auto asked = tokens_of(most);
    ASSERT_TRUE(asked);
    job::Tokens tokens;
    tokens.ids.assign(1'000'001, 1);
    asked->writer->on_event(0, tokens);
    ASSERT_NE(asked->writer->error(), nullptr);
    EXPECT_EQ(asked->writer->error()->fault, Fault::invalid);
}

TEST(OpenaiParse, ColonsInTextsAreNotFields) {
    const std::string text(100000, ':');
    EXPECT_EQ(
        parsed(Endpoint::completions, R"({"model":"m","prompt":"\")" + text + "\"}").jobs.size(),
        1U);
}

TEST(OpenaiParse, LimitsOfCounts) {
    const auto repeated = [](std::string_view item, std::size_t count) {
        std::string list;
        for (std::size_t i = 0; i < count; ++i) {
            list += i == 0 ? "" : ",";
            list += item;
        }
        return "[" + list + "]";
    };
    const auto chat = [&](std::size_t messages) {
        return R"({"model":"m","messages":)" +
               repeated(R"({"role":"user","content":"x"})", messages) + "}";
    };
    EXPECT_EQ(
        std::get<job::Chat>(parsed(Endpoint::chat_completions, chat(kMessagesMax)).jobs[0].ask)
            .messages.size(),
        kMessagesMax);
    EXPECT_NE(message_of(chat(kMessagesMax + 1)).find("at most 4096"), std::string::npos);

    const auto prompts = [&](std::size_t count) {
        return parse(Endpoint::completions,
                     R"({"model":"m","prompt":)" + repeated("\"x\"", count) + "}", kContext);
    };
    EXPECT_EQ(prompts(kChoicesMax)->jobs.size(), kChoicesMax);
    EXPECT_EQ(prompts(kChoicesMax)->jobs[127].id, "cmpl-t-127");
    ASSERT_FALSE(prompts(kChoicesMax + 1));
    EXPECT_EQ(prompts(kChoicesMax + 1).error().message,
              "prompt: got 129 prompts; send at most 128");
}

TEST(OpenaiStream, FastPathBytes) {
    StreamWriter writer(parsed(Endpoint::chat_completions, kChat));
    EXPECT_EQ(writer.on_event(0, job::Text{0, "a\"\\\n\x01\xC3\xA4", false, {}}),
              "data: {\"id\":\"chatcmpl-t\",\"object\":\"chat.completion.chunk\","
              "\"created\":1700000000,\"model\":\"m\",\"system_fingerprint\":\"fp\",\"choices\":["
              "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
              "\"finish_reason\":null}]}\n\n"
              "data: {\"id\":\"chatcmpl-t\",\"object\":\"chat.completion.chunk\","
              "\"created\":1700000000,\"model\":\"m\",\"system_fingerprint\":\"fp\",\"choices\":["
              "{\"index\":0,\"delta\":{\"content\":\"a\\\"\\\\\\n\\u0001\xC3\xA4\"},"
              "\"logprobs\":null,\"finish_reason\":null}]}\n\n");
}

TEST(OpenaiStream, NothingAfterTheEnd) {
    StreamWriter writer(parsed(Endpoint::chat_completions, kChat));
    writer.on_event(0, job::ChoiceEnd{});
    EXPECT_FALSE(writer.finished());
    EXPECT_NE(writer.on_event(0, job::Done{}).find("data: [DONE]\n\n"), std::string::npos);
    EXPECT_TRUE(writer.finished());
    EXPECT_EQ(writer.on_event(0, job::Text{0, "late", false, {}}), "");

    StreamWriter failed(parsed(Endpoint::completions, R"({"model":"m","prompt":["a","b"]})"));
    const std::string error = failed.on_event(1, job::Failed{{Fault::unavailable, "stopping"}});
    EXPECT_EQ(error, "data: " + error_body({Fault::unavailable, "stopping"}) + "\n\n");
    EXPECT_TRUE(failed.finished());
    EXPECT_EQ(failed.on_event(0, job::Done{}), "");
}

TEST(OpenaiStream, EmptyTextWithoutLogprobsSendsNothing) {
    StreamWriter writer(parsed(Endpoint::chat_completions, kChat));
    EXPECT_NE(writer.on_event(0, job::Started{3}), "");
    EXPECT_EQ(writer.on_event(0, job::Text{0, "", false, {}}), "");
}

TEST(OpenaiBody, FirstFailureWins) {
    BodyWriter writer(parsed(Endpoint::completions, R"({"model":"m","prompt":["a","b"]})"));
    EXPECT_EQ(writer.error(), nullptr);
    writer.on_event(0, job::Failed{{Fault::exhausted, "first"}});
    writer.on_event(1, job::Failed{{Fault::internal, "second"}});
    EXPECT_TRUE(writer.finished());
    ASSERT_NE(writer.error(), nullptr);
    EXPECT_EQ(writer.error()->message, "first");
}

TEST(OpenaiBody, TimingsThatMakeNoSenseStayNumbers) {
    BodyWriter writer(parsed(Endpoint::chat_completions, kChat));
    job::Done done;
    done.timings.prompt_tokens = 3;
    done.timings.prompt_ms = std::numeric_limits<double>::quiet_NaN();
    done.timings.predicted_ms = std::numeric_limits<double>::infinity();
    writer.on_event(0, done);
    const auto body = json::parse(writer.body());
    ASSERT_TRUE(body) << writer.body();
    EXPECT_EQ((*body)["timings"]["prompt_per_second"], 0.0);
    EXPECT_EQ((*body)["timings"]["predicted_ms"], 0.0);
}

TEST(OpenaiError, StatusOfEachFault) {
    EXPECT_EQ(http_status(Fault::invalid), 400U);
    EXPECT_EQ(http_status(Fault::not_found), 404U);
    EXPECT_EQ(http_status(Fault::exhausted), 429U);
    EXPECT_EQ(http_status(Fault::cancelled), 499U);
    EXPECT_EQ(http_status(Fault::corrupt), 500U);
    EXPECT_EQ(http_status(Fault::internal), 500U);
    EXPECT_EQ(http_status(Fault::unavailable), 503U);
    EXPECT_EQ(http_status(Fault::timeout), 504U);
}

TEST(OpenaiError, ParamIsTheFieldThatTheMessageNames) {
    EXPECT_EQ(error_body({Fault::invalid, "messages[0].content: got null; send a string"}),
              R"({"error":{"message":"messages[0].content: got null; send a string",)"
              R"("type":"invalid_request_error","param":"messages[0].content","code":null}})");
    EXPECT_EQ(error_body({Fault::invalid, "messages: 1200 tokens do not fit the context of 1024"}),
              R"({"error":{"message":"messages: 1200 tokens do not fit the context of 1024",)"
              R"("type":"invalid_request_error","param":"messages",)"
              R"("code":"context_length_exceeded"}})");
    // A colon alone makes no field.
    EXPECT_EQ(error_body({Fault::internal, "model.gguf is gone: say \"why\""}),
              R"({"error":{"message":"model.gguf is gone: say \"why\"","type":"server_error",)"
              R"("param":null,"code":"internal"}})");
    EXPECT_EQ(
        error_body({Fault::invalid, "n"}),
        R"({"error":{"message":"n","type":"invalid_request_error","param":null,"code":null}})");
}

TEST(OpenaiError, CodeOfEachFault) {
    const auto code = [](Fault fault, const char* message) {
        return json::parse(error_body({fault, message})).value()["error"]["code"];
    };
    EXPECT_EQ(code(Fault::not_found, "model: no \"x\"; see GET /v1/models"), "model_not_found");
    EXPECT_EQ(code(Fault::not_found, "path: no /v2; see /v1"), "unknown_url");
    EXPECT_EQ(code(Fault::exhausted, "the queue is full"), "rate_limit_exceeded");
    EXPECT_EQ(code(Fault::cancelled, "the client went away"), "cancelled");
    EXPECT_EQ(code(Fault::unavailable, "stopping"), "unavailable");
    EXPECT_EQ(code(Fault::timeout, "too slow"), "timeout");
}

TEST(OpenaiError, IllFormedTextIsRepaired) {
    EXPECT_TRUE(json::parse(error_body({Fault::invalid, "read \xFF\xFE"})));
}

TEST(OpenaiModels, ListAndOne) {
    job::ModelCard card;
    card.id = "trilane-nano";
    card.name = "Nano";
    card.architecture = "bitnet-b1.58";
    card.created_unix_s = 7;
    card.context_tokens = 1024;
    card.quantization = "TQ2_0";
    card.abilities.chat = card.abilities.complete = card.abilities.vision = true;
    const std::string one = model_body(card);
    EXPECT_EQ(one, R"({"id":"trilane-nano","object":"model","created":7,"owned_by":"trilane",)"
                   R"("meta":{"name":"Nano","architecture":"bitnet-b1.58","n_params":0,"size":0,)"
                   R"("n_ctx":1024,"n_vocab":0,"licence":"","quantization":"TQ2_0",)"
                   R"("capabilities":["chat","completion","vision"]}})");
    const std::vector<job::ModelCard> cards = {card, card};
    EXPECT_EQ(models_body(cards), R"({"object":"list","data":[)" + one + "," + one + "]}");
    EXPECT_EQ(models_body({}), R"({"object":"list","data":[]})");
}

}  // namespace
}  // namespace trilane::dialect::openai
