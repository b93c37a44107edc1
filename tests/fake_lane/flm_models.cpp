#include "flm_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "json/json.h"

namespace trilane::fake_lane {
namespace {

namespace fs = std::filesystem;

constexpr FlmModel kModels[] = {
    {"llama3.2:1b", 1.3, 131072, ""},
    {"llama3.2:3b", 2.7, 65536, ""},
    {"llama3.1:8b", 5.4, 16384, ""},
    {"qwen3:0.6b", 0.66, 32768, "reasoning tool-calling"},
    {"qwen3:1.7b", 1.6, 32768, "reasoning tool-calling"},
    {"qwen3:4b", 3.1, 32768, "reasoning tool-calling"},
    {"qwen3:8b", 5.6, 16384, "reasoning tool-calling"},
    {"gemma3:1b", 1.2, 32768, ""},
    {"gemma3:4b", 4.5, 65536, "vision"},
    {"gemma4-it:e2b", 6.0, 32768, "vision audio reasoning tool-calling"},
    {"gemma4-it:e4b", 9.1, 32768, "vision audio reasoning tool-calling"},
    {"qwen3.6-moe:35b-a3b", 22.1, 32768, "reasoning tool-calling"},
    {"gpt-oss:20b", 14.0, 8192, "reasoning tool-calling"},
    {"lfm2:1.2b", 0.96, 32768, "tool-calling"},
    {"phi4-mini-it:4b", 3.4, 32768, ""},
    {"hy-mt2:1.8b", 1.4, 512, "translation"},
    {"embed-gemma:300m", 0.62, 2048, "embeddings", FlmModel::Kind::embedding},
    {"whisper-v3:turbo", 0.62, 448, "audio transcription", FlmModel::Kind::transcription},
};

constexpr std::string_view kVerbs[] = {"run",  "serve", "pull",    "remove", "check",   "list",
                                       "help", "bench", "version", "port",   "validate"};

/// Flags by name; `value` tells whether one follows.
struct FlmFlag {
    std::string_view name;
    std::string_view brief;
    bool value;
};
constexpr FlmFlag kFlmFlags[] = {
    {"--host", "", true},
    {"--port", "-p", true},
    {"--ctx-len", "-c", true},
    {"--prefill-chunk-len", "", true},
    {"--pmode", "", true},
    {"--asr", "-a", true},
    {"--embed", "-e", true},
    {"--socket", "-s", true},
    {"--q-len", "-q", true},
    {"--cors", "", true},
    {"--img-pre-resize", "-r", true},
    {"--preemption", "", true},
    {"--quiet", "", false},
    {"--json", "-j", false},
    {"--filter", "", true},
    {"--force", "", false},
    {"--help", "-h", false},
    {"--version", "-v", false},
};

std::string_view flm_environment(const char* name) {
    // One thread reads it, before any other is started, or nobody writes it.
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    return value == nullptr ? std::string_view() : value;
}

std::string_view family(std::string_view tag) {
    return tag.substr(0, tag.find(':'));
}
std::string_view size_of(std::string_view tag) {
    return tag.substr(tag.find(':') + 1);
}

std::optional<fs::path> store_path(const FlmModel& model) {
    const std::string_view root = flm_environment("FLM_MODEL_PATH");
    if (root.empty()) {
        return std::nullopt;
    }
    std::string name(model.tag);
    std::replace(name.begin(), name.end(), ':', '-');
    return fs::path(root) / "models" / (name + "-NPU2");
}

json::Value labels_of(const FlmModel& model) {
    json::Value labels = json::Value::array();
    std::string_view rest = model.labels;
    while (!rest.empty()) {
        const std::size_t space = std::min(rest.find(' '), rest.size());
        labels.push_back(rest.substr(0, space));
        rest.remove_prefix(std::min(space + 1, rest.size()));
    }
    return labels;
}

json::Value record_of(const FlmModel& model, const Script& script) {
    return {{"name", model.tag},
            {"model", model.tag},
            {"url", fmt::format("https://huggingface.co/FastFlowLM/{}-NPU2", family(model.tag))},
            {"size", static_cast<std::int64_t>(model.footprint_gb * 1e9)},
            {"flm_min_version", "0.9.4"},
            {"default_context_length", model.context_tokens},
            {"max_prefill_len", 4096},
            {"files", {"config.json", "model.q4nx", "tokenizer.json", "tokenizer_config.json"}},
            {"vlm", model.labels.find("vision") != std::string_view::npos},
            {"asr", model.kind == FlmModel::Kind::transcription},
            {"details", flm_details(model)},
            {"label", labels_of(model)},
            {"footprint", model.footprint_gb},
            {"installed", is_installed(model, script)}};
}

int print_list(const FlmFlags& flags, const Script& script) {
    json::Value models = json::Value::array();
    for (const FlmModel& model : kModels) {
        const bool installed = is_installed(model, script);
        if (flags.filter == "all" || (flags.filter == "installed") == installed) {
            models.push_back(record_of(model, script));
        }
    }
    if (flags.json) {
        fmt::print("{}\n", json::dump_pretty({{"models", models}}));
        return 0;
    }
    fmt::print("Models:\n");
    for (const json::Value& model : models) {
        fmt::print("  - {} {}\n", model["name"].get<std::string>(),
                   model["installed"].get<bool>() ? "[installed]" : "");
    }
    return 0;
}

json::Value validation(const Script& script) {
    const bool old_kernel = script.npu == "old_kernel";
    json::Value report = {{"object", "npu_stack_validation"},
                          {"platform", "linux"},
                          {"kernel", old_kernel ? "6.8.0" : "7.0.3"},
                          {"kernel_ok", !old_kernel}};
    if (old_kernel) {
        report["ready"] = false;
        return report;
    }
    const bool found = script.npu != "no_device";
    const bool firmware_ok = script.npu != "old_firmware";
    const bool memlock_ok = script.npu != "memlock";
    report["drm_version"] = "0.8";
    report["amd_device_found"] = found;
    report["all_fw_ok"] = found && firmware_ok;
    report["enough_cols"] = found;
    report["memlock_limit"] = memlock_ok ? "infinity" : "8388608";
    report["memlock_ok"] = memlock_ok;
    report["devices"] = json::Value::array();
    if (found) {
        report["devices"].push_back({{"device", "/dev/accel/accel0"},
                                     {"fw_major", firmware_ok ? 1 : 0},
                                     {"fw_minor", 1},
                                     {"fw_patch", 2},
                                     {"fw_build", 65},
                                     {"fw_ok", firmware_ok},
                                     {"cols", 8}});
    }
    report["ready"] = found && firmware_ok && memlock_ok;
    return report;
}

int print_validation(const FlmFlags& flags, const Script& script) {
    const json::Value report = validation(script);
    if (flags.json) {
        fmt::print("{}\n", json::dump_pretty(report));
    } else if (report.contains("devices") && !report["devices"].empty()) {
        fmt::print("[Linux]  NPU: /dev/accel/accel0 with 8 columns\n");
    } else {
        fmt::print(stderr, "[ERROR]  No NPU device found.\n");
    }
    return report["ready"].get<bool>() ? 0 : 1;
}

int print_help(const std::vector<std::string>& without) {
    fmt::print("Usage: flm <command> [model_tag] [options]\nCommands:\n");
    for (const std::string_view verb : kVerbs) {
        fmt::print("  {}\n", verb);
    }
    fmt::print("Options:\n");
    for (const FlmFlag& flag : kFlmFlags) {
        if (std::find(without.begin(), without.end(), flag.name) == without.end()) {
            fmt::print("  {}{}{}{} see the documentation\n", flag.brief,
                       flag.brief.empty() ? "" : " [ ", flag.name, flag.brief.empty() ? "" : " ]");
        }
    }
    return 0;
}

/// Takes load_ms; fails with fail_load.
int pull(const FlmFlags& flags, const Script& script) {
    const FlmModel* model = find_flm_model(flags.tag);
    if (model == nullptr) {
        fmt::print(stderr, "[ERROR]  Model not found: {}\n", flags.tag);
        return 1;
    }
    fmt::print("[FLM]  Downloading {}\n", model->tag);
    std::fflush(stdout);
    std::this_thread::sleep_for(ms(script.load_ms));
    if (!script.fail_load.empty()) {
        fmt::print(stderr, "[ERROR]  {}\n", script.fail_load);
        return 1;
    }
    install(*model);
    fmt::print("[FLM]  Downloaded {}\n", model->tag);
    return 0;
}

int remove(const FlmFlags& flags) {
    const FlmModel* model = find_flm_model(flags.tag);
    const std::optional<fs::path> path = model == nullptr ? std::nullopt : store_path(*model);
    std::error_code error;
    return path && fs::remove_all(*path, error) > 0 ? 0 : 1;
}

Result<std::int64_t> flm_count_of(std::string_view text) {
    std::int64_t count = 0;
    const char* end = text.data() + text.size();
    if (std::from_chars(text.data(), end, count).ptr != end || text.empty()) {
        return fail(Fault::invalid, "the argument ('{}') for option is invalid", text);
    }
    return count;
}

Status set_flag(FlmFlags& flags, std::string_view name, const std::string& value) {
    if (name == "--host") {
        flags.address.host = value;
    } else if (name == "--port") {
        TRILANE_TRY(flags.address.port, port_of(value));
    } else if (name == "--ctx-len") {
        TRILANE_TRY(const std::int64_t count, flm_count_of(value));
        flags.context_tokens = count < 0 ? -1 : std::max<std::int64_t>(512, count);
    } else if (name == "--asr") {
        flags.asr = value != "0";
    } else if (name == "--embed") {
        flags.embed = value != "0";
    } else if (name == "--cors") {
        flags.cors = value != "0";
    } else if (name == "--socket") {
        TRILANE_TRY(flags.sockets, flm_count_of(value));
    } else if (name == "--q-len") {
        TRILANE_TRY(flags.queue_length, flm_count_of(value));
    } else if (name == "--filter") {
        flags.filter = value;
    }
    return {};
}

void set_switch(FlmFlags& flags, std::string_view name) {
    flags.json = flags.json || name == "--json";
    flags.quiet = flags.quiet || name == "--quiet";
    if (name == "--help") {
        flags.verb = "help";
    } else if (name == "--version") {
        flags.verb = "version";
    }
}

}  // namespace

std::span<const FlmModel> flm_models() {
    return kModels;
}

const FlmModel* find_flm_model(std::string_view tag) {
    tag = tag.substr(tag.rfind('/') + 1);
    for (const FlmModel& model : kModels) {
        if (model.tag == tag || (tag == family(model.tag) && tag != model.tag)) {
            return &model;
        }
    }
    return nullptr;
}

json::Value flm_details(const FlmModel& model) {
    const bool thinks = model.labels.find("reasoning") != std::string_view::npos;
    return {{"format", "NPU2"},
            {"family", family(model.tag)},
            {"think", thinks},
            {"think_toggleable", thinks},
            {"parameter_size", size_of(model.tag)},
            {"quantization_level", "Q4_1"}};
}

bool is_installed(const FlmModel& model, const Script& script) {
    if (std::find(script.installed.begin(), script.installed.end(), model.tag) !=
        script.installed.end()) {
        return true;
    }
    const std::optional<fs::path> path = store_path(model);
    std::error_code error;
    return path && fs::exists(*path / "config.json", error);
}

void install(const FlmModel& model) {
    if (const std::optional<fs::path> path = store_path(model)) {
        std::error_code error;
        fs::create_directories(*path, error);
        std::ofstream(*path / "config.json") << "{}\n";
    }
}

Result<FlmFlags> read_flm_flags(const std::vector<std::string>& arguments,
                                const std::vector<std::string>& without) {
    FlmFlags flags;
    const std::string_view port = flm_environment("FLM_SERVE_PORT");
    if (!port.empty()) {
        TRILANE_TRY(flags.address.port, port_of(port));
    }
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& given = arguments[i];
        if (!given.starts_with("-")) {
            (flags.verb.empty() ? flags.verb : flags.tag) = given;
            continue;
        }
        const FlmFlag* flag =
            std::find_if(std::begin(kFlmFlags), std::end(kFlmFlags), [&](const FlmFlag& each) {
                return each.name == given || (!each.brief.empty() && each.brief == given);
            });
        if (flag == std::end(kFlmFlags) ||
            std::find(without.begin(), without.end(), flag->name) != without.end()) {
            return fail(Fault::invalid, "unrecognised option '{}'", given);
        }
        if (!flag->value) {
            set_switch(flags, flag->name);
            continue;
        }
        if (i + 1 == arguments.size()) {
            return fail(Fault::invalid, "the required argument for option '{}' is missing", given);
        }
        TRILANE_TRY_STATUS(set_flag(flags, flag->name, arguments[++i]));
    }
    if (std::find(std::begin(kVerbs), std::end(kVerbs), flags.verb) == std::end(kVerbs)) {
        return fail(Fault::invalid, "Invalid command: '{}'", flags.verb);
    }
    return flags;
}

