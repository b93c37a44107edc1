// Embeddings and rerank scores that follow from the texts, so that a client can tell whether it got
// its own.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <vector>

#include "answer.h"
#include "openai_text.h"
#include "skim.h"

namespace trilane::fake_lane {
namespace {

constexpr std::size_t kDimensions = 64;
constexpr std::size_t kInputsMax = 4096;

/// FNV-1a: the same everywhere.
std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
    return hash;
}

/// A unit vector drawn from the text's hash.
std::vector<float> vector_of(std::string_view text, std::size_t dimensions) {
    std::uint64_t state = hash_of(text);
    std::vector<float> vector(dimensions);
    double square = 0;
    for (float& value : vector) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        value = static_cast<float>(state >> 40U) * 0x1p-23F - 1.0F;
        square += static_cast<double>(value) * static_cast<double>(value);
    }
    const auto scale = static_cast<float>(1.0 / std::sqrt(std::max(square, 1e-9)));
    for (float& value : vector) {
        value *= scale;
    }
    return vector;
}

std::string base64_of(const std::vector<float>& vector) {
    static constexpr std::string_view kLetters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes(vector.size() * sizeof(float), '\0');
    std::memcpy(bytes.data(), vector.data(), bytes.size());
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            const auto byte = i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U;
            group = group << 8U | byte;
        }
        for (std::size_t k = 0; k < 4; ++k) {
            const bool padding = i + k > bytes.size();
            out += padding ? '=' : kLetters[group >> (18U - 6U * k) & 63U];
        }
    }
    return out;
}

/// The texts of an "input": one string, or strings, or token lists (as their raw text).
std::vector<std::string> texts_of(std::string_view raw) {
    if (raw.empty() || raw.front() != '[') {
        return {unquoted(raw)};
    }
    std::vector<std::string> texts;
    Skim list(raw);
    std::string_view none;
    std::string_view value;
    while (texts.size() < kInputsMax && list.next(none, value)) {
        if (number(value)) {
            return {std::string(raw)};
        }
        const std::string_view text = value.front() == '{' ? member(value, "text") : value;
        texts.push_back(text.front() == '"' ? unquoted(text) : std::string(text));
    }
    return texts;
}

}  // namespace

void answer_embeddings(Exchange& exchange, std::string_view model_json, bool with_usage) {
    const std::string_view body = exchange.request.body;
    const std::string_view input = member(body, "input");
    if (input.empty()) {
        exchange.reply(400, kJson, openai_error(400, "\"input\" must be provided", false));
        return;
    }
    const bool base64 = member(body, "encoding_format") == "\"base64\"";
    const auto asked = integer(member(body, "dimensions")).value_or(kDimensions);
    const auto dimensions = static_cast<std::size_t>(std::clamp<std::int64_t>(asked, 1, 4096));
    std::string out = "{\"data\":[";
    std::size_t index = 0;
    std::int64_t tokens = 0;
    for (const std::string& text : texts_of(input)) {
        tokens += count_tokens(text.size());
        const std::vector<float> vector = vector_of(text, dimensions);
        fmt::format_to(std::back_inserter(out), "{}{{\"embedding\":", index > 0 ? "," : "");
        if (base64) {
            fmt::format_to(std::back_inserter(out), "\"{}\"", base64_of(vector));
        } else {
            fmt::format_to(std::back_inserter(out), "[{}]", fmt::join(vector, ","));
        }
        fmt::format_to(std::back_inserter(out), ",\"index\":{},\"object\":\"embedding\"}}",
                       index++);
    }
    tokens = with_usage ? tokens : 0;
    fmt::format_to(std::back_inserter(out),
                   "],\"model\":{},\"object\":\"list\",\"usage\":{{\"prompt_tokens\":{},"
                   "\"total_tokens\":{}}}}}",
                   model_json, tokens, tokens);
    exchange.reply(200, kJson, out);
}

void answer_rerank(Exchange& exchange, std::string_view model_json, bool broken) {
    const std::string_view body = exchange.request.body;
    const std::string query = unquoted(member(body, "query"));
    std::string_view list = member(body, "documents");
    list = list.empty() ? member(body, "texts") : list;
    if (list.empty() || query.empty()) {
        exchange.reply(400, kJson,
                       openai_error(400, "\"query\" and \"documents\" must be provided", false));
        return;
    }
    const std::vector<std::string> documents = texts_of(list);
    std::vector<std::pair<double, std::size_t>> ranked;
    std::int64_t tokens = 0;
    for (std::size_t i = 0; i < documents.size(); ++i) {
        tokens += count_tokens(documents[i].size() + query.size());
        const double noise = static_cast<double>(hash_of(documents[i]) >> 44U) * 0x1p-20;
        const bool holds = documents[i].find(query) != std::string::npos;
        ranked.emplace_back(broken ? 0.0 : (holds ? 5.0 : -5.0) + noise, i);
    }
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    const auto top =
        integer(member(body, "top_n")).value_or(static_cast<std::int64_t>(ranked.size()));
    ranked.resize(
        std::min(ranked.size(), static_cast<std::size_t>(std::max<std::int64_t>(0, top))));
    std::string out = fmt::format(
        "{{\"model\":{},\"object\":\"list\",\"usage\":{{\"prompt_tokens\":{},\"total_tokens\":{}}},"
        "\"results\":[",
        model_json, tokens, tokens);
    for (std::size_t i = 0; i < ranked.size(); ++i) {
        fmt::format_to(std::back_inserter(out), "{}{{\"index\":{},\"relevance_score\":{:.6f}}}",
                       i > 0 ? "," : "", ranked[i].second, ranked[i].first);
    }
    exchange.reply(200, kJson, out + "]}");
}

}  // namespace trilane::fake_lane
