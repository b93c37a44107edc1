#include "os/line_assembler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/utf8.h"

namespace trilane::os {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> lines_of(std::string_view bytes, std::size_t piece_bytes = SIZE_MAX) {
    LineAssembler assembler;
    std::vector<std::string> lines;
    while (!bytes.empty()) {
        assembler.take(bytes.substr(0, piece_bytes), lines);
        bytes.remove_prefix(std::min(piece_bytes, bytes.size()));
    }
    assembler.finish(lines);
    return lines;
}

TEST(LineAssembler, JoinsPiecesAndEndsLinesAtEitherBreak) {
    const std::string_view text = "one\r\ntwo\n\nthree\rfo\tur\r\r\nfive";
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{5}, text.size()}) {
        EXPECT_THAT(lines_of(text, piece), ElementsAre("one", "two", "three", "fo ur", "five"));
    }
}

TEST(LineAssembler, KeepsAnUnfinishedLineUntilItsEnd) {
    LineAssembler assembler;
    std::vector<std::string> lines;
    assembler.take("half", lines);
    EXPECT_THAT(lines, IsEmpty());
    assembler.take(" a line\nrest", lines);
    EXPECT_THAT(lines, ElementsAre("half a line"));
    assembler.finish(lines);
    EXPECT_THAT(lines, ElementsAre("half a line", "rest"));
    assembler.finish(lines);
    EXPECT_EQ(lines.size(), 2U);
}

TEST(LineAssembler, RemovesEscapesHoweverTheyAreCut) {
    const std::string_view text =
        "\x1b[1;31mred\x1b[0m and\x1b[K \x1b]0;title\x07plain\x1b]8;;http://x\x1b\\link\x1b(B"
        "\x1b"
        "7!\x1bPq~\x1b\\?\n\x1b[2J\n";
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
        EXPECT_THAT(lines_of(text, piece), ElementsAre("red and plainlink!?")) << piece;
    }
}

TEST(LineAssembler, BrokenEscapesSwallowNoMoreThanTheirLimit) {
    EXPECT_THAT(lines_of("\x1b[12\nnext"), ElementsAre("next"));
    EXPECT_THAT(lines_of("\x1b]title\nnext"), ElementsAre("next"));
    EXPECT_THAT(lines_of("\x1b[12\xc3\xa4z"), ElementsAre("\xc3\xa4z"));
    EXPECT_THAT(lines_of("\x1b\xc3\xa4z"), ElementsAre("\xc3\xa4z"));
    EXPECT_THAT(lines_of("\x1b]" + std::string(1000, 'x')),
                ElementsAre(std::string(1000 - kEscapeBytesMax + 1, 'x')));
}

TEST(LineAssembler, RemovesControlCharactersAndRepairsUtf8) {
    EXPECT_THAT(lines_of(std::string_view("a\0b\x08\x7f\x01z", 7)), ElementsAre("abz"));
    EXPECT_THAT(lines_of("a\xc2\x9b"
                         "31mb\xc2\x85"
                         "c"),
                ElementsAre("a31mbc"));
    EXPECT_THAT(lines_of("a\xff"
                         "b\xe2\x82\n"),
                ElementsAre("a\xef\xbf\xbd"
                            "b\xef\xbf\xbd"));
    EXPECT_THAT(lines_of("\xe2\x82\xac", 1), ElementsAre("\xe2\x82\xac"));
}

TEST(LineAssembler, CutsLongLinesBetweenCharacters) {
    std::string text = "x";
    while (text.size() < 2 * kLogLineBytesMax) {
        text += "\xe2\x82\xac";
    }
    const auto lines = lines_of(text, 7);
    ASSERT_EQ(lines.size(), 3U);
    std::string joined;
    for (const std::string& line : lines) {
        EXPECT_LE(line.size(), kLogLineBytesMax);
        EXPECT_TRUE(is_valid_utf8(line));
        joined += line;
    }
    EXPECT_EQ(joined, text);
    EXPECT_THAT(lines_of(std::string(kLogLineBytesMax, 'y') + "\n"),
                ElementsAre(std::string(kLogLineBytesMax, 'y')));
}

TEST(LineAssembler, GarbageBecomesSafeLinesWhateverThePieces) {
    std::mt19937 random(20261120);
    const std::string_view favourites = "\x1b\x1b[]m;\n\r\xc2\x9b\xe2\x82\xac\xf0\x07\\";
    for (int round = 0; round < 200; ++round) {
        std::string bytes(1 + random() % 20'000, '\0');
        for (char& byte : bytes) {
            byte = random() % 4 == 0 ? favourites[random() % favourites.size()]
                                     : static_cast<char>(random());
            if (byte == '\n' && round % 2 == 0) {
                byte = 'n';  // lines long enough to be cut
            }
        }
        const auto lines = lines_of(bytes);
        EXPECT_EQ(lines, lines_of(bytes, 1 + random() % 100));
        for (const std::string& line : lines) {
            EXPECT_FALSE(line.empty());
            EXPECT_LE(line.size(), kLogLineBytesMax);
            EXPECT_TRUE(is_valid_utf8(line));
            EXPECT_TRUE(std::none_of(line.begin(), line.end(), [](char byte) {
                return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f;
            }));
            for (std::size_t at = line.find('\xc2'); at != std::string::npos;
                 at = line.find('\xc2', at + 1)) {
                EXPECT_GE(static_cast<unsigned char>(line[at + 1]), 0xa0);
            }
        }
    }
}

}  // namespace
}  // namespace trilane::os
