#include "app/output.h"

#include <gtest/gtest.h>

namespace trilane::app {
namespace {

TEST(Output, PrintableLeavesNoControlCharacters) {
    EXPECT_EQ(printable("plain é 漢"), "plain é 漢");
    EXPECT_EQ(printable("a\nb\tc\r"), "a\\nb\\tc\\r");
    EXPECT_EQ(printable("\x1b[2J"), "\\x1b[2J");
    EXPECT_EQ(printable("\x7f"), "\\x7f");
    EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");  // CSI in two bytes
    EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
    EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Output, PrintableCutsBetweenCharacters) {
    EXPECT_EQ(printable("abcdef", 3), "abc…");
    EXPECT_EQ(printable("abc", 3), "abc");
    EXPECT_EQ(printable("ééé", 3), "éé…");
}

TEST(Output, QuotesAreEscapedOnlyWithinQuotes) {
    EXPECT_EQ(printable("say \"hi\\\""), "say \"hi\\\"");
    EXPECT_EQ(in_quotes("say \"hi\\\""), "\"say \\\"hi\\\\\\\"\"");
}

TEST(Output, TerminalSafeKeepsTheLayout) {
    EXPECT_EQ(terminal_safe("a\n\tb\x1b]0;title\x07"), "a\n\tb\\x1b]0;title\\x07");
}

TEST(Output, NumbersHaveThreeDigitsAndAUnit) {
    EXPECT_EQ(human_bytes(0), "0 B");
    EXPECT_EQ(human_bytes(999), "999 B");
    EXPECT_EQ(human_bytes(1000), "1.00 kB");
    EXPECT_EQ(human_bytes(999'600), "1.00 MB");
    EXPECT_EQ(human_bytes(24'300'000), "24.3 MB");
    EXPECT_EQ(human_bytes(1'500'000'000'000), "1.50 TB");
    EXPECT_EQ(human_count(512), "512");
    EXPECT_EQ(human_count(81'841'920), "81.8 M");
}

TEST(Output, TablesAlignTheirColumns) {
    EXPECT_EQ(table({{"NAME", ">SIZE", "NOTE"}, {"a", "1", "x"}, {"long", "1000", ""}}),
              "NAME  SIZE  NOTE\n"
              "a        1  x\n"
              "long  1000\n");
    EXPECT_EQ(table({}), "");
}

TEST(Output, FilesAreReadWholeOrRefused) {
    const auto missing = read_file("/nonexistent/file", 10);
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().fault, Fault::not_found);
    const auto whole = read_file(TRILANE_SOURCE_DIR "/LICENSE", 1U << 20U);
    ASSERT_TRUE(whole.has_value());
    EXPECT_NE(whole->find("Apache License"), std::string::npos);
    const auto too_long = read_file(TRILANE_SOURCE_DIR "/LICENSE", 100);
    ASSERT_FALSE(too_long.has_value());
    EXPECT_EQ(too_long.error().fault, Fault::exhausted);
    EXPECT_FALSE(read_file("/", 10).has_value());
}

}  // namespace
}  // namespace trilane::app
