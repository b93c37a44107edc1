// `trilane config`: checks and shows the configuration file. Starts nothing.
#include "config/config.h"

#include "app/command_line.h"
#include "app/output.h"
#include "app/verbs.h"
#include "json/json.h"

namespace trilane::app {
namespace {

std::string places_text(const ConfigOptions& options) {
    std::string text;
    for (const std::string& place : options.places) {
        text += "\n  " + place;
    }
    return text;
}

Result<config::Checked> read(const ConfigOptions& options) {
    if (options.file.empty()) {
        return fail(Fault::not_found,
                    "there is no configuration file, so the defaults count; looked for:{}\nmake "
                    "one with: trilane config default > FILE",
                    places_text(options));
    }
    TRILANE_TRY(const std::string text, read_file(options.file, kConfigBytesMax));
    return config::read_config(text, options.file);
}

json::Value remarks_json(const config::Checked& checked) {
    json::Value remarks = json::Value::array();
    for (const config::Remark& remark : checked.remarks) {
        remarks.push_back({{"line", remark.line},
                           {"column", remark.column},
                           {"severity", remark.error ? "error" : "warning"},
                           {"text", remark.text}});
    }
    return remarks;
}

Result<int> check(const ConfigOptions& options) {
    TRILANE_TRY(const config::Checked checked, read(options));
    std::string out;
    if (options.json) {
        const json::Value report = {
            {"file", options.file}, {"good", checked.good()}, {"remarks", remarks_json(checked)}};
        out = json::dump_pretty(report) + "\n";
    } else {
        for (const config::Remark& remark : checked.remarks) {
            out += printable(config::remark_text(options.file, remark)) + '\n';
        }
        if (checked.good()) {
            out += fmt::format("{} is good: {} lanes, {} models\n", printable(options.file),
                               checked.config.lanes.size(), checked.config.models.size());
        }
    }
    TRILANE_TRY_STATUS(print(out));
    return checked.good() ? kExitOk : kExitFailure;
}

Result<int> show(const ConfigOptions& options) {
    config::Config config;
    if (!options.file.empty()) {
        TRILANE_TRY(config::Checked checked, read(options));
        if (!checked.good()) {
            return fail(Fault::invalid, "{} has errors; see: trilane config check", options.file);
        }
        config = std::move(checked.config);
    }
    TRILANE_TRY_STATUS(print(config::effective_text(config)));
    return kExitOk;
}

}  // namespace

Result<int> perform(const ConfigOptions& options) {
    switch (options.what) {
        case ConfigOptions::What::check:
            return check(options);
        case ConfigOptions::What::show:
            return show(options);
        case ConfigOptions::What::defaults:
            TRILANE_TRY_STATUS(print(config::default_text()));
            return kExitOk;
        case ConfigOptions::What::path:
            break;
    }
    if (options.file.empty()) {
        return read(options).map([](const config::Checked&) { return kExitOk; });
    }
    TRILANE_TRY_STATUS(print(options.file + "\n"));
    return kExitOk;
}

}  // namespace trilane::app
