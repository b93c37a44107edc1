// Tests of running other programs, with real ones.
#include "probe/ask.h"

#include <gtest/gtest.h>

#include "probe/test_tree.h"

namespace trilane::probe {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kPlenty{20'000};

class AskTest : public TestTree {};

TEST_F(AskTest, AnswersHaveBothStreamsAndTheStatus) {
    const std::vector<Question> questions{
        {{script("a", "echo out $1; echo err >&2; exit 3"), "word"}, {}},
        {{script("b", "cat; echo \"$HOME|$NAME\"")}, {"NAME=value"}}};
    const auto answers = ask(questions, kPlenty);
    ASSERT_EQ(answers.size(), 2U);
    EXPECT_EQ(answers[0].out, "out word\n");
    EXPECT_EQ(answers[0].err, "err\n");
    EXPECT_EQ(answers[0].exit_code, 3);
    EXPECT_EQ(answers[0].problem, "");
    EXPECT_EQ(answers[1].out, "|value\n") << "only the given environment, no standard input";
    EXPECT_EQ(answers[1].exit_code, 0);
}

TEST_F(AskTest, MoreQuestionsThanRunAtOnce) {
    const std::string program = script("a", "echo $1");
    std::vector<Question> questions;
    for (std::size_t i = 0; i < 3 * kAskedAtOnceMax; ++i) {
        questions.push_back({{program, std::to_string(i)}, {}});
    }
    const auto answers = ask(questions, kPlenty);
    ASSERT_EQ(answers.size(), questions.size());
    for (std::size_t i = 0; i < answers.size(); ++i) {
        EXPECT_EQ(answers[i].out, std::to_string(i) + "\n");
    }
}

TEST_F(AskTest, OneThatHangsIsKilledAndItsWordsAreKept) {
    const std::vector<Question> questions{
        {{script("a", "echo begun; trap '' TERM; sleep 1000")}, {"PATH=/usr/bin:/bin"}},
        {{script("b", "echo done")}, {}}};
    const auto begin = std::chrono::steady_clock::now();
    const auto answers = ask(questions, milliseconds(300));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(10'000));
    EXPECT_EQ(answers[0].out, "begun\n");
    EXPECT_EQ(answers[0].exit_code, std::nullopt);
    EXPECT_EQ(answers[0].problem, "it did not end in time");
    EXPECT_EQ(answers[1].out, "done\n");
}

TEST_F(AskTest, WhatItLeavesBehindIsNotWaitedFor) {
    const std::vector<Question> questions{
        {{script("a", "sleep 1000 & echo gone")}, {"PATH=/usr/bin:/bin"}}};
    const auto begin = std::chrono::steady_clock::now();
    const auto answers = ask(questions, kPlenty);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(10'000));
    EXPECT_EQ(answers[0].out, "gone\n");
    EXPECT_EQ(answers[0].exit_code, 0);
}

TEST_F(AskTest, EndlessWordsAreCutAndDoNotStopTheClock) {
    const std::vector<Question> questions{
        {{script("a", "exec yes words without end")}, {"PATH=/usr/bin:/bin"}}};
    const auto answers = ask(questions, milliseconds(300));
    EXPECT_EQ(answers[0].out.size(), kAnswerBytesMax);
    EXPECT_EQ(answers[0].problem, "it did not end in time");
}

TEST_F(AskTest, OneThatCannotStartOrDiesSaysSo) {
    const std::vector<Question> questions{{{(root_ / "none").string()}, {}},
                                          {{script("a", "kill -9 $$")}, {}}};
    const auto answers = ask(questions, kPlenty);
    EXPECT_EQ(answers[0].exit_code, std::nullopt);
    EXPECT_EQ(answers[0].problem, "it cannot be started: No such file or directory");
    EXPECT_EQ(answers[1].problem, "it was ended by signal 9");
}

}  // namespace
}  // namespace trilane::probe
