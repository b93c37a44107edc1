#include "dialect/multipart.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/utf8.h"

namespace trilane::dialect {
namespace {

constexpr std::string_view kFormType = "multipart/form-data";
constexpr std::size_t kBoundaryBytesMax = 70;  // RFC 2046

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_words(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
    text.remove_prefix(begin);
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

/// Takes the next `;name=value` off the front of a header's parameters; absent at their end.
/// Browsers write a quote inside a value as %22, others put a backslash before it.
std::optional<std::pair<std::string_view, std::string>> take_parameter(std::string_view& rest) {
    while (!rest.empty() && rest.front() != ';') {
        rest.remove_prefix(1);
    }
    const std::size_t equals = rest.find('=');
    if (equals == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view name = trimmed(rest.substr(1, equals - 1));
    rest.remove_prefix(equals + 1);
    std::string value;
    if (!rest.starts_with('"')) {
        const std::string_view word = rest.substr(0, rest.find(';'));
        rest.remove_prefix(word.size());
        value = trimmed(word);
        return std::pair(name, std::move(value));
    }
    std::size_t i = 1;
    for (; i < rest.size() && rest[i] != '"'; ++i) {
        if (rest[i] == '\\' && i + 1 < rest.size() && (rest[i + 1] == '"' || rest[i + 1] == '\\')) {
            ++i;
        }
        value += rest[i];
    }
    rest.remove_prefix(std::min(i + 1, rest.size()));
    return std::pair(name, std::move(value));
}

/// The value of a header's parameter.
std::optional<std::string> parameter(std::string_view header, std::string_view wanted) {
    std::string_view rest = header;
    while (auto found = take_parameter(rest)) {
        if (equal_words(found->first, wanted)) {
            return std::move(found->second);
        }
    }
    return std::nullopt;
}

/// The headers of a part; those that a form has no use for are skipped.
Result<FormPart> read_head(std::string_view head) {
    FormPart part;
    bool named = false;
    while (!head.empty()) {
        const std::string_view line = head.substr(0, head.find("\r\n"));
        head.remove_prefix(std::min(line.size() + 2, head.size()));
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) {
            return fail(Fault::invalid, "the form has a part whose headers are no headers");
        }
        const std::string_view name = line.substr(0, colon);
        const std::string_view value = trimmed(line.substr(colon + 1));
        if (equal_words(name, "content-type")) {
            part.type = utf8_repaired(value);
        } else if (equal_words(name, "content-disposition")) {
            const auto field = parameter(value, "name");
            named = field.has_value();
            part.name = utf8_repaired(field.value_or(""));
            part.file_name = utf8_repaired(parameter(value, "filename").value_or(""));
        }
    }
    if (!named) {
        return fail(Fault::invalid,
                    "the form has a part without a name; send Content-Disposition: form-data; "
                    "name=\"…\"");
    }
    return part;
}

/// One part off the front of `rest`, which begins behind a boundary.
Result<FormPart> take_part(std::string_view& rest, std::string_view delimiter) {
    const std::string_view near = rest.substr(0, kFormHeadBytesMax);
    const std::size_t blank = near.starts_with("\r\n") ? 0 : near.find("\r\n\r\n");
    if (blank == std::string_view::npos) {
        return fail(Fault::invalid, "the form has a part whose headers have no end within {} bytes",
                    kFormHeadBytesMax);
    }
    TRILANE_TRY(FormPart part, read_head(rest.substr(0, blank)));
    rest.remove_prefix(blank + (blank == 0 ? 2 : 4));
    // An empty content may share its line break with the headers' end.
    const std::size_t end = rest.find(delimiter);
    if (end == std::string_view::npos) {
        return fail(Fault::invalid, "the form ends inside its part \"{}\"; send all of it",
                    utf8_clipped(part.name, 64));
    }
    part.content = rest.substr(0, end);
    rest.remove_prefix(end + delimiter.size());
    return part;
}

}  // namespace

bool is_form(std::string_view content_type) {
    return content_type.size() >= kFormType.size() &&
           equal_words(content_type.substr(0, kFormType.size()), kFormType);
}

Result<std::vector<FormPart>> form_parts(std::string_view content_type, std::string_view body) {
    const auto boundary = parameter(content_type, "boundary");
    if (!boundary || boundary->empty() || boundary->size() > kBoundaryBytesMax) {
        return fail(Fault::invalid,
                    "the form has no boundary; send Content-Type: multipart/form-data; "
                    "boundary=…");
    }
    const std::string delimiter = "\r\n--" + *boundary;
    // The first boundary may begin the body; what stands before it is for people.
    const std::string_view opening = std::string_view(delimiter).substr(2);
    std::string_view rest = body;
    if (rest.starts_with(opening)) {
        rest.remove_prefix(opening.size());
    } else {
        const std::size_t first = rest.find(delimiter);
        if (first == std::string_view::npos) {
            return fail(Fault::invalid, "the form does not begin with its boundary");
        }
        rest.remove_prefix(first + delimiter.size());
    }
    std::vector<FormPart> parts;
    while (!rest.starts_with("--")) {
        const std::size_t line = rest.find("\r\n");
        if (line == std::string_view::npos || !trimmed(rest.substr(0, line)).empty()) {
            return fail(Fault::invalid, "the form has a boundary that is not alone on its line");
        }
        if (parts.size() >= kFormPartsMax) {
            return fail(Fault::invalid, "the form has more than {} parts; send fewer",
                        kFormPartsMax);
        }
        rest.remove_prefix(line + 2);
        TRILANE_TRY(FormPart part, take_part(rest, delimiter));
        parts.push_back(std::move(part));
    }
    return parts;
}

}  // namespace trilane::dialect
