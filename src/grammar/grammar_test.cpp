// What GBNF, regular expressions, choices and json_object take and refuse.
#include "grammar/grammar.h"

#include <gtest/gtest.h>

#include "grammar/sample_tries.h"

namespace trilane::grammar {
namespace {

using sample::matches;

struct MatchTable {
    std::string source;
    std::vector<std::string> yes;
    std::vector<std::string> no;
};

void check(const Result<Compiled>& grammar, const MatchTable& table) {
    ASSERT_TRUE(grammar) << table.source << ": " << grammar.error().message;
    for (const std::string& text : table.yes) {
        EXPECT_TRUE(matches(*grammar, text)) << table.source << " takes " << text;
    }
    for (const std::string& text : table.no) {
        EXPECT_FALSE(matches(*grammar, text)) << table.source << " does not take " << text;
    }
}

void expect_refused(const Result<Compiled>& grammar, std::string_view source,
                    std::string_view why) {
    ASSERT_FALSE(grammar) << source;
    EXPECT_NE(grammar.error().message.find(why), std::string::npos) << grammar.error().message;
}

TEST(Gbnf, TakesWhatItSays) {
    const std::vector<MatchTable> tables = {
        {"root ::= \"a\"", {"a"}, {"", "b", "aa"}},
        {"root ::= \"a\" | \"bc\"\n", {"a", "bc"}, {"b", "abc"}},
        {"root ::= \"a\"\n  | \"bc\"", {"a", "bc"}, {"b"}},
        {"root ::= (\"a\" | \"b\")* \"c\"", {"c", "abbac"}, {"", "ab", "cc"}},
        {"root ::= [a-c0-9_]+", {"a", "b9_c"}, {"", "d", "A"}},
        {"root ::= [^a-c\\n]", {"d", "é", "€", "😀"}, {"a", "\n", "dd", "\xC3"}},
        {"root ::= .", {"a", "\n", "é", "\xF4\x8F\xBF\xBF"}, {"", "ab", "\xFF", "\xED\xA0\x80"}},
        {"root ::= \"\\x41\\u00e9\\U0001F600\\n\\t\\r\\\\\\\"\"", {"Aé😀\n\t\r\\\""}, {"A"}},
        {"root ::= [\\]\\[\\\\\\x41-C]", {"]", "[", "\\", "A", "B"}, {"D", "x"}},
        {"root ::= [-a]", {"-", "a"}, {"b"}},
        {"root ::= [a-]", {"-", "a"}, {"b"}},
        {"root ::= \"a\"{3}", {"aaa"}, {"aa", "aaaa"}},
        {"root ::= \"a\"{2,}", {"aa", "aaaaa"}, {"a"}},
        {"root ::= \"a\"{1,3}", {"a", "aaa"}, {"", "aaaa"}},
        {"root ::= \"a\"{,2}", {"", "aa"}, {"aaa"}},
        {"root ::= \"a\"{0,0} \"b\"", {"b"}, {"ab"}},
        {"root ::= \"a\"? b # a comment\n# another\nb ::= \"x\" \"y\"", {"xy", "axy"}, {"a"}},
        {"b-1 ::= \"x\"\nroot ::= b-1 (\n  \",\" b-1 # in a group\n)*", {"x", "x,x,x"}, {"x,"}},
        {"root ::= \"(\" root \")\" | \"x\"", {"x", "((x))"}, {"((x)", "()"}},
        {"root ::= \"a\" root \"b\" | \"\"", {"", "ab", "aaabbb"}, {"aab", "abb"}},
        {"root ::= (\"\" | \"a\")* \"b\"", {"b", "aab"}, {"a"}},
        {"root ::= item*\nitem ::= [a-z]?", {"", "abc"}, {"1"}},
        {"root ::= x y z\nx ::= \"a\"?\ny ::= x x\nz ::= \"c\" | x y",
         {"", "aaac", "aaaaaa"},
         {"aaaac", "aaaaaaa"}},
    };
    for (const MatchTable& table : tables) {
        check(from_gbnf(table.source), table);
    }
}

TEST(Gbnf, CountsLongRepetitions) {
    const auto grammar =
        from_gbnf("root ::= \"<\" word{10,2000} \">\"\nword ::= [a-z] [a-z0-9]* \" \"");
    ASSERT_TRUE(grammar);
    for (const auto& [count, good] : std::vector<std::pair<int, bool>>{
             {0, false}, {9, false}, {10, true}, {11, true}, {2000, true}, {2001, false}}) {
        std::string text = "<";
        for (int i = 0; i < count; ++i) {
            text += "ab1 ";
        }
        EXPECT_EQ(matches(*grammar, text + ">"), good) << count;
    }
    const auto least = from_gbnf("root ::= ([a-z] [a-z] [a-z] \"-\"){500,} \"!\"");
    ASSERT_TRUE(least);
    for (const int count : {499, 500, 501, 1200}) {
        std::string text;
        for (int i = 0; i < count; ++i) {
            text += "abc-";
        }
        EXPECT_EQ(matches(*least, text + "!"), count >= 500) << count;
    }
    const auto nested = from_gbnf("root ::= ((\"a\"{300} \"b\"){200} \"c\"){2}");
    ASSERT_TRUE(nested);
    std::string inner;
    for (int i = 0; i < 200; ++i) {
        inner.append(300, 'a').append("b");
    }
    EXPECT_TRUE(matches(*nested, inner + "c" + inner + "c"));
    EXPECT_FALSE(matches(*nested, inner + "c" + inner + "bc"));
}

TEST(Gbnf, RefusesWhatItCannotRead) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"", "no rule 'root'"},
        {"a ::= \"x\"", "no rule 'root'"},
        {"root ::= b", "'b' is used but not defined"},
        {"root ::= \"a", "line 1, column 12"},
        {"root ::= [a", "ends within"},
        {"root ::= (\"a\"", "not closed"},
        {"root ::= \"a\")", "line 1, column 13"},
        {"root ::= \"\\q\"", "unknown escape"},
        {"root ::= \"\\ud800\"", "no character"},
        {"root ::= [z-a]", "backwards"},
        {"root ::= \"a\"{3,2}", "less than"},
        {"root ::= \"a\"{x}", "number"},
        {"root ::= \"a\"\nroot ::= \"b\"", "line 2"},
        {"root = \"a\"", "'::='"},
        {"root ::= *", "column 10"},
        {"root ::= root \"a\" | \"b\"", "'root' calls itself"},
        {"root ::= b\nb ::= c \"x\"\nc ::= \"\" b | \"y\"", "left recursion"},
        {"root ::= \"a\"? root \"b\" | \"c\"", "left recursion"},
        {"root ::= \"a\" root", "no text matches"},
        {"root ::= []", "no text matches"},
        {"root ::= (\"a\"?){1000}", "may be empty"},
        {"root ::= <think>", "tokens by name"},
        {"root ::= \xFF", "UTF-8"},
        {"root ::= " + std::string(200, '('), "deeper than"},
    };
    for (const auto& [source, why] : cases) {
        expect_refused(from_gbnf(source), source, why);
    }
    expect_refused(from_gbnf(std::string(kSourceBytesMax + 1, ' ')), "spaces", "at most");
    // Much from little: counted loops keep this small, rules written out within each other do not
    // multiply.
    EXPECT_TRUE(from_gbnf("root ::= ((\"a\"{1000}){1000}){1000}"));
    std::string doubling = "root ::= r0 r0\n";
    for (int i = 0; i < 60; ++i) {
        doubling += fmt::format("r{} ::= r{} r{}\n", i, i + 1, i + 1);
    }
    EXPECT_TRUE(from_gbnf(doubling + "r60 ::= \"a\""));
}

