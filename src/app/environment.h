// Environment: what the surroundings of the process say, read once at the start. The only place of
// the house that reads environment variables.
#pragma once

#include <string>
#include <vector>

namespace trilane::app {

struct Environment {
    std::string isa;      ///< TRILANE_ISA
    std::string api_key;  ///< TRILANE_API_KEY
    std::string home;     ///< HOME, a whole path; "" = there is none
    /// Folders that hold models, first found wins: TRILANE_MODELS_DIR, share/trilane/models beside
    /// the installed program, models/ of the source tree it was built from.
    std::vector<std::string> model_dirs;
    std::string
        state_dir;  ///< $XDG_STATE_HOME/trilane or ~/.local/state/trilane; may not exist yet
    std::string models_dir;   ///< $XDG_DATA_HOME/trilane/models: where pulled models are kept
    std::string config_file;  ///< the first of config_places that exists; "" = none
    std::vector<std::string> config_places;  ///< TRILANE_CONFIG, or the user's, then the system's
    std::string keys_file;     ///< keys.json beside the user's configuration, or the one in force
    std::string url;           ///< TRILANE_URL
    std::string hub_endpoint;  ///< HF_ENDPOINT
    std::string hub_token;     ///< HF_TOKEN, or the file where its client keeps it
    std::vector<std::string> path;  ///< the directories of PATH
    /// "NAME=value" of what children may inherit: a short list, so that nothing of ours or of
    /// another engine's changes what they do.
    std::vector<std::string> child_environment;
    /// Variables that are known to change what engines do, as they are set here.
    std::vector<std::string> own_environment;
};

Environment read_environment();

}  // namespace trilane::app
