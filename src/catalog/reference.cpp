// References to models of a repository as people write them.
#include <algorithm>

#include "catalog/file_names.h"
#include "catalog/pull.h"

namespace trilane::catalog {
namespace {

constexpr std::size_t kReferenceBytesMax = 1024;
constexpr std::size_t kNameBytesMax = 96;
constexpr std::size_t kRevisionBytesMax = 128;

bool name_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool good_name(std::string_view name) {
    return !name.empty() && name.size() <= kNameBytesMax && name.front() != '.' &&
           name.front() != '-' && name.find("..") == std::string_view::npos &&
           std::all_of(name.begin(), name.end(), name_letter);
}

bool good_revision(std::string_view revision) {
    return !revision.empty() && revision.size() <= kRevisionBytesMax && revision.front() != '/' &&
           revision.back() != '/' && revision.find("..") == std::string_view::npos &&
           revision.find("//") == std::string_view::npos &&
           std::all_of(revision.begin(), revision.end(),
                       [](char c) { return name_letter(c) || c == '/'; });
}

/// "%2F" → "/" …; nullopt when a '%' is not followed by two hexadecimal digits.
std::optional<std::string> percent_decoded(std::string_view text) {
    const auto digit = [](char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
    };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) {
            return std::nullopt;
        }
        out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
        i += 2;
    }
    return out;
}

tl::unexpected<Error> malformed(std::string_view text) {
    return fail(Fault::invalid,
                "'{}' names no repository; write owner/name, owner/name:Q4_K_M, "
                "owner/name:file.gguf, owner/name@revision, or the https://huggingface.co/ address",
                shown(text));
}

/// Takes the text up to `separator` off the front of `rest`.
std::string_view take(std::string_view& rest, char separator) {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view taken = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return taken;
}

/// The path of an address, after the host: owner/name[/tree|blob|resolve/revision[/file]].
Result<Reference> parse_address(std::string_view whole, std::string_view rest) {
    rest = rest.substr(0, rest.find_first_of("?#"));
    Reference reference;
    const std::string_view owner = take(rest, '/');
    const std::string_view name = take(rest, '/');
    if (!good_name(owner) || !good_name(name)) {
        return malformed(whole);
    }
    reference.repository = std::string(owner) + '/' + std::string(name);
    const std::string_view what = take(rest, '/');
    if (what.empty()) {
        return reference;
    }
    const auto revision = percent_decoded(take(rest, '/'));
    const auto file = percent_decoded(rest);
    const bool names_file = what == "blob" || what == "resolve";
    if ((!names_file && what != "tree") || !revision || !good_revision(*revision) || !file) {
        return malformed(whole);
    }
    reference.revision = *revision;
    if (names_file) {
        if (!check_remote_path(*file) || !is_model_file(base_name(*file))) {
            return fail(Fault::invalid, "'{}' is no address of a GGUF file; name one that is",
                        shown(whole));
        }
        reference.variant = *file;
    }
    return reference;
}

bool drop_prefix(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) {
        return false;
    }
    text.remove_prefix(prefix.size());
    return true;
}

}  // namespace

Result<Reference> parse_reference(std::string_view text) {
    std::string_view rest = text;
    if (text.size() > kReferenceBytesMax) {
        return malformed(text);
    }
    if (drop_prefix(rest, "https://") || drop_prefix(rest, "http://")) {
        if (drop_prefix(rest, "huggingface.co/") || drop_prefix(rest, "www.huggingface.co/") ||
            drop_prefix(rest, "hf.co/")) {
            return parse_address(text, rest);
        }
        return fail(Fault::invalid,
                    "'{}' is on another host than huggingface.co; for another hub set HF_ENDPOINT "
                    "to its address and write owner/name",
                    shown(text));
    }
    static_cast<void>(drop_prefix(rest, "hf.co/") || drop_prefix(rest, "huggingface.co/") ||
                      drop_prefix(rest, "hf:"));
    Reference reference;
    const std::size_t colon = rest.find(':');
    if (colon != std::string_view::npos) {
        reference.variant = rest.substr(colon + 1);
        rest = rest.substr(0, colon);
        if (!check_remote_path(reference.variant)) {
            return malformed(text);
        }
    }
    const std::size_t at = rest.find('@');
    if (at != std::string_view::npos) {
        reference.revision = rest.substr(at + 1);
        rest = rest.substr(0, at);
    }
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos || !good_name(rest.substr(0, slash)) ||
        !good_name(rest.substr(slash + 1)) || !good_revision(reference.revision)) {
        return malformed(text);
    }
    reference.repository = rest;
    return reference;
}

}  // namespace trilane::catalog
