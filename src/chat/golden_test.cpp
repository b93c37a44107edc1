// Our renderings against Jinja2's, recorded in tests/templates/golden by make_golden.py: every
// template family with every conversation, and some two hundred snippets of the language.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "chat/template.h"
#include "json/json.h"

namespace trilane::chat {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(TRILANE_SOURCE_DIR) / "tests/templates";

std::string read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file.good()) << path;
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

json::Value load(const std::string& name) {
    auto value = json::parse(read(kFolder / name));
    EXPECT_TRUE(value) << name;
    return value.value_or(json::Value());
}

Result<std::string> render(const std::string& source, const json::Value& variables,
                           std::int64_t now_unix_s) {
    TRILANE_TRY(const auto compiled, Template::compile(source));
    RenderOptions options;
    options.now_unix_s = now_unix_s;
    return compiled.render(variables, options);
}

/// The same text, the same raised message, or an error where Jinja2 had one too.
void expect_equal(const json::Value& expected, const Result<std::string>& got) {
    if (expected.contains("text")) {
        ASSERT_TRUE(got) << got.error().message;
        EXPECT_EQ(*got, expected["text"].get<std::string>());
        return;
    }
    ASSERT_FALSE(got) << "Jinja2 refuses: " << expected.dump() << "\nrendered: " << *got;
    if (expected.contains("raised")) {
        EXPECT_EQ(got.error().fault, Fault::invalid);
        EXPECT_EQ(got.error().message, expected["raised"].get<std::string>());
    } else {
        EXPECT_NE(got.error().message.find("template:"), std::string::npos)
            << "no place in: " << got.error().message;
    }
}

std::vector<std::string> families() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
        if (entry.path().extension() == ".jinja") {
            names.push_back(entry.path().stem().string());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

class GoldenFamily : public testing::TestWithParam<std::string> {};

TEST_P(GoldenFamily, RendersAsJinja2Does) {
    const auto suite = load("conversations.json");
    const auto golden = load("golden/" + GetParam() + ".json");
    const auto source = read(kFolder / (GetParam() + ".jinja"));
    const auto& conversations = suite["conversations"];
    ASSERT_EQ(golden["cases"].size(), conversations.size()) << "run make_golden.py again";
    ASSERT_GE(conversations.size(), 30U);
    for (std::size_t i = 0; i < conversations.size(); ++i) {
        const auto& expected = golden["cases"][i];
        ASSERT_EQ(expected["name"], conversations[i]["name"]) << "run make_golden.py again";
        SCOPED_TRACE(expected["name"].get<std::string>());
        expect_equal(expected,
                     render(source, conversations[i]["variables"], suite["now"].get<int>()));
    }
}

INSTANTIATE_TEST_SUITE_P(Chat, GoldenFamily, testing::ValuesIn(families()),
                         [](const auto& instance) { return instance.param; });

TEST(Golden, SnippetsRenderAsInJinja2) {
    const auto source = load("snippets.json");
    const auto golden = load("golden/snippets.json");
    ASSERT_EQ(golden["cases"].size(), source["templates"].size()) << "run make_golden.py again";
    ASSERT_GE(golden["cases"].size(), 150U);
    for (std::size_t i = 0; i < golden["cases"].size(); ++i) {
        const auto& expected = golden["cases"][i];
        ASSERT_EQ(expected["template"], source["templates"][i]) << "run make_golden.py again";
        const auto text = expected["template"].get<std::string>();
        SCOPED_TRACE(text);
        expect_equal(expected, render(text, source["variables"], source["now"].get<int>()));
    }
}

}  // namespace
}  // namespace trilane::chat
