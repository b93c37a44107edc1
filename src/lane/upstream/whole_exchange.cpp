#include "lane/upstream/whole_exchange.h"

#include <algorithm>
#include <utility>

#include "json/json.h"
#include "lane/upstream/chunk.h"
#include "lane/upstream/server_error.h"
#include "lane/upstream/status.h"
#include "lane/upstream/turns.h"

namespace trilane::lane::upstream {
namespace {

std::uint32_t count_in(const json::Value& object, const char* name) {
    const auto at = object.find(name);
    if (at == object.end() || !at->is_number_unsigned()) {
        return 0;
    }
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(at->get<std::uint64_t>(), UINT32_MAX));
}

}  // namespace

Result<Outgoing> WholeExchange::ask() {
    status_ = 0;
    body_.clear();
    completed_ = false;
    pieces_ = 0;
    return write();
}

void WholeExchange::on_head(unsigned status, std::string_view /*content_type*/) {
    status_ = status;
}

Next WholeExchange::on_body(std::string_view bytes) {
    ++pieces_;
    if (body_.size() + bytes.size() > kWholeAnswerBytesMax) {
        too_long_ = true;
        failure_ = {Fault::corrupt, fmt::format("the model's server sent more than {} bytes",
                                                kWholeAnswerBytesMax)};
        return Next::failed;
    }
    body_ += bytes;
    return Next::more;
}

Next WholeExchange::on_end(const Status& status) {
    Result<Then> then = take(status);
    if (!then) {
        failure_ = std::move(then).error();
        return Next::failed;
    }
    completed_ = true;
    if (*then == Then::ask_again) {
        return Next::ask_again;
    }
    send(done_);
    return Next::answered;
}

Result<WholeExchange::Then> WholeExchange::take(const Status& status) {
    if (!status) {
        return tl::unexpected(status.error());
    }
    if (status_ < kStatusOk || status_ >= kStatusOkEnd) {
        return refused(status_, body_);
    }
    const Result<json::Value> answer = json::parse(body_);
    if (!answer || (!answer->is_object() && !answer->is_array())) {
        return senseless("answer");
    }
    if (answer->is_object() && answer->contains("error") && !(*answer)["error"].is_null()) {
        Chunk chunk;
        if (read_chunk(body_, chunk) == ChunkShape::object && chunk.error) {
            return tl::unexpected(error_of_report(*chunk.error, upstream_));
        }
        return senseless("answer");
    }
    return read(*answer);
}

Result<WholeExchange::Then> WholeExchange::refused(unsigned status, std::string_view body) {
    return tl::unexpected(error_of_status(status, body, upstream_));
}

void WholeExchange::send(job::Event event) {
    if (!std::exchange(started_, true)) {
        sink_(job::Started{done_.usage.prompt_tokens});
    }
    sink_(std::move(event));
}

void WholeExchange::add_usage(const json::Value& answer) {
    if (!answer.is_object() || !answer.contains("usage") || !answer["usage"].is_object()) {
        return;
    }
    const json::Value& usage = answer["usage"];
    const std::uint32_t prompt = count_in(usage, "prompt_tokens");
    done_.usage.prompt_tokens += prompt != 0 ? prompt : count_in(usage, "total_tokens");
    done_.timings.prompt_tokens = done_.usage.prompt_tokens;
}

tl::unexpected<Error> WholeExchange::senseless(std::string_view what) const {
    return fail(Fault::corrupt, "the model's server sent what is no {}: {}", what,
                quoted(body_, upstream_));
}

void append_extra(std::string& out, const job::Request& request,
                  std::initializer_list<std::string_view> own) {
    for (const auto& [name, value] : request.extra) {
        const bool ours = std::find(own.begin(), own.end(), name) != own.end();
        if (!ours && !value.empty()) {
            out += ',';
            append_text(out, name);
            out += ':';
            out += value;
        }
    }
}

std::string begun_object(const Upstream& upstream) {
    std::string out = R"({"model":)";
    append_text(out, upstream.model);
    return out;
}

}  // namespace trilane::lane::upstream
