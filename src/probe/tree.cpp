#include "probe/tree.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <fstream>

namespace trilane::probe {
namespace {

namespace fs = std::filesystem;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// The digits at `at`, without leading zeros; moves `at` behind them.
std::string_view take_digits(std::string_view text, std::size_t& at) {
    const std::size_t begin = std::min(text.find_first_not_of('0', at), text.size());
    std::size_t end = begin;
    while (end < text.size() && is_digit(text[end])) {
        ++end;
    }
    at = end;
    return text.substr(begin, end - begin);
}

bool natural_less(std::string_view a, std::string_view b) {
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.size() && j < b.size()) {
        if (is_digit(a[i]) && is_digit(b[j])) {
            const std::string_view x = take_digits(a, i);
            const std::string_view y = take_digits(b, j);
            if (x.size() != y.size()) {
                return x.size() < y.size();
            }
            if (x != y) {
                return x < y;
            }
            continue;
        }
        if (a[i] != b[j]) {
            return a[i] < b[j];
        }
        ++i;
        ++j;
    }
    return a.size() - i < b.size() - j;
}

}  // namespace

Tree::Tree(std::string root) : root_(std::move(root)) {
    while (root_.ends_with('/')) {
        root_.pop_back();
    }
}

std::string Tree::full(std::string_view path) const {
    return root_ + std::string(path);
}

bool Tree::exists(std::string_view path) const {
    std::error_code ignored;
    return fs::exists(full(path), ignored);
}

std::string Tree::text(std::string_view path, std::size_t bytes_max) const {
    std::ifstream file(full(path), std::ios::binary);
    std::string text;
    // Files of /proc and /sys have no size that could be asked for.
    constexpr std::size_t kPieceBytes = 16'384;
    std::string piece(kPieceBytes, '\0');
    while (file && text.size() < bytes_max) {
        file.read(piece.data(), static_cast<std::streamsize>(kPieceBytes));
        text.append(piece, 0,
                    static_cast<std::size_t>(std::max<std::streamsize>(0, file.gcount())));
    }
    text.resize(std::min(text.size(), bytes_max));
    return text;
}

std::optional<std::string> Tree::line(std::string_view path) const {
    std::ifstream file(full(path));
    std::string line;
    std::getline(file, line);
    const std::string_view content = trimmed(line);
    return content.empty() ? std::nullopt : std::optional<std::string>(content);
}

std::optional<std::uint64_t> Tree::number(std::string_view path) const {
    const auto content = line(path);
    return content ? leading_number(*content) : std::nullopt;
}

std::vector<std::string> Tree::names(std::string_view folder) const {
    std::vector<std::string> found;
    std::error_code error;
    fs::directory_iterator entry(full(folder), error);
    while (!error && entry != fs::directory_iterator() && found.size() < kFolderEntriesMax) {
        found.push_back(entry->path().filename().string());
        entry.increment(error);
    }
    std::sort(found.begin(), found.end(), natural_less);
    return found;
}

std::string Tree::link_name(std::string_view path) const {
    std::error_code error;
    const fs::path target = fs::read_symlink(full(path), error);
    return error ? std::string() : target.filename().string();
}

Fact<std::string> Tree::line_fact(const std::string& path) const {
    auto content = line(path);
    return content ? Fact<std::string>{std::move(*content), path} : Fact<std::string>{};
}

Fact<std::uint64_t> Tree::number_fact(const std::string& path, std::uint64_t unit) const {
    const auto value = number(path);
    return value ? Fact<std::uint64_t>{*value * unit, path} : Fact<std::uint64_t>{};
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    const auto begin = text.find_first_not_of(kBlanks);
    const auto end = text.find_last_not_of(kBlanks);
    return begin == std::string_view::npos ? std::string_view{}
                                           : text.substr(begin, end - begin + 1);
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        lines.push_back(line);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

std::vector<std::string_view> words_of(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    std::vector<std::string_view> words;
    while (true) {
        const auto begin = text.find_first_not_of(kBlanks);
        if (begin == std::string_view::npos) {
            return words;
        }
        text.remove_prefix(begin);
        const std::size_t end = std::min(text.find_first_of(kBlanks), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
}

std::optional<std::uint64_t> leading_number(std::string_view text) {
    text = trimmed(text);
    const bool is_hex = text.starts_with("0x");
    text.remove_prefix(is_hex ? 2 : 0);
    std::uint64_t value = 0;
    const auto result =
        std::from_chars(text.data(), text.data() + text.size(), value, is_hex ? 16 : 10);
    return result.ec == std::errc{} ? std::optional(value) : std::nullopt;
}

std::optional<std::string> value_of(std::string_view text, std::string_view key) {
    for (const std::string_view line : lines_of(text)) {
        if (!line.starts_with(key)) {
            continue;
        }
        std::string_view rest = line.substr(key.size());
        const std::string_view unblanked = trimmed(rest);
        if (unblanked.starts_with(':')) {
            return std::string(trimmed(unblanked.substr(1)));
        }
        if (rest.starts_with(' ') || rest.starts_with('\t')) {
            return std::string(unblanked);
        }
    }
    return std::nullopt;
}

}  // namespace trilane::probe
