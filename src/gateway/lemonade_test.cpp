// Lemonade's endpoints over a real socket, with a plane and a library that only pretend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <thread>

#include "gateway/fake_library.h"
#include "gateway/fake_service.h"
#include "gateway/gateway.h"
#include "gateway/lemonade_machine.h"
#include "json/json.h"
#include "net/loopback_test_client.h"

namespace trilane::gateway {
namespace {

using json::Value;
using net::TestClient;
using net::TestReply;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kPrefixes[] = {"/api/v0", "/api/v1", "/v0", "/v1"};

/// A made-up machine: one AMD GPU, no NPU.
probe::Machine small_machine() {
    probe::Machine machine;
    machine.cpu.model_name = "Testium 1";
    machine.cpu.cores = 4;
    machine.cpu.threads = 8;
    machine.memory.total_bytes = {std::uint64_t{8} << 30U, "/proc/meminfo"};
    machine.memory.available_bytes = {std::uint64_t{6} << 30U, "/proc/meminfo"};
    machine.system.distribution = {"Testix 3", "/etc/os-release"};
    machine.system.kernel_release = {"7.1.0", "/proc/version"};
    probe::GpuFacts& gpu = machine.gpus.emplace_back();
    gpu.vendor = probe::Vendor::amd;
    gpu.product = "Radeon";
    gpu.gfx = "gfx1151";
    gpu.integrated = true;
    gpu.busy_percent = {45, "gpu_busy_percent"};
    gpu.vram_used_bytes = {std::uint64_t{1} << 30U, "mem_info_vram_used"};
    return machine;
}

class LemonadeGateway : public ::testing::Test {
protected:
    void SetUp() override { start({}); }
    void TearDown() override { gateway_.reset(); }

    void start(GatewayOptions options) {
        gateway_.reset();
        options.port = 0;
        options.version = "9.9";
        options.library = library_;
        options.machine = small_machine;
        options.models_directory = "/no/such/folder/yet";
        auto started = Gateway::start(std::move(options), service_);
        ASSERT_TRUE(started) << started.error().message;
        gateway_ = std::move(*started);
    }

    TestReply ask(const std::string& method, const std::string& path, const std::string& body = "",
                  const std::string& headers = "") {
        TestClient client(gateway_->port());
        EXPECT_TRUE(client.send(
            fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n{}",
                        method, path, headers, body.size(), body)));
        return client.reply();
    }
    TestReply post(const std::string& path, const Value& body) {
        return ask("POST", path, json::dump(body));
    }
    static Value json_of(const TestReply& reply, unsigned status = 200) {
        EXPECT_EQ(reply.status, status) << reply.head << reply.body;
        auto value = json::parse(reply.body);
        EXPECT_TRUE(value) << reply.body;
        return value.value_or(Value::object());
    }
    /// Of a good error: the same words in both places where clients look.
    static std::string error_of(const TestReply& reply, unsigned status) {
        const Value body = json_of(reply, status);
        EXPECT_EQ(body.value("status", ""), "error") << reply.body;
        EXPECT_EQ(body["error"]["message"], body["message"]) << reply.body;
        return body.value("message", "");
    }

    const std::vector<std::string> names_{"tiny", "kept"};
    std::shared_ptr<FakeService> service_ =
        std::make_shared<FakeService>(names_, [](FakeService::Job& job) {
            answer_with(job, {"Hel", "lo"});
        });
    std::shared_ptr<FakeLibrary> library_ = std::make_shared<FakeLibrary>();
    std::unique_ptr<Gateway> gateway_;
};

TEST_F(LemonadeGateway, AnswersBelowEveryPrefix) {
    const std::string chat =
        R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],"stream":false})";
    for (const std::string_view prefix : kPrefixes) {
        const std::string at(prefix);
        EXPECT_EQ(json_of(ask("GET", at + "/health"))["status"], "ok") << at;
        EXPECT_EQ(json_of(ask("POST", at + "/chat/completions",
                              chat))["choices"][0]["message"]["content"],
                  "Hello")
            << at;
        EXPECT_EQ(json_of(ask("GET", at + "/models"))["data"].size(), 2U) << at;
        EXPECT_EQ(json_of(ask("GET", at + "/models/tiny"))["id"], "tiny") << at;
        EXPECT_EQ(json_of(ask("GET", at + "/models/ti%6Ey/files"))["model_id"], "tiny") << at;
        EXPECT_EQ(ask("GET", at + "/load").status, 405U) << at;
        EXPECT_TRUE(ask("GET", at + "/load").has("Allow: POST, OPTIONS\r\n")) << at;
        EXPECT_EQ(ask("GET", at + "/nothing").status, 404U) << at;
        EXPECT_EQ(ask("GET", at + "/").status, 404U) << at;
    }
    EXPECT_EQ(ask("GET", "/api/v2/health").status, 404U);
    EXPECT_EQ(ask("GET", "/api/health").status, 404U);
    // Ollama's own paths stay Ollama's.
    EXPECT_TRUE(json_of(ask("GET", "/api/tags")).contains("models"));
    EXPECT_EQ(json_of(ask("POST", "/api/pull", "{}"), 400).size(), 1U);
}

