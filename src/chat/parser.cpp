// Statements; expressions are expression_parser.cpp's.
#include "chat/parser.h"

#include <algorithm>
#include <initializer_list>

#include "chat/expression_parser.h"
#include "chat/token_stream.h"

namespace trilane::chat {
namespace {

using Names = std::initializer_list<std::string_view>;

class Parser {
public:
    explicit Parser(std::vector<Token> tokens)
        : tokens_(std::move(tokens)), expressions_(tokens_, program_.names) {}

    Result<Program> run();

private:
    /// Statements up to a tag that begins with one of `ends`; that name is the next token then.
    Result<Block> block(Names ends);
    /// A block up to and with its one end tag.
    Result<Block> closed_block(std::string_view end);
    Status close_tag() { return tokens_.expect(TokenKind::block_end, "'%}'"); }
    [[nodiscard]] bool at_tag(Names names) const;
    void add(Block& block, Position at, Statement::Node node);

    Result<Statement::Node> statement(Position at, const std::string& keyword);
    Result<Statement::Node> if_statement();
    Result<Statement::Node> for_statement();
    Result<Statement::Node> set_statement();
    Result<Statement::Node> macro_statement();
    Result<Statement::Node> call_statement();
    Result<Statement::Node> filter_statement();
    Result<Statement::Node> with_statement();
    Result<Statement::Node> generation_statement();
    Result<Statement::Node> loop_jump(Position at, bool leave);

    Result<Target> target(bool with_attribute);
    Result<Target> single_target(bool with_attribute);
    Result<std::vector<std::pair<std::string, ExprPtr>>> parameters();
    Result<std::vector<FilterStep>> filter_chain();

