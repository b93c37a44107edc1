#include "base/base64.h"

#include <array>
#include <cstdint>

namespace trilane {
namespace {

constexpr std::string_view kLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoLetter = 0xFF;
constexpr std::uint8_t kBlank = 0xFE;

constexpr std::array<std::uint8_t, 256> values_of_letters() {
    std::array<std::uint8_t, 256> values{};
    values.fill(kNoLetter);
    for (std::size_t i = 0; i < kLetters.size(); ++i) {
        values[static_cast<unsigned char>(kLetters[i])] = static_cast<std::uint8_t>(i);
    }
    values['-'] = values['+'];
    values['_'] = values['/'];
    for (const char blank : {' ', '\t', '\r', '\n'}) {
        values[static_cast<unsigned char>(blank)] = kBlank;
    }
    return values;
}

constexpr std::array<std::uint8_t, 256> kValues = values_of_letters();

}  // namespace

std::string base64_encoded(std::string_view bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t have = bytes.size() - i < 3 ? bytes.size() - i : 3;
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            group = group << 8U | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0U);
        }
        out += kLetters[group >> 18U];
        out += kLetters[(group >> 12U) & 63U];
        out += have > 1 ? kLetters[(group >> 6U) & 63U] : '=';
        out += have > 2 ? kLetters[group & 63U] : '=';
    }
    return out;
}

std::optional<std::string> base64_decoded(std::string_view text) {
    std::string out;
    out.reserve(text.size() / 4 * 3 + 3);
    std::uint32_t group = 0;
    unsigned letters = 0;
    unsigned padding = 0;
    for (const char c : text) {
        const std::uint8_t value = kValues[static_cast<unsigned char>(c)];
        if (value == kBlank) {
            continue;
        }
        if (c == '=') {
            ++padding;
            continue;
        }
        if (value == kNoLetter || padding > 0) {
            return std::nullopt;
        }
        group = group << 6U | value;
        if (++letters % 4 == 0) {
            out += static_cast<char>(group >> 16U & 0xFFU);
            out += static_cast<char>(group >> 8U & 0xFFU);
            out += static_cast<char>(group & 0xFFU);
            group = 0;
        }
    }
    const unsigned rest = letters % 4;
    if (rest == 1 || padding > 2 || (padding > 0 && rest + padding != 4)) {
        return std::nullopt;
    }
    if (rest >= 2) {
        out += static_cast<char>((rest == 2 ? group >> 4U : group >> 10U) & 0xFFU);
    }
    if (rest == 3) {
        out += static_cast<char>(group >> 2U & 0xFFU);
    }
    return out;
}

}  // namespace trilane
