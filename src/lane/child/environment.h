// What a child may know of this process's surroundings: the environment it starts with. Reads no
// environment itself; it is given one and leaves out what has misled such programs before.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trilane::lane {

using Variables = std::map<std::string, std::string>;

/// Whether a child may inherit that variable. Not: settings of engines that would override the
/// command line (LLAMA_ARG_*, FLM_*), XRT's set-up script (with it FLM sees no device), keys of
/// this daemon.
bool may_inherit(std::string_view name);

/// The environment of a child: what may be inherited of `inherited` ("NAME=value"), less XRT's
/// folders in LD_LIBRARY_PATH; then `of_kind`; then `of_user`, which may set anything.
std::vector<std::string> child_environment(std::span<const std::string> inherited,
                                           const Variables& of_kind, const Variables& of_user);

/// The value of a variable in such a list; "" when it is not there.
std::string_view variable_in(std::span<const std::string> environment, std::string_view name);

}  // namespace trilane::lane
