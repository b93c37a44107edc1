// Model header: what a model file's own first bytes say of it, and the catalogue's entry made of
// that. Opens files; reads no weights.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "catalog/catalog.h"
#include "catalog/model_folders.h"

namespace trilane::catalog {

struct ModelHeader {
    std::string architecture;
    std::string type;  ///< general.type: "model", "mmproj", "adapter" …; "" = not said
    std::string licence;
    std::string widest_type;  ///< the tensor type that most bytes are of
    std::uint64_t parameters = 0;
    std::uint64_t bytes = 0;
    std::uint32_t context_tokens = 0;
    std::optional<std::uint64_t> pooling;
    /// A projector, adapter, importance matrix: nothing that answers by itself.
    [[nodiscard]] bool is_model() const;
};

/// Reads a GGUF file or a whisper.cpp one. **Errors:** not_found, unavailable, corrupt.
Result<ModelHeader> read_model_header(const std::string& path);

/// Where entry_of() gets headers: read_model_header, or a cache before it.
using HeaderSource = std::function<Result<ModelHeader>(const std::string& path)>;

/// **Errors:** those of the source for any of its files; corrupt (a shard is missing); invalid (the
/// files are of no model).
Result<Entry> entry_of(const FoundModel& model, const HeaderSource& headers);

/// A file that lies anywhere, as an entry named for itself. **Errors:** as entry_of.
Result<Entry> entry_of_file(const std::string& path);

}  // namespace trilane::catalog
