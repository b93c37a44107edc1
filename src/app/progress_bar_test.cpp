#include "app/progress_bar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "json/json.h"

namespace trilane::app {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

catalog::Progress half() {
    return {9'300'000'000, 18'600'000'000, 85'300'000, "Qwen3-Coder-30B-A3B-Instruct-Q4_K_M.gguf",
            "downloading"};
}

TEST(ProgressBar, LooksRightInEightyColumns) {
    EXPECT_EQ(bar_text(half(), 79),
              "[=============>            ]  50 %  9.30 GB of 18.6 GB  85.3 MB/s     1:50 left");
}

TEST(ProgressBar, LooksRightInAWideTerminal) {
    EXPECT_EQ(bar_text(half(), 119),
              "downloading Qwen3-Coder-30B-A3B-Instruct-Q4_K_M.gguf [======>      ]  50 %  "
              "9.30 GB of 18.6 GB  85.3 MB/s     1:50 left");
}

TEST(ProgressBar, NeverTakesMoreColumnsThanThereAreAndKeepsItsWidth) {
    for (std::size_t columns = 1; columns < 300; ++columns) {
        std::size_t width = 0;
        for (const std::uint64_t done : {0ULL, 1ULL, 999'600'000ULL, 18'599'999'999ULL}) {
            catalog::Progress progress = half();
            progress.done_bytes = done;
            const std::string text = bar_text(progress, columns);
            EXPECT_LE(text.size(), columns);
            EXPECT_TRUE(width == 0 || text.size() == width) << columns << ' ' << done;
            width = text.size();
        }
    }
}

TEST(ProgressBar, TheEndIsFullAndNotBefore) {
    catalog::Progress progress = half();
    progress.done_bytes = progress.total_bytes - 1;
    EXPECT_THAT(bar_text(progress, 79), HasSubstr(">]  99 %"));
    progress.done_bytes = progress.total_bytes;
    EXPECT_THAT(bar_text(progress, 79), HasSubstr("==] 100 %"));
    EXPECT_EQ(time_left(progress), "");
}

TEST(ProgressBar, TimeLeftIsSaidWhenItIsKnown) {
    catalog::Progress progress{0, 1000, 1, "f", "downloading"};
    EXPECT_EQ(time_left(progress), "16:40");
    progress.total_bytes = 7384;
    EXPECT_EQ(time_left(progress), "2:03:04");
    progress.bytes_per_s = 0;
    EXPECT_EQ(time_left(progress), "");
    progress.bytes_per_s = 1e-9;
    EXPECT_EQ(time_left(progress), "");
    EXPECT_EQ(progress_text(half()),
              "downloading Qwen3-Coder-30B-A3B-Instruct-Q4_K_M.gguf: 50 % of 18.6 GB, 85.3 MB/s, "
              "1:50 left");
}

class Written {
public:
    std::function<void(std::string_view)> sink() {
        return [this](std::string_view text) { pieces.emplace_back(text); };
    }
    std::vector<std::string> pieces;
};

TEST(ProgressBar, ABarIsRedrawnAndTakenAway) {
    Written written;
    {
        ProgressBar bar(ProgressBar::Style::bar, written.sink(), [] { return std::size_t{80}; });
        bar.show(half());
    }
    ASSERT_EQ(written.pieces.size(), 2U);
    EXPECT_EQ(written.pieces[0], '\r' + bar_text(half(), 79) + "\x1b[K");
    EXPECT_EQ(written.pieces[1], "\r\x1b[K");
}

TEST(ProgressBar, LinesComeEveryTenSecondsAndWithEachPhase) {
    Written written;
    ProgressBar bar(ProgressBar::Style::lines, written.sink(), {});
    const ProgressBar::Clock::time_point start{seconds(1000)};
    catalog::Progress progress = half();
    bar.show(progress, start);
    bar.show(progress, start + seconds(9));
    bar.show(progress, start + seconds(10));
    progress.phase = "checking";
    bar.show(progress, start + seconds(11));
    ASSERT_EQ(written.pieces.size(), 3U);
    EXPECT_THAT(written.pieces[2], HasSubstr("checking Qwen3"));
    EXPECT_TRUE(written.pieces[2].ends_with('\n'));
}

TEST(ProgressBar, JsonIsOneObjectALine) {
    Written written;
    ProgressBar bar(ProgressBar::Style::json, written.sink(), {});
    bar.show(half());
    ASSERT_EQ(written.pieces.size(), 1U);
    const auto read = json::parse(written.pieces[0]);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ((*read)["event"], "progress");
    EXPECT_EQ((*read)["done_bytes"], 9'300'000'000U);
    EXPECT_EQ((*read)["bytes_per_s"], 85'300'000U);
}

TEST(ProgressBar, NamesFromElsewhereCannotMoveTheCursor) {
    catalog::Progress progress = half();
    progress.file = "a\x1b[2Jb";
    EXPECT_THAT(bar_text(progress, 200), ::testing::Not(HasSubstr("\x1b")));
    EXPECT_THAT(progress_text(progress), ::testing::Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace trilane::app
