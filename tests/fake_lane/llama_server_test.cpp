#include <algorithm>
#include <fstream>
#include <iterator>

#include "fake_test_kit.h"

namespace trilane::fake_lane {
namespace {

constexpr std::string_view kTool =
    ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\"}}]";

TEST(LlamaServer, says_that_it_loads_while_it_loads) {
    FakeProcess fake = start_llama(R"({"never_ready":true})");
    for (const std::string_view path : {"/health", "/v1/health", "/v1/models", "/props"}) {
        const TestReply reply = get(fake, path);
        EXPECT_EQ(reply.status, 503U) << path;
        EXPECT_EQ(value_of(reply.body)["error"]["type"], "unavailable_error");
    }
    EXPECT_EQ(post(fake, kChat, chat("hello")).status, 503U);
}

TEST(LlamaServer, gets_ready_after_its_load) {
    FakeProcess fake = start_llama(R"({"load_ms":100})");
    ASSERT_TRUE(wait_until_ready(fake));
    EXPECT_EQ(get(fake, "/health").body, "{\"status\":\"ok\"}");
    EXPECT_GE(stats_of(fake)["uptime_ms"].get<int>(), 100);
}

TEST(LlamaServer, answers_words_that_follow_from_the_prompt) {
    FakeProcess fake = start_llama();
    ASSERT_TRUE(wait_until_ready(fake));
    const json::Value whole =
        value_of(post(fake, kChat, chat("hello [[id:a-7]]", ",\"max_tokens\":3")).body);
    EXPECT_EQ(whole["choices"][0]["message"]["content"], "a-7.0 a-7.1 a-7.2");
    EXPECT_EQ(whole["choices"][0]["finish_reason"], "length");
    EXPECT_EQ(whole["usage"]["completion_tokens"], 3);
    EXPECT_EQ(whole["timings"]["predicted_n"], 3);
    EXPECT_EQ(whole["model"], "tiny");
    const json::Value plain = value_of(post(fake, kChat, chat("[[tokens:2]]", ",\"n\":2")).body);
    EXPECT_EQ(plain["choices"][1]["message"]["content"], "tok0 tok1");
    EXPECT_EQ(plain["choices"][1]["finish_reason"], "stop");
    EXPECT_EQ(plain["choices"][1]["index"], 1);
}

TEST(LlamaServer, streams_and_keeps_the_connection) {
    FakeProcess fake = start_llama();
    ASSERT_TRUE(wait_until_ready(fake));
    TestClient client(fake.port());
    for (int round = 0; round < 2; ++round) {
        client.post(kChat, chat("[[id:s]] [[tokens:3]]",
                                ",\"stream\":true,\"stream_options\":{\"include_usage\":true}"));
        const TestReply reply = client.reply();
        ASSERT_TRUE(reply.complete);
        EXPECT_TRUE(reply.has("text/event-stream"));
        const std::vector<json::Value> events = events_of(reply.body);
        ASSERT_EQ(events.size(), 7U);
        EXPECT_EQ(content_of(events), "s.0 s.1 s.2");
        EXPECT_EQ(events[4]["choices"][0]["finish_reason"], "stop");
        EXPECT_TRUE(events[5]["choices"].empty());
        EXPECT_EQ(events[5]["usage"]["completion_tokens"], 3);
        EXPECT_EQ(events[6], "[DONE]");
    }
    const json::Value stats = stats_of(fake);
    EXPECT_EQ(stats["requests"]["inference"], 2);
    EXPECT_EQ(stats["requests"]["reused"], 1);
    EXPECT_EQ(stats["requests"]["answered"], 2);
}

TEST(LlamaServer, calls_tools_and_thinks_when_the_prompt_says_so) {
    FakeProcess fake = start_llama();
    ASSERT_TRUE(wait_until_ready(fake));
    const json::Value whole =
        value_of(post(fake, kChat, chat("[[tool:2]] [[think]] [[id:x]]", kTool)).body);
    const json::Value& message = whole["choices"][0]["message"];
    EXPECT_EQ(whole["choices"][0]["finish_reason"], "tool_calls");
    EXPECT_EQ(message["reasoning_content"], "think0 think1 think2");
    ASSERT_EQ(message["tool_calls"].size(), 2U);
    EXPECT_EQ(message["tool_calls"][1]["function"]["name"], "look");
    EXPECT_EQ(message["tool_calls"][1]["function"]["arguments"], R"({"id":"x","call":1})");
    const std::string stream = std::string(kTool) + ",\"stream\":true";
    const auto events = events_of(post(fake, kChat, chat("[[tool:2]]", stream)).body);
    ASSERT_EQ(events.size(), 7U);
    EXPECT_EQ(events[3]["choices"][0]["delta"]["tool_calls"][0]["index"], 1);
    // After the tool has answered there is an answer in words.
    const json::Value after = value_of(
        post(fake, kChat,
             "{\"messages\":[{\"role\":\"user\",\"content\":\"[[tool]]\"},{\"role\":\"tool\","
             "\"content\":\"7\"}]" +
                 std::string(kTool) + "}")
            .body);
    EXPECT_EQ(after["choices"][0]["finish_reason"], "stop");
}

TEST(LlamaServer, honours_stop_texts_and_logprobs) {
    FakeProcess fake = start_llama();
    ASSERT_TRUE(wait_until_ready(fake));
    const json::Value stopped = value_of(
        post(fake, "/v1/completions", R"({"prompt":"a","stop":["zz"," tok2"],"logprobs":1})").body);
    EXPECT_EQ(stopped["object"], "text_completion");
    EXPECT_EQ(stopped["choices"][0]["text"], "tok0 tok1");
    EXPECT_EQ(stopped["choices"][0]["logprobs"]["content"].size(), 2U);
}

TEST(LlamaServer, queues_beyond_its_slots_and_frees_them_when_clients_leave) {
    FakeProcess fake =
        start_llama(R"({"rules":[{"body_has":"[[slow]]","decode_tps":1}]})", {"-np", "1"});
    ASSERT_TRUE(wait_until_ready(fake));
    TestClient slow(fake.port());
    slow.post(kChat, chat("[[slow]]", ",\"stream\":true"));
    ASSERT_TRUE(wait_for_stats(fake, [](const json::Value& s) { return s["slots"]["busy"] == 1; }));
    EXPECT_EQ(value_of(get(fake, "/slots").body)[0]["is_processing"], true);
    EXPECT_EQ(get(fake, "/slots?fail_on_no_slot=1").status, 503U);
    TestClient leaving(fake.port());
    leaving.post(kChat, chat("never answered"));
    TestClient waiting(fake.port());
    ASSERT_TRUE(
        wait_for_stats(fake, [](const json::Value& s) { return s["slots"]["waiting"] == 1; }));
    waiting.post(kChat, chat("[[id:w]] [[tokens:1]]"));
    ASSERT_TRUE(
        wait_for_stats(fake, [](const json::Value& s) { return s["slots"]["waiting"] == 2; }));
    leaving.close();
    slow.close();
    EXPECT_EQ(value_of(waiting.reply().body)["choices"][0]["message"]["content"], "w.0");
    EXPECT_TRUE(
        wait_for_stats(fake, [](const json::Value& s) { return s["requests"]["cancelled"] == 2; }));
    EXPECT_EQ(stats_of(fake)["slots"]["busy"], 0);
}

TEST(LlamaServer, goes_on_computing_when_it_refuses_to_cancel) {
    FakeProcess fake = start_llama(R"({"decode_tps":0.01,"refuse_cancel":true})");
    ASSERT_TRUE(wait_until_ready(fake));
    TestClient client(fake.port());
    client.post(kChat, chat("hello"));
    ASSERT_TRUE(wait_for_stats(fake, [](const json::Value& s) { return s["slots"]["busy"] == 1; }));
    client.close();
    ASSERT_TRUE(wait_for_stats(
        fake, [](const json::Value& s) { return s["requests"]["cancels_ignored"] == 1; }));
    EXPECT_EQ(stats_of(fake)["slots"]["busy"], 1);
}

TEST(LlamaServer, paces_prompt_and_answer_and_pings) {
    FakeProcess fake = start_llama(
        R"({"prompt_tps":100,"prompt_tokens":10,"decode_tps":50,"tokens":5,"sse_ping_ms":20})");
    ASSERT_TRUE(wait_until_ready(fake));
    const auto began = std::chrono::steady_clock::now();
    const TestReply reply = post(fake, kChat, chat("hello", ",\"stream\":true"));
    const auto took = std::chrono::steady_clock::now() - began;
    EXPECT_GE(took, std::chrono::milliseconds(195));
    EXPECT_NE(reply.body.find(":\n\n"), std::string::npos);
    EXPECT_EQ(content_of(events_of(reply.body)), "tok0 tok1 tok2 tok3 tok4");
}

TEST(LlamaServer, checks_its_key_but_not_for_health) {
    FakeProcess fake = start_llama("", {"--api-key", "secret"});
    ASSERT_TRUE(wait_until_ready(fake));
    EXPECT_EQ(get(fake, "/health").status, 200U);
    EXPECT_EQ(post(fake, kChat, chat("hello")).status, 401U);
    EXPECT_EQ(post(fake, kChat, chat("hello"), "Authorization: Bearer secret\r\n").status, 200U);
    EXPECT_EQ(post(fake, kChat, chat("hello"), "X-Api-Key: secret\r\n").status, 200U);
}

TEST(LlamaServer, has_pages_only_where_flags_turn_them_on) {
    FakeProcess plain = start_llama("", {"--no-slots", "-c", "512", "-np", "2"});
    ASSERT_TRUE(wait_until_ready(plain));
    EXPECT_EQ(get(plain, "/metrics").status, 501U);
    EXPECT_EQ(get(plain, "/slots").status, 501U);
    EXPECT_EQ(get(plain, "/api/tags").status, 404U);
    EXPECT_EQ(post(plain, "/v1/embeddings", R"({"input":"a"})").status, 501U);
    EXPECT_EQ(value_of(get(plain, "/props").body)["total_slots"], 2);
    EXPECT_EQ(value_of(get(plain, "/v1/models").body)["data"][0]["id"], "tiny");
    EXPECT_EQ(post(plain, kChat, chat(std::string(3000, 'x'))).status, 400U);
    EXPECT_EQ(post(plain, kChat, "{\"messages\":").status, 400U);
    const json::Value tokens =
        value_of(post(plain, "/tokenize", R"({"content":"hello"})").body)["tokens"];
    EXPECT_EQ(post(plain, "/detokenize", "{\"tokens\":" + json::dump(tokens) + "}").body,
              "{\"content\":\"hello\"}");
    FakeProcess metered = start_llama("", {"--metrics"});
    ASSERT_TRUE(wait_until_ready(metered));
    EXPECT_NE(get(metered, "/metrics").body.find("llamacpp:requests_processing 0"),
              std::string::npos);
}

TEST(LlamaServer, embeds_and_reranks_but_not_both) {
    FakeProcess embedding = start_llama("", {"--embedding"});
    ASSERT_TRUE(wait_until_ready(embedding));
    const json::Value vectors =
        value_of(post(embedding, "/v1/embeddings", R"({"input":["a","b","a"],"dimensions":8})")
                     .body)["data"];
    ASSERT_EQ(vectors.size(), 3U);
    EXPECT_EQ(vectors[0]["embedding"].size(), 8U);
    EXPECT_EQ(vectors[0]["embedding"], vectors[2]["embedding"]);
    EXPECT_NE(vectors[0]["embedding"], vectors[1]["embedding"]);
    const json::Value packed =
        value_of(post(embedding, "/v1/embeddings",
                      R"({"input":"a","dimensions":2,"encoding_format":"base64"})")
                     .body);
    EXPECT_EQ(packed["data"][0]["embedding"].get<std::string>().size(), 12U);
    EXPECT_EQ(post(embedding, kChat, chat("hello")).status, 501U);

    constexpr std::string_view kQuery = R"({"query":"cat","documents":["dog","a cat","bird"]})";
    FakeProcess ranking = start_llama("", {"--reranking"});
    ASSERT_TRUE(wait_until_ready(ranking));
    const json::Value ranked = value_of(post(ranking, "/v1/rerank", kQuery).body)["results"];
    EXPECT_EQ(ranked[0]["index"], 1);
    EXPECT_GT(ranked[0]["relevance_score"].get<double>(), 0);
    FakeProcess both = start_llama("", {"--reranking", "--embedding"});
    ASSERT_TRUE(wait_until_ready(both));
    const json::Value broken = value_of(post(both, "/v1/rerank", kQuery).body)["results"];
    EXPECT_EQ(broken[0]["relevance_score"].get<double>(), 0);
}

TEST(LlamaServer, prints_what_a_probe_asks_for) {
    EXPECT_EQ(start({"llama-server", "--version"}).end(), 0);
    FakeProcess version = start({"llama-server", "--version"});
    EXPECT_NE(version.errors().find("version: 6123 (fa4e1a9e)"), std::string::npos);
    FakeProcess devices = start({"llama-server", "--list-devices"}, R"({"devices":["CPU0: x"]})");
    EXPECT_EQ(devices.output(), "Available devices:\n  CPU0: x\n");
    FakeProcess help = start({"llama-server", "--help"}, R"({"without_flags":["--cache-ram"]})");
    EXPECT_NE(help.output().find("--ctx-size"), std::string::npos);
    EXPECT_EQ(help.output().find("--cache-ram"), std::string::npos);
    FakeProcess old = start({"llama-server", "-m", "x", "--cache-ram", "0"},
                            R"({"without_flags":["--cache-ram"]})");
    EXPECT_EQ(old.end(), 1);
    EXPECT_NE(old.errors().find("invalid argument: --cache-ram"), std::string::npos);
}

TEST(Life, ends_as_scripts_and_signals_want) {
    FakeProcess loading = start_llama(R"({"fail_load":"out of device memory"})");
    EXPECT_EQ(loading.end(), 1);
    EXPECT_NE(loading.errors().find("out of device memory"), std::string::npos);
    EXPECT_NE(loading.errors().find("exiting due to model loading error"), std::string::npos);
    FakeProcess binding = start_llama(R"({"fail_bind":true})");
    EXPECT_EQ(binding.end(), 1);
    EXPECT_NE(binding.errors().find("exiting due to HTTP server error"), std::string::npos);
    EXPECT_EQ(start_llama(R"({"exit_after_ms":1,"exit_code":7})").end(), 7);
    EXPECT_EQ(start_llama(R"({"exit_after_ms":1,"exit_signal":11})").end(), 1011);
    EXPECT_EQ(start_llama(R"({"check_model_file":true})").end(), 1);
    FakeProcess gentle = start_llama();
    ASSERT_TRUE(wait_until_ready(gentle));
    gentle.signal(SIGTERM);
    EXPECT_EQ(gentle.end(), 0);
    EXPECT_NE(gentle.errors().find("memory breakdown"), std::string::npos);
    FakeProcess slow = start_llama(R"({"slow_term_ms":60000})");
    ASSERT_TRUE(wait_until_ready(slow));
    slow.signal(SIGTERM);
    ASSERT_TRUE(slow.complains("cleaning up before exit"));
    slow.signal(SIGTERM);
    EXPECT_EQ(slow.end(), 1);
    FakeProcess deaf = start_llama(R"({"ignore_term":true})");
    ASSERT_TRUE(wait_until_ready(deaf));
    deaf.signal(SIGTERM);
    EXPECT_EQ(get(deaf, "/health").status, 200U);
    deaf.signal(SIGKILL);
    EXPECT_EQ(deaf.end(), 1009);
}

TEST(Life, crashes_on_a_request_and_in_the_middle_of_an_answer) {
    FakeProcess second = start_llama(R"({"crash_on_request":2})");
    ASSERT_TRUE(wait_until_ready(second));
    EXPECT_EQ(post(second, kChat, chat("one")).status, 200U);
    EXPECT_FALSE(post(second, kChat, chat("two")).complete);
    EXPECT_EQ(second.end(), 1009);
    FakeProcess middle = start_llama(R"({"crash_after_tokens":3,"crash_signal":11})");
    ASSERT_TRUE(wait_until_ready(middle));
    const TestReply reply = post(middle, kChat, chat("one", ",\"stream\":true"));
    EXPECT_FALSE(reply.complete);
    EXPECT_EQ(middle.end(), 1011);
    FakeProcess asked = start_llama();
    ASSERT_TRUE(wait_until_ready(asked));
    post(asked, "/fake/exit", R"({"code":5})");
    EXPECT_EQ(asked.end(), 5);
}

TEST(Life, holds_the_memory_it_was_told_to) {
    FakeProcess fake = start_llama(R"({"resident_mb":64})");
    ASSERT_TRUE(wait_until_ready(fake));
    std::ifstream statm("/proc/" + std::to_string(fake.pid()) + "/statm");
    std::size_t pages = 0;
    std::size_t resident = 0;
    statm >> pages >> resident;
    EXPECT_GE(resident * static_cast<std::size_t>(::getpagesize()), std::size_t{64} << 20U);
}

TEST(Faults, spoil_answers_at_byte_level) {
    FakeProcess fake = start_llama();
    ASSERT_TRUE(wait_until_ready(fake));
    const auto spoiled = [&fake](std::string_view script, std::string_view more) {
        EXPECT_EQ(post(fake, "/fake/script", script).status, 200U) << script;
        return post(fake, kChat, chat("hello", more));
    };
    for (const std::string_view more : {"", ",\"stream\":true"}) {
        for (const std::string_view kind : {"truncated", "bad_chunk", "bytes"}) {
            const TestReply reply = spoiled("{\"garbage\":\"" + std::string(kind) + "\"}", more);
            EXPECT_FALSE(reply.complete && reply.status == 200) << kind << more;
        }
    }
    const TestReply broken = spoiled(R"({"garbage":"json"})", "");
    EXPECT_TRUE(broken.complete);
    EXPECT_FALSE(json::parse(broken.body));
    const TestReply stream = spoiled(R"({"garbage":"json"})", ",\"stream\":true");
    EXPECT_TRUE(events_of(stream.body).back().is_string());
    const TestReply insane = spoiled(R"({"garbage":"text"})", "");
    EXPECT_NE(insane.body.find("@@@@GGGG@@@@GGGG"), std::string::npos);
    const TestReply cut = spoiled(R"({"garbage":"none","close_after_bytes":300})", "");
    EXPECT_FALSE(cut.complete);
    EXPECT_EQ(cut.status, 200U);
    const TestReply error = spoiled(
        R"({"close_after_bytes":-1,"error_status":500,"error_message":"boom","retry_after_s":3})",
        "");
    EXPECT_EQ(error.status, 500U);
    EXPECT_TRUE(error.has("Retry-After: 3"));
    EXPECT_EQ(value_of(error.body)["error"]["message"], "boom");
    const TestReply pieces = spoiled(R"({"error_status":0,"write_bytes_max":1})", "");
    EXPECT_TRUE(pieces.complete);
    EXPECT_GE(stats_of(fake)["requests"]["faults"].get<int>(), 8);
}

TEST(Faults, end_streams_in_every_wrong_way) {
    FakeProcess fake = start_llama();
    ASSERT_TRUE(wait_until_ready(fake));
    const auto asked = [&fake](std::string_view end) {
        post(fake, "/fake/script", "{\"stream_end\":\"" + std::string(end) + "\"}");
        auto client = std::make_unique<TestClient>(fake.port());
        client->post(kChat, chat("hello", ",\"stream\":true"));
        return client;
    };
    const TestReply no_done = asked("no_done")->reply();
    EXPECT_TRUE(no_done.complete);
    EXPECT_EQ(no_done.body.find("[DONE]"), std::string::npos);
    EXPECT_NE(no_done.body.find("\"finish_reason\":\"stop\""), std::string::npos);
    EXPECT_FALSE(asked("eof")->reply().complete);
    EXPECT_FALSE(asked("reset")->reply().complete);
    const auto silent = asked("silence");
    EXPECT_TRUE(silent->receive_until("tok15"));
    EXPECT_EQ(stats_of(fake)["requests"]["in_flight"], 1);
}

TEST(Faults, hang_requests_health_and_everything) {
    FakeProcess fake = start_llama(R"({"hang_after_tokens":2,"hang_health":true})");
    ASSERT_TRUE(wait_until_ready(fake));
    TestClient talking(fake.port());
    talking.post(kChat, chat("hello", ",\"stream\":true"));
    EXPECT_TRUE(talking.receive_until("tok1"));
    TestClient health(fake.port());
    health.get("/health");
    EXPECT_TRUE(wait_for_stats(
        fake, [](const json::Value& s) { return s["by_path"].contains("/health"); }));
    EXPECT_EQ(get(fake, "/props").status, 200U);
    EXPECT_EQ(post(fake, "/fake/script", R"({"frozen":true,"hang_health":false})").status, 200U);
    TestClient frozen(fake.port());
    frozen.get("/health");
    EXPECT_TRUE(
        wait_for_stats(fake, [](const json::Value& s) { return s["by_path"]["/health"] == 2; }));
    EXPECT_EQ(post(fake, "/fake/script", R"({"frozen":false})").status, 200U);
    EXPECT_EQ(frozen.reply().status, 200U);
    // Whatever they were sent up to the end of the process.
    fake.signal(SIGKILL);
    EXPECT_TRUE(talking.wait_for_end());
    EXPECT_EQ(talking.received().find("tok2"), std::string::npos);
    EXPECT_TRUE(health.wait_for_end());
    EXPECT_TRUE(health.received().empty());
}

TEST(Faults, close_connections_early_or_after_a_while) {
    FakeProcess fake = start_llama(R"({"keep_alive_max":2})");
    ASSERT_TRUE(wait_until_ready(fake));
    TestClient client(fake.port());
    client.get("/health");
    EXPECT_FALSE(client.reply().has("Connection: close"));
    client.get("/health");
    EXPECT_TRUE(client.reply().has("Connection: close"));
    EXPECT_TRUE(client.wait_for_end());
    post(fake, "/fake/script", R"({"keep_alive_ms":30})");
    TestClient idle(fake.port());
    idle.get("/health");
    EXPECT_EQ(idle.reply().status, 200U);
    EXPECT_TRUE(idle.wait_for_end());
    const std::uint64_t accepted = stats_of(fake)["connections"]["accepted"].get<std::uint64_t>();
    // The next connection is the accepted + 2nd: one more asks for the script.
    post(fake, "/fake/script", "{\"close_on_accept\":" + std::to_string(accepted + 2) + "}");
    EXPECT_EQ(get(fake, "/health").status, 0U);
    EXPECT_EQ(get(fake, "/health").status, 200U);
}

TEST(Script, has_rules_for_some_requests) {
    FakeProcess fake = start_llama(R"({"text":"usual","rules":[
        {"path":"/props","error_status":500},
        {"body_has":"rare","from":2,"every":2,"times":1,"text":"once"}]})");
    ASSERT_TRUE(wait_until_ready(fake));
    EXPECT_EQ(get(fake, "/props").status, 500U);
    EXPECT_EQ(get(fake, "/slots").status, 200U);
    std::vector<std::string> said;
    for (int i = 0; i < 5; ++i) {
        const json::Value answer = value_of(post(fake, kChat, chat("rare")).body);
        said.push_back(answer["choices"][0]["message"]["content"].get<std::string>());
    }
    EXPECT_EQ(said, (std::vector<std::string>{"usual", "once", "usual", "usual", "usual"}));
}

