// The client against our own server, and against servers that misbehave in every way we know.
#include "net/client.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/client_test_listener.h"
#include "net/client_test_server.h"
#include "net/loopback_test_client.h"
#include "net/raw_test_server.h"
#include "net/server.h"

namespace trilane::net {
namespace {

using std::chrono::milliseconds;

Target loopback(std::uint16_t port) {
    Target target;
    target.host = "127.0.0.1";
    target.port = port;
    return target;
}

Outgoing get(std::string target) {
    Outgoing request;
    request.target = std::move(target);
    return request;
}

Outgoing post(std::string target, std::string body) {
    Outgoing request;
    request.method = "POST";
    request.target = std::move(target);
    request.body = std::move(body);
    return request;
}

std::string counted(std::string_view body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string(body);
}

void echo(const Request& request, const std::shared_ptr<Exchange>& exchange) {
    exchange->respond(
        {200, "text/plain", {}, request.method + " " + request.target + " " + request.body});
}

/// Answers every request of a connection with `answer`.
RawServer::Script always(std::string answer) {
    return [answer = std::move(answer)](RawPeer& peer) {
        while (!peer.request().empty() && peer.send(answer)) {
        }
    };
}

/// Reads a request, sends `answer`, and closes.
RawServer::Script once(std::string answer) {
    return [answer = std::move(answer)](RawPeer& peer) {
        peer.request();
        peer.send(answer);
    };
}

/// What one call makes of one answer, sent once.
Result<WholeAnswer> fetched(RawServer::Script script, Outgoing request = {},
                            ClientLimits limits = {}) {
    Loops loops(1);
    RawServer server({std::move(script)});
    Client client(loops, loopback(server.port()), limits);
    return client.fetch(std::move(request));
}

TEST(Client, FetchesAndKeepsTheConnection) {
    Loops loops(1);
    const auto server = started(loops, echo);
    Client client(loops, loopback(server->port()));
    for (int i = 0; i < 20; ++i) {
        const auto answer = client.fetch(post("/" + std::to_string(i), "body"));
        ASSERT_TRUE(answer) << answer.error().message;
        EXPECT_EQ(answer->head.status, 200U);
        EXPECT_EQ(*answer->head.header("content-type"), "text/plain");
        EXPECT_EQ(answer->body, "POST /" + std::to_string(i) + " body");
    }
    EXPECT_EQ(server->snapshot().accepted_total, 1U);
    const auto snapshot = client.snapshot();
    EXPECT_EQ(snapshot.connections, 1U);
    EXPECT_EQ(snapshot.opened_total, 1U);
    EXPECT_EQ(snapshot.reused_total, 19U);
}

TEST(Client, PutsTheBasePathBeforeTheTarget) {
    Loops loops(1);
    const auto server = started(loops, echo);
    auto target = parse_url("http://localhost:" + std::to_string(server->port()) + "/v1/");
    ASSERT_TRUE(target);
    Client client(loops, *target);
    EXPECT_EQ(client.fetch(get("/models?x=1"))->body, "GET /v1/models?x=1 ");
    EXPECT_EQ(client.target().base_path, "/v1");
}

TEST(Client, SendsLongBodiesAndTakesLongAnswers) {
    Loops loops(2);
    const auto server =
        started(loops, [](const Request& request, const std::shared_ptr<Exchange>& exchange) {
            exchange->respond({200, "", {}, request.body});
        });
    Client client(loops, loopback(server->port()));
    std::string body;
    while (body.size() < (8U << 20U)) {
        body += std::to_string(body.size()) + ";";
    }
    const auto answer = client.fetch(post("/", body));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_TRUE(answer->body == body);
}

TEST(Client, HearsAStreamPieceByPiece) {
    Loops loops(1);
    std::shared_ptr<Exchange> open;
    std::promise<void> came;
    const auto server =
        started(loops, [&](const Request& /*request*/, std::shared_ptr<Exchange> exchange) {
            open = std::move(exchange);
            open->start_stream({200, "text/event-stream", {}, "", {}});
            came.set_value();
        });
    Client client(loops, loopback(server->port()));
    const auto listener = std::make_shared<Recorder>();
    const auto call = client.send(get("/"), listener);
    came.get_future().wait();
    ASSERT_TRUE(listener->wait_for_head());
    open->send("one;");
    ASSERT_TRUE(listener->wait_for_body("one;"));
    EXPECT_FALSE(listener->ended());
    open->send("two;");
    ASSERT_TRUE(listener->wait_for_body("one;two;"));
    open->finish();
    EXPECT_EQ(listener->verdict(), "ok");
    open.reset();
    EXPECT_EQ(client.snapshot().connections, 1U) << "a stream's connection is kept, too";
}

TEST(Client, AsksForHeads) {
    Loops loops(1);
    const auto server = started(loops, echo);
    Client client(loops, loopback(server->port()));
    Outgoing request;
    request.method = "HEAD";
    const auto answer = client.fetch(request);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, "");
    EXPECT_NE(*answer->head.header("Content-Length"), "0");
    EXPECT_EQ(client.fetch(get("/"))->body, "GET / ");
    EXPECT_EQ(client.snapshot().reused_total, 1U);
}

TEST(Client, SpeaksOverUnixSockets) {
    std::string folder = "/tmp/trilane-client-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/s.sock";
    {
        Loops loops(1);
        RawServer server({always(counted("local"))}, path);
        Client client(loops, *parse_url("unix:" + path));
        EXPECT_EQ(client.fetch(get("/"))->body, "local");
        EXPECT_EQ(client.fetch(get("/"))->body, "local");
        EXPECT_EQ(client.snapshot().opened_total, 1U);
        Client nobody(loops, *parse_url("unix:" + folder + "/none.sock"));
        EXPECT_EQ(fault_of(nobody.fetch(get("/"))), "unavailable");
    }
    std::filesystem::remove_all(folder);
}

TEST(Client, ResolvesNames) {
    Loops loops(1);
    Target target = loopback(1);
    target.host = "no-such-host.invalid";
    Client client(loops, target);
    const auto answer = client.fetch(get("/"));
    EXPECT_EQ(fault_of(answer), "unavailable");
    EXPECT_NE(answer.error().message.find("no-such-host.invalid"), std::string::npos);
}

TEST(Client, SaysWhereNobodyListens) {
    Loops loops(1);
    std::uint16_t port = 0;
    {
        RawServer server({once("")});
        port = server.port();
    }
    Client client(loops, loopback(port));
    const auto answer = client.fetch(get("/"));
    ASSERT_EQ(fault_of(answer), "unavailable");
    EXPECT_NE(answer.error().message.find("http://127.0.0.1:" + std::to_string(port)),
              std::string::npos);
    EXPECT_EQ(client.snapshot().connections, 0U);
}

TEST(Client, RefusesRequestsThatBreakOut) {
    Loops loops(1);
    Client client(loops, loopback(1));
    EXPECT_EQ(fault_of(client.fetch(get("/ HTTP/1.1\r\nX: y"))), "invalid");
}

TEST(Client, TakesAnswersOfEveryFraming) {
    EXPECT_EQ(fetched(once("HTTP/1.1 200 OK\r\n\r\nto the end"))->body, "to the end");
    EXPECT_EQ(fetched(once("HTTP/1.1 100 Continue\r\n\r\n" + counted("x")))->body, "x");
    EXPECT_EQ(fetched(once("HTTP/1.1 204 No Content\r\n\r\n"))->head.status, 204U);
    EXPECT_EQ(fetched(once("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"))->body, "x");
}

TEST(Client, TakesChunksSplitAtEveryByte) {
    const auto answer = fetched([](RawPeer& peer) {
        peer.request();
        for (const char byte : std::string_view("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                                                "chunked\r\n\r\n3\r\nabc\r\nb;x=y\r\n01234567890\r"
                                                "\n0\r\nLate: x\r\n\r\n")) {
            peer.send({&byte, 1});
        }
        peer.wait_for_end();
    });
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->body, "abc01234567890");
}

