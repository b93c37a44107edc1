// Engines: which inference programs are installed beside Trilane, of which version, and what
// devices they offer. Runs them (`--version`, `--list-devices`, `validate --json`), each within a
// time limit and with a scrubbed environment.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trilane::probe {

/// A device as an engine names it, e.g. {"Vulkan0", "Radeon 8060S Graphics (RADV GFX1151)", …}.
struct EngineDevice {
    std::string name;
    std::string description;
    std::uint64_t total_bytes = 0;
    std::uint64_t free_bytes = 0;
};

/// An installed program.
struct Engine {
    std::string kind;  ///< "llama-server", "flm", "whisper-server", "sd-server", "kokoro",
                       ///< "espeak"
    std::string path;
    std::string version;  ///< "" = it would not say
    std::vector<EngineDevice> devices;
    std::vector<std::string> flags;  ///< long options that its --help lists, "--cache-ram" …
    std::string validation;          ///< flm: the JSON text of `validate --json`; "" = none
    std::string xrt_plugin;          ///< flm: path of an XRT driver that came with it; "" = none
    std::string problem;             ///< why it could not be asked; "" = nothing wrong
};

/// What to look for, and where.
struct EngineSearch {
    /// {"kind", "program name or path"}: names are looked for in `directories`.
    std::vector<std::pair<std::string, std::string>> programs;
    std::vector<std::string> directories;        ///< of PATH, in order
    std::vector<std::string> environment;        ///< what the programs get, "NAME=value"
    std::chrono::milliseconds patience{10'000};  ///< per run of a program
};

/// Programs of one search beyond this many are left out.
inline constexpr std::size_t kEnginesMax = 32;

/// Every one that is found; several builds of one kind are several entries. Programs are asked at
/// the same time, each in a process of its own. Takes at most a few times `patience`.
/// **Threads:** any; starts none.
std::vector<Engine> find_engines(const EngineSearch& search);

/// The device lines of `llama-server --list-devices`.
std::vector<EngineDevice> parse_device_list(std::string_view text);
/// Long options in a --help text, each once, in the order in which they first stand there.
std::vector<std::string> parse_flags(std::string_view help);
/// What `llama-server --version` says: "6795 (cd708029)"; "" when it does not.
std::string parse_llama_version(std::string_view text);
/// What `flm version --json` says, or an older `flm --version`: "0.9.43"; "" when neither.
std::string parse_flm_version(std::string_view text);

}  // namespace trilane::probe
