#include "config/config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "config/reading.h"
#include "json/json.h"

namespace trilane::config {
namespace {

Checked read(std::string_view text) {
    return read_config(text, "test.toml");
}

std::string first_remark(std::string_view text) {
    const Checked checked = read(text);
    if (checked.remarks.empty()) {
        return "";
    }
    const Remark& remark = checked.remarks.front();
    return fmt::format("{}:{}: {}: {}", remark.line, remark.column,
                       remark.error ? "error" : "warning", remark.text);
}

TEST(Config, AnEmptyFileIsTheDefaults) {
    const Checked checked = read("");
    EXPECT_TRUE(checked.good());
    EXPECT_TRUE(checked.remarks.empty());
    EXPECT_EQ(checked.config.server.port, 13305);
    EXPECT_EQ(checked.config.queue.length_max, 64U);
    EXPECT_TRUE(checked.config.lanes.empty());
}

TEST(Config, AFileThatIsHalfSavedIsAnError) {
    for (const char* text :
         {"[[[",  "[",      "[[",     "[.a]",     "[=]",  "[#",   "[,]",     "[[#]]",
          "[a.]", "[a..b]", "[\x01]", "a=[}",     "a=[,", "a={=", "a={a.",   "a=",
          "a.",   "a=[[]",  "a='",    "a=\"\"\"", "\"",   "'",    "=",       ".",
          "]",    "[[a]",   "a={}a",  "a=1979-",  "a=0x", "a=+",  "a=[1\n[", "[server]\nport = "}) {
        const Checked checked = read(text);
        // "[" alone may pass for an empty file; what matters is that the process lives.
        EXPECT_TRUE(!checked.good() || std::string_view(text).size() <= 2) << text;
        EXPECT_EQ(checked.config.server.port, 13305) << text;
    }
    EXPECT_FALSE(read("[[[").good());
    std::string deep = "a";
    for (int i = 0; i < 200'000; ++i) {
        deep += ".a";
    }
    EXPECT_FALSE(read(deep + " = 1").good());
    EXPECT_NE(first_remark("x = 1\n[" + deep + "]").find("2:1: error"), std::string::npos);
}

/// Every short text of the characters that mean something: none may end the process.
TEST(Config, NoShortTextEndsTheProcess) {
    constexpr std::string_view kLetters = "[].=#,\"'{}a1-_\n\x01 T:+";
    constexpr std::size_t kLength = 4;
    for (const char* before : {"", "a=", "[a]\n", "a={"}) {
        std::string text(kLength, '\0');
        for (std::size_t number = 0; number < 160'000; ++number) {
            std::size_t rest = number;
            for (char& c : text) {
                c = kLetters[rest % kLetters.size()];
                rest /= kLetters.size();
            }
            static_cast<void>(read(before + text));
        }
    }
}

TEST(Config, ReadsEverySection) {
    const Checked checked = read(R"(
[server]
host = "::1"
port = 0
patience = "2m"
[memory]
reserve = "4 GiB"
[catalog]
directories = ["/srv/models"]
watch = false
[queue]
wait_max = 30
[lane.zeta]
kind = "llama-server"
engine_device = "Vulkan0"
args = ["--no-warmup"]
environment = { GGML_VK_VISIBLE_DEVICES = "0" }
prompt_cache = "2GB"
[lane.alpha]
kind = "native"
slots = 4
[model."*"]
keep_warm = "1h"
[model."coder"]
lanes = ["zeta"]
context = 32768
kv = "q8"
pin = true
aliases = ["gpt-4"]
)");
    ASSERT_TRUE(checked.good()) << checked.remarks.front().text;
    EXPECT_TRUE(checked.remarks.empty());
    const Config& config = checked.config;
    EXPECT_EQ(config.server.host, "::1");
    EXPECT_EQ(config.server.patience_s, 120U);
    EXPECT_EQ(config.memory.reserve.bytes, std::uint64_t{4} << 30U);
    EXPECT_EQ(config.queue.wait_s_max, 30U);
    ASSERT_EQ(config.lanes.size(), 2U);
    EXPECT_EQ(config.lanes[0].name, "zeta") << "in the order of the file";
    EXPECT_EQ(config.lanes[0].prompt_cache_bytes, 2'000'000'000U);
    EXPECT_EQ(config.lanes[0].environment.at("GGML_VK_VISIBLE_DEVICES"), "0");
    EXPECT_EQ(config.lanes[1].engine.slots, 4U);
    ASSERT_EQ(config.models.size(), 2U);
    EXPECT_EQ(config.models[0].keep_warm_s, 3600U);
    EXPECT_TRUE(config.models[1].pin);
    EXPECT_EQ(config.models[1].wishes.kv, plan::KvType::q8_0);
}

TEST(Config, SaysWhatIsWrongAndWhere) {
    EXPECT_EQ(first_remark("[server]\nport = 70000\n"),
              "2:8: error: server.port must be a whole number from 0 to 65535");
    EXPECT_EQ(first_remark("[server]\nprot = 1\n"),
              "2:8: error: server.prot is not known; did you mean port?");
    EXPECT_EQ(first_remark("[sever]\n"), "1:1: error: sever is not known; did you mean server?");
    EXPECT_EQ(first_remark("[lane.gpu]\nkind = \"cuda\"\n").substr(0, 32),
              "2:8: error: lane.gpu.kind: there");
    EXPECT_EQ(first_remark("[lane.r]\nkind = \"remote\"\n"),
              "1:1: error: lane.r is remote and has no url");
    EXPECT_EQ(first_remark("[queue]\nwait_max = \"soon\"\n"),
              "2:12: error: queue.wait_max must be a time such as \"90s\" or \"15m\", at most 1d");
    EXPECT_EQ(first_remark("server = 3\n"), "1:10: error: server must be a table: [server]");
    EXPECT_EQ(first_remark("[a\n").substr(0, 11), "1:3: error:");
}

TEST(Config, LettersOutsideOfQuotesAreAscii) {
    EXPECT_NE(first_remark("x = 1\n \u0183 = 1\n").find("2:2: error: "), std::string::npos);
    EXPECT_NE(first_remark("x = 1\n\u1234 = 1\n").find("2:1: error: "), std::string::npos);
}

TEST(Config, LanesHaveTheKeysOfTheirKind) {
    for (const lane::Descriptor& kind : lane::descriptors()) {
        for (const lane::Descriptor& other : lane::descriptors()) {
            for (const lane::Option& option : other.options) {
                const bool own = std::ranges::find(kind.options, option.key, &lane::Option::key) !=
                                 kind.options.end();
                // No value that any of them would take.
                const Checked checked = read(fmt::format(
                    "[lane.x]\nkind = \"{}\"\n{} = 1979-05-27\n", kind.kind, option.key));
                const bool refused = std::ranges::any_of(checked.remarks, [](const Remark& r) {
                    return r.error && r.text.find(" have no ") != std::string::npos;
                });
                EXPECT_EQ(refused, !own) << kind.kind << '.' << option.key;
            }
        }
    }
    EXPECT_EQ(
        first_remark("[lane.w]\nkind = \"whisper-server\"\nprompt_cache = \"1 GiB\"\n"),
        "3:16: error: lane.w.prompt_cache: lanes of kind whisper-server have no prompt_cache; "
        "they have kind, device, program, args, environment, residents_max, cgroup, "
        "start_timeout");
    EXPECT_EQ(
        first_remark("[lane.r]\nkind = \"remote\"\nurl = \"u\"\ncontext_tokens = 5\n"),
        "4:18: error: lane.r.context_tokens: lanes of kind remote have no context_tokens; did "
        "you mean context?; they have kind, url, api_key_file, models, context, requests_max, "
        "residents_max, hang_timeout, silence_timeout, sanity");
    EXPECT_EQ(first_remark("[lane.x]\nknd = \"native\"\n"),
              "1:1: error: lane.x has no kind; use one of native, llama-server, flm, "
              "whisper-server, sd-server, kokoro, espeak, remote");
}

TEST(Config, EveryKeyOfAKindIsRead) {
    for (const lane::Descriptor& kind : lane::descriptors()) {
        for (const lane::Option& option : kind.options) {
            SCOPED_TRACE(fmt::format("{}.{}", kind.kind, option.key));
            using lane::OptionType;
            const OptionType type = option.type;
            const std::string value = type == OptionType::text     ? "\"u\""
                                      : type == OptionType::device ? "\"gpu7\""
                                      : type == OptionType::texts  ? "[\"u\"]"
                                      : type == OptionType::pairs  ? "{ \"U\" = \"u\" }"
                                      : type == OptionType::count  ? fmt::format("{}", option.max)
                                      : type == OptionType::bytes  ? "\"3 MiB\""
                                      : type == OptionType::flag   ? "true"
                                                                   : "\"77s\"";
            const std::string line = fmt::format("{} = {}\n", option.key, value);
            const std::string url =
                kind.kind == "remote" && option.key != "url" ? "url = \"u\"\n" : "";
            const Checked checked =
                read(fmt::format("[lane.x]\nkind = \"{}\"\n{}{}", kind.kind, url, line));
            ASSERT_TRUE(checked.remarks.empty()) << line;
            EXPECT_NE(effective_text(checked.config).find('\n' + line), std::string::npos)
                << effective_text(checked.config);
        }
    }
}

TEST(Config, DevicesAreNotNamedAsEnginesNameThem) {
    EXPECT_NE(first_remark("[lane.g]\nkind = \"llama-server\"\ndevice = \"Vulkan0\"\n")
                  .find("belongs into engine_device"),
              std::string::npos);
}

TEST(Config, AKvTypeThatNobodyTakesIsAnError) {
    EXPECT_EQ(first_remark("[lane.cpu]\nkind = \"native\"\n[model.x]\nkv = \"q8_0\"\n"),
              "4:6: error: model.\"x\".kv: \"q8_0\" has no effect on cpu (native); leave it out, "
              "or add a llama-server lane");
    const std::string_view both =
        "[lane.cpu]\nkind = \"native\"\n[lane.gpu]\nkind = \"llama-server\"\n"
        "[lane.ear]\nkind = \"whisper-server\"\n";
    EXPECT_EQ(first_remark(fmt::format("{}[model.x]\nkv = \"q8_0\"\n", both)),
              "8:6: warning: model.\"x\".kv: \"q8_0\" has no effect on cpu (native); the others "
              "take it");
    EXPECT_EQ(first_remark(fmt::format("{}[model.x]\nkv = \"q8\"\nlanes = [\"gpu\"]\n", both)), "");
    EXPECT_EQ(first_remark("[lane.cpu]\nkind = \"native\"\n[model.x]\nkv = \"f16\"\n"), "");
}

TEST(Config, ArgumentsThatNobodyTakesAreAWarning) {
    EXPECT_EQ(first_remark("[lane.cpu]\nkind = \"native\"\n[model.x]\nargs = [\"-ngl\", \"9\"]\n"),
              "4:8: warning: model.\"x\".args have no effect on cpu (native); leave them out, or "
              "add a llama-server lane");
    const std::string_view both =
        "[lane.cpu]\nkind = \"native\"\n[lane.gpu]\nkind = \"llama-server\"\n"
        "[lane.far]\nkind = \"remote\"\nurl = \"http://far\"\n";
    EXPECT_EQ(first_remark(fmt::format("{}[model.x]\nargs = [\"-a\"]\n", both)),
              "9:8: warning: model.\"x\".args have no effect on cpu (native); the others take "
              "them");
    EXPECT_EQ(first_remark(fmt::format("{}[model.x]\nargs = [\"-a\"]\nlanes = [\"gpu\"]\n", both)),
              "");
    EXPECT_EQ(
        first_remark(fmt::format("{}[model.x]\nargs = [\"-a\"]\nlanes = [\"far\"]\n", both)),
        "9:8: warning: model.\"x\".args have no effect on far (remote); leave them out, or add a "
        "llama-server lane");
    EXPECT_EQ(first_remark(fmt::format("{}[model.x]\nargs = []\n", both)), "");
    const Checked checked =
        read_config("[lane.cpu]\nkind = \"native\"\n[model.x]\nargs = [\"-a\"]\n", "/etc/c.toml");
    EXPECT_TRUE(checked.good());
    ASSERT_EQ(checked.config.warnings.size(), 1U) << "for the daemon's log";
    EXPECT_TRUE(checked.config.warnings[0].starts_with("/etc/c.toml:4:8: model."));
}

TEST(Config, TellsWhichSectionsAreInDoubt) {
    const Checked one = read("[server]\nport = -1\n[lane.x]\nkind = \"cuda\"\n[catalog]\n");
    EXPECT_FALSE(one.understood("server"));
    EXPECT_FALSE(one.understood("lane"));
    EXPECT_TRUE(one.understood("catalog"));
    EXPECT_FALSE(read("[catalogue]\nhub_endpoint = \"h\"\n").understood("catalog"));
    EXPECT_FALSE(read("[server\n").understood("catalog"));
    EXPECT_FALSE(read("catalog = 3\n").understood("catalog"));
    EXPECT_TRUE(
        read("[lane.cpu]\nkind = \"native\"\n[model.x]\nargs = [\"-a\"]\n").understood("model"))
        << "a warning is no error";
}

TEST(Config, SaysEverythingAtOnce) {
    const Checked checked = read("[server]\nport = -1\nhost = 5\n[queue]\nlength_max = 0\n");
    EXPECT_EQ(checked.remarks.size(), 3U);
    EXPECT_FALSE(checked.good());
    EXPECT_EQ(checked.config.server.port, 13305) << "what is wrong changes nothing";
    EXPECT_FALSE(read("[memory]\nreserve = []\n").config.memory.reserve.bytes.has_value());
}

TEST(Config, ModelsReferToLanesThatExist) {
    EXPECT_FALSE(read("[lane.a]\nkind=\"native\"\n[model.x]\nlanes=[\"b\"]\n").good());
    EXPECT_TRUE(read("[lane.a]\nkind=\"native\"\n[model.x]\nlanes=[\"a\"]\n").good());
    EXPECT_FALSE(read("[model.x]\naliases=[\"y\"]\n[model.y]\n").good());
}

TEST(Config, AStarOfAnAliasIsAtItsEnd) {
    EXPECT_TRUE(read("[model.x]\naliases=[\"claude-*\", \"*\"]\n[model.claude-y]\n").good());
    for (const char* wrong : {"*-claude", "claude-*-y", "claude-**"}) {
        const Checked checked = read(fmt::format("[model.x]\naliases=[\"{}\"]\n", wrong));
        EXPECT_FALSE(checked.good()) << wrong;
        EXPECT_NE(checked.remarks.front().text.find("at the end"), std::string::npos);
    }
    EXPECT_FALSE(read("[model.x]\naliases=[\"gpt-*\"]\n[model.y]\naliases=[\"gpt-*\"]\n").good());
}

TEST(Config, TheDefaultTextIsReadAsTheDefaults) {
    const Checked checked = read(default_text());
    ASSERT_TRUE(checked.good());
    EXPECT_TRUE(checked.remarks.empty());
    const Difference difference = compare(Config(), checked.config);
    EXPECT_TRUE(difference.hot.empty());
    EXPECT_TRUE(difference.restart.empty());
}

TEST(Config, WhatIsShownReadsTheSame) {
    const Checked first = read(
        "[server]\nport = 1234\n[lane.g]\nkind = \"llama-server\"\nargs = [\"-a \\\"b\\\"\"]\n"
        "[model.\"q w\"]\npriority = -3\n");
    ASSERT_TRUE(first.good());
    const Checked second = read(effective_text(first.config));
    ASSERT_TRUE(second.good()) << second.remarks.front().text;
    EXPECT_EQ(effective_text(second.config), effective_text(first.config));
    EXPECT_TRUE(compare(first.config, second.config).restart.empty());
}

TEST(Config, ComparesByWhatCanBeTakenOver) {
    const Config before = read("[lane.a]\nkind=\"native\"\n[model.x]\npin=true\n").config;
    const Config after =
        read("[server]\nport=1\n[queue]\nlength_max=2\n[lane.a]\nkind=\"native\"\n[model.y]\n")
            .config;
    const Difference difference = compare(before, after);
    EXPECT_EQ(difference.restart, std::vector<std::string>{"server.port"});
    EXPECT_EQ(difference.hot, (std::vector<std::string>{"queue.length_max", "model.y", "model.x"}));
    const Difference more =
        compare(before, read("[server]\nlog_level=\"warn\"\n[memory]\nreserve=\"2 GiB\"\n"
                             "[lane.a]\nkind=\"native\"\nslots=2\n[model.x]\npin=false\n")
                            .config);
    EXPECT_EQ(more.restart, std::vector<std::string>{"lane.a.slots"});
    EXPECT_EQ(more.hot,
              (std::vector<std::string>{"server.log_level", "memory.reserve", "model.x.pin"}));
}

TEST(Config, TheDocsShowWhatTheProgramPrints) {
    std::ifstream file(TRILANE_SOURCE_DIR "/docs/CONFIGURATION.md");
    const std::string docs{std::istreambuf_iterator<char>(file), {}};
    std::string wanted = default_text();
    while (wanted.ends_with('\n')) {
        wanted.pop_back();
    }
    EXPECT_NE(docs.find("```toml\n" + wanted + "\n```"), std::string::npos)
        << "copy the output of `trilane config default` into docs/CONFIGURATION.md";
}

TEST(Config, RemarksStandAtTheSettingOrAtWhatThereIsOfIt) {
    const std::string text = "[server]\nport = 1\n[lane.gpu]\nkind = \"flm\"\n";
    const auto place = [&](const std::vector<std::string>& names) {
        const Remark remark = remark_at(text, names, false, "so");
        EXPECT_EQ(remark.text, "so");
        EXPECT_FALSE(remark.error);
        return std::pair(remark.line, remark.column);
    };
    EXPECT_EQ(place({"server", "port"}), std::pair(2U, 8U));
    EXPECT_EQ(place({"lane", "gpu", "kind"}), std::pair(4U, 8U));
    EXPECT_EQ(place({"lane", "gpu", "device"}), std::pair(3U, 1U));
    EXPECT_EQ(place({"memory", "reserve"}), std::pair(1U, 1U));
    EXPECT_EQ(place({}), std::pair(1U, 1U));
    EXPECT_EQ(remark_at(text, std::vector<std::string>{"lane"}, true, "").section, "lane");
    EXPECT_EQ(remark_at("[[[", std::vector<std::string>{"lane"}, true, "").line, 1U);
}

TEST(Config, SettingsAsJsonKeepTheirOrderAndTypes) {
    const Checked checked = read(
        "[lane.zed]\nkind = \"native\"\n[lane.gpu]\nkind = "
        "\"llama-server\"\nargs = [\"-x\", \"1\"]\n"
        "[model.a]\npin = true\npriority = -3\n");
    ASSERT_TRUE(checked.good());
    const auto settings = effective_json(checked.config);
    ASSERT_TRUE(settings);
    const json::Value& shown = *settings;
    EXPECT_EQ(shown["server"]["port"], 13305);
    EXPECT_EQ(shown["memory"]["reserve"], 0.06);
    EXPECT_EQ(shown["lane"].begin().key(), "zed");
    EXPECT_EQ(shown["lane"]["gpu"]["args"], json::Value({"-x", "1"}));
    EXPECT_EQ(shown["model"]["a"]["pin"], true);
    EXPECT_EQ(shown["model"]["a"]["priority"], -3);
    Config odd;
    odd.models.emplace_back().id = "a\"b\\\x7F";
    const auto quoted_name = effective_json(odd);
    ASSERT_TRUE(quoted_name) << quoted_name.error().message;
    EXPECT_EQ((*quoted_name)["model"].begin().key(), odd.models[0].id);
}

TEST(Config, AmountsAndTimes) {
    EXPECT_EQ(parse_bytes("1.5 GiB"), (std::uint64_t{3} << 29U));
    EXPECT_EQ(parse_bytes("7"), 7U);
    EXPECT_FALSE(parse_bytes("-1 GB"));
    EXPECT_FALSE(parse_bytes("4 giblets"));
    EXPECT_FALSE(parse_bytes("1e30 TB"));
    EXPECT_EQ(parse_seconds("2h"), 7200U);
    EXPECT_EQ(bytes_text(std::uint64_t{3} << 29U), "1536 MiB");
    EXPECT_EQ(seconds_text(5400), "90m");
}

}  // namespace
}  // namespace trilane::config
