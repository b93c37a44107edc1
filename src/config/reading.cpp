#include "config/reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "config/toml.h"

namespace trilane::config {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t size;
};

constexpr std::array<Unit, 14> kByteUnits{{{"TiB", std::uint64_t{1} << 40U},
                                           {"GiB", std::uint64_t{1} << 30U},
                                           {"MiB", std::uint64_t{1} << 20U},
                                           {"KiB", std::uint64_t{1} << 10U},
                                           {"TB", 1'000'000'000'000U},
                                           {"GB", 1'000'000'000U},
                                           {"MB", 1'000'000U},
                                           {"kB", 1'000U},
                                           {"KB", 1'000U},
                                           {"T", std::uint64_t{1} << 40U},
                                           {"G", std::uint64_t{1} << 30U},
                                           {"M", std::uint64_t{1} << 20U},
                                           {"K", std::uint64_t{1} << 10U},
                                           {"B", 1U}}};
constexpr std::array<Unit, 4> kTimeUnits{{{"d", 86'400U}, {"h", 3'600U}, {"m", 60U}, {"s", 1U}}};

/// A number and one of the units behind it.
template <std::size_t N>
std::optional<std::uint64_t> parse_with_unit(std::string_view text,
                                             const std::array<Unit, N>& units) {
    double number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec != std::errc() || number < 0 || !std::isfinite(number)) {
        return std::nullopt;
    }
    std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    double size = 1;
    if (!rest.empty()) {
        const auto unit = std::ranges::find(units, rest, &Unit::name);
        if (unit == units.end()) {
            return std::nullopt;
        }
        size = static_cast<double>(unit->size);
    }
    constexpr double kMost = 9e18;
    return number * size < kMost ? std::optional(static_cast<std::uint64_t>(number * size))
                                 : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
    return parse_with_unit(text, kByteUnits);
}
std::optional<std::uint64_t> parse_seconds(std::string_view text) {
    return parse_with_unit(text, kTimeUnits);
}

std::string bytes_text(std::uint64_t bytes) {
    for (const std::string_view name : {"TiB", "GiB", "MiB", "KiB"}) {
        const std::uint64_t size = std::ranges::find(kByteUnits, name, &Unit::name)->size;
        if (bytes >= size && bytes % size == 0) {
            return fmt::format("{} {}", bytes / size, name);
        }
    }
    return fmt::format("{} B", bytes);
}

std::string seconds_text(std::uint64_t seconds) {
    for (const Unit& unit : kTimeUnits) {
        if (seconds >= unit.size && seconds % unit.size == 0) {
            return fmt::format("{}{}", seconds / unit.size, unit.name);
        }
    }
    return "0s";
}

void Reading::refuse(std::string_view wanted) const {
    const toml::source_position place = node_.source().begin;
    remarks_.push_back(
        {place.line, place.column, true, fmt::format("{} must be {}", path_, wanted)});
}

std::optional<double> Reading::number() const {
    return node_.value<double>();
}
std::optional<std::string> Reading::as_text() const {
    return node_.value_exact<std::string>();
}

void Reading::text(std::string& into) const {
    if (auto value = node_.value_exact<std::string>()) {
        into = *std::move(value);
    } else {
        refuse("a text in quotes");
    }
}

void Reading::word(std::string& into, std::initializer_list<std::string_view> known) const {
    const auto value = node_.value_exact<std::string>();
    if (value && std::ranges::find(known, *value) != known.end()) {
        into = *value;
        return;
    }
    std::string words;
    for (const std::string_view word : known) {
        words += fmt::format("{}\"{}\"", words.empty() ? "" : ", ", word);
    }
    refuse("one of " + words);
}

void Reading::boolean(bool& into) const {
    if (const auto value = node_.value_exact<bool>()) {
        into = *value;
    } else {
        refuse("true or false");
    }
}

template <class T>
void Reading::whole_into(T& into, std::uint64_t min, std::uint64_t max) const {
    const auto value = node_.value_exact<std::int64_t>();
    if (!value || *value < 0 || static_cast<std::uint64_t>(*value) < min ||
        static_cast<std::uint64_t>(*value) > max) {
        refuse(fmt::format("a whole number from {} to {}", min, max));
        return;
    }
    into = static_cast<T>(*value);
}

void Reading::whole(std::uint32_t& into, std::uint64_t min, std::uint64_t max) const {
    whole_into(into, min, max);
}
void Reading::whole(std::uint16_t& into, std::uint64_t min, std::uint64_t max) const {
    whole_into(into, min, max);
}
void Reading::whole(std::size_t& into, std::uint64_t min, std::uint64_t max) const {
    whole_into(into, min, max);
}

void Reading::signed_whole(std::int32_t& into, std::int64_t min, std::int64_t max) const {
    const auto value = node_.value_exact<std::int64_t>();
    if (!value || *value < min || *value > max) {
        refuse(fmt::format("a whole number from {} to {}", min, max));
        return;
    }
    into = static_cast<std::int32_t>(*value);
}

void Reading::bytes(std::uint64_t& into) const {
    std::optional<std::uint64_t> value;
    if (const auto text = node_.value_exact<std::string>()) {
        value = parse_bytes(*text);
    } else if (const auto number = node_.value_exact<std::int64_t>(); number && *number >= 0) {
        value = static_cast<std::uint64_t>(*number);
    }
    if (!value) {
        refuse("an amount of memory such as \"4 GiB\"");
        return;
    }
    into = *value;
}

void Reading::seconds(std::uint32_t& into, std::uint64_t min, std::uint64_t max) const {
    std::optional<std::uint64_t> value;
    if (const auto text = node_.value_exact<std::string>()) {
        value = parse_seconds(*text);
    } else if (const auto number = node_.value_exact<std::int64_t>(); number && *number >= 0) {
        value = static_cast<std::uint64_t>(*number);
    }
    if (!value || *value < min || *value > max) {
        const std::string least = min > 0 ? "at least " + seconds_text(min) + " and " : "";
        refuse(fmt::format("a time such as \"90s\" or \"15m\", {}at most {}", least,
                           seconds_text(max)));
        return;
    }
    into = static_cast<std::uint32_t>(*value);
}

void Reading::device(std::string& into) const {
    const auto value = node_.value_exact<std::string>();
    const bool is_gpu = value && value->starts_with("gpu") && value->size() > 3 &&
                        value->find_first_not_of("0123456789", 3) == std::string::npos;
    if (!value || !(value->empty() || *value == "cpu" || *value == "npu" || is_gpu)) {
        refuse(
            "\"cpu\", \"gpu0\" … or \"npu\", as `trilane plan` names them; an engine's own name "
            "such as \"Vulkan0\" belongs into engine_device");
        return;
    }
    into = *value;
}

void Reading::texts(std::vector<std::string>& into) const {
    const toml::array* array = node_.as_array();
    std::vector<std::string> texts;
    bool good = array != nullptr;
    if (array != nullptr) {
        for (const toml::node& one : *array) {
            const auto text = one.value_exact<std::string>();
            good = good && text.has_value();
            texts.push_back(text.value_or(""));
        }
    }
    if (!good) {
        refuse("a list of texts such as [\"a\", \"b\"]");
        return;
    }
    into = std::move(texts);
}

void Reading::pairs(std::map<std::string, std::string>& into) const {
    const toml::table* table = node_.as_table();
    std::map<std::string, std::string> pairs;
    bool good = table != nullptr;
    if (table != nullptr) {
        for (const auto& [key, value] : *table) {
            const auto text = value.value_exact<std::string>();
            good = good && text.has_value();
            pairs.emplace(key.str(), text.value_or(""));
        }
    }
    if (!good) {
        refuse("a table of texts such as { NAME = \"value\" }");
        return;
    }
    into = std::move(pairs);
}

}  // namespace trilane::config
