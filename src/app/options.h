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
    std::string model = kBundledName;   ///< a file, or a name that `trilane list` shows
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
    std::string home;                ///< what "~/" means in the file; "" = nothing
    std::string config_file;         ///< "" = none
    std::vector<std::string> given;  ///< options of the command line, "--port" …: they win
    std::vector<std::string> path;   ///< where lanes' programs are looked for
    std::vector<std::string> child_environment;  ///< "NAME=value" that children may inherit
    std::string state_dir;
    std::string models_dir;    ///< where pulled models are kept
    std::string keys_file;     ///< of `trilane key`, where the configuration names none
    std::string hub_endpoint;  ///< "" = Hugging Face
    std::string hub_token;
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
    std::vector<std::string> asked_dirs;  ///< of model_dirs, those of the command line
    std::vector<std::string> model_dirs;
    std::vector<std::string> path;         ///< where FLM is looked for
    std::vector<std::string> environment;  ///< that it gets
    std::string config_file;               ///< whose folders are among them; "" = none
    std::string home;                      ///< what "~/" means there; "" = nothing
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

struct ProbeOptions {
    bool json = false;
    std::string root;                      ///< a tree to read instead of this machine
    std::vector<std::string> path;         ///< where engines are looked for
    std::vector<std::string> environment;  ///< "NAME=value" that they get
};

struct DoctorOptions {
    bool json = false;
    bool all = false;  ///< also the checks that do not apply here
    std::string root;
    std::vector<std::string> path;
    std::vector<std::string> environment;
    std::vector<std::string> own_environment;  ///< of this process, to be looked at
    std::string config_file;                   ///< whose lanes count; "" = none
};

struct PlanOptions {
    std::vector<std::string> models;
    std::uint32_t context_tokens = 0;  ///< of one request; 0 = as loading would decide
    std::uint32_t parallel = 0;
    std::string kv;      ///< "f16", "q8" …; "" = f16
    std::string device;  ///< "cpu", "gpu0", "npu"; "" = every one there is
    bool json = false;
    std::string root;
    std::vector<std::string> model_dirs;
    std::string state_dir;    ///< where the daemon keeps what loads were seen to hold; "" = nowhere
    std::string config_file;  ///< whose reserve counts; "" = none
};

struct PullVerbOptions {
    std::string reference;
    std::string id;
    std::string models_dir;  ///< where pulled models are kept
    bool force = false;
    bool json = false;
    bool dry_run = false;
    std::string hub_endpoint;  ///< "" = Hugging Face
    std::string hub_token;
    std::vector<std::string> model_dirs;
    std::string config_file;  ///< whose hub and reserve count; "" = none
};

struct RemoveOptions {
    std::string model;
    bool yes = false;  ///< do not ask
    bool json = false;
    std::string models_dir;
    std::vector<std::string> model_dirs;
};

struct ImportOptions {
    std::string path;
    std::string id;
    bool link = false;
    bool json = false;
    std::string config_file;  ///< whose disk_reserve counts; "" = none
    std::string models_dir;
};

struct LoadoutsOptions {
    std::string name;  ///< "" = all
    bool json = false;
    std::string root;
};

struct ConfigOptions {
    enum class What : std::uint8_t { check, show, defaults, path };
    What what = What::check;
    std::string file;                 ///< "" = there is none
    std::vector<std::string> places;  ///< where it would be looked for
    bool json = false;
    ServeOptions serve;  ///< of a daemon that would be started here
};

/// How a verb reaches the daemon.
struct Connection {
    std::string url = "http://127.0.0.1:13305";
    std::string api_key;
    std::string api_key_file;  ///< "" = `api_key`, which may be none
};

struct PsOptions {
    Connection connection;
    bool json = false;
};

struct LogsOptions {
    Connection connection;
    std::string lane;  ///< "" = every lane's
    bool follow = false;
    std::uint32_t lines = 100;
    bool json = false;
};

struct LoadOptions {
    Connection connection;
    std::string model;
    std::string lane;  ///< "" = the best one
    std::uint32_t context_tokens = 0;
    bool pin = false;
    bool json = false;
};

struct UnloadOptions {
    Connection connection;
    std::string model;
    bool json = false;
};

struct KeyOptions {
    enum class What : std::uint8_t { add, list, revoke };
    What what = What::list;
    std::string name;
    bool admin = false;
    std::vector<std::string> models;
    std::vector<std::string> lanes;
    std::uint32_t requests_per_minute = 0;
    std::uint32_t concurrent = 0;
    std::uint32_t days = 0;  ///< until it expires; 0 = never
    bool json = false;
    std::string keys_file;    ///< where the configuration names none
    std::string config_file;  ///< "" = there is none
};

struct UsageOptions {
    std::vector<std::string> by{"model"};
    std::string since = "30d";
    bool json = false;
    std::string state_dir;
    std::string config_file;  ///< "" = there is none
};

/// What the command line asks for: one verb with its options.
using Command =
    std::variant<ServeOptions, RunOptions, ModelsOptions, GgufShowOptions, TokenOptions,
                 PerplexityOptions, VersionOptions, ProbeOptions, DoctorOptions, PlanOptions,
                 PullVerbOptions, RemoveOptions, ImportOptions, LoadoutsOptions, ConfigOptions,
                 PsOptions, LogsOptions, LoadOptions, UnloadOptions, KeyOptions, UsageOptions>;

}  // namespace trilane::app
