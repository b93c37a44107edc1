#include "app/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trilane::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

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

TEST(CommandLine, MistypedVerbsAreGuessed) {
    EXPECT_THAT(stop_of(parse({"sreve", "--port", "1"})).text,
                HasSubstr("there is no verb 'sreve'; did you mean serve?"));
    EXPECT_THAT(stop_of(parse({"key", "ad", "laptop"})).text,
                HasSubstr("there is no verb 'ad'; did you mean add?"));
    EXPECT_THAT(stop_of(parse({"key", "ad", "laptop"})).text, HasSubstr("See: trilane key --help"));
    EXPECT_THAT(stop_of(parse({"sing"})).text, HasSubstr("there is no verb 'sing'\n"));
    EXPECT_EQ(stop_of(parse({"serve", "--sing"})).text.find("no verb"), std::string::npos);
    EXPECT_EQ(stop_of(parse({"token", "m.gguf"})).text.find("no verb"), std::string::npos);
}

TEST(CommandLine, EveryVerbHasHelpWithExamples) {
    for (const std::vector<std::string>& verb :
         std::vector<std::vector<std::string>>{{},
                                               {"serve"},
                                               {"run"},
                                               {"list"},
                                               {"models"},
                                               {"gguf"},
                                               {"gguf", "show"},
                                               {"token"},
                                               {"ppl"},
                                               {"version"},
                                               {"probe"},
                                               {"doctor"},
                                               {"plan"},
                                               {"pull"},
                                               {"rm"},
                                               {"import"},
                                               {"loadouts"},
                                               {"ps"},
                                               {"load"},
                                               {"unload"},
                                               {"logs"},
                                               {"usage"},
                                               {"key"},
                                               {"key", "add"},
                                               {"key", "list"},
                                               {"config"},
                                               {"key", "revoke"},
                                               {"config", "check"},
                                               {"config", "show"},
                                               {"config", "default"},
                                               {"config", "path"}}) {
        auto words = verb;
        words.emplace_back("--help");
        const Stop stop = stop_of(parse(words));
        EXPECT_EQ(stop.exit_code, kExitOk);
        EXPECT_THAT(stop.text, HasSubstr("Example")) << ::testing::PrintToString(verb);
        EXPECT_THAT(stop.text, HasSubstr("Usage: trilane"));
    }
    EXPECT_THAT(stop_of(parse({"models", "--help"})).text, HasSubstr("Usage: trilane list"));
}

TEST(CommandLine, WhatConfigListsItAlsoPrintsAsJson) {
    for (const auto* what : {"check", "show", "path"}) {
        EXPECT_TRUE(options_of<ConfigOptions>(parse({"config", what, "--json"})).json) << what;
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

TEST(CommandLine, OtherMachinesMayBeLetIn) {
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

TEST(CommandLine, TheMachineVerbs) {
    Environment environment;
    environment.path = {"/bin"};
    environment.config_file = "c.toml";
    EXPECT_TRUE(options_of<ProbeOptions>(parse({"probe", "--json"}, environment)).json);
    EXPECT_EQ(options_of<ProbeOptions>(parse({"probe", "--root", "box"})).root, "box");
    const auto doctor = options_of<DoctorOptions>(parse({"doctor", "--all"}, environment));
    EXPECT_TRUE(doctor.all);
    EXPECT_EQ(doctor.config_file, "c.toml");
    EXPECT_THAT(doctor.path, ElementsAre("/bin"));
    const auto plan = options_of<PlanOptions>(parse(
        {"plan", "a", "b", "--ctx", "4096", "--parallel", "2", "--kv", "q8", "--device", "npu"}));
    EXPECT_THAT(plan.models, ElementsAre("a", "b"));
    EXPECT_EQ(plan.context_tokens, 4096U);
    EXPECT_EQ(plan.kv, "q8");
    EXPECT_EQ(stop_of(parse({"plan"})).exit_code, kExitUsage);
    EXPECT_EQ(stop_of(parse({"plan", "a", "--kv", "q7"})).exit_code, kExitUsage);
}

TEST(CommandLine, TheCatalogueVerbs) {
    Environment environment;
    environment.models_dir = "kept";
    environment.hub_token = "t";
    const auto pull =
        options_of<PullVerbOptions>(parse({"pull", "o/n:Q4", "--dry-run"}, environment));
    EXPECT_EQ(pull.reference, "o/n:Q4");
    EXPECT_TRUE(pull.dry_run);
    EXPECT_EQ(pull.models_dir, "kept");
    EXPECT_EQ(pull.hub_token, "t");
    EXPECT_TRUE(options_of<RemoveOptions>(parse({"rm", "m", "-y"})).yes);
    EXPECT_TRUE(options_of<ImportOptions>(parse({"import", "f.gguf", "--link"})).link);
    EXPECT_EQ(options_of<LoadoutsOptions>(parse({"loadouts", "coder"})).name, "coder");
    EXPECT_TRUE(options_of<ModelsOptions>(parse({"list", "--json"})).json);
}

TEST(CommandLine, TheDaemonsVerbs) {
    Environment environment;
    environment.url = "http://there:1";
    environment.api_key = "key";
    EXPECT_EQ(options_of<PsOptions>(parse({"ps"}, environment)).connection.url, "http://there:1");
    EXPECT_EQ(
        options_of<PsOptions>(parse({"ps", "--url", "http://x:2"}, environment)).connection.url,
        "http://x:2");
    const auto load = options_of<LoadOptions>(
        parse({"load", "m", "--lane", "gpu", "--ctx", "1024", "--pin"}, environment));
    EXPECT_EQ(load.connection.api_key, "key");
    EXPECT_EQ(load.context_tokens, 1024U);
    EXPECT_TRUE(load.pin);
    EXPECT_EQ(options_of<UnloadOptions>(parse({"unload", "m"})).model, "m");
    const auto logs = options_of<LogsOptions>(parse({"logs", "npu", "-f", "-n", "5"}));
    EXPECT_EQ(logs.lane, "npu");
    EXPECT_TRUE(logs.follow);
    EXPECT_EQ(logs.lines, 5U);
}

TEST(CommandLine, TheConfigurationsVerbs) {
    Environment environment;
    environment.config_file = "found.toml";
    const auto check = options_of<ConfigOptions>(parse({"config", "check"}, environment));
    EXPECT_EQ(check.what, ConfigOptions::What::check);
    EXPECT_EQ(check.file, "found.toml");
    EXPECT_EQ(options_of<ConfigOptions>(parse({"config", "show", "mine.toml"}, environment)).file,
              "mine.toml");
    EXPECT_EQ(options_of<ConfigOptions>(parse({"config", "default"})).what,
              ConfigOptions::What::defaults);
    EXPECT_EQ(stop_of(parse({"config"})).exit_code, kExitUsage);
    const auto serve = options_of<ServeOptions>(
        parse({"serve", "--port", "8080", "--config", "c.toml"}, environment));
    EXPECT_EQ(serve.config_file, "c.toml");
    EXPECT_THAT(serve.given, UnorderedElementsAre("--port", "--config"));
    EXPECT_EQ(options_of<ServeOptions>(parse({"serve"}, environment)).config_file, "found.toml");
}

}  // namespace
}  // namespace trilane::app
