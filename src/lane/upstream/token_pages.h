// Exchanges with the pages where servers tell of their tokens: /tokenize, /detokenize and
// /apply-template, as llama-server and vLLM have them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lane/upstream/whole_exchange.h"

namespace trilane::lane::upstream {

/// A request for a text's tokens.
Outgoing token_request(std::string_view text, bool add_special, bool parse_special,
                       const Upstream& upstream);
/// What such a page answers; absent when it is none.
std::optional<job::Tokens> tokens_in(const json::Value& answer);

/// A Tokenize, Detokenize or CountTokens.
class TokenExchange final : public WholeExchange {
public:
    TokenExchange(const job::Request& request, const Upstream& upstream, job::EventSink sink);

protected:
    Result<Outgoing> write() override;
    Result<Then> read(const json::Value& answer) override;
    Result<Then> refused(unsigned status, std::string_view body) override;

private:
    Outgoing write_text() const;
    Outgoing write_turns(const job::Chat& chat) const;
    Result<Then> read_text(const json::Value& answer);
    Result<Then> read_count(const json::Value& answer);
    [[nodiscard]] tl::unexpected<Error> has_no_pages() const;

    const job::Request& request_;
    std::optional<std::string> rendered_;  // a chat, by its template
};

}  // namespace trilane::lane::upstream
