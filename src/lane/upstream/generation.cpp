#include "lane/upstream/generation.h"

#include <utility>

namespace trilane::lane::upstream {

GenerationExchange::GenerationExchange(const job::Request& request, const Upstream& upstream,
                                       job::EventSink sink)
    : request_(request), upstream_(upstream), shaper_(request, upstream.rules, std::move(sink)) {}

Result<Outgoing> GenerationExchange::ask() {
    next_ = Next::more;
    TRILANE_TRY(WrittenRequest written, write_request(request_, upstream_, shaper_.choice()));
    reader_.emplace(upstream_, request_, written,
                    [this](job::Event event) { take(std::move(event)); });
    Outgoing out;
    out.path = written.path;
    out.at_root = written.at_root;
    out.body = std::move(written.body);
    return out;
}

void GenerationExchange::on_head(unsigned status, std::string_view content_type) {
    reader_->on_head(status, content_type);
}

void GenerationExchange::take(job::Event event) {
    if (next_ == Next::more) {
        next_ = shaper_.on_event(std::move(event));
    }
}

Next GenerationExchange::on_body(std::string_view bytes) {
    reader_->on_body(bytes);
    return next_;
}

Next GenerationExchange::on_end(const Status& status) {
    const bool waited_in_vain =
        !status && status.error().fault == Fault::cancelled && reader_->only_end_missing();
    if (waited_in_vain) {
        reader_->conclude();  // broken off for that
    } else {
        reader_->on_end(status);
    }
    return next_;
}

}  // namespace trilane::lane::upstream
