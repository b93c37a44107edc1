#include "os/log_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace trilane::os {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> texts(const std::vector<LogLine>& lines) {
    std::vector<std::string> texts;
    for (const LogLine& line : lines) {
        texts.push_back(line.text);
    }
    return texts;
}

TEST(LogRing, NumbersLinesAndTellsStreamsApart) {
    using std::chrono::duration_cast;
    using std::chrono::milliseconds;
    const auto unix_ms = [] {
        const auto since = std::chrono::system_clock::now().time_since_epoch();
        return duration_cast<milliseconds>(since).count();
    };
    const std::int64_t before = unix_ms();
    LogRing ring;
    ring.write("hel", false);
    ring.write("oops\n", true);
    ring.write("lo\nwor", false);
    ring.note("started\nagain");
    ring.flush();
    const auto lines = ring.lines();
    EXPECT_THAT(texts(lines), ElementsAre("oops", "hello", "started", "again", "wor"));
    for (std::size_t i = 0; i < lines.size(); ++i) {
        EXPECT_EQ(lines[i].number, i + 1);
        EXPECT_EQ(lines[i].error_stream, i == 0);
        EXPECT_GE(lines[i].unix_ms, before);
        EXPECT_LE(lines[i].unix_ms, unix_ms());
    }
}

TEST(LogRing, AnswersTheNewestOfTheLinesAskedFor) {
    LogRing ring;
    ring.write("1\n2\n3\n4\n5\n", false);
    EXPECT_THAT(texts(ring.lines(3)), ElementsAre("4", "5"));
    EXPECT_THAT(texts(ring.lines(1, 2)), ElementsAre("4", "5"));
    EXPECT_THAT(texts(ring.lines(4, 2)), ElementsAre("5"));
    EXPECT_THAT(texts(ring.lines(5)), IsEmpty());
    EXPECT_THAT(texts(ring.lines(1000)), IsEmpty());
    EXPECT_EQ(ring.tail(2), "4 | 5");
    EXPECT_EQ(ring.tail(0), "");
    EXPECT_EQ(LogRing().tail(3), "");
}

TEST(LogRing, TellsProcessesApart) {
    LogRing ring;
    ring.add_lines({"a1"}, false, 7);
    ring.add_lines({"b1", "b2"}, true, 8);
    ring.add_lines({"a2"}, true, 7);
    ring.note("about b", 8);
    ring.note("about nobody");
    ring.add_lines({"a3"}, false, 7);
    EXPECT_THAT(texts(ring.lines_of(7, 0, 10)), ElementsAre("a1", "a2", "a3"));
    EXPECT_THAT(texts(ring.lines_of(7, 0, 2)), ElementsAre("a2", "a3"));
    EXPECT_THAT(texts(ring.lines_of(7, 1, 10)), ElementsAre("a2", "a3"));
    EXPECT_THAT(texts(ring.lines_of(8, 0, 10)), ElementsAre("b1", "b2", "about b"));
    EXPECT_THAT(texts(ring.lines_of(9, 0, 10)), IsEmpty());
    EXPECT_EQ(ring.lines().back().process, 7);
}

TEST(LogRing, DropsTheOldestWithinItsBytes) {
    constexpr std::size_t kLine = sizeof(LogLine) + 10;
    LogRing ring(5 * kLine);
    for (int i = 0; i < 1000; ++i) {
        ring.write("0123456789\n", i % 2 == 1);
    }
    const auto lines = ring.lines();
    ASSERT_EQ(lines.size(), 5U);
    EXPECT_EQ(lines.front().number, 996U);
    EXPECT_EQ(ring.lines(3).size(), 5U);
    EXPECT_EQ(ring.lines(998).size(), 2U);
    ring.write(std::string(kLogLineBytesMax, 'x') + "\n", false);
    EXPECT_EQ(ring.lines().size(), 1U);  // larger than all of the ring, and still there
}

TEST(LogRing, IsSharedByThreads) {
    LogRing ring(std::size_t{8} << 20U);
    std::thread reader([&ring] {
        while (ring.lines(0, 1).empty() || ring.lines().back().number < 2000) {
            std::this_thread::yield();
        }
    });
    std::vector<std::thread> writers;
    for (const bool error_stream : {false, true}) {
        writers.emplace_back([&ring, error_stream] {
            for (int i = 0; i < 1000; ++i) {
                ring.write("a line\n", error_stream);
            }
        });
    }
    for (std::thread& writer : writers) {
        writer.join();
    }
    reader.join();
    std::uint64_t number = 0;
    for (const LogLine& line : ring.lines()) {
        EXPECT_EQ(line.number, ++number);
        EXPECT_EQ(line.text, "a line");
    }
    EXPECT_EQ(number, 2000U);
}

}  // namespace
}  // namespace trilane::os
