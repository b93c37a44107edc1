// Every option of every verb with its default: the one place that says what a person can configure.
// Plain structs, filled by command_line.cpp and read by the verbs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "job/job.h"
#include "kernels/kernels.h"

namespace trilane::app {

inline constexpr std::uint16_t kPortDefault = 13305;
inline constexpr std::uint32_t kContextTokensMax = 1U << 22U;
inline constexpr std::uint32_t kSlotsMax = 256;
inline constexpr std::uint32_t kQueueMax = 65'536;
inline constexpr std::uint32_t kPatienceSecondsMax = 3'600;
inline constexpr std::uint32_t kThreadsMax = 1024;
inline constexpr std::uint32_t kPplWindowsMax = 1U << 24U;

/// The name by which the model that comes with Trilane is asked for.
inline constexpr const char* kBundledName = "bundled";

enum class LogLevel : std::uint8_t { debug, info, warn, error, off };

struct ServeOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = kPortDefault;  ///< 0 = any free one
    std::string model = kBundledName;   ///< a file, or a name that `trilane models` lists
    bool no_model = false;
    std::uint32_t context_tokens = 0;  ///< per request; 0 = what the model was made for
    std::uint32_t slots = 8;
    std::uint32_t queue_max = 64;
    std::uint32_t patience_s = 10;  ///< how long running answers may go on after a stop signal
    std::size_t threads = 0;        ///< 0 = the cores this process may use
    std::string api_key;            ///< empty = none is asked for
    std::vector<std::string> cors_origins;
    LogLevel log_level = LogLevel::info;
    std::optional<kernels::Isa> isa;
    std::vector<std::string> model_dirs;
};

/// A little livelier than greedy, without the unlikely tail.
inline job::Sampling chat_sampling() {
    job::Sampling sampling;
    sampling.temperature = 0.7F;
    sampling.min_p = 0.05F;
    return sampling;
}

struct RunOptions {
    std::string first;   ///< a model, or the prompt when it names none
    std::string second;  ///< the prompt when `first` is a model
    std::string model;   ///< --model: then `first` is the prompt
    std::string system;
    bool raw = false;  ///< continue the prompt as it stands, without the chat template
    bool verbose = false;
    job::Sampling sampling = chat_sampling();
    std::uint32_t max_tokens = 0;  ///< 0 = what the context leaves
    std::uint32_t context_tokens = 0;
    std::size_t threads = 0;
    std::optional<kernels::Isa> isa;
    std::vector<std::string> model_dirs;
    std::string state_dir;  ///< where the line history is kept; empty = nowhere
};

struct ModelsOptions {
    bool json = false;
    std::vector<std::string> model_dirs;
};

struct GgufShowOptions {
    std::string file;
    bool json = false;
    bool tensors = false;
    std::vector<std::string> model_dirs;
};

struct TokenOptions {
    std::string file;
    std::string text;  ///< "-" = standard input
    bool json = false;
    bool special = false;
    bool no_bos = false;
    std::vector<std::string> model_dirs;
};

struct PerplexityOptions {
    std::string file;
    std::string text_file;
    bool llama = false;
    bool json = false;
    std::uint32_t context_tokens = 512;
    std::uint32_t stride = 0;       ///< 0 = half the context
    std::uint32_t windows_max = 0;  ///< 0 = all
    std::size_t threads = 0;
    std::optional<kernels::Isa> isa;
    std::vector<std::string> model_dirs;
};

struct VersionOptions {
    bool json = false;
    std::optional<kernels::Isa> isa;
};

/// What the command line asks for: one verb with its options.
using Command = std::variant<ServeOptions, RunOptions, ModelsOptions, GgufShowOptions, TokenOptions,
                             PerplexityOptions, VersionOptions>;

}  // namespace trilane::app
