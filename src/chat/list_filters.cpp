// Filters over lists and dicts: selectattr, map, sort, join …
#include <algorithm>
#include <array>

#include "chat/builtins.h"
#include "chat/operators.h"
#include "chat/python_text.h"
#include "chat/unicode.h"

namespace trilane::chat {
namespace {

Status no_arguments(std::string_view name, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind(name, args, {}));
    (void)bound;
    return {};
}

Result<Value> count(Host& /*host*/, const Value& self, const CallArgs& args) {
    TRILANE_TRY_STATUS(no_arguments("length", args));
    TRILANE_TRY(const auto size, length(self));
    return Value(static_cast<std::int64_t>(size));
}

Result<Value> default_value(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("default", args, {"default_value", "boolean"}));
    if (self.undefined() || (bound.flag(1, false) && !truthy(self))) {
        return bound[0] == nullptr ? host.heap.text("") : *bound[0];
    }
    return self;
}

Result<Value> first(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY_STATUS(no_arguments("first", args));
    TRILANE_TRY(const List* list, iterate(host.heap, self));
    return list->items.empty() ? Value() : list->items.front();
}

Result<Value> last(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY_STATUS(no_arguments("last", args));
    TRILANE_TRY(const List* list, iterate(host.heap, self));
    return list->items.empty() ? Value() : list->items.back();
}

Result<Value> to_list(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY_STATUS(no_arguments("list", args));
    TRILANE_TRY(const List* list, iterate(host.heap, self));
    return Value(host.heap.list(list->items));
}

Result<Value> reverse(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY_STATUS(no_arguments("reverse", args));
    if (self.text() != nullptr) {
        return slice(host.heap, self, Value(None{}), Value(None{}), Value(std::int64_t{-1}));
    }
    TRILANE_TRY(const List* list, iterate(host.heap, self));
    return Value(host.heap.list({list->items.rbegin(), list->items.rend()}));
}

Result<Value> items(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY_STATUS(no_arguments("items", args));
    std::vector<Value> pairs;
    if (const auto* dict = self.dict()) {
        for (const auto& [key, value] : dict->items) {
            pairs.emplace_back(host.heap.list({key, value}, true));
        }
    } else if (!self.undefined()) {
        return fail(Fault::invalid, "items needs a dict, not {}", type_name(self));
    }
    return Value(host.heap.list(std::move(pairs)));
}

Result<Value> join(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("join", args, {"d", "attribute"}));
    TRILANE_TRY(const auto path, bound.text(1));
    TRILANE_TRY(const List* list, iterate(host.heap, self));
    const auto separator = bound[0] == nullptr ? std::string() : to_str(host.heap, *bound[0]);
    std::string out;
    for (std::size_t i = 0; i < list->items.size(); ++i) {
        out += i > 0 ? separator : "";
        Value part = list->items[i];
        if (path) {
            TRILANE_TRY(part, attribute_path(host.heap, part, *path));
        }
        append_str(host.heap, out, part);
        if (!host.heap.charge(1) || !host.heap.room(out.size())) {
            break;
        }
    }
    return host.heap.text(std::move(out));
}

/// What sort, min, max, unique and dictsort compare by: lower case unless told otherwise.
Result<Value> sort_key(Host& host, const Value& value, std::optional<std::string_view> path,
                       bool case_sensitive) {
    Value key = value;
    if (path) {
        TRILANE_TRY(key, attribute_path(host.heap, key, *path));
    }
    if (const auto* text = key.text(); text != nullptr && !case_sensitive) {
        key = host.heap.text(to_lower(*text));
    }
    return key;
}

using Keyed = std::pair<Value, Value>;  // key, element

Result<std::vector<Keyed>> keyed(Host& host, const List& list, std::optional<std::string_view> path,
                                 bool case_sensitive) {
    std::vector<Keyed> result;
    for (const auto& element : list.items) {
        TRILANE_TRY(auto key, sort_key(host, element, path, case_sensitive));
        result.emplace_back(std::move(key), element);
    }
    return result;
}

/// Stable sort that remembers the first comparison that failed.
Status sort_keyed(Heap& heap, std::vector<Keyed>& list, bool descending) {
    // A comparator must stay consistent, so types are settled before any sorting: when each
    // neighbour compares, all are of one kind.
    for (std::size_t i = 1; i < list.size(); ++i) {
        TRILANE_TRY(const bool ignored, less(heap, list[i - 1].first, list[i].first));
        (void)ignored;
    }
    std::optional<Error> broken;
    std::stable_sort(list.begin(), list.end(), [&](const Keyed& a, const Keyed& b) {
        auto result = descending ? less(heap, b.first, a.first) : less(heap, a.first, b.first);
        if (!result && !broken) {
            broken = result.error();
        }
        return result.value_or(false);
    });
    return broken ? Status(tl::unexpected(*std::move(broken))) : Status{};
}

