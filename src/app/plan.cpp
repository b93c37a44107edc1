// `trilane plan`: whether models fit, where, and with what context.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "app/observed_loads.h"
#include "app/output.h"
#include "app/plan_listing.h"
#include "app/serve_setup.h"
#include "app/verbs.h"
#include "engine/memory.h"
#include "gguf/gguf.h"
#include "json/json.h"
#include "lane/llama_server/command.h"

namespace trilane::app {
namespace {

constexpr std::string_view kNative = "native";
constexpr std::string_view kLlamaServer = "llama-server";

std::string shown_tokens(std::uint32_t tokens) {
    return tokens == 0 ? "none" : fmt::format("{}", tokens);
}

/// Further files of a model that is split: "x-00001-of-00003.gguf" is the first.
std::vector<std::string> further_parts(const std::string& path, std::uint32_t parts) {
    const std::string first = fmt::format("-00001-of-{:05}.gguf", parts);
    std::vector<std::string> paths;
    if (parts > 1 && path.ends_with(first)) {
        const std::string stem = path.substr(0, path.size() - first.size());
        for (std::uint32_t part = 2; part <= parts; ++part) {
            paths.push_back(fmt::format("{}-{:05}-of-{:05}.gguf", stem, part, parts));
        }
    }
    return paths;
}

Result<plan::Shape> shape_of(const ModelFile& model) {
    TRILANE_TRY(const auto file, gguf::File::open(model.path));
    auto shape = plan::read_shape(*file);
    if (!shape) {
        return tl::unexpected(std::move(shape).error().because(model.path));
    }
    for (const std::string& path : further_parts(model.path, shape->parts)) {
        TRILANE_TRY(const auto part, gguf::File::open(path));
        plan::add_part(*shape, *part);
    }
    return shape;
}

/// The needs of one model in one place, at any context.
class Place {
public:
    Place(const probe::Machine& machine, const PlanQuestion& question, const ModelFile& model,
          const plan::Shape& shape, std::string_view device, std::string_view lane)
        : machine_(machine), question_(question), model_(model), shape_(shape) {
        planned_.device = device;
        planned_.lane = lane;
    }

    Result<PlannedPlace> plan(const plan::Memory& memory, std::span<const plan::Holding> holdings) {
        const auto judged = [&](std::uint32_t context_tokens) -> Result<plan::Verdict> {
            TRILANE_TRY(planned_.need, need(context_tokens));
            return plan::judge(memory, holdings, planned_.device, planned_.need);
        };
        // The model's own context first: the line through it leads closest to the largest that
        // fits.
        TRILANE_TRY(const plan::Verdict whole, judged(0));
        std::uint32_t context = question_.context_tokens;
        const std::uint32_t own = planned_.need.context_tokens_max;
        if (own != 0 && context > own) {
            context = own;
            planned_.note =
                fmt::format("context cut to {} tokens: the model was made for no more", own);
        }
        if (context == 0 && whole.fit == plan::Fit::does_not_fit) {
            context = whole.context_tokens_max;
            if (context != 0) {
                planned_.note =
                    fmt::format("context cut to {} tokens, the largest that fits", context);
            }
        }
        TRILANE_TRY(planned_.verdict, judged(context));
        planned_.verdict.context_tokens_max =
            std::max(planned_.verdict.context_tokens_max, whole.context_tokens_max);
        return std::move(planned_);
    }

private:
    /// Corrected by what such loads were seen to hold.
    [[nodiscard]] Result<plan::Need> need(std::uint32_t context_tokens) const {
        const bool native = planned_.lane == kNative;
        TRILANE_TRY(plan::Need need, native
                                         ? native_need(context_tokens)
                                         : Result<plan::Need>(llama_server_need(context_tokens)));
        plan::correct(need,
                      {.model = model_.id,
                       .weight_bytes = plan::weight_bytes_of(need),
                       .lane = planned_.lane,
                       .device = planned_.device,
                       .kv = native ? plan::KvType::f16 : question_.kv,
                       .context_tokens = need.context_tokens,
                       .parallel = need.parallel},
                      question_.observed);
        return need;
    }

