// Keys: one family's metadata, `<architecture>.<name>`, with their ranges. What all families share
// of reading a Config.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "gguf/gguf.h"

namespace trilane::model {

/// An optional key that is there must be readable: a value taken for absent would be another model.
/// **Errors:** corrupt, naming the key, for one that is missing, of the wrong type or out of range.
class Keys {
public:
    Keys(const gguf::File& file, std::string_view architecture)
        : file_(file), prefix_(std::string(architecture) + ".") {}

    /// Between 1 and `max`.
    [[nodiscard]] Result<std::uint32_t> count(std::string_view name, std::uint64_t max) const;
    [[nodiscard]] Result<std::uint32_t> count_or(std::string_view name, std::uint64_t fallback,
                                                 std::uint64_t max) const;
    [[nodiscard]] Result<float> number_or(std::string_view name, double fallback) const;
    [[nodiscard]] Result<std::string_view> text_or(std::string_view name,
                                                   std::string_view fallback) const;
    /// Absent or of another kind = the fallback.
    [[nodiscard]] bool flag_or(std::string_view name, bool fallback) const {
        return file_.boolean(key(name)).value_or(fallback);
    }
    [[nodiscard]] bool present(std::string_view name) const {
        return file_.find(key(name)) != nullptr;
    }
    [[nodiscard]] std::string key(std::string_view name) const {
        return prefix_ + std::string(name);
    }

private:
    [[nodiscard]] Result<std::uint32_t> checked(std::string_view name, std::uint64_t value,
                                                std::uint64_t max) const;
    const gguf::File& file_;
    std::string prefix_;
};

/// How fast rotary angles turn.
struct Rope {
    float theta = 10000.0F;
    float scale = 1.0F;  ///< positions are divided by it (linear scaling)
};
/// **Errors:** invalid for a scaling that is not known; corrupt for numbers that are not positive.
Result<Rope> read_rope(const Keys& keys);

/// The vocabulary's size is the embedding's row count, whatever a key says.
/// **Errors:** corrupt.
Result<std::uint32_t> vocab_tokens(const gguf::File& file);

}  // namespace trilane::model