TEST(Gbnf, BoundsNesting) {
    const auto grammar = from_gbnf("root ::= \"(\" root \")\" | \"x\"");
    ASSERT_TRUE(grammar);
    EXPECT_TRUE(matches(*grammar, std::string(200, '(') + "x" + std::string(200, ')')));
    Matcher deep(*grammar, sample::bytes());
    EXPECT_EQ(sample::taken(deep, std::string(1000, '(')), kDepthDefault);
    EXPECT_FALSE(deep.accept('('));
    EXPECT_TRUE(deep.accept('x'));  // what has begun can still end
    EXPECT_EQ(sample::taken(deep, std::string(1000, ')')), kDepthDefault);
    EXPECT_TRUE(deep.must_end());
}

TEST(Gbnf, TokensById) {
    const auto grammar = from_gbnf("root ::= \"a\" <[7]> \"b\"");
    ASSERT_TRUE(grammar);
    std::vector<std::string> texts(8, "a");
    texts[1] = "b";
    texts[7] = token_mark(7);
    texts[6] = token_mark(6);
    Matcher matcher(*grammar, std::make_shared<const TokenTrie>(texts, std::vector<token::Id>{2}));
    EXPECT_TRUE(matcher.accept(0));
    EXPECT_FALSE(matcher.accept(6));
    EXPECT_TRUE(matcher.accept(7));
    EXPECT_TRUE(matcher.accept(1));
    EXPECT_TRUE(matcher.must_end());
}