TEST_F(LemonadeGateway, SaysWhatIsInMemory) {
    const Value health = json_of(ask("GET", "/api/v1/health"));
    EXPECT_EQ(health["server_version"], "9.9");
    EXPECT_EQ(health["model_loaded"], "tiny");
    EXPECT_EQ(health["websocket_port"], gateway_->port());
    ASSERT_EQ(health["all_models_loaded"].size(), 1U);
    const Value& one = health["all_models_loaded"][0];
    EXPECT_EQ(one["type"], "llm");
    EXPECT_EQ(one["lane"], "fake");
    EXPECT_EQ(one["backend_url"], "http://localhost/v1");
    EXPECT_EQ(json_of(ask("GET", "/live"))["status"], "ok");
}

TEST_F(LemonadeGateway, ListsModelsByAllTheirNames) {
    library_->add_name({"user.twin", "tiny", "", "", "", 0}, [](const Status&) {});
    const Value data = json_of(ask("GET", "/api/v1/models?show_all=true"))["data"];
    ASSERT_EQ(data.size(), 3U);
    EXPECT_EQ(data[2]["id"], "user.twin");
    EXPECT_EQ(data[2]["downloaded"], true);
    EXPECT_EQ(data[2]["object"], "model");
    EXPECT_EQ(data[2]["recipe"], "llamacpp");
    EXPECT_THAT(json_of(ask("GET", "/api/v1/models/none"), 404)["error"]["message"],
                HasSubstr("none called 'none'"));
}

TEST_F(LemonadeGateway, StatsAreThoseOfTheLastAnswer) {
    const Value before = json_of(ask("GET", "/v1/stats"));
    EXPECT_TRUE(before["tokens_per_second"].is_null());
    EXPECT_TRUE(before["output_tokens"].is_null());
    EXPECT_EQ(before["request_count_total"], 7);
    post("/v1/completions", {{"model", "tiny"}, {"prompt", "x"}});
    const Value after = json_of(ask("GET", "/v1/stats"));
    EXPECT_EQ(after["input_tokens"], 5);
    EXPECT_EQ(after["cache_tokens"], 2);
    EXPECT_EQ(after["output_tokens"], 2);
    EXPECT_GT(after["time_to_first_token"].get<double>(), 0.0);
    EXPECT_TRUE(after["tokens_per_second"].is_null()) << "the fake plane measures nothing";
}

TEST_F(LemonadeGateway, DescribesTheMachine) {
    const Value info = json_of(ask("GET", "/api/v1/system-info?verbose=true"));
    EXPECT_EQ(info["Processor"], "Testium 1");
    EXPECT_EQ(info["OS Version"], "Testix 3 (Linux 7.1.0)");
    EXPECT_EQ(info["devices"]["amd_igpu"]["family"], "gfx1151");
    EXPECT_FALSE(info["devices"].contains("amd_npu"));
    EXPECT_GT(info["model_storage"]["total_bytes"].get<std::uint64_t>(), 0U);
    EXPECT_EQ(info["recipes"]["flm"]["backends"]["npu"]["state"], "unsupported");
    EXPECT_EQ(info["recipes"]["llamacpp"]["backends"]["vulkan"]["state"], "installable");
    EXPECT_EQ(info["recipes"]["llamacpp"]["backends"]["vulkan"]["devices"][0], "amd_gpu");
    const Value stats = json_of(ask("GET", "/api/v1/system-stats"));
    EXPECT_EQ(stats["memory_gb"], 2.0);
    EXPECT_EQ(stats["gpu_percent"], 45.0);
    EXPECT_EQ(stats["vram_gb"], 1.0);
}