Result<Value> sort(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound,
                Parameters::bind("sort", args, {"reverse", "case_sensitive", "attribute"}));
    TRILANE_TRY(const auto path, bound.text(2));
    TRILANE_TRY(const List* list, iterate(host.heap, self));
    TRILANE_TRY(auto pairs, keyed(host, *list, path, bound.flag(1, false)));
    TRILANE_TRY_STATUS(sort_keyed(host.heap, pairs, bound.flag(0, false)));
    std::vector<Value> sorted;
    sorted.reserve(pairs.size());
    for (auto& pair : pairs) {
        sorted.push_back(std::move(pair.second));
    }
    return Value(host.heap.list(std::move(sorted)));
}

Result<Value> dictsort(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound,
                Parameters::bind("dictsort", args, {"case_sensitive", "by", "reverse"}));
    TRILANE_TRY(const auto by, bound.text(1));
    if (by && *by != "key" && *by != "value") {
        return fail(Fault::invalid, "dictsort sorts by 'key' or by 'value'");
    }
    if (self.dict() == nullptr) {
        return fail(Fault::invalid, "dictsort needs a dict, not {}", type_name(self));
    }
    std::vector<Keyed> pairs;
    for (const auto& [key, value] : self.dict()->items) {
        TRILANE_TRY(auto order, sort_key(host, by == "value" ? value : key, std::nullopt,
                                         bound.flag(0, false)));
        pairs.emplace_back(std::move(order), Value(host.heap.list({key, value}, true)));
    }
    TRILANE_TRY_STATUS(sort_keyed(host.heap, pairs, bound.flag(2, false)));
    std::vector<Value> sorted;
    sorted.reserve(pairs.size());
    for (auto& pair : pairs) {
        sorted.push_back(std::move(pair.second));
    }
    return Value(host.heap.list(std::move(sorted)));
}

Result<Value> extreme(Host& host, const Value& self, const CallArgs& args, std::string_view name,
                      bool largest) {
    TRILANE_TRY(const auto bound, Parameters::bind(name, args, {"case_sensitive", "attribute"}));
    TRILANE_TRY(const auto path, bound.text(1));
    TRILANE_TRY(const List* list, iterate(host.heap, self));
    TRILANE_TRY(const auto pairs, keyed(host, *list, path, bound.flag(0, false)));
    const Keyed* best = nullptr;
    for (const auto& pair : pairs) {
        bool better = best == nullptr;
        if (!better) {
            TRILANE_TRY(better, largest ? less(host.heap, best->first, pair.first)
                                        : less(host.heap, pair.first, best->first));
        }
        best = better ? &pair : best;
    }
    return best == nullptr ? Value() : best->second;
}

Result<Value> minimum(Host& host, const Value& self, const CallArgs& args) {
    return extreme(host, self, args, "min", false);
}

Result<Value> maximum(Host& host, const Value& self, const CallArgs& args) {
    return extreme(host, self, args, "max", true);
}

Result<Value> sum(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("sum", args, {"attribute", "start"}));
    TRILANE_TRY(const auto path, bound.text(0));
    TRILANE_TRY(const List* list, iterate(host.heap, self));
    Value total = bound[1] == nullptr ? Value(std::int64_t{0}) : *bound[1];
    for (const auto& element : list->items) {
        Value part = element;
        if (path) {
            TRILANE_TRY(part, attribute_path(host.heap, part, *path));
        }
        TRILANE_TRY(total, binary(host.heap, BinaryOp::add, total, part));
    }
    return total;
}

Result<Value> unique(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound,
                Parameters::bind("unique", args, {"case_sensitive", "attribute"}));
    TRILANE_TRY(const auto path, bound.text(1));
    TRILANE_TRY(const List* list, iterate(host.heap, self));
    TRILANE_TRY(const auto pairs, keyed(host, *list, path, bound.flag(0, false)));
    std::vector<Value> seen;
    std::vector<Value> kept;
    for (const auto& pair : pairs) {
        const bool known = std::any_of(seen.begin(), seen.end(), [&](const Value& other) {
            return equals(host.heap, other, pair.first);
        });
        if (!known) {
            seen.push_back(pair.first);
            kept.push_back(pair.second);
        }
    }
    return Value(host.heap.list(std::move(kept)));
}

Result<Value> batch(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("batch", args, {"linecount", "fill_with"}, 1));
    TRILANE_TRY(const auto wanted, bound.integer(0, 1));
    TRILANE_TRY(const List* list, iterate(host.heap, self));
    if (wanted < 1 || !host.heap.room(static_cast<std::size_t>(wanted))) {
        return fail(Fault::invalid, "batch: a line count of {} is not possible", wanted);
    }
    const auto width = static_cast<std::size_t>(wanted);
    std::vector<Value> lines;
    for (std::size_t i = 0; i < list->items.size(); i += width) {
        const auto end = std::min(i + width, list->items.size());
        std::vector<Value> line(list->items.begin() + static_cast<std::ptrdiff_t>(i),
                                list->items.begin() + static_cast<std::ptrdiff_t>(end));
        if (bound[1] != nullptr && !bound[1]->none()) {
            line.resize(width, *bound[1]);
        }
        lines.emplace_back(host.heap.list(std::move(line)));
    }
    return Value(host.heap.list(std::move(lines)));
}

