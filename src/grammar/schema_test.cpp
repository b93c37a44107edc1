// JSON schemas: what their grammars take, what they refuse to take, which schemas are refused.
#include <gtest/gtest.h>

#include "grammar/grammar.h"
#include "grammar/sample_tries.h"

namespace trilane::grammar {
namespace {

using sample::matches;

struct Table {
    std::string schema;
    std::vector<std::string> yes;
    std::vector<std::string> no;
};

void check(const std::vector<Table>& tables) {
    for (const Table& table : tables) {
        const auto grammar = from_json_schema(table.schema);
        ASSERT_TRUE(grammar) << table.schema << ": " << grammar.error().message;
        for (const std::string& text : table.yes) {
            EXPECT_TRUE(matches(*grammar, text)) << table.schema << " takes " << text;
        }
        for (const std::string& text : table.no) {
            EXPECT_FALSE(matches(*grammar, text)) << table.schema << " does not take " << text;
        }
    }
}

TEST(Schema, Types) {
    check({
        {"{}", {"1", "\"a\"", "{}", "[1, null]", "true"}, {"", "a", "1 2"}},
        {"true", {"1", "{}"}, {"x"}},
        {R"({"type":"null"})", {"null"}, {"0"}},
        {R"({"type":"boolean"})", {"true", "false"}, {"null", "True"}},
        {R"({"type":"integer"})",
         {"0", "-1", "999999999999999"},
         {"01", "1.5", "+1", "1e3", "1000000000000000"}},
        {R"({"type":"number"})", {"0.5", "-1e5", "12", "1.25E-10"}, {".5", "1.", "1e999", "NaN"}},
        {R"({"type":["string","null"]})", {"\"x\"", "null"}, {"1"}},
        {R"({"type":"string","nullable":true})", {"\"x\"", "null"}, {"1"}},
        {R"({"type":"object"})", {"{}", R"({"a":[1]})"}, {"[]"}},
        {R"({"type":"array"})", {"[]", "[1,\"a\"]"}, {"{}", "[ 1]", "[1,  2]"}},
        {R"({"title":"t","description":"d","default":1,"examples":[1],"x-order":1})", {"1"}, {"x"}},
    });
}

TEST(Schema, ValuesThatAreListed) {
    check({
        {R"({"const":"a\"b\n"})", {R"("a\"b\n")"}, {R"("a")", "a"}},
        {R"({"const":{"a":[1,null]}})", {R"({"a":[1,null]})", R"({"a": [1, null]})"}, {"{}"}},
        {R"({"enum":["a","b",1,null,2.5]})", {"\"a\"", "1", "null", "2.5"}, {"\"c\"", "2"}},
        {R"({"type":"string","enum":["a",1]})", {"\"a\""}, {"1"}},
        {R"({"type":"integer","enum":[1,2.5]})", {"1"}, {"2.5"}},
        {R"({"const":"a","enum":["a","b"]})", {"\"a\""}, {"\"b\""}},
        {R"({"enum":["é😀"]})", {"\"é😀\""}, {"\"e\""}},
    });
}

TEST(Schema, Objects) {
    check({
        {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"null"}},
             "required":["a"],"additionalProperties":false})",
         {R"({"a":1})", R"({"a": 1, "b": null})"},
         {"{}", R"({"b":null})", R"({"b":null,"a":1})", R"({"a":1,"c":1})", R"({"a":1,})",
          R"({"a":1,"a":1})"}},
        {R"({"properties":{"a":{"type":"integer"},"b":{"type":"integer"}}})",
         {"{}", R"({"a":1})", R"({"b":1})", R"({"a":1,"b":1})"},
         {R"({"c":1})", R"({,"b":1})"}},
        {R"({"type":"object","additionalProperties":{"type":"integer"}})",
         {"{}", R"({"x":1})", R"({"x":1,"y":2})"},
         {R"({"x":"1"})"}},
        {R"({"type":"object","additionalProperties":false})", {"{}"}, {R"({"a":1})"}},
        {R"({"properties":{"ab":{"type":"null"},"a\"":{"type":"null"}},"required":["ab"],
             "additionalProperties":{"type":"integer"}})",
         {R"({"ab":null})", R"({"ab":null,"x":1})", R"({"ab":null,"a":1,"abc":2,"":3,"é":4})",
          R"({"ab":null,"a\"":null,"b":1})"},
         {R"({"ab":null,"ab":1})", R"({"ab":null,"\u0061b":1})", R"({"x":1,"ab":null})",
          R"({"ab":null,"a\"":1})"}},
        {R"({"required":["z"],"properties":{"a":{"type":"null"}}})",
         {R"({"z":[1]})", R"({"a":null,"z":1})"},
         {"{}", R"({"a":null})"}},
        {R"({"required":["z"],"additionalProperties":{"type":"integer"}})",
         {R"({"z":1})", R"({"z":1,"y":2})"},
         {R"({"z":"1"})"}},
        {R"({"type":"object","minProperties":1,"maxProperties":2,
             "additionalProperties":{"type":"integer"}})",
         {R"({"a":1})", R"({"a":1,"b":1})"},
         {"{}", R"({"a":1,"b":1,"c":1})"}},
        {R"({"type":"object","patternProperties":{"^[a-z]+$":{"type":"integer"}},
             "additionalProperties":false})",
         {"{}", R"({"ab":1})"},
         {R"({"A":1})", R"({"a":"x"})"}},
        {R"({"type":"object","propertyNames":{"maxLength":2}})", {R"({"ab":1})"}, {R"({"abc":1})"}},
        {R"({"properties":{"a":false,"b":{"type":"null"}},"additionalProperties":true})",
         {"{}", R"({"b":null,"c":1})"},
         {R"({"a":1})"}},
    });
}

