// `trilane usage`: what the daemon has answered, summed up.
#include <fmt/format.h>

#include <array>
#include <ctime>

#include "app/output.h"
#include "app/serve_setup.h"
#include "app/verbs.h"
#include "config/reading.h"
#include "json/json.h"
#include "usage/ledger.h"

namespace trilane::app {
namespace {

using usage::By;

Result<std::vector<By>> read_by(const std::vector<std::string>& words) {
    constexpr std::array kAll{By::key, By::model, By::lane, By::subject, By::day, By::hour};
    std::vector<By> out;
    for (const std::string& word : words) {
        bool known = false;
        for (const By by : kAll) {
            if (word == usage::by_name(by)) {
                out.push_back(by);
                known = true;
            }
        }
        if (!known) {
            return fail(Fault::invalid,
                        "--by {}: use key, model, lane, subject, day or hour, or several of them "
                        "with commas between",
                        printable(word));
        }
    }
    return out;
}

/// "7d" and "2w", beside what durations of the configuration may be.
std::optional<std::uint64_t> read_since(std::string_view text) {
    constexpr std::uint64_t kDay = 86'400;
    for (const auto& [letter, seconds] : {std::pair('d', kDay), std::pair('w', 7 * kDay)}) {
        if (text.ends_with(letter)) {
            const auto count = config::parse_seconds(text.substr(0, text.size() - 1));
            return count ? std::optional(*count * seconds) : std::nullopt;
        }
    }
    return config::parse_seconds(text);
}

double tokens_per_second(const usage::Sums& sums) {
    constexpr double kMsPerSecond = 1000;
    return sums.predicted_ms > 0
               ? kMsPerSecond * static_cast<double>(sums.completion_tokens) / sums.predicted_ms
               : 0;
}

std::string shown(By by, const std::string& text) {
    if (!text.empty()) {
        return printable(text);
    }
    return by == By::key ? "(no key)" : "-";
}

Status print_table(const std::vector<By>& by, const std::vector<usage::Row>& rows) {
    std::vector<std::vector<std::string>> cells(1);
    for (const By one : by) {
        std::string heading = usage::by_name(one);
        for (char& c : heading) {
            c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        }
        cells[0].push_back(std::move(heading));
    }
    for (const char* heading : {">REQUESTS", ">FAILED", ">PROMPT TOKENS", ">CACHED",
                                ">ANSWER TOKENS", ">TOK/S WHILE ANSWERING", ">HOURS"}) {
        cells[0].emplace_back(heading);
    }
    for (const usage::Row& row : rows) {
        std::vector<std::string> line;
        for (std::size_t i = 0; i < by.size(); ++i) {
            line.push_back(shown(by[i], row.group[i]));
        }
        constexpr double kMsPerHour = 3'600'000;
        const usage::Sums& sums = row.sums;
        line.push_back(fmt::format("{}", sums.requests));
        line.push_back(fmt::format("{}", sums.errors));
        line.push_back(fmt::format("{}", sums.prompt_tokens));
        line.push_back(fmt::format("{}", sums.cached_tokens));
        line.push_back(fmt::format("{}", sums.completion_tokens));
        line.push_back(sums.predicted_ms > 0 ? fmt::format("{:.1f}", tokens_per_second(sums))
                                             : "-");
        line.push_back(fmt::format("{:.3f}", sums.duration_ms / kMsPerHour));
        cells.push_back(std::move(line));
    }
    return print(table(cells));
}

json::Value as_json(const std::vector<By>& by, const usage::Row& row) {
    json::Value out = json::Value::object();
    for (std::size_t i = 0; i < by.size(); ++i) {
        out[usage::by_name(by[i])] = row.group[i];
    }
    out["requests"] = row.sums.requests;
    out["errors"] = row.sums.errors;
    out["prompt_tokens"] = row.sums.prompt_tokens;
    out["cached_tokens"] = row.sums.cached_tokens;
    out["completion_tokens"] = row.sums.completion_tokens;
    out["prompt_ms"] = row.sums.prompt_ms;
    out["predicted_ms"] = row.sums.predicted_ms;
    out["duration_ms"] = row.sums.duration_ms;
    return out;
}

}  // namespace

Result<int> perform(const UsageOptions& options) {
    TRILANE_TRY(const std::vector<By> by, read_by(options.by));
    const auto back = read_since(options.since);
    if (!back) {
        return fail(Fault::invalid, "--since {}: use a time such as 12h, 7d or 4w",
                    printable(options.since));
    }
    TRILANE_TRY(const config::Config config, config_in(options.config_file));
    const auto rows = usage::read_usage(usage_file(config, options.state_dir),
                                        std::time(nullptr) - static_cast<std::int64_t>(*back), by);
    if (!rows) {
        return tl::unexpected(rows.error());
    }
    if (options.json) {
        json::Value out = json::Value::array();
        for (const usage::Row& row : *rows) {
            out.push_back(as_json(by, row));
        }
        TRILANE_TRY_STATUS(print(json::dump_pretty(out) + "\n"));
        return 0;
    }
    if (rows->empty()) {
        TRILANE_TRY_STATUS(print("Nothing was asked in that time.\n"));
        return 0;
    }
    TRILANE_TRY_STATUS(print_table(by, *rows));
    return 0;
}

}  // namespace trilane::app
