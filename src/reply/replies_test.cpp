// Transcripts of model answers, tests/replies/*.json: the text of an answer and what it is. Each is
// read whole, byte by byte, and cut in two at every place; the result must always be the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "json/json.h"
#include "reply/reader.h"

namespace trilane::reply {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(TRILANE_SOURCE_DIR) / "tests/replies";

std::string read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file.good()) << path;
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

Calls calls_named(const std::string& name) {
    const std::vector<std::pair<std::string, Calls>> names{
        {"hermes", Calls::hermes},    {"xml", Calls::xml}, {"llama", Calls::llama},
        {"mistral", Calls::mistral},  {"phi", Calls::phi}, {"mistral_named", Calls::mistral_named},
        {"deepseek", Calls::deepseek}};
    const auto found = std::ranges::find(names, name, &std::pair<std::string, Calls>::first);
    EXPECT_NE(found, names.end()) << name;
    return found->second;
}

/// One transcript, ready to be read many times.
struct Case {
    std::string name;
    std::string text;
    Style style;
    std::vector<job::Tool> tools;
    bool in_thought = false;
    bool only_one_call = false;
    json::Value events;
};

Case case_of(const json::Value& file, const json::Value& entry) {
    Case one;
    one.name = entry["name"];
    one.text = entry["answer"];
    one.style.calls = calls_named(file["style"]);
    if (file.contains("think")) {
        one.style.think_open = file["think"][0];
        one.style.think_close = file["think"][1];
    }
    one.in_thought = entry.value("in_thought", false);
    one.only_one_call = entry.value("only_one_call", false);
    const bool own = entry.contains("tools");
    for (const json::Value& tool : own ? entry["tools"] : file["tools"]) {
        one.tools.push_back(
            {tool["name"], "", json::dump(tool.value("parameters", json::Value::object()))});
    }
    one.events = entry["events"];
    return one;
}

/// Pieces joined: texts of one kind that follow each other, and each call's pieces. Ids must be
/// there, and new.
class Joined {
public:
    void add(std::vector<Piece> pieces) {
        for (Piece& piece : pieces) {
            if (auto* text = std::get_if<job::Text>(&piece)) {
                EXPECT_FALSE(text->text.empty());
                const std::string kind = text->reasoning ? "thought" : "text";
                if (events_.empty() || !events_.back().contains(kind)) {
                    events_.push_back({{kind, ""}});
                }
                events_.back()[kind] = events_.back()[kind].get<std::string>() + text->text;
            } else {
                add_call(std::get<job::ToolCallPiece>(piece));
            }
        }
    }
    [[nodiscard]] const json::Value& events() const { return events_; }

private:
    void add_call(const job::ToolCallPiece& piece) {
        if (!piece.name.empty()) {
            EXPECT_EQ(piece.index, calls_.size());
            EXPECT_TRUE(piece.id.starts_with("call_")) << piece.id;
            EXPECT_TRUE(ids_.insert(piece.id).second) << "an id twice";
            calls_.push_back(events_.size());
            events_.push_back({{"call", piece.name}, {"arguments", ""}});
        }
        ASSERT_LT(piece.index, calls_.size());
        json::Value& arguments = events_[calls_[piece.index]]["arguments"];
        arguments = arguments.get<std::string>() + piece.arguments;
    }

    json::Value events_ = json::Value::array();
    std::vector<std::size_t> calls_;
    std::set<std::string> ids_;
};

json::Value joined(const Case& one, const std::vector<std::string_view>& pieces) {
    ReaderOptions options;
    options.tools = one.tools;
    options.in_thought = one.in_thought;
    options.only_one_call = one.only_one_call;
    ReplyReader reader(one.style, options);
    Joined result;
    for (const std::string_view piece : pieces) {
        result.add(reader.feed(piece));
    }
    result.add(reader.finish());
    return result.events();
}

class Replies : public testing::TestWithParam<std::string> {};

TEST_P(Replies, AreReadAlikeHoweverTheyAreCut) {
    const auto file = json::parse(read(kFolder / GetParam())).value();
    ASSERT_FALSE(file["cases"].empty());
    for (const json::Value& entry : file["cases"]) {
        const Case one = case_of(file, entry);
        SCOPED_TRACE(one.name);
        const std::string_view text = one.text;
        const json::Value whole = joined(one, {text});
        EXPECT_EQ(json::dump_pretty(whole), json::dump_pretty(one.events));
        std::vector<std::string_view> bytes;
        for (std::size_t i = 0; i < text.size(); ++i) {
            bytes.push_back(text.substr(i, 1));
            EXPECT_EQ(json::dump(joined(one, {text.substr(0, i), text.substr(i)})),
                      json::dump(whole))
                << "cut at " << i;
        }
        EXPECT_EQ(json::dump(joined(one, bytes)), json::dump(whole)) << "byte by byte";
    }
}

/// Transcripts that were damaged at random are still read alike however they are cut.
TEST_P(Replies, DamagedOnesAreReadAlikeToo) {
    constexpr std::uint32_t kRounds = 300;
    const auto file = json::parse(read(kFolder / GetParam())).value();
    const json::Value& cases = file["cases"];
    std::mt19937 random(7);  // always the same damage
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    for (std::uint32_t round = 0; round < kRounds; ++round) {
        Case one = case_of(file, cases[below(cases.size())]);
        const std::string other = cases[below(cases.size())]["answer"];
        std::string& text = one.text;
        for (std::size_t edits = 1 + below(3); edits > 0 && !text.empty(); --edits) {
            const std::size_t at = below(text.size());
            switch (below(4)) {
                case 0:
                    text.erase(at, 1 + below(6));
                    break;
                case 1:
                    text[at] = "{}[]<>\"\\,: \n`|/"[below(15)];
                    break;
                case 2:
                    text.insert(at, other.substr(0, below(other.size() + 1)));
                    break;
                default:
                    text.resize(at);
                    break;
            }
        }
        const std::string_view all = text;
        std::vector<std::string_view> bytes;
        for (std::size_t i = 0; i < all.size(); ++i) {
            bytes.push_back(all.substr(i, 1));
        }
        const std::size_t cut = below(all.size() + 1);
        const std::string whole = json::dump(joined(one, {all}));
        ASSERT_EQ(json::dump(joined(one, bytes)), whole) << text;
        ASSERT_EQ(json::dump(joined(one, {all.substr(0, cut), all.substr(cut)})), whole) << text;
    }
}

/// Arguments come out while they are written, not when they are whole.
TEST_P(Replies, CallsStream) {
    const auto file = json::parse(read(kFolder / GetParam())).value();
    for (const json::Value& entry : file["cases"]) {
        if (!entry.value("streams", false)) {
            continue;
        }
        const Case one = case_of(file, entry);
        SCOPED_TRACE(one.name);
        ReaderOptions options;
        options.tools = one.tools;
        ReplyReader reader(one.style, options);
        std::size_t pieces = 0;
        for (const char c : one.text) {
            for (const Piece& piece : reader.feed(std::string_view(&c, 1))) {
                pieces += std::holds_alternative<job::ToolCallPiece>(piece) ? 1U : 0U;
            }
        }
        EXPECT_GT(pieces, 8U);
    }
}

std::vector<std::string> files() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
        if (entry.path().extension() == ".json") {
            names.push_back(entry.path().filename().string());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

INSTANTIATE_TEST_SUITE_P(Files, Replies, testing::ValuesIn(files()), [](const auto& file) {
    return file.param.substr(0, file.param.find('.'));
});

}  // namespace
}  // namespace trilane::reply