TEST(Schema, Arrays) {
    check({
        {R"({"type":"array","items":{"type":"integer"}})", {"[]", "[1]", "[1, 2,3]"}, {"[\"a\"]"}},
        {R"({"items":{"type":"integer"},"minItems":2,"maxItems":3})",
         {"[1,2]", "[1,2,3]"},
         {"[]", "[1]", "[1,2,3,4]"}},
        {R"({"items":{"type":"integer"},"minItems":1})", {"[1]", "[1,2,3]"}, {"[]"}},
        {R"({"items":{"type":"integer"},"maxItems":1})", {"[]", "[1]"}, {"[1,2]"}},
        {R"({"type":"array","maxItems":0})", {"[]"}, {"[1]"}},
        {R"({"prefixItems":[{"type":"integer"},{"type":"string"}]})",
         {"[]", "[1]", "[1,\"a\"]"},
         {"[\"a\"]", "[1,\"a\",2]"}},
        {R"({"prefixItems":[{"type":"integer"},{"type":"string"}],"items":{"type":"null"},
             "minItems":2,"maxItems":4})",
         {"[1,\"a\"]", "[1,\"a\",null,null]"},
         {"[1]", "[1,\"a\",1]", "[1,\"a\",null,null,null]"}},
        {R"({"prefixItems":[{"type":"integer"}],"items":false,"minItems":1})", {"[1]"}, {"[]"}},
        {R"({"prefixItems":[{"type":"integer"}],"minItems":2})", {"[1,{}]"}, {"[1]"}},
        {R"({"items":{"type":"integer"},"uniqueItems":true,"maxItems":1})", {"[1]"}, {"[1,1]"}},
    });
    // Counted, not written out.
    const auto many =
        from_json_schema(R"({"items":{"type":"string"},"minItems":300,"maxItems":100000})");
    ASSERT_TRUE(many);
    std::string text = "[\"a\"";
    for (int i = 1; i < 299; ++i) {
        text += ", \"a\"";
    }
    EXPECT_FALSE(matches(*many, text + "]"));
    EXPECT_TRUE(matches(*many, text + ",\"b\"]"));
}

