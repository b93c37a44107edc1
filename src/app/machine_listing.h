// What `trilane probe` and `trilane doctor` say, as text and as JSON.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "doctor/doctor.h"
#include "json/fwd.h"
#include "probe/engines.h"
#include "probe/machine.h"
#include "probe/vulkan.h"

namespace trilane::app {

/// A machine with what only asking programs and drivers tells of it.
struct Survey {
    probe::Machine machine;
    std::vector<probe::Engine> engines;
    std::vector<probe::VulkanDevice> vulkan;
    bool asked = true;  ///< false: another tree was read, where nothing can be asked
};

/// What engines are looked for with.
struct EngineWishes {
    std::vector<std::string> path;         ///< directories; the usual ones come on top
    std::vector<std::string> environment;  ///< "NAME=value" that the engines get
    /// {kind, path or name} of lanes' own programs, besides those of their kinds.
    std::vector<std::pair<std::string, std::string>> programs = {};
};

/// Reads the machine below `root`; only of this one ("") are engines and Vulkan asked, too.
/// **Errors:** not_found when `root` is no tree of a machine.
Result<Survey> survey(const std::string& root, const EngineWishes& wishes);

/// Which programs to look for, and where.
probe::EngineSearch engine_search(const EngineWishes& wishes);

std::string probe_text(const Survey& survey, bool colour);
json::Value probe_json(const Survey& survey);

/// `all`: also the checks that do not apply.
std::string doctor_text(std::span<const doctor::Finding> findings, bool all, bool colour);
json::Value doctor_json(const std::vector<doctor::Finding>& findings);

}  // namespace trilane::app
