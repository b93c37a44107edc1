#include "dialect/fields.h"

#include <cmath>
#include <limits>

#include "base/utf8.h"
#include "json/json.h"

namespace trilane::dialect {
namespace {

constexpr std::size_t kShownBytesMax = 64;

/// A value as a message shows it: short values as they are, long ones clipped, others by type.
std::string shown(const json::Value& value) {
    if (value.is_object() || value.is_array()) {
        return value.empty() ? std::string(value.is_array() ? "[]" : "{}")
                             : std::string(json::type_name(value));
    }
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        return json::dump(json::Value(utf8_clipped(text, kShownBytesMax)));
    }
    return json::dump(value);
}

}  // namespace

tl::unexpected<Error> refuse(std::string_view path, const json::Value& got, std::string_view send) {
    return fail(Fault::invalid, "{}: got {}; send {}", path, shown(got), send);
}

std::optional<std::int64_t> whole_number(const json::Value& value) {
    constexpr double kExactMax = 9007199254740992.0;  // 2^53: beyond it doubles skip integers
    if (value.is_number_unsigned()) {
        const auto number = value.get<std::uint64_t>();
        if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
            return std::nullopt;
        }
        return static_cast<std::int64_t>(number);
    }
    if (value.is_number_integer()) {
        return value.get<std::int64_t>();
    }
    if (value.is_number_float()) {
        const auto number = value.get<double>();
        if (std::fabs(number) <= kExactMax && std::trunc(number) == number) {
            return static_cast<std::int64_t>(number);
        }
    }
    return std::nullopt;
}

const json::Value* Fields::find(std::string_view name) const {
    const auto found = object_.find(std::string(name));
    return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::string Fields::path_of(std::string_view name) const {
    return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

Result<std::optional<bool>> Fields::boolean(std::string_view name) const {
    const json::Value* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (!value->is_boolean()) {
        return refuse(path_of(name), *value, "true or false");
    }
    return value->get<bool>();
}

Result<std::optional<std::int64_t>> Fields::integer(std::string_view name, std::int64_t min,
                                                    std::int64_t max) const {
    const json::Value* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    const auto number = whole_number(*value);
    if (!number || *number < min || *number > max) {
        return refuse(path_of(name), *value, fmt::format("an integer from {} to {}", min, max));
    }
    return number;
}

Result<std::optional<double>> Fields::number(std::string_view name, double min, double max) const {
    const json::Value* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    const double number = value->is_number() ? value->get<double>() : min - 1.0;
    // Written so that a NaN, should one ever come through, is refused as well.
    if (!(number >= min && number <= max)) {
        return refuse(path_of(name), *value, fmt::format("a number from {} to {}", min, max));
    }
    return number;
}

Result<std::optional<std::string>> Fields::text(std::string_view name) const {
    const json::Value* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (!value->is_string()) {
        return refuse(path_of(name), *value, "a string");
    }
    return value->get_ref<const std::string&>();
}

Result<std::optional<std::string>> Fields::word(
    std::string_view name, std::initializer_list<std::string_view> known) const {
    const json::Value* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    std::string list;
    for (const std::string_view candidate : known) {
        if (value->is_string() && value->get_ref<const std::string&>() == candidate) {
            return std::string(candidate);
        }
        list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", candidate);
    }
    return refuse(path_of(name), *value, fmt::format("one of {}", list));
}

Result<const json::Value*> Fields::array(std::string_view name, std::string_view of_what) const {
    const json::Value* value = find(name);
    if (value != nullptr && !value->is_array()) {
        return refuse(path_of(name), *value, fmt::format("an array of {}", of_what));
    }
    return value;
}

Result<const json::Value*> Fields::object(std::string_view name) const {
    const json::Value* value = find(name);
    if (value != nullptr && !value->is_object()) {
        return refuse(path_of(name), *value, "an object");
    }
    return value;
}

Result<std::string> Fields::required_text(std::string_view name, std::string_view send) const {
    const auto found = object_.find(std::string(name));
    if (found == object_.end()) {
        return fail(Fault::invalid, "{}: missing; send {}", path_of(name), send);
    }
    if (!found->is_string() || found->get_ref<const std::string&>().empty()) {
        return refuse(path_of(name), *found, send);
    }
    return found->get_ref<const std::string&>();
}

}  // namespace trilane::dialect
