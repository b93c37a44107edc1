#include "app/config_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <initializer_list>
#include <memory>

#include "app/output.h"
#include "app/serve_setup.h"
#include "catalog/catalog.h"
#include "net/client.h"
#include "net/loops.h"
#include "net/server.h"
#include "os/child.h"
#include "plan/plan.h"

namespace trilane::app {
namespace {

class MachineCheck {
public:
    MachineCheck(const config::Config& config, std::string_view text, const ServeOptions& options,
                 const probe::Machine& machine)
        : config_(config), text_(text), options_(options), machine_(machine) {}

    void server();
    void memory();
    void catalog();
    void telemetry();
    void lanes_and_models();

    std::vector<config::Remark> remarks;

private:
    struct Opened {
        lane::Settings settings;
        std::shared_ptr<lane::Lane> lane;
    };
    using Names = std::initializer_list<std::string>;

    void error(Names at, std::string what) { say(at, true, std::move(what)); }
    void warn(Names at, std::string what) { say(at, false, std::move(what)); }
    void say(Names at, bool is_error, std::string what) {
        remarks.push_back(
            config::remark_at(text_, {at.begin(), at.size()}, is_error, std::move(what)));
    }
    [[nodiscard]] plan::Memory planned() const {
        return plan::memory_of(machine_, config_.memory.reserve);
    }
    std::vector<Opened> open_lanes(const lane::Parts& parts);
    void model(const config::ModelSection& model, const std::vector<Opened>& lanes,
               const lane::Parts& parts);
    void model_lanes(const config::ModelSection& model, const std::vector<Opened>& lanes);
    void model_args(const config::ModelSection& model, const Opened& on, const lane::Parts& parts);
    [[nodiscard]] bool may_be_there(const config::ModelSection& model,
                                    const std::vector<Opened>& lanes) const;

