#include "gateway/query.h"

#include <algorithm>
#include <charconv>

namespace trilane::gateway {

std::string percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        if (text[i] == '%' && i + 2 < text.size()) {
            const char* const digits = text.data() + i + 1;
            const auto [end, ec] = std::from_chars(digits, digits + 2, value, 16);
            if (ec == std::errc() && end == digits + 2) {
                out += static_cast<char>(static_cast<unsigned char>(value));
                i += 2;
                continue;
            }
        }
        out += text[i];
    }
    return out;
}

std::string query_text(std::string_view target, std::string_view name) {
    const std::size_t question = target.find('?');
    std::string_view rest =
        question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
    while (!rest.empty()) {
        const std::string_view pair = rest.substr(0, rest.find('&'));
        if (pair.starts_with(name) && pair.substr(name.size()).starts_with('=')) {
            return percent_decoded(pair.substr(name.size() + 1));
        }
        rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    }
    return {};
}

}  // namespace trilane::gateway
