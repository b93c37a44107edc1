// What a configuration asks of this machine: files, programs, devices, models. What it may say at
// all is config's business.
#pragma once

#include <string_view>
#include <vector>

#include "app/options.h"
#include "config/config.h"
#include "probe/machine.h"

namespace trilane::app {

/// Looks at what the file names, as far as it was understood, with what `serve` itself uses: errors
/// are what it would not start with, warnings what it would leave out. Opens lanes, loads nothing.
std::vector<config::Remark> machine_remarks(const config::Checked& checked, std::string_view text,
                                            const ServeOptions& options,
                                            const probe::Machine& machine);

}  // namespace trilane::app
