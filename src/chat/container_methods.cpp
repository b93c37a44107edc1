// The methods of lists, dicts and the loop variable.
#include <algorithm>
#include <array>

#include "chat/builtins.h"
#include "chat/operators.h"

namespace trilane::chat {
namespace {

Result<Value> dict_get(Host& /*host*/, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("get", args, {"key", "default"}, 1));
    const Value* found = nullptr;
    if (const auto* text = bound[0]->text()) {
        found = self.dict()->find(*text);
    }
    if (found != nullptr) {
        return *found;
    }
    return bound[1] == nullptr ? Value(None{}) : *bound[1];
}

Result<Value> dict_items(Host& host, const Value& self, const CallArgs& args) {
    return find_filter("items")->call(host, self, args);
}

Result<Value> dict_keys(Host& host, const Value& self, const CallArgs& args) {
    return find_filter("list")->call(host, self, args);
}

Result<Value> dict_values(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto none, Parameters::bind("values", args, {}));
    (void)none;
    std::vector<Value> values;
    for (const auto& pair : self.dict()->items) {
        values.push_back(pair.second);
    }
    return Value(host.heap.list(std::move(values)));
}

Result<Value> dict_copy(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto none, Parameters::bind("copy", args, {}));
    (void)none;
    Dict* dict = host.heap.dict();
    dict->items = self.dict()->items;
    host.heap.grew(2 * dict->items.size());
    return Value(dict);
}

Result<Value> dict_pop(Host& /*host*/, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("pop", args, {"key", "default"}, 1));
    auto& items = self.dict()->items;
    const auto* key = bound[0]->text();
    const auto found = std::find_if(items.begin(), items.end(), [&](const auto& pair) {
        return key != nullptr && pair.first.text() != nullptr && *pair.first.text() == *key;
    });
    if (found == items.end()) {
        return bound[1] == nullptr
                   ? Result<Value>(fail(Fault::invalid, "pop: the dict has no such key"))
                   : *bound[1];
    }
    Value value = found->second;
    items.erase(found);
    return value;
}

Result<Value> dict_update(Host& host, const Value& self, const CallArgs& args) {
    for (const auto& other : args.positional) {
        if (other.dict() == nullptr || args.positional.size() > 1) {
            return fail(Fault::invalid, "update needs one dict");
        }
        const auto pairs = other.dict()->items;  // a copy: it may be the same dict
        for (const auto& [key, value] : pairs) {
            dict_set(host.heap, *self.dict(), key, value);
        }
    }
    for (const auto& [key, value] : args.named) {
        dict_set(host.heap, *self.dict(), host.heap.text(std::string(key)), value);
    }
    return Value(None{});
}

Result<Value> list_append(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("append", args, {"object"}, 1));
    host.heap.grew(1);
    self.list()->items.push_back(*bound[0]);
    return Value(None{});
}

Result<Value> list_extend(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("extend", args, {"iterable"}, 1));
    TRILANE_TRY(const List* other, iterate(host.heap, *bound[0]));
    const auto added = other->items;  // a copy: it may be the same list
    host.heap.grew(added.size());
    (void)host.heap.charge(added.size());
    auto& items = self.list()->items;
    items.insert(items.end(), added.begin(), added.end());
    return Value(None{});
}

Result<Value> list_pop(Host& /*host*/, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("pop", args, {"index"}));
    TRILANE_TRY(auto at, bound.integer(0, -1));
    auto& items = self.list()->items;
    const auto size = static_cast<std::int64_t>(items.size());
    at += at < 0 ? size : 0;
    if (at < 0 || at >= size) {
        return fail(Fault::invalid, "pop: the list has no item at that index");
    }
    Value value = items[static_cast<std::size_t>(at)];
    items.erase(items.begin() + at);
    return value;
}

Result<Value> list_insert(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("insert", args, {"index", "object"}, 2));
    TRILANE_TRY(auto at, bound.integer(0, 0));
    auto& items = self.list()->items;
    const auto size = static_cast<std::int64_t>(items.size());
    at = std::clamp<std::int64_t>(at < 0 ? std::max(at, -size) + size : at, 0, size);
    host.heap.grew(1);
    (void)host.heap.charge(1 + items.size() / 8);
    items.insert(items.begin() + at, *bound[1]);
    return Value(None{});
}

Result<Value> list_index(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("index", args, {"value"}, 1));
    const auto& items = self.list()->items;
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (equals(host.heap, items[i], *bound[0])) {
            return Value(static_cast<std::int64_t>(i));
        }
    }
    return fail(Fault::invalid, "index: the value is not in the list");
}

Result<Value> list_count(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("count", args, {"value"}, 1));
    const auto& items = self.list()->items;
    return Value(
        static_cast<std::int64_t>(std::count_if(items.begin(), items.end(), [&](const Value& item) {
            return equals(host.heap, item, *bound[0]);
        })));
}

Result<Value> loop_cycle(Host& /*host*/, const Value& self, const CallArgs& args) {
    if (args.positional.empty() || !args.named.empty()) {
        return fail(Fault::invalid, "loop.cycle needs values to go through");
    }
    const LoopState* loop = *self.get<LoopState*>();
    return args.positional[loop->index % args.positional.size()];
}

Result<Value> loop_changed(Host& host, const Value& self, const CallArgs& args) {
    LoopState* loop = *self.get<LoopState*>();
    const bool same =
        loop->changed_before &&
        std::equal(args.positional.begin(), args.positional.end(), loop->last_changed.begin(),
                   loop->last_changed.end(),
                   [&](const Value& a, const Value& b) { return equals(host.heap, a, b); });
    loop->changed_before = true;
    loop->last_changed = args.positional;
    return Value(!same);
}

constexpr auto kDictMethods = std::to_array<Builtin>({
    {"copy", dict_copy},
    {"get", dict_get},
    {"items", dict_items},
    {"keys", dict_keys},
    {"pop", dict_pop},
    {"update", dict_update},
    {"values", dict_values},
});

constexpr auto kListMethods = std::to_array<Builtin>({
    {"append", list_append},
    {"count", list_count},
    {"extend", list_extend},
    {"index", list_index},
    {"insert", list_insert},
    {"pop", list_pop},
});

constexpr auto kLoopMethods = std::to_array<Builtin>({
    {"changed", loop_changed},
    {"cycle", loop_cycle},
});

template <class Table>
const Builtin* find_in(const Table& table, std::string_view name) {
    const auto* found = std::find_if(table.begin(), table.end(),
                                     [&](const Builtin& entry) { return entry.name == name; });
    return found == table.end() ? nullptr : found;
}

}  // namespace

const Builtin* find_method(const Value& self, std::string_view name) {
    if (self.text() != nullptr) {
        return find_text_method(name);
    }
    if (self.dict() != nullptr) {
        return find_in(kDictMethods, name);
    }
    if (const auto* list = self.list()) {
        const bool reads = name == "index" || name == "count";
        return list->tuple && !reads ? nullptr : find_in(kListMethods, name);
    }
    return self.is<LoopState*>() ? find_in(kLoopMethods, name) : nullptr;
}

}  // namespace trilane::chat
