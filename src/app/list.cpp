// `trilane list`, also called `models`: what can be run here. Reads headers only.
#include <fmt/core.h>

#include <filesystem>

#include "app/command_line.h"
#include "app/gguf_show.h"
#include "app/model_listing.h"
#include "app/output.h"
#include "app/serve_setup.h"
#include "app/verbs.h"
#include "catalog/model_folders.h"
#include "gguf/gguf.h"
#include "json/json.h"
#include "lane/descriptor.h"
#include "probe/ask.h"

namespace trilane::app {
namespace {

constexpr std::chrono::milliseconds kFlmPatience{10'000};
constexpr std::size_t kCellBytesMax = 48;

std::string or_dash(const std::string& text) {
    return text.empty() ? "-" : printable(text, kCellBytesMax);
}

void add_flm_models(const OwnStores& stores, ModelListing& listing) {
    const auto flm = lane::descriptor_of("flm");
    const std::string program = flm ? lane::installed_program(**flm, stores.path) : "";
    if (program.empty()) {
        return;
    }
    std::vector<std::string> environment = stores.environment;
    // It looks for updates when it starts, which nobody asked for.
    environment.emplace_back("FLM_DISABLE_UPDATE_CHECK=1");
    const probe::Question question{{program, "list", "-j"}, std::move(environment)};
    const auto answers = probe::ask({&question, 1}, kFlmPatience);
    const probe::Answer& answer = answers.front();
    if (answer.exit_code != 0) {
        listing.problems.push_back(fmt::format(
            "{} list: {}", program,
            answer.exit_code ? fmt::format("exit status {}", *answer.exit_code) : answer.problem));
        return;
    }
    auto entries = catalog::parse_flm_list(answer.out);
    if (!entries) {
        listing.problems.push_back(fmt::format("{}: {}", program, entries.error().message));
        return;
    }
    listing.entries.insert(listing.entries.end(), entries->begin(), entries->end());
}

std::string source_of(const catalog::Entry& entry) {
    if (entry.store == catalog::Store::flm) {
        return "flm";
    }
    // A commit is too long for a table; who wants it asks for JSON.
    const std::string repository = entry.repository.substr(0, entry.repository.find('@'));
    return repository.empty() ? printable(entry.path) : printable(repository, kCellBytesMax);
}

std::uint64_t size_of(const catalog::Entry& entry) {
    return entry.bytes > 0 ? entry.bytes : entry.footprint_bytes;
}

json::Value entry_json(const catalog::Entry& entry, const ModelListing& listing) {
    json::Value one{{"name", entry.id},
                    {"store", catalog::store_name(entry.store)},
                    {"purpose", catalog::purpose_name(entry.purpose)},
                    {"file", entry.path},
                    {"more_files", entry.more_paths},
                    {"projector", entry.projector_path},
                    {"architecture", entry.architecture},
                    {"quantization", entry.quantization},
                    {"parameters", entry.parameters},
                    {"bytes", entry.bytes},
                    {"footprint_bytes", entry.footprint_bytes},
                    {"context_tokens", entry.context_tokens},
                    {"licence", entry.licence},
                    {"repository", entry.repository},
                    {"added_unix_s", entry.added_unix_s}};
    if (entry.store == catalog::Store::gguf) {
        const auto why = listing.not_native.find(entry.id);
        one["runs"] = why == listing.not_native.end();
        if (why != listing.not_native.end()) {
            one["runs_not_because"] = why->second;
        }
    }
    return one;
}

}  // namespace

ModelListing list_all(const std::vector<std::string>& model_dirs, const OwnStores& stores) {
    catalog::LocalModels models(model_dirs);
    models.scan();
    ModelListing listing;
    listing.entries = models.list();
    listing.problems = models.problems();
    for (const catalog::Entry& entry : listing.entries) {
        const auto file = gguf::File::open(entry.path);
        const Status runs = file ? runs_here(**file) : tl::unexpected(file.error());
        if (!runs) {
            listing.not_native.emplace(entry.id, runs.error().message);
        } else if (!entry.more_paths.empty()) {
            listing.not_native.emplace(entry.id, "it is split into several files");
        }
    }
    add_flm_models(stores, listing);
    return listing;
}

std::string listing_text(const ModelListing& listing) {
    std::string text;
    if (listing.entries.empty()) {
        text = "No models found. Get one: trilane pull OWNER/NAME, or see: trilane loadouts\n";
    } else {
        std::vector<std::vector<std::string>> rows{
            {"NAME", "PURPOSE", "QUANT", ">PARAMS", ">SIZE", ">CONTEXT", "STORE", "SOURCE"}};
        for (const catalog::Entry& entry : listing.entries) {
            rows.push_back(
                {printable(entry.id), std::string(catalog::purpose_name(entry.purpose)),
                 or_dash(entry.quantization),
                 entry.parameters > 0 ? human_count(entry.parameters) : "-",
                 size_of(entry) > 0 ? human_bytes(size_of(entry)) : "-",
                 entry.context_tokens > 0 ? fmt::format("{}", entry.context_tokens) : "-",
                 std::string(catalog::store_name(entry.store)), source_of(entry)});
        }
        text = table(rows);
    }
    std::string notes;
    for (const std::string& problem : listing.problems) {
        notes += "cannot be used: " + printable(problem) + '\n';
    }
    return text + (notes.empty() ? "" : '\n' + notes);
}

json::Value listing_json(const ModelListing& listing) {
    json::Value models = json::Value::array();
    for (const catalog::Entry& entry : listing.entries) {
        models.push_back(entry_json(entry, listing));
    }
    return {{"models", std::move(models)}, {"problems", listing.problems}};
}

std::vector<std::string> folders_without_models(const std::vector<std::string>& folders) {
    std::vector<std::string> problems;
    for (const std::string& folder : folders) {
        std::error_code ignored;
        if (!std::filesystem::is_directory(folder, ignored)) {
            problems.push_back(
                fmt::format("there is no folder {}; `trilane list` takes folders to look in, and "
                            "without any lists every model",
                            printable(folder)));
        } else if (catalog::find_models({&folder, 1}).empty()) {
            problems.push_back(fmt::format(
                "no model is in {}: neither NAME.gguf nor NAME/SOME.gguf", printable(folder)));
        }
    }
    return problems;
}

Result<int> perform(const ModelsOptions& options) {
    // Its folders are among the options.
    const config::Config config = told_config(options.config_file).config;
    for (const std::string& folder : missing_folders(config, options.home)) {
        print_error(fmt::format("trilane: {}\n", printable(folder)));
    }
    const std::vector<std::string> missing = folders_without_models(options.asked_dirs);
    for (const std::string& problem : missing) {
        print_error(fmt::format("trilane: {}\n", problem));
    }
    if (!missing.empty() && missing.size() == options.asked_dirs.size()) {
        return kExitFailure;
    }
    const ModelListing listing = list_all(options.model_dirs, {options.path, options.environment});
    TRILANE_TRY_STATUS(print(options.json ? json::dump_pretty(listing_json(listing)) + '\n'
                                          : listing_text(listing)));
    return missing.empty() ? kExitOk : kExitFailure;
}

}  // namespace trilane::app
