// What Lemonade's clients are told of models and of the machine: /v1/models, /v1/health, /v1/stats,
// /v1/system-info, /v1/system-stats. Private to the dialect and the gateway.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "job/job.h"

namespace trilane::dialect::lemonade {

/// A model under one of its names.
struct Offered {
    std::string name;  ///< an id, or a further name
    job::ModelCard card;
    std::string recipe;      ///< "llamacpp", "flm", "whispercpp", "sd-cpp", "kokoro", "cloud"
    std::string checkpoint;  ///< where it came from; "" = not known
    std::uint32_t context_max_tokens = 0;  ///< that it was made for; 0 = not known
    std::uint32_t context_tokens = 0;      ///< that it has in memory; 0 = it is not there
};

/// A model in memory.
struct Loaded {
    Offered offered;
    std::string silicon;  ///< "cpu", "gpu", "npu", "remote"
    std::string lane;
    double last_use_unix_s = 0;
    bool pinned = false;
    bool busy = false;
};

/// "llm", "embedding", "reranking", "transcription", "image", "tts": the one that it is first.
std::string_view type_of(const job::Abilities& abilities);

std::string models_body(std::span<const Offered> models);
std::string model_body(const Offered& model);

struct Health {
    std::string server_version;  ///< the daemon's own; what clients compare is kApiVersion
    std::uint16_t port = 0;      ///< where WebSockets are spoken
    std::string base_url;        ///< of this daemon, as the client reached it
    std::vector<Loaded> loaded;
};
std::string health_body(const Health& health);

/// The last generation that ended well, and all there were.
struct Stats {
    struct Last {
        double first_token_s = 0;  ///< 0 = it had no text
        std::uint32_t prompt_tokens = 0;
        std::uint32_t cached_tokens = 0;
        std::uint32_t output_tokens = 0;
        double output_ms = 0;  ///< 0 = not measured
    };
    std::optional<Last> last;
    bool has_totals = true;  ///< else who asks may not see them
    std::uint64_t requests_total = 0;
    std::uint64_t prompt_tokens_total = 0;
    std::uint64_t cached_tokens_total = 0;
    std::uint64_t output_tokens_total = 0;
};
std::string stats_body(const Stats& stats);

/// A way to run a recipe.
struct BackendState {
    std::string name;  ///< "cpu", "vulkan", "npu" …
    std::vector<std::string> devices;
    std::string state;  ///< "installed", "installable", "unsupported"
    std::string message;
    std::string action;
    std::string version;  ///< "" = not known
};
struct RecipeState {
    std::string name;
    std::string preferred;  ///< a backend; "" = none can be had
    std::vector<BackendState> backends;
};

struct Graphics {
    std::string name;
    std::string family;  ///< "gfx1151"; "" = not known
    std::string driver;
    bool amd = false;
    bool nvidia = false;
    bool integrated = false;
    bool usable = false;
    std::uint64_t vram_bytes = 0;    ///< 0 = not known
    std::uint64_t shared_bytes = 0;  ///< of the system's memory that it may use
};
struct System {
    std::string os;
    std::string product;  ///< "" = not known
    std::string processor;
    std::size_t cores = 0;
    std::size_t threads = 0;
    std::uint64_t memory_bytes = 0;
    std::vector<Graphics> graphics;
    struct Npu {
        std::string name;
        std::string family;  ///< "XDNA2"
        std::string driver_version;
        std::string firmware_version;
        bool usable = false;
    };
    std::optional<Npu> npu;
    struct Disk {
        std::string path;
        std::uint64_t total_bytes = 0;
        std::uint64_t free_bytes = 0;
    };
    std::optional<Disk> models_disk;
    std::vector<RecipeState> recipes;
    std::string server_version;
};
std::string system_info_body(const System& system);

/// Absent = cannot be told.
struct Usage {
    std::optional<std::uint64_t> memory_bytes;
    std::optional<double> gpu_percent;
    std::optional<std::uint64_t> vram_bytes;
};
std::string system_stats_body(const Usage& usage);

/// A file of a model.
struct ModelFile {
    std::string path;
    std::string role;                    ///< "main", "shard", "mmproj"
    std::optional<std::uint64_t> bytes;  ///< absent = it is not there
};
/// `with_paths`: where they lie is told, too.
std::string files_body(std::string_view model, std::span<const ModelFile> files, bool with_paths);

/// A choice of a hub's repository.
struct Choice {
    std::string name;  ///< "Q4_K_M"
    std::vector<std::string> files;
    std::uint64_t bytes = 0;
};
/// `projectors`: files beside each of them.
std::string variants_body(std::string_view repository, std::span<const Choice> choices,
                          std::span<const std::string> projectors);

/// What a load of it would use.
std::string options_body(const Offered& model);

/// Requests that are worked on at once: model and whether it is busy.
std::string slots_body(std::span<const std::pair<std::string, bool>> slots);

}  // namespace trilane::dialect::lemonade
