// What `trilane serve` starts with: the file's settings, the command line's over them, and the
// lanes of a machine whose owner configured none.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/key_ring.h"
#include "app/options.h"
#include "base/result.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "lane/descriptor.h"
#include "plan/plan.h"
#include "plane/plane.h"
#include "probe/engines.h"
#include "probe/machine.h"

namespace trilane::app {

/// The settings that count: what the command line says wins over the file.
/// **Errors:** not_found; invalid, with every error of the file and its place.
Result<config::Config> effective_config(const ServeOptions& options);

/// The settings of a file alone; of "", the defaults. **Errors:** as effective_config().
Result<config::Config> config_in(const std::string& file);

/// The same as far as they can be read, for verbs that need only some of them; that a file cannot
/// be read at all is a remark, too.
config::Checked readable_config(const std::string& file);

/// The same, telling on standard error what was not understood.
config::Checked told_config(const std::string& file);

/// The folders of catalog.directories; "~/" at the beginning is `home`, if there is one.
std::vector<std::string> catalog_folders(const config::Config& config, const std::string& home);
/// A sentence for each of them that is not there.
std::vector<std::string> missing_folders(const config::Config& config, const std::string& home);

/// Where serve looks for models: the standard folders, then those of the file.
std::vector<std::string> model_folders(const config::Config& config, const ServeOptions& options);

/// Where usage is summed up; "" = nowhere.
std::string usage_file(const config::Config& config, const std::string& state_dir);

/// How much is logged: the command line's word, or the file's.
LogLevel log_level_of(const config::Config& config, const ServeOptions& options);

/// The lanes to open: the file's, or by what is installed and seen: GPU and NPU first, then our own
/// engine, which is always there; without a GPU, that one before the others. `options` says what
/// the command line wants of our own engine. `engines`: the programs that devices_matter() asks
/// for.
std::vector<lane::Settings> lane_settings(const config::Config& config, const ServeOptions& options,
                                          const probe::Machine& machine,
                                          std::span<const probe::Engine> engines = {});

/// Whether lane_settings() has to choose a device for llama-server: beside a lane on the NPU it
/// gets a Vulkan device, for with ROCm at work the NPU's firmware hangs.
bool devices_matter(const config::Config& config, const ServeOptions& options,
                    const probe::Machine& machine);

/// Whether somebody said on the command line which model to serve.
bool names_its_model(const ServeOptions& options);

/// Whether a model is loaded before the daemon is ready: one that was named, or the bundled one
/// where nobody has configured lanes or models.
bool begins_with_model(const config::Config& config, const ServeOptions& options);

/// A file with one key, and perhaps the line break that editors put behind it.
/// **Errors:** as read_file().
Result<std::string> read_key_file(const std::string& path);

/// What may come in at the start.
struct ServeKeys {
    std::string api_key;   ///< that may do everything; "" = there is none
    access::KeyRing ring;  ///< the others
    [[nodiscard]] bool none() const { return api_key.empty() && ring.keys().empty(); }
};
/// Where the keys of `trilane key` are.
std::string keys_file_of(const config::Config& config, const ServeOptions& options);
/// **Errors:** a file of keys that cannot be read; invalid: other machines may connect, and there
/// is no key.
Result<ServeKeys> serve_keys(const config::Config& config, const ServeOptions& options);

/// What lanes are opened with.
lane::Parts lane_parts(const ServeOptions& options, os::ChildWatch& children, net::Loops& loops);

/// Opens a lane of lane_settings(); reads its key into `settings`.
/// **Errors:** why there is no such lane here, in words that do not begin with its name.
Result<std::shared_ptr<lane::Lane>> open_to_serve(lane::Settings& settings,
                                                  const lane::Parts& parts,
                                                  const plan::Memory& memory);

/// An error of a lane without the lane's name before it, for lines that begin with that name.
std::string reason_of(const Error& error, std::string_view lane);

/// A lane that is not there, and why.
struct UnusableLane {
    std::string name;
    std::string reason;
};
/// "1 of 2 lanes usable: gpu is not: …"; "" where all of them are.
std::string usable_lanes_text(std::size_t usable, std::span<const UnusableLane> others);

/// A sentence for each model that is to be loaded at the start and is none of `known`.
std::vector<std::string> missing_models(const config::Config& config,
                                        std::span<const catalog::Entry> known);

/// Policies by model. `served` is loaded at the start; where it was `named`, it is kept, too.
plane::Policies policies_of(const config::Config& config, const std::string& served, bool named);

}  // namespace trilane::app
