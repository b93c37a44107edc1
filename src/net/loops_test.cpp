// Servers and clients that share Loops: what is left behind when one of them goes, and many callers
// at once.
#include "net/loops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "net/client.h"
#include "net/client_test_listener.h"
#include "net/client_test_server.h"
#include "net/loopback_test_client.h"
#include "net/server.h"

namespace trilane::net {
namespace {

using std::chrono::milliseconds;

Target loopback(const Server& server) {
    Target target;
    target.host = "127.0.0.1";
    target.port = server.port();
    return target;
}

void echo_body(const Request& request, const std::shared_ptr<Exchange>& exchange) {
    exchange->respond({200, "", {}, request.body});
}

std::size_t open_files() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// What is open once the loops have what they open with their first sockets.
std::size_t open_files_after_use_of(Loops& loops) {
    {
        const auto server = started(loops, echo_body);
        Client client(loops, loopback(*server));
        for (int i = 0; i < 4; ++i) {
            EXPECT_TRUE(client.fetch({}));
        }
    }
    return open_files();
}

TEST(Loops, ServersComeAndGo) {
    Loops loops(2);
    const auto files = open_files_after_use_of(loops);
    for (int i = 0; i < 20; ++i) {
        // Held by the handler: that it is gone after stop() shows that the handler is.
        const auto witness = std::make_shared<int>(i);
        auto server = started(loops, [witness](const Request& request, const auto& exchange) {
            echo_body(request, exchange);
        });
        TestClient asking(server->port());
        TestClient idle(server->port());
        TestClient half(server->port());
        ASSERT_TRUE(asking.post("/", "x"));
        ASSERT_TRUE(half.send("POST / HTTP/1.1\r\nContent-Le"));
        EXPECT_EQ(asking.reply().body, "x");
        EXPECT_EQ(witness.use_count(), 2);
        server->stop(milliseconds(0));
        EXPECT_EQ(witness.use_count(), 1);
        EXPECT_TRUE(asking.wait_for_end());
        EXPECT_TRUE(idle.wait_for_end());
        EXPECT_TRUE(half.wait_for_end());
    }
    EXPECT_EQ(open_files(), files);
}

TEST(Loops, AStoppedServerLeavesTheOthersAlone) {
    Loops loops(2);
    const auto stays = started(loops, echo_body);
    std::atomic<bool> done = false;
    std::thread asking([&] {
        TestClient client(stays->port());
        while (!done) {
            EXPECT_TRUE(client.post("/", "still here"));
            EXPECT_EQ(client.reply().body, "still here");
        }
    });
    for (int i = 0; i < 50; ++i) {
        const auto goes = started(loops, echo_body);
        TestClient client(goes->port());
        EXPECT_TRUE(client.post("/", "x"));
        EXPECT_EQ(client.reply().body, "x");
    }
    done = true;
    asking.join();
}

TEST(Loops, AServerStopsWhileOthersAnswerIt) {
    // Exchanges that are answered from threads of their own while the server goes.
    Loops loops(2);
    for (int i = 0; i < 20; ++i) {
        std::vector<std::thread> writers;
        std::mutex mutex;
        std::promise<void> came;
        auto server = started(loops, [&](const Request& /*request*/, const auto& exchange) {
            const std::scoped_lock lock(mutex);
            writers.emplace_back([exchange] {
                exchange->start_stream({});
                while (exchange->send("data")) {
                }
            });
            if (writers.size() == 2) {
                came.set_value();
            }
        });
        TestClient first(server->port());
        TestClient second(server->port());
        ASSERT_TRUE(first.get("/"));
        ASSERT_TRUE(second.get("/"));
        came.get_future().wait();
        server.reset();
        for (auto& writer : writers) {
            writer.join();
        }
    }
}

TEST(Loops, StopHasPatience) {
    Loops loops(1);
    std::promise<std::shared_ptr<Exchange>> came;
    auto server = started(loops, [&](const Request& /*request*/, auto exchange) {
        came.set_value(std::move(exchange));
    });
    TestClient client(server->port());
    ASSERT_TRUE(client.get("/"));
    const auto exchange = came.get_future().get();
    std::thread stopping([&] { server->stop(std::chrono::seconds(30)); });
    exchange->respond({200, "", {}, "done"});
    EXPECT_EQ(client.reply().body, "done");
    client.close();
    stopping.join();
}

/// What the callers of the stress test have seen.
struct Seen {
    std::atomic<int> begun = 0;
    std::atomic<int> complete = 0;
    std::atomic<int> cancelled = 0;
    std::atomic<int> wrong = 0;
};

Outgoing numbered(int caller, int i) {
    Outgoing request;
    request.method = "POST";
    request.body = std::to_string(caller) + "/" + std::to_string(i) +
                   std::string(static_cast<std::size_t>(i * 37 % 5000), '.');
    return request;
}

/// Asks again from its own on_end, on the loop, until it has asked `rounds` times.
class Chain final : public AnswerListener, public std::enable_shared_from_this<Chain> {
public:
    Chain(Client& client, Seen& seen, int caller, int rounds)
        : client_(client),
          seen_(seen),
          caller_(caller),
          rounds_(rounds),
          random_(static_cast<unsigned>(caller)) {}

