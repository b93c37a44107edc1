// SseParser: bytes of a text/event-stream, cut anywhere → the data of its events. Only data counts;
// names, ids and retry times do not. An old llama-server's "error:" lines are data, too. A line
// ends with LF or CR LF: a CR alone, which the format allows, no server sends.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace trilane::lane::upstream {

/// The longest event, and the longest line.
inline constexpr std::size_t kEventBytesMax = std::size_t{4} << 20U;

class SseParser {
public:
    enum class Fed { all, stopped, too_long };

    /// Calls on_data(text) for each event that is complete now; false from it stops. `on_data` is
    /// also called for lines that begin with '{': JSON that a server wrote without its frame.
    template <class OnData>
    Fed feed(std::string_view bytes, OnData&& on_data) {
        while (!bytes.empty()) {
            const std::size_t end = bytes.find('\n');
            if (end == std::string_view::npos) {
                if (line_.size() + bytes.size() > kEventBytesMax) {
                    return Fed::too_long;
                }
                line_ += bytes;
                break;
            }
            std::string_view line = bytes.substr(0, end);
            bytes.remove_prefix(end + 1);
            if (!line_.empty()) {
                line_ += line;
                line = line_;
            }
            const Fed fed = take_line(line, on_data);
            if (fed != Fed::all) {
                return fed;
            }
            if (!line_.empty()) {
                own_pending();
                line_.clear();
            }
        }
        own_pending();
        return Fed::all;
    }

    /// The stream has ended: what is left is its last event, though no blank line follows it.
    template <class OnData>
    Fed finish(OnData&& on_data) {
        if (!line_.empty()) {
            const std::string line = std::move(line_);
            line_.clear();
            const Fed fed = take_line(line, on_data);
            if (fed != Fed::all) {
                return fed;
            }
            own_pending();
        }
        return take_line({}, on_data);
    }

    /// Lines of comment so far: the server lives though it has nothing to say.
    [[nodiscard]] std::size_t comments() const { return comments_; }

private:
    template <class OnData>
    Fed take_line(std::string_view line, OnData& on_data) {
        if (!line.empty() && line.back() == '\r') {
            line.remove_suffix(1);
        }
        if (line.size() > kEventBytesMax) {
            return Fed::too_long;
        }
        if (line.empty()) {
            if (!has_data_) {
                return Fed::all;
            }
            has_data_ = false;
            return on_data(pending_) ? Fed::all : Fed::stopped;
        }
        if (line.front() == ':') {
            ++comments_;
            return Fed::all;
        }
        if (line.front() == '{') {
            return on_data(line) ? Fed::all : Fed::stopped;
        }
        for (const std::string_view field : {"data", "error"}) {
            if (line.starts_with(field) &&
                (line.size() == field.size() || line[field.size()] == ':')) {
                line.remove_prefix(std::min(line.size(), field.size() + 1));
                return add_data(line.starts_with(' ') ? line.substr(1) : line);
            }
        }
        return Fed::all;
    }

    Fed add_data(std::string_view text) {
        if (!has_data_) {
            has_data_ = true;
            pending_ = text;
            return Fed::all;
        }
        if (pending_.size() + 1 + text.size() > kEventBytesMax) {
            return Fed::too_long;
        }
        own_pending();
        data_ += '\n';
        data_ += text;
        pending_ = data_;
        return Fed::all;
    }

    /// Copies the data of an unfinished event out of bytes that are about to go.
    void own_pending() {
        if (has_data_ && pending_.data() != data_.data()) {
            data_.assign(pending_);
            pending_ = data_;
        }
    }

    std::string line_;          // the beginning of a line
    std::string data_;          // of the event that has begun, unless it lies in what is being fed
    std::string_view pending_;  // the data of the event that has begun
    bool has_data_ = false;
    std::size_t comments_ = 0;
};

}  // namespace trilane::lane::upstream
