#include "lane/child/help_text.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <vector>

namespace trilane::lane {
namespace {

constexpr std::size_t kOptionsMax = 4096;
/// Options begin near the margin; what stands further right is the rest of a description.
constexpr std::size_t kIndentMax = 16;

/// "-c", "--ctx-size": one or two dashes, then a letter.
bool is_option(std::string_view word) {
    const std::size_t dashes = std::min(word.find_first_not_of('-'), word.size());
    if (dashes == 0 || dashes > 2 || dashes == word.size() ||
        std::isalpha(static_cast<unsigned char>(word[dashes])) == 0) {
        return false;
    }
    return std::all_of(word.begin(), word.end(), [](unsigned char letter) {
        return std::isalnum(letter) != 0 || letter == '-' || letter == '_';
    });
}

/// The line up to the gap before its description. A gap between two names of one option, after a
/// comma, does not count.
std::string_view head_of(std::string_view line) {
    for (std::size_t gap = line.find("  "); gap != std::string_view::npos;) {
        const std::size_t after = line.find_first_not_of(' ', gap);
        const bool joins = gap > 0 && line[gap - 1] == ',' && after != std::string_view::npos &&
                           line[after] == '-';
        if (!joins) {
            return line.substr(0, gap);
        }
        gap = line.find("  ", after);
    }
    return line;
}

}  // namespace

HelpText::HelpText(std::string_view text) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        read_line(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

void HelpText::read_line(std::string_view line) {
    const std::size_t indent = line.find_first_not_of(" \t");
    if (indent == std::string_view::npos || indent > kIndentMax || line[indent] != '-') {
        return;
    }
    std::string_view head = head_of(line.substr(indent));
    std::vector<std::string_view> names;
    bool value = false;
    while (!head.empty()) {
        constexpr std::string_view kBetween = " ,[]()=\t";
        const std::size_t end = std::min(head.find_first_of(kBetween), head.size());
        const std::string_view word = head.substr(0, end);
        head.remove_prefix(std::min(end + 1, head.size()));
        if (is_option(word)) {
            names.push_back(word);
        } else if (!word.empty()) {
            value = true;
        }
    }
    for (const std::string_view name : names) {
        if (options_.size() < kOptionsMax) {
            options_.emplace(name, value);
        }
    }
}

bool HelpText::knows(std::string_view option) const {
    return options_.find(option) != options_.end();
}

bool HelpText::takes_value(std::string_view option) const {
    const auto found = options_.find(option);
    return found != options_.end() && found->second;
}

std::optional<std::string_view> HelpText::first_known(
    std::span<const std::string_view> names) const {
    for (const std::string_view name : names) {
        if (knows(name)) {
            return name;
        }
    }
    return std::nullopt;
}

}  // namespace trilane::lane
