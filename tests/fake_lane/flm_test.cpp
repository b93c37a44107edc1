#include <filesystem>

#include "fake_test_kit.h"

namespace trilane::fake_lane {
namespace {

TEST(Flm, prints_what_a_probe_asks_for) {
    EXPECT_EQ(value_of(start({"flm", "version", "--json"}).output())["version"], "0.9.45");
    EXPECT_EQ(value_of(start({"flm", "port", "--json"}).output())["port"], 52625);
    FakeProcess listing = start({"flm", "list", "-j", "--filter", "installed"});
    const json::Value models = value_of(listing.output())["models"];
    ASSERT_EQ(models.size(), 4U);
    EXPECT_EQ(models[1]["name"], "qwen3:0.6b");
    EXPECT_EQ(models[1]["footprint"], 0.66);
    EXPECT_EQ(models[1]["installed"], true);
    EXPECT_EQ(start({"flm", "validate", "--json"}).end(), 0);
    FakeProcess locked = start({"flm", "validate", "--json"}, R"({"npu":"memlock"})");
    EXPECT_EQ(value_of(locked.output())["memlock_ok"], false);
    EXPECT_EQ(locked.end(), 1);
    FakeProcess old = start({"flm", "validate", "--json"}, R"({"npu":"old_kernel"})");
    EXPECT_FALSE(value_of(old.output()).contains("devices"));
    FakeProcess help = start({"flm", "--help"}, R"({"without_flags":["--quiet"]})");
    EXPECT_NE(help.output().find("--ctx-len"), std::string::npos);
    EXPECT_EQ(help.output().find("--quiet"), std::string::npos);
    EXPECT_EQ(start({"flm", "serve", "--embed-model", "x"}).end(), 1);
}

TEST(Flm, keeps_a_store) {
    const std::filesystem::path store =
        std::filesystem::temp_directory_path() / ("fake-flm-" + std::to_string(::getpid()));
    const std::vector<std::string> environment = {"FLM_MODEL_PATH=" + store.string()};
    EXPECT_EQ(start({"flm", "check", "gemma3:1b"}, "", environment).end(), 1);
    EXPECT_EQ(start({"flm", "pull", "gemma3:1b"}, "", environment).end(), 0);
    EXPECT_EQ(start({"flm", "check", "gemma3:1b"}, "", environment).end(), 0);
    EXPECT_EQ(start({"flm", "remove", "gemma3:1b"}, "", environment).end(), 0);
    EXPECT_EQ(start({"flm", "check", "gemma3:1b"}, "", environment).end(), 1);
    EXPECT_EQ(start({"flm", "pull", "nonsense:1b"}, "", environment).end(), 1);
    std::filesystem::remove_all(store);
}

TEST(Flm, accepts_connections_before_it_answers) {
    FakeProcess fake = start_flm(R"({"never_ready":true})");
    TestClient client(fake.port());
    EXPECT_TRUE(client.connected());
    client.get("/api/tags");
    fake.signal(SIGKILL);
    EXPECT_TRUE(client.wait_for_end());
    EXPECT_TRUE(client.received().empty());
}

TEST(Flm, closes_after_every_answer_and_knows_no_queries) {
    FakeProcess fake = start_flm();
    TestClient client(fake.port());
    client.get("/api/tags");
    const TestReply tags = client.reply();
    EXPECT_GT(value_of(tags.body)["models"].size(), 10U);
    EXPECT_TRUE(client.wait_for_end());
    EXPECT_EQ(get(fake, "/api/tags?x=1").status, 404U);
    EXPECT_EQ(get(fake, "/v1/models?x").body, "{\"error\":\"Not Found\"}");
    EXPECT_EQ(get(fake, "/health").status, 200U);
    EXPECT_EQ(get(fake, "/v1/messages").status, 404U);
}

TEST(Flm, answers_chats_in_its_own_shape) {
    FakeProcess fake = start_flm();
    const json::Value whole =
        value_of(post(fake, kChat, flm_chat("[[id:n]]", ",\"max_tokens\":3,\"n\":2")).body);
    EXPECT_EQ(whole["id"], "fastflowlm-chat-completion");
    EXPECT_EQ(whole["choices"].size(), 1U);
    EXPECT_EQ(whole["choices"][0]["message"]["content"], "n.0 n.1 n.2");
    EXPECT_EQ(whole["choices"][0]["finish_reason"], "stop");
    EXPECT_EQ(whole["usage"]["completion_tokens"], 3);
    EXPECT_TRUE(whole["usage"]["decoding_speed_tps"].is_null());
    const TestReply stream = post(
        fake, kChat, flm_chat("[[id:n]]", ",\"max_tokens\":3,\"stream\":true,\"stop\":[\"n.1\"]"));
    const std::vector<json::Value> events = events_of(stream.body);
    ASSERT_EQ(events.size(), 5U);
    EXPECT_EQ(content_of(events), "n.0 n.1 n.2");
    EXPECT_TRUE(events[3]["choices"][0]["delta"]["content"].is_null());
    EXPECT_EQ(events[3]["choices"][0]["finish_reason"], "stop");
    EXPECT_EQ(events[3]["usage"]["completion_tokens"], 3);
    EXPECT_EQ(events[4], "[DONE]");
}

TEST(Flm, hides_errors_in_status_200) {
    FakeProcess fake = start_flm("", {"--ctx-len", "512"});
    const TestReply single = post(fake, kChat, flm_chat("a", ",\"max_tokens\":1"));
    EXPECT_EQ(single.status, 200U);
    EXPECT_NE(value_of(single.body)["error"].get<std::string>().find("basic_string::substr"),
              std::string::npos);
    const TestReply streamed =
        post(fake, kChat, flm_chat("a", ",\"max_tokens\":1,\"stream\":true"));
    EXPECT_EQ(streamed.status, 200U);
    EXPECT_TRUE(value_of(streamed.body).contains("error"));
    const TestReply asr = post(fake, "/v1/audio/transcriptions", "x");
    EXPECT_EQ(asr.status, 200U);
    EXPECT_EQ(value_of(asr.body)["error"]["code"], 503);
    EXPECT_EQ(post(fake, "/v1/embeddings", R"({"input":"a"})").body, "null");
    const TestReply long_one = post(fake, kChat, flm_chat(std::string(2000, 'x')));
    EXPECT_EQ(long_one.status, 400U);
    EXPECT_EQ(value_of(long_one.body)["error"]["message"], "Max length reached!");
    EXPECT_EQ(post(fake, kChat, "{").status, 500U);
    post(fake, "/fake/script", R"({"error_status":500,"error_as_string":true})");
    const TestReply scripted = post(fake, kChat, flm_chat("a"));
    EXPECT_EQ(scripted.status, 200U);
    EXPECT_EQ(value_of(scripted.body)["error"], "scripted error");
}

TEST(Flm, answers_unknown_tags_with_another_model) {
    FakeProcess fake = start_flm(R"({"switch_ms":1})");
    const TestReply reply = post(fake, kChat, flm_chat("a", "", "mistral:7b"));
    EXPECT_EQ(value_of(reply.body)["model"], "llama3.2:1b");
    const json::Value stats = stats_of(fake)["flm"];
    EXPECT_EQ(stats["substitutions"], 1);
    EXPECT_EQ(stats["switches"], 1);
    EXPECT_EQ(stats["model"], "llama3.2:1b");
    const json::Value text =
        value_of(post(fake, "/v1/completions", R"({"model":"mistral:7b","prompt":"a"})").body);
    EXPECT_TRUE(text.contains("error"));
    const json::Value other = value_of(post(fake, kChat, flm_chat("a", "", "amd/qwen3:4b")).body);
    EXPECT_EQ(other["model"], "qwen3:4b");
    EXPECT_EQ(stats_of(fake)["flm"]["downloads"], 1);
}

TEST(Flm, numbers_tool_calls_over_the_whole_process) {
    FakeProcess fake = start_flm();
    constexpr std::string_view kTool =
        ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\"}}]";
    for (int round = 0; round < 3; ++round) {
        const json::Value answer = value_of(post(fake, kChat, flm_chat("[[tool]]", kTool)).body);
        const json::Value& choice = answer["choices"][0];
        EXPECT_FALSE(choice["message"].contains("content"));
        EXPECT_EQ(choice["finish_reason"], "tool_calls");
        EXPECT_EQ(choice["message"]["tool_calls"][0]["index"], round);
        EXPECT_TRUE(choice["message"]["tool_calls"][0]["function"]["arguments"].is_string());
    }
    post(fake, kChat, flm_chat("a", ",\"min_p\":0.9"));
    EXPECT_EQ(stats_of(fake)["flm"]["last_min_p"], 0);
}

TEST(Flm, crashes_when_a_second_request_meets_a_stream) {
    FakeProcess fake = start_flm(R"({"decode_tps":0.1})");
    TestClient first(fake.port());
    first.post(kChat, flm_chat("a", ",\"stream\":true"));
    ASSERT_TRUE(wait_for_stats(fake, [](const json::Value& s) { return s["flm"]["active"] == 1; }));
    EXPECT_EQ(post(fake, kChat, flm_chat("b")).status, 0U);
    EXPECT_EQ(fake.end(), 1000 + SIGABRT);
    EXPECT_NE(fake.errors().find("double free"), std::string::npos);
    FakeProcess ollama = start_flm();
    EXPECT_EQ(post(ollama, "/api/chat", flm_chat("a", ",\"stream\":true")).status, 0U);
    EXPECT_EQ(ollama.end(), 1000 + SIGABRT);
}

TEST(Flm, queues_when_scripted_to_and_then_says_503) {
    FakeProcess fake = start_flm(
        R"({"concurrency":"queue","cooldown_ms":0,"rules":[{"body_has":"slow","hang":true}]})",
        {"--q-len", "1"});
    TestClient first(fake.port());
    first.post(kChat, flm_chat("slow", ",\"stream\":true"));
    ASSERT_TRUE(wait_for_stats(fake, [](const json::Value& s) { return s["flm"]["active"] == 1; }));
    TestClient second(fake.port());
    second.post(kChat, flm_chat("[[id:q]] [[tokens:1]]"));
    ASSERT_TRUE(
        wait_for_stats(fake, [](const json::Value& s) { return s["requests"]["in_flight"] == 2; }));
    TestReply third = post(fake, kChat, flm_chat("c"));
    EXPECT_EQ(third.status, 503U);
    first.close();
    EXPECT_EQ(value_of(second.reply().body)["choices"][0]["message"]["content"], "q.0");
    const json::Value stats = stats_of(fake)["flm"];
    EXPECT_EQ(stats["queued"], 1);
    EXPECT_EQ(stats["rejected"], 1);
}

TEST(Flm, closes_sockets_beyond_its_limit) {
    FakeProcess fake = start_flm("", {"--socket", "2"});
    EXPECT_EQ(get(fake, "/api/tags").status, 200U);
    const TestClient one(fake.port());
    const TestClient two(fake.port());
    TestClient three(fake.port());
    EXPECT_TRUE(three.wait_for_end());
    EXPECT_TRUE(three.received().empty());
}

TEST(Flm, dies_where_XRT_blinds_it) {
    FakeProcess blinded = start_flm("", {}, {"XILINX_XRT=/opt/xilinx/xrt"});
    EXPECT_EQ(blinded.end(), 1);
    EXPECT_NE(blinded.errors().find("No such device with index '0'"), std::string::npos);
    EXPECT_EQ(start({"flm", "validate"}, "", {"XILINX_XRT=/opt/xilinx/xrt"}).end(), 0);
    EXPECT_EQ(start_flm(R"({"missing_plugin":true})").end(), 1);
}

TEST(Flm, reports_health_though_its_model_failed) {
    FakeProcess fake = start_flm(R"({"fail_default_model":true})");
    EXPECT_EQ(get(fake, "/health").status, 200U);
    EXPECT_EQ(get(fake, "/api/tags").status, 200U);
    EXPECT_NE(get(fake, "/api/ps").body.find("model-faker"), std::string::npos);
    const TestReply reply = post(fake, kChat, flm_chat("a"));
    EXPECT_EQ(reply.status, 200U);
    EXPECT_TRUE(value_of(reply.body).contains("error"));
    fake.signal(SIGTERM);
    EXPECT_EQ(fake.end(), 1000 + SIGTERM);
}

TEST(Flm, loses_its_quirks_one_by_one) {
    FakeProcess fake = start_flm(
        R"({"quirks_off":["single_token","finish_reason","keep_alive","null_usage","error_status",
            "substitution","query_404"]})");
    TestClient client(fake.port());
    for (int round = 0; round < 2; ++round) {
        client.post(kChat, flm_chat("a", ",\"max_tokens\":1"));
        const json::Value answer = value_of(client.reply().body);
        EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
        EXPECT_EQ(answer["usage"]["decoding_speed_tps"], 0.0);
    }
    EXPECT_EQ(post(fake, kChat, flm_chat("a", "", "mistral:7b")).status, 404U);
    EXPECT_EQ(get(fake, "/api/tags?x").status, 200U);
}

