#include "dialect/ollama/listings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialect/ollama/library_asks.h"
#include "dialect/ollama/ollama.h"
#include "json/json.h"

namespace trilane::dialect::ollama {
namespace {

using json::Value;
using ::testing::HasSubstr;

Listed tiny() {
    Listed model;
    model.name = "tiny";
    model.digest = "abc";
    model.modified_unix_s = 1'700'000'000;
    model.card.id = "tiny";
    model.card.architecture = "llama";
    model.card.quantization = "Q4_K_M";
    model.card.parameters = 8'030'261'248;
    model.card.bytes = 42;
    model.card.context_tokens = 4096;
    model.card.abilities.chat = model.card.abilities.tools = model.card.abilities.vision = true;
    return model;
}

TEST(OllamaListings, TagsHaveWhatClientsSort) {
    const Listed models[] = {tiny()};
    EXPECT_EQ(json::parse(tags_body(models)).value(),
              json::parse(R"({"models":[{"name":"tiny:latest","model":"tiny:latest",
                "modified_at":"2023-11-14T22:13:20.000000000Z","size":42,"digest":"abc",
                "details":{"parent_model":"","format":"gguf","family":"llama","families":["llama"],
                "parameter_size":"8.0B","quantization_level":"Q4_K_M"}}]})")
                  .value());
    EXPECT_EQ(tags_body({}), R"({"models":[]})");
}

TEST(OllamaListings, RunningModelsSayWhenTheyGo) {
    Running running;
    running.listed = tiny();
    running.bytes = 100;
    running.gpu_bytes = 60;
    running.expires_unix_ms = 1'700'000'000'500;
    running.context_tokens = 2048;
    Running stays = running;
    stays.expires_unix_ms = 0;
    const Running models[] = {running, stays};
    const Value body = json::parse(ps_body(models)).value()["models"];
    EXPECT_EQ(body[0]["expires_at"], "2023-11-14T22:13:20.500000000Z");
    EXPECT_EQ(body[0]["size"], 100);
    EXPECT_EQ(body[0]["size_vram"], 60);
    EXPECT_EQ(body[0]["context_length"], 2048);
    EXPECT_FALSE(body[0].contains("modified_at"));
    EXPECT_THAT(body[1]["expires_at"].get<std::string>(), testing::StartsWith("22"));
}

