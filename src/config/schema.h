// Schema: every key of the configuration as one table per section: how it is read, shown and
// explained. Reading, defaults, docs and comparison follow from it. The keys of lanes are those of
// their kind's descriptor. Inside of config.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/reading.h"

namespace trilane::config {

/// As TOML.
std::string toml_text(std::string_view text);

template <class Section>
struct Key {
    std::string_view name;
    std::string_view text;  ///< for people
    void (*read)(const Reading& value, Section& into);
    std::string (*show)(const Section& section);  ///< as TOML
    bool hot = false;                             ///< taken over while the daemon runs
};

/// A key of a kind of lane, used as Key is.
struct LaneKey {
    const lane::Option* option = nullptr;  ///< null: `kind` itself
    std::string_view name;
    std::string text;
    static constexpr bool hot = false;

    void read(const Reading& value, lane::Settings& into) const;
    [[nodiscard]] std::string show(const lane::Settings& settings) const;
};

std::span<const Key<ServerSection>> server_keys();
std::span<const Key<MemorySection>> memory_keys();
std::span<const Key<CatalogSection>> catalog_keys();
std::span<const Key<QueueSection>> queue_keys();
std::span<const Key<UsageSection>> usage_keys();
std::span<const Key<TelemetrySection>> telemetry_keys();
std::vector<LaneKey> lane_keys(const lane::Descriptor& kind);
std::span<const Key<ModelSection>> model_keys();

}  // namespace trilane::config
