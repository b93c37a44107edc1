// Ollama's endpoints over a real socket, with a plane and a library that only pretend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <thread>

#include "gateway/fake_library.h"
#include "gateway/fake_service.h"
#include "gateway/gateway.h"
#include "json/json.h"
#include "net/loopback_test_client.h"

namespace trilane::gateway {
namespace {

using json::Value;
using net::TestClient;
using net::TestReply;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Ollama : public ::testing::Test {
protected:
    void SetUp() override { start({}); }

    void start(GatewayOptions options) {
        gateway_.reset();
        options.port = 0;
        options.version = "9.9";
        options.library = library_;
        auto started = Gateway::start(std::move(options), service_);
        ASSERT_TRUE(started) << started.error().message;
        gateway_ = std::move(*started);
    }
    void TearDown() override { gateway_.reset(); }

    /// A key that may use tiny alone, and only on one lane.
    void start_with_a_limited_key() {
        access::Key narrow;
        narrow.name = "narrow";
        narrow.digest = access::digest_of("n");
        narrow.models = {"tiny"};
        narrow.lanes = {"two"};
        access::KeyRing ring;
        EXPECT_TRUE(ring.add(narrow));
        GatewayOptions options;
        options.access.door = std::make_shared<access::Door>("", ring);
        start(std::move(options));
        headers_ = "Authorization: Bearer n\r\n";
    }

    TestReply ask(const std::string& method, const std::string& path, const Value& body = {}) {
        TestClient client(gateway_->port());
        const std::string text = body.is_null() ? "" : json::dump(body);
        EXPECT_TRUE(
            client.send(fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: "
                                    "{}\r\n\r\n{}",
                                    method, path, headers_, text.size(), text)));
        return client.reply(method == "HEAD");
    }
    Value json_of(const TestReply& reply, unsigned status = 200) {
        EXPECT_EQ(reply.status, status) << reply.head << reply.body;
        auto value = json::parse(reply.body);
        EXPECT_TRUE(value) << reply.body;
        return value.value_or(Value::object());
    }
    std::string error_of(const TestReply& reply, unsigned status) {
        const Value body = json_of(reply, status);
        EXPECT_EQ(body.size(), 1U) << reply.body;
        return body.value("error", "");
    }
    static std::vector<Value> lines_of(const TestReply& reply) {
        EXPECT_EQ(reply.status, 200U) << reply.body;
        EXPECT_TRUE(reply.has("Content-Type: application/x-ndjson\r\n")) << reply.head;
        std::vector<Value> lines;
        std::istringstream in(reply.body);
        for (std::string line; std::getline(in, line);) {
            lines.push_back(json::parse(line).value_or(line));
        }
        return lines;
    }

    /// Remembers what it is asked, and says hello.
    void serve(FakeService::Job& job) {
        {
            const std::scoped_lock lock(mutex_);
            requests_.push_back(job.request);
        }
        answer_with(job, {"Hel", "lo"});
    }

    std::string headers_;  ///< of every request
    std::mutex mutex_;
    std::vector<job::Request> requests_;
    const std::vector<std::string> names_{"tiny", "kept"};
    std::shared_ptr<FakeService> service_ =
        std::make_shared<FakeService>(names_, [this](FakeService::Job& job) { serve(job); });
    std::shared_ptr<FakeLibrary> library_ = std::make_shared<FakeLibrary>();
    std::unique_ptr<Gateway> gateway_;
};

Value messages() {
    return Value::array({{{"role", "user"}, {"content", "hi"}}});
}

TEST_F(Ollama, ChatsInLinesOrAtOnce) {
    const auto lines =
        lines_of(ask("POST", "/api/chat", {{"model", "tiny"}, {"messages", messages()}}));
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[0]["message"]["content"], "Hel");
    EXPECT_EQ(lines[1]["done"], false);
    EXPECT_EQ(lines[2]["done_reason"], "stop");
    EXPECT_EQ(lines[2]["prompt_eval_count"], 5);
    EXPECT_GE(lines[2]["total_duration"], lines[2]["load_duration"]);
    const TestReply whole =
        ask("POST", "/api/chat", {{"model", "tiny"}, {"messages", messages()}, {"stream", false}});
    EXPECT_EQ(json_of(whole)["message"]["content"], "Hello");
    EXPECT_TRUE(whole.has("Content-Type: application/json\r\n"));
}

