#include "lane/native/text_assembler.h"

#include <gtest/gtest.h>

#include "gguf/gguf.h"

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

/// Everything an assembler sends for `text` fed token by token, one string per event.
std::vector<std::string> sent(const std::string& text, std::vector<std::string> stop,
                              bool* stopped = nullptr) {
    TextAssembler assembler(nano(), std::move(stop));
    std::vector<std::string> events;
    for (const token::Id id :
         nano()->encode(text, {.add_special = false, .parse_special = false})) {
        events.push_back(assembler.push(id, std::nullopt).text);
        if (assembler.stopped()) {
            break;
        }
    }
    events.push_back(assembler.flush().text);
    if (stopped != nullptr) {
        *stopped = assembler.stopped();
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

TEST(TextAssembler, SendsEverythingWithoutStops) {
    const std::string text =
        "Hello, world! na\xC3\xAFve \xE6\xBC\xA2\xE5\xAD\x97 \xF0\x9F\x99\x82 end";
    EXPECT_EQ(joined(sent(text, {})), text);
}

TEST(TextAssembler, NeverSplitsACharacter) {
    for (const std::string& event : sent("\xF0\x9F\x99\x82\xF0\x9F\xA6\x99\xE6\xBC\xA2", {})) {
        EXPECT_TRUE(event.empty() || (static_cast<unsigned char>(event[0]) & 0xC0U) != 0x80U)
            << event;
    }
}

TEST(TextAssembler, AStopStringAcrossTokensIsNeverSent) {
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

TEST(TextAssembler, ABegunStopThatIsNotFinishedIsSentAtTheEnd) {
    bool stopped = true;
    EXPECT_EQ(joined(sent("one two thr", {"three"}, &stopped)), "one two thr");
    EXPECT_FALSE(stopped);
}

TEST(TextAssembler, TheEarliestStopWins) {
    EXPECT_EQ(joined(sent("alpha beta gamma", {"gamma", "beta"})), "alpha ");
}

TEST(TextAssembler, LogprobsComeWithTheirText) {
    TextAssembler assembler(nano(), {"zzz"});
    std::size_t count = 0;
    std::size_t tokens = 0;
    for (const token::Id id :
         nano()->encode("a zz b zz c", {.add_special = false, .parse_special = false})) {
        ++tokens;
        job::LogprobEntry entry;
        entry.chosen.id = id;
        count += assembler.push(id, entry).logprobs.size();
    }
    count += assembler.flush().logprobs.size();
    EXPECT_EQ(count, tokens);
}

}  // namespace
}  // namespace trilane::lane