std::optional<int> flm_verb(const std::vector<std::string>& arguments, const Script& script) {
    const Result<FlmFlags> flags = read_flm_flags(arguments, script.without_flags);
    if (!flags || flags->verb == "serve") {
        return std::nullopt;
    }
    if (flags->verb == "help") {
        return print_help(script.without_flags);
    }
    if (flags->verb == "version") {
        const std::string version = script.version.empty() ? "0.9.45" : script.version;
        const std::string as_json = fmt::format("{{\"version\":\"{}\"}}", version);
        fmt::print("{}\n", flags->json ? as_json : "FLM v" + version);
        return 0;
    }
    if (flags->verb == "port") {
        const std::string port = std::to_string(flags->address.port);
        fmt::print("{}\n", flags->json ? fmt::format("{{\"port\":{}}}", port) : port);
        return 0;
    }
    if (flags->verb == "list") {
        return print_list(*flags, script);
    }
    if (flags->verb == "validate") {
        return print_validation(*flags, script);
    }
    if (flags->verb == "pull") {
        return pull(*flags, script);
    }
    if (flags->verb == "remove") {
        return remove(*flags);
    }
    if (flags->verb == "check") {
        const FlmModel* model = find_flm_model(flags->tag);
        return model != nullptr && is_installed(*model, script) ? 0 : 1;
    }
    fmt::print(stderr, "[ERROR]  the fake has no '{}'\n", flags->verb);
    return 1;
}

}  // namespace trilane::fake_lane
