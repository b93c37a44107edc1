// Hostile templates: each must end quickly, with an error that says which limit it reached.
#include <gtest/gtest.h>

#include <string>

#include "chat/parser.h"
#include "chat/template.h"
#include "json/json.h"

namespace trilane::chat {
namespace {

RenderLimits tight() {
    RenderLimits limits;
    limits.output_bytes_max = 1U << 20U;
    limits.memory_bytes_max = 8U << 20U;
    limits.steps_max = 1'000'000;
    return limits;
}

Error failure(std::string_view source, const RenderLimits& limits,
              const json::Value& variables = json::Value::object()) {
    const auto compiled = Template::compile(source);
    if (!compiled) {
        return compiled.error();
    }
    const auto text = compiled->render(variables, {limits, 0});
    return text ? Error{Fault::internal, "rendered " + std::to_string(text->size()) + " bytes"}
                : text.error();
}

void expect_exhausted(std::string_view source, std::string_view limit) {
    SCOPED_TRACE(source);
    const auto error = failure(source, tight());
    EXPECT_EQ(error.fault, Fault::exhausted) << error.message;
    EXPECT_NE(error.message.find(limit), std::string::npos) << error.message;
    EXPECT_EQ(error.message.find("template:1:"), 0U) << error.message;
}

TEST(Limits, Output) {
    expect_exhausted("{% for i in range(100000) %}{{ 'abcdefghijklmnop' }}{% endfor %}",
                     "the output limit");
    expect_exhausted("{{ 'abc' * 1000000 }}", "the output limit");
    expect_exhausted("{{ 'abc' * 9223372036854775807 }}", "the output limit");
    expect_exhausted("{{ ('a' * 1000000).replace('a', 'bb') }}", "the output limit");
    expect_exhausted("{{ ('a' * 1000000).replace('', 'bb') }}", "the output limit");
    expect_exhausted("{{ range(100)|join('x' * 100000) }}", "the output limit");
    expect_exhausted("{{ ('x' * 100000).join(['a'] * 100) }}", "the output limit");
    expect_exhausted(
        "{% set x %}{% for i in range(99999) %}{{ 'abcdefghijklmnop' }}{% endfor %}"
        "{% endset %}",
        "the output limit");
    expect_exhausted("{{ ([[1] * 9] * 9)|tojson(indent='x' * 900000)  ~ ('y' * 1048000) }}",
                     "the output limit");
}

TEST(Limits, Steps) {
    expect_exhausted(
        "{% for a in range(99999) %}{% if a + 1 + 1 + 1 + 1 + 1 == 0 %}{% endif %}"
        "{% endfor %}",
        "the step limit");
    // Lists that hold themselves twice, forty times over: small to build, huge to walk.
    expect_exhausted(
        "{% set ns = namespace(l=[1]) %}{% for i in range(40) %}"
        "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|tojson|length }}",
        "limit");
    expect_exhausted(
        "{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(40) %}"
        "{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m] %}{% endfor %}"
        "{{ ns.l == ns.m }}",
        "the step limit");
}

TEST(Limits, Memory) {
    expect_exhausted(
        "{% set l = [] %}{% for i in range(99) %}{{ l.append('a' * 1000000) or '' }}"
        "{% endfor %}",
        "the memory limit");
    expect_exhausted(
        "{% set ns = namespace(l=[1]) %}{% for i in range(40) %}"
        "{% set ns.l = ns.l + ns.l %}{% endfor %}",
        "limit");
    expect_exhausted("{% macro m(n) %}{{ 'a' * 1000000 }}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
                     "limit");
}

TEST(Limits, Recursion) {
    expect_exhausted("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "the nesting limit");
    expect_exhausted("{% set l = [] %}{% set x = l.append(l) %}{{ l }}",
                     "the nesting limit of values");
    expect_exhausted("{% set l = [] %}{% set x = l.append(l) %}{{ l|tojson }}",
                     "the nesting limit of values");
    expect_exhausted(
        "{% set d = {} %}{% set x = d.update(a=d) %}{% set e = {} %}"
        "{% set x = e.update(a=e) %}{{ d == e }}",
        "the nesting limit of values");
    expect_exhausted("{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}",
                     "the nesting limit of values");
}

TEST(Limits, TheDefaultDepthFitsTheStack) {
    const RenderLimits limits;
    const auto error = failure(
        "{% macro m() %}{{ (((m() ~ '') ~ '')|trim)|upper }}{% endmacro %}"
        "{{ m() }}",
        limits);
    EXPECT_EQ(error.fault, Fault::exhausted) << error.message;
}

TEST(Limits, RangeIsBounded) {
    const auto error = failure("{{ range(100001) }}", tight());
    EXPECT_EQ(error.fault, Fault::exhausted);
    EXPECT_NE(error.message.find("100000"), std::string::npos);
    EXPECT_EQ(
        failure("{{ range(0, 9223372036854775807, 9223372036854775806)|length }}", tight()).message,
        "rendered 1 bytes");
}

TEST(Limits, SplitIsBounded) {
    RenderLimits limits = tight();
    limits.output_bytes_max = 4U << 20U;
    const auto error = failure("{{ ('a,' * 1000001).split(',') }}", limits);
    EXPECT_EQ(error.fault, Fault::exhausted);
    EXPECT_NE(error.message.find("1000000 parts"), std::string::npos) << error.message;
    expect_exhausted("{{ ('\\n' * 1000000).splitlines() }}", "the memory limit");
}

TEST(Limits, VariablesCountToo) {
    json::Value variables;
    variables["text"] = std::string(9U << 20U, 'x');
    EXPECT_EQ(failure("", tight(), variables).fault, Fault::exhausted);
    json::Value deep = 1;
    for (int i = 0; i < 1000; ++i) {
        deep = json::Value::array({std::move(deep)});
    }
    variables = {{"deep", std::move(deep)}};
    EXPECT_EQ(failure("", tight(), variables).fault, Fault::exhausted);
}

void expect_refused(const std::string& source, std::string_view why) {
    const auto compiled = Template::compile(source);
    ASSERT_FALSE(compiled) << source.substr(0, 80);
    EXPECT_EQ(compiled.error().fault, Fault::invalid);
    EXPECT_NE(compiled.error().message.find(why), std::string::npos) << compiled.error().message;
}

std::string repeated(std::string_view text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) {
        out += text;
    }
    return out;
}

TEST(Limits, SourceNestingIsRefusedAtCompileTime) {
    constexpr int kMany = 20'000;
    const auto nested = [](std::string_view open, std::string_view close) {
        return "{{ " + repeated(open, kMany) + "x" + repeated(close, kMany) + " }}";
    };
    expect_refused(nested("(", ")"), "nested deeper");
    expect_refused(nested("[", "]"), "nested deeper");
    expect_refused(nested("{1:", "}"), "nested deeper");
    expect_refused(nested("f(", ")"), "nested deeper");
    expect_refused(nested("x|default(", ")"), "nested deeper");
    expect_refused(nested("x[", "]"), "nested deeper");
    expect_refused("{{ " + repeated("not ", kMany) + "x }}", "nested deeper");
    expect_refused("{{ " + repeated("- ", kMany) + "x }}", "nested deeper");
    expect_refused("{{ x" + repeated(" if x else x", kMany) + " }}", "nested deeper");
    expect_refused(repeated("{% if x %}", kMany), "nested deeper");
    expect_refused("{% for " + repeated("(", kMany) + "x" + repeated(")", kMany) + " in y %}",
                   "nested deeper");
    for (const auto* link :
         {".a", "[1]", "()", "|trim", " + 1", " * 1", " ** 1", " and x", " or x", " if x"}) {
        expect_refused("{{ x" + repeated(link, kMany) + " }}", "longer than");
    }
    expect_refused(std::string(kSourceBytesMax + 1, 'x'), "bytes long");
}

TEST(Limits, LongButFlatSourcesAreFine) {
    std::string many = "{% if 0 %}";
    for (int i = 0; i < 5000; ++i) {
        many += "{% elif x == " + std::to_string(i) + " %}{{ x ~ '" + repeated("~", 3) + "' }}";
    }
    many += "{% endif %}{{ " + repeated("x ~ ", 5000) + "x }}";
    const auto compiled = Template::compile(many);
    ASSERT_TRUE(compiled) << compiled.error().message;
    const auto text = compiled->render({{"x", 4999}});
    ASSERT_TRUE(text);
    EXPECT_EQ(text->substr(0, 11), "4999~~~4999");
    EXPECT_EQ(text->size(), 7U + 4U * 5001U);
}

}  // namespace
}  // namespace trilane::chat
