#include "app/environment.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

namespace trilane::app {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
    // Called from main before any other thread exists.
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    return value == nullptr ? std::string() : std::string(value);
}

/// The folder of the running program, or empty where /proc is not there to tell.
fs::path program_dir() {
    std::error_code ignored;
    const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
    return program.parent_path();
}

}  // namespace

Environment read_environment() {
    Environment environment;
    environment.isa = variable("TRILANE_ISA");
    environment.api_key = variable("TRILANE_API_KEY");

    if (std::string dir = variable("TRILANE_MODELS_DIR"); !dir.empty()) {
        environment.model_dirs.push_back(std::move(dir));
    }
    if (const fs::path dir = program_dir(); !dir.empty()) {
        environment.model_dirs.push_back((dir.parent_path() / "share/trilane/models").string());
    }
    environment.model_dirs.emplace_back(TRILANE_BUILD_MODELS_DIR);

    if (const std::string state = variable("XDG_STATE_HOME"); state.starts_with('/')) {
        environment.state_dir = state + "/trilane";
    } else if (const std::string home = variable("HOME"); home.starts_with('/')) {
        environment.state_dir = home + "/.local/state/trilane";
    }
    return environment;
}

}  // namespace trilane::app