TEST_F(LemonadeGateway, LoadsWithWhatItCanHonour) {
    const Value plain = json_of(post("/api/v1/load", {{"model_name", "tiny"}}));
    EXPECT_EQ(
        plain,
        Value({{"status", "success"}, {"message", "Loaded model: tiny"}, {"model_name", "tiny"}}));
    const Value more = json_of(post("/api/v1/load", {{"model_name", "user.kept"},
                                                     {"ctx_size", 4096},
                                                     {"llamacpp_args", "-np 2"},
                                                     {"pinned", true}}));
    ASSERT_EQ(more["ignored"].size(), 1U);
    EXPECT_THAT(more["ignored"][0], HasSubstr("llamacpp_args"));
    const auto asks = service_->loads();
    ASSERT_EQ(asks.size(), 2U);
    EXPECT_EQ(asks[0].context_tokens, std::nullopt);
    EXPECT_EQ(asks[1].model, "kept");
    EXPECT_EQ(asks[1].context_tokens, 4096U);
    EXPECT_EQ(asks[1].pin, true);
    EXPECT_THAT(
        error_of(post("/api/v1/load", {{"model_name", "tiny"}, {"llamacpp_backend", "vulkan"}}),
                 400),
        HasSubstr("llamacpp_backend: vulkan: no lane here runs llamacpp there"));
    EXPECT_THAT(error_of(post("/api/v1/load", {{"model_name", "none"}}), 404),
                HasSubstr("Model not found: none"));
    EXPECT_THAT(error_of(ask("POST", "/api/v1/load", "{"), 400), HasSubstr("the body is"));
    EXPECT_THAT(error_of(ask("POST", "/api/v1/load"), 400), HasSubstr("the body is empty"));
}

TEST_F(LemonadeGateway, LoadsAnewForMoreContext) {
    service_->give_context(1024);
    json_of(post("/v1/load", {{"model_name", "tiny"}, {"ctx_size", 512}}));
    EXPECT_TRUE(service_->unloads().empty());
    json_of(post("/v1/load", {{"model_name", "tiny"}, {"ctx_size", 2048}}));
    EXPECT_THAT(service_->unloads(), ElementsAre("tiny"));
}

TEST_F(LemonadeGateway, ANameThatSaysTheLaneIsMeantSo) {
    service_->alias("fake/tiny", "tiny");
    service_->alias("two/tiny", "tiny");
    service_->add_lane("two", "gpu");
    service_->give_context(1024);
    json_of(post("/v1/load", {{"model_name", "fake/tiny"}}));
    json_of(post("/v1/load", {{"model_name", "user.fake/tiny"}, {"ctx_size", 2048}}));
    json_of(post("/v1/load", {{"model_name", "two/tiny"}, {"ctx_size", 2048}}));
    const auto loads = service_->loads();
    ASSERT_EQ(loads.size(), 3U);
    EXPECT_EQ(loads[0].model, "fake/tiny");
    EXPECT_EQ(loads[1].model, "fake/tiny");
    EXPECT_EQ(loads[2].model, "two/tiny");
    EXPECT_THAT(service_->unloads(), ElementsAre("fake/tiny")) << "lane two has none in memory";
    json_of(post("/v1/unload", {{"model_name", "fake/tiny"}}));
    EXPECT_THAT(service_->unloads(), ElementsAre("fake/tiny", "fake/tiny"));
}

TEST_F(LemonadeGateway, ABackendMeansTheLanesThatTheKeyMayUse) {
    for (const char* lane : {"one", "two", "three"}) {
        service_->add_lane(lane, "gpu");
    }
    service_->add_lane("four", "cpu");
    access::Key narrow;
    narrow.name = "narrow";
    narrow.digest = access::digest_of("n");
    narrow.lanes = {"t*"};
    access::Key other = narrow;
    other.name = "other";
    other.digest = access::digest_of("o");
    other.lanes = {"three", "four"};
    access::Key none = narrow;
    none.name = "none";
    none.digest = access::digest_of("x");
    none.lanes = {"four"};
    access::KeyRing ring;
    for (const access::Key& key : {narrow, other, none}) {
        ASSERT_TRUE(ring.add(key));
    }
    GatewayOptions options;
    options.access.door = std::make_shared<access::Door>("", ring);
    start(std::move(options));
    const auto load_as = [&](const std::string& key) {
        return ask("POST", "/v1/load", R"({"model_name":"tiny","llamacpp_backend":"vulkan"})",
                   "Authorization: Bearer " + key + "\r\n");
    };
    EXPECT_EQ(load_as("n").status, 200U);
    EXPECT_EQ(load_as("o").status, 200U);
    const std::string refused = error_of(load_as("x"), 400);
    EXPECT_THAT(refused, AllOf(HasSubstr("four (cpu)"), Not(HasSubstr("two"))));
    const auto loads = service_->loads();
    ASSERT_EQ(loads.size(), 2U);
    EXPECT_THAT(loads[0].lanes, ElementsAre("two", "three"));
    EXPECT_EQ(loads[0].lane, "") << "which of them the model may use, the plane knows";
    EXPECT_THAT(loads[1].lanes, ElementsAre("three"));
    EXPECT_EQ(loads[1].lane, "three");
}

