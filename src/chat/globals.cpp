// The functions every template can call: namespace, range, raise_exception …
#include <algorithm>
#include <array>

#include "chat/builtins.h"
#include "chat/operators.h"
#include "chat/python_text.h"

namespace trilane::chat {
namespace {

/// As in Jinja2's sandbox.
constexpr std::int64_t kRangeMax = 100'000;

Result<Value> raise_exception(Host& host, const Value& /*self*/, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("raise_exception", args, {"message"}, 1));
    host.raised = true;
    return fail(Fault::invalid, "{}", to_str(host.heap, *bound[0]));
}

Result<Value> strftime_now(Host& host, const Value& /*self*/, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("strftime_now", args, {"format"}, 1));
    TRILANE_TRY(const auto format, bound.text(0));
    return host.heap.text(format_time(format.value_or(""), host.now_unix_s));
}

Result<Value> name_space(Host& host, const Value& /*self*/, const CallArgs& args) {
    Namespace* space = host.heap.name_space();
    for (const auto& source : args.positional) {
        if (source.dict() == nullptr) {
            return fail(Fault::invalid, "namespace needs a dict or name=value arguments");
        }
        for (const auto& [key, value] : source.dict()->items) {
            space->items.emplace_back(to_str(host.heap, key), value);
        }
    }
    for (const auto& [name, value] : args.named) {
        if (Value* held = space->find(name)) {
            *held = value;
        } else {
            space->items.emplace_back(std::string(name), value);
        }
    }
    host.heap.grew(2 * space->items.size());
    return Value(space);
}

Result<Value> dict(Host& host, const Value& /*self*/, const CallArgs& args) {
    Dict* made = host.heap.dict();
    for (const auto& source : args.positional) {
        if (source.dict() == nullptr) {
            return fail(Fault::invalid, "dict needs a dict or name=value arguments");
        }
        for (const auto& [key, value] : source.dict()->items) {
            dict_set(host.heap, *made, key, value);
        }
    }
    for (const auto& [name, value] : args.named) {
        dict_set(host.heap, *made, host.heap.text(std::string(name)), value);
    }
    return Value(made);
}

Result<Value> range(Host& host, const Value& /*self*/, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("range", args, {"start", "stop", "step"}, 1));
    TRILANE_TRY(auto start, bound.integer(0, 0));
    TRILANE_TRY(auto stop, bound.integer(1, 0));
    TRILANE_TRY(const auto step, bound.integer(2, 1));
    if (bound[1] == nullptr) {
        stop = start;
        start = 0;
    }
    if (step == 0) {
        return fail(Fault::invalid, "range cannot step by 0");
    }
    std::vector<Value> items;
    for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
        if (static_cast<std::int64_t>(items.size()) >= kRangeMax) {
            return fail(Fault::exhausted, "range is limited to {} numbers", kRangeMax);
        }
        items.emplace_back(i);
        if (__builtin_add_overflow(i, step, &i)) {
            break;
        }
    }
    return Value(host.heap.list(std::move(items)));
}

constexpr auto kGlobals = std::to_array<Builtin>({
    {"dict", dict},
    {"namespace", name_space},
    {"raise_exception", raise_exception},
    {"range", range},
    {"strftime_now", strftime_now},
});

}  // namespace

const Builtin* find_global(std::string_view name) {
    const auto* found = std::find_if(kGlobals.begin(), kGlobals.end(),
                                     [&](const Builtin& entry) { return entry.name == name; });
    return found == kGlobals.end() ? nullptr : found;
}

}  // namespace trilane::chat
