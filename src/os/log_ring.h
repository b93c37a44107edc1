// LogRing: the last lines that programs printed, within a bound of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "os/line_assembler.h"

namespace trilane::os {

struct LogLine {
    std::uint64_t number = 0;  ///< counts from 1 over the ring's life; gaps mean lines were dropped
    std::int64_t unix_ms = 0;
    bool error_stream = false;  ///< standard error rather than standard output
    std::int32_t process = 0;  ///< that printed it, or that a note is about; 0 = none in particular
    std::string text;          ///< without the line break; valid UTF-8, control characters removed
};

/// **Threads:** every function from any thread.
class LogRing {
public:
    /// `bytes_max` counts each line's text and its LogLine; the newest line is kept whatever it is.
    explicit LogRing(std::size_t bytes_max = std::size_t{256} << 10U) : bytes_max_(bytes_max) {}

    /// Adds raw output of a stream; lines may arrive in pieces. Of one program at a time: the
    /// pieces of two would be joined (add_lines() is for several).
    void write(std::string_view bytes, bool error_stream);
    /// Adds lines that a LineAssembler made, together.
    void add_lines(std::vector<std::string> lines, bool error_stream, std::int32_t process = 0);
    /// Adds a line of our own ("started as process 4711").
    void note(std::string_view line, std::int32_t process = 0);
    /// Ends unfinished lines of write() (the stream has closed).
    void flush();

    /// Lines after number `after`, oldest first, at most `lines_max` of the newest ones.
    [[nodiscard]] std::vector<LogLine> lines(std::uint64_t after = 0,
                                             std::size_t lines_max = SIZE_MAX) const;
    /// The same of one process alone, whoever else prints here.
    [[nodiscard]] std::vector<LogLine> lines_of(std::int32_t process, std::uint64_t after,
                                                std::size_t lines_max) const;
    /// The last `lines_max` lines joined by " | ", for an error message.
    [[nodiscard]] std::string tail(std::size_t lines_max) const;

private:
    void append(std::vector<std::string> lines, bool error_stream, std::int32_t process);

    mutable std::mutex mutex_;
    const std::size_t bytes_max_;
    std::size_t bytes_ = 0;
    std::uint64_t last_number_ = 0;
    std::deque<LogLine> lines_;
    LineAssembler output_;
    LineAssembler errors_;
};

}  // namespace trilane::os
