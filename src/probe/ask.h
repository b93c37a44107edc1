// Ask: runs other programs for a moment and takes what they print. For questions with an end; the
// servers that stay are started by os/child.h.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace trilane::probe {

/// Bytes kept of each stream of an answer; the rest is read and dropped.
inline constexpr std::size_t kAnswerBytesMax = std::size_t{1} << 20U;
/// Programs that run at the same time.
inline constexpr std::size_t kAskedAtOnceMax = 16;
/// How long a killed program may take to go. One that hangs in a driver cannot be waited for.
inline constexpr std::chrono::milliseconds kKillGrace{500};

struct Question {
    std::vector<std::string> argv;         ///< argv[0] is the path of the program
    std::vector<std::string> environment;  ///< all of it, "NAME=value"
};

struct Answer {
    std::string out;
    std::string err;
    std::optional<int> exit_code;  ///< absent: it did not start, was ended by a signal or by us
    std::string problem;           ///< why `exit_code` is absent, for a person; else ""
};

/// Runs all of them, each for at most `patience`, with nothing to read on standard input and with
/// a process group of its own, which is killed in the end. Answers stand in the questions' order.
std::vector<Answer> ask(std::span<const Question> questions, std::chrono::milliseconds patience);

/// A child that was started by other means, as its own process group.
struct Started {
    pid_t pid = -1;
    int out = -1;  ///< where its standard output can be read; gather() closes it
    int err = -1;  ///< -1 = nowhere
};

/// The same for one child that already runs.
Answer gather(Started child, std::chrono::milliseconds patience);

}  // namespace trilane::probe
