// Reads what Lemonade's clients ask to be done with models and backends.
#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "dialect/body.h"
#include "dialect/fields.h"
#include "dialect/lemonade/lemonade.h"
#include "json/json.h"

namespace trilane::dialect::lemonade {
namespace {

constexpr std::size_t kShownNameBytes = 64;

bool is_model_name(std::string_view name) {
    return !name.empty() && name.size() <= kNameBytesMax && std::ranges::all_of(name, [](char c) {
        return static_cast<unsigned char>(c) > ' ' && c != '\x7F' && c != '\\' && c != '"';
    });
}

Result<std::string> optional_model_name(const Fields& body) {
    for (const std::string_view field : {"model_name", "model"}) {
        TRILANE_TRY(std::optional<std::string> name, body.text(field));
        if (name && !is_model_name(*name)) {
            return fail(Fault::invalid,
                        "{}: got \"{}\"; send a name of up to {} bytes without spaces, quotes and "
                        "backslashes",
                        field, utf8_clipped(*name, kShownNameBytes), kNameBytesMax);
        }
        if (name) {
            return *std::move(name);
        }
    }
    return std::string();
}

Result<std::string> required_model_name(const Fields& body) {
    TRILANE_TRY(std::string name, optional_model_name(body));
    if (name.empty()) {
        return fail(Fault::invalid, "model_name: missing; send the name of a model");
    }
    return name;
}

bool is_set(const json::Value* value) {
    return value != nullptr && *value != "" && *value != false &&
           !(value->is_structured() && value->empty());
}

struct Ignored {
    const char* field;
    const char* why;
};

/// Options of a load that are set elsewhere here.
constexpr std::array kIgnoredOfLoad = std::to_array<Ignored>({
    {"llamacpp_args", "arguments of servers are the lane's: `args` of it in the configuration"},
    {"whispercpp_args", "arguments of servers are the lane's: `args` of it in the configuration"},
    {"flm_args", "arguments of servers are the lane's: `args` of it in the configuration"},
    {"sdcpp_args", "arguments of servers are the lane's: `args` of it in the configuration"},
    {"llamacpp_device", "which device a lane uses is `engine_device` of it in the configuration"},
    {"save_options",
     "what a model is always loaded with is set in the configuration: `context` of the model"},
    {"steps", "send it with each picture"},
    {"cfg_scale", "send it with each picture"},
    {"width", "send the size with each picture"},
    {"height", "send the size with each picture"},
    {"upscale_model", "nothing here enlarges pictures"},
});

/// Of a pull: what the files themselves say.
constexpr std::array kIgnoredOfPull = std::to_array<Ignored>({
    {"recipe", "which lane runs a model follows from its files"},
    {"reasoning", "what a model can do follows from its files"},
    {"vision", "what a model can do follows from its files"},
    {"embedding", "what a model can do follows from its files"},
    {"reranking", "what a model can do follows from its files"},
    {"labels", "what a model can do follows from its files"},
    {"mmproj", "a projector of the repository is taken when there is one"},
});

std::vector<std::string> ignored_of(const Fields& body, std::span<const Ignored> known) {
    std::vector<std::string> out;
    for (const Ignored& one : known) {
        if (is_set(body.find(one.field))) {
            out.push_back(fmt::format("{}: {}", one.field, one.why));
        }
    }
    return out;
}

Result<Backend> backend_of(std::string_view field, const std::string& value) {
    struct Known {
        std::string_view name;
        Backend backend;
    };
    constexpr Known kKnown[] = {
        {"", Backend::any},       {"auto", Backend::any},   {"default", Backend::any},
        {"cpu", Backend::cpu},    {"vulkan", Backend::gpu}, {"rocm", Backend::gpu},
        {"system", Backend::gpu}, {"cuda", Backend::gpu},   {"metal", Backend::gpu},
        {"gpu", Backend::gpu},    {"npu", Backend::npu},
    };
    // Lemonade has channels of some: "rocm-stable".
    const std::string_view root = std::string_view(value).substr(0, value.find('-'));
    const auto* known = std::ranges::find(kKnown, root, &Known::name);
    if (known == std::end(kKnown)) {
        return refuse(field, json::Value(value), "auto, cpu, vulkan, rocm, cuda, system or npu");
    }
    return known->backend;
}

Status read_backends(const Fields& body, LoadAsk& ask) {
    for (const std::string_view field :
         {"llamacpp_backend", "whispercpp_backend", "sd-cpp_backend", "flm_backend", "device"}) {
        TRILANE_TRY(const std::optional<std::string> value, body.text(field));
        if (!value) {
            continue;
        }
        TRILANE_TRY(const Backend backend, backend_of(field, *value));
        if (backend != Backend::any) {
            ask.backend = backend;
            ask.backend_field = fmt::format("{}: {}", field, utf8_clipped(*value, kShownNameBytes));
        }
    }
    return {};
}

/// {"checkpoint"}, or the one that {"checkpoints"} calls main.
Result<std::string> read_checkpoint(const Fields& body) {
    TRILANE_TRY(std::optional<std::string> one, body.text("checkpoint"));
    if (one && !one->empty()) {
        return *std::move(one);
    }
    TRILANE_TRY(const json::Value* several, body.object("checkpoints"));
    if (several == nullptr) {
        return std::string();
    }
    return Fields(*several, "checkpoints").required_text("main", "\"owner/name:variant\"");
}

}  // namespace

Result<std::string> read_model_name(std::string_view body) {
    TRILANE_TRY(const json::Value object, read_object(body));
    return required_model_name(Fields(object, ""));
}

Result<std::string> read_unload_ask(std::string_view body) {
    if (body.find_first_not_of(" \t\r\n") == std::string_view::npos || body == "null") {
        return std::string();
    }
    TRILANE_TRY(const json::Value object, read_object(body));
    return optional_model_name(Fields(object, ""));
}

Result<LoadAsk> read_load_ask(std::string_view body) {
    TRILANE_TRY(const json::Value object, read_object(body));
    const Fields fields(object, "");
    LoadAsk ask;
    TRILANE_TRY(ask.model, required_model_name(fields));
    TRILANE_TRY(const std::optional<std::int64_t> context,
                fields.integer("ctx_size", -1, kContextTokensMax));
    if (context && *context > 0) {  // 0 and −1: as the lane decides
        ask.context_tokens = static_cast<std::uint32_t>(*context);
    }
    TRILANE_TRY(ask.pinned, fields.boolean("pinned"));
    TRILANE_TRY_STATUS(read_backends(fields, ask));
    ask.ignored = ignored_of(fields, kIgnoredOfLoad);
    return ask;
}

Result<PullAsk> read_pull_ask(std::string_view body) {
    TRILANE_TRY(const json::Value object, read_object(body));
    const Fields fields(object, "");
    PullAsk ask;
    TRILANE_TRY(ask.model, required_model_name(fields));
    TRILANE_TRY(ask.checkpoint, read_checkpoint(fields));
    TRILANE_TRY(const std::optional<bool> stream, fields.boolean("stream"));
    ask.stream = stream.value_or(false);
    TRILANE_TRY(const std::optional<bool> subscribe, fields.boolean("subscribe"));
    ask.subscribe = subscribe.value_or(true);
    TRILANE_TRY(const std::optional<std::string> recipe, fields.text("recipe"));
    if (recipe && recipe->starts_with("collection")) {
        return fail(Fault::invalid,
                    "recipe: collections of models are not kept here; pull each of them");
    }
    TRILANE_TRY(const std::optional<std::string> source, fields.text("source"));
    if (source && *source != "huggingface" && *source != "hf") {
        return refuse(
            "source", json::Value(*source),
            "\"huggingface\"; another hub is `catalog.hub_endpoint` in the configuration");
    }
    ask.ignored = ignored_of(fields, kIgnoredOfPull);
    return ask;
}

Result<BackendAsk> read_backend_ask(std::string_view body) {
    TRILANE_TRY(const json::Value object, read_object(body));
    const Fields fields(object, "");
    BackendAsk ask;
    TRILANE_TRY(const std::optional<bool> stream, fields.boolean("stream"));
    ask.stream = stream.value_or(false);
    TRILANE_TRY(const std::optional<std::string> spec, fields.text("spec"));
    TRILANE_TRY(const std::optional<std::string> backend, fields.text("backend"));
    if (spec) {
        ask.recipe = spec->substr(0, spec->find(':'));
        ask.backend = ask.recipe.size() < spec->size() ? spec->substr(ask.recipe.size() + 1) : "";
    } else if (backend == "cloud") {
        ask.recipe = "cloud";
    } else {
        TRILANE_TRY(ask.recipe, fields.required_text("recipe", "\"llamacpp\", \"flm\" …"));
        ask.backend = backend.value_or("");
    }
    if (ask.recipe.empty()) {
        return fail(Fault::invalid, "spec: got \"{}\"; send \"recipe:backend\"",
                    utf8_clipped(*spec, kShownNameBytes));
    }
    return ask;
}

Result<DownloadAsk> read_download_ask(std::string_view body) {
    TRILANE_TRY(const json::Value object, read_object(body));
    const Fields fields(object, "");
    DownloadAsk ask;
    TRILANE_TRY(ask.id, fields.required_text("id", "the id of a download"));
    TRILANE_TRY(const std::optional<std::string> action,
                fields.word("action", {"pause", "cancel", "remove"}));
    if (!action) {
        return fail(Fault::invalid, "action: missing; send \"pause\", \"cancel\" or \"remove\"");
    }
    ask.action = action == "pause"    ? DownloadAction::pause
                 : action == "cancel" ? DownloadAction::cancel
                                      : DownloadAction::remove;
    return ask;
}

}  // namespace trilane::dialect::lemonade