TEST_F(LemonadeGateway, UnloadsOneOrAll) {
    EXPECT_EQ(json_of(post("/api/v1/unload", {{"model_name", "tiny"}}))["status"], "success");
    EXPECT_EQ(json_of(ask("POST", "/api/v1/unload"))["status"], "success");
    EXPECT_THAT(service_->unloads(), ElementsAre("tiny", "tiny"));
    EXPECT_THAT(error_of(post("/api/v1/unload", {{"model_name", "kept"}}), 404),
                HasSubstr("not loaded"));
    EXPECT_THAT(error_of(post("/api/v1/unload", {{"model_name", "none"}}), 404),
                HasSubstr("Model not found"));
}

TEST_F(LemonadeGateway, PullsEventByEvent) {
    std::thread news([this] {
        const catalog::PullListener listener = library_->listener();
        catalog::PullNews one{"downloading", "m", "a.gguf", "", 0, 0, 0};
        listener.on_news(one);  // nothing is known yet: nothing to tell
        one.total_bytes = 200;
        one.done_bytes = 50;
        listener.on_news(one);
        one.file = "b.gguf";
        one.done_bytes = 150;
        listener.on_news(one);
        listener.on_end(catalog::Entry{});
    });
    const TestReply reply =
        post("/api/v1/pull",
             {{"model_name", "user.new"}, {"checkpoint", "owner/name:Q8_0"}, {"stream", true}});
    news.join();
    EXPECT_EQ(reply.status, 200U);
    EXPECT_TRUE(reply.has("Content-Type: text/event-stream\r\n")) << reply.head;
    EXPECT_EQ(reply.body,
              "event: progress\ndata: {\"file\":\"a.gguf\",\"file_index\":1,\"total_files\":1,"
              "\"bytes_downloaded\":50,\"bytes_total\":200,\"percent\":25}\n\n"
              "event: progress\ndata: {\"file\":\"b.gguf\",\"file_index\":2,\"total_files\":2,"
              "\"bytes_downloaded\":150,\"bytes_total\":200,\"percent\":75}\n\n"
              "event: complete\ndata: {\"file_index\":2,\"total_files\":2,\"percent\":100}\n\n");
    const auto asks = library_->asks();
    ASSERT_EQ(asks.size(), 1U);
    EXPECT_EQ(asks[0].reference, "owner/name:Q8_0");
    EXPECT_EQ(asks[0].name, "user.new");
}

TEST_F(LemonadeGateway, PullsAtOnce) {
    EXPECT_EQ(json_of(post("/v1/pull", {{"model_name", "tiny"}}))["message"],
              "Installed model: tiny");
    std::thread end(
        [this] { library_->listener().on_end(fail(Fault::unavailable, "the hub is away")); });
    EXPECT_EQ(error_of(post("/v1/pull", {{"model_name", "owner/name"}}), 503), "the hub is away");
    end.join();
    std::thread broken(
        [this] { library_->listener().on_end(fail(Fault::unavailable, "the hub is away")); });
    const TestReply streamed = post("/v1/pull", {{"model_name", "owner/name"}, {"stream", true}});
    broken.join();
    EXPECT_EQ(streamed.body,
              "event: error\ndata: {\"error\":\"the hub is away\",\"code\":\"unavailable\"}\n\n");
    EXPECT_THAT(error_of(post("/v1/pull", {{"model_name", "Qwen3-8B-GGUF"}}), 400),
                HasSubstr("send \"checkpoint\""));
    EXPECT_THAT(error_of(post("/v1/pull", {{"model_name", "x"}, {"checkpoint", "bad"}}), 400),
                HasSubstr("names no repository"));
}

TEST_F(LemonadeGateway, AFullDiskIsNoMatterOfTooManyRequests) {
    for (const bool stream : {false, true}) {
        std::thread end([this] {
            library_->listener().on_end(fail(Fault::exhausted, "cannot write: no space left"));
        });
        const TestReply reply =
            post("/v1/pull", {{"model_name", "owner/name"}, {"stream", stream}});
        end.join();
        if (stream) {
            EXPECT_THAT(reply.body, HasSubstr(R"("code":"insufficient_storage")"));
        } else {
            EXPECT_EQ(error_of(reply, 507), "cannot write: no space left");
            EXPECT_EQ(json_of(reply, 507)["error"]["code"], "insufficient_storage");
        }
    }
}

