// What the data files of the wire test cannot say: errors of HTTP and of jobs, counting, the list
// of models, limits.
#include "dialect/anthropic/anthropic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialect/anthropic/blocks.h"
#include "json/json.h"

namespace trilane::dialect::anthropic {
namespace {

using json::Value;
using testing::HasSubstr;

const Context kContext{"t", 1700000000, "fp"};

Value parsed_json(std::string_view text) {
    auto value = json::parse(text);
    EXPECT_TRUE(value) << text;
    return value.value_or(Value());
}

std::string type_of(Fault fault) {
    return parsed_json(error_body({fault, "x"}))["error"]["type"];
}

std::string type_of(unsigned status) {
    return parsed_json(status_body(status, "x"))["error"]["type"];
}

TEST(AnthropicError, EveryFaultHasItsType) {
    EXPECT_EQ(type_of(Fault::invalid), "invalid_request_error");
    EXPECT_EQ(type_of(Fault::not_found), "not_found_error");
    EXPECT_EQ(type_of(Fault::exhausted), "rate_limit_error");
    EXPECT_EQ(type_of(Fault::unavailable), "overloaded_error");
    EXPECT_EQ(type_of(Fault::timeout), "timeout_error");
    EXPECT_EQ(type_of(Fault::internal), "api_error");
    EXPECT_EQ(type_of(Fault::corrupt), "api_error");
}

TEST(AnthropicError, EveryStatusHasItsType) {
    EXPECT_EQ(type_of(400U), "invalid_request_error");
    EXPECT_EQ(type_of(401U), "authentication_error");
    EXPECT_EQ(type_of(403U), "permission_error");
    EXPECT_EQ(type_of(404U), "not_found_error");
    EXPECT_EQ(type_of(405U), "invalid_request_error");
    EXPECT_EQ(type_of(408U), "timeout_error");
    EXPECT_EQ(type_of(413U), "request_too_large");
    EXPECT_EQ(type_of(429U), "rate_limit_error");
    EXPECT_EQ(type_of(500U), "api_error");
    EXPECT_EQ(type_of(503U), "overloaded_error");
    EXPECT_EQ(type_of(504U), "timeout_error");
}

TEST(AnthropicError, NamesTheRequest) {
    const Value body = parsed_json(with_request(status_body(404, "a \"b\""), "req-\"1\""));
    EXPECT_EQ(body["type"], "error");
    EXPECT_EQ(body["error"]["message"], "a \"b\"");
    EXPECT_EQ(body["request_id"], "req-\"1\"");
    EXPECT_EQ(with_request("", "x"), "");
}

TEST(AnthropicError, SaysHowAModelGetsTheName) {
    const std::string message = parsed_json(error_body(
        {Fault::not_found,
         "model: there is none called 'claude-x' here; use one of: a"}))["error"]["message"];
    EXPECT_THAT(message, HasSubstr("use one of: a"));
    EXPECT_THAT(message, HasSubstr("aliases = [\"claude-x\"]"));
    EXPECT_EQ(parsed_json(error_body({Fault::not_found, "path: no"}))["error"]["message"],
              "path: no");
}

TEST(AnthropicError, AThreadIsNotKept) {
    const auto result =
        parse(R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"Hi"}],)"
              R"("thread":{"type":"continue","previous_message_id":"msg_1"}})",
              kContext);
    ASSERT_FALSE(result);
    const Value error = parsed_json(error_body(result.error()))["error"];
    EXPECT_EQ(error["type"], "not_found_error");
    EXPECT_EQ(error["details"]["error_code"], "thread_not_found");
}

TEST(AnthropicError, APromptThatDoesNotFitIsTooLong) {
    const auto message = [](const char* text) {
        return parsed_json(error_body({Fault::invalid, text}))["error"]["message"]
            .get<std::string>();
    };
    EXPECT_EQ(message("the prompt has 900 tokens and the context holds 512"),
              "prompt is too long: the prompt has 900 tokens and the context holds 512");
    EXPECT_EQ(message("messages: 9 tokens, and the context holds 5"),
              "prompt is too long: messages: 9 tokens, and the context holds 5");
    EXPECT_EQ(message("'a' cannot be loaded: its context is too small"),
              "'a' cannot be loaded: its context is too small");
    EXPECT_EQ(message("context_management.edits: wrong"), "context_management.edits: wrong");
    EXPECT_EQ(message("tools[0].name: context"), "tools[0].name: context");
}

