// Config: what a person may write into Trilane's one file (TOML), as plain structs with their
// defaults, and the reader that checks it. Knows the shape of the file, opens nothing it names.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/fwd.h"
#include "lane/descriptor.h"
#include "plan/plan.h"

namespace trilane::config {

struct ServerSection {
    std::string host = "127.0.0.1";
    std::uint16_t port = 13305;
    std::string api_key_file;        ///< a file with one key; keys never stand in the configuration
    std::string keys_file;           ///< of `trilane key`; "" = beside the configuration
    std::string tls_certificate;     ///< PEM file, the chain included; "" = no TLS
    std::string tls_key;             ///< PEM file
    std::vector<std::string> hosts;  ///< further names by which browsers may reach this machine
    std::vector<std::string> cors;
    std::uint32_t patience_s = 10;
    std::string log_level = "info";
};

struct MemorySection {
    plan::Reserve reserve;
};

struct CatalogSection {
    std::vector<std::string> directories;  ///< besides the standard ones
    std::string hub_endpoint;              ///< "" = HF_ENDPOINT, or Hugging Face
    std::uint64_t disk_reserve_bytes = std::uint64_t{1} << 30U;  ///< of disk that pulls leave free
    bool watch = true;
};

/// What the plane does with a model.
struct ModelSection {
    std::string id;                  ///< a model's id, or "*" for all others
    std::vector<std::string> lanes;  ///< where it may be loaded, best first; empty = wherever
    lane::LoadWishes wishes;
    bool pin = false;  ///< never evicted; loaded at start and again after a crash
    bool preload = false;
    std::uint32_t keep_warm_s = 900;  ///< idle for so long: unloaded; 0 = kept until room is needed
    std::int32_t priority = 0;        ///< larger stays longer
    std::vector<std::string> aliases;
};

struct QueueSection {
    std::uint32_t length_max = 64;             ///< answers that may wait per lane
    std::uint32_t per_client_max = 32;         ///< of these, of one client
    std::uint32_t wait_s_max = 600;            ///< then a 503
    std::uint32_t batch_wait_ms_max = 20'000;  ///< how long one model may keep another waiting
};

struct UsageSection {
    bool record = true;
    std::string file;  ///< "" = usage.db in the state folder
    std::uint32_t days_kept = 400;
};

struct TelemetrySection {
    std::string otlp_url;  ///< of a collector; "" = nothing is sent
};

struct Config {
    ServerSection server;
    UsageSection usage;
    TelemetrySection telemetry;
    MemorySection memory;
    CatalogSection catalog;
    QueueSection queue;
    std::vector<lane::Settings> lanes;  ///< [lane.NAME]; none = as found on the machine
    std::vector<ModelSection> models;   ///< [model."ID"]
    std::string source;                 ///< the file; "" = none was read
    std::vector<std::string> warnings;  ///< what of it has no effect, each with its place
};

/// A remark on the text, with its place.
struct Remark {
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    bool error = true;  ///< else a warning: it can be used, but part of it has no effect
    std::string text;
    std::string section = {};  ///< "memory", "lane" …; "" = what else the file says is in doubt
};
/// "config.toml:3:7: error: server.port must be …", as compilers say it.
std::string remark_text(std::string_view source, const Remark& remark);

/// A remark on a setting of the text by its names, such as {"lane", "gpu", "device"}: at its place,
/// or at that of as much of it as stands there.
Remark remark_at(std::string_view text, std::span<const std::string> names, bool error,
                 std::string what);

struct Checked {
    Config config;
    std::vector<Remark> remarks;
    [[nodiscard]] bool good() const;  ///< no errors among the remarks
    /// Whether all is known that the file says of that section.
    [[nodiscard]] bool understood(std::string_view section) const;
};

/// Reads the text of a file. Never fails: what is wrong is among the remarks, all of it at once.
Checked read_config(std::string_view text, std::string_view source);

/// The whole schema as commented TOML with every default: what `trilane config default` prints and
/// the docs are made of.
std::string default_text();

/// The settings as TOML, as they count now; secrets are not in it.
std::string effective_text(const Config& config);
/// The same as JSON, in the same order. **Errors:** internal: that text cannot be read back.
Result<json::Value> effective_json(const Config& config);

/// Which settings differ that can be taken over while running, and which need a restart (by their
/// names in the file).
struct Difference {
    std::vector<std::string> hot;
    std::vector<std::string> restart;
};
Difference compare(const Config& before, const Config& after);

}  // namespace trilane::config