TEST_F(LemonadeGateway, OnlyTheSameModelIsThereAlready) {
    catalog::Entry entry;
    entry.id = "tiny";
    entry.path = "/models/tiny/tiny-Q8_0.gguf";
    entry.quantization = "Q8_0";
    entry.repository = "owner/Tiny-GGUF@main";
    library_->put(entry);
    service_->alias("user.tiny2", "tiny");
    library_->add_name({"user.tiny2", "tiny", "", "", "", 0, true}, [](const Status&) {});
    const auto pull = [&](const char* name, const char* checkpoint) {
        return post("/v1/pull", {{"model_name", name}, {"checkpoint", checkpoint}});
    };
    for (const char* name : {"tiny", "user.tiny2", "user.tiny", "tiny2"}) {
        for (const char* same : {"owner/Tiny-GGUF", "owner/tiny-gguf:q8_0", "owner/Tiny-GGUF:Q8_0",
                                 "owner/Tiny-GGUF:tiny-Q8_0.gguf"}) {
            EXPECT_EQ(json_of(pull(name, same))["status"], "success") << name << ' ' << same;
        }
    }
    for (const char* other : {"owner/Tiny-GGUF:Q4_K_M", "other/Tiny-GGUF:Q8_0",
                              "owner/Tiny-GGUF@old:Q8_0", "owner/Tiny-GGUF:tiny-Q4_K_M.gguf"}) {
        EXPECT_THAT(error_of(pull("tiny", other), 400), HasSubstr("delete it first")) << other;
        EXPECT_THAT(error_of(pull("user.tiny2", other), 400), HasSubstr(other));
    }
    EXPECT_THAT(error_of(pull("kept", "owner/Kept"), 400), HasSubstr("is not owner/Kept"))
        << "nobody knows where it came from";
    EXPECT_TRUE(library_->asks().empty());
}

TEST_F(LemonadeGateway, WhatOnlyMeansAModelIsPulled) {
    service_->alias("small", "tiny");
    service_->alias("default", "tiny");
    service_->alias("fake/tiny", "tiny");
    service_->alias("*", "tiny");
    for (const char* name : {"default", "fake/tiny"}) {
        EXPECT_THAT(
            error_of(post("/v1/pull", {{"model_name", name}, {"checkpoint", "owner/name"}}), 400),
            HasSubstr("means 'tiny' here already"));
    }
    EXPECT_THAT(error_of(post("/v1/pull", {{"model_name", "claude-x"}}), 400),
                HasSubstr("names no repository"));
    std::thread end([this] { library_->listener().on_end(catalog::Entry{}); });
    EXPECT_EQ(json_of(post("/v1/pull", {{"model_name", "user.x"}, {"checkpoint", "owner/x:Q8_0"}}))
                  .value("status", ""),
              "success");
    end.join();
    ASSERT_EQ(library_->asks().size(), 1U);
    EXPECT_EQ(library_->asks()[0].name, "user.x");
}

TEST_F(LemonadeGateway, AClientThatLeavesEndsItsPull) {
    {
        TestClient client(gateway_->port());
        const std::string body = R"({"model_name":"owner/name","stream":true})";
        ASSERT_TRUE(client.send(
            fmt::format("POST /v1/pull HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{}",
                        body.size(), body)));
        library_->listener();
    }
    while (library_->left() == 0) {
        std::this_thread::yield();
    }
}

