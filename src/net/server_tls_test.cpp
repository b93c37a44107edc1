// The server over TLS, asked by the client, with certificates that the test makes itself.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "net/client.h"
#include "net/loopback_test_client.h"
#include "net/server.h"
#include "net/test_identity.h"

namespace trilane::net {
namespace {

class ServerTlsTest : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
        write_certificate(authority_, file("ca.pem"));
        write_certificate(own_, file("own.pem"));
        write_key(own_, file("own.key"));
        write_key(authority_, file("other.key"));
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::string file(const std::string& name) const { return folder_ + "/" + name; }

    std::unique_ptr<Server> started(Limits limits = {}) {
        ServerOptions options;
        options.limits = limits;
        options.tls = {file("own.pem"), file("own.key")};
        auto server = Server::start(
            options, [](const Request& request, const std::shared_ptr<Exchange>& exchange) {
                if (request.path() == "/stream") {
                    exchange->start_stream({});
                    for (int i = 0; i < 3; ++i) {
                        exchange->send("piece\n");
                    }
                    exchange->finish();
                    return;
                }
                exchange->respond({200, "text/plain", {}, request.body});
            });
        EXPECT_TRUE(server) << server.error().message;
        return server ? std::move(*server) : nullptr;
    }

    [[nodiscard]] Target target(const Server& server) const {
        Target target;
        target.tls = true;
        target.host = "localhost";
        target.port = server.port();
        target.ca_file = file("ca.pem");
        return target;
    }

    std::string folder_ = testing::TempDir() + "tlsXXXXXX";
    const Identity authority_ = made(nullptr, "");
    const Identity own_ = made(&authority_, "DNS:localhost");
};

TEST_F(ServerTlsTest, AnswersOnOneConnection) {
    const auto server = started();
    Loops loops(1);
    Client client(loops, target(*server));
    const std::string large(3'000'000, 'x');
    for (const std::string& body : {std::string("a"), large, std::string("b")}) {
        Outgoing request;
        request.method = "POST";
        request.body = body;
        const auto answer = client.fetch(std::move(request));
        ASSERT_TRUE(answer) << answer.error().message;
        EXPECT_TRUE(answer->body == body);
    }
    Outgoing request;
    request.target = "/stream";
    const auto answer = client.fetch(std::move(request));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, "piece\npiece\npiece\n");
    EXPECT_EQ(client.snapshot().opened_total, 1U);
}

TEST_F(ServerTlsTest, LetsPlainTextGo) {
    const auto server = started();
    TestClient client(server->port());
    ASSERT_TRUE(client.get("/"));
    EXPECT_TRUE(client.wait_for_end());
}

TEST_F(ServerTlsTest, DoesNotWaitForAHandshakeForEver) {
    Limits limits;
    limits.header_timeout = std::chrono::milliseconds(100);
    const auto server = started(limits);
    TestClient client(server->port());
    EXPECT_TRUE(client.wait_for_end());
}

TEST_F(ServerTlsTest, StopsWithOpenConnections) {
    auto server = started();
    TestClient idle(server->port());
    Loops loops(1);
    Client client(loops, target(*server));
    ASSERT_TRUE(client.fetch({}));
    server->stop(std::chrono::milliseconds(2'000));
    EXPECT_EQ(server->snapshot().connections, 0U);
}

TEST_F(ServerTlsTest, NamesTheFileThatIsWrong) {
    std::ofstream(file("nonsense.pem")) << "nonsense";
    const auto refusal = [&](const std::string& certificate, const std::string& key) {
        ServerOptions options;
        options.tls = {certificate.empty() ? "" : file(certificate), key.empty() ? "" : file(key)};
        const auto server =
            Server::start(options, [](const Request&, const std::shared_ptr<Exchange>&) {});
        EXPECT_FALSE(server);
        EXPECT_EQ(server.error().fault, Fault::invalid);
        return server ? std::string() : server.error().message;
    };
    EXPECT_NE(refusal("nonsense.pem", "own.key").find("nonsense.pem"), std::string::npos);
    EXPECT_NE(refusal("missing.pem", "own.key").find("missing.pem"), std::string::npos);
    EXPECT_NE(refusal("own.pem", "other.key").find("other.key"), std::string::npos);
    EXPECT_NE(refusal("own.pem", "").find("key"), std::string::npos);
}

}  // namespace
}  // namespace trilane::net
