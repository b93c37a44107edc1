#include "lane/llama_server/command.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "lane/child/child_lane.h"

namespace trilane::lane::llama_server {
namespace {

constexpr std::string_view kUseModel = "name the model in the request or the catalogue";
constexpr std::string_view kUseContext = "use the model's `context`";
constexpr std::string_view kUseParallel = "use the model's `parallel`";
constexpr std::string_view kUseKv = "use the model's `kv`";
constexpr std::string_view kUseDevice = "use the lane's `engine_device`";
constexpr std::string_view kUseCache = "use the lane's `prompt_cache`";
constexpr std::string_view kByPurpose = "it follows from what the model is for";

constexpr std::array<Reserved, 46> kReserved{{
    {"--host", kRemove},
    {"--port", kRemove},
    {"--api-prefix", kRemove},
    {"--api-key", kRemove},
    {"--api-key-file", kRemove},
    {"--ssl-key-file", kRemove},
    {"--ssl-cert-file", kRemove},
    {"--reuse-port", kRemove},
    {"--sleep-idle-seconds", "use the model's `keep_warm`"},
    {"--help", kRemove},
    {"--version", kRemove},
    {"--list-devices", kRemove},
    {"-m", kUseModel},
    {"--model", kUseModel},
    {"-mu", kUseModel},
    {"--model-url", kUseModel},
    {"-hf", kUseModel},
    {"-hfr", kUseModel},
    {"--hf-repo", kUseModel},
    {"-hff", kUseModel},
    {"--hf-file", kUseModel},
    {"--models-dir", kUseModel},
    {"--models-preset", kUseModel},
    {"--models-max", kUseModel},
    {"-a", kUseModel},
    {"--alias", kUseModel},
    {"-mm", kUseModel},
    {"--mmproj", kUseModel},
    {"-c", kUseContext},
    {"--ctx-size", kUseContext},
    {"-np", kUseParallel},
    {"--parallel", kUseParallel},
    {"-kvu", kUseParallel},
    {"--kv-unified", kUseParallel},
    {"-ctk", kUseKv},
    {"--cache-type-k", kUseKv},
    {"-ctv", kUseKv},
    {"--cache-type-v", kUseKv},
    {"-dev", kUseDevice},
    {"--device", kUseDevice},
    {"-cram", kUseCache},
    {"--cache-ram", kUseCache},
    {"--embedding", kByPurpose},
    {"--embeddings", kByPurpose},
    {"--reranking", kByPurpose},
    {"--rerank", kByPurpose},
}};

/// More than any model has: all of them. Newer versions also take "all".
constexpr std::string_view kAllLayers = "999";
/// Between two pieces of a client's request or answer; ours is the longer breath.
constexpr std::string_view kTimeoutSeconds = "3600";

void set_device(Arguments& line, const Command& command, const HelpText& help) {
    line.set({"--n-gpu-layers", "--gpu-layers", "-ngl"}, command.on_gpu ? kAllLayers : "0");
    if (!command.on_gpu) {
        line.set({"--device", "-dev"}, "none");
        return;
    }
    if (!command.engine_device.empty()) {
        line.set({"--device", "-dev"}, command.engine_device);
    }
    // A GPU has its own copy; mapping the file as well would hold the model in memory twice.
    if (help.knows("--load-mode")) {
        line.set({"--load-mode"}, "none");
    } else {
        line.set({"--no-mmap"});
    }
}

void set_cache(Arguments& line, const Command& command, const HelpText& help) {
    // An older version has it as a switch.
    line.set({"--flash-attn", "-fa"}, help.takes_value("--flash-attn") ? "on" : "");
    if (command.kv != plan::KvType::f16) {
        const std::string_view type = command.kv == plan::KvType::q8_0 ? "q8_0" : "q4_0";
        line.set({"--cache-type-k", "-ctk"}, type);
        line.set({"--cache-type-v", "-ctv"}, type);
    }
    line.set({"--cache-ram", "-cram"}, std::to_string(command.prompt_cache_bytes >> 20U));
    line.set({"--ctx-checkpoints", "--swa-checkpoints"}, std::to_string(kContextCheckpoints));
    line.set({"--fit", "-fit"}, "off");  // the plan has fitted it
}

void set_purpose(Arguments& line, const Command& command) {
    const catalog::Purpose purpose = command.entry.purpose;
    if (purpose == catalog::Purpose::embed || purpose == catalog::Purpose::rerank) {
        // A pooled input must fit into one step.
        const std::string tokens = std::to_string(command.context_tokens);
        line.set({"--batch-size", "-b"}, tokens);
        line.set({"--ubatch-size", "-ub"}, tokens);
    }
    if (purpose == catalog::Purpose::embed) {
        line.set({"--embedding", "--embeddings"});
    } else if (purpose == catalog::Purpose::rerank) {
        line.set({"--reranking", "--rerank"});
    } else {
        line.set({"--jinja"});
        if (!command.entry.projector_path.empty()) {
            line.set({"--mmproj", "-mm"}, command.entry.projector_path);
        }
    }
}

}  // namespace

std::span<const Reserved> reserved_options() {
    return kReserved;
}

std::vector<std::string> arguments(const Command& command, const HelpText& help) {
    Arguments line(help, command.user_args);
    const std::uint64_t context =
        std::uint64_t{command.context_tokens} * std::max(command.parallel, 1U);
    line.add("--host").add(std::string(kChildHost));
    line.add("--port").add(std::to_string(command.port));
    line.add("--model").add(command.entry.path);
    line.set({"--alias", "-a"}, command.entry.id);
    line.set({"--ctx-size", "-c"}, std::to_string(context));
    line.set({"--parallel", "-np"}, std::to_string(std::max(command.parallel, 1U)));
    line.set({"--no-kv-unified", "-no-kvu"});
    set_device(line, command, help);
    set_cache(line, command, help);
    set_purpose(line, command);
    line.set({"--metrics"});
    line.set({"--slots"});
    line.set({"--no-ui", "--no-webui"});
    line.set({"--offline"});
    line.set({"--timeout", "-to"}, kTimeoutSeconds);
    return std::move(line).finish();
}

}  // namespace trilane::lane::llama_server