TEST(Regex, TakesWhatItSays) {
    const std::vector<MatchTable> tables = {
        {"abc", {"abc"}, {"", "ab", "abcd"}},
        {"^abc$", {"abc"}, {"xabc"}},
        {"a|bc|", {"a", "bc", ""}, {"b"}},
        {"(a|b)*c?", {"", "abba", "c", "bc"}, {"cc"}},
        {"[a-c]{2,3}", {"ab", "abc"}, {"a", "abca"}},
        {"a{2}b{0,}c{,2}", {"aa", "aabbbcc"}, {"a", "aaccc"}},
        {"\\d+\\.\\d{2}", {"3.14", "12.00"}, {"3.1", "3,14", "٣.14"}},
        {"[^\\d\\s]+", {"ab", "é"}, {"a1", "a b", "\xC2\xA0"}},
        {"\\w\\W\\S", {"a-b"}, {"aab"}},
        {".", {"a", "é"}, {"\n", "\r", "\xE2\x80\xA8"}},
        {"(?:ab)+?(?<name>c)(?P<other>d)", {"abcd", "ababcd"}, {"cd"}},
        {"\\x41\\u00e9\\u{1F600}\\ud83d\\ude00", {"Aé😀😀"}, {"A"}},
        {"[\\]\\-\\\\^]", {"]", "-", "\\", "^"}, {"a"}},
        {"[a-]", {"a", "-"}, {"b"}},
        {"\\(\\)\\/\\*", {"()/*"}, {"("}},
        {"é€", {"é€"}, {"e"}},
        {"[\\b]\\0\\t", {std::string("\b\0\t", 3)}, {"b"}},
        {"^a$|^b$", {"a", "b"}, {"ab"}},
        {"(a{300}){300}", {std::string(90000, 'a')}, {std::string(89999, 'a')}},
    };
    for (const MatchTable& table : tables) {
        check(from_regex(table.source), table);
    }
}

TEST(Regex, RefusesWhatItCannotHoldTo) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"(a", "not closed"},
        {"a)", "closes no group"},
        {"[a", "not closed"},
        {"*a", "repeats nothing"},
        {"a**", "inner one"},
        {"(?=a)b", "look around"},
        {"(?<!a)b", "look around"},
        {"(?i)a", "flags"},
        {"\\1", "escape"},
        {"\\bword", "escape"},
        {"a^b", "'^'"},
        {"a$b", "'$'"},
        {"(a$)", "'$'"},
        {"[z-a]", "backwards"},
        {"[\\d-x]", "between two"},
        {"\\p{L}", "escape"},
        {"\\ud800", "no character"},
        {"a\\", "ends within"},
        {"]", "closes nothing"},
        {"\\u{110000}", "no character"},
        {"(?<n", "name"},
    };
    for (const auto& [source, why] : cases) {
        expect_refused(from_regex(source), source, why);
    }
}

