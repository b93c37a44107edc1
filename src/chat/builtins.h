// The functions a template finds ready: filters, tests, methods of strings, lists and dicts, and
// global functions. One signature for all of them, tables by name, and the binding of arguments.
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "chat/value.h"

namespace trilane::chat {

/// What a builtin may touch besides its arguments.
struct Host {
    Heap& heap;
    std::int64_t now_unix_s;
    bool raised = false;  ///< the error is raise_exception()'s and is shown as it stands
};

struct CallArgs {
    std::vector<Value> positional;
    std::vector<std::pair<std::string_view, Value>> named;
};

/// `self` is the filtered or tested value, the object of a method, or undefined for a global.
using BuiltinFn = Result<Value> (*)(Host& host, const Value& self, const CallArgs& args);

struct Builtin {
    std::string_view name;
    BuiltinFn call;
};

/// Each answers null when the name is not known.
const Builtin* find_filter(std::string_view name);
const Builtin* find_test(std::string_view name);
const Builtin* find_global(std::string_view name);
/// The method `name` of a string, list, dict or loop.
const Builtin* find_method(const Value& self, std::string_view name);

/// Arguments spread over a builtin's parameters. The values stay in the CallArgs.
class Parameters {
public:
    /// **Errors:** invalid: too many arguments, an unknown name, or fewer than `required`.
    static Result<Parameters> bind(std::string_view callee, const CallArgs& args,
                                   std::initializer_list<std::string_view> names,
                                   std::size_t required = 0);

    /// Null when the caller left it out.
    [[nodiscard]] const Value* operator[](std::size_t i) const { return values_[i]; }
    [[nodiscard]] bool flag(std::size_t i, bool otherwise) const;
    [[nodiscard]] Result<std::int64_t> integer(std::size_t i, std::int64_t otherwise) const;
    /// A string, or nothing when left out or none.
    [[nodiscard]] Result<std::optional<std::string_view>> text(std::size_t i) const;

private:
    std::string_view callee_;
    std::vector<std::string_view> names_;
    std::vector<const Value*> values_;
};

/// strftime's text for a moment in UTC, English names. Unknown conversions are copied as they are.
/// **Source:** ISO C 7.29.3.5, plus glibc's `-` flag (no padding).
std::string format_time(std::string_view format, std::int64_t unix_s);

/// The value at a dotted path ("function.name"), as `map(attribute=…)` reads it.
Result<Value> attribute_path(Heap& heap, const Value& object, std::string_view path);

// The tables that the find_ functions search, one per file.
const Builtin* find_text_filter(std::string_view name);
const Builtin* find_list_filter(std::string_view name);
const Builtin* find_text_method(std::string_view name);

}  // namespace trilane::chat
