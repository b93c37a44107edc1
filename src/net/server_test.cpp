// The server against real sockets on 127.0.0.1: order, limits, clients that leave, and the end.
#include "net/server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "net/loopback_test_client.h"

namespace trilane::net {
namespace {

using std::chrono::milliseconds;
constexpr auto kPatience = std::chrono::seconds(30);

/// The requests that have reached the handler, for a test that answers them itself.
class Inbox {
public:
    struct Item {
        Request request;
        std::shared_ptr<Exchange> exchange;
    };

    Handler handler() {
        return [this](Request request, std::shared_ptr<Exchange> exchange) {
            const std::scoped_lock lock(mutex_);
            items_.push_back({std::move(request), std::move(exchange)});
            arrived_.notify_all();
        };
    }

    Item next() {
        std::unique_lock lock(mutex_);
        if (!arrived_.wait_for(lock, kPatience, [this] { return !items_.empty(); })) {
            ADD_FAILURE() << "no request arrived";
            return {};
        }
        Item item = std::move(items_.front());
        items_.pop_front();
        return item;
    }

    bool empty() {
        const std::scoped_lock lock(mutex_);
        return items_.empty();
    }

private:
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<Item> items_;
};

Response text_response(std::string body) {
    return {200, "text/plain", {}, std::move(body)};
}

void echo_request(const Request& request, const std::shared_ptr<Exchange>& exchange) {
    exchange->respond(text_response(request.method + " " + request.target + " " + request.body));
}

std::unique_ptr<Server> started(Handler handler, ServerOptions options = {}) {
    auto server = Server::start(std::move(options), std::move(handler));
    EXPECT_TRUE(server) << server.error().message;
    return server ? std::move(*server) : nullptr;
}

/// Waits, busily, until the server has no connection; false when that takes too long.
bool wait_until_unconnected(const Server& server) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (server.snapshot().connections > 0) {
        if (std::chrono::steady_clock::now() > until) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

/// A client that has the head of its answer. A busy machine may take longer than a short idle limit
/// from connecting to asking; whoever was closed before that just comes again.
std::unique_ptr<TestClient> answered_client(const Server& server) {
    constexpr int kAttemptsMax = 200;
    for (int i = 0; i < kAttemptsMax; ++i) {
        auto client = std::make_unique<TestClient>(server.port());
        if (client->get("/") && client->receive_until("\r\n\r\n")) {
            return client;
        }
    }
    ADD_FAILURE() << "no client was answered";
    return std::make_unique<TestClient>(server.port());
}

TEST(Server, KeepsTheConnection) {
    const auto server = started(echo_request);
    TestClient client(server->port());
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(client.get("/" + std::to_string(i)));
        const TestReply reply = client.reply();
        EXPECT_EQ(reply.status, 200U);
        EXPECT_EQ(reply.body, "GET /" + std::to_string(i) + " ");
        EXPECT_TRUE(reply.has("Date: "));
    }
    EXPECT_EQ(server->snapshot().accepted_total, 1U);
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
    const auto server = started(echo_request);
    TestClient client(server->port());
    std::string requests;
    for (int i = 0; i < 100; ++i) {
        requests +=
            "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
    }
    ASSERT_TRUE(client.send(requests));
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(client.reply().body, "POST /" + std::to_string(i) + " hi");
    }
}

TEST(Server, HoldsAPipelinedRequestUntilTheFirstIsAnswered) {
    Inbox inbox;
    const auto server = started(inbox.handler());
    TestClient client(server->port());
    ASSERT_TRUE(
        client.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"));
    auto first = inbox.next();
    EXPECT_EQ(first.request.target, "/1");
    first.exchange->start_stream({});
    EXPECT_TRUE(first.exchange->send("one"));
    ASSERT_TRUE(client.receive_until("one"));
    EXPECT_TRUE(inbox.empty());
    first.exchange->finish();
    auto second = inbox.next();
    EXPECT_EQ(second.request.target, "/2");
    second.exchange->respond(text_response("two"));
    EXPECT_EQ(client.reply().body, "one");
    EXPECT_EQ(client.reply().body, "two");
}

TEST(Server, StreamsInChunksFromAnotherThreadAndKeepsTheConnection) {
    std::thread writer;
    const auto server =
        started([&](const Request& /*request*/, std::shared_ptr<Exchange> exchange) {
            if (writer.joinable()) {
                exchange->respond(text_response("after"));
                return;
            }
            writer = std::thread([exchange] {
                exchange->start_stream({200, "text/event-stream", {{"X-A", "b"}}, "", {}});
                for (int i = 0; i < 1000; ++i) {
                    EXPECT_TRUE(exchange->send("piece " + std::to_string(i) + ";"));
                }
                exchange->finish();
            });
        });
    TestClient client(server->port());
    ASSERT_TRUE(client.get("/"));
    const TestReply reply = client.reply();
    EXPECT_TRUE(reply.complete);
    EXPECT_TRUE(reply.has("Content-Type: text/event-stream\r\n"));
    EXPECT_TRUE(reply.has("X-A: b\r\n"));
    std::string expected;
    for (int i = 0; i < 1000; ++i) {
        expected += "piece " + std::to_string(i) + ";";
    }
    EXPECT_EQ(reply.body, expected);
    writer.join();
    writer = std::thread([] {});
    ASSERT_TRUE(client.get("/"));
    EXPECT_EQ(client.reply().body, "after");
    writer.join();
}

TEST(Server, BeatsWhileAStreamIsSilent) {
    Inbox inbox;
    ServerOptions options;
    options.limits.linger_timeout = milliseconds(20);  // the shortest limit sets the sweep's pace
    const auto server = started(inbox.handler(), options);
    TestClient client(server->port());
    ASSERT_TRUE(client.get("/"));
    auto item = inbox.next();
    item.exchange->start_stream({200, "text/event-stream", {}, ": ping\n\n", milliseconds(20)});
    ASSERT_TRUE(client.receive_until(": ping\n\n\r\n8\r\n: ping\n\n"));
    EXPECT_TRUE(item.exchange->send("data: x\n\n"));
    item.exchange->finish();
    const TestReply reply = client.reply();
    EXPECT_TRUE(reply.complete);
    EXPECT_TRUE(reply.body.ends_with("data: x\n\n"));
}

TEST(Server, ServesHttp10AndHead) {
    Inbox inbox;
    const auto server = started(inbox.handler());
    TestClient old(server->port());
    ASSERT_TRUE(old.send("GET / HTTP/1.0\r\n\r\n"));
    auto item = inbox.next();
    item.exchange->start_stream({});
    EXPECT_TRUE(item.exchange->send("a"));
    EXPECT_TRUE(item.exchange->send("b"));
    item.exchange->finish();
    const TestReply streamed = old.reply();
    EXPECT_FALSE(streamed.has("chunked"));
    EXPECT_TRUE(streamed.has("Connection: close"));
    EXPECT_EQ(streamed.body, "ab");
    EXPECT_TRUE(streamed.complete);

    TestClient kept(server->port());
    ASSERT_TRUE(kept.send("HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    inbox.next().exchange->respond(text_response("12345"));
    const TestReply head = kept.reply(true);
    EXPECT_TRUE(head.has("Content-Length: 5\r\n"));
    EXPECT_TRUE(head.has("Connection: keep-alive\r\n"));
    ASSERT_TRUE(kept.get("/next"));
    inbox.next().exchange->respond(text_response("body"));
    EXPECT_EQ(kept.reply().body, "body") << "the HEAD answer had no body";
}

TEST(Server, AsksForTheBodyOfAClientThatWaits) {
    const auto server = started(echo_request);
    TestClient client(server->port());
    ASSERT_TRUE(
        client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                    "Content-Length: 4\r\n\r\n"));
    EXPECT_EQ(client.reply().status, 100U);
    ASSERT_TRUE(client.send("body"));
    EXPECT_EQ(client.reply().body, "POST / body");
}

TEST(Server, TakesABodyOfManyReads) {
    const auto server = started(echo_request);
    TestClient client(server->port());
    const std::string body(3'000'000, 'x');
    ASSERT_TRUE(client.post("/", body));
    EXPECT_EQ(client.reply().body, "POST / " + body);
}

TEST(Server, ClosesWhenTheClientAsksForIt) {
    const auto server = started(echo_request);
    TestClient client(server->port());
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    const TestReply reply = client.reply();
    EXPECT_TRUE(reply.has("Connection: close\r\n"));
    EXPECT_EQ(reply.body, "GET / ");
    EXPECT_TRUE(client.wait_for_end());
}

TEST(Server, AnswersErrorsOfItsOwnByTheErrorPage) {
    ServerOptions options;
    options.limits.body_bytes_max = 100;
    options.limits.header_bytes_max = 1000;
    options.error_page = [](unsigned status, std::string_view message, std::string_view target) {
        return Response{
            status, "application/json", {}, "{" + std::string(message) + "}" + std::string(target)};
    };
    const auto server = started(echo_request, options);
    const auto status_of = [&](std::string_view bytes, std::string_view target) {
        TestClient client(server->port());
        EXPECT_TRUE(client.send(bytes));
        const TestReply reply = client.reply();
        EXPECT_TRUE(reply.body.starts_with("{")) << reply.head;
        EXPECT_TRUE(reply.body.ends_with("}" + std::string(target))) << reply.body;
        EXPECT_TRUE(reply.has("Connection: close"));
        EXPECT_TRUE(client.wait_for_end());
        return reply.status;
    };
    EXPECT_EQ(status_of("what is this\r\n\r\n", ""), 400U);
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(2000, 'a'), "/"), 431U);
    EXPECT_EQ(status_of("POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n" +
                            std::string(101, 'b'),
                        "/a?b"),
              413U);
}

TEST(Server, AnswersWhatCameBeforeTheNonsense) {
    const auto server = started(echo_request);
    TestClient client(server->port());
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nwhat is this\r\n\r\n"));
    EXPECT_EQ(client.reply().status, 200U);
    EXPECT_EQ(client.reply().status, 400U);
    EXPECT_TRUE(client.wait_for_end());
}

TEST(Server, DoesNotLetAHeaderBreakOutOfItsLine) {
    const auto server = started([](const Request& /*request*/, std::shared_ptr<Exchange> exchange) {
        exchange->respond(
            {200, "text/plain", {{"X-Id", "a\r\nSet-Cookie: b"}, {"X-Ok", "c"}}, "d"});
    });
    TestClient client(server->port());
    ASSERT_TRUE(client.get("/"));
    const TestReply reply = client.reply();
    EXPECT_FALSE(reply.has("Set-Cookie"));
    EXPECT_TRUE(reply.has("X-Ok: c"));
}

TEST(Server, EndsSlowRequests) {
    ServerOptions options;
    options.limits.header_timeout = milliseconds(40);
    options.limits.body_timeout = milliseconds(40);
    const auto server = started(echo_request, options);
    TestClient slow_header(server->port());
    ASSERT_TRUE(slow_header.send("GET / HTTP/1.1\r\nHos"));
    TestClient slow_body(server->port());
    ASSERT_TRUE(slow_body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"));
    EXPECT_EQ(slow_header.reply().status, 408U);
    EXPECT_EQ(slow_body.reply().status, 408U);
}

TEST(Server, ClosesIdleClients) {
    ServerOptions options;
    options.limits.idle_timeout = milliseconds(40);
    const auto server = started(echo_request, options);
    TestClient silent(server->port());
    EXPECT_TRUE(silent.wait_for_end());
    EXPECT_TRUE(silent.received().empty());
    const auto idle = answered_client(*server);
    EXPECT_EQ(idle->reply().status, 200U);
    EXPECT_TRUE(idle->wait_for_end());
    EXPECT_TRUE(idle->received().empty());
}

TEST(Server, WaitsForAHandlerLongerThanForAClient) {
    Inbox inbox;
    ServerOptions options;
    options.threads = 1;  // one sweep looks at both clients
    options.limits.header_timeout = milliseconds(10);
    options.limits.idle_timeout = milliseconds(10);
    const auto server = started(
        [&](Request request, std::shared_ptr<Exchange> exchange) {
            exchange->start_stream({});
            inbox.handler()(std::move(request), std::move(exchange));
        },
        options);
    const auto client = answered_client(*server);
    auto item = inbox.next();
    TestClient clock(server->port());  // when this one has been timed out, so would have the other
    EXPECT_TRUE(clock.wait_for_end());
    EXPECT_TRUE(item.exchange->send("late"));
    item.exchange->finish();
    const TestReply reply = client->reply();
    EXPECT_EQ(reply.body, "late");
    EXPECT_TRUE(reply.complete);
}

TEST(Server, BoundsTheBodiesThatItReads) {
    ServerOptions options;
    options.threads = 1;  // a request that came in one piece is read and taken in one go
    options.limits.body_bytes_max = 1000;
    options.limits.reading_bytes_max = 1500;
    const auto server = started(echo_request, options);
    const std::string half(700, 'x');
    TestClient slow(server->port());
    ASSERT_TRUE(
        slow.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                  "Content-Length: 701\r\n\r\n"));
    ASSERT_EQ(slow.reply().status, 100U);
    ASSERT_TRUE(slow.send(half));
    // The slow one's bytes may still be on their way, so this repeats until they have arrived.
    unsigned status = 200;
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (status == 200 && std::chrono::steady_clock::now() < until) {
        TestClient other(server->port());
        ASSERT_TRUE(other.post("/", std::string(900, 'y')));
        status = other.reply().status;
    }
    EXPECT_EQ(status, 503U);
    ASSERT_TRUE(slow.send("z"));
    EXPECT_EQ(slow.reply().body, "POST / " + half + "z");
    TestClient after(server->port());
    ASSERT_TRUE(after.post("/", std::string(900, 'y')));
    EXPECT_EQ(after.reply().status, 200U) << "what was taken counts no more";
}

/// The shortest of several times from the client's leaving to on_gone, all of which must come.
milliseconds gone_after(bool streaming, bool reset) {
    Inbox inbox;
    const auto server = started(inbox.handler());
    auto shortest = milliseconds::max();
    for (int i = 0; i < 5; ++i) {
        TestClient client(server->port());
        EXPECT_TRUE(client.get("/"));
        auto item = inbox.next();
        if (streaming) {
            item.exchange->start_stream({});
            EXPECT_TRUE(item.exchange->send("x"));
            EXPECT_TRUE(client.receive_until("x"));
        }
        // Shared: the server's thread may still be inside of set_value() when this one goes on.
        const auto gone = std::make_shared<std::promise<void>>();
        item.exchange->on_gone([gone] { gone->set_value(); });
        const auto left = std::chrono::steady_clock::now();
        if (reset) {
            client.reset();
        } else {
            client.close();
        }
        EXPECT_EQ(gone->get_future().wait_for(kPatience), std::future_status::ready);
        shortest = std::min(shortest, std::chrono::duration_cast<milliseconds>(
                                          std::chrono::steady_clock::now() - left));
        EXPECT_FALSE(item.exchange->send("y"));
        bool late = false;
        item.exchange->on_gone([&late] { late = true; });
        EXPECT_TRUE(late) << "who asks afterwards is told at once";
    }
    return shortest;
}

TEST(Server, SeesTheClientLeave) {
    EXPECT_LE(gone_after(false, false), kNoticedMax);
    EXPECT_LE(gone_after(false, true), kNoticedMax);
    EXPECT_LE(gone_after(true, false), kNoticedMax);
    EXPECT_LE(gone_after(true, true), kNoticedMax);
}

TEST(Server, LetsGoOfAClientThatHidesBehindAFullBuffer) {
    Inbox inbox;
    const auto server = started(inbox.handler());
    const auto gone = std::make_shared<std::promise<void>>();
    TestClient client(server->port());
    ASSERT_TRUE(client.get("/long"));
    auto item = inbox.next();
    item.exchange->on_gone([gone] { gone->set_value(); });
    std::string ahead;
    while (ahead.size() < (200U << 10U)) {
        ahead += "GET /live HTTP/1.1\r\nHost: h\r\n\r\n";
    }
    client.send(ahead);  // may fail half-way: that is the point
    gone->get_future().wait();
    EXPECT_TRUE(wait_until_unconnected(*server));
}

TEST(Server, DoesNotCallACompletedAnswerGone) {
    Inbox inbox;
    const auto server = started(inbox.handler());
    std::atomic<bool> gone = false;
    {
        TestClient client(server->port());
        ASSERT_TRUE(client.get("/"));
        auto item = inbox.next();
        item.exchange->on_gone([&gone] { gone = true; });
        item.exchange->respond(text_response("whole"));
        EXPECT_EQ(client.reply().body, "whole");
    }
    EXPECT_TRUE(wait_until_unconnected(*server));
    EXPECT_FALSE(gone);
}

TEST(Server, BoundsWhatAClientLeavesUnread) {
    Inbox inbox;
    ServerOptions options;
    options.limits.pending_bytes_max = 100'000;
    const auto server = started(inbox.handler(), options);
    TestClient client(server->port());
    ASSERT_TRUE(client.get("/"));
    auto item = inbox.next();
    item.exchange->start_stream({});
    ASSERT_TRUE(client.receive_until("\r\n\r\n"));
    const std::string piece(50'000, 'x');
    constexpr std::size_t kBytesMax = 64U << 20U;  // far above what the two sockets can hold
    std::size_t bytes = 0;
    while (bytes < kBytesMax && item.exchange->send(piece)) {
        bytes += piece.size();
    }
    EXPECT_LT(bytes, kBytesMax);
    EXPECT_FALSE(item.exchange->send("more"));
    EXPECT_TRUE(wait_until_unconnected(*server));
    EXPECT_FALSE(client.reply().complete) << "a stream with a hole must not look whole";
}

TEST(Server, ClosesAClientThatDoesNotRead) {
    ServerOptions options;
    options.limits.write_timeout = milliseconds(50);
    const std::string huge(24U << 20U, 'x');  // more than two sockets hold
    const auto server =
        started([&](const Request& /*request*/,
                    std::shared_ptr<Exchange> exchange) { exchange->respond(text_response(huge)); },
                options);
    TestClient client(server->port());
    ASSERT_TRUE(client.get("/"));
    ASSERT_TRUE(client.receive_until("\r\n\r\n"));
    EXPECT_TRUE(wait_until_unconnected(*server));
    EXPECT_FALSE(client.reply().complete);
}

TEST(Server, AnswersForAHandlerThatDropsItsExchange) {
    Inbox inbox;
    const auto server = started(inbox.handler());
    TestClient client(server->port());
    ASSERT_TRUE(client.get("/"));
    inbox.next();
    EXPECT_EQ(client.reply().status, 500U);
    TestClient streaming(server->port());
    ASSERT_TRUE(streaming.get("/"));
    {
        auto item = inbox.next();
        item.exchange->start_stream({});
        EXPECT_TRUE(item.exchange->send("half"));
        EXPECT_TRUE(streaming.receive_until("half"));
    }
    EXPECT_FALSE(streaming.reply().complete);
}

TEST(Server, IgnoresASecondAnswer) {
    Inbox inbox;
    const auto server = started(inbox.handler());
    TestClient client(server->port());
    ASSERT_TRUE(client.get("/"));
    auto item = inbox.next();
    item.exchange->respond(text_response("first"));
    item.exchange->respond(text_response("second"));
    item.exchange->start_stream({});
    EXPECT_FALSE(item.exchange->send("third"));
    item.exchange->finish();
    EXPECT_EQ(client.reply().body, "first");
    ASSERT_TRUE(client.get("/"));
    inbox.next().exchange->respond(text_response("next"));
    EXPECT_EQ(client.reply().body, "next");
}

TEST(Server, RefusesConnectionsBeyondItsLimit) {
    Inbox inbox;
    ServerOptions options;
    options.limits.connections_max = 2;
    const auto server = started(inbox.handler(), options);
    TestClient first(server->port());
    TestClient second(server->port());
    ASSERT_TRUE(first.get("/"));
    ASSERT_TRUE(second.get("/"));
    auto one = inbox.next();
    auto two = inbox.next();
    {
        TestClient third(server->port());
        ASSERT_TRUE(third.get("/"));
        EXPECT_EQ(third.reply().status, 503U);
        EXPECT_TRUE(third.wait_for_end());
    }
    EXPECT_EQ(server->snapshot().refused_total, 1U);
    one.exchange->respond(text_response("a"));
    two.exchange->respond(text_response("b"));
    EXPECT_EQ(first.reply().status, 200U);
    EXPECT_EQ(second.reply().status, 200U);
}

TEST(Server, WhoKeepsAPlaceWithoutARequestGivesWay) {
    Inbox inbox;
    ServerOptions options;
    options.threads = 1;
    options.limits.connections_max = 3;
    options.crowded_timeout = std::chrono::milliseconds(0);
    const auto server = started(inbox.handler(), options);
    TestClient half(server->port());
    ASSERT_TRUE(half.send("GET / HT"));
    TestClient idle(server->port());
    TestClient busy(server->port());
    ASSERT_TRUE(busy.get("/busy"));
    const auto answering = inbox.next();
    TestClient first(server->port());
    ASSERT_TRUE(first.get("/fresh"));
    inbox.next().exchange->respond(text_response("in"));
    EXPECT_EQ(first.reply().status, 200U);
    EXPECT_TRUE(half.wait_for_end());
    TestClient second(server->port());
    ASSERT_TRUE(second.get("/fresh"));
    inbox.next().exchange->respond(text_response("in"));
    EXPECT_EQ(second.reply().status, 200U);
    EXPECT_TRUE(idle.wait_for_end());
    EXPECT_EQ(server->snapshot().refused_total, 0U);
    answering.exchange->respond(text_response("to the end"));
    EXPECT_EQ(busy.reply().body, "to the end") << "who is answered stays";
}

TEST(Server, StopsGracefully) {
    Inbox inbox;
    const auto server = started(inbox.handler());
    TestClient busy(server->port());
    ASSERT_TRUE(busy.get("/"));
    auto item = inbox.next();
    TestClient idle(server->port());
    ASSERT_TRUE(idle.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n"));
    inbox.next().exchange->respond(text_response("x"));
    EXPECT_EQ(idle.reply().body, "x");
    std::thread stopping([&] { server->stop(kPatience); });
    EXPECT_TRUE(idle.wait_for_end()) << "who asks nothing is closed at once";
    idle.close();
    while (TestClient(server->port()).connected()) {
        std::this_thread::yield();  // the listener closes at about the same time
    }
    item.exchange->respond(text_response("to the end"));
    const TestReply reply = busy.reply();
    EXPECT_EQ(reply.body, "to the end");
    busy.close();
    stopping.join();
    EXPECT_EQ(server->snapshot().connections, 0U);
}

TEST(Server, StopsWithoutPatience) {
    Inbox inbox;
    const auto server = started(inbox.handler());
    TestClient client(server->port());
    ASSERT_TRUE(client.get("/"));
    auto item = inbox.next();
    std::atomic<bool> gone = false;
    item.exchange->on_gone([&gone] { gone = true; });
    server->stop(milliseconds(0));
    EXPECT_TRUE(gone);
    EXPECT_TRUE(client.wait_for_end());
    item.exchange->respond(text_response("to nobody"));
    server->stop(milliseconds(0));
}

TEST(Server, AnExchangeMayOutliveItsServer) {
    Inbox inbox;
    auto server = started(inbox.handler());
    TestClient client(server->port());
    ASSERT_TRUE(client.get("/"));
    auto item = inbox.next();
    server.reset();
    item.exchange->start_stream({});
    EXPECT_FALSE(item.exchange->send("x"));
}

TEST(Server, NamesATakenPort) {
    const auto server = started(echo_request);
    ServerOptions options;
    options.port = server->port();
    const auto second = Server::start(options, echo_request);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().fault, Fault::unavailable);
    const std::string port = std::to_string(server->port());
    EXPECT_NE(second.error().message.find("127.0.0.1:" + port), std::string::npos);
    EXPECT_NE(second.error().message.find("ss -ltnp 'sport = :" + port + "'"), std::string::npos);
    EXPECT_NE(second.error().message.find("--port"), std::string::npos);
}

TEST(Server, BindsTheNamesPeopleUse) {
    for (const std::string host : {"127.0.0.1", "localhost", "0.0.0.0"}) {
        ServerOptions options;
        options.host = host;
        const auto server = started(echo_request, options);
        TestClient client(server->port());
        ASSERT_TRUE(client.get("/")) << host;
        EXPECT_EQ(client.reply().status, 200U) << host;
    }
    ServerOptions options;
    options.host = "::";  // both families; absent where the kernel has no IPv6
    if (const auto server = Server::start(options, echo_request)) {
        TestClient client((*server)->port());
        ASSERT_TRUE(client.get("/"));
        EXPECT_EQ(client.reply().status, 200U);
    }
    options.host = "no such host";
    const auto nowhere = Server::start(options, echo_request);
    ASSERT_FALSE(nowhere);
    EXPECT_EQ(nowhere.error().fault, Fault::invalid);
}

}  // namespace
}  // namespace trilane::net
