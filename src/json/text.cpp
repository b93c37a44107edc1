#include "json/text.h"

#include <fmt/format.h>

#include <iterator>

#include "base/utf8.h"

namespace trilane::json {

void append_escaped(std::string& out, std::string_view text) {
    std::size_t run = 0;  // start of the bytes that need no escape
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        out.append(text, run, i - run);
        run = i + 1;
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
        }
    }
    out.append(text, run);
}

void append_string(std::string& out, std::string_view text) {
    out += '"';
    if (is_valid_utf8(text)) {
        json::append_escaped(out, text);
    } else {
        json::append_escaped(out, utf8_repaired(text));
    }
    out += '"';
}

}  // namespace trilane::json
