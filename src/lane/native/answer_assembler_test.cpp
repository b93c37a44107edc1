#include "lane/native/answer_assembler.h"

#include <gtest/gtest.h>

#include "gguf/gguf.h"
#include "lane/native/sample_model_file.h"

namespace trilane::lane {
namespace {

std::shared_ptr<const token::Tokenizer> nano() {
    static const auto tokenizer =
        token::Tokenizer::from_gguf(
            gguf::File::open(TRILANE_SOURCE_DIR "/models/trilane-nano/trilane-nano-tq2_0.gguf")
                .value())
            .value();
    return tokenizer;
}

void append(std::vector<std::string>& texts, const std::vector<reply::Piece>& pieces) {
    for (const reply::Piece& piece : pieces) {
        texts.push_back(std::get<job::Text>(piece).text);
    }
}

std::size_t logprobs(const std::vector<reply::Piece>& pieces) {
    std::size_t count = 0;
    for (const reply::Piece& piece : pieces) {
        const auto* text = std::get_if<job::Text>(&piece);
        count += text != nullptr ? text->logprobs.size() : 0;
    }
    return count;
}

/// Everything an assembler sends for `text` fed token by token, one string per event.
std::vector<std::string> sent(const std::string& text, const std::vector<std::string>& stop,
                              bool* stopped = nullptr) {
    AnswerAssembler assembler(nano(), stop);
    std::vector<std::string> events;
    for (const token::Id id :
         nano()->encode(text, {.add_special = false, .parse_special = false})) {
        append(events, assembler.push(id, std::nullopt));
        if (assembler.has_ended()) {
            break;
        }
    }
    append(events, assembler.flush());
    if (stopped != nullptr) {
        *stopped = assembler.has_ended();
    }
    return events;
}

std::string joined(const std::vector<std::string>& events) {
    std::string all;
    for (const std::string& event : events) {
        all += event;
    }
    return all;
}

TEST(AnswerAssembler, SendsEverythingWithoutStops) {
    const std::string text =
        "Hello, world! na\xC3\xAFve \xE6\xBC\xA2\xE5\xAD\x97 \xF0\x9F\x99\x82 end";
    EXPECT_EQ(joined(sent(text, {})), text);
}

TEST(AnswerAssembler, NeverSplitsACharacter) {
    for (const std::string& event : sent("\xF0\x9F\x99\x82\xF0\x9F\xA6\x99\xE6\xBC\xA2", {})) {
        EXPECT_TRUE(event.empty() || (static_cast<unsigned char>(event[0]) & 0xC0U) != 0x80U)
            << event;
    }
}

TEST(AnswerAssembler, AStopStringAcrossTokensIsNeverSent) {
    bool stopped = false;
    const auto events =
        sent("The water was cold, and the sun went down. The end.", {"sun went"}, &stopped);
    EXPECT_TRUE(stopped);
    EXPECT_EQ(joined(events), "The water was cold, and the ");
    // No event ever held a piece of it that had to be taken back.
    std::string so_far;
    for (const std::string& event : events) {
        so_far += event;
        EXPECT_EQ(so_far.find("sun"), std::string::npos);
    }
}

TEST(AnswerAssembler, ABegunStopThatIsNotFinishedIsSentAtTheEnd) {
    bool stopped = true;
    EXPECT_EQ(joined(sent("one two thr", {"three"}, &stopped)), "one two thr");
    EXPECT_FALSE(stopped);
}

TEST(AnswerAssembler, TheEarliestStopWins) {
    EXPECT_EQ(joined(sent("alpha beta gamma", {"gamma", "beta"})), "alpha ");
}

TEST(AnswerAssembler, LogprobsComeWithTheirText) {
    AnswerAssembler assembler(nano(), {"zzz"});
    std::size_t count = 0;
    std::size_t tokens = 0;
    for (const token::Id id :
         nano()->encode("a zz b zz c", {.add_special = false, .parse_special = false})) {
        ++tokens;
        job::LogprobEntry entry;
        entry.chosen.id = id;
        count += logprobs(assembler.push(id, entry));
    }
    count += logprobs(assembler.flush());
    EXPECT_EQ(count, tokens);
}

/// The pieces of an answer by a model that thinks and calls.
struct Read {
    std::string text;
    std::string thoughts;
    std::string call;
    std::string arguments;
    std::size_t logprobs = 0;
    std::string stop_text;
};

Read read(const sample::ModelFile& model, const std::string& chat_template,
          const std::string& answer, const std::vector<std::string>& stop = {},
          bool only_one_call = false) {
    const reply::Style style = reply::style_of(chat_template, [](auto) { return false; });
    const auto markers = marker_ids(*model.tokenizer, style);
    const std::vector<job::Tool> tools{{"f", "", "{}"}};
    reply::ReaderOptions options;
    options.tools = tools;
    options.only_one_call = only_one_call;
    AnswerAssembler assembler(model.tokenizer, stop, reply::ReplyReader(style, options), &markers);
    Read read;
    const auto add = [&](const std::vector<reply::Piece>& pieces) {
        read.logprobs += logprobs(pieces);
        for (const reply::Piece& piece : pieces) {
            if (const auto* text = std::get_if<job::Text>(&piece)) {
                (text->reasoning ? read.thoughts : read.text) += text->text;
            } else {
                const auto& call = std::get<job::ToolCallPiece>(piece);
                read.call += call.name;
                read.arguments += call.arguments;
            }
        }
    };
    for (const token::Id id :
         model.tokenizer->encode(answer, {.add_special = false, .parse_special = true})) {
        job::LogprobEntry entry;
        entry.chosen.id = id;
        add(assembler.push(id, entry));
        if (assembler.has_ended()) {
            break;
        }
    }
    add(assembler.flush());
    read.stop_text = assembler.stop_text();
    return read;
}

TEST(AnswerAssembler, ControlTokensThatMarkCallsAreSeen) {
    const std::string own = "[TOOL_CALLS] [ARGS] [THINK] [/THINK]";
    const auto model =
        sample::model_file(own, {"[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]", "[OTHER]"});
    const Read all =
        read(model, own, "[THINK]Hm.[/THINK]Look[OTHER]: [TOOL_CALLS]f[ARGS]{\"x\": \"\xC3\xA9\"}");
    EXPECT_EQ(all.thoughts, "Hm.");
    EXPECT_EQ(all.text, "Look:");
    EXPECT_EQ(all.call, "f");
    EXPECT_EQ(all.arguments, "{\"x\": \"\xC3\xA9\"}");
    // The same letters in an answer by a model for which they are no marks are left away, as ever.
    const Read none = read(model, "", "Look[TOOL_CALLS]!");
    EXPECT_EQ(none.text, "Look!");
}

TEST(AnswerAssembler, StopTextsEndTheTextAndNotTheThoughts) {
    const std::string own = "<think> <tool_call>";
    const auto model = sample::model_file(own, {});
    const Read all = read(model, own, "<think>a END b</think>c END d", {"END"});
    EXPECT_EQ(all.thoughts, "a END b");
    EXPECT_EQ(all.text, "c ");
    EXPECT_EQ(all.stop_text, "END");
    const Read call =
        read(model, own, "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": \"END\"}}", {"END"});
    EXPECT_EQ(call.arguments, "{\"x\": \"END\"}");
    EXPECT_EQ(call.stop_text, "");
    // What was held back as the beginning of a stop text comes before the call.
    const Read held =
        read(model, own, "EN<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", {"END"});
    EXPECT_EQ(held.text, "EN");
    EXPECT_EQ(held.call, "f");
}

TEST(AnswerAssembler, NoLogprobIsLost) {
    const std::string own = "<think> <tool_call>";
    const auto model = sample::model_file(own, {});
    const std::string answer =
        "<think>a</think>b <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";
    EXPECT_EQ(read(model, own, answer).logprobs, answer.size());
    const Read one = read(model, own, answer + answer, {}, true);
    EXPECT_EQ(one.call, "f");
    EXPECT_EQ(one.logprobs, answer.size() - std::string("}</tool_call>").size() + 1);
}

}  // namespace
}  // namespace trilane::lane
