// Walks a Program with the variables of one request and writes the prompt. One object per
// rendering; nothing of it outlives that.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "chat/builtins.h"
#include "chat/syntax.h"
#include "chat/value.h"

namespace trilane::chat {

class Interpreter {
public:
    Interpreter(const Program& program, const RenderOptions& options, std::int64_t now_unix_s);

    /// `variables` must be an object and must outlive the call.
    Result<std::string> run(const json::Value& variables);

private:
    enum class Flow { next, leave_loop, next_round };

    Status enter(Position at);
    tl::unexpected<Error> placed(Position at, Error error);
    template <class T>
    Result<T> at(Position where, Result<T> result);

    Result<Flow> execute(const Block& block);
    Result<Flow> execute(const Statement& statement);
    Result<Flow> run_statement(Position at, const EmitText& node);
    Result<Flow> run_statement(Position at, const EmitValue& node);
    Result<Flow> run_statement(Position at, const If& node);
    Result<Flow> run_statement(Position at, const For& node);
    Result<Flow> run_statement(Position at, const Set& node);
    Result<Flow> run_statement(Position at, const SetBlock& node);
    Result<Flow> run_statement(Position at, const MacroDef& node);
    Result<Flow> run_statement(Position at, const CallBlock& node);
    Result<Flow> run_statement(Position at, const FilterBlock& node);
    Result<Flow> run_statement(Position at, const With& node);
    Result<Flow> run_statement(Position at, const Break& node);
    Result<Flow> run_statement(Position at, const Continue& node);
    Result<List*> loop_items(const For& node);
    Result<Flow> run_rounds(const For& node, List* items);
    Status assign(const Target& target, const Value& value);
    Status write(Position at, std::string_view text);
    /// The text a block writes, in a scope of its own.
    Result<std::string> capture(const Block& block);
    Result<Value> capture_filtered(Position at, const std::vector<FilterStep>& filters,
                                   const Block& body);

    Result<Value> evaluate(const Expr& expr);
    Result<Value> compute(Position at, const Literal& node);
    Result<Value> compute(Position at, const Name& node);
    Result<Value> compute(Position at, const ListDisplay& node);
    Result<Value> compute(Position at, const DictDisplay& node);
    Result<Value> compute(Position at, const Unary& node);
    Result<Value> compute(Position at, const Binary& node);
    Result<Value> compute(Position at, const Compare& node);
    Result<Value> compute(Position at, const Logic& node);
    Result<Value> compute(Position at, const Concat& node);
    Result<Value> compute(Position at, const Conditional& node);
    Result<Value> compute(Position at, const Attribute& node);
    Result<Value> compute(Position at, const Item& node);
    Result<Value> compute(Position at, const Slice& node);
    Result<Value> compute(Position at, const Call& node);
    Result<Value> compute(Position at, const Filter& node);
    Result<Value> compute(Position at, const Test& node);
    Result<bool> compare(Position at, CompareOp op, const Value& a, const Value& b);
    Result<Value> apply_filter(const FilterStep& step, const Value& input);
    Result<CallArgs> evaluate_arguments(const Arguments& arguments);
    Result<Value> call(Position at, const Value& callee, CallArgs args);
    Result<Value> call_macro(Position at, const Macro& macro, CallArgs args);
    Status bind_macro(const Macro& macro, CallArgs& args);

    const Program& program_;
    RenderLimits limits_;
    Heap heap_;
    Host host_;
    std::shared_ptr<Scope> scope_;
    std::string* out_ = nullptr;
    std::uint32_t depth_ = 0;
    bool error_placed_ = false;
};

}  // namespace trilane::chat
