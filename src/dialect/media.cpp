#include "dialect/media.h"

#include <algorithm>
#include <cctype>

#include "base/base64.h"
#include "base/utf8.h"

namespace trilane::dialect {
namespace {

constexpr std::size_t kShownUrlBytesMax = 64;  // of a URL in a message
constexpr std::size_t kUrlBytesMax = 8192;
constexpr std::size_t kTypeBytesMax = 127;

bool starts_with_scheme(std::string_view url, std::string_view scheme) {
    return url.size() >= scheme.size() &&
           std::equal(scheme.begin(), scheme.end(), url.begin(), [](char a, char b) {
               return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
           });
}

std::string_view name_of(job::Media::Kind kind) {
    return kind == job::Media::Kind::image ? "a picture" : "a sound";
}

}  // namespace

Result<job::Media> media_of_base64(job::Media::Kind kind, std::string_view type,
                                   std::string_view text, std::string_view path) {
    if (text.size() / 4 * 3 > kMediaBytesMax) {
        return fail(Fault::invalid, "{}: got {} of {} bytes of base64; send at most {} MiB of it",
                    path, name_of(kind), text.size(), kMediaBytesMax >> 20U);
    }
    auto bytes = base64_decoded(text);
    if (!bytes || bytes->empty()) {
        return fail(Fault::invalid, "{}: got {}; send {} as base64", path,
                    bytes ? "nothing" : "text that is not base64", name_of(kind));
    }
    job::Media media;
    media.kind = kind;
    media.type = type.substr(0, kTypeBytesMax);
    media.bytes = *std::move(bytes);
    return media;
}

Result<job::Media> media_of_url(job::Media::Kind kind, std::string_view url,
                                std::string_view path) {
    if (starts_with_scheme(url, "data:")) {
        const std::string_view rest = url.substr(5);
        const std::size_t comma = rest.find(',');
        const std::string_view head = rest.substr(0, std::min(comma, rest.size()));
        if (comma != std::string_view::npos && head.ends_with(";base64")) {
            return media_of_base64(kind, head.substr(0, head.find(';')), rest.substr(comma + 1),
                                   path);
        }
    } else if (starts_with_scheme(url, "http://") || starts_with_scheme(url, "https://")) {
        if (url.size() > kUrlBytesMax) {
            return fail(Fault::invalid, "{}: got a URL of {} bytes; send at most {}", path,
                        url.size(), kUrlBytesMax);
        }
        job::Media media;
        media.kind = kind;
        media.url = url;
        return media;
    }
    return fail(Fault::invalid, "{}: got \"{}\"; send {} as \"data:{};base64,…\" or as an http URL",
                path, utf8_clipped(url, kShownUrlBytesMax), name_of(kind),
                kind == job::Media::Kind::image ? "image/png" : "audio/wav");
}

}  // namespace trilane::dialect
