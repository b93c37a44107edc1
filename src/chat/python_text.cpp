// Printing of values: str(), repr(), % formatting and JSON.
#include "chat/python_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "chat/builtins.h"
#include "chat/operators.h"
#include "chat/syntax.h"
#include "chat/unicode.h"

namespace trilane::chat {
namespace {

void append_text_repr(std::string& out, std::string_view text) {
    const bool single =
        text.find('\'') == std::string_view::npos || text.find('"') != std::string_view::npos;
    const char quote = single ? '\'' : '"';
    out += quote;
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = next_char(text, at);
        if (c == static_cast<char32_t>(quote) || c == '\\') {
            out += '\\';
            out += static_cast<char>(c);
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\r') {
            out += "\\r";
        } else if (c == '\t') {
            out += "\\t";
        } else if (is_printable(c)) {
            append_char(out, c);
        } else if (c < 0x100) {
            out += fmt::format("\\x{:02x}", static_cast<std::uint32_t>(c));
        } else if (c < 0x10000) {
            out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
        } else {
            out += fmt::format("\\U{:08x}", static_cast<std::uint32_t>(c));
        }
    }
    out += quote;
}

void append_repr(Heap& heap, std::string& out, const Value& value, unsigned depth);

void append_list_repr(Heap& heap, std::string& out, const List& list, unsigned depth) {
    out += list.tuple ? '(' : '[';
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        if (i > 0) {
            out += ", ";
        }
        append_repr(heap, out, list.items[i], depth + 1);
        if (heap.exhausted()) {
            return;
        }
    }
    if (list.tuple && list.items.size() == 1) {
        out += ',';
    }
    out += list.tuple ? ')' : ']';
}

template <class Items>
void append_pairs_repr(Heap& heap, std::string& out, const Items& items, unsigned depth) {
    out += '{';
    bool first = true;
    for (const auto& [key, value] : items) {
        if (!first) {
            out += ", ";
        }
        first = false;
        if constexpr (std::is_same_v<std::decay_t<decltype(key)>, std::string>) {
            append_text_repr(out, key);
        } else {
            append_repr(heap, out, key, depth + 1);
        }
        out += ": ";
        append_repr(heap, out, value, depth + 1);
        if (heap.exhausted()) {
            return;
        }
    }
    out += '}';
}

void append_scalar(std::string& out, const Value& value) {
    if (const auto* flag = value.get<bool>()) {
        out += *flag ? "True" : "False";
    } else if (const auto number = value.integer()) {
        out += std::to_string(*number);
    } else if (const auto* real = value.get<double>()) {
        out += float_repr(*real);
    } else if (value.none()) {
        out += "None";
    } else if (value.undefined()) {
        out += "Undefined";
    } else if (const auto* macro = value.get<const Macro*>()) {
        out += fmt::format("<Macro '{}'>", (*macro)->definition->name);
    } else if (const auto* function = value.get<const Builtin*>()) {
        out += fmt::format("<function {}>", (*function)->name);
    } else {
        out += fmt::format("<{}>", type_name(value));
    }
}

void append_repr(Heap& heap, std::string& out, const Value& value, unsigned depth) {
    if (depth > Heap::kNestingMax) {
        heap.exhaust("the nesting limit of values");
    }
    if (!heap.charge(1) || !heap.room(out.size())) {
        return;
    }
    if (const auto* text = value.text()) {
        (void)heap.charge(text->size() / 16);
        append_text_repr(out, *text);
    } else if (const auto* list = value.list()) {
        append_list_repr(heap, out, *list, depth);
    } else if (const auto* dict = value.dict()) {
        append_pairs_repr(heap, out, dict->items, depth);
    } else if (const auto* space = value.get<Namespace*>()) {
        out += "<Namespace ";
        append_pairs_repr(heap, out, (*space)->items, depth);
        out += '>';
    } else {
        append_scalar(out, value);
    }
}

}  // namespace

std::string float_repr(double number) {
    if (std::isnan(number)) {
        return "nan";
    }
    if (std::isinf(number)) {
        return number < 0 ? "-inf" : "inf";
    }
    std::array<char, 40> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                   std::chars_format::scientific)
                         .ptr;
    const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
    const bool negative = text.front() == '-';
    const auto e = text.find('e');
    std::string digits(text.substr(negative ? 1 : 0, e - (negative ? 1 : 0)));
    digits.erase(std::remove(digits.begin(), digits.end(), '.'), digits.end());
    int exponent = 0;
    const auto* exponent_begin = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
    std::from_chars(exponent_begin, text.data() + text.size(), exponent);

    std::string out = negative ? "-" : "";
    if (exponent < -4 || exponent >= 16) {
        out += digits.substr(0, 1);
        if (digits.size() > 1) {
            out += "." + digits.substr(1);
        }
        return out + fmt::format("e{}{:02d}", exponent < 0 ? '-' : '+', std::abs(exponent));
    }
    if (exponent < 0) {
        return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
    }
    const auto whole = static_cast<std::size_t>(exponent) + 1;
    if (digits.size() <= whole) {
        return out + digits + std::string(whole - digits.size(), '0') + ".0";
    }
    return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

void append_str(Heap& heap, std::string& out, const Value& value) {
    if (const auto* text = value.text()) {
        if (heap.room(out.size() + text->size())) {
            out += *text;
        }
    } else if (!value.undefined()) {
        append_repr(heap, out, value, 0);
    }
}

