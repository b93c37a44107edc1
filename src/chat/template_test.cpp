// The module's own promises: the public functions, the places in errors, and what Jinja2's sandbox
// would not let the golden tests show. The language itself is golden_test.cpp's.
#include "chat/template.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "chat/builtins.h"
#include "chat/unicode.h"
#include "json/json.h"

namespace trilane::chat {
namespace {

std::string render(std::string_view source, const json::Value& variables = json::Value::object()) {
    const auto compiled = Template::compile(source);
    if (!compiled) {
        return "compile: " + compiled.error().message;
    }
    const auto text = compiled->render(variables);
    return text ? *text : "render: " + text.error().message;
}

TEST(Template, CopiesShareOneProgram) {
    auto compiled = Template::compile("{{ x }}").value();
    const Template copy = compiled;
    compiled = Template::compile("other").value();
    EXPECT_EQ(copy.render({{"x", 1}}).value(), "1");
    EXPECT_EQ(compiled.render(json::Value::object()).value(), "other");
}

TEST(Template, VariablesMustBeAnObject) {
    const auto text = Template::compile("x").value().render(json::Value::array());
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().fault, Fault::invalid);
    EXPECT_NE(text.error().message.find("an array"), std::string::npos);
}

TEST(Template, MentionsReadVariablesOnly) {
    const auto compiled = Template::compile(
                              "{# hidden #}text {{ a.b['c'] }}{% if enable_thinking is defined %}"
                              "{% for m in messages %}{{ m|default(d) }}{% endfor %}{% endif %}"
                              "{% set written = 'tools' %}")
                              .value();
    for (const auto* name : {"a", "enable_thinking", "messages", "m", "d"}) {
        EXPECT_TRUE(compiled.mentions(name)) << name;
    }
    for (const auto* name : {"b", "c", "hidden", "text", "tools", "written", "default", ""}) {
        EXPECT_FALSE(compiled.mentions(name)) << name;
    }
}

TEST(Template, ErrorsNameThePlace) {
    EXPECT_EQ(render("a\nb {{ x.y.z }}"), "render: template:2:7: 'x' is undefined");
    EXPECT_EQ(render("{% if %}"), "compile: template:1:7: expected an expression, found '%}'");
    EXPECT_EQ(render("\n\n  {% include 'x' %}"),
              "compile: template:3:6: the statement 'include' is not supported in chat templates");
    EXPECT_EQ(render("{{ x|nope }}"), "compile: template:1:6: there is no filter named 'nope'");
    EXPECT_EQ(render("{{ x is nope }}"), "compile: template:1:9: there is no test named 'nope'");
    EXPECT_EQ(render("{{ f(*x) }}"), "compile: template:1:6: * and ** arguments are not supported");
    EXPECT_EQ(render("{% for a in b recursive %}{% endfor %}"),
              "compile: template:1:15: recursive loops are not supported");
    EXPECT_EQ(render("{% break %}"), "compile: template:1:4: 'break' outside a for loop");
    EXPECT_EQ(render("{% for a in b %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}"),
              "compile: template:1:35: 'break' outside a for loop");
    EXPECT_EQ(render("{% for a in b %}{% else %}{% continue %}{% endfor %}"),
              "compile: template:1:30: 'continue' outside a for loop");
    EXPECT_EQ(render("{{ 99999999999999999999 }}"),
              "compile: template:1:4: 99999999999999999999 does not fit 64 bits");
    EXPECT_EQ(render("{{ 9223372036854775807 + 1 }}"),
              "render: template:1:24: an integer grew past 64 bits");
    EXPECT_EQ(render("{{ (-9223372036854775807 - 1) // -1 }}"),
              "render: template:1:31: an integer grew past 64 bits");
    EXPECT_EQ(render("{{ (-9223372036854775807 - 1) % -1 }}"), "0");
    EXPECT_EQ(render("{{ '\\N{DASH}' }}"),
              "compile: template:1:5: this escape sequence is not known");
    EXPECT_EQ(render("{{ '\\ud800' }}"),
              "compile: template:1:5: this escape sequence is not known");
}

TEST(Template, RaisedMessagesStandAlone) {
    EXPECT_EQ(
        render("{% macro m() %}{{ raise_exception('Roles ' ~ 'must alternate') }}{% endmacro %}"
               "{% for i in [1] %}{{ m()|trim }}{% endfor %}"),
        "render: Roles must alternate");
}

TEST(Template, ListsAndDictsCanBeChangedInPlace) {
    EXPECT_EQ(render("{% set l = [1] %}{% set m = l %}{% set x = l.append(2) %}{{ m }}{{ x }}"
                     "{{ l.pop() }}{{ l.pop(0) }}{{ l }}{{ l.extend([5, 6]) }}{{ l.insert(1, 7) }}"
                     "{{ l }}{{ l.index(7) }}{{ l.count(5) }}"),
              "[1, 2]None21[]NoneNone[5, 7, 6]11");
    EXPECT_EQ(render("{% set d = {'a': 1} %}{% set c = d.copy() %}{% set x = d.update({'b': 2}) %}"
                     "{{ d }}{{ c }}{{ d.pop('a') }}{{ d.pop('zz', 9) }}{{ d }}"),
              "{'a': 1, 'b': 2}{'a': 1}19{'b': 2}");
    EXPECT_EQ(
        render("{% set l = [1, 2] %}{% for i in l %}{{ l.append(i) or i }}{% endfor %}{{ l }}"),
        "12[1, 2, 1, 2]");
    EXPECT_EQ(render("{{ [].pop() }}"),
              "render: template:1:10: pop: the list has no item at that index");
}

TEST(Template, ChangesDoNotReachTheCaller) {
    const json::Value variables = {{"l", {1, 2}}};
    const auto compiled = Template::compile("{% set x = l.append(3) %}{{ l }}").value();
    EXPECT_EQ(compiled.render(variables).value(), "[1, 2, 3]");
    EXPECT_EQ(compiled.render(variables).value(), "[1, 2, 3]");
}

TEST(Template, JsonNumbersKeepTheirKind) {
    const auto variables = json::parse(R"({"i": 3, "f": 3.0, "big": 18446744073709551615,
                                           "neg": -9223372036854775808})")
                               .value();
    EXPECT_EQ(render("{{ i }} {{ f }} {{ big }} {{ neg }} {{ i is integer }} {{ f is float }}",
                     variables),
              "3 3.0 1.8446744073709552e+19 -9223372036854775808 True True");
}