TEST_F(LemonadeGateway, DownloadsGoOnByThemselves) {
    const Value begun = json_of(
        post("/v1/pull", {{"model_name", "owner/name"}, {"stream", true}, {"subscribe", false}}));
    EXPECT_EQ(begun["id"], "model:owner/name");
    EXPECT_EQ(begun["status"], "downloading");
    const catalog::PullListener first = library_->listener();
    first.on_news({"downloading", "m", "a.gguf", "", 200, 50, 0});
    Value list = json_of(ask("GET", "/v1/downloads"));
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0]["percent"], 25);
    const Value paused =
        json_of(post("/v1/downloads/control", {{"id", "model:owner/name"}, {"action", "pause"}}));
    EXPECT_EQ(paused["status"], "paused");
    EXPECT_EQ(paused["running"], false);
    EXPECT_EQ(library_->left(), 1);
    first.on_end(fail(Fault::cancelled, "stopped"));  // too late to matter
    EXPECT_EQ(json_of(ask("GET", "/v1/downloads"))[0]["status"], "paused");

    library_->refuse_next();
    EXPECT_EQ(
        post("/v1/pull", {{"model_name", "owner/name"}, {"stream", true}, {"subscribe", false}})
            .status,
        503U);
    EXPECT_EQ(json_of(ask("GET", "/v1/downloads"))[0]["status"], "paused");
    post("/v1/pull", {{"model_name", "owner/name"}, {"stream", true}, {"subscribe", false}});
    const catalog::PullListener second = library_->listener();
    first.on_news({"downloading", "m", "old.gguf", "", 9, 9, 0});
    EXPECT_EQ(json_of(ask("GET", "/v1/downloads"))[0]["file"], "");
    second.on_end(catalog::Entry{});
    list = json_of(ask("GET", "/v1/downloads"));
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0]["status"], "completed");
    EXPECT_EQ(list[0]["complete"], true);
    const Value remove = {{"id", "model:owner/name"}, {"action", "remove"}};
    EXPECT_EQ(json_of(post("/v1/downloads/control", remove)), Value({{"status", "ok"}}));
    EXPECT_EQ(json_of(post("/v1/downloads/control", remove))["missing"], true);
    EXPECT_THAT(error_of(post("/v1/downloads/control", {{"id", "x"}, {"action", "cancel"}}), 404),
                HasSubstr("there is no download 'x'"));
}

TEST_F(LemonadeGateway, ListsWhatARepositoryHas) {
    const Value listed = json_of(ask("GET", "/v1/pull/variants?checkpoint=owner%2Fname-GGUF"));
    EXPECT_EQ(listed["suggested_name"], "name-GGUF");
    EXPECT_EQ(listed["suggested_labels"], Value::array({"vision"}));
    EXPECT_EQ(listed["mmproj_files"], Value::array({"mmproj-f16.gguf"}));
    ASSERT_EQ(listed["variants"].size(), 2U);
    EXPECT_EQ(listed["variants"][0]["sharded"], true);
    EXPECT_EQ(listed["variants"][0]["size_bytes"], 55);
    EXPECT_EQ(listed["variants"][1]["primary_file"], "name-Q4_K_M.gguf");
    EXPECT_THAT(error_of(ask("GET", "/v1/pull/variants?checkpoint=a/b"), 404),
                HasSubstr("no repository a/b"));
    EXPECT_THAT(error_of(ask("GET", "/v1/pull/variants"), 400), HasSubstr("checkpoint: got"));
}

TEST_F(LemonadeGateway, DeletesModelsAndNames) {
    EXPECT_EQ(json_of(post("/v1/delete", {{"model_name", "tiny"}}))["message"],
              "Deleted model: tiny");
    EXPECT_THAT(library_->removed(), ElementsAre("tiny"));
    EXPECT_THAT(error_of(post("/v1/delete", {{"model_name", "kept"}}), 400),
                HasSubstr("not in our folder"));
    library_->add_name({"twin", "tiny", "", "", "", 0}, [](const Status&) {});
    EXPECT_EQ(json_of(post("/v1/delete", {{"model_name", "twin"}}))["status"], "success");
    EXPECT_FALSE(library_->further_name("twin"));
    EXPECT_THAT(library_->removed(), ElementsAre("tiny", "kept"));
    EXPECT_THAT(error_of(post("/v1/delete", {{"model_name", "none"}}), 404),
                HasSubstr("Model not found"));
}

TEST_F(LemonadeGateway, OnlyItsOwnNameDeletesAModel) {
    service_->alias("claude-*", "tiny");
    service_->alias("small", "tiny");
    service_->alias("default", "tiny");
    service_->alias("fake/tiny", "tiny");
    service_->alias("tiny:latest", "tiny");
    for (const char* name :
         {"claude-x", "claude-*", "small", "default", "fake/tiny", "tiny:latest", "user.tiny"}) {
        EXPECT_THAT(error_of(post("/v1/delete", {{"model_name", name}}), 400),
                    HasSubstr(fmt::format("'{}' is another name of 'tiny'", name)));
    }
    EXPECT_TRUE(library_->removed().empty());
}

TEST_F(LemonadeGateway, WhatWasPulledGoesWithItsLastName) {
    const auto add = [&](const std::string& name, bool pulled) {
        service_->alias(name, "tiny");
        library_->add_name({name, "tiny", "", "", "", 0, pulled}, [](const Status&) {});
    };
    const auto remove = [&](const char* name) {
        EXPECT_EQ(json_of(post("/v1/delete", {{"model_name", name}}))["status"], "success") << name;
    };
    add("user.copy", false);
    remove("user.copy");
    EXPECT_TRUE(library_->removed().empty()) << "a copy is only a name";
    add("user.tiny", true);
    add("twin", false);
    remove("user.tiny");
    EXPECT_TRUE(library_->removed().empty()) << "twin still means it";
    remove("twin");
    add("user.tiny", true);
    remove("user.tiny");
    EXPECT_THAT(library_->removed(), ElementsAre("tiny"));
}

