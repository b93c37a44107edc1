#include "lane/upstream/answer_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "lane/upstream/server_error.h"
#include "lane/upstream/test_transcripts.h"

namespace trilane::lane::upstream {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Events = std::vector<std::string>;

Transcript llama(std::string body) {
    Transcript transcript;
    transcript.server = {"qwen3-4b", "", 0, {}};
    transcript.request = chat_request();
    transcript.body = std::move(body);
    return transcript;
}

/// As the NPU lane has it.
Transcript flm(std::string body) {
    Transcript transcript = llama(std::move(body));
    UpstreamRules& rules = transcript.server.rules;
    rules.errors_in_200 = rules.renumber_tool_calls = rules.never_says_length = true;
    rules.stops_ignored = rules.single_choice = rules.end_may_be_missing = true;
    rules.check_model = rules.integer_min_p = true;
    rules.max_tokens_min = 2;
    transcript.server.model = "qwen3:0.6b";
    transcript.server.context_tokens = 4096;
    return transcript;
}

std::string stream(std::initializer_list<std::string_view> chunks) {
    std::string body;
    for (const std::string_view chunk : chunks) {
        body += fmt::format("data: {}\n\n", chunk);
    }
    return body;
}

/// The same events however the bytes are cut: in two at every place, in three, one by one.
void expect_everywhere(const Transcript& transcript, const Events& expected) {
    const std::size_t size = transcript.body.size();
    ASSERT_EQ(events_of(transcript), expected);
    for (std::size_t cut = 0; cut <= size; ++cut) {
        ASSERT_EQ(events_of(transcript, {cut}), expected) << "cut at " << cut;
        ASSERT_EQ(events_of(transcript, {cut / 2, cut}), expected) << "cut at " << cut;
    }
    std::vector<std::size_t> all(size);
    for (std::size_t i = 0; i < size; ++i) {
        all[i] = i + 1;
    }
    EXPECT_EQ(events_of(transcript, all), expected);
}

TEST(AnswerReaderTest, ReadsLlamaServersStreamCutAnywhere) {
    expect_everywhere(
        llama(std::string(kLlamaChat)),
        {"started 0", "text 0 'Hel'", "text 0 'lo \"ä😀\"\n'", "text 0 'wörld'", "end 0 stop",
         "done prompt=12 cached=8 completion=4 read=4 in 21.5 ms, 4 in 80.2 ms"});
}

TEST(AnswerReaderTest, ReadsFlmsStreamCutAnywhere) {
    expect_everywhere(flm(std::string(kFlmChat)),
                      {"started 0", "thought 0 'Hm'", "text 0 'One'", "text 0 ' two'", "end 0 stop",
                       "done prompt=9 cached=0 completion=3 read=9 in 250.0 ms, 3 in 125.0 ms"});
}

TEST(AnswerReaderTest, ReadsCarriageReturns) {
    std::string body;
    for (const char c : kLlamaChat) {
        body += c == '\n' ? std::string("\r\n") : std::string(1, c);
    }
    EXPECT_EQ(events_of(llama(body)), events_of(llama(std::string(kLlamaChat))));
}

TEST(AnswerReaderTest, ReadsCompletions) {
    Transcript transcript = llama(stream(
        {R"({"choices":[{"text":"a","index":0,"logprobs":null,"finish_reason":null}],"object":"text_completion"})",
         R"({"choices":[{"text":"b","index":1,"logprobs":null,"finish_reason":null}]})",
         R"({"choices":[{"text":"","index":1,"finish_reason":"length"}]})",
         R"({"choices":[{"text":"","index":0,"finish_reason":"stop"}]})",
         R"({"choices":[],"usage":{"completion_tokens":2,"prompt_tokens":3}})", "[DONE]"}));
    transcript.request.ask = job::Completion{"x", false};
    transcript.request.choices = 2;
    EXPECT_THAT(events_of(transcript),
                ElementsAre("started 0", "text 0 'a'", "text 1 'b'", "end 1 length", "end 0 stop",
                            StartsWith("done prompt=3 cached=0 completion=2")));
}

TEST(AnswerReaderTest, ReadsAnswersThatAreNoStream) {
    Transcript transcript = llama(
        R"({"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","reasoning_content":"hm","content":"Hi"}}],"usage":{"prompt_tokens":5,"completion_tokens":2},"model":"qwen3-4b"})");
    transcript.content_type = "application/json; charset=utf-8";
    const Events expected = {"started 5", "thought 0 'hm'", "text 0 'Hi'", "end 0 stop",
                             "done prompt=5 cached=0 completion=2 read=5 in 0.0 ms, 2 in 0.0 ms"};
    expect_everywhere(transcript, expected);
    transcript.content_type = "text/event-stream";  // as FLM may call it
    expect_everywhere(transcript, expected);
    transcript.content_type = "";
    expect_everywhere(transcript, expected);
}

TEST(AnswerReaderTest, JoinsCharactersThatTheServerCut) {
    const std::string body =
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\xF0\x9F\"}}]}\n\n"
        "data: {\"choices\":[{\"delta\":{\"content\":\"\x98\x80z\xC3\"}}]}\n\n"
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        "data: [DONE]\n\n";
    EXPECT_THAT(events_of(llama(body)),
                ElementsAre("started 0", "text 0 'a'", "text 0 '😀z'", "text 0 '\uFFFD'",
                            "end 0 stop", StartsWith("done")));
    EXPECT_THAT(events_of(llama("data: {\"choices\":[{\"delta\":{\"content\":\"\xFF!\"}}]}\n\n"
                                "data: [DONE]\n\n")),
                ElementsAre("started 0", "text 0 '\uFFFD!'", "end 0 stop", StartsWith("done")));
}

TEST(AnswerReaderTest, ReadsToolCallsInPieces) {
    EXPECT_THAT(
        events_of(llama(stream(
            {R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"weather","arguments":"{"}}]}}]})",
             R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"a\":1}"}}]}}]})",
             R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c2","function":{"name":"time","arguments":""}}]}}]})",
             R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})", "[DONE]"}))),
        ElementsAre("started 0", "call 0.0 id=c1 name=weather '{'", "call 0.0 id= name= '\"a\":1}'",
                    "call 0.1 id=c2 name=time ''", "end 0 tool_calls", StartsWith("done")));
}