std::string to_str(Heap& heap, const Value& value) {
    std::string out;
    append_str(heap, out, value);
    return out;
}

Result<std::string> percent_format(Heap& heap, std::string_view format,
                                   const std::vector<Value>& values) {
    std::string out;
    std::size_t next = 0;
    for (std::size_t i = 0; i < format.size() && !heap.exhausted(); ++i) {
        if (format[i] != '%') {
            out += format[i];
            continue;
        }
        const char kind = ++i < format.size() ? format[i] : ' ';
        if (kind == '%') {
            out += '%';
            continue;
        }
        if (next >= values.size()) {
            return fail(Fault::invalid, "not enough values for the format string");
        }
        const Value& value = values[next++];
        if (kind == 's') {
            append_str(heap, out, value);
        } else if (kind == 'r') {
            append_repr(heap, out, value, 0);
        } else if ((kind == 'd' || kind == 'i') && value.real()) {
            out += fmt::format("{:.0f}", std::trunc(*value.real()));
        } else {
            return fail(Fault::invalid, "%{} cannot format {}; use %s, %r, %d or %%", kind,
                        type_name(value));
        }
    }
    if (next != values.size()) {
        return fail(Fault::invalid, "more values than the format string uses");
    }
    return out;
}

namespace {

void append_json_escape(std::string& out, char32_t c) {
    if (c >= 0x10000) {
        const auto rest = static_cast<std::uint32_t>(c) - 0x10000U;
        out +=
            fmt::format("\\u{:04x}\\u{:04x}", 0xD800U + (rest >> 10U), 0xDC00U + (rest & 0x3FFU));
    } else {
        out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
    }
}

void append_json_text(std::string& out, std::string_view text, bool ensure_ascii) {
    out += '"';
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = next_char(text, at);
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
            case '\b':
                out += "\\b";
                break;
            case '\f':
                out += "\\f";
                break;
            default:
                if (c < 0x20 || (ensure_ascii && c > 0x7E)) {
                    append_json_escape(out, c);
                } else {
                    append_char(out, c);
                }
        }
    }
    out += '"';
}

void append_break(std::string& out, const JsonStyle& style, unsigned depth) {
    if (style.indent) {
        out += '\n';
        for (unsigned i = 0; i < depth; ++i) {
            out += *style.indent;
        }
    }
}

Result<std::string> json_key(Heap& heap, const Value& key) {
    if (const auto* text = key.text()) {
        return *text;
    }
    if (const auto* flag = key.get<bool>()) {
        return *flag ? "true" : "false";
    }
    if (key.none()) {
        return "null";
    }
    if (key.real()) {
        return to_str(heap, key);
    }
    return fail(Fault::invalid, "tojson: {} cannot be a key", type_name(key));
}

Status append_json_dict(Heap& heap, std::string& out, const Dict& dict, const JsonStyle& style,
                        unsigned depth) {
    std::vector<std::pair<std::string, const Value*>> items;
    for (const auto& [key, value] : dict.items) {
        TRILANE_TRY(auto name, json_key(heap, key));
        items.emplace_back(std::move(name), &value);
    }
    if (style.sort_keys) {
        std::stable_sort(items.begin(), items.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
    }
    out += '{';
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (i > 0) {
            out += style.item_separator;
        }
        append_break(out, style, depth + 1);
        append_json_text(out, items[i].first, style.ensure_ascii);
        out += style.key_separator;
        TRILANE_TRY_STATUS(append_json(heap, out, *items[i].second, style, depth + 1));
    }
    if (!items.empty()) {
        append_break(out, style, depth);
    }
    out += '}';
    return {};
}

Status append_json_list(Heap& heap, std::string& out, const List& list, const JsonStyle& style,
                        unsigned depth) {
    out += '[';
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        if (i > 0) {
            out += style.item_separator;
        }
        append_break(out, style, depth + 1);
        TRILANE_TRY_STATUS(append_json(heap, out, list.items[i], style, depth + 1));
    }
    if (!list.items.empty()) {
        append_break(out, style, depth);
    }
    out += ']';
    return {};
}

std::string json_number(double number) {
    if (std::isnan(number)) {
        return "NaN";
    }
    if (std::isinf(number)) {
        return number < 0 ? "-Infinity" : "Infinity";
    }
    return float_repr(number);
}

}  // namespace

Status append_json(Heap& heap, std::string& out, const Value& value, const JsonStyle& style,
                   unsigned depth) {
    if (depth > Heap::kNestingMax) {
        heap.exhaust("the nesting limit of values");
    }
    if (!heap.charge(1) || !heap.room(out.size())) {
        return {};
    }
    if (const auto* text = value.text()) {
        (void)heap.charge(text->size() / 16);
        append_json_text(out, *text, style.ensure_ascii);
    } else if (const auto* list = value.list()) {
        return append_json_list(heap, out, *list, style, depth);
    } else if (const auto* dict = value.dict()) {
        return append_json_dict(heap, out, *dict, style, depth);
    } else if (const auto* flag = value.get<bool>()) {
        out += *flag ? "true" : "false";
    } else if (const auto* real = value.get<double>()) {
        out += json_number(*real);
    } else if (value.none()) {
        out += "null";
    } else if (const auto number = value.integer()) {
        out += std::to_string(*number);
    } else {
        return fail(Fault::invalid, "tojson: {} is not JSON", type_name(value));
    }
    return {};
}

}  // namespace trilane::chat