TEST(Schema, Strings) {
    check({
        {R"({"type":"string"})",
         {R"("")", R"("aé😀\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00")"},
         {R"("a)", R"("\a")", R"("\u12")", R"("\ud83d")", R"("\ude00")", "\"\t\"", "\"\xC3\""}},
        {R"({"type":"string","minLength":2,"maxLength":3})",
         {R"("ab")", R"("éé")", R"("\n\ud83d\ude00😀")"},
         {R"("a")", R"("abcd")", R"("\n")"}},
        {R"({"minLength":1})", {R"("a")"}, {R"("")"}},
        {R"({"maxLength":0})", {R"("")"}, {R"("a")"}},
        {R"({"pattern":"^a+$"})", {R"("a")", R"("aaa")"}, {R"("")", R"("ab")"}},
        {R"({"pattern":"b"})", {R"("b")", R"("abc")", R"("é\"b\\")"}, {R"("ac")", R"("")"}},
        {R"({"pattern":"^x|y$"})", {R"("xa")", R"("ay")", R"("x")"}, {R"("axb")"}},
        {R"({"pattern":"^[\"\\\\\\n]+$"})", {R"("\"\\\n")"}, {R"("a")", R"("\u000a")"}},
        {R"({"pattern":"^\\S+$"})", {R"("a")"}, {"\"\xC2\xA0\"", R"("a b")"}},
        {R"({"pattern":"^[a-z]+$","minLength":2,"maxLength":4})",
         {R"("ab")", R"("abcd")"},
         {R"("a")", R"("abcde")", R"("AB")"}},
        {R"({"pattern":"\n","maxLength":2})", {R"("\n")", R"("a\n")"}, {R"("aa\n")", R"("a")"}},
        {R"({"pattern":"^(a|bb)*$","maxLength":120,"minLength":100})",
         {"\"" + std::string(100, 'b') + "\""},
         {"\"" + std::string(99, 'a') + "\"", "\"" + std::string(101, 'b') + "\""}},
        {R"({"format":"date"})",
         {R"("2024-01-31")", R"("1999-02-28")"},
         {R"("2024-13-01")", R"("2024-02-30")", R"("2024-04-31")"}},
        {R"({"format":"time"})", {R"("12:30:00Z")", R"("23:59:59.5+01:00")"}, {R"("24:00:00Z")"}},
        {R"({"format":"date-time"})", {R"("2024-01-31T12:30:00Z")"}, {R"("2024-01-31")"}},
        {R"({"format":"uuid"})", {R"("123e4567-e89b-12d3-a456-426614174000")"}, {R"("123e4567")"}},
        {R"({"format":"email"})", {R"("a.b@c.de")"}, {R"("a@b")", R"("a b@c.de")"}},
        {R"({"format":"ipv4"})", {R"("255.0.10.1")"}, {R"("256.0.0.1")", R"("1.2.3")"}},
        {R"({"format":"ipv6"})", {R"("1:2:3:4:5:6:7:abcd")"}, {R"("1:2")"}},
        {R"({"format":"uri"})", {R"("https://a.b/c?d=e#f")", R"("http://x")"}, {R"("a b")"}},
        {R"({"format":"email","maxLength":8})", {R"("a@bc.de")"}, {R"("abcd@bc.de")"}},
    });
}

TEST(Schema, IntegersBetweenBounds) {
    struct Bounds {
        int low;
        int high;
    };
    for (const auto& [low, high] : std::vector<Bounds>{{0, 0},
                                                       {0, 9},
                                                       {3, 7},
                                                       {-5, 5},
                                                       {-120, -7},
                                                       {17, 1203},
                                                       {99, 100},
                                                       {-1, 0},
                                                       {-999, 250},
                                                       {95, 1105},
                                                       {1000, 1999}}) {
        const auto grammar = from_json_schema(fmt::format(
            R"({{"type":"integer","minimum":{},"exclusiveMaximum":{}}})", low, high + 1));
        ASSERT_TRUE(grammar) << grammar.error().message;
        for (int n = low - 130; n <= high + 130; ++n) {
            EXPECT_EQ(matches(*grammar, std::to_string(n)), low <= n && n <= high)
                << n << " in " << low << " to " << high;
        }
        EXPECT_FALSE(matches(*grammar, "00"));
        EXPECT_FALSE(matches(*grammar, "-0"));
    }
    check({
        {R"({"type":"integer","minimum":5})", {"5", "60", "999999999999999"}, {"4", "-5"}},
        {R"({"type":"integer","maximum":-5})", {"-5", "-60"}, {"-4", "5"}},
        {R"({"type":"integer","minimum":1.5,"maximum":2.5})", {"2"}, {"1", "3"}},
        {R"({"type":"integer","exclusiveMinimum":1,"minimum":1,"maximum":3})",
         {"2", "3"},
         {"1", "4"}},
        {R"({"type":"number","multipleOf":1})", {"2"}, {"2.5"}},
    });
}

TEST(Schema, NumbersBetweenBounds) {
    struct Case {
        double min;
        bool min_exclusive;
        double max;
        bool max_exclusive;
    };
    const std::vector<std::string> texts = {
        "0",   "0.0",   "-0",    "-0.0",   "0.5",   "0.05", "0.50",   "0.49",  "0.51",  "1",
        "1.0", "1.01",  "0.99",  "1.5",    "2",     "2.25", "2.250",  "2.26",  "2.3",   "2.249",
        "3",   "9.99",  "10",    "10.0",   "10.01", "11",   "99",     "99.5",  "100",   "100.5",
        "101", "-0.5",  "-0.51", "-0.49",  "-1",    "-1.5", "-2",     "-2.25", "-2.26", "-3",
        "-10", "-99.9", "-100",  "-100.1", "7",     "55.5", "12.125", "1000",  "-1000"};
    const std::vector<Case> cases = {
        {0, false, 1, false},        {0, true, 1, true},         {0.5, false, 2.25, false},
        {0.5, true, 2.25, true},     {-0.5, false, 0.5, false},  {-2.25, true, -0.5, true},
        {-2.25, false, -0.5, false}, {-1, false, 0, true},       {-1, true, 0, false},
        {2.25, false, 2.26, false},  {9.99, true, 100.5, false}, {-100, false, 100, false},
        {10, false, 10, false},      {2, true, 2.25, false},     {-99.9, true, -2.25, true},
        {0.05, false, 0.51, true}};
    for (const Case& c : cases) {
        const std::string schema =
            fmt::format(R"({{"type":"number","{}":{},"{}":{}}})",
                        c.min_exclusive ? "exclusiveMinimum" : "minimum", c.min,
                        c.max_exclusive ? "exclusiveMaximum" : "maximum", c.max);
        const auto grammar = from_json_schema(schema);
        ASSERT_TRUE(grammar) << schema << grammar.error().message;
        for (const std::string& text : texts) {
            const double value = std::stod(text);
            bool good = (c.min_exclusive ? value > c.min : value >= c.min) &&
                        (c.max_exclusive ? value < c.max : value <= c.max);
            // Zero with a minus sign is written only where numbers below it are.
            good = good && !(text.starts_with("-0") && value == 0 && c.min >= 0);
            EXPECT_EQ(matches(*grammar, text), good) << text << " in " << schema;
        }
    }
    check({
        {R"({"type":"number","minimum":0})", {"0", "0.001", "123456"}, {"-1", "-0.1", "1e5"}},
        {R"({"type":"number","exclusiveMaximum":1})",
         {"0.999", "-5", "0.99999999999999"},
         {"1", "1.0", "0.99999999999999999999"}},
    });
}

TEST(Schema, Combinations) {
    check({
        {R"({"anyOf":[{"type":"integer"},{"type":"string","maxLength":1}]})",
         {"1", "\"a\""},
         {"\"ab\"", "null"}},
        {R"({"oneOf":[{"type":"integer"},{"type":"string"}]})", {"1", "\"a\""}, {"null"}},
        {R"({"oneOf":[{"properties":{"k":{"const":"a"},"x":{"type":"integer"}},
                       "required":["k","x"],"type":"object"},
                      {"properties":{"k":{"const":"b"}},"required":["k"],"type":"object"}]})",
         {R"({"k":"a","x":1})", R"({"k":"b"})"},
         {R"({"k":"a"})", R"({"k":"b","x":1})"}},
        {R"({"oneOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],
                       "additionalProperties":false},
                      {"type":"object","properties":{"b":{"type":"integer"}},"required":["b"],
                       "additionalProperties":false}]})",
         {R"({"a":1})", R"({"b":1})"},
         {R"({"a":1,"b":1})", "{}"}},
        {R"({"allOf":[{"type":"integer","minimum":3},{"maximum":5}]})", {"3", "5"}, {"2", "6"}},
        {R"({"allOf":[{"type":["integer","string"]},{"type":["number","null"]}],"minimum":0})",
         {"3"},
         {"\"a\"", "null", "1.5"}},
        {R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],
             "allOf":[{"properties":{"a":{"maximum":3},"b":{"type":"null"}},"required":["b"]}]})",
         {R"({"a":3,"b":null})"},
         {R"({"a":4,"b":null})", R"({"a":3})"}},
        {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},
             "anyOf":[{"required":["a"]},{"required":["b"]}]})",
         {R"({"a":1})", R"({"b":1})", R"({"a":1,"b":2})"},
         {"{}"}},
        {R"({"enum":[1,2,3],"allOf":[{"enum":[2,3,4]},{"const":3}]})", {"3"}, {"2"}},
        {R"({"allOf":[{"additionalProperties":false,"properties":{"a":{"type":"null"}}},
                      {"properties":{"b":{"type":"null"}}}]})",
         {"{}", R"({"a":null})"},
         {R"({"b":null})"}},
    });
}