TEST(AnswerReaderTest, RenumbersToolCalls) {
    const std::string body = stream(
        {R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":17,"id":"call_1766","function":{"name":"a","arguments":"{}"}}]}}]})",
         R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":18,"id":"call_1766","function":{"name":"b","arguments":"{"}}]}}]})",
         R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":18,"function":{"arguments":"}"}}]}}]})",
         R"({"choices":[{"index":0,"delta":{"content":null},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":9}})",
         "[DONE]"});
    EXPECT_THAT(events_of(flm(body)),
                ElementsAre("started 0", "call 0.0 id=call_1766 name=a '{}'",
                            "call 0.1 id=call_1766_1 name=b '{'", "call 0.1 id= name= '}'",
                            "end 0 tool_calls", StartsWith("done")));
    EXPECT_THAT(events_of(llama(body)).at(1), StartsWith("call 0.17 "));
}

TEST(AnswerReaderTest, ReadsToolCallsWithoutIndexOrId) {
    EXPECT_THAT(
        events_of(llama(
            R"({"choices":[{"message":{"tool_calls":[{"function":{"name":"a","arguments":{"x":[1]}}},{"id":"k","function":{"name":"b","arguments":"{}"}}]},"finish_reason":"tool_calls"}]})")),
        ElementsAre("started 0", "call 0.0 id=call_r1_0_0 name=a '{\"x\":[1]}'",
                    "call 0.1 id=k name=b '{}'", "end 0 tool_calls", StartsWith("done")));
}

TEST(AnswerReaderTest, RefusesChoicesAndCallsOutOfRange) {
    EXPECT_THAT(events_of(llama(stream({R"({"choices":[{"index":1,"delta":{"content":"x"}}]})"}))),
                ElementsAre("started 0", HasSubstr("failed corrupt: the model's server sent choice "
                                                   "1 where 1 were asked for")));
    for (const std::string_view index : {"256", "4294967295", "1e300"}) {
        EXPECT_THAT(events_of(llama(stream({fmt::format(
                        R"({{"choices":[{{"delta":{{"tool_calls":[{{"index":{},"id":"c"}}]}}}}]}})",
                        index)}))),
                    ElementsAre("started 0", StartsWith("failed corrupt")));
    }
}

