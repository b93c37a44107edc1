// For tests: an HTTP server in this process whose answers a test writes, and what a job's sink has
// heard.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "job/job.h"
#include "lane/upstream/test_transcripts.h"
#include "net/client.h"
#include "net/server.h"

namespace trilane::lane {

/// Nothing that a test waits for takes so long.
inline constexpr std::chrono::seconds kScriptPatience{60};

class ScriptedServer {
public:
    using Exchange = std::shared_ptr<net::Exchange>;
    /// Answers a request, the `number`-th (from 1) of its path.
    using Script = std::function<void(const net::Request&, Exchange, std::size_t number)>;

    ScriptedServer() {
        auto server = net::Server::start({}, [this](net::Request request, Exchange exchange) {
            on_request(std::move(request), std::move(exchange));
        });
        EXPECT_TRUE(server);
        server_ = std::move(*server);
    }
    ~ScriptedServer() {
        drop_held();
        server_->stop(std::chrono::milliseconds(0));
    }
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;

    /// What is done with requests to `path`. Any other is answered 404.
    void on(const std::string& path, Script script) {
        const std::scoped_lock lock(mutex_);
        scripts_[path] = std::move(script);
    }

    [[nodiscard]] net::Target target() const {
        net::Target target;
        target.host = "127.0.0.1";
        target.port = server_->port();
        return target;
    }
    [[nodiscard]] const net::Server& server() const { return *server_; }

    /// Keeps an exchange open, and notes when its client leaves.
    void hold(Exchange exchange) {
        exchange->on_gone([this] {
            const std::scoped_lock lock(mutex_);
            ++gone_;
            changed_.notify_all();
        });
        const std::scoped_lock lock(mutex_);
        held_.push_back(std::move(exchange));
        changed_.notify_all();
    }
    std::vector<Exchange> take_held() {
        const std::scoped_lock lock(mutex_);
        return std::exchange(held_, {});
    }
    void drop_held() { take_held(); }

    bool wait_for_requests(const std::string& path, std::size_t count) {
        return wait([&] { return seen_[path].size() >= count; });
    }
    bool wait_for_held(std::size_t count) {
        return wait([&] { return held_.size() >= count; });
    }
    bool wait_for_gone(std::size_t count) {
        return wait([&] { return gone_ >= count; });
    }
    std::vector<net::Request> seen(const std::string& path) {
        const std::scoped_lock lock(mutex_);
        return seen_[path];
    }

private:
    template <class Condition>
    bool wait(Condition condition) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kScriptPatience, condition);
    }

    void on_request(net::Request request, Exchange exchange) {
        Script script;
        std::size_t number = 0;
        {
            const std::scoped_lock lock(mutex_);
            auto& seen = seen_[request.target];
            seen.push_back(request);
            number = seen.size();
            const auto found = scripts_.find(request.target);
            script = found == scripts_.end() ? Script() : found->second;
            changed_.notify_all();
        }
        if (script) {
            script(request, std::move(exchange), number);
        } else {
            exchange->respond({404, "application/json", {}, R"({"error":"Not Found"})"});
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, Script> scripts_;
    std::map<std::string, std::vector<net::Request>> seen_;
    std::vector<Exchange> held_;
    std::size_t gone_ = 0;
    std::unique_ptr<net::Server> server_;
};

inline constexpr const char* kChatPath = "/v1/chat/completions";

/// Sends a whole text as a stream.
inline void stream(const ScriptedServer::Exchange& exchange, std::string_view body) {
    exchange->start_stream({});
    exchange->send(body);
    exchange->finish();
}

inline ScriptedServer::Script streams(std::string body) {
    return [body = std::move(body)](const net::Request&, const ScriptedServer::Exchange& exchange,
                                    std::size_t) { stream(exchange, body); };
}

inline ScriptedServer::Script responds(unsigned status, std::string body) {
    return [=](const net::Request&, const ScriptedServer::Exchange& exchange, std::size_t) {
        exchange->respond({status, "application/json", {}, body});
    };
}

/// A stream that says these words in one piece each.
inline std::string stream_of(const std::vector<std::string>& words,
                             std::string_view finish = "stop") {
    std::string body;
    for (const std::string& word : words) {
        body += fmt::format(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}}}}]}}"
            "\n\n",
            word);
    }
    body += fmt::format(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{}\"}}]"
        ",\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":{}}}}}\n\n"
        "data: [DONE]\n\n",
        finish, words.size());
    return body;
}

/// What one job's sink hears. Fails the test when something comes behind the last event, or when
/// there is no last event at its own end.
class Heard {
public:
    Heard() = default;
    ~Heard() { EXPECT_TRUE(wait_for_last()) << "a request was forgotten"; }
    Heard(const Heard&) = delete;
    Heard& operator=(const Heard&) = delete;

    job::EventSink sink() {
        return [this](const job::Event& event) {
            const std::scoped_lock lock(mutex_);
            EXPECT_FALSE(over_) << "behind the last event: " << upstream::described(event);
            events_.push_back(upstream::described(event));
            if (const auto* text = std::get_if<job::Text>(&event)) {
                text_ += text->text;
            }
            if (const auto* failed = std::get_if<job::Failed>(&event)) {
                error_ = failed->error;
            }
            over_ = upstream::is_last(event);
            changed_.notify_all();
        };
    }

    bool wait_for_last() {
        return wait([this] { return over_; });
    }
    bool wait_for_events(std::size_t count, std::chrono::milliseconds patience = kScriptPatience) {
        return wait([&] { return events_.size() >= count; }, patience);
    }
    bool over() {
        const std::scoped_lock lock(mutex_);
        return over_;
    }
    std::vector<std::string> events() {
        const std::scoped_lock lock(mutex_);
        return events_;
    }
    /// All of the answer's text, waited for.
    std::string text() {
        EXPECT_TRUE(wait_for_last());
        const std::scoped_lock lock(mutex_);
        EXPECT_FALSE(error_) << error_->message;
        return text_;
    }
    /// The failure, waited for.
    Error error() {
        EXPECT_TRUE(wait_for_last());
        const std::scoped_lock lock(mutex_);
        EXPECT_TRUE(error_) << "the answer was good";
        return error_.value_or(Error{});
    }

private:
    template <class Condition>
    bool wait(Condition condition, std::chrono::milliseconds patience = kScriptPatience) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, patience, condition);
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> events_;
    std::string text_;
    std::optional<Error> error_;
    bool over_ = false;
};

}  // namespace trilane::lane