    /// As its lane asks, which decides what the user leaves open.
    [[nodiscard]] plan::Need llama_server_need(std::uint32_t context_tokens) const {
        plan::Wishes wishes;
        wishes.context_tokens = context_tokens;
        wishes.parallel =
            question_.parallel == 0 ? lane::llama_server::kParallelDefault : question_.parallel;
        wishes.kv = question_.kv;
        wishes.on_gpu = planned_.device.starts_with("gpu");
        wishes.context_checkpoints = lane::llama_server::kContextCheckpoints;
        return plan::llama_server_need(shape_, wishes);
    }

    [[nodiscard]] Result<plan::Need> native_need(std::uint32_t context_tokens) const {
        engine::Options options;
        options.context_tokens = context_tokens;
        options.slots = question_.parallel == 0 ? options.slots : question_.parallel;
        options.threads = std::max<std::size_t>(machine_.cpu.cores, 1);
        TRILANE_TRY(const engine::MemoryNeed memory, engine::memory_need(model_.path, options));
        plan::Need need;
        need.parts = {{"weights", memory.weight_bytes},
                      {"KV cache", memory.kv_bytes},
                      {"buffers", memory.buffer_bytes},
                      {"vocabulary", memory.vocabulary_bytes}};
        need.context_tokens = memory.context_tokens;
        need.context_tokens_max = memory.context_tokens_max;
        need.parallel = options.slots;
        need.bytes_per_context_token = memory.kv_bytes_per_context_token;
        return need;
    }