TEST(AnthropicSeal, HoldsAnyThinking) {
    for (const std::string text : {"", "a", "Zwölf \"Boxkämpfer\"\n", "\xF0\x9F\x98\x80"}) {
        EXPECT_EQ(unsealed(sealed(text)), text);
    }
    EXPECT_EQ(unsealed(""), "");
    EXPECT_EQ(unsealed("EqQBCgIYAhIM"), "") << "the vendor's own";
    EXPECT_EQ(unsealed("trilane-!"), "");
    EXPECT_EQ(unsealed("trilane-/w=="), "") << "no UTF-8";
}

TEST(AnthropicCount, NeedsNoLengthAndAnswersTheNumber) {
    auto asked =
        ask_count(R"({"model":"m","system":"S","messages":[{"role":"user","content":"Hi"}],)"
                  R"("metadata":{"user_id":"u"},"tools":[{"name":"t","input_schema":{}}]})",
                  kContext);
    ASSERT_TRUE(asked) << asked.error().message;
    ASSERT_EQ(asked->jobs.size(), 1U);
    EXPECT_EQ(asked->model, "m");
    EXPECT_EQ(asked->jobs[0].client, "u");
    const auto& chat = std::get<job::CountTokens>(asked->jobs[0].ask).chat;
    EXPECT_EQ(chat.messages.size(), 2U);
    EXPECT_EQ(chat.tools.size(), 1U);
    EXPECT_FALSE(asked->stream);
    job::Done done;
    done.usage.prompt_tokens = 41;
    EXPECT_FALSE(asked->writer->finished());
    asked->writer->on_event(0, done);
    ASSERT_TRUE(asked->writer->finished());
    EXPECT_EQ(asked->writer->body(), R"({"input_tokens":41})");
}

TEST(AnthropicCount, TellsWhyNot) {
    auto asked =
        ask_count(R"({"model":"m","messages":[{"role":"user","content":"Hi"}]})", kContext);
    ASSERT_TRUE(asked);
    asked->writer->on_event(0, job::Failed{{Fault::invalid, "cannot"}});
    ASSERT_TRUE(asked->writer->finished());
    ASSERT_NE(asked->writer->error(), nullptr);
    EXPECT_EQ(asked->writer->error()->message, "cannot");
    EXPECT_FALSE(ask_count(R"({"model":"m"})", kContext));
    EXPECT_FALSE(ask_count("[]", kContext));
}

TEST(AnthropicAsk, ChoosesTheWriter) {
    const std::string_view body =
        R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"Hi"}])";
    auto whole = ask(std::string(body) + "}", kContext);
    auto stream = ask(std::string(body) + ",\"stream\":true}", kContext);
    ASSERT_TRUE(whole && stream);
    EXPECT_FALSE(whole->stream);
    EXPECT_TRUE(stream->stream);
    EXPECT_EQ(whole->writer->content_type(), "application/json");
    EXPECT_EQ(whole->writer->heartbeat(), "");
    EXPECT_EQ(stream->writer->content_type(), "text/event-stream");
    EXPECT_EQ(stream->writer->heartbeat(), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
    stream->writer->name_model("real");
    EXPECT_THAT(stream->writer->on_event(0, job::Started{1}), HasSubstr("\"model\":\"real\""));
}

TEST(AnthropicAsk, LimitsHold) {
    const auto refused = [](const Value& fields) {
        Value body = {{"model", "m"}, {"max_tokens", 1}};
        body["messages"] = Value::array({{{"role", "user"}, {"content", "Hi"}}});
        body.update(fields);
        const auto result = parse(json::dump(body), kContext);
        return result ? std::string() : result.error().message;
    };
    const Value turn = {{"role", "user"}, {"content", "x"}};
    const Value tool = {{"name", "t"}, {"input_schema", Value::object()}};
    const Value block = {{"type", "text"}, {"text", "x"}};
    EXPECT_EQ(refused({{"messages", Value(kMessagesMax, turn)}}), "");
    EXPECT_THAT(refused({{"messages", Value(kMessagesMax + 1, turn)}}), HasSubstr("at most"));
    EXPECT_THAT(refused({{"tools", Value(kToolsMax + 1, tool)}}), HasSubstr("at most 1024"));
    EXPECT_THAT(refused({{"system", Value(kBlocksMax, block)}}), "");
    EXPECT_THAT(
        refused({{"messages",
                  Value::array({{{"role", "user"}, {"content", Value(kBlocksMax + 1, block)}}})}}),
        HasSubstr("at most 4096"));
    EXPECT_THAT(refused({{"stop_sequences", Value(kStopTextsMax + 1, "x")}}),
                HasSubstr("at most 64"));
    Value unknown = Value::object();
    for (std::size_t i = 0; i <= kExtraFieldsMax; ++i) {
        unknown["f" + std::to_string(i)] = i;
    }
    EXPECT_THAT(refused(unknown), HasSubstr("not known here"));
}