    void next() {
        Outgoing request = numbered(caller_, round_);
        expected_ = request.body;
        body_.clear();
        ++seen_.begun;
        cancelling_ = random_() % 8 == 0;
        const bool at_once = random_() % 2 == 0;
        const std::scoped_lock lock(mutex_);  // the first call comes from another thread
        call_ = client_.send(std::move(request), shared_from_this());
        if (cancelling_ && at_once) {
            call_->cancel();
        }
    }
    void on_head(AnswerHead /*head*/) override {
        const std::scoped_lock lock(mutex_);
        if (cancelling_) {
            call_->cancel();
        }
    }
    void on_body(std::string_view bytes) override { body_.append(bytes); }
    void on_end(const Status& status) override {
        if (status) {
            ++(body_ == expected_ ? seen_.complete : seen_.wrong);
        } else {
            ++(cancelling_ && status.error().fault == Fault::cancelled ? seen_.cancelled
                                                                       : seen_.wrong);
        }
        if (++round_ < rounds_) {
            next();
        } else {
            {
                const std::scoped_lock lock(mutex_);
                call_.reset();
            }
            done.set_value();
        }
    }

    std::promise<void> done;

private:
    Client& client_;
    Seen& seen_;
    const int caller_;
    const int rounds_;
    int round_ = 0;
    std::minstd_rand random_;
    bool cancelling_ = false;
    std::mutex mutex_;
    std::shared_ptr<Call> call_;
    std::string expected_;
    std::string body_;
};

void call_from_a_thread(Client& client, Seen& seen, int caller, int rounds) {
    std::minstd_rand random(static_cast<unsigned>(caller));
    for (int i = 0; i < rounds; ++i) {
        const auto listener = std::make_shared<Recorder>();
        Outgoing request = numbered(caller, i);
        const std::string expected = request.body;
        ++seen.begun;
        const auto call = client.send(std::move(request), listener);
        const bool cancelling = random() % 8 == 0;
        if (cancelling) {
            if (random() % 2 == 0) {
                listener->wait_for_head();
            }
            call->cancel();
        }
        const std::string verdict = listener->verdict();
        if (verdict == "ok") {
            ++(listener->body() == expected ? seen.complete : seen.wrong);
        } else {
            ++(cancelling && verdict == "cancelled" ? seen.cancelled : seen.wrong);
        }
    }
}

void stress(std::size_t connections_max) {
    constexpr int kCallers = 32;
    constexpr int kRounds = 500;
    Loops loops(2);
    const auto files = open_files_after_use_of(loops);
    Seen seen;
    {
        const auto server = started(loops, echo_body);
        ClientLimits limits;
        limits.connections_max = connections_max;
        Client client(loops, loopback(*server), limits);
        std::vector<std::shared_ptr<Chain>> chains;
        std::vector<std::thread> threads;
        for (int caller = 0; caller < kCallers; ++caller) {
            if (caller % 2 == 0) {
                threads.emplace_back(
                    [&, caller] { call_from_a_thread(client, seen, caller, kRounds); });
            } else {
                chains.push_back(std::make_shared<Chain>(client, seen, caller, kRounds));
                chains.back()->next();
            }
        }
        for (auto& thread : threads) {
            thread.join();
        }
        for (const auto& chain : chains) {
            ASSERT_EQ(chain->done.get_future().wait_for(std::chrono::seconds(120)),
                      std::future_status::ready);
        }
        EXPECT_LE(client.snapshot().connections, connections_max);
    }
    EXPECT_EQ(seen.begun, kCallers * kRounds);
    EXPECT_EQ(seen.wrong, 0);
    EXPECT_EQ(seen.complete + seen.cancelled, kCallers * kRounds);
    EXPECT_GT(seen.cancelled, 0);
    EXPECT_GT(seen.complete, kCallers * kRounds / 2);
    EXPECT_EQ(open_files(), files);
}

TEST(Loops, ManyCallersAtOnce) {
    stress(64);
}

TEST(Loops, ManyCallersOverFewConnections) {
    stress(3);
}

TEST(Loops, ClientsGoWhileTheirCallsRun) {
    Loops loops(2);
    const auto files = open_files_after_use_of(loops);
    auto server = started(loops, echo_body);
    for (int i = 0; i < 50; ++i) {
        std::vector<std::shared_ptr<Recorder>> listeners;
        {
            Client client(loops, loopback(*server));
            for (int call = 0; call < 20; ++call) {
                listeners.push_back(std::make_shared<Recorder>());
                client.send(numbered(0, call), listeners.back());
            }
            listeners[static_cast<std::size_t>(i) % listeners.size()]->end();
        }
        for (const auto& listener : listeners) {
            EXPECT_TRUE(listener->ended());
            const std::string verdict = listener->verdict();
            EXPECT_TRUE(verdict == "ok" || verdict == "cancelled") << verdict;
        }
    }
    server.reset();
    EXPECT_EQ(open_files(), files);
}

}  // namespace
}  // namespace trilane::net
