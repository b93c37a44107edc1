// What Ollama's clients ask to be done with models: pull, create, copy, delete, show; and the lines
// that tell how it goes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trilane::dialect::ollama {

inline constexpr std::size_t kSystemBytesMax = 1U << 20U;
inline constexpr std::size_t kNameBytesMax = 512;

// All readers: **Errors:** invalid, naming the field. Names are without ":latest".

/// {"model"} of show, delete, pull, push; "name" from older clients.
struct NameAsk {
    std::string model;
    bool stream = true;
    bool verbose = false;
};
Result<NameAsk> read_name_ask(std::string_view body);

struct CopyAsk {
    std::string source;
    std::string destination;
};
Result<CopyAsk> read_copy_ask(std::string_view body);

/// A model made of another: its name, what it is made of, and what is said and set with it.
struct CreateAsk {
    std::string model;
    std::string from;    ///< another model; "" = `digest` says it
    std::string digest;  ///< "sha256:…" of a GGUF file
    std::string system;
    std::string parameters;  ///< a JSON object of options; "" = none
    std::string licence;
    bool stream = true;
};
Result<CreateAsk> read_create_ask(std::string_view body);

/// Options of a model, and of one that was made of it, which go before.
std::string merged_parameters(const std::string& base, const std::string& over);

/// {"status": "…"}, without a line's end.
std::string status_line(std::string_view status);
/// How far a download is. `digest` is hexadecimal; "" = not known, then `file` says what it is.
std::string download_line(std::string_view digest, std::string_view file, std::uint64_t total,
                          std::uint64_t completed);

}  // namespace trilane::dialect::ollama
