// Expressions by recursive descent, one function per level of precedence.
#include "chat/expression_parser.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "chat/builtins.h"

namespace trilane::chat {
namespace {

unsigned height(const ExprPtr& expr) {
    return expr == nullptr ? 0 : expr->height;
}

}  // namespace

Result<ExprPtr> ExpressionParser::make(Position at, unsigned child_height, Expr::Node node) {
    if (child_height >= kExprHeightMax) {
        return TokenStream::error(at, "this expression is longer than {} steps", kExprHeightMax);
    }
    return std::make_unique<const Expr>(Expr{at, child_height + 1, std::move(node)});
}

Result<ExprPtr> ExpressionParser::expression() {
    const TokenStream::Level level(tokens_);
    TRILANE_TRY_STATUS(level.check());
    TRILANE_TRY(ExprPtr result, logical_or());
    while (tokens_.is_name("if")) {
        const auto at = tokens_.take().at;
        TRILANE_TRY(ExprPtr condition, logical_or());
        ExprPtr otherwise;
        if (tokens_.take_name("else")) {
            TRILANE_TRY(otherwise, expression());
        }
        const auto tallest = std::max({height(result), height(condition), height(otherwise)});
        TRILANE_TRY(result, make(at, tallest,
                                 Conditional{std::move(condition), std::move(result),
                                             std::move(otherwise)}));
    }
    return result;
}

Result<ExprPtr> ExpressionParser::tuple(bool conditional) {
    const auto at = tokens_.peek().at;
    const auto one = [&] { return conditional ? expression() : unconditional(); };
    TRILANE_TRY(ExprPtr first, one());
    if (!tokens_.is_op(",")) {
        return first;
    }
    unsigned tallest = first->height;
    ListDisplay display{{}, true};
    display.items.push_back(std::move(first));
    while (tokens_.take_op(",")) {
        if (tokens_.is(TokenKind::variable_end) || tokens_.is(TokenKind::block_end) ||
            tokens_.is_op(")")) {
            break;
        }
        TRILANE_TRY(ExprPtr item, one());
        tallest = std::max(tallest, item->height);
        display.items.push_back(std::move(item));
    }
    return make(at, tallest, std::move(display));
}

Result<ExprPtr> ExpressionParser::logical_or() {
    TRILANE_TRY(ExprPtr left, logical_and());
    while (tokens_.is_name("or")) {
        const auto at = tokens_.take().at;
        TRILANE_TRY(ExprPtr right, logical_and());
        const auto tallest = std::max(left->height, right->height);
        TRILANE_TRY(left, make(at, tallest, Logic{false, std::move(left), std::move(right)}));
    }
    return left;
}

Result<ExprPtr> ExpressionParser::logical_and() {
    TRILANE_TRY(ExprPtr left, logical_not());
    while (tokens_.is_name("and")) {
        const auto at = tokens_.take().at;
        TRILANE_TRY(ExprPtr right, logical_not());
        const auto tallest = std::max(left->height, right->height);
        TRILANE_TRY(left, make(at, tallest, Logic{true, std::move(left), std::move(right)}));
    }
    return left;
}

Result<ExprPtr> ExpressionParser::logical_not() {
    if (!tokens_.is_name("not")) {
        return comparison();
    }
    const TokenStream::Level level(tokens_);
    TRILANE_TRY_STATUS(level.check());
    const auto at = tokens_.take().at;
    TRILANE_TRY(ExprPtr operand, logical_not());
    const auto below = operand->height;
    return make(at, below, Unary{UnaryOp::logical_not, std::move(operand)});
}

std::optional<CompareOp> ExpressionParser::take_compare_op() {
    static constexpr std::array<std::pair<std::string_view, CompareOp>, 6> kOps = {{
        {"==", CompareOp::eq},
        {"!=", CompareOp::ne},
        {"<=", CompareOp::le},
        {">=", CompareOp::ge},
        {"<", CompareOp::lt},
        {">", CompareOp::gt},
    }};
    for (const auto& [symbol, op] : kOps) {
        if (tokens_.take_op(symbol)) {
            return op;
        }
    }
    if (tokens_.take_name("in")) {
        return CompareOp::in;
    }
    const auto& after = tokens_.peek(1);
    if (tokens_.is_name("not") && after.kind == TokenKind::name && after.text == "in") {
        tokens_.take();
        tokens_.take();
        return CompareOp::not_in;
    }
    return std::nullopt;
}

Result<ExprPtr> ExpressionParser::comparison() {
    const auto at = tokens_.peek().at;
    TRILANE_TRY(ExprPtr first, sum());
    unsigned tallest = first->height;
    Compare compare{std::move(first), {}};
    while (const auto op = take_compare_op()) {
        TRILANE_TRY(ExprPtr right, sum());
        tallest = std::max(tallest, right->height);
        compare.links.emplace_back(*op, std::move(right));
    }
    if (compare.links.empty()) {
        return std::move(compare.first);
    }
    return make(at, tallest, std::move(compare));
}

Result<ExprPtr> ExpressionParser::sum() {
    TRILANE_TRY(ExprPtr left, concatenation());
    while (tokens_.is_op("+") || tokens_.is_op("-")) {
        const auto& token = tokens_.take();
        const auto op = token.text == "+" ? BinaryOp::add : BinaryOp::subtract;
        TRILANE_TRY(ExprPtr right, concatenation());
        const auto tallest = std::max(left->height, right->height);
        TRILANE_TRY(left, make(token.at, tallest, Binary{op, std::move(left), std::move(right)}));
    }
    return left;
}

Result<ExprPtr> ExpressionParser::concatenation() {
    const auto at = tokens_.peek().at;
    TRILANE_TRY(ExprPtr first, product());
    if (!tokens_.is_op("~")) {
        return first;
    }
    unsigned tallest = first->height;
    Concat concat;
    concat.parts.push_back(std::move(first));
    while (tokens_.take_op("~")) {
        TRILANE_TRY(ExprPtr part, product());
        tallest = std::max(tallest, part->height);
        concat.parts.push_back(std::move(part));
    }
    return make(at, tallest, std::move(concat));
}

Result<ExprPtr> ExpressionParser::product() {
    static constexpr std::array<std::pair<std::string_view, BinaryOp>, 4> kOps = {{
        {"*", BinaryOp::multiply},
        {"/", BinaryOp::divide},
        {"//", BinaryOp::floor_divide},
        {"%", BinaryOp::modulo},
    }};
    TRILANE_TRY(ExprPtr left, power());
    while (true) {
        const auto* found = std::find_if(kOps.begin(), kOps.end(),
                                         [&](const auto& op) { return tokens_.is_op(op.first); });
        if (found == kOps.end()) {
            return left;
        }
        const auto at = tokens_.take().at;
        TRILANE_TRY(ExprPtr right, power());
        const auto tallest = std::max(left->height, right->height);
        TRILANE_TRY(left,
                    make(at, tallest, Binary{found->second, std::move(left), std::move(right)}));
    }
}

Result<ExprPtr> ExpressionParser::power() {
    TRILANE_TRY(ExprPtr left, unary(true));
    while (tokens_.is_op("**")) {
        const auto at = tokens_.take().at;
        TRILANE_TRY(ExprPtr right, unary(true));
        const auto tallest = std::max(left->height, right->height);
        TRILANE_TRY(left,
                    make(at, tallest, Binary{BinaryOp::power, std::move(left), std::move(right)}));
    }
    return left;
}

Result<ExprPtr> ExpressionParser::unary(bool with_filters) {
    ExprPtr result;
    if (tokens_.is_op("-") || tokens_.is_op("+")) {
        const TokenStream::Level level(tokens_);
        TRILANE_TRY_STATUS(level.check());
        const auto& token = tokens_.take();
        TRILANE_TRY(ExprPtr operand, unary(false));
        const auto below = operand->height;
        const auto op = token.text == "-" ? UnaryOp::negate : UnaryOp::plus;
        TRILANE_TRY(result, make(token.at, below, Unary{op, std::move(operand)}));
    } else {
        TRILANE_TRY(result, primary());
    }
    TRILANE_TRY(result, postfix(std::move(result)));
    return with_filters ? filters(std::move(result)) : Result<ExprPtr>(std::move(result));
}

Result<ExprPtr> ExpressionParser::primary() {
    switch (tokens_.peek().kind) {
        case TokenKind::name:
            return named();
        case TokenKind::string:
            return text();
        case TokenKind::integer:
        case TokenKind::real:
            return number();
        default:
            break;
    }
    if (tokens_.is_op("(")) {
        return parenthesized();
    }
    if (tokens_.is_op("[")) {
        return list();
    }
    if (tokens_.is_op("{")) {
        return dict();
    }
    return tokens_.unexpected("an expression");
}

Result<ExprPtr> ExpressionParser::named() {
    const auto& token = tokens_.take();
    if (token.text == "true" || token.text == "True") {
        return make(token.at, 0, Literal{Value(true)});
    }
    if (token.text == "false" || token.text == "False") {
        return make(token.at, 0, Literal{Value(false)});
    }
    if (token.text == "none" || token.text == "None") {
        return make(token.at, 0, Literal{Value(None{})});
    }
    names_.insert(token.text);
    return make(token.at, 0, Name{token.text});
}

Result<ExprPtr> ExpressionParser::text() {
    const auto at = tokens_.peek().at;
    std::string joined;
    while (tokens_.is(TokenKind::string)) {
        joined += tokens_.take().text;
    }
    return make(at, 0, Literal{Value(TextRef(std::make_shared<Text>(std::move(joined), nullptr)))});
}

Result<ExprPtr> ExpressionParser::number() {
    const auto& token = tokens_.take();
    const auto* begin = token.text.data();
    const auto* end = begin + token.text.size();
    if (token.kind == TokenKind::real) {
        double real = 0;
        if (std::from_chars(begin, end, real).ec != std::errc{}) {
            return TokenStream::error(token.at, "{} does not fit a float", token.text);
        }
        return make(token.at, 0, Literal{Value(real)});
    }
    std::int64_t integer = 0;
    if (std::from_chars(begin, end, integer).ec != std::errc{}) {
        return TokenStream::error(token.at, "{} does not fit 64 bits", token.text);
    }
    return make(token.at, 0, Literal{Value(integer)});
}

Result<ExprPtr> ExpressionParser::parenthesized() {
    const auto at = tokens_.take().at;
    if (tokens_.take_op(")")) {
        return make(at, 0, ListDisplay{{}, true});
    }
    TRILANE_TRY(ExprPtr inside, tuple(true));
    TRILANE_TRY_STATUS(tokens_.expect_op(")"));
    return inside;
}

Result<ExprPtr> ExpressionParser::list() {
    const auto at = tokens_.take().at;
    ListDisplay display;
    unsigned tallest = 0;
    while (!tokens_.take_op("]")) {
        if (!display.items.empty()) {
            TRILANE_TRY_STATUS(tokens_.expect_op(","));
            if (tokens_.take_op("]")) {
                break;
            }
        }
        TRILANE_TRY(ExprPtr item, expression());
        tallest = std::max(tallest, item->height);
        display.items.push_back(std::move(item));
    }
    return make(at, tallest, std::move(display));
}

Result<ExprPtr> ExpressionParser::dict() {
    const auto at = tokens_.take().at;
    DictDisplay display;
    unsigned tallest = 0;
    while (!tokens_.take_op("}")) {
        if (!display.items.empty()) {
            TRILANE_TRY_STATUS(tokens_.expect_op(","));
            if (tokens_.take_op("}")) {
                break;
            }
        }
        TRILANE_TRY(ExprPtr key, expression());
        TRILANE_TRY_STATUS(tokens_.expect_op(":"));
        TRILANE_TRY(ExprPtr value, expression());
        tallest = std::max({tallest, key->height, value->height});
        display.items.emplace_back(std::move(key), std::move(value));
    }
    return make(at, tallest, std::move(display));
}

Result<ExprPtr> ExpressionParser::postfix(ExprPtr base) {
    while (true) {
        if (tokens_.is_op(".")) {
            TRILANE_TRY(base, dotted(std::move(base)));
        } else if (tokens_.is_op("[")) {
            TRILANE_TRY(base, subscript(std::move(base)));
        } else if (tokens_.is_op("(")) {
            TRILANE_TRY(base, call(std::move(base)));
        } else {
            return base;
        }
    }
}

Result<ExprPtr> ExpressionParser::dotted(ExprPtr base) {
    const auto at = tokens_.take().at;
    const auto below = base->height;
    if (tokens_.is(TokenKind::integer)) {
        TRILANE_TRY(ExprPtr index, number());
        return make(at, below, Item{std::move(base), std::move(index)});
    }
    TRILANE_TRY(auto name, tokens_.expect_name());
    return make(at, below, Attribute{std::move(base), std::move(name)});
}

Result<ExprPtr> ExpressionParser::subscript(ExprPtr base) {
    const auto at = tokens_.take().at;
    ExprPtr index;
    if (!tokens_.is_op(":")) {
        TRILANE_TRY(index, expression());
    }
    if (tokens_.is_op(":")) {
        return slice_rest(at, std::move(base), std::move(index));
    }
    TRILANE_TRY_STATUS(tokens_.expect_op("]"));
    const auto tallest = std::max(base->height, index->height);
    return make(at, tallest, Item{std::move(base), std::move(index)});
}

Result<ExprPtr> ExpressionParser::slice_rest(Position at, ExprPtr base, ExprPtr start) {
    ExprPtr bounds[2];
    for (auto& bound : bounds) {
        if (tokens_.take_op(":") && !tokens_.is_op(":") && !tokens_.is_op("]")) {
            TRILANE_TRY(bound, expression());
        }
    }
    TRILANE_TRY_STATUS(tokens_.expect_op("]"));
    const auto tallest =
        std::max({base->height, height(start), height(bounds[0]), height(bounds[1])});
    return make(
        at, tallest,
        Slice{std::move(base), std::move(start), std::move(bounds[0]), std::move(bounds[1])});
}

Result<ExprPtr> ExpressionParser::call(ExprPtr base) {
    const auto at = tokens_.peek().at;
    TRILANE_TRY(auto given, arguments());
    const auto tallest = std::max(base->height, given.height);
    return make(at, tallest, Call{std::move(base), std::move(given)});
}

Result<Arguments> ExpressionParser::arguments() {
    TRILANE_TRY_STATUS(tokens_.expect_op("("));
    Arguments given;
    bool first = true;
    while (!tokens_.take_op(")")) {
        if (!first) {
            TRILANE_TRY_STATUS(tokens_.expect_op(","));
            if (tokens_.take_op(")")) {
                break;
            }
        }
        first = false;
        if (tokens_.is_op("*") || tokens_.is_op("**")) {
            return TokenStream::error(tokens_.peek().at, "* and ** arguments are not supported");
        }
        std::string name;
        const auto& after = tokens_.peek(1);
        if (tokens_.is(TokenKind::name) && after.kind == TokenKind::op && after.text == "=") {
            name = tokens_.take().text;
            tokens_.take();
        } else if (!given.named.empty()) {
            return tokens_.unexpected("name=value, as after the named arguments before it");
        }
        TRILANE_TRY(ExprPtr value, expression());
        given.height = std::max(given.height, value->height);
        if (name.empty()) {
            given.positional.push_back(std::move(value));
        } else {
            given.named.emplace_back(std::move(name), std::move(value));
        }
    }
    return given;
}

Result<ExprPtr> ExpressionParser::filters(ExprPtr base) {
    while (true) {
        if (tokens_.take_op("|")) {
            TRILANE_TRY(auto step, filter_step());
            const auto at = step.at;
            const auto tallest = std::max(base->height, step.arguments.height);
            TRILANE_TRY(base, make(at, tallest, Filter{std::move(base), std::move(step)}));
        } else if (tokens_.is_name("is")) {
            TRILANE_TRY(base, test(std::move(base)));
        } else if (tokens_.is_op("(")) {
            TRILANE_TRY(base, call(std::move(base)));
        } else {
            return base;
        }
    }
}

Result<FilterStep> ExpressionParser::filter_step() {
    FilterStep step;
    step.at = tokens_.peek().at;
    TRILANE_TRY(auto name, tokens_.expect_name());
    step.filter = find_filter(name);
    if (step.filter == nullptr) {
        return TokenStream::error(step.at, "there is no filter named '{}'", name);
    }
    if (tokens_.is_op("(")) {
        TRILANE_TRY(step.arguments, arguments());
    }
    return step;
}

Result<Arguments> ExpressionParser::test_arguments() {
    if (tokens_.is_op("(")) {
        return arguments();
    }
    Arguments given;
    const auto kind = tokens_.peek().kind;
    const bool word = kind == TokenKind::name && !tokens_.is_name("else") &&
                      !tokens_.is_name("or") && !tokens_.is_name("and") && !tokens_.is_name("if");
    if (word || kind == TokenKind::string || kind == TokenKind::integer ||
        kind == TokenKind::real || tokens_.is_op("[") || tokens_.is_op("{")) {
        if (tokens_.is_name("is")) {
            return tokens_.unexpected("parentheses: tests cannot be chained with 'is'");
        }
        TRILANE_TRY(ExprPtr argument, primary());
        TRILANE_TRY(argument, postfix(std::move(argument)));
        given.height = argument->height;
        given.positional.push_back(std::move(argument));
    }
    return given;
}

Result<ExprPtr> ExpressionParser::test(ExprPtr base) {
    tokens_.take();
    const bool negated = tokens_.take_name("not");
    const auto at = tokens_.peek().at;
    TRILANE_TRY(auto name, tokens_.expect_name());
    const Builtin* known = find_test(name);
    if (known == nullptr) {
        return TokenStream::error(at, "there is no test named '{}'", name);
    }
    TRILANE_TRY(auto given, test_arguments());
    const auto tallest = std::max(base->height, given.height);
    return make(at, tallest, Test{std::move(base), known, std::move(given), negated});
}

}  // namespace trilane::chat
