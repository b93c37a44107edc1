// Environment: what the surroundings of the process say, read once at the start. The only place of
// the house that reads environment variables.
#pragma once

#include <string>
#include <vector>

namespace trilane::app {

struct Environment {
    std::string isa;      ///< TRILANE_ISA
    std::string api_key;  ///< TRILANE_API_KEY
    /// Folders that hold models, first found wins: TRILANE_MODELS_DIR, share/trilane/models beside
    /// the installed program, models/ of the source tree it was built from.
    std::vector<std::string> model_dirs;
    std::string
        state_dir;  ///< $XDG_STATE_HOME/trilane or ~/.local/state/trilane; may not exist yet
};

Environment read_environment();

}  // namespace trilane::app
