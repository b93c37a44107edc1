// Catalogue: which models there are on this machine, where they came from, and how to get more. It
// knows files and repositories; what fits the machine is plan's to say and the caller's to ask.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"

namespace trilane::catalog {

/// What a model is for; also decides which lanes can serve it.
enum class Purpose { chat, embed, rerank, transcribe, speak, image, unknown };
std::string_view purpose_name(Purpose purpose);

/// What kind of store it lives in. FLM tags are kept apart from files: no other lane can run them.
/// `program`: the model is part of the program that runs it.
enum class Store { gguf, flm, remote, program };
std::string_view store_name(Store store);

/// A model that can be loaded now.
struct Entry {
    std::string id;  ///< as people and clients name it; unique within its store
    Store store = Store::gguf;
    Purpose purpose = Purpose::unknown;
    std::string path;  ///< first GGUF file; or the FLM tag; or the remote's model name
    std::vector<std::string> more_paths;  ///< further shards, in order
    std::string projector_path;           ///< mmproj file; "" = none
    std::uint64_t bytes = 0;              ///< of all files
    std::uint64_t footprint_bytes = 0;    ///< FLM: what it says it needs; 0 = not known
    std::uint32_t context_tokens = 0;     ///< what it was made for; 0 = not known
    std::string architecture;
    std::string quantization;  ///< "Q4_K_M" …, by the file name or its tensors
    std::uint64_t parameters = 0;
    std::string licence;
    std::string repository;  ///< "owner/name@revision" it was pulled from; "" = local
    std::int64_t added_unix_s = 0;
    [[nodiscard]] bool operator==(const Entry&) const = default;
};

/// The models in folders: `<dir>/<id>.gguf`; `<dir>/<id>/*.gguf` (one model per folder when shards
/// or a projector lie together, else one per file); pulled ones with their manifest. Headers of
/// files are read once and remembered by size and modification time.
/// **Threads:** any; list() returns what the last scan() found.
class LocalModels {
public:
    explicit LocalModels(std::vector<std::string> directories);
    ~LocalModels();
    LocalModels(const LocalModels&) = delete;
    LocalModels& operator=(const LocalModels&) = delete;

    /// Looks again; true when something changed. Broken files are left out and named in problems().
    bool scan();
    [[nodiscard]] std::vector<Entry> list() const;
    [[nodiscard]] std::vector<std::string> problems() const;
    /// Watches the folders (inotify) on a thread of its own and scans when they change and have
    /// been quiet for a moment; `changed` is called on that thread. Ends with this object.
    Status watch(std::function<void()> changed);

private:
    class State;
    std::unique_ptr<State> state_;
};

/// Models that `flm list -j` names as installed. **Errors:** corrupt.
Result<std::vector<Entry>> parse_flm_list(std::string_view json_text);

/// What `name` means among `entries`: an id, "bundled", a unique beginning of ids, a path.
/// **Errors:** not_found, with the nearest names.
Result<Entry> find_entry(std::string_view name, std::span<const Entry> entries);

}  // namespace trilane::catalog
