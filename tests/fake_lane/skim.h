// Skimming: the few members of a JSON text that the fake engines read, found without building a
// tree of all of it. Trusts brackets to match; not a validator.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trilane::fake_lane {

/// Walks the members of an object or the elements of an array, each as the raw text of its value.
class Skim {
public:
    /// `text` may have white space before its bracket. Anything else has no members.
    explicit Skim(std::string_view text);

    /// The next member or element; `key` stays empty in arrays. False at the end or at a fault.
    bool next(std::string_view& key, std::string_view& value);
    /// False once something was no JSON.
    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] bool is_object() const { return is_object_; }

private:
    void skip_space();
    bool read_key(std::string_view& key);

    std::string_view text_;
    std::size_t at_ = 0;
    bool is_object_ = false;
    bool ended_ = false;
    bool ok_ = true;
};

/// The raw value of a member, or "" when there is none.
std::string_view member(std::string_view object, std::string_view key);
/// The text of a raw JSON string, unescaped; "" when it is none.
std::string unquoted(std::string_view raw);
/// A raw JSON number.
std::optional<double> number(std::string_view raw);
std::optional<std::int64_t> integer(std::string_view raw);

}  // namespace trilane::fake_lane
