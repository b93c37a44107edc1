#include "dialect/body.h"

#include <array>

#include "base/utf8.h"
#include "json/json.h"

namespace trilane::dialect {
namespace {

constexpr std::size_t kSyntaxMessageBytesMax = 300;

/// True when the objects of `text` have more fields than we care to read.
bool has_giant_objects(std::string_view text) {
    std::array<std::size_t, json::kDepthMax + 1> fields{};  // at each depth so far
    std::size_t depth = 0;
    std::size_t work = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            i += c == '\\' ? 1 : 0;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth >= fields.size()) {
                return false;  // the parser refuses the depth by itself
            }
            fields[depth] = 0;
        } else if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        } else if (c == ':') {
            work += fields[depth]++;
            if (work > kFieldWorkMax) {
                return true;
            }
        }
    }
    return false;
}

}  // namespace

Result<json::Value> read_object(std::string_view body) {
    if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
        return fail(Fault::invalid, "the body is empty; send a JSON object");
    }
    if (has_giant_objects(body)) {
        return fail(Fault::invalid,
                    "the body has objects with many thousands of fields; send fewer");
    }
    auto value = json::parse(body);
    if (!value) {
        // The parser quotes what it read last, which may be most of the body.
        return fail(value.error().fault, "the body is {}",
                    utf8_clipped(value.error().message, kSyntaxMessageBytesMax));
    }
    if (!value->is_object()) {
        return fail(Fault::invalid, "the body is {}; send a JSON object", json::type_name(*value));
    }
    return value;
}

}  // namespace trilane::dialect