/// The rest of a call whose first arguments have been used.
CallArgs without_first(const CallArgs& args, std::size_t used) {
    CallArgs rest;
    rest.positional.assign(args.positional.begin() + static_cast<std::ptrdiff_t>(used),
                           args.positional.end());
    rest.named = args.named;
    return rest;
}

/// select, reject, selectattr and rejectattr: keeps what passes the test named first among `args`
/// (or is true when none is named).
Result<Value> filtered(Host& host, const Value& self, const CallArgs& args, bool by_attribute,
                       bool keep) {
    std::string_view path;
    std::size_t used = 0;
    if (by_attribute) {
        if (args.positional.empty() || args.positional[0].text() == nullptr) {
            return fail(Fault::invalid, "selectattr and rejectattr need an attribute's name");
        }
        path = *args.positional[used++].text();
    }
    const Builtin* test = nullptr;
    if (args.positional.size() > used) {
        const auto* name = args.positional[used++].text();
        test = name == nullptr ? nullptr : find_test(*name);
        if (test == nullptr) {
            return fail(Fault::invalid, "there is no test named '{}'",
                        name == nullptr ? to_str(host.heap, args.positional[used - 1]) : *name);
        }
    }
    const auto rest = without_first(args, used);
    TRILANE_TRY(const List* list, iterate(host.heap, self));
    std::vector<Value> kept;
    for (const auto& element : list->items) {
        Value subject = element;
        if (by_attribute) {
            TRILANE_TRY(subject, attribute_path(host.heap, element, path));
        }
        if (test != nullptr) {
            TRILANE_TRY(subject, test->call(host, subject, rest));
        }
        if (truthy(subject) == keep) {
            kept.push_back(element);
        }
        if (!host.heap.charge(1)) {
            break;
        }
    }
    return Value(host.heap.list(std::move(kept)));
}

Result<Value> select(Host& host, const Value& self, const CallArgs& args) {
    return filtered(host, self, args, false, true);
}

Result<Value> reject(Host& host, const Value& self, const CallArgs& args) {
    return filtered(host, self, args, false, false);
}

Result<Value> selectattr(Host& host, const Value& self, const CallArgs& args) {
    return filtered(host, self, args, true, true);
}

Result<Value> rejectattr(Host& host, const Value& self, const CallArgs& args) {
    return filtered(host, self, args, true, false);
}

Result<Value> map_attribute(Host& host, const List& list, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("map", args, {"attribute", "default"}, 1));
    TRILANE_TRY(const auto path, bound.text(0));
    std::vector<Value> mapped;
    for (const auto& element : list.items) {
        TRILANE_TRY(auto value, attribute_path(host.heap, element, path.value_or("")));
        mapped.push_back(value.undefined() && bound[1] != nullptr ? *bound[1] : value);
    }
    return Value(host.heap.list(std::move(mapped)));
}

Result<Value> map(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const List* list, iterate(host.heap, self));
    if (args.positional.empty()) {
        return map_attribute(host, *list, args);
    }
    const auto* name = args.positional[0].text();
    const Builtin* filter = name == nullptr ? nullptr : find_filter(*name);
    if (filter == nullptr) {
        return fail(Fault::invalid, "map: there is no filter named '{}'",
                    to_str(host.heap, args.positional[0]));
    }
    if (filter->call == map) {
        return fail(Fault::invalid, "map cannot map itself");
    }
    const auto rest = without_first(args, 1);
    std::vector<Value> mapped;
    for (const auto& element : list->items) {
        TRILANE_TRY(auto value, filter->call(host, element, rest));
        mapped.push_back(std::move(value));
        if (!host.heap.charge(1)) {
            break;
        }
    }
    return Value(host.heap.list(std::move(mapped)));
}

constexpr auto kListFilters = std::to_array<Builtin>({
    {"batch", batch},           {"count", count},       {"d", default_value},
    {"default", default_value}, {"dictsort", dictsort}, {"first", first},
    {"items", items},           {"join", join},         {"last", last},
    {"length", count},          {"list", to_list},      {"map", map},
    {"max", maximum},           {"min", minimum},       {"reject", reject},
    {"rejectattr", rejectattr}, {"reverse", reverse},   {"select", select},
    {"selectattr", selectattr}, {"sort", sort},         {"sum", sum},
    {"unique", unique},
});

}  // namespace

const Builtin* find_list_filter(std::string_view name) {
    const auto* found = std::find_if(kListFilters.begin(), kListFilters.end(),
                                     [&](const Builtin& entry) { return entry.name == name; });
    return found == kListFilters.end() ? nullptr : found;
}

}  // namespace trilane::chat
