// `trilane pull`: a model from a hub into the models folder.
#include "catalog/pull.h"

#include <fmt/core.h>

#include "app/command_line.h"
#include "app/gguf_show.h"
#include "app/interrupt.h"
#include "app/output.h"
#include "app/plan_listing.h"
#include "app/progress_bar.h"
#include "app/pull_listing.h"
#include "app/serve_setup.h"
#include "app/verbs.h"
#include "gguf/gguf.h"
#include "json/json.h"
#include "probe/machine.h"

namespace trilane::app {
namespace {

Status print_json(const json::Value& value) {
    return print(json::dump(value) + '\n');
}

/// References of other stores are for other programs.
Status check_store(const std::string& reference) {
    if (reference.starts_with("flm:")) {
        return fail(Fault::invalid, "FLM keeps models of its own; run: flm pull {}",
                    reference.substr(4));
    }
    if (reference.starts_with("engine:")) {
        return fail(Fault::invalid, "{} brings its own model; install it, there is nothing to pull",
                    reference.substr(7));
    }
    return {};
}

/// Whether it fits with what is known now that its header can be read; "" when that tells nothing.
std::string fit_text(const probe::Machine& machine, const plan::Reserve& reserve,
                     const catalog::Entry& entry) {
    const ModelFile file{entry.id, entry.path};
    PlanQuestion question;
    question.reserve = reserve;
    const auto loads = plan_loads(machine, {&file, 1}, question);
    if (!loads || loads->models.empty() || loads->models.front().places.empty()) {
        return {};
    }
    const PlannedModel& model = loads->models.front();
    if (!model.chosen) {
        return fmt::format("It does not fit beside what runs now; see: trilane plan {}\n",
                           entry.id);
    }
    const PlannedPlace& place = model.places[*model.chosen];
    return fmt::format("It {} on {} with a context of {} tokens; for more: trilane plan {}\n",
                       place.verdict.fit == plan::Fit::tight ? "is a tight fit" : "fits",
                       place.device, place.need.context_tokens, entry.id);
}

std::string how_to_run(const catalog::Entry& entry) {
    if (entry.purpose == catalog::Purpose::chat && entry.more_paths.empty()) {
        const auto file = gguf::File::open(entry.path);
        if (file && runs_here(**file)) {
            return fmt::format("Run it: trilane run {}\n", entry.id);
        }
    }
    return fmt::format("Load it into a running daemon: trilane load {}\n", entry.id);
}

Status print_end(const PullVerbOptions& options, const probe::Machine& machine,
                 const plan::Reserve& reserve, const catalog::Entry& entry) {
    if (options.json) {
        return print_json({{"event", "done"},
                           {"name", entry.id},
                           {"file", entry.path},
                           {"more_files", entry.more_paths},
                           {"projector", entry.projector_path},
                           {"bytes", entry.bytes},
                           {"purpose", catalog::purpose_name(entry.purpose)},
                           {"repository", entry.repository}});
    }
    const bool is_gguf = entry.architecture != "whisper";
    return print(fmt::format("{} is in {}, {}.\n{}{}", entry.id,
                             printable(entry.path.substr(0, entry.path.rfind('/'))),
                             human_bytes(entry.bytes),
                             is_gguf ? fit_text(machine, reserve, entry) : "", how_to_run(entry)));
}

Result<catalog::Entry> download(const PullVerbOptions& options, const catalog::Hub& hub,
                                const catalog::Reference& reference,
                                const catalog::Variant& variant, std::uint64_t spare_bytes) {
    const InterruptWatch watch;
    ProgressBar bar(progress_style(options.json), progress_writer(options.json), terminal_columns);
    catalog::PullOptions pulling;
    pulling.directory = options.models_dir;
    pulling.id = options.id;
    pulling.force = options.force;
    pulling.spare_bytes = spare_bytes;
    pulling.on_progress = [&](const catalog::Progress& progress) {
        if (watch.interrupted()) {
            pulling.cancel.cancel();
        }
        bar.show(progress);
    };
    return catalog::pull(hub, reference, variant, pulling);
}

}  // namespace

Result<int> perform(const PullVerbOptions& options) {
    TRILANE_TRY_STATUS(check_store(options.reference));
    TRILANE_TRY(const catalog::Reference reference, catalog::parse_reference(options.reference));
    if (options.models_dir.empty()) {
        return fail(Fault::invalid,
                    "there is no folder to keep models in; set HOME or XDG_DATA_HOME");
    }
    const config::Checked checked = told_config(options.config_file);
    if (!checked.understood("catalog")) {
        return fail(Fault::invalid,
                    "{} does not say for sure which hub models come from; mend it first, see: "
                    "trilane config check",
                    options.config_file);
    }
    const config::Config& config = checked.config;
    const std::string& named = config.catalog.hub_endpoint;
    const catalog::Hub hub =
        hub_of(named.empty() ? options.hub_endpoint : named, options.hub_token);
    TRILANE_TRY(auto variants, catalog::list_variants(hub, reference));
    const probe::Machine machine = probe::read_machine();
    TRILANE_TRY(
        const VariantChoice choice,
        choose(std::move(variants), reference, plan::memory_of(machine, config.memory.reserve)));
    TRILANE_TRY_STATUS(options.json ? print_json(choice_json(reference, choice))
                                    : print(choice_text(reference, choice)));
    if (options.dry_run) {
        return kExitOk;
    }
    const auto entry = download(options, hub, reference, choice.variants[choice.chosen].variant,
                                config.catalog.disk_reserve_bytes);
    if (!entry && entry.error().fault == Fault::cancelled) {
        print_error(fmt::format("trilane: {}\n", entry.error().message));
        return kExitInterrupted;
    }
    if (!entry) {
        return tl::unexpected(entry.error());
    }
    TRILANE_TRY_STATUS(print_end(options, machine, config.memory.reserve, *entry));
    return kExitOk;
}

}  // namespace trilane::app
