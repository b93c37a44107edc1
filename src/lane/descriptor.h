// Descriptor: what there is to know of a kind of lane, as data. The keys of its configuration and
// their docs, the programs that probe looks for, and the opening of lanes follow from the table; a
// new kind is a row and a folder.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "engine/engine.h"
#include "lane/lane.h"
#include "probe/engine_device.h"

namespace trilane::os {
class ChildWatch;
}
namespace trilane::net {
class Loops;
}

namespace trilane::lane {

enum class Silicon { cpu, gpu, npu, remote };
std::string_view silicon_name(Silicon silicon);

/// One lane as it is configured.
struct Settings {
    std::string name;
    std::string kind;
    std::string device;         ///< plan's device name: "cpu", "gpu0", "npu"; "" = by kind
    std::string program;        ///< path or name of the child's program; "" = the kind's, on `path`
    std::string engine_device;  ///< as the engine names it: "Vulkan0", "ROCm0", "none"
    std::vector<std::string> args;  ///< further arguments for every child of the lane
    std::map<std::string, std::string> environment;  ///< further variables for its children
    /// Of the GPU that `device` is, on a machine with several: what engines call it follows from
    /// it.
    probe::GpuMark gpu;
    std::uint32_t residents_max = 0;        ///< 0 = the kind's default
    std::uint32_t requests_max = 0;         ///< at once per resident; 0 = the kind's
    std::uint64_t prompt_cache_bytes = 0;   ///< llama-server's --cache-ram
    std::string cgroup;                     ///< for its children
    std::uint32_t start_timeout_s = 600;    ///< from start to ready
    std::uint32_t hang_timeout_s = 60;      ///< busy, no token and no health for so long = hung
    std::uint32_t silence_timeout_s = 600;  ///< busy, no token for so long, whatever its health
    // remote
    std::string url;
    std::string api_key;              ///< redacted wherever it is shown
    std::string api_key_file;         ///< read by whoever opens the lane
    std::vector<std::string> models;  ///< that it is known to serve; empty = ask it
    std::uint32_t context_tokens = 0;
    bool sanity = false;  ///< ask chat models a test question before they are used
    // native
    engine::Options engine;
};

/// What lanes share and do not own.
struct Parts {
    os::ChildWatch* children = nullptr;
    net::Loops* loops = nullptr;
    std::vector<std::string> path;         ///< directories to look for programs in
    std::vector<std::string> environment;  ///< "NAME=value" that children may inherit: scrubbed
    std::string state_dir;                 ///< for sockets and caches; "" = none
    std::function<void(std::string_view)> log;  ///< a line for the daemon's log
};

/// What a value of the configuration is. `device` is one of plan's names, not an engine's.
enum class OptionType { text, device, texts, pairs, count, bytes, seconds, flag };

/// Where the value goes.
using OptionField =
    std::variant<std::string Settings::*, std::vector<std::string> Settings::*,
                 std::map<std::string, std::string> Settings::*, std::uint32_t Settings::*,
                 std::uint64_t Settings::*, std::uint32_t engine::Options::*,
                 std::size_t engine::Options::*, bool Settings::*>;

/// A key of a lane's configuration: reading, checking, showing and docs of the file follow from it.
struct Option {
    std::string_view key;
    OptionType type;
    OptionField field;
    std::string_view text;        ///< a sentence for people
    std::string_view usual = {};  ///< what "" or 0 stands for; "" = the default speaks for itself
    std::uint64_t min = 0;        ///< of counts and seconds
    std::uint64_t max = 0;
};

struct Descriptor {
    std::string_view kind;  ///< "llama-server"
    std::string_view summary;
    Silicon silicon;       ///< on which it usually runs; that of an opened lane: silicon_of()
    catalog::Store store;  ///< which entries it can load
    std::span<const catalog::Purpose> purposes;
    std::span<const std::string_view> programs;  ///< names to look for; empty = no child
    std::span<const Option> options;
    std::uint32_t residents_max;
    std::uint32_t requests_max;  ///< 0 = by the model
    bool takes_kv = false;       ///< a model's wish for another KV type than f16 counts there
    bool takes_args = false;     ///< a model's wish for further arguments does
    Result<std::shared_ptr<Lane>> (*open)(const Settings& settings, const Parts& parts);
};

/// Every kind, in the order in which they are listed.
std::span<const Descriptor> descriptors();
/// Their names, in that order.
std::vector<std::string_view> kinds();
/// **Errors:** invalid, naming the kinds there are.
Result<const Descriptor*> descriptor_of(std::string_view kind);

/// On what a lane of that kind runs: where its device says so, rather than where the kind usually
/// does.
Silicon silicon_of(const Descriptor& kind, const Settings& settings);

/// The kind's program in the directories, as a lane without `program` would take it; "" = none.
std::string installed_program(const Descriptor& kind, std::span<const std::string> directories);

/// Opens a lane: checks its settings and finds its program; loads nothing.
/// **Errors:** invalid (settings), not_found (the program, and where it was looked for).
Result<std::shared_ptr<Lane>> open_lane(const Settings& settings, const Parts& parts);

}  // namespace trilane::lane
