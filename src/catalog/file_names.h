// What the names of model files say: quantization, shard, projector, purpose; and which names of a
// foreign repository may become names on this disk. Looks at names only, never into files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "catalog/catalog.h"

namespace trilane::catalog {

inline constexpr std::size_t kRemotePathBytesMax = 512;
inline constexpr std::size_t kIdBytesMax = 128;
/// Where further names of models are kept, beside the models' folders.
inline constexpr std::string_view kNamesFile = "names.json";
inline constexpr std::uint32_t kShardsMax = 512;

/// "model-00002-of-00003.gguf" → {"model", 2, 3}.
struct Shard {
    std::string_view stem;  ///< of the name it was read from
    std::uint32_t number = 0;
    std::uint32_t count = 0;
};
std::optional<Shard> shard_of(std::string_view file_name);

/// The last component of a path with '/'.
std::string_view base_name(std::string_view path);

/// The file name without its extension and shard number.
std::string_view model_stem(std::string_view file_name);

/// "*.gguf", and "ggml-*.bin" as whisper.cpp's models are called; importance matrices are neither.
bool is_model_file(std::string_view file_name);
bool is_whisper_file(std::string_view file_name);

/// A projector of images or audio ("mmproj-…"), which is no model by itself.
bool is_projector(std::string_view file_name);

/// "Q4_K_M", "UD-Q4_K_XL", "F16", "MXFP4" …, in upper case; "" when the name does not say.
std::string quantization_of(std::string_view file_name);

/// Nominal bits per weight of a quantization by its name, for ordering; 0 = not known.
double bits_of(std::string_view quantization);

/// What the names of a model and of its architecture suggest; unknown when they suggest nothing.
Purpose purpose_by_name(std::string_view name);
Purpose purpose_by_architecture(std::string_view architecture);

/// Ok when `path` can be a file's path in a repository: relative, no "..", no control characters.
/// **Errors:** corrupt.
Status check_remote_path(std::string_view path);

/// `name` as a name for this disk: other letters than those of portable file names become '_', and
/// it does not begin with a dot.
std::string safe_file_name(std::string_view name);

/// Ok when `id` can name a model's folder. **Errors:** invalid, saying what is allowed.
Status check_id(std::string_view id);

/// "Qwen3-4B-GGUF" and "Q4_K_M" → "Qwen3-4B-Q4_K_M".
std::string id_of(std::string_view repository, std::string_view variant);

/// Foreign text for a message: control characters and ill-formed UTF-8 replaced, clipped.
std::string shown(std::string_view text);

bool contains_ignoring_case(std::string_view text, std::string_view part);
bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string lower_case(std::string_view text);

}  // namespace trilane::catalog
