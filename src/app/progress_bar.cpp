#include "app/progress_bar.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "app/output.h"
#include "json/json.h"

namespace trilane::app {
namespace {

constexpr std::size_t kColumnsDefault = 80;
constexpr std::size_t kColumnsMax = 500;
constexpr std::size_t kBarMin = 10;
constexpr std::size_t kBarMax = 50;
constexpr std::size_t kFileMin = 12;
constexpr std::size_t kFileMax = 48;

double share_of(const catalog::Progress& progress) {
    if (progress.total_bytes == 0) {
        return 1;
    }
    return std::clamp(
        static_cast<double>(progress.done_bytes) / static_cast<double>(progress.total_bytes), 0.0,
        1.0);
}

/// Down, so that 100 % means the end.
unsigned percent_of(const catalog::Progress& progress) {
    return static_cast<unsigned>(share_of(progress) * 100);
}

/// The beginning and the end of a name: both say which file it is.
std::string clipped(const std::string& name, std::size_t columns) {
    if (name.size() <= columns) {
        return name;
    }
    const std::size_t tail = (columns - 2) / 2;
    return name.substr(0, columns - 2 - tail) + ".." + name.substr(name.size() - tail);
}

std::string bar(double share, std::size_t columns) {
    const std::size_t inside = columns - 2;
    const auto filled = static_cast<std::size_t>(share * static_cast<double>(inside));
    std::string text = "[" + std::string(filled, '=');
    if (filled < inside) {
        text += '>' + std::string(inside - filled - 1, ' ');
    }
    return text + ']';
}

/// " 45 %   8.37 of 18.6 GB   85.3 MB/s    2:05 left", of the same width throughout a pull.
std::string figures(const catalog::Progress& progress, bool with_bytes, bool with_time) {
    std::string text = fmt::format("{:>3} %", percent_of(progress));
    if (with_bytes) {
        text += fmt::format("  {:>7} of {:>7}", human_bytes(progress.done_bytes),
                            human_bytes(progress.total_bytes));
    }
    const std::string rate =
        progress.bytes_per_s > 0
            ? human_bytes(static_cast<std::uint64_t>(progress.bytes_per_s)) + "/s"
            : "";
    text += fmt::format("  {:>9}", rate);
    if (with_time) {
        const std::string left = time_left(progress);
        text += fmt::format("  {:>7}{}", left, left.empty() ? "     " : " left");
    }
    return text;
}

}  // namespace

std::string time_left(const catalog::Progress& progress) {
    constexpr double kSecondsMax = 100 * 3600;
    if (progress.bytes_per_s <= 0 || progress.done_bytes >= progress.total_bytes) {
        return {};
    }
    const double seconds_left =
        static_cast<double>(progress.total_bytes - progress.done_bytes) / progress.bytes_per_s;
    if (seconds_left >= kSecondsMax) {
        return {};
    }
    const auto seconds = static_cast<unsigned>(std::ceil(seconds_left));
    return seconds >= 3600
               ? fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
               : fmt::format("{}:{:02}", seconds / 60, seconds % 60);
}

std::string bar_text(const catalog::Progress& progress, std::size_t columns) {
    columns = std::min(columns, kColumnsMax);
    const std::string file = printable(progress.file);
    std::string right = figures(progress, true, true);
    std::string left = progress.phase + ' ';
    // The name gets what the bar can spare, the bar what is left of the line.
    const std::size_t taken = left.size() + 1 + right.size() + 1;
    if (columns >= taken + kFileMin + kBarMin) {
        const std::size_t spare = columns - taken;
        const std::size_t name =
            std::min({file.size(), kFileMax, std::max(spare - kBarMin - 1, kFileMin)});
        const std::size_t room = spare - name;
        left += clipped(file, name) + ' ';
        return left + bar(share_of(progress), std::min(room, kBarMax)) + ' ' + right;
    }
    for (const auto& [with_bytes, with_time] :
         {std::pair(true, true), std::pair(false, true), std::pair(false, false)}) {
        right = figures(progress, with_bytes, with_time);
        if (right.size() + kBarMin + 1 <= columns) {
            return bar(share_of(progress), std::min(columns - right.size() - 1, kBarMax)) + ' ' +
                   right;
        }
    }
    return right.substr(0, columns);
}

std::string progress_text(const catalog::Progress& progress) {
    std::string text = fmt::format("{} {}: {} % of {}", progress.phase, printable(progress.file),
                                   percent_of(progress), human_bytes(progress.total_bytes));
    if (progress.bytes_per_s > 0) {
        text +=
            fmt::format(", {}/s", human_bytes(static_cast<std::uint64_t>(progress.bytes_per_s)));
    }
    const std::string left = time_left(progress);
    return text + (left.empty() ? "" : ", " + left + " left");
}

json::Value progress_json(const catalog::Progress& progress) {
    return {{"event", "progress"},
            {"phase", progress.phase},
            {"file", progress.file},
            {"done_bytes", progress.done_bytes},
            {"total_bytes", progress.total_bytes},
            {"bytes_per_s", static_cast<std::uint64_t>(std::max(progress.bytes_per_s, 0.0))}};
}

ProgressBar::ProgressBar(Style style, std::function<void(std::string_view)> write,
                         std::function<std::size_t()> columns)
    : style_(style), write_(std::move(write)), columns_(std::move(columns)) {}

ProgressBar::~ProgressBar() {
    clear();
}

void ProgressBar::show(const catalog::Progress& progress, Clock::time_point now) {
    if (style_ == Style::bar) {
        // One column stays free: a full last one makes some terminals wrap.
        const std::size_t columns = std::max<std::size_t>(columns_(), 2) - 1;
        write_('\r' + bar_text(progress, columns) + "\x1b[K");
        drawn_ = true;
        return;
    }
    const auto interval = style_ == Style::json ? kJsonInterval : kLineInterval;
    if (shown_ && now - shown_at_ < interval && progress.phase == shown_phase_) {
        return;
    }
    shown_ = true;
    shown_at_ = now;
    shown_phase_ = progress.phase;
    write_((style_ == Style::json ? json::dump(progress_json(progress)) : progress_text(progress)) +
           '\n');
}

void ProgressBar::clear() {
    if (drawn_) {
        write_("\r\x1b[K");
        drawn_ = false;
    }
}

ProgressBar::Style progress_style(bool json) {
    return json                   ? ProgressBar::Style::json
           : stderr_is_terminal() ? ProgressBar::Style::bar
                                  : ProgressBar::Style::lines;
}

std::function<void(std::string_view)> progress_writer(bool json) {
    if (json) {
        // Somebody who no longer reads is told by the last line, which is checked.
        return [](std::string_view text) { static_cast<void>(print(text)); };
    }
    return [](std::string_view text) { print_error(text); };
}

std::size_t terminal_columns() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                             : kColumnsDefault;
}

}  // namespace trilane::app
