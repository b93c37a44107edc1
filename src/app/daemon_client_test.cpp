// How verbs talk to a daemon that wants a key.
#include "app/daemon_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "json/json.h"
#include "net/server.h"

namespace trilane::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// A server that lets in who sends the right key.
class KeyedServer : public ::testing::Test {
protected:
    KeyedServer() {
        auto started = net::Server::start(
            {}, [](const net::Request& request, const std::shared_ptr<net::Exchange>& exchange) {
                const std::string* sent = request.header("Authorization");
                net::Response answer;
                answer.body = "{}";
                if (sent == nullptr || *sent != "Bearer right") {
                    answer.status = 401;
                    answer.body = R"({"error":{"message":"send Authorization: Bearer KEY"}})";
                }
                exchange->respond(std::move(answer));
            });
        EXPECT_TRUE(started);
        server_ = *std::move(started);
        connection_.url = "http://127.0.0.1:" + std::to_string(server_->port());
    }
    ~KeyedServer() override { std::remove(file_.c_str()); }

    std::string refusal() {
        const auto client = DaemonClient::open(connection_);
        EXPECT_TRUE(client);
        const auto answer = (*client)->get("/trilane/v1/state");
        return answer ? "" : answer.error().message;
    }

    std::unique_ptr<net::Server> server_;
    Connection connection_;
    std::string file_ = ::testing::TempDir() + "trilane-key-" + std::to_string(::getpid());
};

TEST_F(KeyedServer, WhoHasNoKeyIsToldHowToGiveOne) {
    const std::string none = refusal();
    EXPECT_THAT(none, HasSubstr("wants a key: set TRILANE_API_KEY, or give --api-key-file FILE"));
    EXPECT_THAT(none, HasSubstr("trilane key add NAME --admin"));
    EXPECT_THAT(none, Not(HasSubstr("Authorization"))) << "people at a terminal send no headers";
    connection_.api_key = "wrong";
    EXPECT_THAT(refusal(), HasSubstr("does not take the key that was given: set TRILANE_API_KEY"));
    EXPECT_THAT(refusal(), Not(HasSubstr("wrong")));
    connection_.api_key = "right";
    EXPECT_EQ(refusal(), "");
}

TEST_F(KeyedServer, TheKeyMayComeFromAFile) {
    std::ofstream(file_) << "right\n";
    connection_.api_key = "wrong";
    connection_.api_key_file = file_;
    EXPECT_EQ(refusal(), "") << "the file was named, so it counts";
    connection_.api_key_file = file_ + ".nosuch";
    const auto client = DaemonClient::open(connection_);
    ASSERT_FALSE(client);
    EXPECT_THAT(client.error().message, HasSubstr(connection_.api_key_file));
}

}  // namespace
}  // namespace trilane::app
