// `trilane loadouts`: sets of models, and which of them this machine can hold.
#include <fmt/format.h>

#include <algorithm>

#include "app/loadout_listing.h"
#include "app/output.h"
#include "app/verbs.h"
#include "json/json.h"
#include "probe/machine.h"

namespace trilane::app {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;
constexpr std::string_view kNominal = "Sizes are nominal; `trilane pull` shows the real ones.\n";

/// A device of this machine for a lane: models for silicon that is not here move one down.
std::string device_for(std::string_view lane, const plan::Memory& memory) {
    const auto usable = [&](std::string_view name) {
        const plan::Device* device = memory.device(name);
        return device != nullptr && !device->shares.empty();
    };
    if (lane == "npu" && usable("npu")) {
        return "npu";
    }
    if (lane != "cpu") {
        for (const plan::Device& device : memory.devices) {
            if (device.name.starts_with("gpu") && !device.shares.empty()) {
                return device.name;
            }
        }
    }
    return "cpu";
}

plan::Need need_of(const catalog::LoadoutModel& model) {
    plan::Need need;
    need.parts = {{"weights", model.bytes},
                  {"KV cache", model.kv_bytes_per_token * model.context_tokens}};
    need.context_tokens = model.context_tokens;
    need.bytes_per_context_token = static_cast<double>(model.kv_bytes_per_token);
    return need;
}

PlacedLoadout place(const catalog::Loadout& loadout, const plan::Memory& memory) {
    PlacedLoadout placed;
    placed.loadout = &loadout;
    std::vector<plan::Holding> holdings;
    for (const catalog::LoadoutModel& model : loadout.models) {
        PlacedModel& one = placed.models.emplace_back();
        one.model = &model;
        one.device = device_for(model.lane, memory);
        one.verdict = plan::judge(memory, holdings, one.device, need_of(model));
        placed.fit = std::max(placed.fit, one.verdict.fit);
        if (one.verdict.fit != plan::Fit::does_not_fit) {
            // Nobody makes room for another: all are to stay.
            holdings.push_back({.model = std::string(model.reference),
                                .device = one.device,
                                .pool_bytes = one.verdict.pool_bytes,
                                .evictable = false});
        }
    }
    return placed;
}

std::string here(plan::Fit fit) {
    return std::string(plan::fit_name(fit));
}

std::string how_to_get(const PlacedModel& placed) {
    const std::string reference(placed.model->reference);
    if (reference.starts_with("flm:")) {
        return placed.device == "npu" ? "flm pull " + reference.substr(4) : "needs an NPU with FLM";
    }
    if (reference.starts_with("engine:")) {
        return fmt::format("comes with a {} server", reference.substr(7));
    }
    return "trilane pull " + reference;
}

std::string detail_text(const PlacedLoadout& placed) {
    std::vector<std::vector<std::string>> rows{
        {"  ROLE", "ON", ">SIZE", ">CONTEXT", ">KV CACHE", "HOW TO GET IT"}};
    for (const PlacedModel& one : placed.models) {
        const catalog::LoadoutModel& model = *one.model;
        const std::uint64_t kv_bytes = model.kv_bytes_per_token * model.context_tokens;
        rows.push_back({fmt::format("  {}", model.role), one.device, human_bytes(model.bytes),
                        model.context_tokens > 0 ? fmt::format("{}", model.context_tokens) : "-",
                        kv_bytes > 0 ? human_bytes(kv_bytes) : "-", how_to_get(one)});
    }
    return fmt::format("{}, for {} GiB and more: {} in all: {} here\n{}\n{}", placed.loadout->name,
                       placed.loadout->memory_bytes / kGiB, human_bytes(placed.bytes()),
                       here(placed.fit), placed.loadout->what, table(rows));
}

}  // namespace

std::uint64_t PlacedLoadout::bytes() const {
    std::uint64_t sum = 0;
    for (const PlacedModel& one : models) {
        sum += one.model->bytes + one.model->kv_bytes_per_token * one.model->context_tokens;
    }
    return sum;
}

Result<std::vector<PlacedLoadout>> place_loadouts(std::string_view name,
                                                  const plan::Memory& memory) {
    plan::Memory empty = memory;
    for (plan::Pool& pool : empty.pools) {
        pool.foreign_bytes = 0;
    }
    std::vector<PlacedLoadout> placed;
    std::vector<std::string_view> names;
    for (const catalog::Loadout& loadout : catalog::loadouts()) {
        if (name.empty() || loadout.name == name) {
            placed.push_back(place(loadout, empty));
        }
        if (std::find(names.begin(), names.end(), loadout.name) == names.end()) {
            names.push_back(loadout.name);
        }
    }
    if (placed.empty()) {
        return fail(Fault::not_found, "there is no loadout '{}'; name one of: {}",
                    printable(name, 40), fmt::join(names, ", "));
    }
    return placed;
}

std::string loadouts_text(const std::vector<PlacedLoadout>& loadouts, bool detailed) {
    if (detailed) {
        std::string text;
        for (const PlacedLoadout& placed : loadouts) {
            text += detail_text(placed) + '\n';
        }
        return text + std::string(kNominal);
    }
    std::vector<std::vector<std::string>> rows{{"NAME", ">MEMORY", ">TAKES", "HERE", "WHAT FOR"}};
    for (const PlacedLoadout& placed : loadouts) {
        rows.push_back({std::string(placed.loadout->name),
                        fmt::format("{} GiB", placed.loadout->memory_bytes / kGiB),
                        human_bytes(placed.bytes()), here(placed.fit),
                        std::string(placed.loadout->what)});
    }
    return table(rows) + fmt::format("\nTheir models: trilane loadouts NAME\n{}", kNominal);
}

json::Value loadouts_json(const std::vector<PlacedLoadout>& loadouts) {
    json::Value list = json::Value::array();
    for (const PlacedLoadout& placed : loadouts) {
        json::Value models = json::Value::array();
        for (const PlacedModel& one : placed.models) {
            models.push_back({{"role", one.model->role},
                              {"reference", one.model->reference},
                              {"purpose", catalog::purpose_name(one.model->purpose)},
                              {"lane", one.model->lane},
                              {"device_here", one.device},
                              {"bytes", one.model->bytes},
                              {"context_tokens", one.model->context_tokens},
                              {"kv_bytes_per_token", one.model->kv_bytes_per_token},
                              {"fit", plan::fit_name(one.verdict.fit)}});
        }
        list.push_back({{"name", placed.loadout->name},
                        {"memory_bytes", placed.loadout->memory_bytes},
                        {"what", placed.loadout->what},
                        {"bytes", placed.bytes()},
                        {"nominal", true},
                        {"fit", plan::fit_name(placed.fit)},
                        {"models", std::move(models)}});
    }
    return {{"loadouts", std::move(list)}};
}

Result<int> perform(const LoadoutsOptions& options) {
    const probe::Machine machine = probe::read_machine(options.root);
    TRILANE_TRY(const auto loadouts, place_loadouts(options.name, plan::memory_of(machine, {})));
    TRILANE_TRY_STATUS(print(options.json ? json::dump_pretty(loadouts_json(loadouts)) + '\n'
                                          : loadouts_text(loadouts, !options.name.empty())));
    return 0;
}

}  // namespace trilane::app
