// What the tests of the fake engines share: starting one, asking it, reading its counters.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fake_process.h"
#include "json/json.h"
#include "net/loopback_test_client.h"

namespace trilane::fake_lane {

using net::TestClient;
using net::TestReply;

inline constexpr std::string_view kChat = "/v1/chat/completions";

inline FakeProcess start(std::vector<std::string> arguments, std::string script = "",
                         std::vector<std::string> environment = {}) {
    return FakeProcess(TRILANE_FAKE_LANE, std::move(arguments), std::move(script),
                       std::move(environment));
}

inline FakeProcess start_llama(std::string script = "", std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"llama-server", "-m",     "/models/tiny.gguf",
                                          "--alias",      "tiny",   "--host",
                                          "127.0.0.1",    "--port", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return start(std::move(arguments), std::move(script));
}

inline FakeProcess start_flm(std::string script = "", std::vector<std::string> more = {},
                             std::vector<std::string> environment = {}) {
    std::vector<std::string> arguments = {"flm", "serve", "qwen3:0.6b", "--port", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return start(std::move(arguments), std::move(script), std::move(environment));
}

inline TestReply get(FakeProcess& fake, std::string_view path) {
    TestClient client(fake.port());
    client.get(path);
    return client.reply();
}

inline TestReply post(FakeProcess& fake, std::string_view path, std::string_view body,
                      std::string_view headers = "") {
    TestClient client(fake.port());
    client.post(path, body, headers);
    return client.reply();
}

inline json::Value value_of(std::string_view text) {
    Result<json::Value> value = json::parse(text);
    EXPECT_TRUE(value) << text;
    return value ? *std::move(value) : json::Value();
}

inline json::Value stats_of(FakeProcess& fake) {
    return value_of(get(fake, "/fake/stats").body);
}

/// Asks until `is_so` holds for the stats.
template <class Condition>
bool wait_for_stats(FakeProcess& fake, Condition is_so) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < until) {
        if (is_so(stats_of(fake))) {
            return true;
        }
    }
    return false;
}

inline bool wait_until_ready(FakeProcess& fake) {
    return wait_for_stats(fake, [](const json::Value& stats) { return stats["ready"] == true; });
}

/// A chat request; `more` are further members: `,"max_tokens":4`.
inline std::string chat(std::string_view prompt, std::string_view more = "") {
    return "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"" +
           std::string(prompt) + "\"}]" + std::string(more) + "}";
}

/// The same for FLM, whose models it names.
inline std::string flm_chat(std::string_view prompt, std::string_view more = "",
                            std::string_view tag = "qwen3:0.6b") {
    return "{\"model\":\"" + std::string(tag) +
           "\",\"messages\":[{\"role\":\"user\",\"content\":\"" + std::string(prompt) + "\"}]" +
           std::string(more) + "}";
}

/// The events of a stream's body, as JSON; what is no JSON is its text.
inline std::vector<json::Value> events_of(std::string_view body) {
    std::vector<json::Value> events;
    std::size_t at = 0;
    while ((at = body.find("data: ", at)) != std::string_view::npos) {
        const std::size_t end = body.find("\n\n", at);
        const std::string_view text = body.substr(at + 6, end - at - 6);
        Result<json::Value> value = json::parse(text);
        events.push_back(value ? *std::move(value) : json::Value(text));
        at = end == std::string_view::npos ? body.size() : end;
    }
    return events;
}

/// The joined content of a chat stream.
inline std::string content_of(const std::vector<json::Value>& events) {
    std::string text;
    for (const json::Value& event : events) {
        if (!event.is_object() || event["choices"].empty()) {
            continue;
        }
        const json::Value& delta = event["choices"][0]["delta"];
        if (delta.contains("content") && delta["content"].is_string()) {
            text += delta["content"].get<std::string>();
        }
    }
    return text;
}

}  // namespace trilane::fake_lane