TEST(OllamaListings, ShowsAllThatIsKnown) {
    Shown shown;
    shown.listed = tiny();
    shown.template_text = "{{ messages }}";
    shown.system = "Be brief.";
    shown.parameters = R"({"temperature":0.5,"stop":["a","b"]})";
    shown.licence = "mit";
    shown.metadata = R"({"general.architecture":"llama","llama.block_count":3})";
    const Value body = json::parse(show_body(shown)).value();
    EXPECT_EQ(body["capabilities"], Value::array({"completion", "vision", "tools"}));
    EXPECT_EQ(body["model_info"]["llama.block_count"], 3);
    EXPECT_EQ(body["model_info"]["llama.context_length"], 4096);
    EXPECT_EQ(body["model_info"]["general.parameter_count"], 8'030'261'248);
    EXPECT_EQ(body["template"], "{{ messages }}");
    EXPECT_EQ(body["system"], "Be brief.");
    EXPECT_EQ(body["license"], "mit");
    EXPECT_EQ(body["details"]["family"], "llama");
    EXPECT_THAT(body["parameters"].get<std::string>(), HasSubstr("temperature"));
    EXPECT_THAT(body["parameters"].get<std::string>(), HasSubstr("\"b\""));
    EXPECT_THAT(body["modelfile"].get<std::string>(), HasSubstr("FROM tiny\n"));
}

TEST(OllamaListings, LittleKnownIsNoError) {
    Shown shown;
    shown.listed.name = "qwen3:0.6b";
    shown.listed.card.abilities.embed = true;
    const Value body = json::parse(show_body(shown)).value();
    EXPECT_EQ(body["capabilities"], Value::array({"embedding"}));
    EXPECT_TRUE(body["details"]["families"].is_null());
    EXPECT_FALSE(body.contains("license"));
}

TEST(OllamaListings, VersionsAreThoseOfTheApiAndOfTheDaemon) {
    const Value body = json::parse(version_body("9.8.7")).value();
    EXPECT_EQ(body["version"], kApiVersion);
    EXPECT_EQ(body["server_version"], "9.8.7");
}

template <class Ask>
std::string error_of(const Result<Ask>& result) {
    return result ? "it was taken" : result.error().message;
}

TEST(OllamaLibraryAsks, ReadNames) {
    const auto ask = read_name_ask(R"({"name":"hf.co/a/b:Q4_K_M","stream":false,"verbose":true})");
    ASSERT_TRUE(ask);
    EXPECT_EQ(ask->model, "hf.co/a/b:Q4_K_M");
    EXPECT_FALSE(ask->stream);
    EXPECT_TRUE(ask->verbose);
    EXPECT_EQ(read_name_ask(R"({"model":"a:latest"})")->model, "a");
    EXPECT_THAT(error_of(read_name_ask("{}")), HasSubstr("model: missing"));
    EXPECT_THAT(error_of(read_name_ask(R"({"model":"a b"})")), HasSubstr("without spaces"));
    EXPECT_THAT(error_of(read_name_ask(R"({"model":"a\nb"})")), HasSubstr("without spaces"));
}

TEST(OllamaLibraryAsks, ReadCopies) {
    const auto ask = read_copy_ask(R"({"source":"a:latest","destination":"me/b"})");
    ASSERT_TRUE(ask);
    EXPECT_EQ(ask->source, "a");
    EXPECT_EQ(ask->destination, "me/b");
    EXPECT_THAT(error_of(read_copy_ask(R"({"source":"a"})")), HasSubstr("destination: missing"));
    EXPECT_THAT(error_of(read_copy_ask(R"({"source":"a","destination":"/b"})")),
                HasSubstr("destination: got"));
}

TEST(OllamaLibraryAsks, ReadCreations) {
    const auto ask = read_create_ask(
        R"({"model":"mine","from":"a","system":"Be brief.","parameters":{"temperature":0.5},
            "license":["MIT","and more"],"template":"","messages":[]})");
    ASSERT_TRUE(ask) << ask.error().message;
    EXPECT_EQ(ask->from, "a");
    EXPECT_EQ(ask->system, "Be brief.");
    EXPECT_EQ(ask->parameters, R"({"temperature":0.5})");
    EXPECT_EQ(ask->licence, "MIT\nand more");
    EXPECT_TRUE(ask->stream);
    EXPECT_EQ(read_create_ask(R"({"model":"m","files":{"m.gguf":"sha256:12"}})")->digest,
              "sha256:12");
    for (const auto& [body, message] :
         {std::pair(R"({"model":"m"})", "from: missing"),
          std::pair(R"({"model":"m","from":"a","files":{"m.gguf":"1"}})", "does not go with files"),
          std::pair(R"({"model":"m","files":{"a":"1","b":"2"}})", "files: send the one GGUF"),
          std::pair(R"({"model":"m","from":"a","template":"x"})", "template:"),
          std::pair(R"({"model":"m","from":"a","adapters":{"a":"b"}})", "adapters:"),
          std::pair(R"({"model":"m","from":"a","quantize":"q4_K_M"})", "quantize:"),
          std::pair(R"({"model":"m","from":"a","messages":[{}]})", "messages:"),
          std::pair(R"({"model":"m","modelfile":"FROM a"})", "modelfile:"),
          std::pair(R"({"model":"m","from":"a","parameters":{"temperature":9}})",
                    "options.temperature: got 9"),
          std::pair(R"({"model":"m","from":"a","license":3})", "license: got 3")}) {
        EXPECT_THAT(error_of(read_create_ask(body)), HasSubstr(message)) << body;
    }
}

TEST(OllamaLibraryAsks, OptionsOfTheChildGoBefore) {
    EXPECT_EQ(merged_parameters(R"({"a":1,"b":2})", R"({"b":3})"), R"({"a":1,"b":3})");
    EXPECT_EQ(merged_parameters("", ""), "");
    EXPECT_EQ(merged_parameters("", R"({"b":3})"), R"({"b":3})");
}

TEST(OllamaLibraryAsks, LinesTellHowFarADownloadIs) {
    EXPECT_EQ(json::parse(download_line("0123456789abcdef", "a.gguf", 10, 4)).value(),
              Value({{"status", "pulling 0123456789ab"},
                     {"digest", "sha256:0123456789abcdef"},
                     {"total", 10},
                     {"completed", 4}}));
    EXPECT_EQ(json::parse(download_line("", "a.gguf", 10, 4)).value(),
              Value({{"status", "pulling a.gguf"}, {"total", 10}, {"completed", 4}}));
}

}  // namespace
}  // namespace trilane::dialect::ollama
