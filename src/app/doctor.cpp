// `trilane doctor`: known traps on this machine, and how to get out of them.
#include "doctor/doctor.h"

#include "app/machine_listing.h"
#include "app/options.h"
#include "app/output.h"
#include "app/verbs.h"
#include "config/config.h"
#include "json/json.h"

namespace trilane::app {
namespace {

/// What the owner wants of this machine makes a trap of what would else be a remark. A file that
/// cannot be read is `trilane config check`'s business.
void look_at_lanes(const std::string& file, doctor::Surroundings& around) {
    if (file.empty()) {
        return;
    }
    const auto text = read_file(file, kConfigBytesMax);
    if (!text) {
        return;
    }
    for (const lane::Settings& lane : config::read_config(*text, file).config.lanes) {
        around.npu_wanted = around.npu_wanted || lane.kind == "flm";
        around.rocm_lane = around.rocm_lane || lane.engine_device.starts_with("ROCm");
    }
}

}  // namespace

Result<int> perform(const DoctorOptions& options) {
    TRILANE_TRY(Survey found, survey(options.root, {options.path, options.environment}));
    doctor::Surroundings around;
    around.engines = std::move(found.engines);
    around.vulkan = std::move(found.vulkan);
    around.vulkan_asked = found.asked;
    if (found.asked) {
        look_at_lanes(options.config_file, around);
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
