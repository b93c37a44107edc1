#include "os/log_ring.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace trilane::os {
namespace {

std::int64_t unix_ms_now() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

std::size_t cost_bytes(const LogLine& line) {
    return sizeof(LogLine) + line.text.size();
}

}  // namespace

void LogRing::write(std::string_view bytes, bool error_stream) {
    std::vector<std::string> complete;
    const std::lock_guard<std::mutex> lock(mutex_);
    (error_stream ? errors_ : output_).take(bytes, complete);
    append(std::move(complete), error_stream, 0);
}

void LogRing::add_lines(std::vector<std::string> lines, bool error_stream, std::int32_t process) {
    const std::lock_guard<std::mutex> lock(mutex_);
    append(std::move(lines), error_stream, process);
}

void LogRing::note(std::string_view line, std::int32_t process) {
    std::vector<std::string> complete;
    LineAssembler own;
    own.take(line, complete);
    own.finish(complete);
    add_lines(std::move(complete), false, process);
}

void LogRing::flush() {
    std::vector<std::string> complete;
    const std::lock_guard<std::mutex> lock(mutex_);
    output_.finish(complete);
    append(std::exchange(complete, {}), false, 0);
    errors_.finish(complete);
    append(std::move(complete), true, 0);
}

std::vector<LogLine> LogRing::lines(std::uint64_t after, std::size_t lines_max) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto newer = static_cast<std::size_t>(last_number_ - std::min(after, last_number_));
    const std::size_t count = std::min({newer, lines_max, lines_.size()});
    return {lines_.end() - static_cast<std::ptrdiff_t>(count), lines_.end()};
}

std::vector<LogLine> LogRing::lines_of(std::int32_t process, std::uint64_t after,
                                       std::size_t lines_max) const {
    std::vector<LogLine> found;
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto line = lines_.rbegin(); line != lines_.rend() && line->number > after; ++line) {
        if (found.size() >= lines_max) {
            break;
        }
        if (line->process == process) {
            found.push_back(*line);
        }
    }
    std::ranges::reverse(found);
    return found;
}

std::string LogRing::tail(std::size_t lines_max) const {
    std::string joined;
    for (const LogLine& line : lines(0, lines_max)) {
        if (!joined.empty()) {
            joined += " | ";
        }
        joined += line.text;
    }
    return joined;
}

void LogRing::append(std::vector<std::string> lines, bool error_stream, std::int32_t process) {
    for (std::string& text : lines) {
        lines_.push_back({++last_number_, unix_ms_now(), error_stream, process, std::move(text)});
        bytes_ += cost_bytes(lines_.back());
    }
    while (bytes_ > bytes_max_ && lines_.size() > 1) {
        bytes_ -= cost_bytes(lines_.front());
        lines_.pop_front();
    }
}

}  // namespace trilane::os
