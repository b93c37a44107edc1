#include "app/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trilane::app {
namespace {

using ::testing::HasSubstr;

using Parsed = std::variant<Command, Stop>;

Parsed parse(std::vector<std::string> words, const Environment& environment = {}) {
    return parse_command_line(std::move(words), environment);
}

template <class Options>
Options options_of(const Parsed& parsed) {
    if (const auto* stop = std::get_if<Stop>(&parsed)) {
        ADD_FAILURE() << stop->text;
        return {};
    }
    const auto* options = std::get_if<Options>(&std::get<Command>(parsed));
    EXPECT_NE(options, nullptr) << "another verb was understood";
    return options == nullptr ? Options{} : *options;
}

Stop stop_of(const Parsed& parsed) {
    const auto* stop = std::get_if<Stop>(&parsed);
    EXPECT_NE(stop, nullptr) << "a command was understood";
    return stop == nullptr ? Stop{} : *stop;
}

TEST(CommandLine, ServeDefaults) {
    const auto o = options_of<ServeOptions>(parse({"serve"}));
    EXPECT_EQ(o.host, "127.0.0.1");
    EXPECT_EQ(o.port, 13305);
    EXPECT_EQ(o.model, "bundled");
    EXPECT_EQ(o.slots, 8U);
    EXPECT_EQ(o.queue_max, 64U);
    EXPECT_TRUE(o.api_key.empty());
    EXPECT_FALSE(o.isa.has_value());
    EXPECT_EQ(o.log_level, LogLevel::info);
}

TEST(CommandLine, ServeOptionsArrive) {
    const auto o = options_of<ServeOptions>(parse({"serve",
                                                   "--host",
                                                   "::1",
                                                   "--port",
                                                   "0",
                                                   "--model",
                                                   "m.gguf",
                                                   "--ctx",
                                                   "2048",
                                                   "--slots",
                                                   "3",
                                                   "--queue",
                                                   "5",
                                                   "--threads",
                                                   "2",
                                                   "--api-key",
                                                   "k",
                                                   "--cors",
                                                   "https://a.example",
                                                   "https://b.example",
                                                   "--log-level",
                                                   "warn"}));
    EXPECT_EQ(o.host, "::1");
    EXPECT_EQ(o.port, 0);
    EXPECT_EQ(o.model, "m.gguf");
    EXPECT_EQ(o.context_tokens, 2048U);
    EXPECT_EQ(o.slots, 3U);
    EXPECT_EQ(o.queue_max, 5U);
    EXPECT_EQ(o.threads, 2U);
    EXPECT_EQ(o.api_key, "k");
    EXPECT_THAT(o.cors_origins, ::testing::ElementsAre("https://a.example", "https://b.example"));
    EXPECT_EQ(o.log_level, LogLevel::warn);
}

TEST(CommandLine, WhatIsOutOfRangeIsAUsageErrorThatNamesTheOption) {
    for (const auto& [option, value] : std::vector<std::pair<std::string, std::string>>{
             {"--port", "65536"},
             {"--port", "-1"},
             {"--port", "http"},
             {"--ctx", "0"},
             {"--slots", "0"},
             {"--slots", "many"},
             {"--queue", "-3"},
             {"--threads", "0"},
             {"--log-level", "loud"},
         }) {
        const Stop stop = stop_of(parse({"serve", option, value}));
        EXPECT_EQ(stop.exit_code, kExitUsage) << option << ' ' << value;
        EXPECT_THAT(stop.text, HasSubstr(option)) << value;
        EXPECT_THAT(stop.text, HasSubstr("trilane serve --help")) << value;
    }
}

TEST(CommandLine, UnknownWordsAreUsageErrors) {
    EXPECT_EQ(stop_of(parse({"sing"})).exit_code, kExitUsage);
    EXPECT_EQ(stop_of(parse({"serve", "--sing"})).exit_code, kExitUsage);
    EXPECT_EQ(stop_of(parse({"gguf"})).exit_code, kExitUsage);
    EXPECT_EQ(stop_of(parse({"gguf", "show"})).exit_code, kExitUsage);
    EXPECT_EQ(stop_of(parse({"token", "m.gguf"})).exit_code, kExitUsage);
    EXPECT_EQ(stop_of(parse({})).exit_code, kExitUsage);
}

TEST(CommandLine, EveryVerbHasHelpWithExamples) {
    for (const auto& verb : std::vector<std::vector<std::string>>{{"serve"},
                                                                  {"run"},
                                                                  {"models"},
                                                                  {"gguf"},
                                                                  {"gguf", "show"},
                                                                  {"token"},
                                                                  {"ppl"},
                                                                  {"version"},
                                                                  {}}) {
        auto words = verb;
        words.emplace_back("--help");
        const Stop stop = stop_of(parse(words));
        EXPECT_EQ(stop.exit_code, kExitOk);
        EXPECT_THAT(stop.text, HasSubstr("Example"));
        EXPECT_THAT(stop.text, HasSubstr("Usage: trilane"));
    }
}

TEST(CommandLine, TheKeyMayComeFromTheEnvironment) {
    Environment environment;
    environment.api_key = "from-environment";
    EXPECT_EQ(options_of<ServeOptions>(parse({"serve"}, environment)).api_key, "from-environment");
    EXPECT_EQ(options_of<ServeOptions>(parse({"serve", "--api-key", "given"}, environment)).api_key,
              "given");
}

TEST(CommandLine, AnEmptyKeyIsRefused) {
    EXPECT_THAT(stop_of(parse({"serve", "--api-key", ""})).text, HasSubstr("--api-key"));
}

TEST(CommandLine, OtherMachinesNeedAKey) {
    const Stop stop = stop_of(parse({"serve", "--host", "0.0.0.0"}));
    EXPECT_EQ(stop.exit_code, kExitUsage);
    EXPECT_THAT(stop.text, HasSubstr("TRILANE_API_KEY"));
    EXPECT_EQ(
        options_of<ServeOptions>(parse({"serve", "--host", "0.0.0.0", "--api-key", "k"})).host,
        "0.0.0.0");
}

TEST(CommandLine, ErrorsDoNotRepeatTheKey) {
    const Stop stop = stop_of(parse({"serve", "--api-key", "s3cret", "--port", "x"}));
    EXPECT_EQ(stop.text.find("s3cret"), std::string::npos) << stop.text;
}

TEST(CommandLine, KnowsLoopback) {
    EXPECT_TRUE(is_loopback("localhost"));
    EXPECT_TRUE(is_loopback("127.0.0.1"));
    EXPECT_TRUE(is_loopback("127.8.9.1"));
    EXPECT_TRUE(is_loopback("::1"));
    EXPECT_FALSE(is_loopback("127.0.0.1.example.com"));
    EXPECT_FALSE(is_loopback("0.0.0.0"));
    EXPECT_FALSE(is_loopback("192.168.1.2"));
    EXPECT_FALSE(is_loopback("::"));
    EXPECT_FALSE(is_loopback(""));
}

TEST(CommandLine, IsaNamesAreCheckedForEveryVerb) {
    Environment environment;
    environment.isa = "mmx";
    const Stop stop = stop_of(parse({"version"}, environment));
    EXPECT_EQ(stop.exit_code, kExitUsage);
    EXPECT_THAT(stop.text, HasSubstr("TRILANE_ISA"));
    EXPECT_THAT(stop.text, HasSubstr("mmx"));
    EXPECT_THAT(stop.text, HasSubstr("avx2"));

    environment.isa = "generic";
    EXPECT_EQ(options_of<ServeOptions>(parse({"serve"}, environment)).isa, kernels::Isa::generic);
    EXPECT_EQ(options_of<RunOptions>(parse({"run"}, environment)).isa, kernels::Isa::generic);
    EXPECT_EQ(options_of<PerplexityOptions>(parse({"ppl", "m", "t"}, environment)).isa,
              kernels::Isa::generic);
    EXPECT_EQ(options_of<VersionOptions>(parse({"version"}, environment)).isa,
              kernels::Isa::generic);
}

TEST(CommandLine, RunTakesSamplingOptions) {
    const auto o = options_of<RunOptions>(
        parse({"run", "-m", "m", "Tell", "--temperature", "0", "--top-k", "40", "--top-p", "0.9",
               "--min-p", "0.1", "--seed", "18446744073709551615", "--max-tokens", "9", "--raw"}));
    EXPECT_EQ(o.model, "m");
    EXPECT_EQ(o.first, "Tell");
    EXPECT_EQ(o.sampling.temperature, 0.0F);
    EXPECT_EQ(o.sampling.top_k, 40);
    EXPECT_EQ(o.sampling.top_p, 0.9F);
    EXPECT_EQ(o.sampling.min_p, 0.1F);
    EXPECT_EQ(o.sampling.seed, 18'446'744'073'709'551'615U);
    EXPECT_EQ(o.max_tokens, 9U);
    EXPECT_TRUE(o.raw);
    EXPECT_FALSE(options_of<RunOptions>(parse({"run"})).sampling.seed.has_value());
}

TEST(CommandLine, NumbersAreNumbers) {
    for (const char* value : {"nan", "inf", "warm", "", "1x", "-0.1", "2.1"}) {
        EXPECT_EQ(stop_of(parse({"run", "x", "--temperature", value})).exit_code, kExitUsage)
            << value;
    }
}

TEST(CommandLine, RunTakesTheModelOnce) {
    EXPECT_EQ(stop_of(parse({"run", "-m", "a", "b", "prompt"})).exit_code, kExitUsage);
}

TEST(CommandLine, ADashIsStandardInput) {
    EXPECT_EQ(options_of<TokenOptions>(parse({"token", "m", "-"})).text, "-");
    EXPECT_EQ(options_of<TokenOptions>(parse({"token", "m", "--", "--text"})).text, "--text");
}

TEST(CommandLine, AModelAndNoModelContradict) {
    EXPECT_EQ(stop_of(parse({"serve", "--model", "m", "--no-model"})).exit_code, kExitUsage);
    EXPECT_TRUE(options_of<ServeOptions>(parse({"serve", "--no-model"})).no_model);
}

TEST(CommandLine, LlamasDefinitionHasNoStride) {
    EXPECT_EQ(stop_of(parse({"ppl", "m", "t", "--llama", "--stride", "8"})).exit_code, kExitUsage);
    const auto o = options_of<PerplexityOptions>(parse({"ppl", "m", "t", "--llama"}));
    EXPECT_TRUE(o.llama);
    EXPECT_EQ(o.context_tokens, 512U);
}

TEST(CommandLine, NamedFoldersComeBeforeTheInstalledOnes) {
    Environment environment;
    environment.model_dirs = {"installed"};
    EXPECT_THAT(options_of<ModelsOptions>(parse({"models", "mine"}, environment)).model_dirs,
                ::testing::ElementsAre("mine", "installed"));
}

}  // namespace
}  // namespace trilane::app
