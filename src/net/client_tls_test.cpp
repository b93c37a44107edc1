// The client over TLS, against an OpenSSL server with certificates that the test makes itself.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <string>

#include "net/client.h"
#include "net/client_test_listener.h"
#include "net/client_test_server.h"
#include "net/raw_test_server.h"
#include "net/test_identity.h"

namespace trilane::net {
namespace {

/// An authority in a file, and what servers of it say.
class ClientTls : public ::testing::Test {
protected:
    void SetUp() override {
        // OpenSSL writes to sockets that the client has closed.
        std::signal(SIGPIPE, SIG_IGN);
        ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
        ca_file_ = folder_ + "/ca.pem";
        FILE* file = std::fopen(ca_file_.c_str(), "w");
        PEM_write_X509(file, authority_.certificate.get());
        std::fclose(file);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    /// A connection's script: the handshake, then `speak` over TLS.
    RawServer::Script secured(const Identity& identity, std::function<void(SSL*)> speak) {
        return [this, &identity, speak = std::move(speak)](RawPeer& peer) {
            const Context context(SSL_CTX_new(TLS_server_method()));
            SSL_CTX_use_certificate(context.get(), identity.certificate.get());
            SSL_CTX_use_PrivateKey(context.get(), identity.key.get());
            const Session session(SSL_new(context.get()));
            SSL_set_fd(session.get(), peer.socket());
            if (SSL_accept(session.get()) == 1) {
                const char* name = SSL_get_servername(session.get(), TLSEXT_NAMETYPE_host_name);
                {
                    const std::scoped_lock lock(mutex_);
                    asked_for_ = name != nullptr ? name : "";
                }
                speak(session.get());
            }
            ERR_clear_error();
        };
    }

    std::string asked_for() {
        const std::scoped_lock lock(mutex_);
        return asked_for_;
    }

    [[nodiscard]] Target target(const RawServer& server, std::string host) const {
        Target target;
        target.tls = true;
        target.host = std::move(host);
        target.port = server.port();
        target.ca_file = ca_file_;
        return target;
    }

    Identity authority_ = made(nullptr, "");
    std::string ca_file_;

private:
    std::string folder_ = "/tmp/trilane-tls-XXXXXX";
    std::mutex mutex_;
    std::string asked_for_;
};

/// Reads until the end of a request's head and body is in; false at the end.
bool take_request(SSL* session, std::size_t body_bytes = 0) {
    std::string received;
    char buffer[16384];
    while (true) {
        const auto head = received.find("\r\n\r\n");
        if (head != std::string::npos && received.size() >= head + 4 + body_bytes) {
            return true;
        }
        const int bytes = SSL_read(session, buffer, sizeof buffer);
        if (bytes <= 0) {
            return false;
        }
        received.append(buffer, static_cast<std::size_t>(bytes));
    }
}

void say(SSL* session, std::string_view text) {
    SSL_write(session, text.data(), static_cast<int>(text.size()));
}

void serve(SSL* session) {
    while (take_request(session)) {
        say(session, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    }
}

TEST_F(ClientTls, FetchesAndKeepsTheConnection) {
    const Identity identity = made(&authority_, "DNS:localhost");
    RawServer server({secured(identity, serve)});
    Loops loops(1);
    Client client(loops, target(server, "localhost"));
    for (int i = 0; i < 3; ++i) {
        const auto answer = client.fetch({});
        ASSERT_TRUE(answer) << answer.error().message;
        EXPECT_EQ(answer->body, "secret");
    }
    EXPECT_EQ(client.snapshot().opened_total, 1U);
    EXPECT_EQ(client.snapshot().reused_total, 2U);
    EXPECT_EQ(asked_for(), "localhost");
}

TEST_F(ClientTls, AcceptsAnAddressThatTheCertificateNames) {
    const Identity identity = made(&authority_, "IP:127.0.0.1");
    RawServer server({secured(identity, serve)});
    Loops loops(1);
    Client client(loops, target(server, "127.0.0.1"));
    EXPECT_EQ(fault_of(client.fetch({})), "ok");
    EXPECT_EQ(asked_for(), "");
}

TEST_F(ClientTls, RefusesAnotherName) {
    const Identity identity = made(&authority_, "DNS:other.example");
    RawServer server({secured(identity, serve)});
    Loops loops(1);
    Client client(loops, target(server, "localhost"));
    const auto answer = client.fetch({});
    EXPECT_EQ(fault_of(answer), "unavailable");
    EXPECT_NE(answer.error().message.find("certificate"), std::string::npos)
        << answer.error().message;
}

TEST_F(ClientTls, RefusesAnUnknownAuthority) {
    const Identity identity = made(&authority_, "DNS:localhost");
    RawServer server({secured(identity, serve)});
    Loops loops(1);
    Target to = target(server, "localhost");
    to.ca_file.clear();  // the system's store does not know ours
    Client client(loops, to);
    EXPECT_EQ(fault_of(client.fetch({})), "unavailable");
}

TEST_F(ClientTls, RefusesAnOldCertificate) {
    const Identity identity = made(&authority_, "DNS:localhost", -3600);
    RawServer server({secured(identity, serve)});
    Loops loops(1);
    Client client(loops, target(server, "localhost"));
    EXPECT_EQ(fault_of(client.fetch({})), "unavailable");
}

TEST_F(ClientTls, NamesAMissingAuthorityFile) {
    Target to;
    to.tls = true;
    to.host = "localhost";
    to.ca_file = "/nowhere/ca.pem";
    Loops loops(1);
    Client client(loops, to);
    const auto answer = client.fetch({});
    EXPECT_EQ(fault_of(answer), "invalid");
    EXPECT_NE(answer.error().message.find("/nowhere/ca.pem"), std::string::npos);
}

TEST_F(ClientTls, TellsACutFromAnEnd) {
    const Identity identity = made(&authority_, "DNS:localhost");
    RawServer server({secured(identity,
                              [](SSL* session) {
                                  take_request(session);
                                  say(session, "HTTP/1.1 200 OK\r\n\r\nall of it");
                                  SSL_shutdown(session);
                              }),
                      secured(identity, [](SSL* session) {
                          take_request(session);
                          say(session, "HTTP/1.1 200 OK\r\n\r\nhalf");
                      })});
    Loops loops(1);
    Client client(loops, target(server, "localhost"));
    const auto whole = client.fetch({});
    ASSERT_TRUE(whole) << whole.error().message;
    EXPECT_EQ(whole->body, "all of it");
    EXPECT_EQ(fault_of(client.fetch({})), "unavailable");
}

TEST_F(ClientTls, SendsLongBodiesAndCancels) {
    constexpr std::size_t kBodyBytes = 3U << 20U;
    const Identity identity = made(&authority_, "DNS:localhost");
    RawServer server({secured(identity, [](SSL* session) {
        while (take_request(session, kBodyBytes)) {
            say(session, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })});
    Loops loops(1);
    Client client(loops, target(server, "localhost"));
    Outgoing request;
    request.method = "POST";
    request.body = std::string(kBodyBytes, 'x');
    EXPECT_EQ(fault_of(client.fetch(request)), "ok");
    EXPECT_EQ(fault_of(client.fetch(request)), "ok");
    const auto listener = std::make_shared<Recorder>();
    client.send(request, listener)->cancel();
    EXPECT_EQ(listener->verdict(), "cancelled");
}

TEST_F(ClientTls, GivesUpOnAServerThatNeverShakesHands) {
    RawServer server({[](RawPeer& peer) { peer.wait_for_end(); }});
    Loops loops(1);
    ClientLimits limits;
    limits.connect_timeout = std::chrono::milliseconds(50);
    Client client(loops, target(server, "localhost"), limits);
    EXPECT_EQ(fault_of(client.fetch({})), "timeout");
}

TEST_F(ClientTls, ACallDoesNotWaitForASlowConnectionBesideAFreeOne) {
    const Identity identity = made(&authority_, "DNS:localhost");
    std::promise<void> second_connected;
    std::promise<void> second_ends;
    RawServer server({secured(identity,
                              [ready = second_connected.get_future().share()](SSL* session) {
                                  take_request(session);
                                  ready.wait();
                                  say(session, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
                                  take_request(session);
                                  say(session, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
                              }),
                      [&](RawPeer& peer) {
                          second_connected.set_value();
                          peer.wait_for_end();
                          second_ends.set_value();
                      }});
    Loops loops(1);
    const auto first = std::make_shared<Recorder>();
    const auto second = std::make_shared<Recorder>();
    ClientLimits limits;
    limits.connect_timeout = std::chrono::minutes(10);
    {
        Client client(loops, target(server, "localhost"), limits);
        client.send({}, first);
        client.send({}, second);
        EXPECT_EQ(first->verdict(), "ok");
        EXPECT_EQ(second->verdict(), "ok");
    }
    second_ends.get_future().wait();
}

TEST_F(ClientTls, NamesAServerWithoutTls) {
    RawServer server({[](RawPeer& peer) { peer.send("HTTP/1.1 400 Bad Request\r\n\r\n"); }});
    Loops loops(1);
    Client client(loops, target(server, "localhost"));
    EXPECT_EQ(fault_of(client.fetch({})), "unavailable");
}

}  // namespace
}  // namespace trilane::net
