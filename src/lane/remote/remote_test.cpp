// The remote lane against a server in this process.
#include "lane/remote/remote.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "lane/scripted_server.h"
#include "net/loops.h"
#include "os/log_ring.h"

namespace trilane::lane {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class RemoteLaneTest : public testing::Test {
protected:
    RemoteLaneTest() {
        parts_.loops = &loops_;
        parts_.log = [this](std::string_view line) { lines_ += line; };
        settings_.name = "far";
        settings_.kind = "remote";
        settings_.url = server_.target().text();
        settings_.api_key = "sk-secret";
    }

    std::shared_ptr<Lane> open() {
        auto lane = open_remote_lane(settings_, parts_);
        EXPECT_TRUE(lane) << lane.error().message;
        return *lane;
    }
    static LoadRequest request_for(const std::string& model) {
        LoadRequest request;
        request.entry.id = model;
        request.entry.path = model;
        request.entry.store = catalog::Store::remote;
        request.entry.purpose = catalog::Purpose::chat;
        return request;
    }

    ScriptedServer server_;
    net::Loops loops_{2};
    std::string lines_;
    Parts parts_;
    Settings settings_;
};

TEST_F(RemoteLaneTest, RefusesSettingsThatCannotWork) {
    const auto refusal = [&](auto change) {
        Settings settings = settings_;
        change(settings);
        const auto lane = open_remote_lane(settings, parts_);
        EXPECT_FALSE(lane);
        EXPECT_EQ(lane.error().fault, Fault::invalid);
        EXPECT_THAT(lane.error().message, HasSubstr("lane far"));
        EXPECT_THAT(lane.error().message, Not(HasSubstr("sk-")));
        return lane ? std::string() : lane.error().message;
    };
    EXPECT_THAT(refusal([](Settings& s) { s.url = ""; }), HasSubstr("needs a url"));
    refusal([](Settings& s) { s.url = "ftp://x"; });
    EXPECT_THAT(refusal([](Settings& s) { s.api_key = "sk-a\r\nX: y"; }), HasSubstr("api_key"));
    refusal([](Settings& s) { s.requests_max = 100'000; });
    refusal([](Settings& s) { s.hang_timeout_s = 0; });
    refusal([](Settings& s) { s.silence_timeout_s = 0; });
}

TEST_F(RemoteLaneTest, OffersWhatItIsToldOrWhatTheServerLists) {
    server_.on("/v1/models",
               responds(200, R"({"data":[{"id":"Qwen/Qwen3-8B"},{"id":"bge-Embed"}]})"));
    settings_.context_tokens = 8192;
    auto lane = open();
    EXPECT_TRUE(lane->offers().empty());
    ASSERT_TRUE(lane->refresh_offers({}));
    auto offers = lane->offers();
    ASSERT_EQ(offers.size(), 2U);
    EXPECT_EQ(offers[0].id, "Qwen/Qwen3-8B");
    EXPECT_EQ(offers[0].path, "Qwen/Qwen3-8B");
    EXPECT_EQ(offers[0].context_tokens, 8192U);
    EXPECT_TRUE(lane->can_serve(offers[0]));
    EXPECT_EQ(offers[1].purpose, catalog::Purpose::embed);
    EXPECT_TRUE(lane->can_serve(offers[1]));
    catalog::Entry file = offers[0];
    file.store = catalog::Store::gguf;
    EXPECT_FALSE(lane->can_serve(file));

    settings_.models = {"m1"};
    lane = open();
    ASSERT_TRUE(lane->refresh_offers({}));
    offers = lane->offers();
    ASSERT_EQ(offers.size(), 1U);
    EXPECT_EQ(offers[0].id, "m1");
    EXPECT_EQ(server_.seen("/v1/models").size(), 1U);
}

TEST_F(RemoteLaneTest, SaysWhyThereIsNoList) {
    const auto lane = open();
    server_.on("/v1/models", responds(401, R"({"error":"no sk-secret"})"));
    Status status = lane->refresh_offers({});
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().fault, Fault::invalid);
    EXPECT_THAT(status.error().message, HasSubstr("lane far"));
    EXPECT_THAT(status.error().message, Not(HasSubstr("sk-secret")));
    server_.on("/v1/models", responds(200, "sk-secret"));
    status = lane->refresh_offers({});
    EXPECT_EQ(status.error().fault, Fault::corrupt);
    EXPECT_THAT(status.error().message, Not(HasSubstr("sk-secret")));
}

TEST_F(RemoteLaneTest, AListThatDoesNotComeIsGivenUp) {
    const auto lane = open();
    server_.on("/v1/models", [&](const net::Request& /*request*/, ScriptedServer::Exchange exchange,
                                 std::size_t /*number*/) { server_.hold(std::move(exchange)); });
    const CancelToken cancel;
    std::optional<Status> status;
    const auto begin = std::chrono::steady_clock::now();
    std::thread asking([&] { status = lane->refresh_offers(cancel); });
    EXPECT_TRUE(server_.wait_for_held(1));
    cancel.cancel();
    asking.join();
    EXPECT_TRUE(server_.wait_for_gone(1));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    EXPECT_EQ(status->error().fault, Fault::cancelled);
}

TEST_F(RemoteLaneTest, TakesNoMemory) {
    const auto lane = open();
    const LoadRequest request = request_for("m");
    LoadWishes wishes;
    wishes.context_tokens = 100;
    const auto need = lane->need(request.entry, wishes);
    ASSERT_TRUE(need);
    EXPECT_TRUE(need->parts.empty());
    EXPECT_EQ(need->context_tokens, 100U);
    EXPECT_EQ(need->parallel, 8U);
    EXPECT_EQ(lane->device(), "");
    EXPECT_EQ(lane->residents_max(), 256U);
    EXPECT_EQ(lane->name(), "far");
    EXPECT_EQ(lane->descriptor().kind, "remote");
}

TEST_F(RemoteLaneTest, LoadsByHealthAloneAndAnswers) {
    server_.on("/v1/models", responds(200, R"({"data":[]})"));
    server_.on(kChatPath, streams(stream_of({"hi"})));
    const auto lane = open();
    LoadRequest request = request_for("m");
    request.wishes.parallel = 3;
    auto resident = lane->load(request);
    ASSERT_TRUE(resident) << resident.error().message;
    EXPECT_TRUE(server_.seen(kChatPath).empty()) << "answers may cost money";
    EXPECT_EQ((*resident)->slots(), 3U);
    EXPECT_EQ((*resident)->card().id, "m");
    Heard heard;
    (*resident)->submit(upstream::chat_request(), heard.sink(), {});
    EXPECT_EQ(heard.text(), "hi");
    EXPECT_THAT(server_.seen(kChatPath)[0].body, Not(HasSubstr("repeat_penalty")));
    EXPECT_THAT(lane->log()->tail(1), HasSubstr("m is ready"));
    EXPECT_THAT(lines_, HasSubstr("far: m is ready"));
}

TEST_F(RemoteLaneTest, AsksATestQuestionWhereItIsToldTo) {
    server_.on("/v1/models", responds(200, R"({"data":[]})"));
    server_.on(kChatPath, streams(stream_of({"rea", "dy"})));
    settings_.sanity = true;
    const auto lane = open();
    LoadRequest request = request_for("m");
    std::vector<LoadPhase> phases;
    request.on_phase = [&](LoadPhase phase) { phases.push_back(phase); };
    const auto resident = lane->load(request);
    ASSERT_TRUE(resident) << resident.error().message;
    EXPECT_THAT(phases, ElementsAre(LoadPhase::starting, LoadPhase::warming));
    EXPECT_EQ(server_.seen(kChatPath).size(), 1U);
    EXPECT_EQ((*resident)->snapshot().requests_total, 0U);

    server_.on(kChatPath, streams(stream_of({"!!!!!!!!", "!!!!!!!!"})));
    const auto insane = lane->load(request_for("m"));
    ASSERT_FALSE(insane);
    EXPECT_EQ(insane.error().fault, Fault::corrupt);
    LoadRequest embeds = request_for("m");
    embeds.entry.purpose = catalog::Purpose::embed;
    EXPECT_TRUE(lane->load(embeds)) << "only what chats can be asked";
    EXPECT_EQ(server_.seen(kChatPath).size(), 2U);
}

TEST_F(RemoteLaneTest, GivesUpAServerThatIsSilentForTooLong) {
    server_.on("/v1/models", responds(200, R"({"data":[]})"));
    server_.on(kChatPath, [&](const net::Request& /*request*/, ScriptedServer::Exchange exchange,
                              std::size_t /*number*/) { server_.hold(std::move(exchange)); });
    settings_.silence_timeout_s = 1;
    const auto lane = open();
    const auto resident = lane->load(request_for("m"));
    ASSERT_TRUE(resident) << resident.error().message;
    Heard heard;
    (*resident)->submit(upstream::chat_request(), heard.sink(), {});
    EXPECT_THAT(heard.error().message, HasSubstr("no piece of an answer"));
}

TEST_F(RemoteLaneTest, RefusesToLoadWhatIsNotThere) {
    server_.on("/v1/models", responds(401, R"({"error":"no sk-secret"})"));
    const auto lane = open();
    auto resident = lane->load(request_for("m"));
    ASSERT_FALSE(resident);
    EXPECT_THAT(resident.error().message, HasSubstr("refused the key"));
    EXPECT_THAT(resident.error().message, Not(HasSubstr("sk-secret")));
    EXPECT_THAT(lane->log()->tail(5), Not(HasSubstr("sk-secret")));

    server_.on("/v1/models",
               [&](const net::Request&, auto exchange, std::size_t) { server_.hold(exchange); });
    LoadRequest cancelled = request_for("m");
    cancelled.cancel.cancel();
    EXPECT_EQ(lane->load(cancelled).error().fault, Fault::cancelled);

    LoadRequest file = request_for("m");
    file.entry.store = catalog::Store::gguf;
    EXPECT_EQ(lane->load(file).error().fault, Fault::invalid);
}

}  // namespace
}  // namespace trilane::lane