TEST(AnswerReaderTest, ReadsBothShapesOfLogprobs) {
    Transcript transcript = llama(stream(
        {R"({"choices":[{"index":0,"delta":{"content":"é"},"logprobs":{"content":[{"id":11,"token":"?","bytes":[195,169],"logprob":-0.5,"top_logprobs":[{"id":11,"token":"é","bytes":[195,169],"logprob":-0.5},{"id":5,"token":"e","bytes":null,"logprob":-1.25}]}]}}]})",
         "[DONE]"}));
    transcript.request.top_logprobs = 1;
    EXPECT_EQ(events_of(transcript).at(1), "text 0 'é' [11 é -0.50 | 11 é -0.50]");
    transcript.request.top_logprobs = 0;
    EXPECT_EQ(events_of(transcript).at(1), "text 0 'é' [11 é -0.50]");
    transcript.request.top_logprobs.reset();
    EXPECT_EQ(events_of(transcript).at(1), "text 0 'é'");

    transcript.body = stream(
        {R"({"choices":[{"text":"ab","logprobs":{"tokens":["a","b"],"token_logprobs":[null,-1],"top_logprobs":[null,{"x":-3,"b":-1}],"text_offset":[0,1]}}]})",
         "[DONE]"});
    transcript.request.top_logprobs = 5;
    EXPECT_EQ(events_of(transcript).at(1),
              "text 0 'ab' [0 a nan] [0 b -1.00 | 0 b -1.00 | 0 x -3.00]");
}

TEST(AnswerReaderTest, SaysLengthWhereTheServerDoesNot) {
    const auto answer = [](std::string_view usage) {
        return stream(
            {R"({"choices":[{"delta":{"content":"a"}}]})",
             R"({"choices":[{"delta":{"content":"b"}}]})",
             fmt::format(
                 R"({{"choices":[{{"delta":{{"content":null}},"finish_reason":"stop"}}]{}}})",
                 usage),
             "[DONE]"});
    };
    const std::string with_usage = answer(R"(,"usage":{"prompt_tokens":4,"completion_tokens":2})");
    Transcript transcript = flm(with_usage);
    transcript.request.max_tokens = 2;
    EXPECT_THAT(events_of(transcript), testing::Contains("end 0 length"));
    transcript.body = answer("");  // then the pieces are counted
    EXPECT_THAT(events_of(transcript), testing::Contains("end 0 length"));
    transcript.request.max_tokens = 3;
    EXPECT_THAT(events_of(transcript), testing::Contains("end 0 stop"));
    transcript.body = with_usage;
    transcript.request.max_tokens.reset();
    EXPECT_THAT(events_of(transcript), testing::Contains("end 0 stop"));
    transcript.server.context_tokens = 6;
    EXPECT_THAT(events_of(transcript), testing::Contains("end 0 length"));
    transcript.server.rules.never_says_length = false;
    EXPECT_THAT(events_of(transcript), testing::Contains("end 0 stop"));
}

TEST(AnswerReaderTest, DoesWithoutAnEndMarkWhereTheRulesSay) {
    const std::string whole(kFlmChat);
    const std::string unmarked = whole.substr(0, whole.find("data: [DONE]"));
    EXPECT_EQ(events_of(flm(unmarked)), events_of(flm(whole)));
    // Not even the connection's end is waited for.
    Transcript transcript = flm(unmarked);
    transcript.end = fail(Fault::timeout, "silence");
    EXPECT_EQ(events_of(transcript), events_of(flm(whole)));
    // Without figures the end of the transfer decides.
    const std::string bare = stream({R"({"choices":[{"delta":{"content":"a"}}]})",
                                     R"({"choices":[{"delta":{},"finish_reason":"stop"}]})"});
    EXPECT_THAT(events_of(flm(bare)),
                ElementsAre("started 0", "text 0 'a'", "end 0 stop", StartsWith("done")));
    EXPECT_THAT(events_of(llama(bare)).back(), HasSubstr("failed unavailable"));
}

