#include "base/utf8.h"

#include <cstdint>

namespace trilane {
namespace {

struct Sequence {
    std::size_t bytes;  // how many bytes were consumed, at least 1
    enum { complete, truncated, ill_formed } state;
};

/// Reads the sequence at the start of `text`, which is not empty.
Sequence read_sequence(std::string_view text) {
    const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = at(0);
    if (lead < 0x80) {
        return {1, Sequence::complete};
    }
    std::size_t length = 0;
    std::uint8_t low = 0x80;
    std::uint8_t high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        low = lead == 0xE0 ? 0xA0 : low;
        high = lead == 0xED ? 0x9F : high;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        low = lead == 0xF0 ? 0x90 : low;
        high = lead == 0xF4 ? 0x8F : high;
    } else {
        return {1, Sequence::ill_formed};
    }
    for (std::size_t i = 1; i < length; ++i) {
        if (i == text.size()) {
            return {i, Sequence::truncated};
        }
        if (at(i) < low || at(i) > high) {
            return {i, Sequence::ill_formed};
        }
        low = 0x80;
        high = 0xBF;
    }
    return {length, Sequence::complete};
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
    while (!text.empty()) {
        const Sequence sequence = read_sequence(text);
        if (sequence.state != Sequence::complete) {
            return false;
        }
        text.remove_prefix(sequence.bytes);
    }
    return true;
}

std::size_t utf8_complete_prefix(std::string_view text) {
    // Only the last three bytes can belong to an unfinished character.
    const std::size_t first = text.size() > 3 ? text.size() - 3 : 0;
    for (std::size_t i = first; i < text.size(); ++i) {
        const auto byte = static_cast<std::uint8_t>(text[i]);
        if (byte >= 0xC0 && read_sequence(text.substr(i)).state == Sequence::truncated) {
            return i;
        }
    }
    return text.size();
}

std::string utf8_clipped(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) {
        return std::string(text);
    }
    const std::string_view head = text.substr(0, bytes_max);
    return std::string(head.substr(0, utf8_complete_prefix(head))) + "…";
}

std::string utf8_repaired(std::string_view text) {
    std::string repaired;
    repaired.reserve(text.size());
    while (!text.empty()) {
        const Sequence sequence = read_sequence(text);
        if (sequence.state == Sequence::complete) {
            repaired.append(text.substr(0, sequence.bytes));
        } else {
            repaired.append("\xEF\xBF\xBD");
        }
        text.remove_prefix(sequence.bytes);
    }
    return repaired;
}

}  // namespace trilane