TEST_F(LemonadeGateway, AFurtherNameThatIsAModelsIdDeletesThatModel) {
    library_->add_name({"kept", "tiny", "", "", "", 0, true}, [](const Status&) {});
    post("/v1/delete", {{"model_name", "kept"}});
    EXPECT_THAT(library_->removed(), ElementsAre("kept"));
    library_->add_name({"user.gone", "gone", "", "", "", 0, true}, [](const Status&) {});
    EXPECT_EQ(json_of(post("/v1/delete", {{"model_name", "user.gone"}}))["status"], "success");
    EXPECT_FALSE(library_->further_name("user.gone"));
}

TEST_F(LemonadeGateway, EnginesAreNotInstalled) {
    const std::string missing =
        error_of(post("/v1/install", {{"recipe", "llamacpp"}, {"backend", "vulkan"}}), 501);
    EXPECT_THAT(missing, HasSubstr("install llama.cpp's llama-server"));
    EXPECT_THAT(error_of(post("/v1/install", {{"spec", "flm:npu"}}), 501), HasSubstr("no NPU"));
    EXPECT_THAT(error_of(post("/v1/install", {{"spec", "magic:wand"}}), 400),
                HasSubstr("it knows llamacpp:system"));
    EXPECT_THAT(error_of(post("/v1/uninstall", {{"spec", "flm:npu"}}), 501),
                HasSubstr("leave the lane out"));
    plane::View view;
    view.lanes.emplace_back().kind = "native";
    view.lanes.back().silicon = "cpu";
    const auto recipes = lemonade_api::recipe_states(view, small_machine(), "9.9");
    EXPECT_EQ(recipes[0].preferred, "cpu");
    EXPECT_EQ(recipes[0].backends.back().version, "9.9");
    view.lanes.back().kind = "llama-server";
    const auto on_cpu = lemonade_api::recipe_states(view, small_machine(), "9.9");
    EXPECT_EQ(on_cpu[0].preferred, "cpu");
    EXPECT_EQ(on_cpu[0].backends.back().state, "installed");
    EXPECT_EQ(on_cpu[0].backends.back().version, "") << "it is not Trilane's";
    EXPECT_NE(on_cpu[0].backends.front().state, "installed");
}

TEST_F(LemonadeGateway, RefusesWithReasons) {
    EXPECT_THAT(error_of(post("/v1/params", {{"temperature", 0}}), 501),
                HasSubstr("sent with each request"));
    EXPECT_THAT(error_of(ask("GET", "/api/v0/params"), 501), HasSubstr("configuration"));
    EXPECT_THAT(error_of(ask("POST", "/internal/shutdown"), 501), HasSubstr("SIGTERM"));
    EXPECT_THAT(error_of(ask("DELETE", "/v1/models/tiny/options"), 501), HasSubstr("ctx_size"));
    EXPECT_EQ(json_of(ask("GET", "/v1/models/tiny/options"))["effective"]["ctx_size"], -1);
    EXPECT_THAT(error_of(ask("GET", "/v1/models/none/options"), 404), HasSubstr("not found"));
    EXPECT_THAT(error_of(ask("GET", "/v1/jobs/5"), 501), HasSubstr("one after another"));
}

TEST_F(LemonadeGateway, KeysCount) {
    GatewayOptions options;
    options.access.door = std::make_shared<access::Door>("secret", access::KeyRing());
    start(std::move(options));
    for (const std::string path : {"/api/v1/health", "/api/v1/models", "/v0/stats"}) {
        EXPECT_EQ(json_of(ask("GET", path), 401)["error"]["code"], "invalid_api_key") << path;
    }
    EXPECT_THAT(error_of(ask("POST", "/api/v1/pull", "{}"), 401), HasSubstr("key"));
    EXPECT_EQ(ask("GET", "/api/v1/health", "", "Authorization: Bearer secret\r\n").status, 200U);
    EXPECT_EQ(ask("GET", "/live").status, 200U);
}