    Program program_;
    TokenStream tokens_;
    ExpressionParser expressions_;
    unsigned loops_ = 0;  ///< for statements that a break here could leave
};

void Parser::add(Block& block, Position at, Statement::Node node) {
    block.push_back(std::make_unique<const Statement>(Statement{at, std::move(node)}));
}

bool Parser::at_tag(Names names) const {
    const auto& token = tokens_.peek(1);
    return token.kind == TokenKind::name &&
           std::find(names.begin(), names.end(), token.text) != names.end();
}

Result<Program> Parser::run() {
    TRILANE_TRY(program_.body, block({}));
    if (!tokens_.is(TokenKind::end)) {
        return tokens_.unexpected("the end of the template");
    }
    return std::move(program_);
}

Result<Block> Parser::block(Names ends) {
    const TokenStream::Level level(tokens_);
    TRILANE_TRY_STATUS(level.check());
    Block result;
    while (!tokens_.is(TokenKind::end)) {
        const auto at = tokens_.peek().at;
        if (tokens_.is(TokenKind::text)) {
            add(result, at, EmitText{tokens_.take().text});
        } else if (tokens_.is(TokenKind::variable_begin)) {
            tokens_.take();
            TRILANE_TRY(auto value, expressions_.tuple(true));
            TRILANE_TRY_STATUS(tokens_.expect(TokenKind::variable_end, "'}}'"));
            add(result, at, EmitValue{std::move(value)});
        } else {
            const bool ends_here = at_tag(ends);
            TRILANE_TRY_STATUS(tokens_.expect(TokenKind::block_begin, "a tag"));
            if (ends_here) {
                return result;
            }
            const auto keyword_at = tokens_.peek().at;
            TRILANE_TRY(auto keyword, tokens_.expect_name());
            TRILANE_TRY(auto node, statement(keyword_at, keyword));
            add(result, keyword_at, std::move(node));
        }
    }
    if (ends.size() > 0) {
        return tokens_.unexpected(fmt::format("'{{% {} %}}'", *(ends.end() - 1)));
    }
    return result;
}

Result<Block> Parser::closed_block(std::string_view end) {
    TRILANE_TRY(auto body, block({end}));
    tokens_.take();
    // `endmacro name` and the like are allowed to repeat the name.
    if (end == "endmacro" && tokens_.is(TokenKind::name)) {
        tokens_.take();
    }
    TRILANE_TRY_STATUS(close_tag());
    return body;
}

Result<Statement::Node> Parser::statement(Position at, const std::string& keyword) {
    if (keyword == "if") {
        return if_statement();
    }
    if (keyword == "for") {
        return for_statement();
    }
    if (keyword == "set") {
        return set_statement();
    }
    if (keyword == "macro") {
        return macro_statement();
    }
    if (keyword == "call") {
        return call_statement();
    }
    if (keyword == "filter") {
        return filter_statement();
    }
    if (keyword == "with") {
        return with_statement();
    }
    if (keyword == "generation") {
        return generation_statement();
    }
    if (keyword == "break" || keyword == "continue") {
        return loop_jump(at, keyword == "break");
    }
    static constexpr std::string_view kKnown[] = {
        "autoescape", "block", "do", "extends", "from", "import", "include", "trans", "debug"};
    if (std::find(std::begin(kKnown), std::end(kKnown), keyword) != std::end(kKnown)) {
        return TokenStream::error(at, "the statement '{}' is not supported in chat templates",
                                  keyword);
    }
    return TokenStream::error(at, "unexpected tag '{}'", keyword);
}

Result<Statement::Node> Parser::if_statement() {
    If node;
    while (true) {
        TRILANE_TRY(auto condition, expressions_.tuple(false));
        TRILANE_TRY_STATUS(close_tag());
        TRILANE_TRY(auto body, block({"elif", "else", "endif"}));
        node.branches.emplace_back(std::move(condition), std::move(body));
        const auto keyword = tokens_.take().text;
        if (keyword == "elif") {
            continue;
        }
        if (keyword == "else") {
            TRILANE_TRY_STATUS(close_tag());
            TRILANE_TRY(node.otherwise, closed_block("endif"));
            return Statement::Node(std::move(node));
        }
        TRILANE_TRY_STATUS(close_tag());
        return Statement::Node(std::move(node));
    }
}

Result<Statement::Node> Parser::for_statement() {
    For node;
    TRILANE_TRY(node.target, target(false));
    if (!tokens_.take_name("in")) {
        return tokens_.unexpected("'in'");
    }
    TRILANE_TRY(node.iterable, expressions_.tuple(false));
    if (tokens_.take_name("if")) {
        TRILANE_TRY(node.condition, expressions_.expression());
    }
    if (tokens_.is_name("recursive")) {
        return TokenStream::error(tokens_.peek().at, "recursive loops are not supported");
    }
    TRILANE_TRY_STATUS(close_tag());
    ++loops_;
    TRILANE_TRY(node.body, block({"else", "endfor"}));
    --loops_;
    const bool has_else = tokens_.take().text == "else";
    TRILANE_TRY_STATUS(close_tag());
    if (has_else) {
        TRILANE_TRY(node.otherwise, closed_block("endfor"));
    }
    return Statement::Node(std::move(node));
}

Result<Statement::Node> Parser::set_statement() {
    const auto at = tokens_.peek().at;
    TRILANE_TRY(auto where, target(true));
    if (tokens_.take_op("=")) {
        TRILANE_TRY(auto value, expressions_.tuple(true));
        TRILANE_TRY_STATUS(close_tag());
        return Statement::Node(Set{std::move(where), std::move(value)});
    }
    if (!where.parts.empty()) {
        return TokenStream::error(at, "a block can be set to one name only");
    }
    SetBlock node;
    node.target = std::move(where);
    if (tokens_.take_op("|")) {
        TRILANE_TRY(node.filters, filter_chain());
    }
    TRILANE_TRY_STATUS(close_tag());
    const auto loops_outside = std::exchange(loops_, 0);
    TRILANE_TRY(node.body, closed_block("endset"));
    loops_ = loops_outside;
    return Statement::Node(std::move(node));
}

Result<Statement::Node> Parser::macro_statement() {
    MacroDef node;
    TRILANE_TRY(node.name, tokens_.expect_name());
    TRILANE_TRY(node.parameters, parameters());
    TRILANE_TRY_STATUS(close_tag());
    const auto loops_outside = std::exchange(loops_, 0);
    TRILANE_TRY(node.body, closed_block("endmacro"));
    loops_ = loops_outside;
    return Statement::Node(std::move(node));
}

Result<Statement::Node> Parser::call_statement() {
    CallBlock node;
    node.caller.name = "caller";
    if (tokens_.is_op("(")) {
        TRILANE_TRY(node.caller.parameters, parameters());
    }
    const auto at = tokens_.peek().at;
    TRILANE_TRY(node.call, expressions_.expression());
    if (!std::holds_alternative<Call>(node.call->node)) {
        return TokenStream::error(at, "a call block needs a call, such as name(…)");
    }
    TRILANE_TRY_STATUS(close_tag());
    const auto loops_outside = std::exchange(loops_, 0);
    TRILANE_TRY(node.caller.body, closed_block("endcall"));
    loops_ = loops_outside;
    return Statement::Node(std::move(node));
}

Result<Statement::Node> Parser::filter_statement() {
    FilterBlock node;
    TRILANE_TRY(node.filters, filter_chain());
    TRILANE_TRY_STATUS(close_tag());
    const auto loops_outside = std::exchange(loops_, 0);
    TRILANE_TRY(node.body, closed_block("endfilter"));
    loops_ = loops_outside;
    return Statement::Node(std::move(node));
}

Result<Statement::Node> Parser::with_statement() {
    With node;
    while (!tokens_.is(TokenKind::block_end)) {
        if (!node.bindings.empty()) {
            TRILANE_TRY_STATUS(tokens_.expect_op(","));
        }
        TRILANE_TRY(auto where, single_target(false));
        TRILANE_TRY_STATUS(tokens_.expect_op("="));
        TRILANE_TRY(auto value, expressions_.expression());
        node.bindings.emplace_back(std::move(where), std::move(value));
    }
    TRILANE_TRY_STATUS(close_tag());
    TRILANE_TRY(node.body, closed_block("endwith"));
    return Statement::Node(std::move(node));
}

Result<Statement::Node> Parser::generation_statement() {
    With node;
    TRILANE_TRY_STATUS(close_tag());
    TRILANE_TRY(node.body, closed_block("endgeneration"));
    return Statement::Node(std::move(node));
}

Result<Statement::Node> Parser::loop_jump(Position at, bool leave) {
    if (loops_ == 0) {
        return TokenStream::error(at, "'{}' outside a for loop", leave ? "break" : "continue");
    }
    TRILANE_TRY_STATUS(close_tag());
    return leave ? Statement::Node(Break{}) : Statement::Node(Continue{});
}

Result<Target> Parser::single_target(bool with_attribute) {
    const TokenStream::Level level(tokens_);
    TRILANE_TRY_STATUS(level.check());
    Target result;
    result.at = tokens_.peek().at;
    if (tokens_.take_op("(")) {
        TRILANE_TRY(result, target(false));
        TRILANE_TRY_STATUS(tokens_.expect_op(")"));
        return result;
    }
    TRILANE_TRY(result.name, tokens_.expect_name());
    static constexpr std::string_view kReserved[] = {"true", "True", "false", "False", "none",
                                                     "None", "and",  "or",    "not",   "in",
                                                     "is",   "if",   "else"};
    if (std::find(std::begin(kReserved), std::end(kReserved), result.name) != std::end(kReserved)) {
        return TokenStream::error(result.at, "'{}' cannot be assigned to", result.name);
    }
    if (with_attribute && tokens_.take_op(".")) {
        TRILANE_TRY(result.attribute, tokens_.expect_name());
    }
    return result;
}

Result<Target> Parser::target(bool with_attribute) {
    const auto at = tokens_.peek().at;
    TRILANE_TRY(auto first, single_target(with_attribute));
    if (!tokens_.is_op(",")) {
        return first;
    }
    Target result;
    result.at = at;
    result.parts.push_back(std::move(first));
    while (tokens_.take_op(",")) {
        if (tokens_.is_op(")") || tokens_.is_op("=") || tokens_.is_name("in")) {
            break;
        }
        TRILANE_TRY(auto part, single_target(with_attribute));
        result.parts.push_back(std::move(part));
    }
    return result;
}

Result<std::vector<std::pair<std::string, ExprPtr>>> Parser::parameters() {
    std::vector<std::pair<std::string, ExprPtr>> result;
    TRILANE_TRY_STATUS(tokens_.expect_op("("));
    while (!tokens_.take_op(")")) {
        if (!result.empty()) {
            TRILANE_TRY_STATUS(tokens_.expect_op(","));
        }
        const auto at = tokens_.peek().at;
        TRILANE_TRY(auto name, tokens_.expect_name());
        ExprPtr otherwise;
        if (tokens_.take_op("=")) {
            TRILANE_TRY(otherwise, expressions_.expression());
        } else if (!result.empty() && result.back().second != nullptr) {
            return TokenStream::error(at, "'{}' needs a default like the parameters before it",
                                      name);
        }
        result.emplace_back(std::move(name), std::move(otherwise));
    }
    return result;
}

Result<std::vector<FilterStep>> Parser::filter_chain() {
    std::vector<FilterStep> steps;
    do {
        TRILANE_TRY(auto step, expressions_.filter_step());
        steps.push_back(std::move(step));
    } while (tokens_.take_op("|"));
    return steps;
}

}  // namespace

Result<Program> parse(std::string_view source) {
    TRILANE_TRY(auto tokens, tokenize(source));
    return Parser(std::move(tokens)).run();
}

}  // namespace trilane::chat
