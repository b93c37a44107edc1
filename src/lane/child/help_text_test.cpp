// Help texts in the forms that the engines print.
#include "lane/child/help_text.h"

#include <gtest/gtest.h>

#include <array>

namespace trilane::lane {
namespace {

constexpr std::string_view kLlama = R"(----- common params -----

-h,    --help, --usage                  print usage and exit
-c,    --ctx-size N                     size of the prompt context (default: 0, 0 = loaded from model)
-fa,   --flash-attn [on|off|auto]       set Flash Attention use ('on', 'off', or 'auto')
-ngl,  --gpu-layers, --n-gpu-layers N   max. number of layers to store in VRAM
--no-mmap                               do not memory-map model (slower load but may reduce
                                        pageouts if not using mlock, see --mlock-all)
-ctk,  --cache-type-k TYPE              KV cache data type for K
                                        allowed values: f32, f16
--metrics                               enable prometheus compatible metrics endpoint
-dev,  --device <dev1,dev2,..>          comma-separated list of devices
)";

TEST(HelpText, ReadsLlamaServers) {
    const HelpText help{kLlama};
    for (const auto* known : {"-h", "--help", "--usage", "-c", "--ctx-size", "-fa", "--flash-attn",
                              "-ngl", "--gpu-layers", "--n-gpu-layers", "--no-mmap", "-ctk",
                              "--cache-type-k", "--metrics", "-dev", "--device"}) {
        EXPECT_TRUE(help.knows(known)) << known;
    }
    EXPECT_FALSE(help.knows("--mlock-all")) << "only a description speaks of it";
    EXPECT_FALSE(help.knows("--ctx"));
    for (const auto* taking : {"-c", "--ctx-size", "--flash-attn", "--n-gpu-layers", "--device"}) {
        EXPECT_TRUE(help.takes_value(taking)) << taking;
    }
    for (const auto* bare : {"--help", "--no-mmap", "--metrics", "--unknown"}) {
        EXPECT_FALSE(help.takes_value(bare)) << bare;
    }
}

TEST(HelpText, KnowsASwitchFromAnOptionOfTheSameName) {
    const HelpText older("-fa,   --flash-attn                      enable Flash Attention\n");
    EXPECT_TRUE(older.knows("--flash-attn"));
    EXPECT_FALSE(older.takes_value("--flash-attn"));
}

TEST(HelpText, ReadsOtherForms) {
    const HelpText boost("  -p [ --port ] arg (=-1)    Server port\n  --quiet    print less\n");
    EXPECT_TRUE(boost.knows("-p"));
    EXPECT_TRUE(boost.takes_value("--port"));
    EXPECT_TRUE(boost.knows("--quiet"));
    EXPECT_FALSE(boost.takes_value("--quiet"));

    const HelpText whisper(
        "  -ng,       --no-gpu            [false  ] disable gpu\n"
        "             --prompt PROMPT     [       ] initial prompt\n"
        "  --host HOST,                   [127.0.0.1] Hostname/ip-address for the server\n");
    EXPECT_FALSE(whisper.takes_value("--no-gpu"));
    EXPECT_TRUE(whisper.takes_value("--prompt"));
    EXPECT_TRUE(whisper.takes_value("--host"));

    const HelpText clap("  -l, --lan <LANGUAGE>\n          A language\n      --ip <IP>  address\n");
    EXPECT_TRUE(clap.takes_value("-l"));
    EXPECT_TRUE(clap.takes_value("--ip"));
}

TEST(HelpText, NothingInNoise) {
    for (const auto* noise :
         {"", "\n\n", "error: no such library", "-", "--", "---", "--1", "- a"}) {
        EXPECT_TRUE(HelpText(noise).empty()) << noise;
    }
}

TEST(HelpText, FirstKnownIsInOurOrder) {
    const HelpText help("--webui    x\n--no-webui    y\n--no-ui    z\n");
    constexpr std::array<std::string_view, 2> kNames{"--no-ui", "--no-webui"};
    EXPECT_EQ(help.first_known(kNames), "--no-ui");
    EXPECT_FALSE(help.first_known(std::array<std::string_view, 1>{"--no-page"}).has_value());
}

}  // namespace
}  // namespace trilane::lane
