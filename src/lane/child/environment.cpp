#include "lane/child/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace trilane::lane {
namespace {

constexpr std::array<std::string_view, 4> kForeignPrefixes{"LLAMA_ARG_", "FLM_", "XILINX_XRT",
                                                           "TRILANE_"};
constexpr std::array<std::string_view, 2> kForeignNames{"LLAMA_API_KEY", "XRT_INI_PATH"};

/// A list of folders without those of an XRT installation.
std::string without_xrt(std::string_view folders) {
    std::string kept;
    while (!folders.empty()) {
        const std::size_t end = std::min(folders.find(':'), folders.size());
        const std::string_view folder = folders.substr(0, end);
        folders.remove_prefix(std::min(end + 1, folders.size()));
        std::string lower(folder);
        std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char letter) {
            return static_cast<char>(std::tolower(letter));
        });
        if (folder.empty() || lower.find("xrt") != std::string::npos) {
            continue;
        }
        kept += (kept.empty() ? "" : ":") + std::string(folder);
    }
    return kept;
}

}  // namespace

bool may_inherit(std::string_view name) {
    const bool foreign =
        std::any_of(kForeignPrefixes.begin(), kForeignPrefixes.end(),
                    [name](std::string_view prefix) { return name.starts_with(prefix); }) ||
        std::find(kForeignNames.begin(), kForeignNames.end(), name) != kForeignNames.end();
    return !name.empty() && !foreign;
}

std::vector<std::string> child_environment(std::span<const std::string> inherited,
                                           const Variables& of_kind, const Variables& of_user) {
    Variables all;
    for (const std::string& each : inherited) {
        const std::size_t equals = each.find('=');
        if (equals == std::string::npos || !may_inherit(std::string_view(each).substr(0, equals))) {
            continue;
        }
        std::string name = each.substr(0, equals);
        std::string value = each.substr(equals + 1);
        if (name == "LD_LIBRARY_PATH") {
            value = without_xrt(value);
            if (value.empty()) {
                continue;
            }
        }
        all.insert_or_assign(std::move(name), std::move(value));
    }
    for (const Variables* more : {&of_kind, &of_user}) {
        for (const auto& [name, value] : *more) {
            all.insert_or_assign(name, value);
        }
    }
    std::vector<std::string> environment;
    environment.reserve(all.size());
    for (const auto& [name, value] : all) {
        environment.push_back(fmt::format("{}={}", name, value));
    }
    return environment;
}

std::string_view variable_in(std::span<const std::string> environment, std::string_view name) {
    for (const std::string& each : environment) {
        if (each.size() > name.size() && each.starts_with(name) && each[name.size()] == '=') {
            return std::string_view(each).substr(name.size() + 1);
        }
    }
    return {};
}

}  // namespace trilane::lane
