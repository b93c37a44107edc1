// ProgressBar: how far a pull or an import is, for a person at a terminal, for a log, or as JSON
// lines. Measures nothing itself.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "catalog/pull.h"
#include "json/fwd.h"

namespace trilane::app {

/// One line of at most `columns` columns: phase, file, bar, share, bytes, rate and time left. What
/// does not fit is left out, the bar last.
std::string bar_text(const catalog::Progress& progress, std::size_t columns);

/// The same as words: "downloading a.gguf: 45 % of 18.6 GB, 85.3 MB/s, 2:05 left".
std::string progress_text(const catalog::Progress& progress);

json::Value progress_json(const catalog::Progress& progress);

/// "2:05", "1:02:03"; "" when the rate does not tell.
std::string time_left(const catalog::Progress& progress);

class ProgressBar {
public:
    using Clock = std::chrono::steady_clock;
    /// bar: redrawn in place. lines: one every kLineInterval. json: one object a line.
    enum class Style { bar, lines, json };
    static constexpr std::chrono::seconds kLineInterval{10};
    static constexpr std::chrono::seconds kJsonInterval{1};

    /// `write` gets what is to be shown; `columns` is asked before each drawing.
    ProgressBar(Style style, std::function<void(std::string_view)> write,
                std::function<std::size_t()> columns);
    ~ProgressBar();  ///< takes the bar off the screen
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    void show(const catalog::Progress& progress, Clock::time_point now = Clock::now());
    void clear();

private:
    const Style style_;
    const std::function<void(std::string_view)> write_;
    const std::function<std::size_t()> columns_;
    bool drawn_ = false;
    bool shown_ = false;
    Clock::time_point shown_at_{};
    std::string shown_phase_;
};

/// A bar on standard error when that is a terminal, lines there otherwise; with `json` objects on
/// standard output.
ProgressBar::Style progress_style(bool json);
std::function<void(std::string_view)> progress_writer(bool json);

/// Columns of the terminal at standard error; 80 when it does not say.
std::size_t terminal_columns();

}  // namespace trilane::app
