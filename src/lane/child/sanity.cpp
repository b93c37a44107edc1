#include "lane/child/sanity.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "json/json.h"

namespace trilane::lane {
namespace {

constexpr std::uint32_t kSampleRate = 16'000;
constexpr std::uint32_t kSilenceSamples = kSampleRate / 2;
constexpr std::size_t kWavHeaderBytes = 44;
constexpr std::string_view kBoundary = "trilane-sanity-5d1c0b";

void append_le(std::string& out, std::uint32_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) {
        out += static_cast<char>((value >> (8U * i)) & 0xFFU);
    }
}

tl::unexpected<Error> senseless(std::string_view what, const net::WholeAnswer& answer) {
    return fail(Fault::corrupt, "{} came back as HTTP {} \"{}\"", what, answer.head.status,
                excerpt(answer.body));
}

/// The body as JSON when the status is 200 and it holds no "error".
Result<json::Value> good_json(std::string_view what, const net::WholeAnswer& answer) {
    Result<json::Value> body = json::parse(answer.body);
    if (answer.head.status != 200 || !body || !body->is_object() || body->contains("error")) {
        return senseless(what, answer);
    }
    return body;
}

/// An array member of an object; null when there is none.
const json::Value* array_in(const json::Value& object, const char* name) {
    if (!object.is_object()) {
        return nullptr;
    }
    const auto found = object.find(name);
    return found != object.end() && found->is_array() ? &*found : nullptr;
}

bool is_vector_of_sense(const json::Value& numbers) {
    double least = std::numeric_limits<double>::infinity();
    double greatest = -least;
    for (const json::Value& each : numbers) {
        if (!each.is_number() || !std::isfinite(each.get<double>())) {
            return false;
        }
        least = std::min(least, each.get<double>());
        greatest = std::max(greatest, each.get<double>());
    }
    return greatest > least;
}

std::string form_field(std::string_view name, std::string_view value) {
    return fmt::format("--{}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n",
                       kBoundary, name, value);
}

}  // namespace

std::string silent_wav() {
    constexpr std::uint32_t kDataBytes = kSilenceSamples * 2;
    std::string wav = "RIFF";
    append_le(wav, static_cast<std::uint32_t>(kWavHeaderBytes) - 8 + kDataBytes, 4);
    wav += "WAVEfmt ";
    append_le(wav, 16, 4);  // of the format chunk
    append_le(wav, 1, 2);   // PCM
    append_le(wav, 1, 2);   // one channel
    append_le(wav, kSampleRate, 4);
    append_le(wav, kSampleRate * 2, 4);  // bytes per second
    append_le(wav, 2, 2);                // bytes per sample
    append_le(wav, 16, 2);               // bits per sample
    wav += "data";
    append_le(wav, kDataBytes, 4);
    wav.append(kDataBytes, '\0');
    return wav;
}

Status check_embedding(net::Client& client, const LoadWatch& watch, const std::string& model) {
    const json::Value body{{"model", model}, {"input", "Three lanes, one daemon."}};
    TRILANE_TRY(const net::WholeAnswer answer,
                watch.fetch(client, json_post("/v1/embeddings", json::dump(body))));
    TRILANE_TRY(const json::Value read, good_json("an embedding", answer));
    const json::Value* data = array_in(read, "data");
    const json::Value* numbers =
        data == nullptr || data->empty() ? nullptr : array_in(data->front(), "embedding");
    if (numbers == nullptr || !is_vector_of_sense(*numbers)) {
        return senseless("an embedding", answer);
    }
    return {};
}

Status check_reranking(net::Client& client, const LoadWatch& watch, const std::string& model) {
    const json::Value body{{"model", model},
                           {"query", "Which animal barks?"},
                           {"documents", {"The dog barks at night.", "Paint dries slowly."}}};
    TRILANE_TRY(const net::WholeAnswer answer,
                watch.fetch(client, json_post("/v1/rerank", json::dump(body))));
    TRILANE_TRY(const json::Value read, good_json("a reranking", answer));
    const json::Value* results = array_in(read, "results");
    if (results == nullptr || results->size() != 2) {
        return senseless("a reranking", answer);
    }
    json::Value scores = json::Value::array({0.0});  // beside zeros, zeros are all the same
    for (const json::Value& each : *results) {
        scores.push_back(each.is_object() && each.contains("relevance_score")
                             ? each["relevance_score"]
                             : json::Value());
    }
    if (!is_vector_of_sense(scores)) {
        return senseless("a reranking", answer);
    }
    return {};
}

