// Runs the cases of tests/wire/lemonade: a body in, what it asks or an error out; or facts in, an
// answer out. A new case is a new entry in a data file, not code.
//
// A file holds an array of cases:
//   name, read ("name" | "unload" | "load" | "pull" | "backend" | "download") and request (an
//     object, or a string sent as it stands); or
//   name, write ("models" | "model" | "options" | "health" | "stats" | "system_info" |
//     "system_stats" | "files" | "variants" | "slots" | "done" | "progress" | "complete" | "failed"
//     | "downloads" | "error" | "status" | "missing" | "not_loaded") and facts;
//   expected: the facts that differ from an ask's defaults, or {error: a part of the message}; of
//   what is written the whole body, or the whole text where it is no JSON.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "dialect/lemonade/lemonade.h"
#include "dialect/lemonade/listings.h"
#include "json/json.h"

namespace trilane::dialect::lemonade {
namespace {

using json::Value;

struct WireCase {
    std::string id;  // file and name, as GoogleTest wants it
    Value data;
};

void PrintTo(const WireCase& one, std::ostream* out) {
    *out << one.id;
}

std::vector<WireCase> wire_cases() {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry :
         std::filesystem::directory_iterator(TRILANE_SOURCE_DIR "/tests/wire/lemonade")) {
        paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    std::vector<WireCase> cases;
    for (const auto& path : paths) {
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        const auto file = json::parse(text.str());
        if (!file || !file->is_array()) {
            cases.push_back({path.stem().string() + "_is_no_array", nullptr});
            continue;
        }
        for (const Value& one : *file) {
            std::string id = path.stem().string() + "_" + one.value("name", "unnamed");
            std::replace_if(
                id.begin(), id.end(),
                [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
            cases.push_back({std::move(id), one});
        }
    }
    return cases;
}

// What was read, as far as it differs from the defaults.

template <class T>
void put(Value& out, const char* name, const T& value, const T& usual) {
    if (value != usual) {
        out[name] = value;
    }
}

template <class Ask>
Value facts_or_error(const Result<Ask>& ask, Value (*facts)(const Ask&)) {
    if (!ask) {
        EXPECT_EQ(ask.error().fault, Fault::invalid) << ask.error().message;
        return {{"error", ask.error().message}};
    }
    return facts(*ask);
}

Value facts_of_name(const std::string& name) {
    return {{"model", name}};
}

Value facts_of_load(const LoadAsk& ask) {
    constexpr const char* kBackends[] = {"any", "cpu", "gpu", "npu"};
    Value out = {{"model", ask.model}};
    if (ask.context_tokens) {
        out["context"] = *ask.context_tokens;
    }
    if (ask.backend != Backend::any) {
        out["backend"] = kBackends[static_cast<int>(ask.backend)];
        out["backend_field"] = ask.backend_field;
    }
    if (ask.pinned) {
        out["pinned"] = *ask.pinned;
    }
    put(out, "ignored", ask.ignored, {});
    return out;
}

Value facts_of_pull(const PullAsk& ask) {
    Value out = {{"model", ask.model}};
    put(out, "checkpoint", ask.checkpoint, {});
    put(out, "stream", ask.stream, false);
    put(out, "subscribe", ask.subscribe, true);
    put(out, "ignored", ask.ignored, {});
    return out;
}

Value facts_of_backend(const BackendAsk& ask) {
    Value out = {{"recipe", ask.recipe}};
    put(out, "backend", ask.backend, {});
    put(out, "stream", ask.stream, false);
    return out;
}

Value facts_of_download(const DownloadAsk& ask) {
    constexpr const char* kActions[] = {"pause", "cancel", "remove"};
    return {{"id", ask.id}, {"action", kActions[static_cast<int>(ask.action)]}};
}

Value read(const std::string& kind, std::string_view body) {
    if (kind == "name") {
        return facts_or_error(read_model_name(body), facts_of_name);
    }
    if (kind == "unload") {
        return facts_or_error(read_unload_ask(body), facts_of_name);
    }
    if (kind == "load") {
        return facts_or_error(read_load_ask(body), facts_of_load);
    }
    if (kind == "pull") {
        return facts_or_error(read_pull_ask(body), facts_of_pull);
    }
    if (kind == "backend") {
        return facts_or_error(read_backend_ask(body), facts_of_backend);
    }
    if (kind == "download") {
        return facts_or_error(read_download_ask(body), facts_of_download);
    }
    return {{"error", "there is no reader " + kind}};
}

// What is to be written about.

job::Abilities abilities_of(const Value& names) {
    job::Abilities able;
    const std::map<std::string, bool job::Abilities::*> known = {
        {"chat", &job::Abilities::chat},
        {"complete", &job::Abilities::complete},
        {"tools", &job::Abilities::tools},
        {"vision", &job::Abilities::vision},
        {"hearing", &job::Abilities::hearing},
        {"thinking", &job::Abilities::thinking},
        {"embed", &job::Abilities::embed},
        {"rerank", &job::Abilities::rerank},
        {"speak", &job::Abilities::speak},
        {"draw", &job::Abilities::draw},
        {"transcribe", &job::Abilities::transcribe}};
    for (const Value& name : names) {
        able.*known.at(name.get<std::string>()) = true;
    }
    return able;
}

Offered offered_of(const Value& facts) {
    Offered out;
    out.card.id = facts.value("id", "m");
    out.name = facts.value("name", out.card.id);
    out.card.bytes = facts.value("bytes", std::uint64_t{0});
    out.card.context_tokens = facts.value("card_context", 0U);
    out.card.created_unix_s = facts.value("created", std::int64_t{0});
    out.card.abilities = abilities_of(facts.value("able", Value::array({"chat"})));
    out.recipe = facts.value("recipe", "llamacpp");
    out.checkpoint = facts.value("checkpoint", "");
    out.context_max_tokens = facts.value("context_max", 0U);
    out.context_tokens = facts.value("context", 0U);
    return out;
}

Loaded loaded_of(const Value& facts) {
    Loaded out;
    out.offered = offered_of(facts);
    out.silicon = facts.value("silicon", "cpu");
    out.lane = facts.value("lane", "cpu");
    out.last_use_unix_s = facts.value("last_use", 0.0);
    out.pinned = facts.value("pinned", false);
    out.busy = facts.value("busy", false);
    return out;
}

Stats stats_of(const Value& facts) {
    Stats out;
    if (facts.contains("last")) {
        const Value& last = facts["last"];
        out.last = Stats::Last{last.value("first_token_s", 0.0), last.value("prompt", 0U),
                               last.value("cached", 0U), last.value("output", 0U),
                               last.value("output_ms", 0.0)};
    }
    out.requests_total = facts.value("requests", 0U);
    out.prompt_tokens_total = facts.value("prompt", 0U);
    out.cached_tokens_total = facts.value("cached", 0U);
    out.output_tokens_total = facts.value("output", 0U);
    return out;
}

Graphics graphics_of(const Value& facts) {
    Graphics out;
    out.name = facts.value("name", "");
    out.family = facts.value("family", "");
    out.driver = facts.value("driver", "");
    out.amd = facts.value("vendor", "") == "amd";
    out.nvidia = facts.value("vendor", "") == "nvidia";
    out.integrated = facts.value("integrated", false);
    out.usable = facts.value("usable", false);
    out.vram_bytes = facts.value("vram", std::uint64_t{0});
    out.shared_bytes = facts.value("shared", std::uint64_t{0});
    return out;
}

System system_of_facts(const Value& facts) {
    System out;
    out.os = facts.value("os", "");
    out.product = facts.value("product", "");
    out.processor = facts.value("processor", "");
    out.cores = facts.value("cores", 1U);
    out.threads = facts.value("threads", 1U);
    out.memory_bytes = facts.value("memory", std::uint64_t{0});
    out.server_version = facts.value("version", "");
    for (const Value& gpu : facts.value("gpus", Value::array())) {
        out.graphics.push_back(graphics_of(gpu));
    }
    if (facts.contains("npu")) {
        const Value& npu = facts["npu"];
        out.npu =
            System::Npu{npu.value("name", ""), npu.value("family", ""), npu.value("driver", ""),
                        npu.value("firmware", ""), npu.value("usable", false)};
    }
    if (facts.contains("disk")) {
        const Value& disk = facts["disk"];
        out.models_disk =
            System::Disk{disk.value("path", ""), disk.value("total", 0U), disk.value("free", 0U)};
    }
    for (const Value& recipe : facts.value("recipes", Value::array())) {
        RecipeState& state = out.recipes.emplace_back();
        state.name = recipe.value("name", "");
        state.preferred = recipe.value("preferred", "");
        for (const Value& backend : recipe.value("backends", Value::array())) {
            state.backends.push_back({backend.value("name", ""),
                                      backend.value("devices", std::vector<std::string>()),
                                      backend.value("state", ""), backend.value("message", ""),
                                      backend.value("action", ""), backend.value("version", "")});
        }
    }
    return out;
}

Progress progress_of(const Value& facts) {
    return {facts.value("file", ""), facts.value("index", 0U), facts.value("files", 0U),
            facts.value("done", std::uint64_t{0}), facts.value("total", std::uint64_t{0})};
}

Error error_of_facts(const Value& facts) {
    const std::map<std::string, Fault> faults = {
        {"invalid", Fault::invalid},     {"not_found", Fault::not_found},
        {"exhausted", Fault::exhausted}, {"unavailable", Fault::unavailable},
        {"timeout", Fault::timeout},     {"internal", Fault::internal},
        {"cancelled", Fault::cancelled}, {"corrupt", Fault::corrupt}};
    return {faults.at(facts.value("fault", "invalid")), facts.value("message", "")};
}

std::string write_listing(const std::string& kind, const Value& facts) {
    if (kind == "models") {
        std::vector<Offered> models;
        std::ranges::transform(facts, std::back_inserter(models), offered_of);
        return models_body(models);
    }
    if (kind == "model") {
        return model_body(offered_of(facts));
    }
    if (kind == "options") {
        return options_body(offered_of(facts));
    }
    if (kind == "health") {
        Health health{facts.value("version", "9.9"),
                      facts.value("port", std::uint16_t{1}),
                      facts.value("base_url", "http://h:1"),
                      {}};
        std::ranges::transform(facts.value("loaded", Value::array()),
                               std::back_inserter(health.loaded), loaded_of);
        return health_body(health);
    }
    if (kind == "stats") {
        return stats_body(stats_of(facts));
    }
    if (kind == "system_info") {
        return system_info_body(system_of_facts(facts));
    }
    if (kind == "system_stats") {
        Usage usage;
        if (!facts.empty()) {
            usage = {facts.value("memory", std::uint64_t{0}), facts.value("gpu", 0.0),
                     facts.value("vram", std::uint64_t{0})};
        }
        return system_stats_body(usage);
    }
    if (kind == "files") {
        const ModelFile files[] = {{"/models/a.gguf", "main", 5}, {"/models/p.gguf", "mmproj", {}}};
        return files_body("m", files, facts.value("paths", false));
    }
    if (kind == "variants") {
        std::vector<Choice> choices;
        for (const Value& one : facts.value("choices", Value::array())) {
            choices.push_back({one.value("name", ""),
                               one.value("files", std::vector<std::string>()),
                               one.value("bytes", std::uint64_t{0})});
        }
        return variants_body(facts.value("repository", ""), choices,
                             facts.value("projectors", std::vector<std::string>()));
    }
    const std::pair<std::string, bool> slots[] = {{"m", true}, {"m", false}};
    return kind == "slots" ? slots_body(slots) : "";
}

std::string write(const std::string& kind, const Value& facts) {
    if (kind == "done") {
        return success_body(facts.value("message", ""), facts.value("model", ""),
                            facts.value("ignored", std::vector<std::string>()));
    }
    if (kind == "progress") {
        return progress_event(progress_of(facts));
    }
    if (kind == "complete") {
        return complete_event(progress_of(facts));
    }
    if (kind == "failed") {
        return error_event(error_of_facts(facts));
    }
    if (kind == "downloads") {
        std::vector<Download> all;
        for (const Value& one : facts) {
            all.push_back({one.value("model", ""), one.value("status", ""),
                           one.value("running", false), progress_of(one), one.value("error", "")});
        }
        return downloads_body(all);
    }
    if (kind == "error") {
        return error_body(error_of_facts(facts));
    }
    if (kind == "missing") {
        return error_body(no_such_model("x", error_of_facts(facts)));
    }
    if (kind == "not_loaded") {
        return error_body(not_loaded("x"));
    }
    if (kind == "status") {
        return status_body(facts.value("status", 0U), facts.value("message", ""));
    }
    return write_listing(kind, facts);
}

class LemonadeWire : public ::testing::TestWithParam<WireCase> {};

TEST_P(LemonadeWire, Case) {
    const Value& data = GetParam().data;
    ASSERT_TRUE(data.is_object()) << "the file is no array of cases";
    const Value& expected = data["expected"];
    if (data.contains("read")) {
        const Value& request = data["request"];
        const Value got =
            read(data["read"].get<std::string>(),
                 request.is_string() ? request.get<std::string>() : json::dump(request));
        if (expected.contains("error")) {
            ASSERT_TRUE(got.contains("error")) << got;
            EXPECT_NE(got["error"].get<std::string>().find(expected["error"].get<std::string>()),
                      std::string::npos)
                << got;
        } else {
            EXPECT_EQ(got, expected);
        }
        return;
    }
    const std::string text = write(data["write"].get<std::string>(), data.value("facts", Value()));
    if (expected.is_string()) {
        EXPECT_EQ(text, expected.get<std::string>());
        return;
    }
    const auto got = json::parse(text);
    ASSERT_TRUE(got) << text;
    EXPECT_EQ(*got, expected);
}

INSTANTIATE_TEST_SUITE_P(Files, LemonadeWire, ::testing::ValuesIn(wire_cases()),
                         [](const auto& test) { return test.param.id; });

}  // namespace
}  // namespace trilane::dialect::lemonade