TEST(Client, CallsNonsenseCorrupt) {
    EXPECT_EQ(fault_of(fetched(once("SSH-2.0-OpenSSH_9.2\r\n"))), "corrupt");
    EXPECT_EQ(fault_of(fetched(once("HTTP/1.1 200 OK\r\nbad header\r\n\r\n"))), "corrupt");
    EXPECT_EQ(
        fault_of(fetched(once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnope\r\n"))),
        "corrupt");
}

TEST(Client, BoundsAnEndlessHead) {
    const auto answer = fetched([](RawPeer& peer) {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n");
        while (peer.send("X-Another: one more header that nobody asked for\r\n")) {
        }
    });
    EXPECT_EQ(fault_of(answer), "corrupt");
}

TEST(Client, TellsALostConnectionFromACompleteAnswer) {
    const auto cut = fetched(once("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"));
    EXPECT_EQ(fault_of(cut), "unavailable");
    EXPECT_NE(cut.error().message.find("cut off"), std::string::npos);
    EXPECT_EQ(fault_of(fetched(once("HTTP/1.1 200 OK\r\nContent-Le"))), "unavailable");
    const auto nothing = fetched(once(""));
    EXPECT_EQ(fault_of(nothing), "unavailable");
    EXPECT_NE(nothing.error().message.find("no byte"), std::string::npos);
    EXPECT_EQ(
        fault_of(fetched(once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na"))),
        "unavailable");
    EXPECT_EQ(fault_of(fetched([](RawPeer& peer) {
                  peer.request();
                  peer.send("HTTP/1.1 200 OK\r\n\r\nbefore the reset");
                  peer.reset();
              })),
              "unavailable");
}

TEST(Client, TimesOut) {
    const auto silent = [](std::string_view start) {
        return [start](RawPeer& peer) {
            peer.request();
            peer.send(start);
            peer.wait_for_end();
        };
    };
    ClientLimits limits;
    limits.head_timeout = milliseconds(30);
    limits.silence_timeout = milliseconds(30);
    EXPECT_EQ(fault_of(fetched(silent(""), get("/"), limits)), "timeout");
    EXPECT_EQ(fault_of(fetched(silent("HTTP/1.1 200 OK\r\nCont"), get("/"), limits)), "timeout");
    EXPECT_EQ(fault_of(fetched(silent("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"), get("/"),
                               limits)),
              "timeout");
    Outgoing hasty = get("/");
    hasty.head_timeout = milliseconds(20);
    hasty.silence_timeout = milliseconds(20);
    EXPECT_EQ(fault_of(fetched(silent(""), hasty)), "timeout");
    EXPECT_EQ(fault_of(fetched(silent("HTTP/1.1 200 OK\r\n\r\nx"), hasty)), "timeout");
}

TEST(Client, TimesOutAServerThatDoesNotRead) {
    ClientLimits limits;
    limits.head_timeout = milliseconds(50);
    const auto answer = fetched([](RawPeer& peer) { peer.wait_for_end_unread(); },
                                post("/", std::string(32U << 20U, 'x')), limits);
    EXPECT_EQ(fault_of(answer), "timeout");
}

TEST(Client, TimesOutWhileItConnects) {
    // A listener whose backlog is full answers no one.
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), size), 0);
    ASSERT_EQ(::listen(listener, 0), 0);
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    const std::uint16_t port = ntohs(address.sin_port);
    TestClient first(port);
    Loops loops(1);
    ClientLimits limits;
    limits.connect_timeout = milliseconds(100);
    limits.head_timeout = milliseconds(100);
    Client client(loops, loopback(port), limits);
    EXPECT_EQ(fault_of(client.fetch(get("/"))), "timeout");
    const auto answer = client.fetch(get("/"));
    ASSERT_EQ(fault_of(answer), "timeout");
    EXPECT_NE(answer.error().message.find("connecting"), std::string::npos);
    ::close(listener);
}

TEST(Client, HandsAnEarlyAnswerOn) {
    // The server answers and closes without reading the body.
    Loops loops(1);
    RawServer server({[](RawPeer& peer) {
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
        peer.wait_for_end();
    }});
    Client client(loops, loopback(server.port()));
    const auto answer = client.fetch(post("/", std::string(16U << 20U, 'x')));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->head.status, 413U);
    EXPECT_EQ(client.snapshot().connections, 0U);
}

