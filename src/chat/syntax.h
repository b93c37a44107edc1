// The compiled form of a template: statements and expressions as plain immutable structs. The
// parser makes them, the interpreter walks them, nothing changes them.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "chat/value.h"

namespace trilane::chat {

struct Position {
    std::uint32_t line = 1;
    std::uint32_t column = 1;
};

struct Expr;
using ExprPtr = std::unique_ptr<const Expr>;

struct Arguments {
    std::vector<ExprPtr> positional;
    std::vector<std::pair<std::string, ExprPtr>> named;
    unsigned height = 0;  ///< of the tallest argument
};

struct Literal {
    Value value;
};
struct Name {
    std::string name;
};
struct ListDisplay {
    std::vector<ExprPtr> items;
    bool tuple = false;
};
struct DictDisplay {
    std::vector<std::pair<ExprPtr, ExprPtr>> items;
};
enum class UnaryOp { negate, plus, logical_not };
struct Unary {
    UnaryOp op;
    ExprPtr operand;
};
enum class BinaryOp { add, subtract, multiply, divide, floor_divide, modulo, power };
struct Binary {
    BinaryOp op;
    ExprPtr left;
    ExprPtr right;
};
enum class CompareOp { eq, ne, lt, le, gt, ge, in, not_in };
/// `a < b <= c`: each link compares with the value before it.
struct Compare {
    ExprPtr first;
    std::vector<std::pair<CompareOp, ExprPtr>> links;
};
struct Logic {
    bool is_and;
    ExprPtr left;
    ExprPtr right;
};
/// `a ~ b ~ c`
struct Concat {
    std::vector<ExprPtr> parts;
};
/// `then if test else otherwise`; no else gives an undefined value.
struct Conditional {
    ExprPtr test;
    ExprPtr then;
    ExprPtr otherwise;
};
struct Attribute {
    ExprPtr object;
    std::string name;
};
struct Item {
    ExprPtr object;
    ExprPtr index;
};
struct Slice {
    ExprPtr object;
    ExprPtr start;
    ExprPtr stop;
    ExprPtr step;
};
struct Call {
    ExprPtr callee;
    Arguments arguments;
};
struct FilterStep {
    Position at;
    const Builtin* filter = nullptr;
    Arguments arguments;
};
struct Filter {
    ExprPtr operand;
    FilterStep step;
};
struct Test {
    ExprPtr operand;
    const Builtin* test = nullptr;
    Arguments arguments;
    bool negated = false;
};

struct Expr {
    using Node =
        std::variant<Literal, Name, ListDisplay, DictDisplay, Unary, Binary, Compare, Logic, Concat,
                     Conditional, Attribute, Item, Slice, Call, Filter, Test>;
    Position at;
    unsigned height = 1;  ///< nodes on the longest way down; the parser bounds it
    Node node;
};

struct Statement;
using Block = std::vector<std::unique_ptr<const Statement>>;

/// What an assignment binds: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
    Position at;
    std::string name;
    std::string attribute;
    std::vector<Target> parts;
};

struct EmitText {
    std::string text;
};
struct EmitValue {
    ExprPtr value;
};
struct If {
    std::vector<std::pair<ExprPtr, Block>> branches;
    Block otherwise;
};
struct For {
    Target target;
    ExprPtr iterable;
    ExprPtr condition;
    Block body;
    Block otherwise;
};
struct Set {
    Target target;
    ExprPtr value;
};
struct SetBlock {
    Target target;
    std::vector<FilterStep> filters;
    Block body;
};
struct MacroDef {
    std::string name;
    std::vector<std::pair<std::string, ExprPtr>> parameters;  ///< name, default or null
    Block body;
};
struct CallBlock {
    MacroDef caller;
    ExprPtr call;
};
struct FilterBlock {
    std::vector<FilterStep> filters;
    Block body;
};
/// `{% with %}`, and `{% generation %}` with no targets: a scope of its own.
struct With {
    std::vector<std::pair<Target, ExprPtr>> bindings;
    Block body;
};
struct Break {};
struct Continue {};

struct Statement {
    using Node = std::variant<EmitText, EmitValue, If, For, Set, SetBlock, MacroDef, CallBlock,
                              FilterBlock, With, Break, Continue>;
    Position at;
    Node node;
};

/// A whole template. Immutable once parsed; shared by all renderings.
struct Program {
    Block body;
    std::set<std::string, std::less<>> names;  ///< every variable that is read
};

}  // namespace trilane::chat
