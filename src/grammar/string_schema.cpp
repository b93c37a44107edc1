#include "grammar/string_schema.h"

#include <array>
#include <cmath>
#include <optional>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "grammar/regex.h"
#include "json/json.h"

namespace trilane::grammar {
namespace {

using json::Value;

/// Formats as expressions of texts that every reader of the format takes; narrower than the
/// formats are where readers differ (no leap days or seconds, no quoted mailboxes), and of bounded
/// length, so that small models find their end.
#define TRILANE_DATE                                                                     \
    "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|" \
    "[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
#define TRILANE_TIME                                                           \
    "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:" \
    "[01][0-9]|2[0-3]):[0-5][0-9])"
#define TRILANE_LABEL "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?"
#define TRILANE_HOST TRILANE_LABEL "(?:\\." TRILANE_LABEL "){0,4}"
#define TRILANE_OCTET "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define TRILANE_URI_CHARS "[a-zA-Z0-9._~-]"

constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kFormats = {{
    {"date", "^" TRILANE_DATE "$"},
    {"time", "^" TRILANE_TIME "$"},
    {"date-time", "^" TRILANE_DATE "T" TRILANE_TIME "$"},
    {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
    {"email", "^[a-zA-Z0-9]{1,20}(?:[._+-][a-zA-Z0-9]{1,20}){0,2}@" TRILANE_LABEL
              "(?:\\." TRILANE_LABEL "){1,4}$"},
    {"hostname", "^" TRILANE_HOST "$"},
    {"ipv4", "^" TRILANE_OCTET "(?:\\." TRILANE_OCTET "){3}$"},
    {"ipv6", "^[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}$"},
    {"uri", "^https?://" TRILANE_HOST "(?::[1-9][0-9]{0,3})?(?:/" TRILANE_URI_CHARS
            "{0,60}){0,12}(?:\\?" TRILANE_URI_CHARS "{1,30}=" TRILANE_URI_CHARS
            "{0,60}(?:&" TRILANE_URI_CHARS "{1,30}=" TRILANE_URI_CHARS
            "{0,60}){0,8})?(?:#" TRILANE_URI_CHARS "{0,60})?$"},
}};

#undef TRILANE_DATE
#undef TRILANE_TIME
#undef TRILANE_LABEL
#undef TRILANE_HOST
#undef TRILANE_OCTET
#undef TRILANE_URI_CHARS

/// Any character as a string's inside may spell it, loosely: the other side of both() says exactly
/// how.
Part spelled_char(Builder& b) {
    const Part hex = b.chars({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
    return b.either({b.chars(CharSet{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}.inverse()),
                     b.sequence({b.literal("\\"),
                                 b.either({b.chars({{'"', '"'},
                                                    {'\\', '\\'},
                                                    {'/', '/'},
                                                    {'b', 'b'},
                                                    {'f', 'f'},
                                                    {'n', 'n'},
                                                    {'r', 'r'},
                                                    {'t', 't'}}),
                                           b.sequence({b.literal("u"), hex, hex, hex, hex})})})});
}

Result<Part> pattern_part(Builder& b, std::string_view pattern, const std::string& place) {
    auto part = add_regex(b, pattern, {.write = JsonText::char_of, .search = true});
    if (!part) {
        return tl::unexpected(std::move(part).error().because(
            fmt::format("the pattern at {}", utf8_clipped(place, 200))));
    }
    return part;
}

Result<std::optional<std::uint32_t>> length(const Value& schema, const char* keyword,
                                            const std::string& place) {
    if (!schema.contains(keyword)) {
        return std::nullopt;
    }
    const Value& value = schema[keyword];
    if (!value.is_number() || !(value.get<double>() >= 0) ||
        std::floor(value.get<double>()) != value.get<double>()) {
        return fail(Fault::invalid, "the schema at {} has a '{}' that is not a natural number",
                    utf8_clipped(place, 200), keyword);
    }
    return static_cast<std::uint32_t>(std::min<double>(value.get<double>(), kUnbounded));
}

}  // namespace

Result<Part> read_string(Builder& b, JsonText& text, const Value& schema,
                         const std::string& place) {
    TRILANE_TRY(const auto min, length(schema, "minLength", place));
    TRILANE_TRY(const auto max, length(schema, "maxLength", place));
    const std::uint32_t least = min.value_or(0);
    const std::uint32_t most = max.value_or(kUnbounded);
    if (least > most || least >= kUnbounded) {
        return fail(Fault::invalid, "the schema at {} has a 'minLength' that cannot be reached",
                    utf8_clipped(place, 200));
    }
    std::vector<Part> bounds;
    if (schema.contains("pattern")) {
        if (!schema["pattern"].is_string()) {
            return fail(Fault::invalid, "the 'pattern' at {} is not a text",
                        utf8_clipped(place, 200));
        }
        TRILANE_TRY(const Part part, pattern_part(b, schema["pattern"].get<std::string>(), place));
        bounds.push_back(part);
    }
    if (schema.contains("format")) {
        const auto* known = std::find_if(kFormats.begin(), kFormats.end(), [&](const auto& format) {
            return schema["format"] == Value(std::string(format.first));
        });
        if (known == kFormats.end()) {
            return fail(Fault::invalid,
                        "the schema at {} asks for the format {}, which answers cannot be held to; "
                        "known are date, time, date-time, uuid, email, hostname, ipv4, ipv6, uri",
                        utf8_clipped(place, 200), utf8_clipped(json::dump(schema["format"]), 60));
        }
        TRILANE_TRY(const Part part, pattern_part(b, known->second, place));
        bounds.push_back(part);
    }
    if (schema.contains("contentMediaType")) {
        return fail(Fault::invalid,
                    "the schema at {} asks for a 'contentMediaType', which answers cannot be held "
                    "to",
                    utf8_clipped(place, 200));
    }
    const bool measured = least > 0 || most < kUnbounded;
    if (bounds.empty()) {
        return measured ? text.quoted(b.repeat(text.any_char(), least, most)) : text.string();
    }
    if (measured) {
        bounds.push_back(b.repeat(spelled_char(b), least, most));
    }
    Part content = bounds[0];
    for (std::size_t i = 1; i < bounds.size(); ++i) {
        content = b.both(content, bounds[i]);
    }
    return text.quoted(content);
}

}  // namespace trilane::grammar
