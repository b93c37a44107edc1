// GenerationExchange: a Chat or Completion: streams of text, read by AnswerReader, put together by
// AnswerShaper.
#pragma once

#include <optional>

#include "lane/upstream/answer_reader.h"
#include "lane/upstream/answer_shaper.h"
#include "lane/upstream/exchange.h"

namespace trilane::lane::upstream {

class GenerationExchange final : public Exchange {
public:
    GenerationExchange(const job::Request& request, const Upstream& upstream, job::EventSink sink);

    Result<Outgoing> ask() override;
    void on_head(unsigned status, std::string_view content_type) override;
    Next on_body(std::string_view bytes) override;
    Next on_end(const Status& status) override;
    [[nodiscard]] bool only_end_missing() const override { return reader_->only_end_missing(); }
    [[nodiscard]] bool completed() const override { return reader_->completed(); }
    [[nodiscard]] std::uint64_t pieces() const override { return reader_->pieces(); }
    [[nodiscard]] const Error& failure() const override { return shaper_.failure(); }
    [[nodiscard]] bool may_pass() const override {
        return reader_->server_said() && !shaper_.has_sent_text();
    }

private:
    void take(job::Event event);

    const job::Request& request_;
    const Upstream& upstream_;
    AnswerShaper shaper_;
    std::optional<AnswerReader> reader_;
    Next next_ = Next::more;  // the first that was none, of the current answer
};

}  // namespace trilane::lane::upstream
