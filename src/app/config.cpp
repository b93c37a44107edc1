// `trilane config`: checks and shows the configuration file. Starts nothing.
#include "config/config.h"

#include <algorithm>
#include <utility>

#include "app/command_line.h"
#include "app/config_check.h"
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

Result<std::string> text_of(const ConfigOptions& options) {
    if (options.file.empty()) {
        return fail(Fault::not_found,
                    "there is no configuration file, so the defaults count; looked for:{}\nmake "
                    "one with: trilane config default > FILE",
                    places_text(options));
    }
    return read_file(options.file, kConfigBytesMax);
}

/// What is wrong with the text, and with what it names here.
Result<config::Checked> check_all(const ConfigOptions& options) {
    TRILANE_TRY(const std::string text, text_of(options));
    config::Checked checked = config::read_config(text, options.file);
    const std::vector<config::Remark> more =
        machine_remarks(checked, text, options.serve, probe::read_machine());
    checked.remarks.insert(checked.remarks.end(), more.begin(), more.end());
    std::ranges::stable_sort(checked.remarks, {}, [](const config::Remark& remark) {
        return std::pair(remark.line, remark.column);
    });
    return checked;
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
    TRILANE_TRY(const config::Checked checked, check_all(options));
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
            out += fmt::format("{} is good{}: {} lanes, {} models\n", printable(options.file),
                               checked.remarks.empty() ? "" : ", but for the warnings",
                               checked.config.lanes.size(), checked.config.models.size());
        }
    }
    TRILANE_TRY_STATUS(print(out));
    return checked.good() ? kExitOk : kExitFailure;
}

Result<int> show(const ConfigOptions& options) {
    config::Config config;
    if (!options.file.empty()) {
        TRILANE_TRY(const std::string text, text_of(options));
        config::Checked checked = config::read_config(text, options.file);
        if (!checked.good()) {
            return fail(Fault::invalid, "{} has errors; see: trilane config check", options.file);
        }
        config = std::move(checked.config);
    }
    if (options.json) {
        TRILANE_TRY(const json::Value settings, config::effective_json(config));
        TRILANE_TRY_STATUS(print(json::dump_pretty(settings) + "\n"));
        return kExitOk;
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
    if (options.json) {
        const json::Value file = options.file.empty() ? json::Value() : json::Value(options.file);
        const json::Value report = {{"file", file}, {"places", options.places}};
        TRILANE_TRY_STATUS(print(json::dump_pretty(report) + "\n"));
        return options.file.empty() ? kExitFailure : kExitOk;
    }
    if (options.file.empty()) {
        return text_of(options).map([](const std::string&) { return kExitOk; });
    }
    TRILANE_TRY_STATUS(print(options.file + "\n"));
    return kExitOk;
}

}  // namespace trilane::app
