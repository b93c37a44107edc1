// WholeExchange: exchanges whose answers are JSON texts that mean something only when they are
// there entirely: vectors, rankings, tokens, transcripts, pictures. Kinds say what to ask and what
// the answer means; several requests after each other may make one answer.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "json/fwd.h"
#include "lane/upstream/exchange.h"

namespace trilane::lane::upstream {

/// Of one answer. The largest are some pictures, in base64.
inline constexpr std::size_t kWholeAnswerBytesMax = std::size_t{96} << 20U;

class WholeExchange : public Exchange {
public:
    Result<Outgoing> ask() final;
    void on_head(unsigned status, std::string_view content_type) final;
    Next on_body(std::string_view bytes) final;
    Next on_end(const Status& status) final;
    [[nodiscard]] bool completed() const final { return completed_; }
    [[nodiscard]] std::uint64_t pieces() const final { return pieces_; }
    [[nodiscard]] const Error& failure() const final { return failure_; }

protected:
    WholeExchange(const Upstream& upstream, job::EventSink sink)
        : upstream_(upstream), sink_(std::move(sink)) {}

    enum class Then : std::uint8_t { done, ask_again };

    virtual Result<Outgoing> write() = 0;
    /// A good answer. With Then::done, send() has been called for all of the job's events but the
    /// first and the last one.
    virtual Result<Then> read(const json::Value& answer) = 0;
    /// An answer with another HTTP status than 2xx. **Errors:** by default what it says.
    virtual Result<Then> refused(unsigned status, std::string_view body);

    /// Sends an event; the answer has started with the first one.
    void send(job::Event event);
    /// Adds up `usage` of an answer, where there is one.
    void add_usage(const json::Value& answer);
    /// "the model's server sent what is no …", with its words.
    [[nodiscard]] tl::unexpected<Error> senseless(std::string_view what) const;
    [[nodiscard]] const Upstream& upstream() const { return upstream_; }
    [[nodiscard]] const UpstreamRules& rules() const { return upstream_.rules; }
    job::Done done_;

private:
    Result<Then> take(const Status& status);

    const Upstream& upstream_;
    const job::EventSink sink_;
    unsigned status_ = 0;
    std::string body_;
    bool too_long_ = false;
    bool started_ = false;
    bool completed_ = false;
    std::uint64_t pieces_ = 0;
    Error failure_;
};

/// Appends the request's `extra` fields but those in `own`, each with its comma before it.
void append_extra(std::string& out, const job::Request& request,
                  std::initializer_list<std::string_view> own);

/// `{"model":"…"`, with which every request begins.
std::string begun_object(const Upstream& upstream);

}  // namespace trilane::lane::upstream
