#include "lane/upstream/answer_shaper.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "lane/upstream/test_transcripts.h"

namespace trilane::lane::upstream {
namespace {

using Events = std::vector<std::string>;

job::Text text(std::string words, std::uint32_t choice = 0) {
    return {choice, std::move(words), false, {}};
}

job::Done figures(std::uint32_t prompt, std::uint32_t completion) {
    job::Done done;
    done.usage = {prompt, 1, completion};
    done.timings = {0, prompt - 1, 10, completion, 20};
    return done;
}

class AnswerShaperTest : public testing::Test {
protected:
    AnswerShaperTest() : request_(chat_request()) {}

    /// Builds the shaper of request_ and rules_.
    void begin() {
        shaper_ = std::make_unique<AnswerShaper>(request_, rules_, [this](const job::Event& event) {
            events_.push_back(described(event));
        });
    }
    Next send(job::Event event) { return shaper_->on_event(std::move(event)); }
    Events take() { return std::exchange(events_, {}); }

    job::Request request_;
    UpstreamRules rules_;
    std::unique_ptr<AnswerShaper> shaper_;
    Events events_;
};

TEST_F(AnswerShaperTest, PassesAnswersOnAsTheyAre) {
    begin();
    EXPECT_EQ(send(job::Started{3}), Next::more);
    EXPECT_FALSE(shaper_->has_sent_text());
    EXPECT_EQ(send(text("a")), Next::more);
    EXPECT_TRUE(shaper_->has_sent_text());
    EXPECT_EQ(send(job::ToolCallPiece{0, 0, "c", "f", "{}"}), Next::more);
    EXPECT_EQ(send(job::ChoiceEnd{0, job::FinishReason::length}), Next::more);
    EXPECT_EQ(send(figures(3, 1)), Next::answered);
    EXPECT_EQ(take(),
              (Events{"started 3", "text 0 'a'", "call 0.0 id=c name=f '{}'", "end 0 length",
                      "done prompt=3 cached=1 completion=1 read=2 in 10.0 ms, 1 in 20.0 ms"}));
}

TEST_F(AnswerShaperTest, KeepsFailures) {
    begin();
    EXPECT_EQ(send(job::Failed{{Fault::corrupt, "x"}}), Next::failed);
    EXPECT_EQ(shaper_->failure().message, "x");
    EXPECT_TRUE(take().empty());
}

TEST_F(AnswerShaperTest, PutsChoicesTogetherThatWereAskedForOneByOne) {
    request_.choices = 2;
    rules_.single_choice = true;
    begin();
    EXPECT_EQ(shaper_->choice(), 0U);
    send(job::Started{5});
    send(text("a"));
    send(job::ChoiceEnd{0, job::FinishReason::stop});
    EXPECT_EQ(send(figures(5, 7)), Next::ask_again);
    EXPECT_EQ(shaper_->choice(), 1U);
    send(job::Started{5});
    send(text("b"));
    send(job::ChoiceEnd{0, job::FinishReason::length});
    EXPECT_EQ(send(figures(5, 8)), Next::answered);
    EXPECT_EQ(take(),
              (Events{"started 5", "text 0 'a'", "end 0 stop", "text 1 'b'", "end 1 length",
                      "done prompt=5 cached=1 completion=15 read=4 in 10.0 ms, 15 in 40.0 ms"}));
}

TEST_F(AnswerShaperTest, CutsTokensThatWereNotAskedFor) {
    request_.max_tokens = 1;
    rules_.max_tokens_min = 2;
    begin();
    send(job::Started{5});
    send(text("a"));
    EXPECT_EQ(send(text("b")), Next::more);
    send(job::ChoiceEnd{0, job::FinishReason::stop});
    EXPECT_EQ(send(figures(5, 2)), Next::answered);
    EXPECT_EQ(take(),
              (Events{"started 5", "text 0 'a'", "end 0 length",
                      "done prompt=5 cached=1 completion=1 read=4 in 10.0 ms, 2 in 20.0 ms"}));
    // An answer of one token is as it is.
    begin();
    send(text("a"));
    send(job::ChoiceEnd{0, job::FinishReason::stop});
    send(figures(5, 1));
    EXPECT_EQ(take().at(1), "end 0 stop");
}

TEST_F(AnswerShaperTest, CutsAtStopTextsAcrossPieces) {
    request_.stop = {"END", ""};
    rules_.stops_ignored = true;
    begin();
    send(job::Started{0});
    send(text("one E"));
    send(text("N"));
    send(text("two EN"));
    send({job::Text{0, "END", true, {}}});
    EXPECT_EQ(send(text("D three")), Next::enough);
    send(text("four"));
    EXPECT_EQ(take(),
              (Events{"started 0", "text 0 'one '", "text 0 'ENtwo '", "thought 0 'END'",
                      "end 0 stop at END",
                      "done prompt=0 cached=0 completion=5 read=0 in 0.0 ms, 5 in 0.0 ms"}));
}

TEST_F(AnswerShaperTest, ReleasesWhatLookedLikeAStopText) {
    request_.stop = {"\n\n"};
    rules_.stops_ignored = true;
    begin();
    send(text("ä\n"));
    send(job::ChoiceEnd{0, job::FinishReason::stop});
    EXPECT_EQ(take(), (Events{"text 0 'ä'", "text 0 '\n'", "end 0 stop"}));
}

TEST_F(AnswerShaperTest, AsksForTheNextChoiceAfterAStopText) {
    request_.stop = {"."};
    request_.choices = 2;
    rules_.stops_ignored = rules_.single_choice = true;
    begin();
    send(job::Started{4});
    EXPECT_EQ(send(text("a.b")), Next::enough_of_this);
    send(job::Started{4});
    EXPECT_EQ(send(text("c.")), Next::enough);
    EXPECT_EQ(take(),
              (Events{"started 4", "text 0 'a'", "end 0 stop at .", "text 1 'c'", "end 1 stop at .",
                      "done prompt=0 cached=0 completion=2 read=0 in 0.0 ms, 2 in 0.0 ms"}));
}

TEST_F(AnswerShaperTest, WaitsForOtherChoicesAfterAStopText) {
    request_.stop = {"."};
    request_.choices = 2;
    rules_.stops_ignored = true;
    begin();
    EXPECT_EQ(send(text("a.")), Next::more);
    EXPECT_EQ(send(text("more", 0)), Next::more);
    EXPECT_EQ(send(text("b", 1)), Next::more);
    EXPECT_EQ(send(job::ChoiceEnd{0, job::FinishReason::length}), Next::more);
    EXPECT_EQ(send(job::ChoiceEnd{1, job::FinishReason::length}), Next::more);
    EXPECT_EQ(send(figures(2, 9)), Next::answered);
    EXPECT_EQ(take(),
              (Events{"text 0 'a'", "end 0 stop at .", "text 1 'b'", "end 1 length",
                      "done prompt=2 cached=1 completion=9 read=1 in 10.0 ms, 9 in 20.0 ms"}));
}

TEST_F(AnswerShaperTest, EchoesPrompts) {
    request_.ask = job::Completion{"Once", true};
    request_.choices = 2;
    begin();
    send(job::Started{1});
    send(job::Started{1});
    EXPECT_EQ(take(), (Events{"started 1", "text 0 'Once'", "text 1 'Once'"}));
    EXPECT_FALSE(shaper_->has_sent_text());
}

TEST(StopCutterTest, KeepsLogprobsWithTheirText) {
    StopCutter cutter({"ab"});
    job::Text piece = text("xa");
    piece.logprobs.resize(1);
    cutter.push(piece);
    EXPECT_EQ(piece.text, "x");
    EXPECT_EQ(piece.logprobs.size(), 1U);
    piece = text("a");
    piece.logprobs.resize(1);
    cutter.push(piece);
    EXPECT_EQ(piece.text, "a");
    EXPECT_EQ(piece.logprobs.size(), 1U);
    EXPECT_EQ(cutter.flush().text, "a");
    EXPECT_FALSE(cutter.stopped());
}

}  // namespace
}  // namespace trilane::lane::upstream
