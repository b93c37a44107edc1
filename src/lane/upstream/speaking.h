// SpeakExchange: a text → speech, by a server of OpenAI's speech API. The sound is passed on as it
// comes; other formats than the server's are made by whoever asked.
#pragma once

#include <string>

#include "lane/upstream/exchange.h"

namespace trilane::lane::upstream {

class SpeakExchange final : public Exchange {
public:
    SpeakExchange(const job::Request& request, const Upstream& upstream, job::EventSink sink);

    Result<Outgoing> ask() override;
    void on_head(unsigned status, std::string_view content_type) override;
    Next on_body(std::string_view bytes) override;
    Next on_end(const Status& status) override;
    [[nodiscard]] bool completed() const override { return completed_; }
    [[nodiscard]] std::uint64_t pieces() const override { return pieces_; }
    [[nodiscard]] const Error& failure() const override { return failure_; }

private:
    [[nodiscard]] std::string voice() const;
    Next fail_with(Error error);

    const job::Request& request_;
    const job::Speak& ask_;
    const Upstream& upstream_;
    const job::EventSink sink_;
    unsigned status_ = 0;
    bool is_sound_ = false;
    bool completed_ = false;
    std::uint64_t pieces_ = 0;
    std::string said_;  // of an answer that is no sound
    std::string type_;
    Error failure_;
};

}  // namespace trilane::lane::upstream
