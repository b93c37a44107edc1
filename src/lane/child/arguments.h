// Arguments: a child's command line, written for the version of the program that is there, with the
// user's own arguments last and never against the plan.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lane/child/help_text.h"

namespace trilane::lane {

/// An option that the lane sets itself, and what to write instead of it.
struct Reserved {
    std::string_view option;
    std::string_view instead;
};
/// Instead of an argument that nothing replaces.
inline constexpr std::string_view kRemove = "remove it";

/// **Errors:** invalid, naming the first argument that is reserved, the lane, and what to write
/// instead. "--port=1" counts as "--port".
Status refuse_reserved(std::span<const std::string> args, std::span<const Reserved> reserved,
                       std::string_view lane);

class Arguments {
public:
    /// `help` must outlive this. What the user gives is left to the user: set() skips it.
    Arguments(const HelpText& help, std::vector<std::string> user);

    /// Adds an argument whatever the program's help says.
    Arguments& add(std::string text);
    /// Adds an option under the first of its names that the program knows; none known: leaves it
    /// out. An option without a value is a switch.
    Arguments& set(std::initializer_list<std::string_view> names, std::string_view value = {});

    [[nodiscard]] bool user_gives(std::initializer_list<std::string_view> names) const;

    /// The command line so far with the user's arguments behind it.
    [[nodiscard]] std::vector<std::string> finish() &&;

private:
    const HelpText& help_;
    std::vector<std::string> user_;
    std::vector<std::string> arguments_;
};

}  // namespace trilane::lane
