#include "os/line_assembler.h"

#include <utility>

#include "base/utf8.h"

namespace trilane::os {
namespace {

constexpr char kEscape = '\x1b';
constexpr char kBell = '\x07';

/// U+0080 to U+009F: control characters of two bytes, which some terminals obey.
bool is_c1_control(std::string_view text, std::size_t at) {
    if (text[at] != '\xc2' || at + 1 >= text.size()) {
        return false;
    }
    const auto second = static_cast<unsigned char>(text[at + 1]);
    return second >= 0x80 && second <= 0x9f;
}

std::string without_c1_controls(std::string text) {
    std::size_t kept = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (is_c1_control(text, at)) {
            ++at;
        } else {
            text[kept++] = text[at];
        }
    }
    text.resize(kept);
    return text;
}

}  // namespace

void LineAssembler::take(std::string_view bytes, std::vector<std::string>& lines) {
    for (const char byte : bytes) {
        take_byte(byte, lines);
    }
}

void LineAssembler::finish(std::vector<std::string>& lines) {
    place_ = Place::text;
    end_line(lines);
}

void LineAssembler::take_byte(char byte, std::vector<std::string>& lines) {
    if (byte == '\n' || byte == '\r') {
        place_ = Place::text;  // no escape goes on in the next line
        end_line(lines);
    } else if (byte == kEscape && place_ != Place::string) {
        place_ = Place::escape;
        escape_bytes_ = 0;
    } else if (place_ == Place::text || !take_escape(static_cast<unsigned char>(byte))) {
        take_text(byte, lines);
    }
}

/// True when the byte belongs to the escape; otherwise the escape is over and the byte is text.
bool LineAssembler::take_escape(unsigned char byte) {
    if (++escape_bytes_ > kEscapeBytesMax) {
        place_ = Place::text;
        return false;
    }
    switch (place_) {
        case Place::escape:
            if (byte == '[') {
                place_ = Place::sequence;
            } else if (byte == ']' || byte == 'P' || byte == 'X' || byte == '^' || byte == '_') {
                place_ = Place::string;
            } else if (byte < 0x20 || byte > 0x2f) {
                place_ = Place::text;
                return byte >= 0x30 && byte <= 0x7e;
            }
            return true;
        case Place::sequence:
            if (byte >= 0x20 && byte <= 0x3f) {
                return true;
            }
            place_ = Place::text;
            return byte >= 0x40 && byte <= 0x7e;
        case Place::string:
            if (byte == static_cast<unsigned char>(kBell)) {
                place_ = Place::text;
            } else if (byte == static_cast<unsigned char>(kEscape)) {
                place_ = Place::string_escape;
            }
            return true;
        case Place::string_escape:
            place_ = byte == '\\' ? Place::text : Place::string;
            return true;
        case Place::text:
            break;
    }
    return false;
}

void LineAssembler::take_text(char byte, std::vector<std::string>& lines) {
    if (byte == '\t') {
        byte = ' ';
    }
    const auto value = static_cast<unsigned char>(byte);
    if (value < 0x20 || value == 0x7f) {
        return;
    }
    if (text_.size() == kLogLineBytesMax) {
        std::string rest = text_.substr(utf8_complete_prefix(text_));
        text_.resize(text_.size() - rest.size());
        end_line(lines);
        text_ = std::move(rest);
    }
    text_.push_back(byte);
}

void LineAssembler::end_line(std::vector<std::string>& lines) {
    std::string line = without_c1_controls(utf8_repaired(text_));
    text_.clear();
    // A replaced byte takes three, so that a line of garbage may have grown beyond the limit.
    while (line.size() > kLogLineBytesMax) {
        const std::string_view front = std::string_view(line).substr(0, kLogLineBytesMax);
        const std::size_t cut = utf8_complete_prefix(front);
        lines.push_back(line.substr(0, cut));
        line.erase(0, cut);
    }
    if (!line.empty()) {
        lines.push_back(std::move(line));
    }
}

}  // namespace trilane::os