TEST(AnthropicStream, CallsWhosePiecesAreMixedEndIt) {
    auto asked = ask(
        R"({"model":"m","max_tokens":1,"stream":true,"messages":[{"role":"user","content":"Hi"}]})",
        kContext);
    ASSERT_TRUE(asked);
    asked->writer->on_event(0, job::ToolCallPiece{0, 0, "a", "f", "{"});
    asked->writer->on_event(0, job::ToolCallPiece{0, 1, "b", "f", "{"});
    EXPECT_FALSE(asked->writer->finished());
    EXPECT_THAT(asked->writer->on_event(0, job::ToolCallPiece{0, 0, "", "", "}"}),
                HasSubstr("event: error"));
    EXPECT_TRUE(asked->writer->finished());
}

std::vector<job::ModelCard> cards_named(std::initializer_list<const char*> names) {
    std::vector<job::ModelCard> cards;
    for (const char* name : names) {
        cards.emplace_back().id = name;
    }
    return cards;
}

/// The ids of a page, and whether there are more.
std::string ids(const std::vector<job::ModelCard>& cards, const Page& page) {
    const auto body = models_body(cards, page);
    if (!body) {
        return body.error().message;
    }
    const Value value = parsed_json(*body);
    std::string out;
    for (const Value& model : value["data"]) {
        out += model["id"].get<std::string>();
    }
    EXPECT_EQ(value["first_id"], out.empty() ? Value() : Value(out.substr(0, 1)));
    EXPECT_EQ(value["last_id"], out.empty() ? Value() : Value(out.substr(out.size() - 1)));
    return out + (value["has_more"] == true ? "+" : "");
}

TEST(AnthropicModels, Pages) {
    const auto cards = cards_named({"a", "b", "c", "d", "e"});
    EXPECT_EQ(ids(cards, {}), "abcde");
    EXPECT_EQ(ids(cards, {2, "", ""}), "ab+");
    EXPECT_EQ(ids(cards, {2, "b", ""}), "cd+");
    EXPECT_EQ(ids(cards, {2, "d", ""}), "e");
    EXPECT_EQ(ids(cards, {2, "e", ""}), "");
    EXPECT_EQ(ids(cards, {2, "", "e"}), "cd+");
    EXPECT_EQ(ids(cards, {2, "", "b"}), "a");
    EXPECT_EQ(ids(cards, {9, "a", "d"}), "bc");
    EXPECT_EQ(ids(cards, {9, "d", "a"}), "");
    EXPECT_EQ(ids(cards, {9, "x", ""}), "after_id: no model is called 'x'");
    EXPECT_EQ(ids({}, {}), "");
}

TEST(AnthropicModels, OneModel) {
    job::ModelCard card;
    card.id = "org/m";
    card.created_unix_s = 1700000000;
    card.context_tokens = 4096;
    const Value model = parsed_json(model_body(card));
    EXPECT_EQ(model["type"], "model");
    EXPECT_EQ(model["id"], "org/m");
    EXPECT_EQ(model["display_name"], "org/m");
    EXPECT_EQ(model["created_at"], "2023-11-14T22:13:20Z");
    EXPECT_EQ(model["max_input_tokens"], 4096);
    card.name = "M";
    card.context_tokens = 0;
    card.created_unix_s = -5;
    const Value other = parsed_json(model_body(card));
    EXPECT_EQ(other["display_name"], "M");
    EXPECT_EQ(other["created_at"], "1970-01-01T00:00:00Z");
    EXPECT_EQ(other["max_input_tokens"], nullptr);
}

}  // namespace
}  // namespace trilane::dialect::anthropic
