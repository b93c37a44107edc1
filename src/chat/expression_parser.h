// The expression half of the parser: precedence as Jinja2 has it. Knows no statements.
#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "chat/syntax.h"
#include "chat/token_stream.h"

namespace trilane::chat {

class ExpressionParser {
public:
    /// Names that are read are added to `names`.
    ExpressionParser(TokenStream& tokens, std::set<std::string, std::less<>>& names)
        : tokens_(tokens), names_(names) {}

    /// A whole expression with `x if y else z`.
    Result<ExprPtr> expression();
    /// The same without the conditional, where `if` means something else.
    Result<ExprPtr> unconditional() { return logical_or(); }
    /// An expression, or several with commas between them, which make a tuple.
    Result<ExprPtr> tuple(bool conditional);
    /// `name(args)` as in `|name(args)`, with `|` or `filter` already taken.
    Result<FilterStep> filter_step();
    /// `base.height` one more than its children's; refused when too tall.
    Result<ExprPtr> make(Position at, unsigned child_height, Expr::Node node);

private:
    Result<ExprPtr> logical_or();
    Result<ExprPtr> logical_and();
    Result<ExprPtr> logical_not();
    Result<ExprPtr> comparison();
    Result<ExprPtr> sum();
    Result<ExprPtr> concatenation();
    Result<ExprPtr> product();
    Result<ExprPtr> power();
    Result<ExprPtr> unary(bool with_filters);
    Result<ExprPtr> primary();
    Result<ExprPtr> named();
    Result<ExprPtr> text();
    Result<ExprPtr> number();
    Result<ExprPtr> parenthesized();
    Result<ExprPtr> list();
    Result<ExprPtr> dict();
    Result<ExprPtr> postfix(ExprPtr base);
    Result<ExprPtr> dotted(ExprPtr base);
    Result<ExprPtr> subscript(ExprPtr base);
    Result<ExprPtr> slice_rest(Position at, ExprPtr base, ExprPtr start);
    Result<ExprPtr> call(ExprPtr base);
    Result<ExprPtr> filters(ExprPtr base);
    Result<ExprPtr> test(ExprPtr base);
    Result<Arguments> test_arguments();
    Result<Arguments> arguments();
    [[nodiscard]] std::optional<CompareOp> take_compare_op();

    TokenStream& tokens_;
    std::set<std::string, std::less<>>& names_;
};

}  // namespace trilane::chat
