#include "llama_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace trilane::fake_lane {
namespace {

/// One flag: its names, and what its value is called ("" = takes none).
struct LlamaFlag {
    std::string_view names;  ///< separated by spaces
    std::string_view value;
};

constexpr LlamaFlag kLlamaFlags[] = {
    {"-h --help --usage", ""},
    {"--version", ""},
    {"--list-devices", ""},
    {"-m --model", "FNAME"},
    {"-hf --hf-repo", "USER/MODEL"},
    {"-a --alias", "STRING"},
    {"--host", "HOST"},
    {"--port", "PORT"},
    {"-c --ctx-size", "N"},
    {"-np --parallel", "N"},
    {"-n --predict --n-predict", "N"},
    {"-kvu --kv-unified", ""},
    {"-no-kvu --no-kv-unified", ""},
    {"--kv-unified-per-slot", ""},
    {"-ngl --gpu-layers --n-gpu-layers", "N"},
    {"-dev --device", "DEVICES"},
    {"-sm --split-mode", "MODE"},
    {"-ts --tensor-split", "N0,N1"},
    {"-mg --main-gpu", "INDEX"},
    {"-fa --flash-attn", "on|off|auto"},
    {"-fit --fit", "on|off"},
    {"-fitt --fit-target", "MiB"},
    {"-fitc --fit-ctx", "N"},
    {"--load-mode", "MODE"},
    {"--no-mmap", ""},
    {"--mmap", ""},
    {"--mlock", ""},
    {"-dio --direct-io", ""},
    {"-b --batch-size", "N"},
    {"-ub --ubatch-size", "N"},
    {"-cb --cont-batching", ""},
    {"-ctk --cache-type-k", "TYPE"},
    {"-ctv --cache-type-v", "TYPE"},
    {"-t --threads", "N"},
    {"-tb --threads-batch", "N"},
    {"--prio", "N"},
    {"--numa", "TYPE"},
    {"-cmoe --cpu-moe", ""},
    {"-ncmoe --n-cpu-moe", "N"},
    {"-ot --override-tensor", "PATTERN"},
    {"--override-kv", "KEY=TYPE:VALUE"},
    {"-nkvo --no-kv-offload", ""},
    {"--jinja", ""},
    {"--no-jinja", ""},
    {"--chat-template", "TEMPLATE"},
    {"--chat-template-file", "FILE"},
    {"--chat-template-kwargs", "JSON"},
    {"--reasoning-format", "FORMAT"},
    {"--reasoning-budget", "N"},
    {"--metrics", ""},
    {"--slots", ""},
    {"--no-slots", ""},
    {"--props", ""},
    {"--slot-save-path", "PATH"},
    {"-sps --slot-prompt-similarity", "N"},
    {"--ui --webui", ""},
    {"--no-ui --no-webui", ""},
    {"--sleep-idle-seconds", "N"},
    {"-cram --cache-ram", "N"},
    {"--cache-reuse", "N"},
    {"--ctx-checkpoints --swa-checkpoints", "N"},
    {"--swa-full", ""},
    {"-to --timeout", "N"},
    {"--sse-ping-interval", "N"},
    {"--threads-http", "N"},
    {"--offline", ""},
    {"--log-jsonl", ""},
    {"--log-disable", ""},
    {"--log-file", "FNAME"},
    {"--log-colors", "on|off|auto"},
    {"--log-prefix", ""},
    {"--log-timestamps", ""},
    {"-v --verbose", ""},
    {"-lv --verbosity", "N"},
    {"--no-warmup", ""},
    {"--warmup", ""},
    {"--api-key", "KEY"},
    {"--api-key-file", "FNAME"},
    {"--ssl-key-file", "FNAME"},
    {"--ssl-cert-file", "FNAME"},
    {"--embedding --embeddings", ""},
    {"--pooling", "TYPE"},
    {"--reranking --rerank", ""},
    {"-mm --mmproj", "FILE"},
    {"--mmproj-url", "URL"},
    {"--no-mmproj", ""},
    {"--no-mmproj-offload", ""},
    {"--image-min-tokens", "N"},
    {"--image-max-tokens", "N"},
    {"-md --model-draft", "FNAME"},
    {"-ngld --gpu-layers-draft", "N"},
    {"-devd --device-draft", "DEVICES"},
    {"--spec-type", "TYPE"},
    {"--spec-draft-n-max", "N"},
    {"--rope-scaling", "TYPE"},
    {"--rope-scale", "N"},
    {"--rope-freq-base", "N"},
    {"--yarn-orig-ctx", "N"},
    {"--lora", "FNAME"},
    {"--seed", "N"},
    {"--temp", "N"},
    {"--top-k", "N"},
    {"--top-p", "N"},
    {"--min-p", "N"},
    {"--repeat-penalty", "N"},
    {"--presence-penalty", "N"},
    {"--frequency-penalty", "N"},
    {"--models-dir", "PATH"},
    {"--models-max", "N"},
};

/// Calls `each` with every name of a flag.
template <class Each>
void for_names(const LlamaFlag& flag, Each each) {
    std::string_view names = flag.names;
    while (!names.empty()) {
        const std::size_t space = std::min(names.find(' '), names.size());
        each(names.substr(0, space));
        names.remove_prefix(std::min(space + 1, names.size()));
    }
}

bool is_left_out(const LlamaFlag& flag, const std::vector<std::string>& without) {
    bool left_out = false;
    for_names(flag, [&](std::string_view name) {
        left_out = left_out || std::find(without.begin(), without.end(), name) != without.end();
    });
    return left_out;
}

const LlamaFlag* find_flag(std::string_view wanted, const std::vector<std::string>& without) {
    for (const LlamaFlag& flag : kLlamaFlags) {
        bool found = false;
        for_names(flag, [&](std::string_view name) { found = found || name == wanted; });
        if (found && !is_left_out(flag, without)) {
            return &flag;
        }
    }
    return nullptr;
}

std::string_view long_name(const LlamaFlag& flag) {
    std::string_view longest;
    for_names(flag, [&](std::string_view name) {
        if (longest.empty() || (name.starts_with("--") && !longest.starts_with("--"))) {
            longest = name;
        }
    });
    return longest;
}

Result<std::int64_t> llama_count_of(std::string_view text) {
    std::int64_t count = 0;
    const char* end = text.data() + text.size();
    if (std::from_chars(text.data(), end, count).ptr != end || text.empty()) {
        return fail(Fault::invalid, "error while handling argument: \"{}\" is not a number", text);
    }
    return count;
}

void set_switch(LlamaFlags& flags, std::string_view name) {
    if (name == "--help") {
        flags.help = true;
    } else if (name == "--version") {
        flags.version = true;
    } else if (name == "--list-devices") {
        flags.list_devices = true;
    } else if (name == "--metrics") {
        flags.metrics = true;
    } else if (name == "--slots") {
        flags.slots_page = true;
    } else if (name == "--no-slots") {
        flags.slots_page = false;
    } else if (name == "--embedding") {
        flags.embedding = true;
    } else if (name == "--reranking") {
        flags.reranking = true;
    }
}

Status set_value(LlamaFlags& flags, std::string_view name, const std::string& value) {
    if (name == "--model" || name == "--hf-repo") {
        flags.model_path = value;
    } else if (name == "--alias") {
        flags.alias = value;
    } else if (name == "--host") {
        flags.address.host = value;
    } else if (name == "--api-key") {
        flags.api_key = value;
    } else if (name == "--port") {
        TRILANE_TRY(flags.address.port, port_of(value));
    } else if (name == "--ctx-size") {
        TRILANE_TRY(flags.context_tokens, llama_count_of(value));
    } else if (name == "--parallel") {
        TRILANE_TRY(flags.slots, llama_count_of(value));
    } else if (name == "--sse-ping-interval") {
        TRILANE_TRY(flags.sse_ping_s, llama_count_of(value));
    }
    return {};
}

}  // namespace

