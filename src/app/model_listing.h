// What `trilane models` says, as text and as JSON.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "app/model_files.h"
#include "json/fwd.h"

namespace trilane::app {

struct ListedModel {
    ModelFile file;
    std::string architecture = "-";
    std::string licence = "-";
    std::uint64_t parameters = 0;
    std::uint64_t bytes = 0;
    std::uint64_t context_tokens = 0;  ///< 0 = the file does not say
    std::string problem;               ///< why it does not run here; empty = it does
};

std::vector<ListedModel> list_with_headers(std::span<const std::string> dirs);
std::string models_text(std::span<const ListedModel> models);
json::Value models_json(std::span<const ListedModel> models);

}  // namespace trilane::app
