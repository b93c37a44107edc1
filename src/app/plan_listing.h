// What `trilane plan` finds and says, as data, text and JSON. Reads model files' headers only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/model_files.h"
#include "base/result.h"
#include "json/fwd.h"
#include "plan/calibration.h"
#include "plan/plan.h"
#include "plan/shape.h"
#include "probe/machine.h"

namespace trilane::app {

/// What the models are to be planned for.
struct PlanQuestion {
    std::uint32_t context_tokens = 0;  ///< of one request; 0 = the model's own, or what fits
    std::uint32_t parallel = 0;        ///< 0 = the kind of lane's default
    plan::KvType kv = plan::KvType::f16;
    std::string device;                            ///< "" = every one there is
    std::vector<plan::Observation> observed = {};  ///< what loads here were seen to hold
    plan::Reserve reserve = {};
};

/// One way to run a model: a device and the kind of lane on it.
struct PlannedPlace {
    std::string device;
    std::string lane;
    plan::Need need;
    plan::Verdict verdict;
    std::string note;  ///< what was changed of the question; "" = nothing
};

struct PlannedModel {
    ModelFile file;
    plan::Shape shape;
    std::vector<PlannedPlace> places;   ///< in order of preference
    std::optional<std::size_t> chosen;  ///< of `places`: the first that fits
    std::string not_native;             ///< why the native engine cannot; "" = it can
};

struct PlannedLoads {
    plan::Memory memory;
    std::vector<PlannedModel> models;
    [[nodiscard]] bool all_fit() const;
};

/// Plans the files one after the other, as if all are to be resident together.
/// **Errors:** those of the files; invalid for a device that is not there or that runs no GGUF.
Result<PlannedLoads> plan_loads(const probe::Machine& machine, std::span<const ModelFile> files,
                                const PlanQuestion& question);

std::string plan_text(const PlannedLoads& loads);
json::Value plan_json(const PlannedLoads& loads);

}  // namespace trilane::app
