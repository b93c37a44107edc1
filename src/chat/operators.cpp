// Operators, subscripts and iteration over values; no syntax tree here.
#include "chat/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "chat/builtins.h"
#include "chat/python_text.h"
#include "chat/unicode.h"

namespace trilane::chat {

tl::unexpected<Error> undefined_error(const Value& value) {
    const auto* missing = value.get<Undefined>();
    if (missing == nullptr || missing->name == nullptr) {
        return fail(Fault::invalid, "an undefined value cannot be used here");
    }
    return fail(Fault::invalid, "'{}' is undefined", *missing->name);
}

bool truthy(const Value& value) {
    if (const auto* text = value.text()) {
        return !text->empty();
    }
    if (const auto* list = value.list()) {
        return !list->items.empty();
    }
    if (const auto* dict = value.dict()) {
        return !dict->items.empty();
    }
    if (const auto number = value.real()) {
        return *number != 0;
    }
    return !value.undefined() && !value.none();
}

namespace {

bool lists_equal(Heap& heap, const List& a, const List& b, unsigned depth) {
    if (a.tuple != b.tuple || a.items.size() != b.items.size()) {
        return false;
    }
    for (std::size_t i = 0; i < a.items.size(); ++i) {
        if (!equals(heap, a.items[i], b.items[i], depth + 1)) {
            return false;
        }
    }
    return true;
}

const Value* dict_find(Heap& heap, const Dict& dict, const Value& key) {
    (void)heap.charge(1 + dict.items.size() / 8);
    if (const auto* text = key.text()) {
        return dict.find(*text);
    }
    for (const auto& [name, value] : dict.items) {
        if (name.text() == nullptr && equals(heap, name, key)) {
            return &value;
        }
    }
    return nullptr;
}

bool dicts_equal(Heap& heap, const Dict& a, const Dict& b, unsigned depth) {
    if (a.items.size() != b.items.size()) {
        return false;
    }
    return std::all_of(a.items.begin(), a.items.end(), [&](const auto& pair) {
        const Value* other = dict_find(heap, b, pair.first);
        return other != nullptr && equals(heap, pair.second, *other, depth + 1);
    });
}

}  // namespace

bool equals(Heap& heap, const Value& a, const Value& b, unsigned depth) {
    if (depth > Heap::kNestingMax) {
        heap.exhaust("the nesting limit of values");
    }
    if (!heap.charge(1)) {
        return false;
    }
    const auto a_int = a.integer();
    const auto b_int = b.integer();
    if (a_int && b_int) {
        return *a_int == *b_int;
    }
    if (const auto a_real = a.real(), b_real = b.real(); a_real && b_real) {
        return *a_real == *b_real;
    }
    if (a.data().index() != b.data().index()) {
        return false;
    }
    if (const auto* text = a.text()) {
        return *text == *b.text();
    }
    if (const auto* list = a.list()) {
        return list == b.list() || lists_equal(heap, *list, *b.list(), depth);
    }
    if (const auto* dict = a.dict()) {
        return dict == b.dict() || dicts_equal(heap, *dict, *b.dict(), depth);
    }
    if (const auto* space = a.get<Namespace*>()) {
        return *space == *b.get<Namespace*>();
    }
    return a.undefined() || a.none();
}

Result<bool> less(Heap& heap, const Value& a, const Value& b, unsigned depth) {
    if (depth > Heap::kNestingMax) {
        heap.exhaust("the nesting limit of values");
    }
    if (!heap.charge(1)) {
        return false;
    }
    if (a.undefined() || b.undefined()) {
        return undefined_error(a.undefined() ? a : b);
    }
    if (a.integer() && b.integer()) {
        return *a.integer() < *b.integer();
    }
    if (a.real() && b.real()) {
        return *a.real() < *b.real();
    }
    if (a.text() != nullptr && b.text() != nullptr) {
        return *a.text() < *b.text();
    }
    if (const auto* x = a.list(), *y = b.list(); x != nullptr && y != nullptr) {
        for (std::size_t i = 0; i < std::min(x->items.size(), y->items.size()); ++i) {
            if (!equals(heap, x->items[i], y->items[i], depth + 1)) {
                return less(heap, x->items[i], y->items[i], depth + 1);
            }
        }
        return x->items.size() < y->items.size();
    }
    return fail(Fault::invalid, "cannot order {} and {}", type_name(a), type_name(b));
}

Result<bool> contains(Heap& heap, const Value& haystack, const Value& needle) {
    if (const auto* text = haystack.text()) {
        if (needle.undefined()) {
            return undefined_error(needle);
        }
        if (needle.text() == nullptr) {
            return fail(Fault::invalid, "'in' a string needs a string on its left, not {}",
                        type_name(needle));
        }
        (void)heap.charge(1 + text->size() / 64);
        return text->find(*needle.text()) != std::string::npos;
    }
    if (const auto* dict = haystack.dict()) {
        return dict_find(heap, *dict, needle) != nullptr;
    }
    TRILANE_TRY(const List* list, iterate(heap, haystack));
    return std::any_of(list->items.begin(), list->items.end(),
                       [&](const Value& item) { return equals(heap, item, needle); });
}

namespace {

Result<Value> overflow() {
    return fail(Fault::invalid, "an integer grew past 64 bits");
}

Result<Value> integer_power(std::int64_t base, std::int64_t exponent) {
    if (exponent < 0) {
        if (base == 0) {
            return fail(Fault::invalid, "0 cannot be raised to a negative power");
        }
        return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
    }
    std::int64_t result = 1;
    while (true) {
        if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) {
            return overflow();
        }
        exponent >>= 1;
        if (exponent == 0) {
            return Value(result);
        }
        if (__builtin_mul_overflow(base, base, &base)) {
            return overflow();
        }
    }
}

Result<Value> integer_binary(BinaryOp op, std::int64_t a, std::int64_t b) {
    std::int64_t result = 0;
    bool over = false;
    switch (op) {
        case BinaryOp::add:
            over = __builtin_add_overflow(a, b, &result);
            break;
        case BinaryOp::subtract:
            over = __builtin_sub_overflow(a, b, &result);
            break;
        case BinaryOp::multiply:
            over = __builtin_mul_overflow(a, b, &result);
            break;
        case BinaryOp::power:
            return integer_power(a, b);
        default:
            if (b == 0) {
                return fail(Fault::invalid, "division by zero");
            }
            if (op == BinaryOp::divide) {
                return Value(static_cast<double>(a) / static_cast<double>(b));
            }
            if (b == -1) {  // the one divisor that can overflow
                over = __builtin_sub_overflow(std::int64_t{0}, a, &result);
                result = op == BinaryOp::modulo ? 0 : result;
                over = over && op != BinaryOp::modulo;
                break;
            }
            result = op == BinaryOp::modulo ? a % b : a / b;
            if (a % b != 0 && (a < 0) != (b < 0)) {  // Python rounds towards minus infinity
                result = op == BinaryOp::modulo ? result + b : result - 1;
            }
    }
    return over ? overflow() : Result<Value>(Value(result));
}

Result<Value> real_binary(BinaryOp op, double a, double b) {
    switch (op) {
        case BinaryOp::add:
            return Value(a + b);
        case BinaryOp::subtract:
            return Value(a - b);
        case BinaryOp::multiply:
            return Value(a * b);
        case BinaryOp::power:
            return Value(std::pow(a, b));
        default:
            break;
    }
    if (b == 0) {
        return fail(Fault::invalid, "division by zero");
    }
    if (op == BinaryOp::divide) {
        return Value(a / b);
    }
    if (op == BinaryOp::floor_divide) {
        return Value(std::floor(a / b));
    }
    const double rest = std::fmod(a, b);
    return Value(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

Result<Value> repeat(Heap& heap, const Value& what, std::int64_t times) {
    const auto count = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
    if (const auto* text = what.text()) {
        std::string out;
        if (count == 0 || text->empty()) {
            return heap.text("");
        }
        if (count > std::numeric_limits<std::size_t>::max() / text->size() ||
            !heap.room(count * text->size())) {
            heap.exhaust("the output limit");
            return Value();
        }
        out.reserve(count * text->size());
        for (std::size_t i = 0; i < count; ++i) {
            out += *text;
        }
        return heap.text(std::move(out));
    }
    const List& list = *what.list();
    std::vector<Value> items;
    for (std::size_t i = 0; i < count && !list.items.empty(); ++i) {
        if (!heap.charge(list.items.size()) ||
            !heap.room((items.size() + list.items.size()) * sizeof(Value))) {
            return Value();
        }
        items.insert(items.end(), list.items.begin(), list.items.end());
    }
    return Value(heap.list(std::move(items), list.tuple));
}

Result<Value> join_lists(Heap& heap, const List& a, const List& b) {
    auto items = a.items;
    items.insert(items.end(), b.items.begin(), b.items.end());
    return Value(heap.list(std::move(items), a.tuple));
}

constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "**"};

}  // namespace

Result<Value> binary(Heap& heap, BinaryOp op, const Value& a, const Value& b) {
    if (a.undefined() || b.undefined()) {
        return undefined_error(a.undefined() ? a : b);
    }
    if (a.integer() && b.integer()) {
        return integer_binary(op, *a.integer(), *b.integer());
    }
    if (a.real() && b.real()) {
        return real_binary(op, *a.real(), *b.real());
    }
    if (op == BinaryOp::add) {
        if (a.text() != nullptr && b.text() != nullptr) {
            if (!heap.room(a.text()->size() + b.text()->size())) {
                return Value();
            }
            return heap.text(*a.text() + *b.text());
        }
        if (a.list() != nullptr && b.list() != nullptr && a.list()->tuple == b.list()->tuple) {
            return join_lists(heap, *a.list(), *b.list());
        }
    }
    if (op == BinaryOp::multiply) {
        const bool left = a.text() != nullptr || a.list() != nullptr;
        const auto times = left ? b.integer() : a.integer();
        const Value& what = left ? a : b;
        if (times && (what.text() != nullptr || what.list() != nullptr)) {
            return repeat(heap, what, *times);
        }
    }
    if (op == BinaryOp::modulo && a.text() != nullptr) {
        const bool many = b.list() != nullptr && b.list()->tuple;
        TRILANE_TRY(auto text, percent_format(heap, *a.text(),
                                              many ? b.list()->items : std::vector<Value>{b}));
        return heap.text(std::move(text));
    }
    return fail(Fault::invalid, "cannot compute {} {} {}", type_name(a),
                kSymbols[static_cast<std::size_t>(op)], type_name(b));
}

Result<Value> negate(const Value& value) {
    if (const auto number = value.integer()) {
        return integer_binary(BinaryOp::subtract, 0, *number);
    }
    if (const auto number = value.real()) {
        return Value(-*number);
    }
    if (value.undefined()) {
        return undefined_error(value);
    }
    return fail(Fault::invalid, "{} has no negative", type_name(value));
}

Result<std::size_t> length(const Value& value) {
    if (const auto* text = value.text()) {
        return char_count(*text);
    }
    if (const auto* list = value.list()) {
        return list->items.size();
    }
    if (const auto* dict = value.dict()) {
        return dict->items.size();
    }
    if (const auto* loop = value.get<LoopState*>()) {
        return (*loop)->items->items.size();
    }
    if (value.undefined()) {
        return 0U;
    }
    return fail(Fault::invalid, "{} has no length", type_name(value));
}

Result<List*> iterate(Heap& heap, const Value& value) {
    if (auto* list = value.list()) {
        return list;
    }
    std::vector<Value> items;
    if (const auto* text = value.text()) {
        for (std::size_t at = 0; at < text->size() && !heap.exhausted();) {
            const std::size_t start = at;
            next_char(*text, at);
            items.push_back(heap.text(text->substr(start, at - start)));
        }
    } else if (const auto* dict = value.dict()) {
        for (const auto& pair : dict->items) {
            items.push_back(pair.first);
        }
    } else if (!value.undefined()) {
        return fail(Fault::invalid, "{} cannot be iterated over", type_name(value));
    }
    return heap.list(std::move(items));
}

namespace {

/// Python's reading of an index: negative ones count from the end.
std::optional<std::size_t> position(std::int64_t index, std::size_t size) {
    const auto n = static_cast<std::int64_t>(size);
    const std::int64_t at = index < 0 ? index + n : index;
    if (at < 0 || at >= n) {
        return std::nullopt;
    }
    return static_cast<std::size_t>(at);
}

Value char_at(Heap& heap, const std::string& text, std::int64_t index) {
    (void)heap.charge(1 + text.size() / 8);
    const auto at = position(index, char_count(text));
    if (!at) {
        return Value();
    }
    const auto begin = skip_chars(text, 0, *at);
    return heap.text(text.substr(begin, skip_chars(text, begin, 1) - begin));
}

/// Depths are those of a loop that is not recursive, however it nests.
Value loop_attribute(const LoopState& loop, std::string_view name) {
    const auto i = static_cast<std::int64_t>(loop.index);
    const auto n = static_cast<std::int64_t>(loop.items->items.size());
    const std::pair<std::string_view, Value> fields[] = {
        {"index", Value(i + 1)},
        {"index0", Value(i)},
        {"first", Value(i == 0)},
        {"last", Value(i + 1 == n)},
        {"length", Value(n)},
        {"revindex", Value(n - i)},
        {"revindex0", Value(n - i - 1)},
        {"depth", Value(std::int64_t{1})},
        {"depth0", Value(std::int64_t{0})},
    };
    for (const auto& [field, value] : fields) {
        if (field == name) {
            return value;
        }
    }
    const auto& items = loop.items->items;
    if (name == "previtem" && loop.index > 0) {
        return items[loop.index - 1];
    }
    if (name == "nextitem" && loop.index + 1 < items.size()) {
        return items[loop.index + 1];
    }
    return Value();
}

/// A stored or computed attribute other than a method.
Value stored_attribute(Heap& heap, const Value& object, std::string_view name) {
    if (const auto* dict = object.dict()) {
        (void)heap.charge(1 + dict->items.size() / 8);
        const Value* found = dict->find(name);
        return found == nullptr ? Value() : *found;
    }
    if (const auto* space = object.get<Namespace*>()) {
        const Value* found = (*space)->find(name);
        return found == nullptr ? Value() : *found;
    }
    if (const auto* loop = object.get<LoopState*>()) {
        return loop_attribute(**loop, name);
    }
    return Value();
}

Value method_of(const Value& object, std::string_view name) {
    const Builtin* method = find_method(object, name);
    if (method == nullptr) {
        return Value();
    }
    return Value(BoundRef(std::make_shared<BoundMethod>(BoundMethod{object, method})));
}

}  // namespace

Result<Value> item(Heap& heap, const Value& object, const Value& index) {
    if (object.undefined()) {
        return undefined_error(object);
    }
    Value found;
    if (const auto* dict = object.dict()) {
        const Value* held = dict_find(heap, *dict, index);
        found = held == nullptr ? Value() : *held;
    } else if (const auto at = index.integer()) {
        if (const auto* text = object.text()) {
            found = char_at(heap, *text, *at);
        } else if (const auto* list = object.list()) {
            const auto i = position(*at, list->items.size());
            found = i ? list->items[*i] : Value();
        }
    }
    const auto* name = index.get<TextRef>();
    if (!found.undefined() || name == nullptr) {
        return found;
    }
    found = object.dict() == nullptr ? stored_attribute(heap, object, (*name)->bytes) : Value();
    if (found.undefined()) {
        found = method_of(object, (*name)->bytes);
    }
    // Only a literal of the program lives long enough to be named later.
    const bool literal = (*name)->heap == nullptr;
    return found.undefined() && literal ? Value(Undefined{&(*name)->bytes}) : found;
}

Result<Value> attribute(Heap& heap, const Value& object, const std::string& name) {
    if (object.undefined()) {
        return undefined_error(object);
    }
    Value found = method_of(object, name);
    if (found.undefined()) {
        found = stored_attribute(heap, object, name);
    }
    return found.undefined() ? Value(Undefined{&name}) : found;
}

namespace {

struct Bounds {
    std::int64_t start;
    std::int64_t stop;
    std::int64_t step;
};

/// The clamping of Python's slice.indices().
Bounds clamp(const Value& start, const Value& stop, std::int64_t step, std::int64_t size) {
    const auto clamped = [&](const Value& bound, std::int64_t open) {
        if (bound.none()) {
            return open;
        }
        std::int64_t at = *bound.integer();
        if (at < 0) {
            at = std::max<std::int64_t>(at, -size - 1) + size;
        }
        return step > 0 ? std::clamp<std::int64_t>(at, 0, size)
                        : std::clamp<std::int64_t>(at, -1, size - 1);
    };
    return {clamped(start, step > 0 ? 0 : size - 1), clamped(stop, step > 0 ? size : -1), step};
}

template <class Visit>
void walk(const Bounds& bounds, std::int64_t size, Visit visit) {
    // A step longer than the sequence visits one element; shortened so that `i` cannot overflow.
    const auto step = std::clamp<std::int64_t>(bounds.step, -size - 1, size + 1);
    for (std::int64_t i = bounds.start; step > 0 ? i < bounds.stop : i > bounds.stop; i += step) {
        visit(static_cast<std::size_t>(i));
    }
}

std::string text_slice(const std::string& text, const Bounds& bounds, std::int64_t size) {
    if (bounds.step == 1) {
        const auto count = std::max<std::int64_t>(bounds.stop - bounds.start, 0);
        const auto begin = skip_chars(text, 0, static_cast<std::size_t>(bounds.start));
        const auto end = skip_chars(text, begin, static_cast<std::size_t>(count));
        return text.substr(begin, end - begin);
    }
    const auto offsets = char_offsets(text);
    std::string out;
    walk(bounds, size,
         [&](std::size_t i) { out.append(text, offsets[i], offsets[i + 1] - offsets[i]); });
    return out;
}

}  // namespace

Result<Value> slice(Heap& heap, const Value& object, const Value& start, const Value& stop,
                    const Value& step) {
    if (object.undefined()) {
        return undefined_error(object);
    }
    for (const Value* bound : {&start, &stop, &step}) {
        if (!bound->none() && !bound->integer()) {
            return fail(Fault::invalid, "a slice needs integers or none, not {}",
                        type_name(*bound));
        }
    }
    const std::int64_t stride = step.none() ? 1 : *step.integer();
    if (stride == 0) {
        return fail(Fault::invalid, "a slice cannot have a step of 0");
    }
    if (const auto* list = object.list()) {
        const auto size = static_cast<std::int64_t>(list->items.size());
        std::vector<Value> items;
        walk(clamp(start, stop, stride, size), size,
             [&](std::size_t i) { items.push_back(list->items[i]); });
        return Value(heap.list(std::move(items), list->tuple));
    }
    if (const auto* text = object.text()) {
        (void)heap.charge(1 + text->size() / 8);
        const auto size = static_cast<std::int64_t>(char_count(*text));
        return heap.text(text_slice(*text, clamp(start, stop, stride, size), size));
    }
    return fail(Fault::invalid, "{} cannot be sliced", type_name(object));
}

void dict_set(Heap& heap, Dict& dict, const Value& key, Value value) {
    if (const Value* held = dict_find(heap, dict, key)) {
        *const_cast<Value*>(held) = std::move(value);
        return;
    }
    heap.grew(2);
    dict.items.emplace_back(key, std::move(value));
}

}  // namespace trilane::chat
