// Writes what Lemonade's clients are told of models and of the machine.
#include "dialect/lemonade/listings.h"

#include <algorithm>
#include <cmath>

#include "dialect/lemonade/lemonade.h"
#include "dialect/openai/openai.h"
#include "json/json.h"

namespace trilane::dialect::lemonade {
namespace {

using json::Value;

constexpr std::string_view kTypes[] = {"llm",   "embedding", "reranking",
                                       "image", "tts",       "transcription"};

/// GiB with two digits behind the point.
double gib_of(std::uint64_t bytes) {
    constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
    constexpr double kDigits = 100;
    return std::round(static_cast<double>(bytes) / kGib * kDigits) / kDigits;
}

template <class T>
Value nullable(const std::optional<T>& value) {
    return value ? Value(*value) : Value();
}

Value labels_of_abilities(const job::Abilities& able) {
    const std::pair<bool, std::string_view> named[] = {
        {able.chat || able.complete, "chat"},
        {able.embed && !able.chat, "embeddings"},
        {able.rerank && !able.chat, "reranking"},
        {able.transcribe, "transcription"},
        {able.speak, "tts"},
        {able.draw, "image"},
        {able.vision, "vision"},
        {able.hearing, "chat-transcription"},
        {able.thinking, "reasoning"},
        {able.tools, "tool-calling"},
    };
    Value out = Value::array();
    for (const auto& [can, name] : named) {
        if (can) {
            out.push_back(name);
        }
    }
    return out;
}

Value recipe_options(const Offered& model) {
    Value out = Value::object();
    if (model.context_tokens > 0) {
        out["ctx_size"] = model.context_tokens;
    }
    return out;
}

/// OpenAI's object of the model, and what Lemonade's clients read beside it.
Value offered_json(const Offered& model) {
    Value out = json::parse(openai::model_body(model.card)).value_or(Value::object());
    out["id"] = model.name;
    out["checkpoint"] = model.checkpoint.empty() ? model.card.id : model.checkpoint;
    out["recipe"] = model.recipe;
    if (model.card.bytes > 0) {
        out["size"] = gib_of(model.card.bytes);
    }
    if (model.context_max_tokens > 0) {
        out["max_context_window"] = model.context_max_tokens;
    }
    const std::uint32_t context =
        model.context_tokens > 0 ? model.context_tokens : model.card.context_tokens;
    if (context > 0) {
        out["context_length"] = context;
    }
    out["downloaded"] = true;  // others are not known here
    out["suggested"] = true;
    out["update_available"] = false;
    out["labels"] = labels_of_abilities(model.card.abilities);
    return out;
}

Value loaded_json(const Loaded& one, const std::string& base_url) {
    const Offered& model = one.offered;
    Value options = recipe_options(model);
    if (model.recipe == "llamacpp" && one.silicon == "cpu") {
        options["llamacpp_backend"] = "cpu";
    }
    Value out = {{"model_name", model.name},
                 {"checkpoint", model.checkpoint.empty() ? model.card.id : model.checkpoint},
                 {"last_use", one.last_use_unix_s},
                 {"type", type_of(model.card.abilities)},
                 {"device", one.silicon == "remote" ? "cloud" : one.silicon},
                 {"pinned", one.pinned},
                 {"is_busy", one.busy},
                 {"recipe", model.recipe},
                 {"recipe_options", std::move(options)},
                 {"backend_url", base_url + "/v1"},
                 {"lane", one.lane}};
    if (model.context_max_tokens > 0) {
        out["max_context_window"] = model.context_max_tokens;
    }
    return out;
}

Value graphics_json(const Graphics& gpu) {
    Value out = {{"name", gpu.name}, {"available", gpu.usable}};
    if (gpu.vram_bytes > 0) {
        out["vram_gb"] = gib_of(gpu.vram_bytes);
    }
    if (gpu.shared_bytes > 0) {
        out["virtual_mem_gb"] = gib_of(gpu.shared_bytes);
    }
    if (!gpu.family.empty()) {
        out["family"] = gpu.family;
    }
    if (!gpu.driver.empty()) {
        out["driver"] = gpu.driver;
    }
    return out;
}

/// All AMD GPUs stand together; older clients ask for integrated and discrete ones apart.
Value devices_json(const System& system) {
    Value out = {{"cpu",
                  {{"name", system.processor},
                   {"cores", system.cores},
                   {"threads", system.threads},
                   {"available", true},
                   {"family", "x86_64"}}}};
    for (const Graphics& gpu : system.graphics) {
        if (gpu.amd) {
            out["amd_gpu"].push_back(graphics_json(gpu));
            if (gpu.integrated) {
                out["amd_igpu"] = graphics_json(gpu);
            } else {
                out["amd_dgpu"].push_back(graphics_json(gpu));
            }
        } else if (gpu.nvidia) {
            out["nvidia_gpu"].push_back(graphics_json(gpu));
        } else {
            out["other_gpu"].push_back(graphics_json(gpu));
        }
    }
    if (system.npu) {
        Value& npu = out["amd_npu"];
        npu = {{"name", system.npu->name},
               {"family", system.npu->family},
               {"available", system.npu->usable}};
        if (!system.npu->driver_version.empty()) {
            npu["driver_version"] = system.npu->driver_version;
        }
        if (!system.npu->firmware_version.empty()) {
            npu["firmware_version"] = system.npu->firmware_version;
        }
    }
    return out;
}

Value recipes_json(std::span<const RecipeState> recipes) {
    Value out = Value::object();
    for (const RecipeState& recipe : recipes) {
        Value backends = Value::object();
        for (const BackendState& one : recipe.backends) {
            Value& backend = backends[one.name];
            backend = {{"devices", one.devices},
                       {"state", one.state},
                       {"message", one.message},
                       {"action", one.action}};
            if (!one.version.empty()) {
                backend["version"] = one.version;
            }
        }
        Value& described = out[recipe.name];
        if (!recipe.preferred.empty()) {
            described["default_backend"] = recipe.preferred;
        }
        described["backends"] = std::move(backends);
    }
    return out;
}

}  // namespace

std::string_view type_of(const job::Abilities& able) {
    if (able.chat || able.complete) {
        return "llm";
    }
    if (able.embed) {
        return "embedding";
    }
    if (able.rerank) {
        return "reranking";
    }
    if (able.transcribe) {
        return "transcription";
    }
    if (able.draw) {
        return "image";
    }
    return able.speak ? "tts" : "llm";
}

std::string models_body(std::span<const Offered> models) {
    Value data = Value::array();
    for (const Offered& model : models) {
        data.push_back(offered_json(model));
    }
    return json::dump({{"object", "list"}, {"data", std::move(data)}});
}

std::string model_body(const Offered& model) {
    Value out = offered_json(model);
    out["recipe_options"] = recipe_options(model);
    return json::dump(out);
}

std::string health_body(const Health& health) {
    Value loaded = Value::array();
    Value pinned = Value::object();
    Value most = Value::object();
    for (const std::string_view type : kTypes) {
        pinned[std::string(type)] = 0;
        most[std::string(type)] = -1;  // no number: memory decides
    }
    const Loaded* latest = nullptr;
    for (const Loaded& one : health.loaded) {
        loaded.push_back(loaded_json(one, health.base_url));
        if (one.pinned) {
            Value& count = pinned[std::string(type_of(one.offered.card.abilities))];
            count = count.get<int>() + 1;
        }
        if (latest == nullptr || one.last_use_unix_s > latest->last_use_unix_s) {
            latest = &one;
        }
    }
    Value out = {{"status", "ok"},
                 {"version", kApiVersion},
                 {"server_version", health.server_version},
                 {"model_loaded", latest == nullptr ? Value() : Value(latest->offered.name)},
                 {"checkpoint_loaded", Value()},
                 {"all_models_loaded", loaded},
                 {"pinned_models", std::move(pinned)},
                 {"max_models", std::move(most)},
                 {"websocket_port", health.port},
                 {"update_check_done", true}};
    if (latest != nullptr) {
        const Value& same = loaded[static_cast<std::size_t>(latest - health.loaded.data())];
        out["checkpoint_loaded"] = same["checkpoint"];
    }
    return json::dump(out);
}

std::string stats_body(const Stats& stats) {
    constexpr double kMsPerS = 1000;
    Value out = {{"time_to_first_token", Value()}, {"tokens_per_second", Value()},
                 {"input_tokens", Value()},        {"output_tokens", Value()},
                 {"prompt_tokens", Value()},       {"cache_tokens", Value()}};
    if (stats.last) {
        if (stats.last->first_token_s > 0) {
            out["time_to_first_token"] = stats.last->first_token_s;
        }
        if (stats.last->output_ms > 0) {
            out["tokens_per_second"] = stats.last->output_tokens * kMsPerS / stats.last->output_ms;
        }
        out["input_tokens"] = stats.last->prompt_tokens;
        out["output_tokens"] = stats.last->output_tokens;
        out["prompt_tokens"] = stats.last->prompt_tokens;
        out["cache_tokens"] = stats.last->cached_tokens;
    }
    const auto total = [&](std::uint64_t value) {
        return stats.has_totals ? Value(value) : Value();
    };
    out["request_count_total"] = total(stats.requests_total);
    out["input_tokens_total"] = total(stats.prompt_tokens_total);
    out["output_tokens_total"] = total(stats.output_tokens_total);
    out["prompt_tokens_total"] = total(stats.prompt_tokens_total);
    out["cache_tokens_total"] = total(stats.cached_tokens_total);
    return json::dump(out);
}

std::string system_info_body(const System& system) {
    Value out = {{"OS Version", system.os},
                 {"Processor", system.processor},
                 {"Physical Memory", fmt::format("{:.2f} GB", gib_of(system.memory_bytes))}};
    if (!system.product.empty()) {
        out["OEM System"] = system.product;
    }
    out["server_version"] = system.server_version;
    if (system.models_disk) {
        const System::Disk& disk = *system.models_disk;
        out["model_storage"] = {{"path", disk.path},
                                {"used_bytes", disk.total_bytes - disk.free_bytes},
                                {"total_bytes", disk.total_bytes},
                                {"free_bytes", disk.free_bytes}};
    }
    out["devices"] = devices_json(system);
    out["recipes"] = recipes_json(system.recipes);
    return json::dump(out);
}

std::string system_stats_body(const Usage& usage) {
    const auto gib = [](const std::optional<std::uint64_t>& bytes) {
        return bytes ? Value(gib_of(*bytes)) : Value();
    };
    return json::dump({{"cpu_percent", Value()},
                       {"memory_gb", gib(usage.memory_bytes)},
                       {"gpu_percent", nullable(usage.gpu_percent)},
                       {"vram_gb", gib(usage.vram_bytes)},
                       {"npu_percent", Value()}});
}

std::string files_body(std::string_view model, std::span<const ModelFile> files, bool with_paths) {
    Value list = Value::array();
    for (const ModelFile& file : files) {
        Value one = {{"name", file.path.substr(file.path.rfind('/') + 1)}};
        if (with_paths) {
            one["path"] = file.path;
        }
        one["role"] = file.role;
        one["size_bytes"] = file.bytes.value_or(0);
        one["exists"] = file.bytes.has_value();
        list.push_back(std::move(one));
    }
    return json::dump({{"model_id", model}, {"files", std::move(list)}});
}

std::string variants_body(std::string_view repository, std::span<const Choice> choices,
                          std::span<const std::string> projectors) {
    std::string lower(repository);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : static_cast<char>(c);
    });
    Value labels = Value::array();
    if (!projectors.empty()) {
        labels.push_back("vision");
    }
    if (lower.find("embed") != std::string::npos) {
        labels.push_back("embeddings");
    }
    if (lower.find("rerank") != std::string::npos) {
        labels.push_back("reranking");
    }
    Value list = Value::array();
    for (const Choice& one : choices) {
        list.push_back({{"name", one.name},
                        {"primary_file", one.files.empty() ? "" : one.files.front()},
                        {"files", one.files},
                        {"sharded", one.files.size() > 1},
                        {"size_bytes", one.bytes}});
    }
    return json::dump(
        {{"checkpoint", repository},
         {"recipe", "llamacpp"},
         {"suggested_name", repository.substr(repository.find('/') + 1)},
         {"suggested_labels", std::move(labels)},
         {"mmproj_files", std::vector<std::string>(projectors.begin(), projectors.end())},
         {"variants", std::move(list)}});
}

std::string options_body(const Offered& model) {
    const Value automatic = {{"model_name", model.name}, {"ctx_size", -1}};
    Value out = {{"model_name", model.name},
                 {"recipe", model.recipe},
                 {"saved", Value::object()},
                 {"effective", automatic},
                 {"defaults", automatic}};
    if (model.context_tokens > 0) {
        out["resolved_ctx_size"] = model.context_tokens;
    }
    return json::dump(out);
}

std::string slots_body(std::span<const std::pair<std::string, bool>> slots) {
    Value out = Value::array();
    for (const auto& [model, busy] : slots) {
        out.push_back({{"id", out.size()}, {"model", model}, {"is_processing", busy}});
    }
    return json::dump(out);
}

}  // namespace trilane::dialect::lemonade