TEST(Script, comes_in_layers_and_by_model) {
    const std::string by_model =
        R"({"text":"a","by_model":{"other":{"text":"b"},"tiny":{"text":"c"}}})";
    FakeProcess fake(TRILANE_FAKE_LANE, {"llama-server", "-m", "/models/tiny.gguf", "--port", "0"},
                     "", {"FAKE_LANE=" + by_model});
    ASSERT_TRUE(wait_until_ready(fake));
    EXPECT_EQ(value_of(post(fake, kChat, chat("x")).body)["choices"][0]["message"]["content"], "c");
    FakeProcess stronger(TRILANE_FAKE_LANE,
                         {"llama-server", "-m", "/models/tiny.gguf", "--port", "0"},
                         R"({"text":"d"})", {"FAKE_LANE=" + by_model});
    ASSERT_TRUE(wait_until_ready(stronger));
    EXPECT_EQ(value_of(post(stronger, kChat, chat("x")).body)["choices"][0]["message"]["content"],
              "d");
}

TEST(Script, refuses_fields_it_does_not_know) {
    FakeProcess wrong = start_llama(R"({"tokenz":4})");
    EXPECT_EQ(wrong.end(), 2);
    EXPECT_NE(wrong.errors().find("tokenz"), std::string::npos);
    FakeProcess fake = start_llama();
    ASSERT_TRUE(wait_until_ready(fake));
    EXPECT_EQ(post(fake, "/fake/script", R"({"rules":[{"tokens":"many"}]})").status, 400U);
}

