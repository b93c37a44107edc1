// Version: the first three numbers of a version text, to compare by.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trilane::doctor {

struct Version {
    std::array<std::uint32_t, 3> numbers{};
    auto operator<=>(const Version&) const = default;
    [[nodiscard]] std::string text() const;  ///< "6.17", "6.18.4"
};

/// Reads "6.18.4-200.fc43", "1:25.2.1-1", "v0.9.43": an epoch and a "v" are passed over, what
/// follows the third number does not count, numbers that are not there are 0. Absent when the text
/// does not begin with a number.
std::optional<Version> version_in(std::string_view text);

}  // namespace trilane::doctor
