// What `trilane list` says, as text and as JSON.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "json/fwd.h"

namespace trilane::app {

struct ModelListing {
    std::vector<catalog::Entry> entries;
    /// Id → why the engine in this process cannot run that GGUF; another engine may.
    std::map<std::string, std::string> not_native;
    std::vector<std::string> problems;  ///< what was found and cannot be loaded by anybody
};

/// Where programs that keep models of their own are looked for.
struct OwnStores {
    std::vector<std::string> path;         ///< directories of PATH
    std::vector<std::string> environment;  ///< "NAME=value" that the programs get
};

/// Models in the folders, and those that FLM keeps when it is installed.
ModelListing list_all(const std::vector<std::string>& model_dirs, const OwnStores& stores);

/// Of folders that somebody named: what to say of those that are none, or hold no model.
std::vector<std::string> folders_without_models(const std::vector<std::string>& folders);

std::string listing_text(const ModelListing& listing);
json::Value listing_json(const ModelListing& listing);

}  // namespace trilane::app
