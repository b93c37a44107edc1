// Options that several kinds of lanes have, each written once: a kind's table is made of these and
// of its own. What the values do is the lanes' business. Inside of lane.
#pragma once

#include <string_view>

#include "lane/descriptor.h"

namespace trilane::lane::option {

inline constexpr std::uint64_t kDaySeconds = 86'400;
inline constexpr std::uint64_t kContextTokensMax = 1U << 22U;

constexpr Option device(std::string_view usual) {
    return {.key = "device",
            .type = OptionType::device,
            .field = &Settings::device,
            .text = "Whose memory it takes: \"cpu\", \"gpu0\" …, as `trilane plan` names them.",
            .usual = usual};
}
constexpr Option program(std::string_view usual) {
    return {.key = "program",
            .type = OptionType::text,
            .field = &Settings::program,
            .text = "Path or name of the program.",
            .usual = usual};
}
constexpr Option args(std::string_view text =
                          "Further arguments for every start of the program; those that Trilane "
                          "sets itself are refused.") {
    return {.key = "args", .type = OptionType::texts, .field = &Settings::args, .text = text};
}
constexpr Option environment(
    std::string_view text = "Further variables for it: { NAME = \"value\" }.") {
    return {.key = "environment",
            .type = OptionType::pairs,
            .field = &Settings::environment,
            .text = text};
}
constexpr Option residents_max(std::string_view usual) {
    return {.key = "residents_max",
            .type = OptionType::count,
            .field = &Settings::residents_max,
            .text = "Models that may be loaded on it at once.",
            .usual = usual,
            .max = 256};
}
constexpr Option requests_max(std::string_view text, std::string_view usual, std::uint64_t max) {
    return {.key = "requests_max",
            .type = OptionType::count,
            .field = &Settings::requests_max,
            .text = text,
            .usual = usual,
            .max = max};
}
constexpr Option cgroup() {
    return {.key = "cgroup",
            .type = OptionType::text,
            .field = &Settings::cgroup,
            .text = "Control group that its children join.",
            .usual = "the daemon's"};
}
constexpr Option start_timeout() {
    return {.key = "start_timeout",
            .type = OptionType::seconds,
            .field = &Settings::start_timeout_s,
            .text = "How long a model may take from its start to its first sensible answer.",
            .min = 1,
            .max = kDaySeconds};
}
constexpr Option hang_timeout(std::string_view text =
                                  "Busy, without a token and without health for so long: started "
                                  "anew.") {
    return {.key = "hang_timeout",
            .type = OptionType::seconds,
            .field = &Settings::hang_timeout_s,
            .text = text,
            .min = 1,
            .max = kDaySeconds};
}
constexpr Option silence_timeout(std::string_view text =
                                     "Busy and without a token for so long, whatever its health: "
                                     "started anew. Reading a long prompt counts, too.") {
    return {.key = "silence_timeout",
            .type = OptionType::seconds,
            .field = &Settings::silence_timeout_s,
            .text = text,
            .min = 1,
            .max = kDaySeconds};
}

}  // namespace trilane::lane::option
