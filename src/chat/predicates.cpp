// What may follow `is`: defined, string, divisibleby …
#include <algorithm>
#include <array>

#include "chat/builtins.h"
#include "chat/operators.h"
#include "chat/python_text.h"
#include "chat/unicode.h"

namespace trilane::chat {
namespace {

using Check = bool (*)(const Value& value);

/// A test without arguments.
template <Check check>
Result<Value> simple(Host& /*host*/, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto none, Parameters::bind("the test", args, {}));
    (void)none;
    return Value(check(self));
}

bool is_defined(const Value& value) {
    return !value.undefined();
}
bool is_undefined(const Value& value) {
    return value.undefined();
}
bool is_none(const Value& value) {
    return value.none();
}
bool is_string(const Value& value) {
    return value.text() != nullptr;
}
bool is_mapping(const Value& value) {
    return value.dict() != nullptr;
}
bool is_iterable(const Value& value) {
    return value.text() != nullptr || value.list() != nullptr || value.dict() != nullptr ||
           value.undefined() || value.is<LoopState*>();
}
bool is_number(const Value& value) {
    return value.real().has_value();
}
bool is_integer(const Value& value) {
    return value.is<std::int64_t>();
}
bool is_float(const Value& value) {
    return value.is<double>();
}
bool is_boolean(const Value& value) {
    return value.is<bool>();
}
bool is_true(const Value& value) {
    return value.is<bool>() && *value.get<bool>();
}
bool is_false(const Value& value) {
    return value.is<bool>() && !*value.get<bool>();
}
bool is_callable(const Value& value) {
    return value.callable();
}
bool never(const Value& /*value*/) {
    return false;
}

Result<Value> remainder_is(Host& host, const Value& self, std::int64_t divisor,
                           std::int64_t wanted) {
    TRILANE_TRY(const auto rest, binary(host.heap, BinaryOp::modulo, self, Value(divisor)));
    return Value(rest.real() == static_cast<double>(wanted));
}

Result<Value> odd(Host& host, const Value& self, const CallArgs& /*args*/) {
    return remainder_is(host, self, 2, 1);
}

Result<Value> even(Host& host, const Value& self, const CallArgs& /*args*/) {
    return remainder_is(host, self, 2, 0);
}

Result<Value> divisibleby(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("divisibleby", args, {"num"}, 1));
    TRILANE_TRY(const auto divisor, bound.integer(0, 1));
    return remainder_is(host, self, divisor, 0);
}

Result<Value> eq(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("eq", args, {"other"}, 1));
    return Value(equals(host.heap, self, *bound[0]));
}

Result<Value> ne(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("ne", args, {"other"}, 1));
    return Value(!equals(host.heap, self, *bound[0]));
}

/// self < other, with either order and either answer.
Result<Value> ordered(Host& host, const Value& self, const CallArgs& args, bool swapped,
                      bool or_equal) {
    TRILANE_TRY(const auto bound, Parameters::bind("the comparison", args, {"other"}, 1));
    const Value& low = swapped ? *bound[0] : self;
    const Value& high = swapped ? self : *bound[0];
    TRILANE_TRY(const bool below, less(host.heap, low, high));
    return Value(below || (or_equal && equals(host.heap, low, high)));
}

Result<Value> lt(Host& host, const Value& self, const CallArgs& args) {
    return ordered(host, self, args, false, false);
}

Result<Value> le(Host& host, const Value& self, const CallArgs& args) {
    return ordered(host, self, args, false, true);
}

Result<Value> gt(Host& host, const Value& self, const CallArgs& args) {
    return ordered(host, self, args, true, false);
}

Result<Value> ge(Host& host, const Value& self, const CallArgs& args) {
    return ordered(host, self, args, true, true);
}

Result<Value> in(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("in", args, {"seq"}, 1));
    TRILANE_TRY(const bool found, contains(host.heap, *bound[0], self));
    return Value(found);
}

/// Identity; for the immutable kinds that is equality within one type.
Result<Value> sameas(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("sameas", args, {"other"}, 1));
    const Value& other = *bound[0];
    if (self.data().index() != other.data().index()) {
        return Value(false);
    }
    if (self.list() != nullptr || self.dict() != nullptr) {
        return Value(self.list() == other.list() && self.dict() == other.dict());
    }
    return Value(equals(host.heap, self, other));
}

Result<Value> lower_case(Host& host, const Value& self, const CallArgs& args) {
    const Value text = host.heap.text(to_str(host.heap, self));
    return find_text_method("islower")->call(host, text, args);
}

Result<Value> upper_case(Host& host, const Value& self, const CallArgs& args) {
    const Value text = host.heap.text(to_str(host.heap, self));
    return find_text_method("isupper")->call(host, text, args);
}

Result<Value> filter_name(Host& /*host*/, const Value& self, const CallArgs& /*args*/) {
    return Value(self.text() != nullptr && find_filter(*self.text()) != nullptr);
}

Result<Value> test_name(Host& /*host*/, const Value& self, const CallArgs& /*args*/) {
    return Value(self.text() != nullptr && find_test(*self.text()) != nullptr);
}

constexpr auto kTests = std::to_array<Builtin>({
    {"!=", ne},
    {"<", lt},
    {"<=", le},
    {"==", eq},
    {">", gt},
    {">=", ge},
    {"boolean", simple<is_boolean>},
    {"callable", simple<is_callable>},
    {"defined", simple<is_defined>},
    {"divisibleby", divisibleby},
    {"eq", eq},
    {"equalto", eq},
    {"escaped", simple<never>},
    {"even", even},
    {"false", simple<is_false>},
    {"filter", filter_name},
    {"float", simple<is_float>},
    {"ge", ge},
    {"greaterthan", gt},
    {"gt", gt},
    {"in", in},
    {"integer", simple<is_integer>},
    {"iterable", simple<is_iterable>},
    {"le", le},
    {"lessthan", lt},
    {"lower", lower_case},
    {"lt", lt},
    {"mapping", simple<is_mapping>},
    {"ne", ne},
    {"none", simple<is_none>},
    {"number", simple<is_number>},
    {"odd", odd},
    {"sameas", sameas},
    {"sequence", simple<is_iterable>},
    {"string", simple<is_string>},
    {"test", test_name},
    {"true", simple<is_true>},
    {"undefined", simple<is_undefined>},
    {"upper", upper_case},
});

}  // namespace

const Builtin* find_test(std::string_view name) {
    const auto* found = std::find_if(kTests.begin(), kTests.end(),
                                     [&](const Builtin& entry) { return entry.name == name; });
    return found == kTests.end() ? nullptr : found;
}

}  // namespace trilane::chat
