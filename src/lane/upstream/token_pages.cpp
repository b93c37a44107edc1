#include "lane/upstream/token_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "base/utf8.h"
#include "json/json.h"
#include "lane/upstream/request_writer.h"
#include "lane/upstream/status.h"
#include "lane/upstream/turns.h"

namespace trilane::lane::upstream {
namespace {

constexpr unsigned kMethodNotAllowed = 405;
constexpr unsigned kNotImplemented = 501;

std::string_view written(bool value) {
    return value ? "true" : "false";
}

std::optional<std::int32_t> id_in(const json::Value& value) {
    if (!value.is_number_integer()) {
        return std::nullopt;
    }
    const auto id = value.get<std::int64_t>();
    if (id < 0 || id > std::numeric_limits<std::int32_t>::max()) {
        return std::nullopt;
    }
    return static_cast<std::int32_t>(id);
}

/// A token's bytes: a text, or numbers where they are none.
std::string piece_in(const json::Value& value) {
    if (value.is_string()) {
        return value.get<std::string>();
    }
    std::string bytes;
    if (value.is_array()) {
        for (const json::Value& byte : value) {
            if (byte.is_number_unsigned()) {
                bytes += static_cast<char>(byte.get<std::uint64_t>() & 0xFFU);
            }
        }
    }
    return bytes;
}

}  // namespace

Outgoing token_request(std::string_view text, bool add_special, bool parse_special,
                       const Upstream& upstream) {
    Outgoing out;
    out.path = "/tokenize";
    out.at_root = true;
    out.body = begun_object(upstream);
    // Two names of the same, by two families of servers; each skips the one it does not know.
    append_field(out.body, "content");
    append_text(out.body, text);
    append_field(out.body, "prompt");
    append_text(out.body, text);
    fmt::format_to(std::back_inserter(out.body),
                   R"(,"add_special":{0},"add_special_tokens":{0},"parse_special":{1},)"
                   R"("with_pieces":true}})",
                   written(add_special), written(parse_special));
    return out;
}

std::optional<job::Tokens> tokens_in(const json::Value& answer) {
    if (!answer.is_object() || !answer.contains("tokens") || !answer["tokens"].is_array()) {
        return std::nullopt;
    }
    job::Tokens tokens;
    for (const json::Value& item : answer["tokens"]) {
        const bool has_piece = item.is_object() && item.contains("id");
        const auto id = id_in(has_piece ? item["id"] : item);
        if (!id) {
            return std::nullopt;
        }
        tokens.ids.push_back(*id);
        tokens.pieces.push_back(has_piece && item.contains("piece") ? piece_in(item["piece"])
                                                                    : std::string());
    }
    return tokens;
}

TokenExchange::TokenExchange(const job::Request& request, const Upstream& upstream,
                             job::EventSink sink)
    : WholeExchange(upstream, std::move(sink)), request_(request) {}

tl::unexpected<Error> TokenExchange::has_no_pages() const {
    return fail(Fault::invalid,
                "model: the server of '{}' does not tell of its tokens; use a model of another "
                "lane",
                upstream().model);
}

Result<WholeExchange::Then> TokenExchange::refused(unsigned status, std::string_view body) {
    if (status == kNotFound || status == kMethodNotAllowed || status == kNotImplemented) {
        return has_no_pages();
    }
    return WholeExchange::refused(status, body);
}

Outgoing TokenExchange::write_text() const {
    const auto& ids = std::get<job::Detokenize>(request_.ask).ids;
    Outgoing out;
    out.path = "/detokenize";
    out.at_root = true;
    out.body = begun_object(upstream());
    fmt::format_to(std::back_inserter(out.body), R"(,"tokens":[{}]}})", fmt::join(ids, ","));
    return out;
}

Outgoing TokenExchange::write_turns(const job::Chat& chat) const {
    Outgoing out;
    out.path = rules().renders_templates ? "/apply-template" : "/tokenize";
    out.at_root = true;
    out.body = begun_object(upstream()) + written_turns(chat, upstream()) + '}';
    return out;
}

Result<Outgoing> TokenExchange::write() {
    if (rules().no_token_pages) {
        return has_no_pages();
    }
    if (const auto* text = std::get_if<job::Tokenize>(&request_.ask)) {
        return token_request(text->text, text->add_special, text->parse_special, upstream());
    }
    if (std::holds_alternative<job::Detokenize>(request_.ask)) {
        return write_text();
    }
    if (rendered_) {
        return token_request(*rendered_, true, true, upstream());
    }
    return write_turns(std::get<job::CountTokens>(request_.ask).chat);
}

Result<WholeExchange::Then> TokenExchange::read(const json::Value& answer) {
    if (std::holds_alternative<job::Detokenize>(request_.ask)) {
        return read_text(answer);
    }
    if (std::holds_alternative<job::CountTokens>(request_.ask)) {
        return read_count(answer);
    }
    auto tokens = tokens_in(answer);
    if (!tokens) {
        return senseless("list of tokens");
    }
    done_.usage.prompt_tokens = static_cast<std::uint32_t>(tokens->ids.size());
    send(*std::move(tokens));
    return Then::done;
}

Result<WholeExchange::Then> TokenExchange::read_text(const json::Value& answer) {
    for (const char* name : {"content", "prompt"}) {
        if (answer.is_object() && answer.contains(name) && answer[name].is_string()) {
            send(job::Text{0, utf8_repaired(answer[name].get<std::string>()), false, {}});
            return Then::done;
        }
    }
    return senseless("text of tokens");
}

Result<WholeExchange::Then> TokenExchange::read_count(const json::Value& answer) {
    if (rules().renders_templates && !rendered_) {
        if (!answer.is_object() || !answer.contains("prompt") || !answer["prompt"].is_string()) {
            return senseless("rendered chat");
        }
        rendered_ = answer["prompt"].get<std::string>();
        return Then::ask_again;
    }
    const auto tokens = tokens_in(answer);
    if (!tokens) {
        return senseless("list of tokens");
    }
    done_.usage.prompt_tokens = static_cast<std::uint32_t>(tokens->ids.size());
    return Then::done;
}

}  // namespace trilane::lane::upstream