TEST(AnswerReaderTest, ReportsAnswersThatEndInTheMiddle) {
    const std::string_view end_mark = "data: [DONE]";
    const std::size_t complete = kLlamaChat.find(end_mark) + end_mark.size();
    for (std::size_t size = 1; size < complete; ++size) {
        Transcript transcript = llama(std::string(kLlamaChat.substr(0, size)));
        const Events events = events_of(transcript);
        ASSERT_THAT(events.back(), HasSubstr("failed unavailable: the model's server ended its "
                                             "answer in the middle"))
            << size;
        transcript.end = fail(Fault::unavailable, "connection lost");
        ASSERT_THAT(
            events_of(transcript).back(),
            HasSubstr("failed unavailable: the answer ended in the middle: connection lost"))
            << size;
    }
    Transcript transcript = llama(std::string(kLlamaChat.substr(0, complete)));
    EXPECT_THAT(events_of(transcript).back(), StartsWith("done"));
    transcript.body = kLlamaChat;
    transcript.end = fail(Fault::unavailable, "connection lost");
    EXPECT_THAT(events_of(transcript).back(), StartsWith("done"));
}

TEST(AnswerReaderTest, PassesTheTransfersOwnFaults) {
    Transcript transcript = llama("");
    transcript.status = 0;
    transcript.end = fail(Fault::unavailable, "cannot connect");
    EXPECT_THAT(events_of(transcript), ElementsAre("failed unavailable: cannot connect"));
    transcript = llama("data: ");
    transcript.end = fail(Fault::cancelled, "cancelled");
    EXPECT_THAT(events_of(transcript), ElementsAre("failed cancelled: cancelled"));
    EXPECT_THAT(events_of(llama("")), ElementsAre(StartsWith("failed corrupt: the model's server "
                                                             "sent an empty answer")));
}

struct StatusRow {
    unsigned status;
    std::string_view body;
    std::string_view expected;
};

TEST(AnswerReaderTest, MapsStatusesToFaults) {
    const StatusRow rows[] = {
        {400,
         R"({"error":{"code":400,"message":"too long: 5000 tokens","type":"exceed_context_size_error"}})",
         "failed invalid: the model's server refused the request: too long: 5000 tokens"},
        {422, R"({"detail":"bad"})", "failed invalid: the model's server refused the request: bad"},
        {401, R"({"error":{"message":"Incorrect API key provided: sk-ab12"}})",
         "failed unavailable: the server refused the key; set the lane's api_key"},
        {403, "", "failed unavailable: the server refused the key; set the lane's api_key"},
        {404, R"({"error":"Not Found"})",
         "failed not_found: the server knows no model 'qwen3-4b' or has no such path; check the "
         "lane's url and models: Not Found"},
        {429, R"({"object":"error","message":"slow down","code":429})",
         "failed exhausted: the model's server has too much to do; try again later: slow down"},
        {503, R"({"error":{"code":503,"message":"Loading model","type":"unavailable_error"}})",
         "failed unavailable: the model's server cannot serve now; try again later: Loading model"},
        {500, "<html>\n<b>oops</b>",
         "failed unavailable: the model's server failed (500); try "
         "again, or look at the lane's log: <html> <b>oops</b>"},
        {504, "", "failed timeout: the model's server took too long."},
        {301, "",
         "failed unavailable: the server answered with status 301 rather than 200; check "
         "the lane's url."},
    };
    for (const StatusRow& row : rows) {
        Transcript transcript = llama(std::string(row.body));
        transcript.status = row.status;
        transcript.content_type = "application/json";
        expect_everywhere(transcript, {std::string(row.expected)});
    }
}