TEST_F(Ollama, ALimitedKeyLoadsWithinItsLimits) {
    start_with_a_limited_key();
    EXPECT_EQ(json_of(ask("POST", "/api/generate", {{"model", "tiny"}}))["done"], true);
    ASSERT_EQ(service_->loads().size(), 1U);
    EXPECT_THAT(service_->loads()[0].lanes, ElementsAre("two"));
    EXPECT_THAT(error_of(ask("POST", "/api/generate", {{"model", "kept"}}), 403),
                HasSubstr("'narrow' may not use"));
    EXPECT_EQ(service_->loads().size(), 1U);
}

TEST_F(Ollama, WhoIsNoAdministratorSpoilsNoModelByItsContext) {
    const auto load = [&](const char* model, int tokens) {
        return ask("POST", "/api/generate",
                   {{"model", model}, {"options", {{"num_ctx", tokens}}}, {"stream", false}});
    };
    EXPECT_EQ(load("kept", 16).status, 200U) << "nobody is asked for a key: all may administer";
    EXPECT_EQ(service_->loads().back().context_tokens, 16U);
    access::Key app;
    app.name = "app";
    app.digest = access::digest_of("a");
    access::KeyRing ring;
    ASSERT_TRUE(ring.add(app));
    GatewayOptions options;
    options.access.door = std::make_shared<access::Door>("", ring);
    start(std::move(options));
    headers_ = "Authorization: Bearer a\r\n";
    EXPECT_THAT(error_of(load("kept", 16), 400), HasSubstr("num_ctx: got 16"));
    EXPECT_EQ(load("tiny", 16).status, 200U) << "it is in memory";
    EXPECT_EQ(service_->loads().back().context_tokens, std::nullopt);
    EXPECT_EQ(load("kept", 4096).status, 200U);
    EXPECT_EQ(service_->loads().back().context_tokens, 4096U);
}

TEST_F(Ollama, ALimitedKeySeesWhatItMayUse) {
    start_with_a_limited_key();
    const Value tags = json_of(ask("GET", "/api/tags"));
    ASSERT_EQ(tags["models"].size(), 1U);
    EXPECT_EQ(tags["models"][0]["model"].get<std::string>().substr(0, 4), "tiny");
    EXPECT_EQ(json_of(ask("GET", "/api/ps"))["models"].size(), 1U) << "tiny, which it may use";
    EXPECT_EQ(json_of(ask("GET", "/v1/models"))["data"].size(), 1U);
    json_of(ask("POST", "/api/show", {{"model", "tiny"}}));
    error_of(ask("POST", "/api/show", {{"model", "kept"}}), 403);
    EXPECT_EQ(ask("GET", "/v1/models/kept").status, 403U);
    for (const char* path : {"/api/show", "/api/chat", "/api/generate"}) {
        EXPECT_THAT(error_of(ask("POST", path, {{"model", "none"}}), 404), Not(HasSubstr("kept")))
            << path;
    }
    headers_ += "anthropic-version: 2023-06-01\r\n";
    EXPECT_EQ(json_of(ask("GET", "/v1/models"))["data"].size(), 1U);
    EXPECT_EQ(json_of(ask("GET", "/v1/models/kept"), 403)["type"], "error");
}

TEST_F(Ollama, RefusesInItsOwnWords) {
    EXPECT_THAT(error_of(ask("POST", "/api/chat", {{"model", "none"}}), 404),
                HasSubstr("none called 'none'"));
    EXPECT_THAT(error_of(ask("POST", "/api/chat", Value::array()), 400), HasSubstr("the body is"));
    EXPECT_THAT(error_of(ask("GET", "/api/chat"), 405), HasSubstr("use POST"));
    EXPECT_THAT(error_of(ask("POST", "/api/embed", {{"model", "tiny"}, {"input", 5}}), 400),
                HasSubstr("input: got 5"));
}

