// `trilane probe`: what this machine is made of.
#include "app/machine_listing.h"
#include "app/options.h"
#include "app/output.h"
#include "app/verbs.h"
#include "json/json.h"

namespace trilane::app {

Result<int> perform(const ProbeOptions& options) {
    TRILANE_TRY(const Survey found, survey(options.root, {options.path, options.environment}));
    TRILANE_TRY_STATUS(print(options.json ? json::dump_pretty(probe_json(found)) + '\n'
                                          : probe_text(found, stdout_is_terminal())));
    return 0;
}

}  // namespace trilane::app
