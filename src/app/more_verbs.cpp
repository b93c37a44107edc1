#include "app/more_verbs.h"

#include <memory>

#include "access/key_ring.h"
#include "app/help.h"
#include "app/serve_setup.h"

namespace trilane::app {
namespace {

constexpr std::uint32_t kParallelMax = 256;
constexpr std::uint32_t kLogLinesMax = 5000;

void add_json(CLI::App* verb, bool& json) {
    verb->add_flag("--json", json, "Print JSON");
}

void add_root(CLI::App* verb, std::string& root) {
    verb->add_option("--root", root, "Read a copied tree of /proc, /sys and /etc instead")
        ->type_name("DIR");
}

void add_connection(CLI::App* verb, Connection& connection) {
    verb->add_option("--url", connection.url,
                     "Where the daemon is (default: TRILANE_URL, or http://127.0.0.1:13305)")
        ->type_name("URL");
    verb->add_option("--api-key-file", connection.api_key_file,
                     "File with the daemon's key (default: the key is in TRILANE_API_KEY)")
        ->type_name("FILE");
}

/// What was not said on the command line comes from the surroundings.
void settle(Connection& connection, const CLI::App* verb, const Environment& environment) {
    if (verb->count("--url") == 0 && !environment.url.empty()) {
        connection.url = environment.url;
    }
    connection.api_key = environment.api_key;
}

void add_probe(CLI::App& root, Finishers& finishers) {
    auto o = std::make_shared<ProbeOptions>();
    CLI::App* verb =
        add_verb(root, "probe", "Show what silicon, memory and engines there are", help::kProbe);
    add_json(verb, o->json);
    add_root(verb, o->root);
    finishers.emplace_back(verb, [o](const Environment& environment) -> Result<Command> {
        o->path = environment.path;
        o->environment = environment.child_environment;
        return *o;
    });
}

void add_doctor(CLI::App& root, Finishers& finishers) {
    auto o = std::make_shared<DoctorOptions>();
    CLI::App* verb =
        add_verb(root, "doctor", "Check for known traps and say how to mend them", help::kDoctor);
    verb->add_flag("--all", o->all, "Also list checks that do not apply here");
    add_json(verb, o->json);
    add_root(verb, o->root);
    finishers.emplace_back(verb, [o](const Environment& environment) -> Result<Command> {
        o->path = environment.path;
        o->environment = environment.child_environment;
        o->own_environment = environment.own_environment;
        o->config_file = environment.config_file;
        return *o;
    });
}

void add_plan(CLI::App& root, Finishers& finishers) {
    auto o = std::make_shared<PlanOptions>();
    CLI::App* verb =
        add_verb(root, "plan", "Tell whether models fit the memory, before loading", help::kPlan);
    verb->add_option("MODEL", o->models,
                     "GGUF file, or a model's name; several are planned together")
        ->required();
    verb->add_option("--ctx", o->context_tokens, "Context of one request in tokens")
        ->check(whole_between(16, kContextTokensMax))
        ->type_name("N");
    verb->add_option("--parallel", o->parallel, "Requests at once")
        ->check(whole_between(1, kParallelMax))
        ->type_name("N");
    verb->add_option("--kv", o->kv, "Type of the KV cache: f16, q8 or q4 (default: f16)")
        ->check(CLI::IsMember({"f16", "q8", "q8_0", "q4", "q4_0"}))
        ->type_name("TYPE");
    verb->add_option("--device", o->device, "cpu, gpu0 …, or npu (default: every one there is)")
        ->type_name("NAME");
    add_json(verb, o->json);
    add_root(verb, o->root);
    finishers.emplace_back(verb, [o](const Environment& environment) -> Result<Command> {
        o->model_dirs = known_model_dirs(environment);
        o->state_dir = environment.state_dir;
        o->config_file = environment.config_file;
        return *o;
    });
}

void add_pull(CLI::App& root, Finishers& finishers) {
    auto o = std::make_shared<PullVerbOptions>();
    CLI::App* verb = add_verb(root, "pull", "Download a model from Hugging Face", help::kPull);
    verb->add_option("MODEL", o->reference, "OWNER/NAME, OWNER/NAME:VARIANT, or its web address")
        ->required();
    verb->add_option("--id", o->id, "Name to keep it under (default: by repository and variant)")
        ->type_name("NAME");
    verb->add_flag("--force", o->force, "Download again what is there");
    verb->add_flag("--dry-run", o->dry_run, "Show the variants and the choice; download nothing");
    add_json(verb, o->json);
    finishers.emplace_back(verb, [o](const Environment& environment) -> Result<Command> {
        o->models_dir = environment.models_dir;
        o->model_dirs = known_model_dirs(environment);
        o->hub_endpoint = environment.hub_endpoint;
        o->hub_token = environment.hub_token;
        o->config_file = environment.config_file;
        return *o;
    });
}

void add_remove(CLI::App& root, Finishers& finishers) {
    auto o = std::make_shared<RemoveOptions>();
    CLI::App* verb =
        add_verb(root, "rm", "Delete a model that was pulled or imported", help::kRemove);
    verb->add_option("MODEL", o->model, "Its name, as `trilane list` shows it")->required();
    verb->add_flag("-y,--yes", o->yes, "Do not ask");
    add_json(verb, o->json);
    finishers.emplace_back(verb, [o](const Environment& environment) -> Result<Command> {
        o->models_dir = environment.models_dir;
        o->model_dirs = known_model_dirs(environment);
        return *o;
    });
}

void add_import(CLI::App& root, Finishers& finishers) {
    auto o = std::make_shared<ImportOptions>();
    CLI::App* verb = add_verb(root, "import", "Take a GGUF file into the catalogue", help::kImport);
    verb->add_option("FILE", o->path, "The file")->required();
    verb->add_option("--id", o->id, "Name to keep it under (default: the file's)")
        ->type_name("NAME");
    verb->add_flag("--link", o->link, "Link to it instead of copying");
    add_json(verb, o->json);
    finishers.emplace_back(verb, [o](const Environment& environment) -> Result<Command> {
        o->config_file = environment.config_file;
        o->models_dir = environment.models_dir;
        return *o;
    });
}

void add_loadouts(CLI::App& root, Finishers& finishers) {
    auto o = std::make_shared<LoadoutsOptions>();
    CLI::App* verb =
        add_verb(root, "loadouts", "Sets of models for machines of some memory", help::kLoadouts);
    verb->add_option("NAME", o->name, "coder, chat, voice, retrieval or minimal (default: all)");
    add_json(verb, o->json);
    add_root(verb, o->root);
    finishers.emplace_back(verb, [o](const Environment&) -> Result<Command> { return *o; });
}

void add_ps(CLI::App& root, Finishers& finishers) {
    auto o = std::make_shared<PsOptions>();
    CLI::App* verb = add_verb(root, "ps", "Show what a running daemon has loaded", help::kPs);
    add_connection(verb, o->connection);
    add_json(verb, o->json);
    finishers.emplace_back(verb, [o, verb](const Environment& environment) -> Result<Command> {
        settle(o->connection, verb, environment);
        return *o;
    });
}

void add_load(CLI::App& root, Finishers& finishers) {
    auto o = std::make_shared<LoadOptions>();
    CLI::App* verb = add_verb(root, "load", "Load a model in a running daemon", help::kLoad);
    verb->add_option("MODEL", o->model, "Its name")->required();
    verb->add_option("--lane", o->lane, "Where (default: the best lane)")->type_name("NAME");
    verb->add_option("--ctx", o->context_tokens, "Context of one request in tokens")
        ->check(whole_between(16, kContextTokensMax))
        ->type_name("N");
    verb->add_flag("--pin", o->pin, "Keep it: it is never evicted");
    add_connection(verb, o->connection);
    add_json(verb, o->json);
    finishers.emplace_back(verb, [o, verb](const Environment& environment) -> Result<Command> {
        settle(o->connection, verb, environment);
        return *o;
    });
}

void add_unload(CLI::App& root, Finishers& finishers) {
    auto o = std::make_shared<UnloadOptions>();
    CLI::App* verb = add_verb(root, "unload", "Unload a model in a running daemon", help::kUnload);
    verb->add_option("MODEL", o->model, "Its name")->required();
    add_connection(verb, o->connection);
    add_json(verb, o->json);
    finishers.emplace_back(verb, [o, verb](const Environment& environment) -> Result<Command> {
        settle(o->connection, verb, environment);
        return *o;
    });
}

void add_logs(CLI::App& root, Finishers& finishers) {
    auto o = std::make_shared<LogsOptions>();
    CLI::App* verb =
        add_verb(root, "logs", "Show what the engines of a running daemon print", help::kLogs);
    verb->add_option("LANE", o->lane, "One lane's (default: all)");
    verb->add_flag("-f,--follow", o->follow, "Go on as lines come");
    verb->add_option("-n,--lines", o->lines, "Lines to begin with (default: 100)")
        ->check(whole_between(0, kLogLinesMax))
        ->type_name("N");
    add_connection(verb, o->connection);
    add_json(verb, o->json);
    finishers.emplace_back(verb, [o, verb](const Environment& environment) -> Result<Command> {
        settle(o->connection, verb, environment);
        return *o;
    });
}

void add_config_verb(CLI::App& config, const char* name, const char* what,
                     std::string_view examples, ConfigOptions::What which, Finishers& finishers) {
    auto o = std::make_shared<ConfigOptions>();
    o->what = which;
    CLI::App* verb = add_verb(config, name, what, examples);
    if (which != ConfigOptions::What::defaults) {
        verb->add_option("FILE", o->file, "The file (default: the one `serve` would read)");
        add_json(verb, o->json);
    }
    finishers.emplace_back(verb, [o](const Environment& environment) -> Result<Command> {
        if (o->file.empty()) {
            o->file = environment.config_file;
        }
        o->places = environment.config_places;
        take_surroundings(o->serve, environment);
        return *o;
    });
}

void add_config(CLI::App& root, Finishers& finishers) {
    CLI::App* config = add_verb(root, "config", "Check and show the configuration", help::kConfig);
    config->require_subcommand(1);
    using What = ConfigOptions::What;
    add_config_verb(*config, "check", "Read the file and say what is wrong", help::kConfigCheck,
                    What::check, finishers);
    add_config_verb(*config, "show", "The settings that count", help::kConfigShow, What::show,
                    finishers);
    add_config_verb(*config, "default", "Every setting with its default, as a file to start from",
                    help::kConfigDefault, What::defaults, finishers);
    add_config_verb(*config, "path", "Which file is read", help::kConfigPath, What::path,
                    finishers);
}

void add_key(CLI::App& root, Finishers& finishers) {
    CLI::App* verb = add_verb(root, "key", "API keys: who may use this daemon", help::kKey);
    verb->require_subcommand(1);
    const auto one = [&](const char* name, const char* what, std::string_view examples,
                         KeyOptions::What kind) {
        auto o = std::make_shared<KeyOptions>();
        o->what = kind;
        CLI::App* sub = add_verb(*verb, name, what, examples);
        add_json(sub, o->json);
        finishers.emplace_back(sub, [o](const Environment& environment) -> Result<Command> {
            o->keys_file = environment.keys_file;
            o->config_file = environment.config_file;
            return *o;
        });
        return std::pair(sub, o);
    };
    auto [add, o] =
        one("add", "Make a key; it is shown once", help::kKeyAdd, KeyOptions::What::add);
    add->add_option("NAME", o->name, "What the key is called in listings and logs")->required();
    add->add_flag("--admin", o->admin, "It may also load, pull and remove models and read logs");
    add->add_option("--models", o->models, "Models it may use, '*' for any text (default: all)")
        ->delimiter(',')
        ->type_name("PATTERN,…");
    add->add_option("--lanes", o->lanes, "Lanes it may use (default: all)")
        ->delimiter(',')
        ->type_name("PATTERN,…");
    add->add_option("--rpm", o->requests_per_minute, "Requests a minute (default: no limit)")
        ->check(whole_between(1, access::kRequestsPerMinuteMax))
        ->type_name("N");
    add->add_option("--concurrent", o->concurrent, "Answers at once (default: no limit)")
        ->check(whole_between(1, access::kConcurrentMax))
        ->type_name("N");
    constexpr std::uint64_t kDaysMax = 36'500;
    add->add_option("--days", o->days, "Days until it expires (default: never)")
        ->check(whole_between(1, kDaysMax))
        ->type_name("N");
    one("list", "The keys there are, without the keys themselves", help::kKeyList,
        KeyOptions::What::list);
    auto [revoke, gone] =
        one("revoke", "Let a key in no more", help::kKeyRevoke, KeyOptions::What::revoke);
    revoke->add_option("NAME", gone->name, "The key's name")->required();
}

void add_usage(CLI::App& root, Finishers& finishers) {
    auto o = std::make_shared<UsageOptions>();
    CLI::App* verb = add_verb(root, "usage", "Who used which model how much", help::kUsage);
    verb->add_option("--by", o->by, "key, model, lane, subject, day, hour (default: model)")
        ->delimiter(',')
        ->type_name("WHAT,…");
    verb->add_option("--since", o->since, "How far back: 12h, 7d … (default: 30d)")
        ->type_name("TIME");
    add_json(verb, o->json);
    finishers.emplace_back(verb, [o](const Environment& environment) -> Result<Command> {
        o->state_dir = environment.state_dir;
        o->config_file = environment.config_file;
        return *o;
    });
}

}  // namespace

std::vector<std::string> known_model_dirs(const Environment& environment) {
    std::vector<std::string> dirs = environment.model_dirs;
    // What is wrong with it is said by the verbs: this is asked before it is known which one.
    const std::vector<std::string> more =
        catalog_folders(readable_config(environment.config_file).config, environment.home);
    dirs.insert(dirs.end(), more.begin(), more.end());
    return dirs;
}

void add_machine_verbs(CLI::App& root, Finishers& finishers) {
    add_probe(root, finishers);
    add_doctor(root, finishers);
    add_plan(root, finishers);
}

void add_catalogue_verbs(CLI::App& root, Finishers& finishers) {
    add_pull(root, finishers);
    add_remove(root, finishers);
    add_import(root, finishers);
    add_loadouts(root, finishers);
}

void add_daemon_verbs(CLI::App& root, Finishers& finishers) {
    add_key(root, finishers);
    add_usage(root, finishers);
    add_ps(root, finishers);
    add_load(root, finishers);
    add_unload(root, finishers);
    add_logs(root, finishers);
    add_config(root, finishers);
}

}  // namespace trilane::app
