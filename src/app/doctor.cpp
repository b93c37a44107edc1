// `trilane doctor`: known traps on this machine, and how to get out of them.
#include "doctor/doctor.h"

#include "app/machine_listing.h"
#include "app/options.h"
#include "app/output.h"
#include "app/verbs.h"
#include "json/json.h"

namespace trilane::app {

Result<int> perform(const DoctorOptions& options) {
    TRILANE_TRY(Survey found, survey(options.root, {options.path, options.environment}));
    doctor::Surroundings around;
    around.engines = std::move(found.engines);
    if (found.asked) {
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