Status check_transcription(net::Client& client, const LoadWatch& watch, std::string_view target,
                           const std::string& model) {
    net::Outgoing request;
    request.method = "POST";
    request.target = target;
    request.headers = {
        {"Content-Type", fmt::format("multipart/form-data; boundary={}", kBoundary)}};
    request.body = form_field("model", model) + form_field("response_format", "json") +
                   form_field("temperature", "0.0") +
                   fmt::format(
                       "--{}\r\nContent-Disposition: form-data; name=\"file\"; "
                       "filename=\"silence.wav\"\r\nContent-Type: audio/wav\r\n\r\n",
                       kBoundary) +
                   silent_wav() + fmt::format("\r\n--{}--\r\n", kBoundary);
    TRILANE_TRY(const net::WholeAnswer answer, watch.fetch(client, std::move(request)));
    TRILANE_TRY(const json::Value read, good_json("a transcription of silence", answer));
    if (!read.contains("text") || !read["text"].is_string()) {
        return senseless("a transcription of silence", answer);
    }
    return {};
}

Status check_drawing(net::Client& client, const LoadWatch& watch) {
    const json::Value body{
        {"prompt", "a red ball"}, {"width", 64}, {"height", 64}, {"steps", 1}, {"seed", 1},
        {"batch_size", 1}};
    TRILANE_TRY(const net::WholeAnswer answer,
                watch.fetch(client, json_post("/sdapi/v1/txt2img", json::dump(body))));
    if (answer.head.status == 404) {
        return {};
    }
    TRILANE_TRY(const json::Value read, good_json("a drawing", answer));
    const json::Value* pictures = array_in(read, "images");
    if (pictures == nullptr || pictures->empty() || !pictures->front().is_string()) {
        return senseless("a drawing", answer);
    }
    std::string_view text = pictures->front().get_ref<const std::string&>();
    if (text.starts_with("data:")) {
        text.remove_prefix(std::min(text.find(',') + 1, text.size()));
    }
    const auto picture = base64_decoded(text);
    constexpr std::array<std::string_view, 3> kBeginnings{"\x89PNG", "\xFF\xD8\xFF", "RIFF"};
    const bool is_picture = picture && std::ranges::any_of(kBeginnings, [&](std::string_view each) {
                                return picture->starts_with(each);
                            });
    return is_picture ? Status() : senseless("a drawing", answer);
}

Result<std::vector<std::string>> listed_voices(net::Client& client, const LoadWatch& watch) {
    constexpr std::size_t kVoicesMax = 1'000;
    net::Outgoing request;
    request.target = "/v1/audio/voices";
    TRILANE_TRY(const net::WholeAnswer answer, watch.fetch(client, std::move(request)));
    const Result<json::Value> body = json::parse(answer.body);
    std::vector<std::string> names;
    if (answer.head.status != 200 || !body) {
        return names;
    }
    const json::Value* voices = body->is_array() ? &*body : array_in(*body, "voices");
    for (std::size_t i = 0; voices != nullptr && i < voices->size() && i < kVoicesMax; ++i) {
        const json::Value& voice = (*voices)[i];
        if (voice.is_string()) {
            names.push_back(voice.get<std::string>());
        } else if (voice.is_object() && voice.contains("id") && voice["id"].is_string()) {
            names.push_back(voice["id"].get<std::string>());
        }
    }
    return names;
}

Status check_speech(net::Client& client, const LoadWatch& watch, const std::string& model,
                    const std::vector<std::string>& voices) {
    const json::Value body{{"model", model},
                           {"input", "Ready."},
                           {"voice", voices.empty() ? "alloy" : voices.front()},
                           {"response_format", "wav"}};
    TRILANE_TRY(const net::WholeAnswer answer,
                watch.fetch(client, json_post("/v1/audio/speech", json::dump(body))));
    const std::string_view sound = answer.body;
    const bool has_sound =
        sound.size() > kWavHeaderBytes && !sound.starts_with('{') &&
        sound.find_first_not_of(sound.back(), kWavHeaderBytes) != std::string_view::npos;
    if (answer.head.status != 200 || !has_sound) {
        return senseless("a spoken word", answer);
    }
    return {};
}

}  // namespace trilane::lane
