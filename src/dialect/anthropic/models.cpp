#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/utf8.h"
#include "dialect/anthropic/anthropic.h"
#include "json/text.h"

namespace trilane::dialect::anthropic {
namespace {

using json::append_string;

constexpr std::size_t kShownBytesMax = 64;
constexpr std::int64_t kYear9999 = 253'402'300'799;  // the last second that RFC 3339 can say

void append_tokens(std::string& out, std::string_view name, std::uint32_t tokens) {
    fmt::format_to(std::back_inserter(out), ",\"{}\":{}", name,
                   tokens == 0 ? "null" : fmt::format("{}", tokens));
}

void append_model(std::string& out, const job::ModelCard& card) {
    out += R"({"type":"model","id":)";
    append_string(out, card.id);
    out += ",\"display_name\":";
    append_string(out, card.name.empty() ? card.id : card.name);
    fmt::format_to(std::back_inserter(out), R"(,"created_at":"{:%Y-%m-%dT%H:%M:%SZ}")",
                   fmt::gmtime(static_cast<std::time_t>(
                       std::clamp<std::int64_t>(card.created_unix_s, 0, kYear9999))));
    append_tokens(out, "max_input_tokens", card.context_tokens);
    append_tokens(out, "max_tokens", card.context_tokens);
    out += R"(,"capabilities":null,"lifecycle":"active","line":null,"deprecated_at":null,)"
           R"("retires_at":null})";
}

Result<std::size_t> place_of(std::span<const job::ModelCard> cards, std::string_view name,
                             std::string_view id) {
    const auto at = std::ranges::find(cards, id, &job::ModelCard::id);
    if (at == cards.end()) {
        return fail(Fault::invalid, "{}: no model is called '{}'", name,
                    utf8_clipped(id, kShownBytesMax));
    }
    return static_cast<std::size_t>(at - cards.begin());
}

void append_id(std::string& out, std::string_view name, std::span<const job::ModelCard> cards,
               bool last) {
    fmt::format_to(std::back_inserter(out), ",\"{}\":", name);
    if (cards.empty()) {
        out += "null";
    } else {
        append_string(out, last ? cards.back().id : cards.front().id);
    }
}

}  // namespace

Result<std::string> models_body(std::span<const job::ModelCard> cards, const Page& page) {
    std::size_t begin = 0;
    std::size_t end = cards.size();
    if (!page.after_id.empty()) {
        TRILANE_TRY(begin, place_of(cards, "after_id", page.after_id));
        ++begin;
    }
    if (!page.before_id.empty()) {
        TRILANE_TRY(end, place_of(cards, "before_id", page.before_id));
    }
    begin = std::min(begin, end);
    const bool more = end - begin > page.limit;
    // The page before a model is the one that ends there.
    if (more && !page.before_id.empty()) {
        begin = end - page.limit;
    } else if (more) {
        end = begin + page.limit;
    }
    const auto shown = cards.subspan(begin, end - begin);
    std::string out = "{\"data\":[";
    for (std::size_t i = 0; i < shown.size(); ++i) {
        out += i == 0 ? "" : ",";
        append_model(out, shown[i]);
    }
    fmt::format_to(std::back_inserter(out), "],\"has_more\":{}", more);
    append_id(out, "first_id", shown, false);
    append_id(out, "last_id", shown, true);
    out += '}';
    return out;
}

std::string model_body(const job::ModelCard& card) {
    std::string out;
    append_model(out, card);
    return out;
}

}  // namespace trilane::dialect::anthropic