TEST(Template, BrokenUtf8PassesThrough) {
    const json::Value variables = {{"s",
                                    "a\xFF"
                                    "b\xE4\xBD"}};
    EXPECT_EQ(render("{{ s }}|{{ s|length }}|{{ s[::-1] }}|{{ s|upper }}|{{ s[1] }}", variables),
              "a\xFF"
              "b\xE4\xBD|5|\xBD\xE4"
              "b\xFF"
              "a|A\xFF"
              "B\xE4\xBD|\xFF");
    EXPECT_EQ(render("\xFF{{ '\xC3' }}\xC3"), "\xFF\xC3\xC3");
    EXPECT_EQ(strip(" \x80\xE3\x80\x80", std::nullopt, true, true), "\x80");
}

TEST(Template, NowIsAnOption) {
    const auto compiled = Template::compile("{{ strftime_now('%d %b %Y') }}").value();
    EXPECT_EQ(compiled.render(json::Value::object(), {{}, 0}).value(), "01 Jan 1970");
    const auto today = compiled.render(json::Value::object()).value();
    EXPECT_EQ(today.size(), 11U);
    EXPECT_GE(today.substr(7), "2025");
}

TEST(Template, FormatTimeKnowsItsConversions) {
    EXPECT_EQ(format_time("%F %T|%D|%R|%c|%C|%", 1'709'251'199),
              "2024-02-29 23:59:59|02/29/24|23:59|Thu Feb 29 23:59:59 2024|%C|%");
    EXPECT_EQ(format_time("%-d %-m %-H %I %p %u %w %s%n%t%Z", 86'400 * 3 + 3600 * 12),
              "4 1 12 12 PM 7 0 302400\n\t");
    EXPECT_EQ(format_time("%Y", -1), "1969");
}

TEST(Template, EscapedBracesAndEdgeSources) {
    EXPECT_EQ(render(""), "");
    EXPECT_EQ(render("\n"), "");
    EXPECT_EQ(render("{"), "{");
    EXPECT_EQ(render("{ {"), "{ {");
    EXPECT_EQ(render("{{"), "compile: template:1:3: this tag has no end; close it with }}");
    EXPECT_EQ(render("{%"), "compile: template:1:3: this tag has no end; close it with %}");
    EXPECT_EQ(render("{#"), "compile: template:1:3: this comment has no end; close it with #}");
    EXPECT_EQ(render("{{ 'x"), "compile: template:1:4: this string has no end");
    EXPECT_EQ(render("{{ 'x\\"), "compile: template:1:4: this string has no end");
    EXPECT_EQ(render("}} %} #}"), "}} %} #}");
    EXPECT_EQ(render(std::string_view("a\0b", 3)), std::string("a\0b", 3));
}

TEST(Template, RendersInSeveralThreads) {
    const auto compiled =
        Template::compile("{% for m in l %}{{ m ~ '-' }}{% endfor %}{{ l|sort|join }}").value();
    std::vector<std::string> texts(4);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        threads.emplace_back([&, i] {
            for (int round = 0; round < 50; ++round) {
                texts[i] = compiled.render({{"l", {"b", "a", std::to_string(i)}}}).value_or("");
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto n = std::to_string(i);
        EXPECT_EQ(texts[i], "b-a-" + n + "-" + n + "ab");
    }
}

}  // namespace
}  // namespace trilane::chat
