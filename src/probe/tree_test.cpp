// Tests of the small readers of files and texts.
#include "probe/tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "probe/access.h"
#include "probe/test_tree.h"

namespace trilane::probe {
namespace {

using ::testing::ElementsAre;

class TreeTest : public TestTree {};

TEST_F(TreeTest, PathsLeaveTheRootOut) {
    write("sys/a", "  17 rest\n second\n");
    const Tree tree(root_.string() + "/");
    EXPECT_FALSE(tree.is_this_machine());
    EXPECT_TRUE(tree.exists("/sys/a"));
    EXPECT_EQ(tree.line("/sys/a"), "17 rest");
    EXPECT_EQ(tree.number("/sys/a"), 17U);
    EXPECT_EQ(tree.number_fact("/sys/a", 1024).value, 17U * 1024);
    EXPECT_EQ(tree.number_fact("/sys/a").source, "/sys/a");
    EXPECT_EQ(tree.text("/sys/a"), "  17 rest\n second\n");
    EXPECT_EQ(tree.text("/sys/a", 4), "  17");
}

TEST_F(TreeTest, WhatIsNotThereIsUnknown) {
    write("empty", "\n");
    const Tree tree(root_.string());
    EXPECT_FALSE(tree.exists("/none"));
    EXPECT_EQ(tree.text("/none"), "");
    EXPECT_EQ(tree.line("/none"), std::nullopt);
    EXPECT_EQ(tree.line("/empty"), std::nullopt);
    EXPECT_FALSE(tree.line_fact("/empty").known());
    EXPECT_FALSE(tree.number_fact("/none").known());
    EXPECT_TRUE(tree.names("/none").empty());
    EXPECT_EQ(tree.link_name("/none"), "");
    EXPECT_EQ(tree.text("/"), "") << "a folder is no text";
}

TEST_F(TreeTest, NamesComeInNaturalOrder) {
    for (const char* name : {"card10", "card2", "card1", "card02b", "accel", "card"}) {
        write(std::string("drm/") + name, "");
    }
    const Tree tree(root_.string());
    EXPECT_THAT(tree.names("/drm"),
                ElementsAre("accel", "card", "card1", "card2", "card02b", "card10"));
}

TEST_F(TreeTest, LinksGiveTheLastPartOfTheirTarget) {
    link("device/driver", "../../bus/pci/drivers/amdgpu");
    EXPECT_EQ(Tree(root_.string()).link_name("/device/driver"), "amdgpu");
}

TEST(TreeTexts, NumbersAreDecimalOrHexadecimal) {
    EXPECT_EQ(leading_number("0x1586\n"), 0x1586U);
    EXPECT_EQ(leading_number(" 12 kB"), 12U);
    EXPECT_EQ(leading_number("kB"), std::nullopt);
    EXPECT_EQ(leading_number(""), std::nullopt);
    EXPECT_EQ(leading_number("0x"), std::nullopt);
    EXPECT_EQ(leading_number("99999999999999999999"), std::nullopt);
}

TEST(TreeTexts, ValuesFollowTheirKey) {
    const std::string text =
        "Uid:\t1000\t0\nmodel name\t: Some CPU\nMax locked memory   unlimited x\n"
        "drm_render_minor 128\nMaximum: 3\n";
    EXPECT_EQ(value_of(text, "Uid"), "1000\t0");
    EXPECT_EQ(value_of(text, "model name"), "Some CPU");
    EXPECT_EQ(value_of(text, "Max locked memory"), "unlimited x");
    EXPECT_EQ(value_of(text, "drm_render_minor"), "128");
    EXPECT_EQ(value_of(text, "drm_render"), std::nullopt);
    EXPECT_EQ(value_of(text, "model"), "name\t: Some CPU");
    EXPECT_EQ(value_of("", "Uid"), std::nullopt);
}

TEST(TreeTexts, LinesAndWords) {
    EXPECT_THAT(lines_of("a\r\n\nb"), ElementsAre("a", "", "b"));
    EXPECT_TRUE(lines_of("").empty());
    EXPECT_THAT(words_of("  a\tb  c\n"), ElementsAre("a", "b", "c"));
    EXPECT_TRUE(words_of(" \t").empty());
}

class AccessTest : public TestTree {
protected:
    Access access() { return Access(Tree(root_.string())); }
    void person(const std::string& uid, const std::string& groups) {
        write("proc/self/status",
              "Uid:\t" + uid + "\t" + uid + "\t0\t0\nGid:\t1000\t1000\t0\t0\nGroups:\t" + groups);
        write("etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n");
        write("etc/group", "root:x:0:\nrender:x:105:ada\nada:x:1000:\n");
    }
};

TEST_F(AccessTest, GroupsAreNamedWhereTheyHaveNames) {
    person("1000", "105 4711 \n");
    EXPECT_EQ(access().user(), "ada");
    EXPECT_THAT(access().groups(), ElementsAre("ada", "render", "4711"));
}

TEST_F(AccessTest, NodesAreForOwnerGroupOrOthers) {
    write("dev/node", "crw-rw---- 1 root render 226, 128\n");
    person("1000", "105\n");
    EXPECT_TRUE(access().can_use("/dev/node"));
    person("1000", "27\n");
    EXPECT_FALSE(access().can_use("/dev/node"));
    EXPECT_FALSE(access().can_use("/dev/none"));
    write("dev/node", "crw-rw-rw- 1 root root 195, 0\n");
    EXPECT_TRUE(access().can_use("/dev/node"));
    write("dev/node", "crw-r--r-- 1 ada root 195, 0\n");
    EXPECT_TRUE(access().can_use("/dev/node"));
    write("dev/node", "nonsense\n");
    EXPECT_FALSE(access().can_use("/dev/node"));
}

TEST_F(AccessTest, RootOfAUserNamespaceIsNotRoot) {
    write("dev/node", "crw-rw---- 1 nobody nogroup 226, 128\n");
    person("0", "\n");
    EXPECT_TRUE(access().can_use("/dev/node"));
    EXPECT_TRUE(access().can_read_root_file("/dev/node"));
    write("proc/self/uid_map", "         0     100000      65536\n");
    EXPECT_FALSE(access().has_real_ids());
    EXPECT_FALSE(access().can_use("/dev/node"));
    EXPECT_FALSE(access().can_read_root_file("/dev/node"));
}

}  // namespace
}  // namespace trilane::probe
