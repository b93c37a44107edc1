// `trilane import`: a GGUF file of this machine into the models folder.
#include <fmt/core.h>

#include "app/command_line.h"
#include "app/interrupt.h"
#include "app/output.h"
#include "app/progress_bar.h"
#include "app/serve_setup.h"
#include "app/verbs.h"
#include "catalog/pull.h"
#include "json/json.h"

namespace trilane::app {

Result<int> perform(const ImportOptions& options) {
    if (options.models_dir.empty()) {
        return fail(Fault::invalid,
                    "there is no folder to keep models in; set HOME or XDG_DATA_HOME");
    }
    const InterruptWatch watch;
    ProgressBar bar(progress_style(options.json), progress_writer(options.json), terminal_columns);
    catalog::PullOptions importing;
    importing.directory = options.models_dir;
    importing.id = options.id;
    importing.spare_bytes = told_config(options.config_file).config.catalog.disk_reserve_bytes;
    importing.on_progress = [&](const catalog::Progress& progress) {
        if (watch.interrupted()) {
            importing.cancel.cancel();
        }
        bar.show(progress);
    };
    const auto entry = catalog::import_file(options.path, importing, options.link);
    bar.clear();
    if (!entry && entry.error().fault == Fault::cancelled) {
        print_error(fmt::format("trilane: {}\n", entry.error().message));
        return kExitInterrupted;
    }
    if (!entry) {
        return tl::unexpected(entry.error());
    }
    if (options.json) {
        TRILANE_TRY_STATUS(print(json::dump({{"event", "done"},
                                             {"name", entry->id},
                                             {"file", entry->path},
                                             {"bytes", entry->bytes},
                                             {"linked", options.link}}) +
                                 '\n'));
        return kExitOk;
    }
    TRILANE_TRY_STATUS(print(fmt::format(
        "{} is {} in {}, {}.\n", entry->id, options.link ? "linked" : "stored",
        printable(entry->path.substr(0, entry->path.rfind('/'))), human_bytes(entry->bytes))));
    return kExitOk;
}

}  // namespace trilane::app
