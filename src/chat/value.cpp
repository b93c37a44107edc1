// Values, scopes and the metering heap; JSON is converted here on its way in.
#include "chat/value.h"

#include <algorithm>
#include <limits>

#include "json/json.h"

namespace trilane::chat {

Text::~Text() {
    if (heap != nullptr) {
        heap->release(held_bytes());
    }
}

const std::string* Value::text() const {
    const auto* ref = get<TextRef>();
    return ref == nullptr ? nullptr : &(*ref)->bytes;
}

List* Value::list() const {
    const auto* pointer = get<List*>();
    return pointer == nullptr ? nullptr : *pointer;
}

Dict* Value::dict() const {
    const auto* pointer = get<Dict*>();
    return pointer == nullptr ? nullptr : *pointer;
}

std::optional<std::int64_t> Value::integer() const {
    if (const auto* number = get<std::int64_t>()) {
        return *number;
    }
    if (const auto* flag = get<bool>()) {
        return *flag ? 1 : 0;
    }
    return std::nullopt;
}

std::optional<double> Value::real() const {
    if (const auto* number = get<double>()) {
        return *number;
    }
    if (const auto number = integer()) {
        return static_cast<double>(*number);
    }
    return std::nullopt;
}

bool Value::callable() const {
    return is<const Macro*>() || is<const Builtin*>() || is<BoundRef>();
}

std::string_view type_name(const Value& value) {
    static constexpr std::string_view kNames[] = {
        "undefined", "none",        "a boolean", "an integer", "a float",    "a string", "a list",
        "a dict",    "a namespace", "a loop",    "a macro",    "a function", "a method"};
    static_assert(std::size(kNames) == std::variant_size_v<Value::Storage>);
    if (const auto* list = value.list(); list != nullptr && list->tuple) {
        return "a tuple";
    }
    return kNames[value.data().index()];
}

const Value* Dict::find(std::string_view key) const {
    for (const auto& [name, value] : items) {
        const auto* text = name.text();
        if (text != nullptr && *text == key) {
            return &value;
        }
    }
    return nullptr;
}

Value* Namespace::find(std::string_view name) {
    for (auto& [key, value] : items) {
        if (key == name) {
            return &value;
        }
    }
    return nullptr;
}

const Value* Scope::find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->parent.get()) {
        for (const auto& [key, value] : scope->names) {
            if (key == name) {
                return &value;
            }
        }
    }
    return nullptr;
}

void Scope::set(std::string_view name, Value value) {
    for (auto& [key, old] : names) {
        if (key == name) {
            old = std::move(value);
            return;
        }
    }
    names.emplace_back(name, std::move(value));
}

Heap::~Heap() {
    // Macros hold scopes and scopes hold values: these go first, while the counters still stand.
    macros_.clear();
}

Value Heap::text(std::string bytes) {
    (void)room(bytes.size());
    (void)charge(1 + bytes.size() / 64);
    auto text = std::make_shared<Text>(std::move(bytes), this);
    hold(text->held_bytes());
    return Value(TextRef(std::move(text)));
}

List* Heap::list(std::vector<Value> items, bool tuple) {
    hold(sizeof(List));
    grew(items.size());
    (void)charge(1 + items.size());
    lists_.push_back({std::move(items), tuple});
    return &lists_.back();
}

Dict* Heap::dict() {
    hold(sizeof(Dict));
    return &dicts_.emplace_back();
}

Namespace* Heap::name_space() {
    hold(sizeof(Namespace));
    return &namespaces_.emplace_back();
}

LoopState* Heap::loop(List* items) {
    hold(sizeof(LoopState));
    auto& state = loops_.emplace_back();
    state.items = items;
    return &state;
}

const Macro* Heap::macro(Macro macro) {
    hold(sizeof(Macro));
    macros_.push_back(std::move(macro));
    return &macros_.back();
}

bool Heap::charge(std::size_t steps) {
    steps_ += std::min(steps, limits_.steps_max);
    if (steps_ > limits_.steps_max) {
        exhaust("the step limit");
        return false;
    }
    return !exhausted();
}

bool Heap::room(std::size_t bytes) {
    if (bytes > limits_.output_bytes_max) {
        exhaust("the output limit");
        return false;
    }
    return true;
}

void Heap::hold(std::size_t bytes) {
    held_bytes_ += bytes;
    if (held_bytes_ > limits_.memory_bytes_max) {
        exhaust("the memory limit");
    }
}

void Heap::exhaust(std::string_view what) {
    if (exhausted_.empty()) {
        exhausted_ = what;
    }
}

namespace {

Value from_json_object(Heap& heap, const json::Value& source, unsigned depth) {
    Dict* dict = heap.dict();
    dict->items.reserve(source.size());
    heap.grew(2 * source.size());
    for (const auto& [key, value] : source.items()) {
        dict->items.emplace_back(heap.text(key), from_json(heap, value, depth + 1));
    }
    return Value(dict);
}

Value from_json_number(const json::Value& source) {
    if (source.is_number_float()) {
        return Value(source.get<double>());
    }
    if (source.is_number_unsigned() &&
        source.get<std::uint64_t>() >
            static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return Value(static_cast<double>(source.get<std::uint64_t>()));
    }
    return Value(source.get<std::int64_t>());
}

}  // namespace

Value from_json(Heap& heap, const json::Value& source, unsigned depth) {
    if (depth > Heap::kNestingMax) {
        heap.exhaust("the nesting limit of values");
        return Value(None{});
    }
    switch (source.type()) {
        case json::Value::value_t::object:
            return from_json_object(heap, source, depth);
        case json::Value::value_t::array: {
            std::vector<Value> items;
            items.reserve(source.size());
            for (const auto& item : source) {
                items.push_back(from_json(heap, item, depth + 1));
            }
            return Value(heap.list(std::move(items)));
        }
        case json::Value::value_t::string:
            return heap.text(source.get<std::string>());
        case json::Value::value_t::boolean:
            return Value(source.get<bool>());
        case json::Value::value_t::number_float:
        case json::Value::value_t::number_integer:
        case json::Value::value_t::number_unsigned:
            return from_json_number(source);
        default:
            return Value(None{});
    }
}

}  // namespace trilane::chat
