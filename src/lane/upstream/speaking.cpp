#include "lane/upstream/speaking.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "lane/upstream/chunk.h"
#include "lane/upstream/server_error.h"
#include "lane/upstream/status.h"
#include "lane/upstream/turns.h"
#include "lane/upstream/whole_exchange.h"

namespace trilane::lane::upstream {
namespace {

constexpr std::size_t kSaidBytesMax = std::size_t{64} << 10U;

/// Voices of OpenAI's, which clients send to any server. Sorted.
constexpr std::array kConventionalVoices = std::to_array<std::string_view>({
    "alloy",
    "ash",
    "ballad",
    "cedar",
    "coral",
    "echo",
    "fable",
    "marin",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
});
static_assert(std::ranges::is_sorted(kConventionalVoices));

std::string_view type_of_format(std::string_view format) {
    struct Row {
        std::string_view format;
        std::string_view type;
    };
    static constexpr Row kRows[] = {
        {"wav", "audio/wav"}, {"flac", "audio/flac"}, {"opus", "audio/ogg"},
        {"aac", "audio/aac"}, {"pcm", "audio/pcm"},
    };
    for (const Row& row : kRows) {
        if (row.format == format) {
            return row.type;
        }
    }
    return "audio/mpeg";
}

}  // namespace

SpeakExchange::SpeakExchange(const job::Request& request, const Upstream& upstream,
                             job::EventSink sink)
    : request_(request),
      ask_(std::get<job::Speak>(request.ask)),
      upstream_(upstream),
      sink_(std::move(sink)) {}

/// The one that was asked for; where the server does not know OpenAI's, its own first one.
std::string SpeakExchange::voice() const {
    const std::vector<std::string>& known = upstream_.voices;
    const bool conventional =
        ask_.voice.empty() ||
        std::ranges::binary_search(kConventionalVoices, std::string_view(ask_.voice));
    if (!known.empty() && conventional && std::ranges::find(known, ask_.voice) == known.end()) {
        return known.front();
    }
    return ask_.voice.empty() ? "alloy" : ask_.voice;
}

Result<Outgoing> SpeakExchange::ask() {
    Outgoing out;
    out.path = "/audio/speech";
    out.body = begun_object(upstream_);
    append_field(out.body, "input");
    append_text(out.body, ask_.text);
    append_field(out.body, "voice");
    append_text(out.body, voice());
    append_field(out.body, "response_format");
    append_text(out.body, ask_.format.empty() ? "mp3" : ask_.format);
    if (ask_.speed != 1.0F) {
        fmt::format_to(std::back_inserter(out.body), ",\"speed\":{}", ask_.speed);
    }
    if (!ask_.instructions.empty()) {
        append_field(out.body, "instructions");
        append_text(out.body, ask_.instructions);
    }
    append_extra(out.body, request_,
                 {"model", "input", "voice", "response_format", "speed", "instructions", "stream",
                  "stream_format"});
    out.body += '}';
    return out;
}

void SpeakExchange::on_head(unsigned status, std::string_view content_type) {
    status_ = status;
    is_sound_ = status == kStatusOk && content_type.find("json") == std::string_view::npos &&
                !content_type.starts_with("text/");
    type_ = content_type.starts_with("audio/") ? content_type : type_of_format(ask_.format);
}

Next SpeakExchange::on_body(std::string_view bytes) {
    if (!is_sound_) {
        said_ += bytes.substr(0, kSaidBytesMax - std::min(said_.size(), kSaidBytesMax));
        return Next::more;
    }
    if (bytes.empty()) {
        return Next::more;
    }
    if (pieces_++ == 0) {
        sink_(job::Started{});
    }
    sink_(job::Sound{type_, std::string(bytes)});
    return Next::more;
}

Next SpeakExchange::fail_with(Error error) {
    failure_ = std::move(error);
    return Next::failed;
}

Next SpeakExchange::on_end(const Status& status) {
    if (!status) {
        return fail_with(status.error());
    }
    if (status_ != kStatusOk) {
        return fail_with(error_of_status(status_, said_, upstream_));
    }
    Chunk chunk;
    if (!is_sound_ && read_chunk(said_, chunk) == ChunkShape::object && chunk.error) {
        return fail_with(error_of_report(*chunk.error, upstream_));
    }
    if (pieces_ == 0) {
        return fail_with(
            {Fault::corrupt, fmt::format("the model's server sent what is no sound: {}",
                                         quoted(said_, upstream_))});
    }
    completed_ = true;
    sink_(job::Done{});
    return Next::answered;
}

}  // namespace trilane::lane::upstream
