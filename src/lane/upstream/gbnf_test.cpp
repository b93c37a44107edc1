#include "lane/upstream/gbnf.h"

#include <gtest/gtest.h>

namespace trilane::lane::upstream {
namespace {

TEST(GbnfTest, ListsChoices) {
    EXPECT_EQ(grammar_of_choices({"yes", "no \"or\" \\\n[x]"}),
              R"(root ::= "yes" | "no \"or\" \\\n[x]")");
}

TEST(GbnfTest, WritesExpressions) {
    const std::pair<const char*, const char*> rows[] = {
        {"abc", R"(root ::= "a" "b" "c")"},
        {"^a|b$", R"(root ::= "a" | "b")"},
        {"(ab)+c*d?", R"(root ::= ("a" "b")+ "c"* "d"?)"},
        {"(?:a|)x", R"(root ::= ("a" | "") "x")"},
        {"[a-z0-9_-]{2,5}", R"(root ::= [a-z0-9_-]{2,5})"},
        {"[^\\]\\d]", R"(root ::= [^\]0-9])"},
        {"[]a]", R"(root ::= [\]a])"},
        {"[\\-x]", R"(root ::= [\x2Dx])"},
        {"\\d{3}-\\w+\\.", R"(root ::= [0-9]{3} "-" [A-Za-z0-9_]+ ".")"},
        {"\\S.\\n", "root ::= [^ \\t\\r\\n] [^\\n] \"\\n\""},
        {"é+?", "root ::= \"é\"+"},
        {"a{2,}", R"(root ::= "a"{2,})"},
        {"\\$", R"(root ::= "$")"},
        {"", R"(root ::= "")"},
    };
    for (const auto& [regex, expected] : rows) {
        const auto grammar = grammar_of_regex(regex);
        ASSERT_TRUE(grammar) << regex << ": " << grammar.error().message;
        EXPECT_EQ(*grammar, expected) << regex;
    }
}

TEST(GbnfTest, RefusesWhatItDoesNotKnow) {
    for (const char* regex : {"(?=a)", "a)", "(a", "*a", "a**", "[a", "a\\", "\\1", "\\b", "a{x}",
                              "a{3,2}", "a{9999}", "[[:alpha:]]", "a^b", "[\\D]", "a++", "\xFF"}) {
        const auto grammar = grammar_of_regex(regex);
        ASSERT_FALSE(grammar) << regex << " became " << *grammar;
        EXPECT_EQ(grammar.error().fault, Fault::invalid);
        EXPECT_TRUE(grammar.error().message.starts_with("regex: ")) << grammar.error().message;
    }
    EXPECT_FALSE(grammar_of_regex(std::string(kRegexBytesMax + 1, 'a')));
    EXPECT_FALSE(grammar_of_regex(std::string(100, '(') + std::string(100, ')')));
}

}  // namespace
}  // namespace trilane::lane::upstream
