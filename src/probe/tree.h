// Tree: small text files, folders and links below a root that stands for "/". No meaning: what a
// file says is its reader's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "probe/fact.h"

namespace trilane::probe {

/// Bytes of one file that are looked at, and entries of one folder.
inline constexpr std::size_t kFileBytesMax = 1U << 20U;
inline constexpr std::size_t kFolderEntriesMax = 4096;

/// Paths given and returned begin with "/" and leave the root out: they are what a person on that
/// machine would type. What cannot be read counts as absent.
class Tree {
public:
    /// "" and "/" are this machine.
    explicit Tree(std::string root);

    [[nodiscard]] const std::string& root() const { return root_; }
    [[nodiscard]] bool is_this_machine() const { return root_.empty(); }
    /// Where the path lies on this machine.
    [[nodiscard]] std::string full(std::string_view path) const;

    [[nodiscard]] bool exists(std::string_view path) const;
    [[nodiscard]] std::string text(std::string_view path,
                                   std::size_t bytes_max = kFileBytesMax) const;
    /// The first line without surrounding blanks; absent when there is none or it is empty.
    [[nodiscard]] std::optional<std::string> line(std::string_view path) const;
    /// The whole number that the file begins with, decimal or 0x….
    [[nodiscard]] std::optional<std::uint64_t> number(std::string_view path) const;
    /// Names in a folder, in natural order: card2 before card10.
    [[nodiscard]] std::vector<std::string> names(std::string_view folder) const;
    /// The last part of what a symbolic link points to; "" when it is none.
    [[nodiscard]] std::string link_name(std::string_view path) const;

    [[nodiscard]] Fact<std::string> line_fact(const std::string& path) const;
    [[nodiscard]] Fact<std::uint64_t> number_fact(const std::string& path,
                                                  std::uint64_t unit = 1) const;

private:
    std::string root_;
};

std::string_view trimmed(std::string_view text);
/// The lines of a text, without their ends.
std::vector<std::string_view> lines_of(std::string_view text);
/// The parts between blanks.
std::vector<std::string_view> words_of(std::string_view text);
/// The whole number that `text` begins with, decimal or 0x….
std::optional<std::uint64_t> leading_number(std::string_view text);
/// The value of "key: value" or "key value" in a text of such lines; absent when there is none.
std::optional<std::string> value_of(std::string_view text, std::string_view key);

}  // namespace trilane::probe
