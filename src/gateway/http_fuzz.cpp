// libFuzzer target `http`: raw bytes → HTTP request → OpenAI body → job. Nothing here may crash,
// and whatever is refused must say why.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"
#include "dialect/openai/openai.h"
#include "net/request_parser.h"

namespace {

using trilane::net::Limits;
using trilane::net::Request;
using trilane::net::RequestParser;

/// What the parser makes of the bytes when they arrive `piece` at a time.
trilane::Result<Request> parsed_in_pieces(std::string_view bytes, std::size_t piece,
                                          const Limits& limits) {
    RequestParser parser(limits);
    std::size_t begin = 0;
    for (std::size_t end = 0; end < bytes.size();) {
        end = std::min(bytes.size(), end + piece);
        std::size_t consumed = 0;
        const auto step = parser.feed(bytes.substr(begin, end - begin), consumed);
        TRILANE_CHECK(consumed <= end - begin);
        begin += consumed;
        if (step == RequestParser::Step::complete) {
            return parser.take();
        }
        if (step == RequestParser::Step::refused) {
            TRILANE_CHECK(parser.refusal().status >= 400 && !parser.refusal().message.empty());
            return trilane::fail(trilane::Fault::invalid, "{}", parser.refusal().message);
        }
    }
    return trilane::fail(trilane::Fault::invalid, "cut off");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace openai = trilane::dialect::openai;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    Limits limits;
    limits.header_bytes_max = 2048;
    limits.body_bytes_max = 4096;
    const auto request = trilane::net::parse_request(bytes, limits);
    constexpr std::size_t kPieceBytes = 7;
    const auto in_pieces = parsed_in_pieces(bytes, kPieceBytes, limits);
    if (!request) {
        TRILANE_CHECK(!request.error().message.empty());
        return 0;
    }
    TRILANE_CHECK(in_pieces && in_pieces->body == request->body &&
                  in_pieces->headers.size() == request->headers.size());
    if (!trilane::is_valid_utf8(request->body)) {
        return 0;
    }
    const auto endpoint = request->path() == "/v1/completions" ? openai::Endpoint::completions
                                                               : openai::Endpoint::chat_completions;
    const auto parsed = openai::parse(endpoint, request->body, {"fuzz", 0, "fuzz"});
    TRILANE_CHECK(parsed ? !parsed->jobs.empty() : !parsed.error().message.empty());
    return 0;
}
