// The statements; evaluate.cpp has the expressions.
#include "chat/interpreter.h"

#include <algorithm>
#include <utility>

#include "chat/lexer.h"
#include "chat/operators.h"
#include "chat/python_text.h"
#include "json/json.h"

namespace trilane::chat {

Interpreter::Interpreter(const Program& program, const RenderOptions& options,
                         std::int64_t now_unix_s)
    : program_(program),
      limits_(options.limits),
      heap_(limits_),
      host_{heap_, now_unix_s},
      scope_(std::make_shared<Scope>()) {}

Result<std::string> Interpreter::run(const json::Value& variables) {
    for (const auto& [name, value] : variables.items()) {
        scope_->names.emplace_back(name, from_json(heap_, value));
    }
    std::string out;
    TRILANE_TRY_STATUS(enter({}));  // reports variables that are too large already
    out_ = &out;
    auto flow = execute(program_.body);
    out_ = nullptr;
    if (!flow) {
        return tl::unexpected(std::move(flow).error());
    }
    TRILANE_TRY_STATUS(enter({}));
    return out;
}

tl::unexpected<Error> Interpreter::placed(Position at, Error error) {
    // Only the innermost place is said, and nothing is put before a template's own words.
    if (!error_placed_ && !host_.raised) {
        error_placed_ = true;
        error.message = fmt::format("{}: {}", place(at), error.message);
    }
    return tl::unexpected(std::move(error));
}

/// Counts one step and reports a limit that was reached since the last one.
Status Interpreter::enter(Position at) {
    (void)heap_.charge(1);
    if (heap_.exhausted()) {
        return placed(
            at, Error{Fault::exhausted, fmt::format("rendering reached {}; the template or the "
                                                    "conversation is too large",
                                                    heap_.reason())});
    }
    return {};
}

Status Interpreter::write(Position at, std::string_view text) {
    if (!heap_.room(out_->size() + text.size())) {
        return enter(at);
    }
    heap_.hold(text.size());
    out_->append(text);
    return {};
}

Result<Interpreter::Flow> Interpreter::execute(const Block& block) {
    for (const auto& statement : block) {
        TRILANE_TRY(const Flow flow, execute(*statement));
        if (flow != Flow::next) {
            return flow;
        }
    }
    return Flow::next;
}

Result<Interpreter::Flow> Interpreter::execute(const Statement& statement) {
    TRILANE_TRY_STATUS(enter(statement.at));
    if (depth_ >= limits_.depth_max) {
        heap_.exhaust("the nesting limit");
        return tl::unexpected(enter(statement.at).error());
    }
    ++depth_;
    auto flow = std::visit(
        [&](const auto& node) -> Result<Flow> { return run_statement(statement.at, node); },
        statement.node);
    --depth_;
    return flow;
}

Result<Interpreter::Flow> Interpreter::run_statement(Position at, const EmitText& node) {
    TRILANE_TRY_STATUS(write(at, node.text));
    return Flow::next;
}

Result<Interpreter::Flow> Interpreter::run_statement(Position at, const EmitValue& node) {
    TRILANE_TRY(const auto value, evaluate(*node.value));
    if (const auto* text = value.text()) {
        TRILANE_TRY_STATUS(write(at, *text));
    } else {
        TRILANE_TRY_STATUS(write(at, to_str(heap_, value)));
    }
    return Flow::next;
}

Result<Interpreter::Flow> Interpreter::run_statement(Position /*at*/, const If& node) {
    for (const auto& [condition, body] : node.branches) {
        TRILANE_TRY(const auto value, evaluate(*condition));
        if (truthy(value)) {
            return execute(body);
        }
    }
    return execute(node.otherwise);
}

/// The elements of the iterable that pass the loop's own condition.
Result<List*> Interpreter::loop_items(const For& node) {
    TRILANE_TRY(const auto iterable, evaluate(*node.iterable));
    auto items = iterate(heap_, iterable);
    if (!items) {
        return placed(node.iterable->at, std::move(items).error());
    }
    // A copy in any case: the body may append to the list it goes through.
    List* visited = heap_.list();
    const auto outer = scope_;
    for (const auto& element : std::vector<Value>((*items)->items)) {
        bool wanted = true;
        if (node.condition != nullptr) {
            scope_ = std::make_shared<Scope>(Scope{outer, {}});
            auto result = assign(node.target, element);
            auto value =
                result ? evaluate(*node.condition) : Result<Value>(tl::unexpected(result.error()));
            scope_ = outer;
            if (!value) {
                return tl::unexpected(std::move(value).error());
            }
            wanted = truthy(*value);
        }
        if (wanted) {
            heap_.grew(1);
            visited->items.push_back(element);
        }
    }
    return visited;
}

Result<Interpreter::Flow> Interpreter::run_statement(Position /*at*/, const For& node) {
    TRILANE_TRY(List * items, loop_items(node));
    if (items->items.empty()) {
        return execute(node.otherwise);
    }
    const auto outer = scope_;
    auto flow = run_rounds(node, items);
    scope_ = outer;
    return flow;
}

Result<Interpreter::Flow> Interpreter::run_rounds(const For& node, List* items) {
    const auto outer = scope_;
    LoopState* loop = heap_.loop(items);
    for (std::size_t i = 0; i < items->items.size(); ++i) {
        loop->index = i;
        scope_ = std::make_shared<Scope>(Scope{outer, {}});
        TRILANE_TRY_STATUS(assign(node.target, items->items[i]));
        scope_->set("loop", Value(loop));
        TRILANE_TRY(const Flow flow, execute(node.body));
        if (flow == Flow::leave_loop) {
            break;
        }
    }
    return Flow::next;
}

Status Interpreter::assign(const Target& target, const Value& value) {
    if (!target.parts.empty()) {
        auto items = iterate(heap_, value);
        if (!items) {
            return placed(target.at, std::move(items).error());
        }
        const auto& held = (*items)->items;
        if (held.size() != target.parts.size()) {
            return placed(target.at,
                          Error{Fault::invalid, fmt::format("cannot unpack {} values into {} names",
                                                            held.size(), target.parts.size())});
        }
        for (std::size_t i = 0; i < held.size(); ++i) {
            TRILANE_TRY_STATUS(assign(target.parts[i], held[i]));
        }
        return {};
    }
    if (target.attribute.empty()) {
        scope_->set(target.name, value);
        return {};
    }
    const Value* object = scope_->find(target.name);
    if (object == nullptr || !object->is<Namespace*>()) {
        return placed(
            target.at,
            Error{Fault::invalid, fmt::format("'{}' is not a namespace(), so '{}.{}' cannot be set",
                                              target.name, target.name, target.attribute)});
    }
    Namespace* space = *object->get<Namespace*>();
    if (Value* held = space->find(target.attribute)) {
        *held = value;
    } else {
        heap_.grew(2);
        space->items.emplace_back(target.attribute, value);
    }
    return {};
}

Result<Interpreter::Flow> Interpreter::run_statement(Position /*at*/, const Set& node) {
    TRILANE_TRY(const auto value, evaluate(*node.value));
    TRILANE_TRY_STATUS(assign(node.target, value));
    return Flow::next;
}

Result<std::string> Interpreter::capture(const Block& block) {
    std::string text;
    auto* const outer_out = std::exchange(out_, &text);
    const auto outer_scope = scope_;
    scope_ = std::make_shared<Scope>(Scope{outer_scope, {}});
    auto flow = execute(block);
    scope_ = outer_scope;
    out_ = outer_out;
    heap_.release(text.size());
    if (!flow) {
        return tl::unexpected(std::move(flow).error());
    }
    return text;
}

Result<Value> Interpreter::capture_filtered(Position at, const std::vector<FilterStep>& filters,
                                            const Block& body) {
    TRILANE_TRY(auto text, capture(body));
    Value value = heap_.text(std::move(text));
    for (const auto& step : filters) {
        TRILANE_TRY(value, apply_filter(step, value));
    }
    TRILANE_TRY_STATUS(enter(at));
    return value;
}

Result<Interpreter::Flow> Interpreter::run_statement(Position at, const SetBlock& node) {
    TRILANE_TRY(const auto value, capture_filtered(at, node.filters, node.body));
    TRILANE_TRY_STATUS(assign(node.target, value));
    return Flow::next;
}

Result<Interpreter::Flow> Interpreter::run_statement(Position at, const FilterBlock& node) {
    TRILANE_TRY(const auto value, capture_filtered(at, node.filters, node.body));
    TRILANE_TRY_STATUS(write(at, to_str(heap_, value)));
    return Flow::next;
}

Result<Interpreter::Flow> Interpreter::run_statement(Position /*at*/, const MacroDef& node) {
    scope_->set(node.name, Value(heap_.macro(Macro{&node, scope_})));
    return Flow::next;
}

Result<Interpreter::Flow> Interpreter::run_statement(Position at, const CallBlock& node) {
    const auto& call_node = std::get<Call>(node.call->node);
    TRILANE_TRY(const auto callee, evaluate(*call_node.callee));
    TRILANE_TRY(auto args, evaluate_arguments(call_node.arguments));
    const auto* macro = callee.get<const Macro*>();
    if (macro == nullptr) {
        return placed(at, Error{Fault::invalid, "a call block can call macros only"});
    }
    args.named.emplace_back("caller", Value(heap_.macro(Macro{&node.caller, scope_})));
    TRILANE_TRY(const auto value, call(at, callee, std::move(args)));
    TRILANE_TRY_STATUS(write(at, to_str(heap_, value)));
    return Flow::next;
}

Result<Interpreter::Flow> Interpreter::run_statement(Position /*at*/, const With& node) {
    // All values are computed outside, before the first name is bound.
    std::vector<Value> values;
    for (const auto& binding : node.bindings) {
        TRILANE_TRY(auto value, evaluate(*binding.second));
        values.push_back(std::move(value));
    }
    const auto outer = scope_;
    scope_ = std::make_shared<Scope>(Scope{outer, {}});
    for (std::size_t i = 0; i < values.size(); ++i) {
        TRILANE_TRY_STATUS(assign(node.bindings[i].first, values[i]));
    }
    auto flow = execute(node.body);
    scope_ = outer;
    return flow;
}

Result<Interpreter::Flow> Interpreter::run_statement(Position /*at*/, const Break& /*node*/) {
    return Flow::leave_loop;
}

Result<Interpreter::Flow> Interpreter::run_statement(Position /*at*/, const Continue& /*node*/) {
    return Flow::next_round;
}

}  // namespace trilane::chat
