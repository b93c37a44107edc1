// TranscribeExchange: a recording → its text, by whisper.cpp's server, FLM, or a server of OpenAI's
// API. The recording goes as it is: who must have it in another format has that done before.
#pragma once

#include "lane/upstream/whole_exchange.h"

namespace trilane::lane::upstream {

class TranscribeExchange final : public WholeExchange {
public:
    TranscribeExchange(const job::Request& request, const Upstream& upstream, job::EventSink sink);

protected:
    Result<Outgoing> write() override;
    Result<Then> read(const json::Value& answer) override;

private:
    std::vector<job::Segment> segments_in(const json::Value& answer) const;

    const job::Transcribe& ask_;
};

}  // namespace trilane::lane::upstream