TEST_F(LemonadeGateway, ALimitedKeyHearsOfNoOtherModel) {
    service_->alias("claude-*", "tiny");
    access::Key narrow;
    narrow.name = "narrow";
    narrow.digest = access::digest_of("n");
    narrow.models = {"kept"};
    access::KeyRing ring;
    ASSERT_TRUE(ring.add(narrow));
    GatewayOptions options;
    options.access.door = std::make_shared<access::Door>("boss", ring);
    start(std::move(options));
    const std::string boss = "Authorization: Bearer boss\r\n";
    const std::string sent = "Authorization: Bearer n\r\n";
    const std::string body = R"({"model":"tiny","prompt":"x"})";
    EXPECT_EQ(ask("POST", "/v1/completions", body, boss).status, 200U);
    for (const char* path : {"/v1/load", "/v1/unload"}) {
        EXPECT_THAT(error_of(ask("POST", path, R"({"model_name":"none"})", sent), 404),
                    Not(HasSubstr("tiny")))
            << path;
        EXPECT_THAT(error_of(ask("POST", path, R"({"model_name":"claude-x"})", sent), 403),
                    AllOf(HasSubstr("'claude-x'"), Not(HasSubstr("tiny"))))
            << path;
    }
    for (const char* path : {"/v1/models/none/files", "/v1/models/none/options"}) {
        EXPECT_THAT(error_of(ask("GET", path, "", sent), 404), Not(HasSubstr("tiny"))) << path;
    }
    EXPECT_THAT(ask("GET", "/v1/slots", "", sent).body, Not(HasSubstr("tiny")));
    EXPECT_THAT(ask("GET", "/v1/slots", "", boss).body, HasSubstr("tiny"));
    const Value hidden = json_of(ask("GET", "/v1/stats", "", sent));
    EXPECT_TRUE(hidden["output_tokens"].is_null());
    EXPECT_TRUE(hidden["request_count_total"].is_null());
    const Value shown = json_of(ask("GET", "/v1/stats", "", boss));
    EXPECT_EQ(shown["output_tokens"], 2);
    EXPECT_EQ(shown["request_count_total"], 7);
}

TEST_F(LemonadeGateway, AKeyWithoutAdministrationDoesNoHarmToOthers) {
    access::Key key;
    key.name = "app";
    key.digest = access::digest_of("app-secret");
    access::KeyRing ring;
    ASSERT_TRUE(ring.add(std::move(key)));
    GatewayOptions options;
    options.access.door = std::make_shared<access::Door>("", std::move(ring));
    start(std::move(options));
    service_->give_context(1024);
    const std::string sent = "Authorization: Bearer app-secret\r\n";
    const auto post_as_app = [&](const std::string& path, const std::string& body) {
        return ask("POST", path, body, sent);
    };
    const Value loaded =
        json_of(post_as_app("/v1/load", R"({"model_name":"tiny","ctx_size":2048})"));
    EXPECT_THAT(loaded["ignored"][0], HasSubstr("ctx_size"));
    EXPECT_EQ(service_->loads().at(0).context_tokens, std::nullopt) << "it would stay an order";
    post_as_app("/v1/load", R"({"model_name":"tiny","ctx_size":16})");
    EXPECT_EQ(service_->loads().at(1).context_tokens, std::nullopt);
    EXPECT_THAT(error_of(post_as_app("/v1/load", R"({"model_name":"kept","ctx_size":511})"), 400),
                HasSubstr("ctx_size: got 511; send 512 or more"));
    ASSERT_EQ(service_->loads().size(), 2U);
    post_as_app("/v1/load", R"({"model_name":"kept","ctx_size":512})");
    EXPECT_EQ(service_->loads().at(2).context_tokens, 512U);
    EXPECT_EQ(json_of(post_as_app("/v1/unload", R"({"model_name":"tiny"})"))["status"], "success");
    EXPECT_TRUE(service_->unloads().empty());
    ASSERT_EQ(service_->kept().size(), 1U);
    EXPECT_EQ(service_->kept()[0].second, std::chrono::milliseconds(0));
    EXPECT_THAT(error_of(post_as_app("/v1/load", R"({"model_name":"tiny","pinned":true})"), 403),
                HasSubstr("pinned"));
    EXPECT_EQ(post_as_app("/v1/pull", R"({"model_name":"a/b"})").status, 403U);
    EXPECT_EQ(post_as_app("/v1/delete", R"({"model_name":"tiny"})").status, 403U);
    EXPECT_EQ(post_as_app("/internal/shutdown", "").status, 403U);
    EXPECT_EQ(ask("GET", "/v1/models/tiny/files?include_paths=true", "", sent).status, 403U);
    EXPECT_EQ(ask("GET", "/v1/models/tiny/files", "", sent).status, 200U);
}

}  // namespace
}  // namespace trilane::gateway