Result<LlamaFlags> read_llama_flags(const std::vector<std::string>& arguments,
                                    const std::vector<std::string>& without) {
    LlamaFlags flags;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        std::string_view given = arguments[i];
        const LlamaFlag* flag = find_flag(given, without);
        if (flag == nullptr) {
            return fail(Fault::invalid, "error: invalid argument: {}", given);
        }
        const std::string_view name = long_name(*flag);
        if (flag->value.empty()) {
            set_switch(flags, name);
            continue;
        }
        // -fa without a value is what older builds took.
        if (name == "--flash-attn" &&
            (i + 1 == arguments.size() || arguments[i + 1].starts_with("-"))) {
            continue;
        }
        if (i + 1 == arguments.size()) {
            return fail(Fault::invalid, "error while handling argument \"{}\": expected value",
                        given);
        }
        TRILANE_TRY_STATUS(set_value(flags, name, arguments[++i]));
    }
    if (flags.context_tokens == 0) {
        flags.context_tokens = kModelContextTokens;
    }
    return flags;
}

std::string llama_help(const std::vector<std::string>& without) {
    std::string text = "----- common params -----\n\n";
    for (const LlamaFlag& flag : kLlamaFlags) {
        if (is_left_out(flag, without)) {
            continue;
        }
        std::string line;
        for_names(flag, [&](std::string_view name) {
            line += line.empty() ? "" : ", ";
            line += name;
        });
        fmt::format_to(std::back_inserter(text), "{:<40} see the documentation\n",
                       line + (flag.value.empty() ? "" : " ") + std::string(flag.value));
    }
    return text;
}

}  // namespace trilane::fake_lane