TEST_F(Ollama, LoadsAndUnloadsWithoutAPrompt) {
    const Value loaded = json_of(ask("POST", "/api/generate", {{"model", "tiny"}}));
    EXPECT_EQ(loaded["done_reason"], "load");
    EXPECT_EQ(loaded["done"], true);
    EXPECT_EQ(loaded["response"], "");
    EXPECT_THAT(service_->kept(), IsEmpty());
    const Value kept =
        json_of(ask("POST", "/api/chat", {{"model", "tiny"}, {"keep_alive", "10m"}}));
    EXPECT_EQ(kept["message"]["content"], "");
    ASSERT_EQ(service_->kept().size(), 1U);
    EXPECT_EQ(service_->kept()[0].second, std::chrono::milliseconds(600'000));
    const Value gone =
        json_of(ask("POST", "/api/generate", {{"model", "tiny"}, {"keep_alive", 0}}));
    EXPECT_EQ(gone["done_reason"], "unload");
    EXPECT_THAT(requests_, IsEmpty());
}

TEST_F(Ollama, TellsThePlaneHowLongAModelStays) {
    ask("POST", "/api/chat", {{"model", "tiny"}, {"messages", messages()}, {"keep_alive", -1}});
    ask("POST", "/api/chat", {{"model", "tiny"}, {"messages", messages()}, {"keep_alive", 0}});
    ask("POST", "/api/chat", {{"model", "tiny"}, {"messages", messages()}});
    ASSERT_EQ(service_->kept().size(), 2U);
    EXPECT_EQ(service_->kept()[0].second, std::nullopt);
    EXPECT_EQ(service_->kept()[1].second, std::chrono::milliseconds(0));
}

TEST_F(Ollama, ListsAndShowsModels) {
    json_of(ask("POST", "/api/create",
                {{"model", "mine"},
                 {"from", "tiny"},
                 {"system", "Be brief."},
                 {"stream", false},
                 {"parameters", {{"temperature", 0}}}}));
    const Value tags = json_of(ask("GET", "/api/tags"))["models"];
    ASSERT_EQ(tags.size(), 3U);
    EXPECT_EQ(tags[0]["name"], "tiny:latest");
    EXPECT_EQ(tags[2]["name"], "mine:latest");
    EXPECT_EQ(tags[2]["details"]["parent_model"], "tiny");
    EXPECT_EQ(tags[0]["digest"].get<std::string>().size(), 64U);
    EXPECT_NE(tags[0]["digest"], tags[2]["digest"]);
    const Value shown = json_of(ask("POST", "/api/show", {{"model", "tiny"}}));
    EXPECT_EQ(shown["template"], "template of tiny");
    EXPECT_EQ(shown["model_info"]["fake.block_count"], 2);
    EXPECT_EQ(shown["capabilities"],
              Value::array({"completion", "vision", "tools", "insert", "embedding"}));
    EXPECT_THAT(error_of(ask("POST", "/api/show", {{"name", "none"}}), 404), HasSubstr("none"));
    const Value running = json_of(ask("GET", "/api/ps"))["models"];
    ASSERT_EQ(running.size(), 1U);
    EXPECT_EQ(running[0]["size"], 123);
    EXPECT_EQ(json_of(ask("GET", "/api/version"))["server_version"], "9.9");
    EXPECT_EQ(ask("HEAD", "/").status, 200U);
}

TEST_F(Ollama, AModelMadeOfAnotherSaysItsOwn) {
    json_of(ask("POST", "/api/create",
                {{"model", "tiny2"},
                 {"from", "tiny"},
                 {"system", "Be brief."},
                 {"stream", false},
                 {"parameters", {{"temperature", 0}}}}));
    // The plane learns of the name by the library; here it does not, so the preset is looked at.
    const auto further = library_->further_name("tiny2");
    ASSERT_TRUE(further);
    EXPECT_EQ(further->model, "tiny");
    EXPECT_EQ(further->system, "Be brief.");
    EXPECT_EQ(further->parameters, R"({"temperature":0})");
    const auto lines = lines_of(
        ask("POST", "/api/create", {{"model", "tiny3"}, {"files", {{"a.gguf", "sha256:12"}}}}));
    EXPECT_EQ(lines.back()["status"], "success");
    EXPECT_EQ(library_->further_name("tiny3")->model, "tiny");
    EXPECT_THAT(
        error_of(ask("POST", "/api/create", {{"model", "x"}, {"files", {{"a.gguf", "sha256:13"}}}}),
                 404),
        HasSubstr("no model here"));
    EXPECT_THAT(error_of(ask("POST", "/api/create", {{"model", "kept"}, {"from", "tiny"}}), 400),
                HasSubstr("there is a model called 'kept'"));
}

TEST_F(Ollama, CopiesAndDeletes) {
    EXPECT_EQ(ask("POST", "/api/copy", {{"source", "tiny"}, {"destination", "twin"}}).status, 200U);
    EXPECT_EQ(library_->further_name("twin")->model, "tiny");
    EXPECT_THAT(error_of(ask("POST", "/api/copy", {{"source", "none"}, {"destination", "a"}}), 404),
                HasSubstr("none"));
    EXPECT_EQ(ask("DELETE", "/api/delete", {{"name", "twin:latest"}}).status, 200U);
    EXPECT_FALSE(library_->further_name("twin"));
    EXPECT_THAT(library_->removed(), IsEmpty());
    EXPECT_EQ(ask("DELETE", "/api/delete", {{"model", "tiny"}}).status, 200U);
    EXPECT_THAT(library_->removed(), ElementsAre("tiny"));
    EXPECT_THAT(error_of(ask("DELETE", "/api/delete", {{"model", "kept"}}), 400),
                HasSubstr("not in our folder"));
    EXPECT_EQ(ask("DELETE", "/api/delete", {{"model", "none"}}).status, 404U);
}

TEST_F(Ollama, WhatWasPulledGoesWithItsLastName) {
    const auto add = [&](const char* name, bool pulled) {
        library_->add_name({name, "tiny", "", "", "", 0, pulled}, [](const Status&) {});
    };
    add("hf.co/owner/Tiny", true);
    add("twin", false);
    EXPECT_EQ(ask("DELETE", "/api/delete", {{"model", "hf.co/owner/Tiny"}}).status, 200U);
    EXPECT_THAT(library_->removed(), IsEmpty()) << "twin still means it";
    EXPECT_EQ(ask("DELETE", "/api/delete", {{"model", "twin"}}).status, 200U);
    EXPECT_THAT(library_->removed(), IsEmpty()) << "it was not pulled by this name";
    add("hf.co/owner/Tiny", true);
    EXPECT_EQ(ask("DELETE", "/api/delete", {{"model", "hf.co/owner/Tiny"}}).status, 200U);
    EXPECT_THAT(library_->removed(), ElementsAre("tiny"));
}

TEST_F(Ollama, RefusesWhatIsNotDoneHere) {
    EXPECT_THAT(error_of(ask("POST", "/api/push", {{"model", "tiny"}}), 501), HasSubstr("pushed"));
    EXPECT_THAT(error_of(ask("POST", "/api/blobs/sha256:99", {{"a", 1}}), 501),
                HasSubstr("trilane import"));
    EXPECT_EQ(ask("HEAD", "/api/blobs/sha256:12").status, 200U);
    EXPECT_EQ(ask("HEAD", "/api/blobs/sha256:99").status, 404U);
}

TEST_F(Ollama, PullsInLines) {
    std::thread hub([this] {
        const catalog::PullListener listener = library_->listener();
        catalog::PullNews news;
        news.phase = "choosing";
        listener.on_news(news);
        news.phase = "downloading";
        news.file = "tiny.gguf";
        news.sha256 = "0123456789abcdef";
        news.total_bytes = 100;
        news.done_bytes = 40;
        listener.on_news(news);
        news.phase = "checking";
        listener.on_news(news);
        listener.on_news(news);
        listener.on_end(catalog::Entry());
    });
    const auto lines = lines_of(ask("POST", "/api/pull", {{"name", "hf.co/a/b:Q4_K_M"}}));
    hub.join();
    std::vector<std::string> statuses;
    for (const Value& line : lines) {
        statuses.push_back(line["status"]);
    }
    EXPECT_THAT(statuses, ElementsAre("pulling manifest", "pulling 0123456789ab",
                                      "verifying sha256 digest", "writing manifest", "success"));
    EXPECT_EQ(lines[1]["completed"], 40);
    ASSERT_EQ(library_->asks().size(), 1U);
    EXPECT_EQ(library_->asks()[0].reference, "hf.co/a/b:Q4_K_M");
    EXPECT_EQ(library_->asks()[0].name, "hf.co/a/b:Q4_K_M");
}

TEST_F(Ollama, PullsThatFailSayWhy) {
    EXPECT_THAT(error_of(ask("POST", "/api/pull", {{"model", "bad"}}), 400),
                HasSubstr("names no repository"));
    for (const bool stream : {true, false}) {
        std::thread hub([this] {
            library_->listener().on_end(fail(Fault::unavailable, "the hub does not answer"));
        });
        const TestReply reply = ask("POST", "/api/pull", {{"model", "a/b"}, {"stream", stream}});
        hub.join();
        EXPECT_EQ(reply.status, stream ? 200U : 503U);
        EXPECT_THAT(reply.body, HasSubstr(R"({"error":"the hub does not answer"})"));
    }
}

TEST_F(Ollama, AFullDiskIsNoMatterOfTooManyRequests) {
    library_->fill();
    const TestReply copied =
        ask("POST", "/api/copy", {{"source", "tiny"}, {"destination", "twin"}});
    EXPECT_THAT(error_of(copied, 507), HasSubstr("no space left"));
    EXPECT_FALSE(copied.has("Retry-After")) << "waiting alone frees nothing";
    const Value made = {{"model", "mine"}, {"from", "tiny"}, {"stream", false}};
    EXPECT_EQ(ask("POST", "/api/create", made).status, 507U);
    std::thread hub([this] {
        library_->listener().on_end(fail(Fault::exhausted, "cannot write: no space left"));
    });
    EXPECT_THAT(error_of(ask("POST", "/api/pull", {{"model", "a/b"}, {"stream", false}}), 507),
                HasSubstr("no space left"));
    hub.join();
    EXPECT_THAT(ask("GET", "/metrics").body, HasSubstr("\"507\""));
}

TEST_F(Ollama, AModelThatIsThereIsPulledAlready) {
    EXPECT_EQ(lines_of(ask("POST", "/api/pull", {{"model", "tiny"}})).back()["status"], "success");
    EXPECT_THAT(library_->asks(), IsEmpty());
}

TEST_F(Ollama, WhatOnlyMeansAModelIsPulledAndCopied) {
    service_->alias("default", "tiny");
    service_->alias("small", "tiny");
    service_->alias("fake/tiny", "tiny");
    for (const char* name : {"default", "small", "fake/tiny"}) {
        EXPECT_THAT(error_of(ask("POST", "/api/pull", {{"model", name}}), 400),
                    HasSubstr("means 'tiny' here already"));
        EXPECT_THAT(
            error_of(ask("POST", "/api/copy", {{"source", "tiny"}, {"destination", name}}), 400),
            HasSubstr("choose another name"));
    }
    service_->alias("claude-*", "tiny");
    EXPECT_EQ(ask("POST", "/api/copy", {{"source", "kept"}, {"destination", "claude-x"}}).status,
              200U);
    EXPECT_EQ(library_->further_name("claude-x")->model, "kept");
    service_->alias("*", "tiny");
    std::thread hub([this] { library_->listener().on_end(catalog::Entry()); });
    EXPECT_EQ(lines_of(ask("POST", "/api/pull", {{"model", "a/b"}})).back()["status"], "success");
    hub.join();
    ASSERT_EQ(library_->asks().size(), 1U) << "a pattern is no model";
    EXPECT_EQ(library_->asks()[0].name, "a/b");
}

TEST_F(Ollama, AClientThatLeavesEndsItsInterestInAPull) {
    catalog::PullListener listener;
    {
        TestClient client(gateway_->port());
        ASSERT_TRUE(client.post("/api/pull", R"({"model":"a/b"})"));
        listener = library_->listener();
        EXPECT_EQ(library_->left(), 0);
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (library_->left() == 0 && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
    }
    EXPECT_EQ(library_->left(), 1);
}

TEST_F(Ollama, WithoutALibraryOnlyLooking) {
    library_.reset();
    start({});
    EXPECT_EQ(json_of(ask("GET", "/api/tags"))["models"].size(), 2U);
    EXPECT_EQ(json_of(ask("POST", "/api/show", {{"model", "tiny"}}))["template"], "");
    EXPECT_EQ(ask("POST", "/api/pull", {{"model", "a/b"}}).status, 501U);
    EXPECT_EQ(ask("DELETE", "/api/delete", {{"model", "tiny"}}).status, 501U);
}

}  // namespace
}  // namespace trilane::gateway
