// Vocabulary: what a model's metadata say about its tokenizer, as plain data. Nothing is decided
// here: the families (families.h) read it and choose their defaults.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "token/tokenizer.h"

namespace trilane::token {

enum class Family : std::uint8_t { byte_bpe, sentencepiece, wordpiece };

/// What an entry is for. The numbers are GGUF's token_type.
enum class Kind : std::uint8_t {
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,  ///< text that is always cut out as this one token
    unused = 5,
    byte = 6,  ///< "<0x0A>": one byte, for text that has no entry
};

struct Vocabulary {
    Family family = Family::byte_bpe;
    std::string pre;                        ///< tokenizer.ggml.pre; empty when absent
    std::vector<std::string_view> entries;  ///< by id
    std::vector<Kind> kinds;                ///< by id
    std::vector<float> scores;              ///< by id; sentencepiece only
    std::vector<std::string_view> merges;   ///< "left right" by rank; byte_bpe only

    std::optional<Id> bos;  ///< for wordpiece: [CLS]
    std::optional<Id> eos;
    std::optional<Id> eot;
    std::optional<Id> eom;
    std::optional<Id> unknown;
    std::optional<Id> separator;

    std::optional<bool> add_bos;
    std::optional<bool> add_eos;
    std::optional<bool> add_separator;
    std::optional<bool> add_space_prefix;
    std::optional<bool> lower_case;
    std::optional<bool> strip_accents;
    /// Phi-3: white space after a special token belongs to the token. GGUF has no key for it; the
    /// model's name tells.
    bool trims_after_special = false;

    /// Whatever the views point into.
    std::shared_ptr<const void> keeper;

    [[nodiscard]] Kind kind(Id id) const { return kinds[static_cast<std::size_t>(id)]; }
    [[nodiscard]] bool holds(Id id) const {
        return id >= 0 && static_cast<std::size_t>(id) < entries.size();
    }
};

/// More than any model has; a file that says more is not believed.
inline constexpr std::size_t kEntriesMax = std::size_t{1} << 22;
inline constexpr std::size_t kMergesMax = std::size_t{1} << 23;

/// Reads tokenizer.ggml.*.
/// **Errors:** invalid for a model it does not know (named), corrupt when keys are missing, of the
/// wrong type or contradict each other.
Result<Vocabulary> read_vocabulary(const std::shared_ptr<const gguf::File>& file);

}  // namespace trilane::token