TEST(AnswerReaderTest, FindsErrorsInsideGoodAnswers) {
    const StatusRow rows[] = {
        {200,
         R"--({"error":"basic_string::substr: __pos (which is 1) > this->size() (which is 0)"})--",
         "failed unavailable: the model's server failed (500); try again, or look at the lane's "
         "log: basic_string::substr: __pos (which is 1) > this->size() (which is 0)"},
        {200, R"({"error":{"message":"Max length reached!","code":400}})",
         "failed invalid: the model's server refused the request: Max length reached!"},
        {200, R"({"error":{"message":"queue full","code":"503"}})",
         "failed unavailable: the model's server cannot serve now; try again later: queue full"},
        {200, R"({"error":{"message":"full","type":"rate_limit_error"}})",
         "failed exhausted: the model's server has too much to do; try again later: full"},
        {200, R"({"error":{}})",
         "failed unavailable: the model's server failed (500); try again, "
         "or look at the lane's log."},
    };
    for (const StatusRow& row : rows) {
        expect_everywhere(flm(std::string(row.body)), {std::string(row.expected)});
        expect_everywhere(flm(stream({row.body})), {std::string(row.expected)});
        expect_everywhere(llama(fmt::format("error: {}\n\n", row.body)),
                          {std::string(row.expected)});
    }
    // In the middle of a stream, framed or not.
    const std::string begun = stream({R"({"choices":[{"delta":{"content":"a"}}],"error":null})"});
    for (const std::string& body :
         {begun + stream({rows[0].body}), begun + std::string(rows[0].body) + "\n",
          begun + "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\r\n" +
              std::string(rows[0].body)}) {
        EXPECT_THAT(events_of(flm(body)),
                    ElementsAre("started 0", "text 0 'a'", std::string(rows[0].expected)));
    }
    EXPECT_THAT(
        events_of(llama(begun + stream({R"({"choices":[{"finish_reason":"error"}]})"}))).back(),
        StartsWith("failed unavailable"));
}

TEST(AnswerReaderTest, RefusesGarbage) {
    for (const std::string_view body :
         {"null", "[]", "42", "<html>", "{\"a\":", "{}", R"({"choices":[]})", "data: {\"a\n\n",
          "data: nonsense\n\n", "data: [1]\n\n", "data: [DONE]\n\n", "\x01\x02\xFF",
          "{\"choices\":7}", "data: {\"choices\":[3]}\n\n"}) {
        EXPECT_THAT(events_of(flm(std::string(body))), ElementsAre(StartsWith("failed corrupt: ")))
            << body;
    }
    // Objects that are no pieces of an answer are skipped.
    EXPECT_THAT(
        events_of(llama(stream({R"({"type":"ping"})", R"({"choices":[{"text":"x"}]})", "[DONE]"}))),
        ElementsAre("started 0", "text 0 'x'", "end 0 stop", StartsWith("done")));
}

TEST(AnswerReaderTest, SurvivesSenselessFigures) {
    for (const std::string_view usage :
         {"null", "7", R"({"prompt_tokens":null,"completion_tokens":NaN})",
          R"({"prompt_tokens":-5,"prompt_tokens_details":null,"prefill_duration_ttft":-Infinity})",
          R"({"prompt_tokens":"9","decoding_duration":null})"}) {
        EXPECT_EQ(events_of(llama(stream({R"({"choices":[{"text":"x","finish_reason":"stop"}]})",
                                          fmt::format(R"({{"choices":[],"usage":{}}})", usage),
                                          "[DONE]"})))
                      .back(),
                  "done prompt=0 cached=0 completion=1 read=0 in 0.0 ms, 1 in 0.0 ms");
    }
    EXPECT_EQ(
        events_of(
            llama(stream(
                {R"({"choices":[{"text":"x"}],"usage":{"prompt_tokens":1e99,"completion_tokens":1.9,"prompt_tokens_details":{"cached_tokens":3e9}}})",
                 "[DONE]"})))
            .back(),
        "done prompt=4294967295 cached=3000000000 completion=1 read=1294967295 in 0.0 ms, 1 "
        "in 0.0 ms");
    EXPECT_EQ(
        events_of(
            llama(stream(
                {R"({"choices":[{"text":"x"}],"timings":{"cache_n":3,"prompt_n":4,"prompt_ms":1.5,"predicted_n":1,"predicted_ms":null}})",
                 "[DONE]"})))
            .back(),
        "done prompt=7 cached=3 completion=1 read=4 in 1.5 ms, 1 in 0.0 ms");
}

TEST(AnswerReaderTest, ChecksWhichModelAnswered) {
    const std::string wrong =
        stream({R"({"model":"llama3.2:1b","choices":[{"delta":{"content":"x"}}]})"});
    EXPECT_THAT(events_of(flm(wrong)),
                ElementsAre("failed corrupt: the model's server answered as 'llama3.2:1b' though "
                            "'qwen3:0.6b' was asked for; reload the model"));
    EXPECT_THAT(events_of(llama(wrong)), testing::Contains("text 0 'x'"));
}

