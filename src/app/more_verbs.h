// Verbs beyond running a model: the machine, the catalogue, the daemon. Inside of command_line.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "app/environment.h"
#include "app/options.h"
#include "base/result.h"

namespace trilane::app {

/// A verb and what makes its options a command once the words are parsed.
using Finisher = std::function<Result<Command>(const Environment&)>;
using Finishers = std::vector<std::pair<CLI::App*, Finisher>>;

/// Where verbs look for models: in the folders of the surroundings and of the configuration.
std::vector<std::string> known_model_dirs(const Environment& environment);

/// What a daemon takes from them, beside its command line and its file.
void take_surroundings(ServeOptions& options, const Environment& environment);

CLI::App* add_verb(CLI::App& parent, const char* name, const char* what, std::string_view footer);
CLI::Validator whole_between(std::uint64_t low, std::uint64_t high);

void add_machine_verbs(CLI::App& root, Finishers& finishers);    // probe, doctor, plan
void add_catalogue_verbs(CLI::App& root, Finishers& finishers);  // pull, rm, import, loadouts
void add_daemon_verbs(CLI::App& root, Finishers& finishers);     // ps, load, unload, logs, config

}  // namespace trilane::app
