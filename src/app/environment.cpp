#include "app/environment.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "os/small_file.h"

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

std::string home_folder() {
    std::string home = variable("HOME");
    return home.starts_with('/') ? home : "";
}

/// $NAME when it is an absolute path, else ~/rest; empty without a home.
std::string user_folder(const char* name, std::string_view rest) {
    if (std::string folder = variable(name); folder.starts_with('/')) {
        return folder;
    }
    const std::string home = home_folder();
    return home.empty() ? "" : home + "/" + std::string(rest);
}

/// What a child needs to run at all, to find its files and to choose its device.
constexpr std::array kInherited = {"PATH",
                                   "HOME",
                                   "USER",
                                   "LOGNAME",
                                   "LANG",
                                   "LC_ALL",
                                   "LC_CTYPE",
                                   "TZ",
                                   "TMPDIR",
                                   "XDG_CACHE_HOME",
                                   "XDG_CONFIG_HOME",
                                   "XDG_DATA_HOME",
                                   "XDG_RUNTIME_DIR",
                                   "GGML_VK_VISIBLE_DEVICES",
                                   "HIP_VISIBLE_DEVICES",
                                   "ROCR_VISIBLE_DEVICES",
                                   "CUDA_VISIBLE_DEVICES",
                                   "HSA_OVERRIDE_GFX_VERSION",
                                   "VK_ICD_FILENAMES",
                                   "VK_DRIVER_FILES",
                                   "FLM_MODEL_PATH",
                                   "SSL_CERT_FILE",
                                   "SSL_CERT_DIR"};
/// What the doctor wants to see.
constexpr std::array kTelling = {"XILINX_XRT",      "LD_LIBRARY_PATH", "LD_PRELOAD",
                                 "FLM_XCLBIN_PATH", "FLM_CONFIG_PATH", "HSA_OVERRIDE_GFX_VERSION",
                                 "VK_ICD_FILENAMES"};

template <class Names>
std::vector<std::string> set_variables(const Names& names) {
    std::vector<std::string> out;
    for (const char* name : names) {
        if (std::string value = variable(name); !value.empty()) {
            out.push_back(std::string(name) + "=" + value);
        }
    }
    return out;
}

std::vector<std::string> split_path(std::string_view path) {
    std::vector<std::string> directories;
    while (!path.empty()) {
        const std::string_view one = path.substr(0, path.find(':'));
        if (one.starts_with('/')) {
            directories.emplace_back(one);
        }
        path.remove_prefix(std::min(one.size() + 1, path.size()));
    }
    return directories;
}

/// The first line of a small file; empty when there is none.
std::string first_line(const std::string& path) {
    constexpr std::size_t kBytesMax = 4096;
    const std::string text = os::read_small_file(path, kBytesMax).value_or("");
    return text.substr(0, text.find('\n'));
}

void read_config_places(Environment& environment) {
    if (std::string file = variable("TRILANE_CONFIG"); !file.empty()) {
        environment.config_places.push_back(std::move(file));
    } else {
        if (const std::string folder = user_folder("XDG_CONFIG_HOME", ".config"); !folder.empty()) {
            environment.config_places.push_back(folder + "/trilane/config.toml");
        }
        environment.config_places.emplace_back("/etc/trilane/config.toml");
    }
    for (const std::string& place : environment.config_places) {
        std::error_code ignored;
        if (environment.config_file.empty() && fs::exists(place, ignored)) {
            environment.config_file = place;
        }
    }
    const std::string& beside = environment.config_file.empty() ? environment.config_places.front()
                                                                : environment.config_file;
    environment.keys_file = (fs::path(beside).parent_path() / "keys.json").string();
}

void read_hub(Environment& environment) {
    environment.hub_endpoint = variable("HF_ENDPOINT");
    environment.hub_token = variable("HF_TOKEN");
    if (environment.hub_token.empty()) {
        std::string home = variable("HF_HOME");
        home = home.empty() ? user_folder("XDG_CACHE_HOME", ".cache") + "/huggingface" : home;
        environment.hub_token = first_line(home + "/token");
    }
}

}  // namespace

Environment read_environment() {
    Environment environment;
    environment.isa = variable("TRILANE_ISA");
    environment.api_key = variable("TRILANE_API_KEY");
    environment.home = home_folder();

    if (std::string dir = variable("TRILANE_MODELS_DIR"); !dir.empty()) {
        environment.model_dirs.push_back(std::move(dir));
    }
    if (const fs::path dir = program_dir(); !dir.empty()) {
        environment.model_dirs.push_back((dir.parent_path() / "share/trilane/models").string());
    }
    environment.model_dirs.emplace_back(TRILANE_BUILD_MODELS_DIR);

    if (const std::string state = user_folder("XDG_STATE_HOME", ".local/state"); !state.empty()) {
        environment.state_dir = state + "/trilane";
    }
    if (const std::string data = user_folder("XDG_DATA_HOME", ".local/share"); !data.empty()) {
        environment.models_dir = data + "/trilane/models";
        environment.model_dirs.push_back(environment.models_dir);
    }
    environment.url = variable("TRILANE_URL");
    environment.path = split_path(variable("PATH"));
    environment.child_environment = set_variables(kInherited);
    environment.own_environment = set_variables(kTelling);
    read_config_places(environment);
    read_hub(environment);
    return environment;
}

}  // namespace trilane::app