    const config::Config& config_;
    const std::string_view text_;
    const ServeOptions& options_;
    const probe::Machine& machine_;
    std::vector<catalog::Entry> files_;
};

void MachineCheck::server() {
    if (const auto keys = serve_keys(config_, options_); !keys) {
        const bool host = keys.error().fault == Fault::invalid;
        const char* file = config_.server.api_key_file.empty() ? "keys_file" : "api_key_file";
        error({"server", host ? "host" : file}, keys.error().message);
    }
    const config::ServerSection& server = config_.server;
    if (const Status tls = net::check({server.tls_certificate, server.tls_key}); !tls) {
        error({"server", server.tls_certificate.empty() ? "tls_key" : "tls_certificate"},
              tls.error().message);
    }
}

void MachineCheck::memory() {
    const plan::Memory memory = planned();
    const auto& reserve = config_.memory.reserve.bytes;
    if (reserve && !memory.pools.empty() && *reserve >= memory.pools.front().total_bytes) {
        warn({"memory", "reserve"},
             fmt::format("memory.reserve leaves no model any room: this machine has {}",
                         human_bytes(memory.pools.front().total_bytes)));
    }
}

void MachineCheck::catalog() {
    for (std::string& missing : missing_folders(config_, options_.home)) {
        warn({"catalog", "directories"}, std::move(missing));
    }
}

void MachineCheck::telemetry() {
    const std::string& url = config_.telemetry.otlp_url;
    if (const auto target = net::parse_url(url); !url.empty() && !target) {
        warn({"telemetry", "otlp_url"},
             fmt::format("no spans are sent to telemetry.otlp_url: {}", target.error().message));
    }
}

/// Those that serve would have; of the others that the file names, says why not.
std::vector<MachineCheck::Opened> MachineCheck::open_lanes(const lane::Parts& parts) {
    std::vector<Opened> out;
    for (lane::Settings& settings : lane_settings(config_, options_, machine_)) {
        auto lane = open_to_serve(settings, parts, planned());
        if (lane) {
            out.push_back({std::move(settings), *std::move(lane)});
        } else if (!config_.lanes.empty()) {
            warn({"lane", settings.name},
                 fmt::format("lane.{} cannot be used here, so the daemon goes without it: {}",
                             settings.name, lane.error().message));
        }
    }
    return out;
}

/// Whether a file has that name, or a lane may offer it that has models of its own.
bool MachineCheck::may_be_there(const config::ModelSection& model,
                                const std::vector<Opened>& lanes) const {
    if (std::ranges::find(files_, model.id, &catalog::Entry::id) != files_.end()) {
        return true;
    }
    return std::ranges::any_of(lanes, [&](const Opened& one) {
        const bool allowed = model.lanes.empty() ||
                             std::ranges::find(model.lanes, one.settings.name) != model.lanes.end();
        if (!allowed || one.lane->descriptor().store == catalog::Store::gguf) {
            return false;
        }
        // What FLM and remote servers have is known once they are asked, which is not done here.
        const std::vector<catalog::Entry> offers = one.lane->offers();
        return offers.empty() ||
               std::ranges::find(offers, model.id, &catalog::Entry::id) != offers.end();
    });
}

/// Without lanes in the file, models may name those that were found here.
void MachineCheck::model_lanes(const config::ModelSection& model,
                               const std::vector<Opened>& lanes) {
    std::string found;
    for (const Opened& one : lanes) {
        found += (found.empty() ? "" : ", ") + one.settings.name;
    }
    for (const std::string& name : model.lanes) {
        const bool here = std::ranges::any_of(
            lanes, [&](const Opened& one) { return one.settings.name == name; });
        if (!here && config_.lanes.empty()) {
            warn({"model", model.id, "lanes"},
                 fmt::format("model.\"{}\".lanes: this machine has no lane {}; it has: {}",
                             model.id, name, found));
        }
    }
}

/// The model's arguments are looked at as the lane's own are.
void MachineCheck::model_args(const config::ModelSection& model, const Opened& on,
                              const lane::Parts& parts) {
    const bool named = model.lanes.empty() ||
                       std::ranges::find(model.lanes, on.settings.name) != model.lanes.end();
    if (model.wishes.args.empty() || !named || !on.lane->descriptor().takes_args) {
        return;
    }
    lane::Settings with = on.settings;
    with.args = model.wishes.args;
    if (const auto lane = open_to_serve(with, parts, planned()); !lane) {
        warn({"model", model.id, "args"},
             fmt::format("model.\"{}\" cannot be loaded on lane {}: {}", model.id, with.name,
                         lane.error().message));
    }
}

void MachineCheck::model(const config::ModelSection& model, const std::vector<Opened>& lanes,
                         const lane::Parts& parts) {
    model_lanes(model, lanes);
    for (const Opened& one : lanes) {
        model_args(model, one, parts);
    }
    const char* wish = model.pin              ? "pin"
                       : model.preload        ? "preload"
                       : !model.lanes.empty() ? "lanes"
                                              : nullptr;
    if (wish != nullptr && model.id != "*" && !may_be_there(model, lanes)) {
        warn({"model", model.id, wish},
             fmt::format("model.\"{}\".{}: there is no model of that name; `trilane list` shows "
                         "those there are",
                         model.id, wish));
    }
}

void MachineCheck::lanes_and_models() {
    catalog::LocalModels models(model_folders(config_, options_));
    models.scan();
    files_ = models.list();
    try {
        net::Loops loops(1U);
        os::ChildWatch children;
        const lane::Parts parts = lane_parts(options_, children, loops);
        const std::vector<Opened> lanes = open_lanes(parts);
        for (const config::ModelSection& one : config_.models) {
            model(one, lanes, parts);
        }
    } catch (const std::exception& failed) {
        warn({}, fmt::format("lanes could not be looked at, for no thread starts: {}; see `ulimit "
                             "-u` and `ulimit -n`",
                             failed.what()));
    }
}

}  // namespace

std::vector<config::Remark> machine_remarks(const config::Checked& checked, std::string_view text,
                                            const ServeOptions& options,
                                            const probe::Machine& machine) {
    MachineCheck check(checked.config, text, options, machine);
    if (checked.understood("server")) {
        check.server();
    }
    if (checked.understood("memory")) {
        check.memory();
    }
    if (checked.understood("catalog")) {
        check.catalog();
    }
    if (checked.understood("telemetry")) {
        check.telemetry();
    }
    // Each of these depends on the others.
    if (checked.good()) {
        check.lanes_and_models();
    }
    return std::move(check.remarks);
}

}  // namespace trilane::app
