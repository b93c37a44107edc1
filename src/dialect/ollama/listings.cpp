#include "dialect/ollama/listings.h"

#include <fmt/format.h>

#include <vector>

#include "dialect/ollama/ollama.h"
#include "json/json.h"

namespace trilane::dialect::ollama {
namespace {

constexpr std::int64_t kUnixNsPerMs = 1'000'000;
constexpr std::int64_t kNsPerS = 1'000'000'000;
/// What stays is said to stay until the year 2286, which every client's clock can hold.
constexpr std::int64_t kForeverUnixS = 9'999'999'999 - 1'000'000'000;

/// "8.0B", "134.5M"; "" = not known.
std::string parameter_size(std::uint64_t parameters) {
    const auto count = static_cast<double>(parameters);
    if (count >= 1e9) {
        return fmt::format("{:.1f}B", count / 1e9);
    }
    if (count >= 1e6) {
        return fmt::format("{:.1f}M", count / 1e6);
    }
    return parameters == 0 ? std::string() : fmt::format("{:.0f}K", count / 1e3);
}

json::Value details(const Listed& model) {
    const std::string& family = model.card.architecture;
    return {{"parent_model", model.parent},
            {"format", "gguf"},
            {"family", family},
            {"families", family.empty() ? json::Value() : json::Value::array({family})},
            {"parameter_size", parameter_size(model.card.parameters)},
            {"quantization_level", model.card.quantization}};
}

json::Value entry(const Listed& model) {
    return {{"name", tagged_name(model.name)},
            {"model", tagged_name(model.name)},
            {"modified_at", time_text(model.modified_unix_s * kNsPerS)},
            {"size", model.card.bytes},
            {"digest", model.digest},
            {"details", details(model)}};
}

json::Value capabilities(const job::Abilities& can) {
    json::Value names = json::Value::array();
    const auto add = [&](bool able, const char* name) {
        if (able) {
            names.push_back(name);
        }
    };
    add(can.chat || can.complete, "completion");
    add(can.vision, "vision");
    add(can.hearing, "audio");
    add(can.tools, "tools");
    add(can.insert, "insert");
    add(can.thinking, "thinking");
    add(can.embed, "embedding");
    return names;
}

/// Options as lines of a Modelfile: `temperature 0.7`.
std::string option_lines(const std::string& parameters, std::string_view before) {
    std::string lines;
    const auto options = json::parse(parameters);
    if (parameters.empty() || !options || !options->is_object()) {
        return lines;
    }
    for (const auto& [name, value] : options->items()) {
        const std::vector<json::Value> values =
            value.is_array() ? value.get<std::vector<json::Value>>() : std::vector{value};
        for (const json::Value& one : values) {
            lines += fmt::format("{}{}{:<30} {}", lines.empty() ? "" : "\n", before, name,
                                 json::dump(one));
        }
    }
    return lines;
}

std::string modelfile(const Shown& model) {
    const Listed& listed = model.listed;
    std::string text =
        fmt::format("FROM {}\n", listed.parent.empty() ? listed.name : listed.parent);
    if (!model.system.empty()) {
        text += fmt::format("SYSTEM \"\"\"{}\"\"\"\n", model.system);
    }
    const std::string lines = option_lines(model.parameters, "PARAMETER ");
    return lines.empty() ? text : text + lines + '\n';
}

json::Value model_info(const Shown& model) {
    auto info = model.metadata.empty() ? json::parse("{}") : json::parse(model.metadata);
    json::Value all = info && info->is_object() ? *std::move(info) : json::Value::object();
    const job::ModelCard& card = model.listed.card;
    const auto add = [&](const std::string& key, const json::Value& value) {
        if (!all.contains(key)) {
            all[key] = value;
        }
    };
    add("general.architecture", card.architecture);
    add("general.parameter_count", card.parameters);
    if (!card.architecture.empty() && card.context_tokens > 0) {
        add(card.architecture + ".context_length", card.context_tokens);
    }
    return all;
}

}  // namespace

bool is_listed(const job::Abilities& abilities) {
    return abilities.chat || abilities.complete || abilities.embed;
}

std::string tags_body(std::span<const Listed> models) {
    json::Value all = json::Value::array();
    for (const Listed& model : models) {
        all.push_back(entry(model));
    }
    return json::dump({{"models", std::move(all)}});
}

std::string ps_body(std::span<const Running> models) {
    json::Value all = json::Value::array();
    for (const Running& running : models) {
        json::Value one = entry(running.listed);
        one.erase("modified_at");
        one["size"] = running.bytes;
        one["expires_at"] =
            time_text(running.expires_unix_ms == 0 ? kForeverUnixS * kNsPerS
                                                   : running.expires_unix_ms * kUnixNsPerMs);
        one["size_vram"] = running.gpu_bytes;
        one["context_length"] = running.context_tokens;
        all.push_back(std::move(one));
    }
    return json::dump({{"models", std::move(all)}});
}

std::string show_body(const Shown& model) {
    json::Value out = json::Value::object();
    if (!model.licence.empty()) {
        out["license"] = model.licence;
    }
    out["modelfile"] = modelfile(model);
    out["parameters"] = option_lines(model.parameters, "");
    out["template"] = model.template_text;
    if (!model.system.empty()) {
        out["system"] = model.system;
    }
    out["details"] = details(model.listed);
    out["model_info"] = model_info(model);
    out["capabilities"] = capabilities(model.listed.card.abilities);
    out["modified_at"] = time_text(model.listed.modified_unix_s * kNsPerS);
    return json::dump(out);
}

std::string version_body(std::string_view version) {
    return json::dump(
        {{"version", kApiVersion}, {"server", "trilane"}, {"server_version", version}});
}

}  // namespace trilane::dialect::ollama
