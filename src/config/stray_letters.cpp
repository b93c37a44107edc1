#include "config/stray_letters.h"

#include <algorithm>
#include <string>

namespace trilane::config {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Walks over quotes and comments.
class Walk {
public:
    explicit Walk(std::string_view text) : text_(text) {
        if (text_.starts_with(kByteOrderMark)) {
            at_ = kByteOrderMark.size();
        }
    }

    std::optional<std::size_t> next_stray() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '#') {
                at_ = std::min(text_.find('\n', at_), text_.size());
            } else if (c == '"' || c == '\'') {
                skip_string(c);
            } else if ((static_cast<unsigned char>(c) & 0x80U) != 0) {
                return at_;
            } else {
                ++at_;
            }
        }
        return std::nullopt;
    }

private:
    void skip_string(char quote) {
        const bool several_lines = text_.substr(at_, 3) == std::string(3, quote);
        at_ += several_lines ? 3 : 1;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '\\' && quote == '"') {
                at_ += 2;
            } else if (several_lines && text_.substr(at_, 3) == std::string(3, quote)) {
                at_ += 3;
                return;
            } else if (!several_lines && (c == quote || c == '\n')) {
                ++at_;
                return;
            } else {
                ++at_;
            }
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

std::optional<TextPlace> find_stray_letter(std::string_view text) {
    const auto stray = Walk(text).next_stray();
    if (!stray) {
        return std::nullopt;
    }
    TextPlace place;
    for (const char c : text.substr(0, *stray)) {
        place.line += c == '\n' ? 1 : 0;
        place.column = c == '\n' ? 1 : place.column + 1;
    }
    return place;
}

}  // namespace trilane::config
