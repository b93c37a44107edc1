#include "lane/upstream/server_error.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "lane/upstream/json_cursor.h"

namespace trilane::lane::upstream {
namespace {

constexpr unsigned kFirstError = 400;
constexpr unsigned kFirstServerError = 500;

/// The status that a report without a number means, by its type and words.
unsigned status_of_type(std::string_view type) {
    struct Row {
        std::string_view part;
        unsigned status;
    };
    static constexpr Row kRows[] = {
        {"invalid_request", 400}, {"exceed_context", 400}, {"context_length", 400},
        {"not_found", 404},       {"rate_limit", 429},     {"quota", 429},
        {"authentication", 401},  {"permission", 403},     {"unavailable", 503},
        {"overloaded", 503},
    };
    for (const Row& row : kRows) {
        if (type.find(row.part) != std::string_view::npos) {
            return row.status;
        }
    }
    return kFirstServerError;
}

Error worded(unsigned status, std::string_view words, std::string_view model) {
    const std::string said = words.empty() ? std::string(".") : fmt::format(": {}", words);
    switch (status) {
        case 401:
        case 403:
            // Its words often repeat part of the key.
            return {Fault::unavailable, "the server refused the key; set the lane's api_key"};
        case 404:
            return {Fault::not_found,
                    fmt::format("the server knows no model '{}' or has no such path; check the "
                                "lane's url and models{}",
                                model, said)};
        case 408:
        case 504:
            return {Fault::timeout, fmt::format("the model's server took too long{}", said)};
        case 429:
            return {Fault::exhausted,
                    fmt::format("the model's server has too much to do; try again later{}", said)};
        case 503:
            return {Fault::unavailable,
                    fmt::format("the model's server cannot serve now; try again later{}", said)};
        default:
            break;
    }
    if (status >= kFirstServerError) {
        return {
            Fault::unavailable,
            fmt::format("the model's server failed ({}); try again, or look at the lane's log{}",
                        status, said)};
    }
    if (status >= kFirstError) {
        return {Fault::invalid, fmt::format("the model's server refused the request{}", said)};
    }
    return {Fault::unavailable,
            fmt::format("the server answered with status {} rather than 200; check the lane's "
                        "url{}",
                        status, said)};
}

}  // namespace

std::string quoted(std::string_view text, const Upstream& upstream) {
    // Repaired and searched for the key before it is clipped: half a key is a secret, too.
    constexpr std::size_t kSearchedBytesMax = std::size_t{16} << 10U;
    const std::string_view key = upstream.api_key;
    std::string words = utf8_repaired(text.substr(0, kSearchedBytesMax));
    if (!key.empty()) {
        for (std::size_t at = words.find(key); at != std::string::npos;
             at = words.find(key, at + 1)) {
            words.replace(at, key.size(), "…");
        }
    }
    for (char& c : words) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
            c = ' ';
        }
    }
    const std::size_t begin = std::min(words.find_first_not_of(' '), words.size());
    const std::size_t end = words.find_last_not_of(' ') + 1;
    return utf8_clipped(std::string_view(words).substr(begin, end - begin), kQuoteBytesMax);
}

Error error_of_status(unsigned status, std::string_view body, const Upstream& upstream) {
    Chunk chunk;
    std::string words;
    if (read_chunk(body, chunk) == ChunkShape::object && chunk.error) {
        words = quoted(chunk.error->message, upstream);
    }
    return worded(status, words.empty() ? quoted(body, upstream) : words, upstream.model);
}

Error error_of_report(const ServerError& report, const Upstream& upstream) {
    const unsigned status = report.code >= kFirstError ? report.code : status_of_type(report.type);
    return worded(status, quoted(report.message, upstream), upstream.model);
}

}  // namespace trilane::lane::upstream