    const probe::Machine& machine_;
    const PlanQuestion& question_;
    const ModelFile& model_;
    const plan::Shape& shape_;
    PlannedPlace planned_;
};

/// Where GGUF files run, the fastest silicon first.
Result<std::vector<std::string>> devices_for(const plan::Memory& memory, const std::string& asked) {
    if (asked == "npu") {
        return fail(Fault::invalid,
                    "the NPU runs FastFlowLM's own files, no GGUF files; `flm list` has their "
                    "footprints");
    }
    std::vector<std::string> devices;
    std::string known;
    for (const plan::Device& device : memory.devices) {
        known += (known.empty() ? "" : ", ") + device.name;
        const bool usable = device.name != "npu" && device.name != "cpu" && !device.shares.empty();
        if (device.name == asked || (asked.empty() && usable)) {
            devices.push_back(device.name);
        }
    }
    if (asked.empty()) {
        devices.emplace_back("cpu");
    }
    if (devices.empty()) {
        return fail(Fault::invalid, "there is no device '{}' here; use one of {}", asked, known);
    }
    return devices;
}

Result<PlannedModel> plan_model(const probe::Machine& machine, const plan::Memory& memory,
                                const ModelFile& file, const PlanQuestion& question,
                                std::span<const plan::Holding> holdings) {
    PlannedModel model;
    model.file = file;
    TRILANE_TRY(model.shape, shape_of(file));
    TRILANE_TRY(const auto devices, devices_for(memory, question.device));
    const auto add = [&](std::string_view device, std::string_view lane) -> Status {
        Place place(machine, question, file, model.shape, device, lane);
        TRILANE_TRY(PlannedPlace planned, place.plan(memory, holdings));
        if (!model.chosen && planned.verdict.fit != plan::Fit::does_not_fit) {
            model.chosen = model.places.size();
        }
        model.places.push_back(std::move(planned));
        return {};
    };
    for (const std::string& device : devices) {
        if (device == "cpu") {
            if (const Status native = add(device, kNative); !native) {
                model.not_native = native.error().message;
            } else if (question.kv != plan::KvType::f16) {
                std::string& note = model.places.back().note;
                note += note.empty() ? "" : "; ";
                note += "the native engine's KV cache is f16";
            }
        }
        TRILANE_TRY_STATUS(add(device, kLlamaServer));
    }
    return model;
}

std::vector<std::string> memory_row(const plan::Pool& pool) {
    const std::uint64_t taken = std::min(pool.total_bytes, pool.reserve_bytes + pool.foreign_bytes);
    return {pool.name, human_bytes(pool.total_bytes), human_bytes(pool.foreign_bytes),
            human_bytes(pool.reserve_bytes), human_bytes(pool.total_bytes - taken)};
}

/// A row for every part that any place has.
void add_part_rows(const PlannedModel& model, std::vector<std::vector<std::string>>& rows) {
    std::vector<std::string> names;
    for (const PlannedPlace& place : model.places) {
        for (const plan::Part& part : place.need.parts) {
            if (std::find(names.begin(), names.end(), part.what) == names.end()) {
                names.push_back(part.what);
            }
        }
    }
    for (const std::string& name : names) {
        std::vector<std::string> row{"  " + name};
        for (const PlannedPlace& place : model.places) {
            const auto& parts = place.need.parts;
            const auto at = std::find_if(parts.begin(), parts.end(),
                                         [&](const plan::Part& part) { return part.what == name; });
            row.push_back(at == parts.end() ? "-" : human_bytes(at->bytes));
        }
        rows.push_back(std::move(row));
    }
}

/// "+300 MB", "-1.2 GB", "0 B" (seen, and as predicted), "-" (nothing was seen)
std::string correction_cell(const PlannedPlace& place) {
    const std::uint64_t predicted = place.need.predicted_bytes();
    const std::uint64_t planned = place.need.bytes();
    if (planned == predicted) {
        return place.need.correction ? human_bytes(0) : "-";
    }
    return planned > predicted ? "+" + human_bytes(planned - predicted)
                               : "-" + human_bytes(predicted - planned);
}

std::string seen_text(const plan::Correction& seen) {
    const std::time_t when = seen.unix_s;
    std::tm day{};
    ::gmtime_r(&when, &day);
    return fmt::format(
        "corrected by what it was seen to hold on {:04}-{:02}-{:02}: {}{}, where {} "
        "were predicted",
        day.tm_year + 1900, day.tm_mon + 1, day.tm_mday, human_bytes(seen.observed_bytes),
        seen.context_tokens == 0 ? "" : fmt::format(" with a context of {}", seen.context_tokens),
        human_bytes(seen.predicted_bytes));
}

std::string places_table(const PlannedModel& model) {
    std::vector<std::vector<std::string>> rows(1, {"  "});
    const auto row = [&](std::string_view name, const auto& cell) {
        std::vector<std::string> cells{"  " + std::string(name)};
        for (const PlannedPlace& place : model.places) {
            cells.push_back(cell(place));
        }
        rows.push_back(std::move(cells));
    };
    for (const PlannedPlace& place : model.places) {
        rows.front().push_back(fmt::format(">{} {}", place.device, place.lane));
    }
    row("context x requests", [](const PlannedPlace& place) {
        return fmt::format("{} x {}", place.need.context_tokens, place.need.parallel);
    });
    add_part_rows(model, rows);
    if (std::any_of(model.places.begin(), model.places.end(),
                    [](const PlannedPlace& place) { return place.need.correction.has_value(); })) {
        row(plan::kCorrectionName, correction_cell);
    }
    row("total", [](const PlannedPlace& p) { return human_bytes(p.verdict.need_bytes); });
    row("free", [](const PlannedPlace& p) { return human_bytes(p.verdict.room_bytes); });
    row("largest context",
        [](const PlannedPlace& p) { return shown_tokens(p.verdict.context_tokens_max); });
    row("verdict", [](const PlannedPlace& p) { return std::string(fit_name(p.verdict.fit)); });
    return table(rows);
}

std::string where_text(const PlannedPlace& place, const plan::Memory& memory) {
    std::string text;
    for (std::size_t p = 0; p < place.verdict.pool_bytes.size(); ++p) {
        if (place.verdict.pool_bytes[p] > 0) {
            text += fmt::format("{}{} in {}", text.empty() ? "" : ", ",
                                human_bytes(place.verdict.pool_bytes[p]), memory.pools[p].name);
        }
    }
    return text;
}

std::string model_text(const PlannedModel& model, const plan::Memory& memory) {
    std::string text = fmt::format("{}: {}, {} layers, {}", printable(model.file.id),
                                   printable(model.shape.architecture, 40),
                                   model.shape.layers.size(), human_bytes(model.shape.file_bytes));
    if (model.shape.context_tokens > 0) {
        text += fmt::format(", made for {} tokens", model.shape.context_tokens);
    }
    text += "\n\n" + places_table(model) + '\n';
    if (model.chosen) {
        const PlannedPlace& place = model.places[*model.chosen];
        const bool tight = place.verdict.fit == plan::Fit::tight;
        text += fmt::format("  On {} by {} it fits{}: {}.\n  It would lie there: {}.\n",
                            place.device, place.lane, tight ? " tightly" : "", place.verdict.text,
                            where_text(place, memory));
    } else {
        const PlannedPlace& place = model.places.front();
        text += fmt::format("  It does not fit. On {} by {} it {}.\n", place.device, place.lane,
                            place.verdict.text);
    }
    for (const PlannedPlace& place : model.places) {
        if (!place.note.empty()) {
            text += fmt::format("  {} {}: {}.\n", place.device, place.lane, place.note);
        }
        if (place.need.correction) {
            text += fmt::format("  {} {}: {}.\n", place.device, place.lane,
                                seen_text(*place.need.correction));
        }
    }
    if (!model.not_native.empty()) {
        text += fmt::format("  Not by the native engine: {}.\n", model.not_native);
    }
    return text;
}

json::Value correction_json(const plan::Need& need) {
    if (!need.correction) {
        return {};
    }
    const plan::Correction& seen = *need.correction;
    return {{"bytes", static_cast<std::int64_t>(need.bytes() - need.predicted_bytes())},
            {"observed_bytes", seen.observed_bytes},
            {"predicted_bytes", seen.predicted_bytes},
            {"context_tokens", seen.context_tokens},
            {"unix_s", seen.unix_s}};
}

json::Value place_json(const PlannedPlace& place, const plan::Memory& memory) {
    json::Value parts = json::Value::object();
    for (const plan::Part& part : place.need.parts) {
        parts[part.what] = part.bytes;
    }
    json::Value pools = json::Value::object();
    for (std::size_t p = 0; p < place.verdict.pool_bytes.size(); ++p) {
        pools[memory.pools[p].name] = place.verdict.pool_bytes[p];
    }
    return {{"device", place.device},
            {"lane", place.lane},
            {"fit", std::string(fit_name(place.verdict.fit))},
            {"context_tokens", place.need.context_tokens},
            {"parallel", place.need.parallel},
            {"parts_bytes", std::move(parts)},
            {"predicted_bytes", place.need.predicted_bytes()},
            {"correction", correction_json(place.need)},
            {"need_bytes", place.verdict.need_bytes},
            {"room_bytes", place.verdict.room_bytes},
            {"pools_bytes", std::move(pools)},
            {"context_tokens_max", place.verdict.context_tokens_max},
            {"bytes_per_context_token", place.need.bytes_per_context_token},
            {"text", place.verdict.text},
            {"note", place.note}};
}

/// What the daemon of this machine would plan with: what it has observed, and its reserve.
void take_from_here(const PlanOptions& options, const config::Config& config,
                    PlanQuestion& question) {
    auto observed = read_observed_loads(observed_loads_path(options.state_dir));
    if (!observed) {
        print_error(fmt::format("trilane: {}\n", printable(observed.error().message)));
    } else {
        question.observed = *std::move(observed);
    }
    question.reserve = config.memory.reserve;
}

}  // namespace

bool PlannedLoads::all_fit() const {
    return std::all_of(models.begin(), models.end(),
                       [](const PlannedModel& model) { return model.chosen.has_value(); });
}

Result<PlannedLoads> plan_loads(const probe::Machine& machine, std::span<const ModelFile> files,
                                const PlanQuestion& question) {
    PlannedLoads loads;
    loads.memory = plan::memory_of(machine, question.reserve);
    std::vector<plan::Holding> holdings;
    for (const ModelFile& file : files) {
        TRILANE_TRY(PlannedModel model,
                    plan_model(machine, loads.memory, file, question, holdings));
        if (model.chosen) {
            // Nobody makes room for another: all are to stay.
            const PlannedPlace& place = model.places[*model.chosen];
            holdings.push_back({.model = file.id,
                                .device = place.device,
                                .pool_bytes = place.verdict.pool_bytes,
                                .evictable = false});
        }
        loads.models.push_back(std::move(model));
    }
    return loads;
}

std::string plan_text(const PlannedLoads& loads) {
    std::vector<std::vector<std::string>> rows{
        {"MEMORY", ">TOTAL", ">IN USE", ">RESERVE", ">FREE"}};
    for (const plan::Pool& pool : loads.memory.pools) {
        rows.push_back(memory_row(pool));
    }
    std::string text = table(rows);
    for (const plan::Device& device : loads.memory.devices) {
        if (device.shares.empty()) {
            text +=
                fmt::format("How much memory {} has could not be read; nothing is planned on it.\n",
                            device.name);
        }
    }
    for (const PlannedModel& model : loads.models) {
        text += '\n' + model_text(model, loads.memory);
    }
    if (loads.models.size() > 1) {
        text += fmt::format("\n{}\n", loads.all_fit() ? "All of them fit together."
                                                      : "They do not all fit together.");
    }
    return text;
}

json::Value plan_json(const PlannedLoads& loads) {
    json::Value pools = json::Value::array();
    for (const plan::Pool& pool : loads.memory.pools) {
        pools.push_back({{"name", pool.name},
                         {"total_bytes", pool.total_bytes},
                         {"in_use_bytes", pool.foreign_bytes},
                         {"reserve_bytes", pool.reserve_bytes}});
    }
    json::Value models = json::Value::array();
    for (const PlannedModel& model : loads.models) {
        json::Value places = json::Value::array();
        for (const PlannedPlace& place : model.places) {
            places.push_back(place_json(place, loads.memory));
        }
        json::Value one{{"name", model.file.id},
                        {"file", model.file.path},
                        {"architecture", model.shape.architecture},
                        {"layers", model.shape.layers.size()},
                        {"file_bytes", model.shape.file_bytes},
                        {"context_tokens", model.shape.context_tokens},
                        {"fits", model.chosen.has_value()},
                        {"places", std::move(places)}};
        if (model.chosen) {
            one["chosen"] = *model.chosen;
        }
        if (!model.not_native.empty()) {
            one["not_native_because"] = model.not_native;
        }
        models.push_back(std::move(one));
    }
    return {{"fits", loads.all_fit()}, {"pools", std::move(pools)}, {"models", std::move(models)}};
}

Result<int> perform(const PlanOptions& options) {
    PlanQuestion question;
    question.context_tokens = options.context_tokens;
    question.parallel = options.parallel;
    question.device = options.device;
    if (!options.kv.empty()) {
        TRILANE_TRY(question.kv, plan::kv_type_from(options.kv));
    }
    const config::Config config = told_config(options.config_file).config;
    std::vector<ModelFile> files;
    for (const std::string& name : options.models) {
        TRILANE_TRY(files.emplace_back(), find_model(name, options.model_dirs));
    }
    const probe::Machine machine = probe::read_machine(options.root);
    if (options.root.empty()) {
        take_from_here(options, config, question);
    }
    TRILANE_TRY(const PlannedLoads loads, plan_loads(machine, files, question));
    TRILANE_TRY_STATUS(
        print(options.json ? json::dump_pretty(plan_json(loads)) + '\n' : plan_text(loads)));
    return loads.all_fit() ? 0 : 1;
}

}  // namespace trilane::app
