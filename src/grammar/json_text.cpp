#include "grammar/json_text.h"

#include <algorithm>

#include "grammar/grammar.h"
#include "json/json.h"
#include "json/text.h"

namespace trilane::grammar {
namespace {

const CharSet& plain_chars() {
    static const CharSet set = CharSet{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}.inverse();
    return set;
}

CharSet hex_digits() {
    return {{'0', '9'}, {'A', 'F'}, {'a', 'f'}};
}

Part digits(Builder& b, std::uint32_t min, std::uint32_t max) {
    return b.repeat(b.chars({{'0', '9'}}), min, max);
}

}  // namespace

JsonText::JsonText(Builder& builder) : builder_(builder) {
    builder_.set_depth_max(std::min(builder_.depth_max(), kJsonDepthMax));
}

Part JsonText::comma() {
    return builder_.sequence({builder_.literal(","), builder_.optional(builder_.literal(" "))});
}

Part JsonText::colon() {
    return builder_.sequence({builder_.literal(":"), builder_.optional(builder_.literal(" "))});
}

/// Escapes of surrogates come in pairs only: half a pair is no character.
Part JsonText::any_char() {
    Builder& b = builder_;
    const Part hex = b.chars(hex_digits());
    const Part d = b.chars({{'D', 'D'}, {'d', 'd'}});
    const Part below_d = b.chars({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}});
    const Part unpaired = b.either(
        {b.sequence({below_d, hex, hex, hex}), b.sequence({d, b.chars({{'0', '7'}}), hex, hex})});
    const Part pair =
        b.sequence({d, b.chars({{'8', '9'}, {'A', 'B'}, {'a', 'b'}}), hex, hex, b.literal("\\u"), d,
                    b.chars({{'C', 'F'}, {'c', 'f'}}), hex, hex});
    const Part escape = b.either({b.chars({{'"', '"'},
                                           {'\\', '\\'},
                                           {'/', '/'},
                                           {'b', 'b'},
                                           {'f', 'f'},
                                           {'n', 'n'},
                                           {'r', 'r'},
                                           {'t', 't'}}),
                                  b.sequence({b.literal("u"), b.either({unpaired, pair})})});
    return b.either({b.chars(plain_chars()), b.sequence({b.literal("\\"), escape})});
}

Part JsonText::char_of(Builder& builder, const CharSet& set) {
    std::vector<Part> ways = {builder.chars(set.intersection(plain_chars()))};
    const CharSet special = set.intersection(plain_chars().inverse());
    for (const CharSet::Range& range : special.ranges()) {
        for (char32_t c = range.lo; c <= range.hi; ++c) {
            std::string escaped;
            json::append_escaped(escaped, std::string(1, static_cast<char>(c)));
            ways.push_back(builder.literal(escaped));
        }
    }
    return builder.either(std::move(ways));
}

Part JsonText::quoted(Part content) {
    return builder_.sequence({builder_.literal("\""), content, builder_.literal("\"")});
}

Part JsonText::string() {
    if (!string_.has_value()) {
        string_ = builder_.declare("string");
        builder_.define(*string_, quoted(builder_.repeat(any_char(), 0, kUnbounded)));
    }
    return builder_.call(*string_);
}

Part JsonText::integer() {
    Builder& b = builder_;
    return b.sequence({b.optional(b.literal("-")),
                       b.either({b.literal("0"), b.sequence({b.chars({{'1', '9'}}),
                                                             digits(b, 0, kDigitsMax - 1)})})});
}

/// Exponents of two digits: more digits than a double has would read as infinite.
Part JsonText::number() {
    Builder& b = builder_;
    return b.sequence(
        {integer(), b.optional(b.sequence({b.literal("."), digits(b, 1, kDigitsMax)})),
         b.optional(b.sequence({b.chars({{'E', 'E'}, {'e', 'e'}}),
                                b.optional(b.chars({{'+', '+'}, {'-', '-'}})), digits(b, 1, 2)}))});
}

Part JsonText::boolean() {
    return builder_.either({builder_.literal("true"), builder_.literal("false")});
}

Part JsonText::null() {
    return builder_.literal("null");
}

Part JsonText::value() {
    if (!value_.has_value()) {
        value_ = builder_.declare("value");
        builder_.define(
            *value_, builder_.either({object(), array(), string(), number(), boolean(), null()}));
    }
    return builder_.call(*value_);
}

Part JsonText::object() {
    if (!object_.has_value()) {
        object_ = builder_.declare("object");
        const Part member = builder_.sequence({string(), colon(), value()});
        builder_.define(*object_, repeated("{", member, "}", 0, kUnbounded));
    }
    return builder_.call(*object_);
}

Part JsonText::array() {
    if (!array_.has_value()) {
        array_ = builder_.declare("array");
        builder_.define(*array_, repeated("[", value(), "]", 0, kUnbounded));
    }
    return builder_.call(*array_);
}

Part JsonText::repeated(std::string_view open, Part member, std::string_view close,
                        std::uint32_t min, std::uint32_t max) {
    Builder& b = builder_;
    if (max == 0) {
        return b.literal(std::string(open) + std::string(close));
    }
    const Part more = b.repeat(b.sequence({comma(), member}), min > 0 ? min - 1 : 0,
                               max >= kUnbounded ? kUnbounded : max - 1);
    const Part some = b.sequence({member, more});
    return b.sequence({b.literal(open), min > 0 ? some : b.optional(some), b.literal(close)});
}

Part JsonText::exactly(const json::Value& value) {
    std::vector<Part> parts;
    if (value.is_object()) {
        for (const auto& [key, member] : value.items()) {
            std::string text;
            json::append_string(text, key);
            parts.push_back(parts.empty() ? builder_.literal("{") : comma());
            parts.push_back(builder_.literal(text));
            parts.push_back(colon());
            parts.push_back(exactly(member));
        }
        parts.push_back(builder_.literal(parts.empty() ? "{}" : "}"));
    } else if (value.is_array()) {
        for (const auto& item : value) {
            parts.push_back(parts.empty() ? builder_.literal("[") : comma());
            parts.push_back(exactly(item));
        }
        parts.push_back(builder_.literal(parts.empty() ? "[]" : "]"));
    } else {
        parts.push_back(builder_.literal(json::dump(value)));
    }
    return parts.size() == 1 ? parts[0] : builder_.sequence(std::move(parts));
}

Part add_json_value(Builder& builder) {
    return JsonText(builder).value();
}

Part add_json_object(Builder& builder) {
    return JsonText(builder).object();
}

}  // namespace trilane::grammar