TEST(Client, SendsAgainWhenAKeptConnectionTurnsOutStale) {
    // The first connection serves one request and dies with the second one unread.
    Loops loops(1);
    RawServer server({[](RawPeer& peer) {
                          peer.request();
                          peer.send(counted("first"));
                          peer.request();
                      },
                      always(counted("second"))});
    Client client(loops, loopback(server.port()));
    EXPECT_EQ(client.fetch(post("/", "a"))->body, "first");
    const auto answer = client.fetch(post("/", "b"));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->body, "second");
    EXPECT_EQ(server.connections(), 2U);
    EXPECT_EQ(client.snapshot().opened_total, 2U);
    EXPECT_EQ(client.snapshot().connections, 1U);
}

TEST(Client, SendsAgainOnlyOnceAndOnlyBeforeAByteCame) {
    {
        Loops loops(1);
        RawServer server({[](RawPeer& peer) {
                              peer.request();
                              peer.send(counted("first"));
                              peer.request();
                          },
                          once("")});
        Client client(loops, loopback(server.port()));
        EXPECT_EQ(client.fetch(get("/"))->body, "first");
        EXPECT_EQ(fault_of(client.fetch(get("/"))), "unavailable");
        EXPECT_EQ(server.connections(), 2U);
    }
    Loops loops(1);
    RawServer server({[](RawPeer& peer) {
        peer.request();
        peer.send(counted("first"));
        peer.request();
        peer.send("H");
    }});
    Client client(loops, loopback(server.port()));
    EXPECT_EQ(client.fetch(get("/"))->body, "first");
    EXPECT_EQ(fault_of(client.fetch(get("/"))), "unavailable");
    EXPECT_EQ(server.connections(), 1U);
}

