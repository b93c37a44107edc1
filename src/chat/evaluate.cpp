// The expressions of the interpreter.
#include <algorithm>
#include <utility>

#include "chat/interpreter.h"
#include "chat/operators.h"
#include "chat/python_text.h"

namespace trilane::chat {

template <class T>
Result<T> Interpreter::at(Position where, Result<T> result) {
    if (!result) {
        return placed(where, std::move(result).error());
    }
    return result;
}

Result<Value> Interpreter::evaluate(const Expr& expr) {
    TRILANE_TRY_STATUS(enter(expr.at));
    if (depth_ >= limits_.depth_max) {
        heap_.exhaust("the nesting limit");
        return tl::unexpected(enter(expr.at).error());
    }
    ++depth_;
    auto value = std::visit(
        [&](const auto& node) -> Result<Value> { return compute(expr.at, node); }, expr.node);
    --depth_;
    return value;
}

Result<Value> Interpreter::compute(Position /*at*/, const Literal& node) {
    return node.value;
}

Result<Value> Interpreter::compute(Position /*at*/, const Name& node) {
    if (const Value* found = scope_->find(node.name)) {
        return *found;
    }
    if (const Builtin* global = find_global(node.name)) {
        return Value(global);
    }
    return Value(Undefined{&node.name});
}

Result<Value> Interpreter::compute(Position /*at*/, const ListDisplay& node) {
    std::vector<Value> items;
    items.reserve(node.items.size());
    for (const auto& item : node.items) {
        TRILANE_TRY(auto value, evaluate(*item));
        items.push_back(std::move(value));
    }
    return Value(heap_.list(std::move(items), node.tuple));
}

Result<Value> Interpreter::compute(Position at, const DictDisplay& node) {
    Dict* dict = heap_.dict();
    for (const auto& [key_expr, value_expr] : node.items) {
        TRILANE_TRY(auto key, evaluate(*key_expr));
        TRILANE_TRY(auto value, evaluate(*value_expr));
        const bool hashable = key.text() != nullptr || key.real() || key.none() ||
                              (key.list() != nullptr && key.list()->tuple);
        if (!hashable) {
            return placed(at,
                          Error{Fault::invalid, fmt::format("{} cannot be a key", type_name(key))});
        }
        dict_set(heap_, *dict, key, std::move(value));
    }
    return Value(dict);
}

Result<Value> Interpreter::compute(Position at, const Unary& node) {
    TRILANE_TRY(const auto operand, evaluate(*node.operand));
    if (node.op == UnaryOp::logical_not) {
        return Value(!truthy(operand));
    }
    auto negative = this->at(at, negate(operand));
    if (!negative || node.op == UnaryOp::negate) {
        return negative;
    }
    return operand.is<bool>() ? Value(*operand.integer()) : operand;
}

Result<Value> Interpreter::compute(Position at, const Binary& node) {
    TRILANE_TRY(const auto left, evaluate(*node.left));
    TRILANE_TRY(const auto right, evaluate(*node.right));
    return this->at(at, binary(heap_, node.op, left, right));
}

Result<bool> Interpreter::compare(Position at, CompareOp op, const Value& a, const Value& b) {
    switch (op) {
        case CompareOp::eq:
            return equals(heap_, a, b);
        case CompareOp::ne:
            return !equals(heap_, a, b);
        case CompareOp::lt:
            return this->at(at, less(heap_, a, b));
        case CompareOp::gt:
            return this->at(at, less(heap_, b, a));
        case CompareOp::in:
            return this->at(at, contains(heap_, b, a));
        case CompareOp::not_in: {
            TRILANE_TRY(const bool found, this->at(at, contains(heap_, b, a)));
            return !found;
        }
        default:
            break;
    }
    const bool swapped = op == CompareOp::ge;
    TRILANE_TRY(const bool below, this->at(at, swapped ? less(heap_, b, a) : less(heap_, a, b)));
    return below || equals(heap_, a, b);
}

Result<Value> Interpreter::compute(Position at, const Compare& node) {
    TRILANE_TRY(auto left, evaluate(*node.first));
    for (const auto& [op, right_expr] : node.links) {
        TRILANE_TRY(auto right, evaluate(*right_expr));
        TRILANE_TRY(const bool holds, compare(at, op, left, right));
        if (!holds) {
            return Value(false);
        }
        left = std::move(right);
    }
    return Value(true);
}

Result<Value> Interpreter::compute(Position /*at*/, const Logic& node) {
    TRILANE_TRY(auto left, evaluate(*node.left));
    return truthy(left) == node.is_and ? evaluate(*node.right) : Result<Value>(std::move(left));
}

Result<Value> Interpreter::compute(Position /*at*/, const Concat& node) {
    std::string out;
    for (const auto& part : node.parts) {
        TRILANE_TRY(const auto value, evaluate(*part));
        append_str(heap_, out, value);
    }
    return heap_.text(std::move(out));
}

Result<Value> Interpreter::compute(Position /*at*/, const Conditional& node) {
    TRILANE_TRY(const auto test, evaluate(*node.test));
    if (truthy(test)) {
        return evaluate(*node.then);
    }
    return node.otherwise == nullptr ? Value() : evaluate(*node.otherwise);
}

Result<Value> Interpreter::compute(Position at, const Attribute& node) {
    TRILANE_TRY(const auto object, evaluate(*node.object));
    return this->at(at, attribute(heap_, object, node.name));
}

Result<Value> Interpreter::compute(Position at, const Item& node) {
    TRILANE_TRY(const auto object, evaluate(*node.object));
    TRILANE_TRY(const auto index, evaluate(*node.index));
    return this->at(at, item(heap_, object, index));
}

Result<Value> Interpreter::compute(Position at, const Slice& node) {
    TRILANE_TRY(const auto object, evaluate(*node.object));
    Value bounds[3] = {Value(None{}), Value(None{}), Value(None{})};
    const ExprPtr* exprs[3] = {&node.start, &node.stop, &node.step};
    for (std::size_t i = 0; i < 3; ++i) {
        if (*exprs[i] != nullptr) {
            TRILANE_TRY(bounds[i], evaluate(**exprs[i]));
        }
    }
    return this->at(at, slice(heap_, object, bounds[0], bounds[1], bounds[2]));
}

Result<CallArgs> Interpreter::evaluate_arguments(const Arguments& arguments) {
    CallArgs args;
    args.positional.reserve(arguments.positional.size());
    for (const auto& expr : arguments.positional) {
        TRILANE_TRY(auto value, evaluate(*expr));
        args.positional.push_back(std::move(value));
    }
    for (const auto& [name, expr] : arguments.named) {
        TRILANE_TRY(auto value, evaluate(*expr));
        args.named.emplace_back(name, std::move(value));
    }
    return args;
}

Result<Value> Interpreter::compute(Position at, const Call& node) {
    // A method is called on its object directly, without making a value of it first.
    if (const auto* access = std::get_if<Attribute>(&node.callee->node)) {
        TRILANE_TRY(const auto object, evaluate(*access->object));
        TRILANE_TRY(const auto args, evaluate_arguments(node.arguments));
        if (const Builtin* method = find_method(object, access->name)) {
            return this->at(at, method->call(host_, object, args));
        }
        TRILANE_TRY(const auto callee, this->at(at, attribute(heap_, object, access->name)));
        if (callee.undefined()) {
            return placed(at, Error{Fault::invalid, fmt::format("{} has no method '{}'",
                                                                type_name(object), access->name)});
        }
        return call(at, callee, args);
    }
    TRILANE_TRY(const auto callee, evaluate(*node.callee));
    TRILANE_TRY(auto args, evaluate_arguments(node.arguments));
    return call(at, callee, std::move(args));
}

Result<Value> Interpreter::call(Position at, const Value& callee, CallArgs args) {
    if (const auto* function = callee.get<const Builtin*>()) {
        return this->at(at, (*function)->call(host_, Value(), args));
    }
    if (const auto* bound = callee.get<BoundRef>()) {
        return this->at(at, (*bound)->method->call(host_, (*bound)->self, args));
    }
    if (const auto* macro = callee.get<const Macro*>()) {
        return call_macro(at, **macro, std::move(args));
    }
    if (callee.undefined()) {
        return placed(at, undefined_error(callee).value());
    }
    return placed(at, Error{Fault::invalid, fmt::format("{} cannot be called", type_name(callee))});
}

/// Gives the macro's parameters their values in the current scope.
Status Interpreter::bind_macro(const Macro& macro, CallArgs& args) {
    const auto& definition = *macro.definition;
    if (args.positional.size() > definition.parameters.size()) {
        return fail(Fault::invalid, "macro '{}' takes at most {} arguments, not {}",
                    definition.name, definition.parameters.size(), args.positional.size());
    }
    for (const auto& [name, value] : args.named) {
        const auto known = [&name = name](const auto& parameter) {
            return parameter.first == name;
        };
        const auto found =
            std::find_if(definition.parameters.begin(), definition.parameters.end(), known);
        if (found == definition.parameters.end()) {
            if (name != "caller") {
                return fail(Fault::invalid, "macro '{}' has no parameter '{}'", definition.name,
                            name);
            }
            scope_->set("caller", value);
            continue;
        }
        const auto i = static_cast<std::size_t>(found - definition.parameters.begin());
        if (i < args.positional.size()) {
            return fail(Fault::invalid, "macro '{}' was given '{}' twice", definition.name, name);
        }
    }
    for (std::size_t i = 0; i < definition.parameters.size(); ++i) {
        const auto& [name, otherwise] = definition.parameters[i];
        const auto named = std::find_if(args.named.begin(), args.named.end(),
                                        [&n = name](const auto& arg) { return arg.first == n; });
        Value value(Undefined{&name});
        if (i < args.positional.size()) {
            value = args.positional[i];
        } else if (named != args.named.end()) {
            value = named->second;
        } else if (otherwise != nullptr) {
            TRILANE_TRY(value, evaluate(*otherwise));
        }
        scope_->set(name, std::move(value));
    }
    return {};
}

Result<Value> Interpreter::call_macro(Position at, const Macro& macro, CallArgs args) {
    const auto outer = scope_;
    scope_ = std::make_shared<Scope>(Scope{macro.scope, {}});
    auto bound = bind_macro(macro, args);
    auto text = bound ? capture(macro.definition->body)
                      : Result<std::string>(placed(at, std::move(bound).error()));
    scope_ = outer;
    if (!text) {
        return tl::unexpected(std::move(text).error());
    }
    return heap_.text(*std::move(text));
}

Result<Value> Interpreter::apply_filter(const FilterStep& step, const Value& input) {
    TRILANE_TRY(const auto args, evaluate_arguments(step.arguments));
    return this->at(step.at, step.filter->call(host_, input, args));
}

Result<Value> Interpreter::compute(Position /*at*/, const Filter& node) {
    TRILANE_TRY(const auto input, evaluate(*node.operand));
    return apply_filter(node.step, input);
}

Result<Value> Interpreter::compute(Position at, const Test& node) {
    TRILANE_TRY(const auto subject, evaluate(*node.operand));
    TRILANE_TRY(const auto args, evaluate_arguments(node.arguments));
    auto answer = this->at(at, node.test->call(host_, subject, args));
    if (!answer || !node.negated) {
        return answer;
    }
    return Value(!truthy(*answer));
}

}  // namespace trilane::chat
