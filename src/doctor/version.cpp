#include "doctor/version.h"

#include <fmt/format.h>

#include <charconv>

namespace trilane::doctor {

std::string Version::text() const {
    return numbers[2] == 0 ? fmt::format("{}.{}", numbers[0], numbers[1])
                           : fmt::format("{}.{}.{}", numbers[0], numbers[1], numbers[2]);
}

std::optional<Version> version_in(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon != std::string_view::npos &&
        text.substr(0, colon).find_first_not_of("0123456789") == std::string_view::npos) {
        text.remove_prefix(colon + 1);
    }
    text.remove_prefix(text.starts_with('v') ? 1 : 0);
    Version version;
    for (std::uint32_t& number : version.numbers) {
        const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
        if (read.ec != std::errc{}) {
            return &number == version.numbers.data() ? std::nullopt : std::optional(version);
        }
        text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
        if (!text.starts_with('.')) {
            break;
        }
        text.remove_prefix(1);
    }
    return version;
}

}  // namespace trilane::doctor