TEST(OtherServers, have_their_one_route) {
    const std::string form =
        "--b\r\nContent-Disposition: form-data; name=\"file\"; "
        "filename=\"a.wav\"\r\n\r\nRIFF[[id:v]]"
        "\r\n--b\r\nContent-Disposition: form-data; "
        "name=\"response_format\"\r\n\r\ntext\r\n--b--\r\n";
    FakeProcess whisper =
        start({"whisper-server", "-m", "ggml.bin", "--port", "0"}, R"({"tokens":2})");
    EXPECT_EQ(get(whisper, "/").status, 200U);
    EXPECT_EQ(post(whisper, "/inference", form).body, "v.0 v.1\n");
    EXPECT_EQ(post(whisper, "/inference", "no form").status, 400U);
    FakeProcess sd = start({"sd-server", "-m", "sd.safetensors", "--listen-port", "0"});
    const json::Value images =
        value_of(post(sd, "/v1/images/generations", R"({"prompt":"a cat","n":2})").body);
    EXPECT_EQ(images["data"].size(), 2U);
    FakeProcess kokoro = start({"kokoro", "--port", "0"});
    const TestReply speech =
        post(kokoro, "/v1/audio/speech", R"({"input":"hello","response_format":"wav"})");
    EXPECT_TRUE(speech.has("audio/wav"));
    EXPECT_EQ(speech.body.substr(0, 4), "RIFF");
    EXPECT_EQ(speech.body.size(), 44U + 5U * 480U);
    EXPECT_EQ(post(kokoro, kChat, chat("a")).status, 404U);
}

TEST(OtherServers, speak_OpenAI_with_a_key) {
    FakeProcess remote = start({"openai", "serve", "org/model", "--served-model-name", "big",
                                "--api-key=k", "--port", "0"});
    EXPECT_EQ(get(remote, "/health").status, 200U);
    EXPECT_EQ(get(remote, "/v1/models").status, 401U);
    const TestReply reply =
        post(remote, kChat, chat("[[id:r]] [[tokens:1]]"), "Authorization: Bearer k\r\n");
    EXPECT_EQ(value_of(reply.body)["model"], "big");
    EXPECT_EQ(value_of(reply.body)["choices"][0]["message"]["content"], "r.0");
    EXPECT_FALSE(value_of(reply.body).contains("timings"));
}

}  // namespace
}  // namespace trilane::fake_lane
