// The alphabet's tables, made once at compile time.
#include "token/byte_letters.h"

#include <array>

namespace trilane::token {
namespace {

constexpr std::size_t kLettersEnd = 0x100 + 68;

struct Letter {
    std::array<char, 2> text{};
    std::uint8_t bytes = 0;
};

struct Alphabet {
    std::array<Letter, 256> letters{};
    std::array<std::int16_t, kLettersEnd> bytes{};
};

constexpr bool is_own_letter(unsigned byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr Letter encode(unsigned code_point) {
    if (code_point < 0x80) {
        return {{static_cast<char>(code_point), 0}, 1};
    }
    return {{static_cast<char>(0xC0U | code_point >> 6U),
             static_cast<char>(0x80U | (code_point & 0x3FU))},
            2};
}

constexpr Alphabet make_alphabet() {
    Alphabet alphabet;
    alphabet.bytes.fill(-1);
    unsigned next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
        const unsigned code_point = is_own_letter(byte) ? byte : next++;
        alphabet.letters[byte] = encode(code_point);
        alphabet.bytes[code_point] = static_cast<std::int16_t>(byte);
    }
    return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string_view letter_of_byte(std::uint8_t byte) {
    const Letter& letter = kAlphabet.letters[byte];
    return {letter.text.data(), letter.bytes};
}

std::optional<std::uint8_t> byte_of_letter(char32_t code_point) {
    if (code_point >= kLettersEnd || kAlphabet.bytes[code_point] < 0) {
        return std::nullopt;
    }
    return static_cast<std::uint8_t>(kAlphabet.bytes[code_point]);
}

void append_bytes_of_letters(std::string_view letters, std::string& text) {
    for (std::size_t i = 0; i < letters.size();) {
        const auto lead = static_cast<std::uint8_t>(letters[i]);
        // The alphabet ends below U+0800, so its letters have one or two bytes.
        char32_t code_point = lead;
        std::size_t bytes = 1;
        if (lead >= 0xC0 && lead < 0xE0 && i + 1 < letters.size()) {
            const auto second = static_cast<std::uint8_t>(letters[i + 1]);
            code_point = (lead & 0x1FU) << 6U | (second & 0x3FU);
            bytes = 2;
        }
        const auto byte = lead < 0x80 || bytes == 2 ? byte_of_letter(code_point) : std::nullopt;
        if (byte) {
            text.push_back(static_cast<char>(*byte));
        } else {
            text.append(letters.substr(i, bytes));
        }
        i += bytes;
    }
}

}  // namespace trilane::token
