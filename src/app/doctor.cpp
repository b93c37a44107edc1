// `trilane doctor`: known traps on this machine, and how to get out of them.
#include "doctor/doctor.h"

#include <filesystem>

#include "app/machine_listing.h"
#include "app/options.h"
#include "app/output.h"
#include "app/serve_setup.h"
#include "app/verbs.h"
#include "config/config.h"
#include "json/json.h"

namespace trilane::app {
namespace {

/// The path under which the survey has that program, or the program as it is named.
std::string surveyed(const std::string& program, const std::vector<probe::Engine>& engines) {
    for (const probe::Engine& engine : engines) {
        std::error_code ignored;
        if (std::filesystem::equivalent(engine.path, program, ignored)) {
            return engine.path;
        }
    }
    return program;
}

/// What `serve` would open here makes a trap of what would else be a remark. A file that cannot be
/// read is `trilane config check`'s business.
void look_at_lanes(const config::Config& config, const DoctorOptions& options,
                   const probe::Machine& machine, doctor::Surroundings& around) {
    ServeOptions serve;
    serve.path = options.path;
    around.lanes_configured = !config.lanes.empty();
    for (const lane::Settings& lane : lane_settings(config, serve, machine, around.engines)) {
        around.npu_wanted = around.npu_wanted || lane.kind == "flm";
        if (lane.kind == "llama-server" && lane.device.starts_with("gpu")) {
            const auto kind = lane::descriptor_of(lane.kind);
            const std::string program =
                lane.program.empty() ? lane::installed_program(**kind, options.path) : lane.program;
            around.llama_lanes.push_back(
                {lane.name, surveyed(program, around.engines), lane.engine_device});
        }
    }
}

/// Programs that lanes name themselves.
std::vector<std::pair<std::string, std::string>> named_programs(const config::Config& config) {
    std::vector<std::pair<std::string, std::string>> programs;
    for (const lane::Settings& lane : config.lanes) {
        if (!lane.program.empty()) {
            programs.emplace_back(lane.kind, lane.program);
        }
    }
    return programs;
}

}  // namespace

Result<int> perform(const DoctorOptions& options) {
    const config::Config config = told_config(options.config_file).config;
    TRILANE_TRY(Survey found,
                survey(options.root, {options.path, options.environment, named_programs(config)}));
    doctor::Surroundings around;
    around.engines = std::move(found.engines);
    around.vulkan = std::move(found.vulkan);
    around.vulkan_asked = found.asked;
    if (found.asked) {
        look_at_lanes(config, options, found.machine, around);
        around.environment = options.own_environment;
        around.environment.insert(around.environment.end(), options.environment.begin(),
                                  options.environment.end());
    }
    const std::vector<doctor::Finding> findings = doctor::examine(found.machine, around);
    TRILANE_TRY_STATUS(print(options.json
                                 ? json::dump_pretty(doctor_json(findings)) + '\n'
                                 : doctor_text(findings, options.all, stdout_is_terminal())));
    return doctor::exit_code(findings);
}

}  // namespace trilane::app
