// JsonText: parts of a builder that match JSON texts: any value, strings, numbers, one given value.
// They are written compactly, with at most one space behind ':' and ',': a small model must not be
// able to go on with white space for ever.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "grammar/builder.h"
#include "json/fwd.h"

namespace trilane::grammar {

/// Calls of rules within JSON: about one per level of nesting, less than readers of JSON take.
inline constexpr std::uint32_t kJsonDepthMax = 120;
/// Digits of a number, before and behind the point: what a double keeps.
inline constexpr std::uint32_t kDigitsMax = 15;

class JsonText {
public:
    /// `builder` must outlive it. Also lowers the builder's limit on depth to kJsonDepthMax.
    explicit JsonText(Builder& builder);

    Part comma();
    Part colon();
    /// One character within a string, spelled in any of JSON's ways.
    Part any_char();
    /// One character of the set within a string, spelled in one way.
    static Part char_of(Builder& builder, const CharSet& set);
    /// A string whose inside is `content`.
    Part quoted(Part content);
    Part string();
    Part integer();
    Part number();
    Part boolean();
    Part null();
    Part value();
    Part object();
    Part array();
    /// "{" members "}": `member` any number of times in [min, max], with commas.
    Part repeated(std::string_view open, Part member, std::string_view close, std::uint32_t min,
                  std::uint32_t max);
    /// This value.
    Part exactly(const json::Value& value);

private:
    Rule rule(std::optional<Rule>& known, const char* name);

    Builder& builder_;
    std::optional<Rule> string_;
    std::optional<Rule> value_;
    std::optional<Rule> object_;
    std::optional<Rule> array_;
};

}  // namespace trilane::grammar