TEST(Script, has_every_field_in_the_readme) {
    std::ifstream file(TRILANE_FAKE_LANE_README);
    const std::string readme((std::istreambuf_iterator<char>(file)), {});
    FakeProcess fields = start({"fields"});
    std::string_view rest = fields.output();
    ASSERT_GT(std::count(rest.begin(), rest.end(), '\n'), 50);
    while (!rest.empty()) {
        const std::string_view name = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(name.size() + 1);
        EXPECT_NE(readme.find("`" + std::string(name) + "`"), std::string::npos) << name;
    }
}

TEST(FakePages, show_what_reached_the_child) {
    FakeProcess fake = start_llama(R"({"grandchild":true})");
    ASSERT_TRUE(wait_until_ready(fake));
    post(fake, kChat, chat("[[id:seen]]"), "X-Request-Id: 9\r\n");
    const json::Value seen = value_of(get(fake, "/fake/requests").body);
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0]["body"], chat("[[id:seen]]"));
    EXPECT_NE(seen[0]["head"].get<std::string>().find("X-Request-Id: 9"), std::string::npos);
    const json::Value process = value_of(get(fake, "/fake/process").body);
    EXPECT_EQ(process["pid"], fake.pid());
    EXPECT_TRUE(process["environment"].empty());
    EXPECT_EQ(process["arguments"][1], "llama-server");
    std::ifstream children("/proc/" + std::to_string(fake.pid()) + "/task/" +
                           std::to_string(fake.pid()) + "/children");
    pid_t grandchild = 0;
    if (children >> grandchild) {
        ::kill(grandchild, SIGKILL);
    }
    EXPECT_GT(grandchild, 0);
}

}  // namespace
}  // namespace trilane::fake_lane
