#include "lane/child/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace trilane::lane {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::array<Reserved, 2> kReserved{{
    {"--port", "remove it"},
    {"-c", "use `context`"},
}};

TEST(Arguments, WritesWhatTheProgramKnows) {
    const HelpText help("--metrics    m\n-fa N    f\n");
    Arguments line(help, {"--extra", "1"});
    line.add("serve").set({"--metrics"}).set({"--slots"}).set({"--flash-attn", "-fa"}, "on");
    EXPECT_THAT(std::move(line).finish(),
                ElementsAre("serve", "--metrics", "-fa", "on", "--extra", "1"));
}

TEST(Arguments, WhatTheUserGivesIsTheUsers) {
    const HelpText help("-ngl, --n-gpu-layers N    n\n");
    for (const auto* given : {"-ngl", "--n-gpu-layers", "--n-gpu-layers=20"}) {
        Arguments line(help, {given, "20"});
        line.set({"--n-gpu-layers", "-ngl"}, "999");
        EXPECT_THAT(std::move(line).finish(), ElementsAre(given, "20"));
    }
}

TEST(Arguments, ReservedOnesAreRefusedByName) {
    const std::vector<std::string> good{"--ports", "-cb", "8080", "port"};
    EXPECT_TRUE(refuse_reserved(good, kReserved, "gpu").has_value());
    for (const auto* bad : {"--port", "--port=8080"}) {
        const std::vector<std::string> args{"--good", bad};
        const Status refused = refuse_reserved(args, kReserved, "gpu");
        ASSERT_FALSE(refused.has_value()) << bad;
        EXPECT_EQ(refused.error().fault, Fault::invalid);
        EXPECT_THAT(refused.error().message, HasSubstr("lane gpu: --port"));
        EXPECT_THAT(refused.error().message, HasSubstr("remove it"));
    }
    const Status context = refuse_reserved(std::vector<std::string>{"-c", "1"}, kReserved, "gpu");
    ASSERT_FALSE(context.has_value());
    EXPECT_THAT(context.error().message, HasSubstr("use `context`"));
}

}  // namespace
}  // namespace trilane::lane