TEST(Choices, AreTheWholeAnswer) {
    const std::vector<std::string> choices = {"yes", "no", "not sure", "né"};
    check(from_choices(choices),
          {"choices", choices, {"", "y", "yesno", "not", "not sure.", "No"}});
    expect_refused(from_choices({}), "none", "empty");
    expect_refused(from_choices(std::vector<std::string>{"a", ""}), "", "choice 1");
    expect_refused(from_choices(std::vector<std::string>(kChoicesMax + 1, "a")), "many", "at most");
}

TEST(Json, AnyObject) {
    check(json_object(),
          {"json_object",
           {"{}", R"({"a":1})", R"({"a": -0.5e+10, "b":[1, 2,{"c":null}], "": [true,false]})",
            R"({"é😀\n\u00e9\ud83d\ude00\/":"x"})"},
           {"", "[]", "1", "{", "{ }", R"({"a" :1})", R"({"a":  1})", "{\"a\":1}\n", R"({"a":01})",
            R"({"a":1.})", R"({"a":"\ud800"})", R"({"a":"\x"})", "{\"a\":\"\n\"}", R"({"a":1,})",
            R"({a:1})", "{\"a\":\"\xFF\"}", R"({"a":1234567890123456})"}});
}

TEST(Formats, AreCompiledByTheirKind) {
    job::Format format;
    EXPECT_EQ(*compile(format), nullptr);
    format.kind = job::Format::Kind::regex;
    format.source = "a+";
    EXPECT_TRUE(matches(*compile(format), "aa"));
    format.kind = job::Format::Kind::gbnf;
    format.source = "root ::= \"b\"";
    EXPECT_TRUE(matches(*compile(format), "b"));
    format.kind = job::Format::Kind::choice;
    format.choices = {"c"};
    EXPECT_TRUE(matches(*compile(format), "c"));
    format.kind = job::Format::Kind::json_object;
    EXPECT_TRUE(matches(*compile(format), "{}"));
}

TEST(Parts, JoinIntoAForcedCall) {
    Builder b;
    const Part root = b.sequence({b.literal("<tool_call>\n{\"name\": \"f\", \"arguments\": "),
                                  add_json_object(b), b.literal("}\n</tool_call>")});
    const auto grammar = b.build(root);
    ASSERT_TRUE(grammar);
    EXPECT_TRUE(matches(*grammar,
                        "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>"));
    EXPECT_FALSE(matches(*grammar, "{\"x\": 1}"));
}

TEST(Parts, UntilAMarker) {
    Builder b;
    const auto grammar = b.build(b.sequence({b.until("aab"), b.literal("!")}));
    ASSERT_TRUE(grammar);
    check(grammar, {"until",
                    {"aab!", "xaab!", "aaaab!", "abaab!", "éaaéaab!"},
                    {"!", "aa!", "aab", "aab!aab!", "aabx!", "\xC3!"}});
}

TEST(Parts, ListsSkipWhatIsOptional) {
    Builder b;
    const Part list = b.list({{b.literal("a"), false},
                              {b.literal("b"), true},
                              {b.literal("c"), false},
                              {b.literal("d"), false}},
                             b.literal(","));
    check(b.build(list), {"list",
                          {"b", "a,b", "b,c", "b,d", "a,b,c,d"},
                          {"", "a", "a,c", ",b", "b,", "d,b", "b,c,d,"}});
}

TEST(Parts, BothMatchesWhatEachMatches) {
    Builder b;
    const Part letters = b.repeat(b.chars({{'a', 'z'}, {0xE9, 0xE9}}), 0, kUnbounded);
    const Part three = b.repeat(b.chars(CharSet::all()), 2, 3);
    check(b.build(b.sequence({b.both(letters, three), b.literal(".")})),
          {"both", {"ab.", "abé.", "ééé."}, {"a.", "abcd.", "a1.", "€€."}});
    expect_refused(b.build(b.both(b.literal("a"), b.literal("b"))), "none", "no text matches");
}

}  // namespace
}  // namespace trilane::grammar
