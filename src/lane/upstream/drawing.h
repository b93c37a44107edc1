// DrawExchange: a description → pictures, by stable-diffusion.cpp's server or one of OpenAI's
// images API. Masks go as they are: which of their pixels mean "here" is the server's to say.
#pragma once

#include "lane/upstream/whole_exchange.h"

namespace trilane::lane::upstream {

class DrawExchange final : public WholeExchange {
public:
    DrawExchange(const job::Request& request, const Upstream& upstream, job::EventSink sink);

protected:
    Result<Outgoing> write() override;
    Result<Then> read(const json::Value& answer) override;
    Result<Then> refused(unsigned status, std::string_view body) override;

private:
    Outgoing write_sdapi() const;
    Outgoing write_new() const;
    Outgoing write_edit() const;
    Result<std::string> picture_in(const json::Value& item) const;
    [[nodiscard]] std::string prompt() const;

    const job::Request& request_;
    const job::Draw& ask_;
    bool by_sdapi_;
};

}  // namespace trilane::lane::upstream
