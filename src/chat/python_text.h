// How values print: Python's str() and repr(), and json.dumps() as chat templates' tojson uses it.
#pragma once

#include <string>

#include "base/result.h"
#include "chat/value.h"

namespace trilane::chat {

/// Appends str(value); undefined prints nothing. Stops early when the heap is exhausted.
void append_str(Heap& heap, std::string& out, const Value& value);
std::string to_str(Heap& heap, const Value& value);

/// Shortest digits that read back as the same double, laid out as Python's repr() does.
std::string float_repr(double number);

/// `format % values` for %s, %r, %d, %i and %%.
/// **Errors:** invalid: another conversion, or not as many values as conversions.
Result<std::string> percent_format(Heap& heap, std::string_view format,
                                   const std::vector<Value>& values);

struct JsonStyle {
    std::optional<std::string> indent;  ///< one level of it; absent = all on one line
    std::string item_separator;
    std::string key_separator;
    bool ensure_ascii = false;
    bool sort_keys = false;
};

/// **Errors:** invalid: a value JSON cannot hold, such as undefined.
Status append_json(Heap& heap, std::string& out, const Value& value, const JsonStyle& style,
                   unsigned depth = 0);

}  // namespace trilane::chat