TEST(AnswerReaderTest, NeverShowsTheKey) {
    const std::string_view words = "bad key sk-secret-123 (sk-secret-123)";
    for (const unsigned status : {200U, 400U, 500U}) {
        Transcript transcript = llama(fmt::format(R"({{"error":{{"message":"{}"}}}})", words));
        transcript.server.api_key = "sk-secret-123";
        transcript.status = status;
        EXPECT_THAT(events_of(transcript).at(0),
                    testing::AllOf(HasSubstr("bad key … (…)"), Not(HasSubstr("secret"))));
    }
    Transcript transcript = llama(std::string(495, 'x') + "sk-secret-123");
    transcript.server.api_key = "sk-secret-123";
    EXPECT_THAT(events_of(transcript).at(0), Not(HasSubstr("sk-")));
}

TEST(AnswerReaderTest, BoundsWhatItKeeps) {
    Transcript transcript = llama("{\"a\":\"" + std::string(kWholeBytesMax, 'x'));
    EXPECT_THAT(events_of(transcript), ElementsAre(StartsWith("failed corrupt")));
    transcript.body = "data: " + std::string(kEventBytesMax, 'x');
    EXPECT_THAT(events_of(transcript), ElementsAre(StartsWith("failed corrupt")));
    transcript.status = 500;
    transcript.body = std::string(2 * kErrorBytesMax, 'x');
    const Events events = events_of(transcript);
    EXPECT_THAT(events, ElementsAre(StartsWith("failed unavailable")));
    EXPECT_LT(events[0].size(), 2 * kQuoteBytesMax);
}

TEST(AnswerReaderTest, SaysNothingAfterTheEnd) {
    const std::string body(kLlamaChat);
    EXPECT_EQ(events_of(llama(body + body + "garbage")), events_of(llama(body)));
    EXPECT_THAT(events_of(llama(
                    stream({R"({"choices":[{"text":"a","finish_reason":"stop"}]})",
                            R"({"choices":[{"text":"b","finish_reason":"stop"}]})", "[DONE]"}))),
                ElementsAre("started 0", "text 0 'a'", "end 0 stop", StartsWith("done")));
}

TEST(AnswerReaderTest, StartsWithACommentOfAServerAtWork) {
    EXPECT_THAT(events_of(llama(": ping\n\n")), ElementsAre("started 0", StartsWith("failed")));
}

TEST(AnswerReaderTest, ReadsWhatIsFilledIn) {
    Transcript transcript;
    transcript.request.ask = job::Completion{"a", false};
    transcript.request.stop = {"\n\n"};
    transcript.body =
        "data: {\"index\":0,\"content\":\"x = \",\"tokens\":[1],\"stop\":false,"
        "\"tokens_predicted\":1,\"tokens_evaluated\":12}\n\n"
        "data: {\"index\":0,\"content\":\"1\",\"stop\":false,\"tokens_predicted\":2,"
        "\"tokens_evaluated\":12}\n\n"
        "data: {\"index\":0,\"content\":\"\",\"stop\":true,\"model\":\"m\","
        "\"tokens_predicted\":3,\"tokens_evaluated\":12,\"stop_type\":\"word\","
        "\"stopping_word\":\"\\n\\n\",\"timings\":{\"prompt_n\":12,\"prompt_ms\":2.0,"
        "\"predicted_n\":3,\"predicted_ms\":4.0}}\n\n";
    EXPECT_THAT(
        events_of(transcript),
        testing::ElementsAre("started 12", "text 0 'x = '", "text 0 '1'", "end 0 stop at \n\n",
                             "done prompt=12 cached=0 completion=3 read=12 in 2.0 ms, 3 in "
                             "4.0 ms"));
}

TEST(AnswerReaderTest, TellsWhichStopTextItWas) {
    Transcript transcript;
    transcript.request = chat_request();
    transcript.request.stop = {"END"};
    for (const char* name : {"stop_reason", "matched_stop"}) {
        transcript.body = fmt::format(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"a\"}},"
            "\"finish_reason\":\"stop\",\"{}\":\"END\"}}]}}\n\ndata: [DONE]\n\n",
            name);
        EXPECT_EQ(events_of(transcript).at(2), "end 0 stop at END");
    }
}

}  // namespace
}  // namespace trilane::lane::upstream
