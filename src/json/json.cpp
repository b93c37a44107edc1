#include "json/json.h"

namespace trilane::json {
namespace {

/// More values than this in one text are refused: each takes many times the memory and the time of
/// its bytes.
constexpr std::size_t kValuesMax = 1'000'000;

/// "parse error at line 1, column 5: syntax error …" without the library's error number.
std::string without_prefix(std::string_view what) {
    const auto end = what.find("] ");
    return std::string(end == std::string_view::npos ? what : what.substr(end + 2));
}

/// Counts nesting and values outside strings, so that the parser never recurses past the limit nor
/// makes too much of a few bytes. There is a value behind every comma and opening, and one more.
Status check_size(std::string_view text) {
    unsigned depth = 0;
    std::size_t values = 1;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') {
                ++i;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            ++values;
            if (++depth > kDepthMax) {
                return fail(Fault::invalid, "JSON nests deeper than {} levels", kDepthMax);
            }
        } else if (c == ',') {
            ++values;
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    if (values > kValuesMax) {
        return fail(Fault::invalid, "JSON of more than {} values; send it in parts", kValuesMax);
    }
    return {};
}

}  // namespace

Result<Value> parse(std::string_view text) {
    TRILANE_TRY_STATUS(check_size(text));
    try {
        return Value::parse(text.begin(), text.end());
    } catch (const Value::exception& error) {
        return fail(Fault::invalid, "not valid JSON: {}", without_prefix(error.what()));
    }
}

std::string dump(const Value& value) {
    return value.dump(-1, ' ', false, Value::error_handler_t::replace);
}

std::string dump_pretty(const Value& value) {
    return value.dump(2, ' ', false, Value::error_handler_t::replace);
}

std::string_view type_name(const Value& value) {
    switch (value.type()) {
        case Value::value_t::null:
            return "null";
        case Value::value_t::object:
            return "an object";
        case Value::value_t::array:
            return "an array";
        case Value::value_t::string:
            return "a string";
        case Value::value_t::boolean:
            return "a boolean";
        case Value::value_t::number_float:
            return "a number";
        case Value::value_t::number_integer:
        case Value::value_t::number_unsigned:
            return "an integer";
        default:
            return "a binary value";
    }
}

}  // namespace trilane::json