TEST(Schema, References) {
    check({
        {R"({"$ref":"#/$defs/n","$defs":{"n":{"type":"integer"}}})", {"1"}, {"\"a\""}},
        {R"({"type":"object","properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},
             "required":["next"]})",
         {R"({"next":null})", R"({"next": {"next":{"next":null}}})"},
         {"{}", R"({"next":{}})"}},
        {R"({"$defs":{"t":{"type":"object","properties":{"c":{"type":"array",
             "items":{"$ref":"#/$defs/t"}}},"required":["c"]}},"$ref":"#/$defs/t"})",
         {R"({"c":[]})", R"({"c":[{"c":[]},{"c":[{"c":[]}]}]})"},
         {R"({"c":[1]})"}},
        {R"({"definitions":{"a/b~c":{"const":1}},"$ref":"#/definitions/a~1b~0c"})", {"1"}, {"2"}},
        {R"({"$defs":{"n":{"type":"integer"}},"$ref":"#/$defs/n","maximum":3})", {"3"}, {"4"}},
        {R"({"anyOf":[{"$ref":"#/anyOf/1"},{"const":5}]})", {"5"}, {"4"}},
    });
}

TEST(Schema, RefusesWhatItCannotGuarantee) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"", "not valid JSON"},
        {"[]", "neither an object"},
        {"false", "no text matches"},
        {R"({"type":"strin"})", "at # has the type"},
        {R"({"type":[]})", "no type"},
        {R"({"not":{"type":"null"}})", "'not'"},
        {R"({"properties":{"a":{"if":{}}}})", "#/properties/a uses 'if'"},
        {R"({"items":{"contains":{}}})", "#/items uses 'contains'"},
        {R"({"type":"array","uniqueItems":true})", "uniqueItems"},
        {R"({"items":[{"type":"null"}]})", "prefixItems"},
        {R"({"multipleOf":3})", "multiples"},
        {R"({"type":"integer","minimum":3,"maximum":2})", "no integer"},
        {R"({"type":"integer","minimum":1e18})", "no integer"},
        {R"({"type":"number","minimum":3,"exclusiveMaximum":3})", "no number"},
        {R"({"type":"number","minimum":1e-20})", "digits"},
        {R"({"type":"number","minimum":"1"})", "not a number"},
        {R"({"minLength":3,"maxLength":2})", "cannot be reached"},
        {R"({"minItems":-1})", "natural number"},
        {R"({"minItems":3,"maxItems":2})", "cannot be reached"},
        {R"({"prefixItems":[{}],"items":false,"minItems":2})", "more items"},
        {R"_({"pattern":"(?=a)"})_", "look around"},
        {R"({"pattern":"^a$","minLength":2})", "no text matches"},
        {R"({"format":"iri"})", "format \"iri\""},
        {R"({"contentEncoding":"base64"})", "contentEncoding"},
        {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "cases 0 and 1"},
        {R"({"oneOf":[{"type":"object"},{"type":"object"}]})", "anyOf"},
        {R"({"allOf":[{"type":"integer"},{"type":"string"}]})", "two types"},
        {R"({"allOf":[{"pattern":"a"},{"pattern":"b"}]})", "'pattern'"},
        {R"({"enum":[]})", "none can be"},
        {R"({"enum":["abc"],"maxLength":2})", "bounds them by"},
        {R"({"type":"string","const":1})", "none can be"},
        {R"({"$ref":"#/$defs/x"})", "leads nowhere"},
        {R"({"$ref":"http://a/b"})", "leads out"},
        {R"({"$ref":"#"})", "no text matches"},
        {R"({"properties":{"a":{"$ref":"#"}},"required":["a"]})", "no text matches"},
        {R"({"allOf":[{"$ref":"#"}]})", "refers to itself"},
        {R"({"properties":{"a":false},"required":["a"]})", "'a'"},
        {R"({"additionalProperties":false,"required":["a"]})", "'a'"},
        {R"({"type":"object","minProperties":2})", "number of properties"},
        {R"({"properties":{"a":{},"b":{}},"minProperties":1})", "'required'"},
        {R"({"patternProperties":{"a":{},"b":{}}})", "patternProperties"},
        {R"({"properties":{"a":{}},"patternProperties":{"a":{}}})", "patternProperties"},
    };
    for (const auto& [schema, why] : cases) {
        const auto grammar = from_json_schema(schema);
        ASSERT_FALSE(grammar) << schema;
        EXPECT_NE(grammar.error().message.find(why), std::string::npos)
            << schema << ": " << grammar.error().message;
    }
}

std::string object_of(int properties, bool required) {
    std::string named;
    std::string names;
    for (int i = 0; i < properties; ++i) {
        named += fmt::format("{}\"p{}\": {{\"type\": \"string\"}}", i == 0 ? "" : ",", i);
        names += fmt::format("{}\"p{}\"", i == 0 ? "" : ",", i);
    }
    return fmt::format(R"({{"type": "object", "properties": {{{}}}, "required": [{}]}})", named,
                       required ? names : "");
}

TEST(Schema, PropertiesThatMayBeLeftOutAreLimited) {
    EXPECT_TRUE(from_json_schema(object_of(400, false)));
    EXPECT_TRUE(from_json_schema(object_of(3000, true)));
    const auto many = from_json_schema(object_of(3000, false));
    ASSERT_FALSE(many);
    EXPECT_EQ(many.error().fault, Fault::invalid);
    EXPECT_NE(many.error().message.find("3000 in one place"), std::string::npos);
    // Nor by putting several beside each other.
    const std::string three = fmt::format(R"({{"type": "array", "prefixItems": [{0}, {0}, {0}]}})",
                                          object_of(900, false));
    EXPECT_FALSE(from_json_schema(three));
}

TEST(Schema, DeepAnswersEndInTime) {
    // At the limit on depth only what ends is left to choose.
    const auto grammar = from_json_schema("{}");
    ASSERT_TRUE(grammar);
    Matcher matcher(*grammar, sample::bytes());
    const std::size_t depth = sample::taken(matcher, std::string(1000, '['));
    EXPECT_GT(depth, 100u);
    EXPECT_LT(depth, 128u);  // what readers of JSON take
    EXPECT_FALSE(matcher.accept('{'));
    EXPECT_EQ(sample::taken(matcher, std::string(depth, ']')), depth);
    EXPECT_TRUE(matcher.must_end());
}

}  // namespace
}  // namespace trilane::grammar
