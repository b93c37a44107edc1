// The command line: words → a Command, or the text that a person gets instead (help, or what was
// wrong). Knows the options' names and ranges; does nothing itself.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "app/environment.h"
#include "app/options.h"

namespace trilane::app {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitInterrupted = 130;  ///< as shells count SIGINT

/// The program ends here: help that was asked for (exit 0, for stdout) or a usage error (exit 2).
struct Stop {
    int exit_code = kExitOk;
    std::string text;
};

/// `arguments` without the program's own name. Nothing is read but the arguments and `environment`.
std::variant<Command, Stop> parse_command_line(std::vector<std::string> arguments,
                                               const Environment& environment);

/// Whether `host` reaches this machine only: localhost, 127.x.x.x or ::1.
bool is_loopback(std::string_view host);

}  // namespace trilane::app
