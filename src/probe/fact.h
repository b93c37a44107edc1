// Fact: a value and where it was read.
#pragma once

#include <string>

namespace trilane::probe {

/// A fact and the file it was read from ("" = it could not be read).
template <class T>
struct Fact {
    T value{};
    std::string source;
    [[nodiscard]] bool known() const { return !source.empty(); }
};

}  // namespace trilane::probe
