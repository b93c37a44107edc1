// Schema: every key of the configuration as one table per section: how it is read, shown and
// explained. Reading, defaults, docs and comparison follow from it. Inside of config.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "config/config.h"
#include "config/reading.h"

namespace trilane::config {

template <class Section>
struct Key {
    std::string_view name;
    std::string_view text;  ///< for people
    void (*read)(const Reading& value, Section& into);
    std::string (*show)(const Section& section);  ///< as TOML; "" = nothing to show
};

std::span<const Key<ServerSection>> server_keys();
std::span<const Key<MemorySection>> memory_keys();
std::span<const Key<CatalogSection>> catalog_keys();
std::span<const Key<QueueSection>> queue_keys();
std::span<const Key<UsageSection>> usage_keys();
std::span<const Key<TelemetrySection>> telemetry_keys();
std::span<const Key<lane::Settings>> lane_keys();
std::span<const Key<ModelSection>> model_keys();

}  // namespace trilane::config