TEST(Client, SurvivesServersThatCloseAfterEachAnswer) {
    // Without saying so: now and then the end arrives only behind the next request.
    Loops loops(1);
    RawServer server({once(counted("x"))});
    Client client(loops, loopback(server.port()));
    for (int i = 0; i < 200; ++i) {
        const auto answer = client.fetch(get("/"));
        ASSERT_TRUE(answer) << answer.error().message;
    }
}

TEST(Client, DoesNotReuseWhatTheServerCloses) {
    Loops loops(1);
    RawServer server(
        {always("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")});
    Client client(loops, loopback(server.port()));
    EXPECT_TRUE(client.fetch(get("/")));
    EXPECT_TRUE(client.fetch(get("/")));
    EXPECT_EQ(server.connections(), 2U);
    EXPECT_EQ(client.snapshot().reused_total, 0U);
}

TEST(Client, DoesNotReuseAServerThatSpeaksOn) {
    Loops loops(1);
    RawServer server({always(counted("x") + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")});
    Client client(loops, loopback(server.port()));
    EXPECT_EQ(client.fetch(get("/"))->body, "x");
    EXPECT_EQ(client.fetch(get("/"))->body, "x");
    EXPECT_EQ(client.snapshot().reused_total, 0U);
}

TEST(Client, ClosesIdleConnections) {
    Loops loops(1);
    std::promise<bool> closed;
    RawServer server({[&closed](RawPeer& peer) {
        peer.request();
        peer.send(counted("x"));
        closed.set_value(peer.wait_for_end());
    }});
    ClientLimits limits;
    limits.idle_timeout = milliseconds(20);
    Client client(loops, loopback(server.port()), limits);
    EXPECT_TRUE(client.fetch(get("/")));
    EXPECT_TRUE(closed.get_future().get());
}

TEST(Client, CancelClosesTheConnectionAtOnce) {
    Loops loops(2);
    auto best = milliseconds::max();
    for (int i = 0; i < 5; ++i) {
        std::promise<std::chrono::steady_clock::time_point> gone;
        const auto server =
            started(loops, [&](const Request& /*request*/, std::shared_ptr<Exchange> exchange) {
                exchange->start_stream({});
                exchange->send("working");
                exchange->on_gone([&gone] { gone.set_value(std::chrono::steady_clock::now()); });
                static std::mutex mutex;
                static std::vector<std::shared_ptr<Exchange>> kept;
                const std::scoped_lock lock(mutex);
                kept.push_back(std::move(exchange));
            });
        Client client(loops, loopback(server->port()));
        const auto listener = std::make_shared<Recorder>();
        const auto call = client.send(get("/"), listener);
        ASSERT_TRUE(listener->wait_for_body("working"));
        const auto from = std::chrono::steady_clock::now();
        call->cancel();
        call->cancel();
        EXPECT_EQ(listener->verdict(), "cancelled");
        best = std::min(best,
                        std::chrono::duration_cast<milliseconds>(gone.get_future().get() - from));
        call->cancel();  // after the end: nothing
        EXPECT_EQ(client.snapshot().connections, 0U);
    }
    EXPECT_LE(best, kNoticedMax);
}

TEST(Client, CancelFromACallbackEndsTheBody) {
    Loops loops(1);
    RawServer server(
        {always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n")});
    Client client(loops, loopback(server.port()));
    const auto listener = std::make_shared<Recorder>();
    std::promise<std::shared_ptr<Call>> handed;
    listener->body_hook = [call = handed.get_future().share()](std::string_view /*bytes*/) {
        call.get()->cancel();
    };
    handed.set_value(client.send(get("/"), listener));
    EXPECT_EQ(listener->verdict(), "cancelled");
    EXPECT_EQ(listener->body(), "a");
}

TEST(Client, CancelsWhatWaits) {
    Loops loops(1);
    RawServer server({[](RawPeer& peer) { peer.wait_for_end(); }});
    ClientLimits limits;
    limits.connections_max = 1;
    Client client(loops, loopback(server.port()), limits);
    const auto first = std::make_shared<Recorder>();
    const auto second = std::make_shared<Recorder>();
    const auto busy = client.send(get("/1"), first);
    const auto waiting = client.send(get("/2"), second);
    waiting->cancel();
    EXPECT_EQ(second->verdict(), "cancelled");
    EXPECT_FALSE(first->ended());
    busy->cancel();
    EXPECT_EQ(first->verdict(), "cancelled");
}

TEST(Client, BoundsConnectionsAndWaitingCalls) {
    for (const unsigned threads : {1U, 2U, 3U}) {
        Loops loops(threads);
        std::mutex mutex;
        std::vector<std::shared_ptr<Exchange>> held;
        bool holding = true;
        const auto server =
            started(loops, [&](const Request& request, std::shared_ptr<Exchange> exchange) {
                const std::scoped_lock lock(mutex);
                if (holding) {
                    held.push_back(std::move(exchange));
                } else {
                    echo(request, exchange);
                }
            });
        ClientLimits limits;
        limits.connections_max = 2;
        limits.waiting_max = 3;
        Client client(loops, loopback(server->port()), limits);
        std::vector<std::shared_ptr<Recorder>> listeners;
        std::atomic<int> exhausted = 0;
        std::promise<void> both_exhausted;
        for (int i = 0; i < 7; ++i) {
            listeners.push_back(std::make_shared<Recorder>());
            listeners.back()->end_hook = [&](const Status& status) {
                if (!status && status.error().fault == Fault::exhausted && ++exhausted == 2) {
                    both_exhausted.set_value();
                }
            };
            client.send(get("/" + std::to_string(i)), listeners.back());
        }
        both_exhausted.get_future().wait();
        EXPECT_EQ(client.snapshot().connections, 2U);
        {
            const std::scoped_lock lock(mutex);
            holding = false;
            for (const auto& exchange : held) {
                exchange->respond({});
            }
        }
        int ok = 0;
        for (const auto& listener : listeners) {
            ok += listener->verdict() == "ok" ? 1 : 0;
        }
        EXPECT_EQ(ok, 5);
        EXPECT_LE(client.snapshot().connections, 2U);
    }
}

TEST(Client, AWaitingCallTimesOut) {
    Loops loops(1);
    RawServer server({[](RawPeer& peer) { peer.wait_for_end(); }});
    ClientLimits limits;
    limits.connections_max = 1;
    Client client(loops, loopback(server.port()), limits);
    const auto busy = std::make_shared<Recorder>();
    const auto call = client.send(get("/"), busy);
    Outgoing hasty = get("/");
    hasty.head_timeout = milliseconds(20);
    EXPECT_EQ(fault_of(client.fetch(hasty)), "timeout");
    call->cancel();
    EXPECT_EQ(busy->verdict(), "cancelled");
}

TEST(Client, OneConnectionServesEveryLoop) {
    Loops loops(2);
    const auto server = started(loops, echo);
    ClientLimits limits;
    limits.connections_max = 1;
    Client client(loops, loopback(server->port()), limits);
    std::vector<std::thread> callers;
    for (int t = 0; t < 4; ++t) {
        callers.emplace_back([&client] {
            for (int i = 0; i < 50; ++i) {
                const auto answer = client.fetch(get("/"));
                EXPECT_TRUE(answer) << answer.error().message;
            }
        });
    }
    for (auto& caller : callers) {
        caller.join();
    }
    EXPECT_LE(client.snapshot().connections, 1U);
}

TEST(Client, BoundsWhatFetchHolds) {
    ClientLimits limits;
    limits.body_bytes_max = 10;
    EXPECT_EQ(fault_of(fetched(once(counted("0123456789")), get("/"), limits)), "ok");
    EXPECT_EQ(fault_of(fetched(once(counted("0123456789x")), get("/"), limits)), "exhausted");
    EXPECT_EQ(fault_of(fetched(
                  [](RawPeer& peer) {
                      peer.request();
                      peer.send("HTTP/1.1 200 OK\r\n\r\n");
                      while (peer.send("on and on and on")) {
                      }
                  },
                  get("/"), limits)),
              "exhausted");
}

TEST(Client, ACallFromALoopStaysOnItsThread) {
    Loops loops(3);
    const auto upstream = started(loops, echo);
    Client client(loops, loopback(upstream->port()));
    std::atomic<int> strayed = 0;
    const auto front =
        started(loops, [&](const Request& request, std::shared_ptr<Exchange> exchange) {
            const auto listener = std::make_shared<Recorder>();
            listener->end_hook = [&strayed, exchange,
                                  here = std::this_thread::get_id()](const Status& status) {
                strayed += std::this_thread::get_id() == here ? 0 : 1;
                exchange->respond({status ? 200U : 502U, "", {}, ""});
            };
            client.send(get(request.target), listener);
        });
    for (int i = 0; i < 12; ++i) {
        TestClient asking(front->port());
        ASSERT_TRUE(asking.get("/"));
        EXPECT_EQ(asking.reply().status, 200U);
    }
    EXPECT_EQ(strayed, 0);
}

TEST(Client, EndsItsCallsWhenItGoes) {
    Loops loops(2);
    RawServer server({[](RawPeer& peer) { peer.wait_for_end(); }});
    std::vector<std::shared_ptr<Recorder>> listeners;
    std::vector<std::shared_ptr<Call>> calls;
    {
        ClientLimits limits;
        limits.connections_max = 4;
        Client client(loops, loopback(server.port()), limits);
        for (int i = 0; i < 10; ++i) {
            listeners.push_back(std::make_shared<Recorder>());
            calls.push_back(client.send(get("/"), listeners.back()));
        }
    }
    for (const auto& listener : listeners) {
        ASSERT_TRUE(listener->ended()) << "before the client is gone";
        EXPECT_EQ(listener->verdict(), "cancelled");
    }
    for (const auto& call : calls) {
        call->cancel();
    }
}

}  // namespace
}  // namespace trilane::net
