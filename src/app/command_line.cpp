#include "app/command_line.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "app/help.h"
#include "app/more_verbs.h"
#include "base/near_name.h"

namespace trilane::app {
namespace {

constexpr std::size_t kOptionColumn = 26;
constexpr std::size_t kDescriptionWidth = 72;
constexpr double kPenaltyMax = 2.0;
constexpr std::int32_t kTopKMax = 1'000'000;
constexpr double kTopPMin = 0.0001;

/// All verbs' options while CLI11 fills them; the verb that was named decides which one is used.
struct Parsing {
    CLI::App root{"", "trilane"};
    ServeOptions serve;
    RunOptions run;
    ModelsOptions models;
    GgufShowOptions gguf_show;
    TokenOptions token;
    PerplexityOptions ppl;
    VersionOptions version;
    std::uint64_t seed = 0;
    std::string log_level = "info";
    CLI::App* serve_verb = nullptr;
    CLI::App* run_verb = nullptr;
    CLI::App* models_verb = nullptr;
    CLI::App* gguf_verb = nullptr;
    CLI::App* gguf_show_verb = nullptr;
    CLI::App* token_verb = nullptr;
    CLI::App* ppl_verb = nullptr;
    CLI::App* version_verb = nullptr;
    bool short_version = false;
    Finishers finishers;  // of the verbs in more_verbs.cpp
};

/// A range check that, unlike CLI11's, refuses "nan" and says what would be right.
template <class T>
CLI::Validator between(T low, T high) {
    const auto check = [low, high](std::string& text) -> std::string {
        T value{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool whole = error == std::errc() && end == text.data() + text.size();
        if (whole && value >= low && value <= high) {
            return {};
        }
        return fmt::format("'{}'; use a number from {} to {}", text, low, high);
    };
    return {check, ""};
}

constexpr std::array<std::pair<std::string_view, LogLevel>, 5> kLogLevels{
    {{"debug", LogLevel::debug},
     {"info", LogLevel::info},
     {"warn", LogLevel::warn},
     {"error", LogLevel::error},
     {"off", LogLevel::off}}};

std::optional<LogLevel> log_level_from(std::string_view name) {
    for (const auto& [known, level] : kLogLevels) {
        if (known == name) {
            return level;
        }
    }
    return std::nullopt;
}

CLI::Validator one_of_levels() {
    const auto check = [](std::string& text) {
        return log_level_from(text)
                   ? std::string()
                   : fmt::format("'{}'; use debug, info, warn, error or off", text);
    };
    return {check, ""};
}

/// The text in lines, for CLI11 sets descriptions as they come.
std::string wrapped(std::string_view text) {
    std::string out;
    std::size_t column = 0;
    while (!text.empty()) {
        const std::size_t space = std::min(text.find(' '), text.size());
        if (column > 0) {
            const bool fits = column + 1 + space <= kDescriptionWidth;
            out += fits ? ' ' : '\n';
            column = fits ? column + 1 : 0;
        }
        out += text.substr(0, space);
        column += space;
        text.remove_prefix(std::min(space + 1, text.size()));
    }
    return out;
}

void add_engine_options(CLI::App* verb, std::uint32_t& context_tokens, std::size_t& threads) {
    verb->add_option("--ctx", context_tokens,
                     "Context of one request, prompt + answer, in tokens (default: what the model "
                     "was made for)")
        ->check(between(16U, kContextTokensMax))
        ->type_name("N");
    verb->add_option("--threads", threads, "Threads of the engine (default: the cores it may use)")
        ->check(between(1U, kThreadsMax))
        ->type_name("N");
}

void add_serve(Parsing& p) {
    CLI::App* verb = p.serve_verb = add_verb(
        p.root, "serve", "Start the daemon: the OpenAI API in front of the model", help::kServe);
    ServeOptions& o = p.serve;
    verb->add_option("--config", o.config_file,
                     "Configuration file (default: as `trilane config path` says)")
        ->type_name("FILE");
    verb->add_option("--host", o.host, "Address to listen on (default: 127.0.0.1)")
        ->type_name("ADDRESS");
    verb->add_option("--port", o.port, "Port to listen on; 0 takes any free one (default: 13305)")
        ->check(between(0, 65'535))
        ->type_name("PORT");
    verb->add_option("--model", o.model,
                     "Load this first and keep it: a GGUF file, or a name that `trilane list` "
                     "shows (default: the bundled one, where no lanes and no models are "
                     "configured)")
        ->type_name("MODEL");
    verb->add_flag("--no-model", o.no_model, "Load no model before one is asked for");
    add_engine_options(verb, o.context_tokens, o.threads);
    verb->add_option("--slots", o.slots, "Requests that are answered at once (default: 8)")
        ->check(between(1U, kSlotsMax))
        ->type_name("N");
    verb->add_option("--queue", o.queue_max, "Requests that may wait for a slot (default: 64)")
        ->check(between(1U, kQueueMax))
        ->type_name("N");
    verb->add_option("--patience", o.patience_s,
                     "Seconds that running answers may go on after SIGTERM or Ctrl-C (default: 10)")
        ->check(between(0U, kPatienceSecondsMax))
        ->type_name("S");
    verb->add_option("--api-key", o.api_key,
                     "Key that clients must send as a bearer token. Others on this machine can see "
                     "it here: prefer TRILANE_API_KEY")
        ->type_name("KEY");
    verb->add_option("--cors", o.cors_origins,
                     "Web origins whose pages may call the API, e.g. https://app.example")
        ->type_name("ORIGIN");
    verb->add_option("--log-level", p.log_level, "debug, info, warn, error or off (default: info)")
        ->check(one_of_levels())
        ->type_name("LEVEL");
}

void add_sampling(CLI::App* verb, job::Sampling& s, std::uint64_t& seed) {
    verb->add_option("--temperature", s.temperature,
                     "0 = always the likeliest token (default: 0.7)")
        ->check(between(0.0, 2.0))
        ->type_name("T");
    verb->add_option("--top-k", s.top_k, "Keep the K likeliest tokens; 0 = all (default: 0)")
        ->check(between(0, kTopKMax))
        ->type_name("K");
    verb->add_option("--top-p", s.top_p, "Keep the likeliest tokens up to this sum (default: 1)")
        ->check(between(kTopPMin, 1.0))
        ->type_name("P");
    verb->add_option("--min-p", s.min_p,
                     "Drop tokens less likely than P times the likeliest (default: 0.05)")
        ->check(between(0.0, 1.0))
        ->type_name("P");
    verb->add_option("--repeat-penalty", s.repeat_penalty, "Above 1 repeats less (default: 1)")
        ->check(between(0.01, kPenaltyMax))
        ->type_name("X");
    verb->add_option("--seed", seed, "Same seed, same answer (default: a fresh one each time)")
        ->type_name("N");
}

void add_run(Parsing& p) {
    CLI::App* verb = p.run_verb =
        add_verb(p.root, "run", "Chat with a model in this terminal", help::kRun);
    RunOptions& o = p.run;
    verb->add_option("MODEL", o.first,
                     "GGUF file, or a name that `trilane list` shows (default: bundled)");
    verb->add_option("PROMPT", o.second,
                     "Answer this and exit; '-' reads it from standard input. A single argument "
                     "that names no model is the prompt");
    verb->add_option("-m,--model", o.model, "The model, when the only argument is a prompt")
        ->type_name("MODEL");
    verb->add_option("--system", o.system, "System message of the conversation")->type_name("TEXT");
    verb->add_flag("--raw", o.raw, "Continue the prompt as it stands, without the chat template");
    verb->add_flag("-v,--verbose", o.verbose, "Print tokens per second after each answer");
    add_sampling(verb, o.sampling, p.seed);
    verb->add_option("--max-tokens", o.max_tokens,
                     "Longest answer (default: what the context leaves)")
        ->check(between(1U, kContextTokensMax))
        ->type_name("N");
    add_engine_options(verb, o.context_tokens, o.threads);
}

void add_listings(Parsing& p) {
    p.models_verb =
        add_verb(p.root, "list", "List the models that are on this machine", help::kModels);
    p.models_verb->alias("models");
    p.models_verb->add_option("DIR", p.models.asked_dirs, "More folders to look in");
    p.models_verb->add_flag("--json", p.models.json, "Print JSON");

    p.gguf_verb = add_verb(p.root, "gguf", "Look into GGUF files", help::kGguf);
    p.gguf_verb->require_subcommand(1);
    p.gguf_show_verb =
        add_verb(*p.gguf_verb, "show", "Metadata, bytes by type, and whether Trilane can run it",
                 help::kGgufShow);
    p.gguf_show_verb->add_option("FILE", p.gguf_show.file, "GGUF file, or a model's name")
        ->required();
    p.gguf_show_verb->add_flag("--tensors", p.gguf_show.tensors, "Also list every tensor");
    p.gguf_show_verb->add_flag("--json", p.gguf_show.json, "Print JSON");
}

void add_token(Parsing& p) {
    CLI::App* verb = p.token_verb =
        add_verb(p.root, "token", "Show a text as a model's tokens", help::kToken);
    verb->add_option("FILE", p.token.file, "GGUF file, or a model's name")->required();
    verb->add_option("TEXT", p.token.text, "The text; '-' reads standard input")->required();
    verb->add_flag("--special", p.token.special,
                   "Read special tokens such as <|end|> in the text as tokens, not as letters");
    verb->add_flag("--no-bos", p.token.no_bos,
                   "Leave out the tokens that the vocabulary puts around a text");
    verb->add_flag("--json", p.token.json, "Print JSON");
}

void add_ppl(Parsing& p) {
    CLI::App* verb = p.ppl_verb =
        add_verb(p.root, "ppl", "Perplexity of a model on a text", help::kPpl);
    PerplexityOptions& o = p.ppl;
    verb->add_option("FILE", o.file, "GGUF file, or a model's name")->required();
    verb->add_option("TEXTFILE", o.text_file, "Text file; '-' reads standard input")->required();
    verb->add_option("--ctx", o.context_tokens, "Tokens of a window (default: 512)")
        ->check(between(8U, kContextTokensMax))
        ->type_name("N");
    verb->add_option("--stride", o.stride,
                     "Tokens from one window to the next (default: half a window)")
        ->check(between(1U, kContextTokensMax))
        ->type_name("N");
    verb->add_flag("--llama", o.llama, "Measure by the definition of llama.cpp's perplexity tool");
    verb->add_option("--windows", o.windows_max, "Stop after so many windows (default: all)")
        ->check(between(1U, kPplWindowsMax))
        ->type_name("N");
    verb->add_option("--threads", o.threads, "Threads (default: the cores it may use)")
        ->check(between(1U, kThreadsMax))
        ->type_name("N");
    verb->add_flag("--json", o.json, "Print JSON");
}

/// Sets every description in lines; positionals are named by their name alone.
void lay_out(CLI::App& app) {
    for (CLI::Option* option : app.get_options()) {
        option->description(wrapped(option->get_description()));
        if (option->get_positional()) {
            option->type_name("");
        }
    }
    for (CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
        lay_out(*verb);
    }
}

void declare(Parsing& p) {
    p.root.description(std::string(help::kAbout));
    p.root.footer(std::string(help::kRoot));
    p.root.require_subcommand(0, 1);
    p.root.get_formatter()->column_width(kOptionColumn);
    p.root.add_flag("--version", p.short_version, "Print the version");
    add_serve(p);
    add_run(p);
    add_listings(p);
    add_token(p);
    add_ppl(p);
    p.version_verb =
        add_verb(p.root, "version", "Print the version and what it was built for", help::kVersion);
    p.version_verb->add_flag("--json", p.version.json, "Print JSON");
    add_machine_verbs(p.root, p.finishers);
    add_catalogue_verbs(p.root, p.finishers);
    add_daemon_verbs(p.root, p.finishers);
    lay_out(p.root);
}

Stop usage_error(std::string_view message, std::string_view verb) {
    return {kExitUsage, fmt::format("trilane: {}\nSee: trilane {}{}--help\n", message, verb,
                                    verb.empty() ? "" : " ")};
}

/// The deepest verb that was named, as it is typed: "gguf show".
std::string named_verb(const CLI::App& root) {
    std::string words;
    const CLI::App* at = &root;
    while (!at->get_subcommands().empty()) {
        at = at->get_subcommands().front();
        words += (words.empty() ? "" : " ") + at->get_name();
    }
    return words;
}

/// "there is no verb 'pss'; did you mean ps?"; "" where every verb that was named is known.
std::string unknown_verb(const CLI::App& root, const std::vector<std::string>& words) {
    const CLI::App* at = &root;
    for (const std::string& word : words) {
        const std::vector<const CLI::App*> verbs =
            at->get_subcommands([](const CLI::App*) { return true; });
        if (verbs.empty() || word.starts_with('-')) {
            break;
        }
        const auto named = std::ranges::find_if(
            verbs, [&](const CLI::App* verb) { return verb->check_name(word); });
        if (named != verbs.end()) {
            at = *named;
            continue;
        }
        std::vector<std::string_view> names;
        for (const CLI::App* verb : verbs) {
            names.emplace_back(verb->get_name());
        }
        const std::string_view near = near_name(word, names);
        return fmt::format("there is no verb '{}'{}", word,
                           near.empty() ? "" : fmt::format("; did you mean {}?", near));
    }
    return {};
}

Result<std::optional<kernels::Isa>> chosen_isa(const std::string& name) {
    if (name.empty()) {
        return std::optional<kernels::Isa>();
    }
    auto isa = kernels::isa_from_name(name);
    if (!isa) {
        return tl::unexpected(std::move(isa).error().because("TRILANE_ISA"));
    }
    if (!kernels::isa_available(*isa)) {
        std::string runs_here;
        for (const auto known : {kernels::Isa::generic, kernels::Isa::avx2, kernels::Isa::avxvnni,
                                 kernels::Isa::avx512}) {
            if (kernels::isa_available(known)) {
                runs_here +=
                    fmt::format("{}{}", runs_here.empty() ? "" : ", ", kernels::isa_name(known));
            }
        }
        return fail(Fault::unavailable, "TRILANE_ISA: this CPU cannot run '{}'; it can run: {}",
                    name, runs_here);
    }
    return std::optional<kernels::Isa>(*isa);
}

/// The checks of `serve` that need more than one option.
Status settle_serve(ServeOptions& o, const Parsing& p, const Environment& environment) {
    if (p.serve_verb->count("--api-key") > 0 && o.api_key.empty()) {
        return fail(Fault::invalid, "--api-key is empty; give a key or leave the option out");
    }
    take_surroundings(o, environment);
    if (std::any_of(o.api_key.begin(), o.api_key.end(),
                    [](char c) { return c <= ' ' || c > '~'; })) {
        return fail(Fault::invalid,
                    "the API key holds a space or a character that no HTTP header can carry; use "
                    "letters and digits");
    }
    if (o.no_model && p.serve_verb->count("--model") > 0) {
        return fail(Fault::invalid, "--model and --no-model are both given; use one");
    }
    o.log_level = log_level_from(p.log_level).value_or(o.log_level);
    return {};
}

Result<Command> chosen_command(Parsing& p, const Environment& environment) {
    for (const auto& [verb, finish] : p.finishers) {
        if (*verb) {
            return finish(environment);
        }
    }
    TRILANE_TRY(const auto isa, chosen_isa(environment.isa));
    if (*p.serve_verb) {
        TRILANE_TRY_STATUS(settle_serve(p.serve, p, environment));
        p.serve.isa = isa;
        if (p.serve_verb->count("--config") == 0) {
            p.serve.config_file = environment.config_file;
        }
        for (const CLI::Option* option : p.serve_verb->get_options()) {
            if (option->count() > 0) {
                p.serve.given.push_back(option->get_name());
            }
        }
        return p.serve;
    }
    const std::vector<std::string> dirs = known_model_dirs(environment);
    if (*p.run_verb) {
        if (p.run_verb->count("--seed") > 0) {
            p.run.sampling.seed = p.seed;
        }
        if (!p.run.model.empty() && !p.run.second.empty()) {
            return fail(Fault::invalid, "--model and MODEL are both given; use one");
        }
        p.run.isa = isa;
        p.run.model_dirs = dirs;
        p.run.state_dir = environment.state_dir;
        return p.run;
    }
    if (*p.models_verb) {
        // What was asked for comes first, so that it wins over an equal name elsewhere.
        p.models.path = environment.path;
        p.models.environment = environment.child_environment;
        p.models.config_file = environment.config_file;
        p.models.home = environment.home;
        p.models.model_dirs = p.models.asked_dirs;
        p.models.model_dirs.insert(p.models.model_dirs.end(), dirs.begin(), dirs.end());
        return p.models;
    }
    if (*p.gguf_verb) {
        p.gguf_show.model_dirs = dirs;
        return p.gguf_show;
    }
    if (*p.token_verb) {
        p.token.model_dirs = dirs;
        return p.token;
    }
    if (*p.ppl_verb) {
        if (p.ppl.llama && p.ppl.stride > 0) {
            return fail(Fault::invalid, "--llama has no stride: its windows do not overlap");
        }
        p.ppl.isa = isa;
        p.ppl.model_dirs = dirs;
        return p.ppl;
    }
    p.version.isa = isa;
    return p.version;
}

}  // namespace

CLI::App* add_verb(CLI::App& parent, const char* name, const char* what, std::string_view footer) {
    CLI::App* verb = parent.add_subcommand(name, what);
    verb->footer(std::string(footer));
    verb->get_formatter()->column_width(kOptionColumn);
    return verb;
}

void take_surroundings(ServeOptions& options, const Environment& environment) {
    if (options.api_key.empty()) {
        options.api_key = environment.api_key;
    }
    options.model_dirs = environment.model_dirs;  // and those of its own file
    options.home = environment.home;
    options.path = environment.path;
    options.child_environment = environment.child_environment;
    options.state_dir = environment.state_dir;
    options.models_dir = environment.models_dir;
    options.keys_file = environment.keys_file;
    options.hub_endpoint = environment.hub_endpoint;
    options.hub_token = environment.hub_token;
}

CLI::Validator whole_between(std::uint64_t low, std::uint64_t high) {
    return between(low, high);
}

bool is_loopback(std::string_view host) {
    return host == "localhost" || host == "::1" || host == "[::1]" ||
           (host.starts_with("127.") &&
            host.find_first_not_of("0123456789.") == std::string_view::npos);
}

std::variant<Command, Stop> parse_command_line(std::vector<std::string> arguments,
                                               const Environment& environment) {
    Parsing parsing;
    const std::vector<std::string> words = arguments;
    try {
        declare(parsing);
        // CLI11 takes the words last first.
        std::reverse(arguments.begin(), arguments.end());
        parsing.root.parse(std::move(arguments));
    } catch (const CLI::CallForHelp&) {
        return Stop{kExitOk, parsing.root.help()};
    } catch (const CLI::CallForAllHelp&) {
        return Stop{kExitOk, parsing.root.help("", CLI::AppFormatMode::All)};
    } catch (const CLI::Error& error) {
        const std::string unknown = unknown_verb(parsing.root, words);
        return usage_error(unknown.empty() ? error.what() : unknown, named_verb(parsing.root));
    }
    if (parsing.root.get_subcommands().empty() && !parsing.short_version) {
        return Stop{kExitUsage, parsing.root.help()};
    }
    Result<Command> command = chosen_command(parsing, environment);
    if (!command) {
        return usage_error(command.error().message, named_verb(parsing.root));
    }
    return std::move(*command);
}

}  // namespace trilane::app
