#include "lane/upstream/drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/base64.h"
#include "base/utf8.h"
#include "json/json.h"
#include "lane/upstream/form.h"
#include "lane/upstream/status.h"
#include "lane/upstream/turns.h"

namespace trilane::lane::upstream {
namespace {

std::string_view type_of_picture(std::string_view bytes) {
    if (bytes.starts_with("\xFF\xD8\xFF")) {
        return "image/jpeg";
    }
    if (bytes.starts_with("RIFF") && bytes.substr(0, 16).find("WEBP") != std::string_view::npos) {
        return "image/webp";
    }
    return "image/png";
}

std::string size_of(const job::Draw& ask) {
    return ask.width == 0 || ask.height == 0 ? std::string()
                                             : fmt::format("{}x{}", ask.width, ask.height);
}

template <class Number>
void append_number(std::string& out, std::string_view name, const std::optional<Number>& value) {
    if (value) {
        append_field(out, name);
        fmt::format_to(std::back_inserter(out), "{}", *value);
    }
}

void append_base64(std::string& out, std::string_view bytes) {
    out += '"';
    out += base64_encoded(bytes);
    out += '"';
}

}  // namespace

DrawExchange::DrawExchange(const job::Request& request, const Upstream& upstream,
                           job::EventSink sink)
    : WholeExchange(upstream, std::move(sink)),
      request_(request),
      ask_(std::get<job::Draw>(request.ask)),
      by_sdapi_(upstream.rules.draws_by_sdapi) {}

/// Without the tag in which stable-diffusion.cpp takes orders (files to load, too) from a prompt.
std::string DrawExchange::prompt() const {
    constexpr std::string_view kTag = "sd_cpp_extra_args";
    std::string text = ask_.prompt;
    for (std::size_t at = text.find(kTag); at != std::string::npos; at = text.find(kTag, at)) {
        text.erase(at, kTag.size());
        at = at > kTag.size() ? at - kTag.size() : 0;
    }
    return text;
}

Result<Outgoing> DrawExchange::write() {
    for (const job::Media& image : ask_.images) {
        if (image.bytes.empty()) {
            return fail(Fault::invalid, "image: pictures are not fetched; send the picture itself");
        }
    }
    if (by_sdapi_) {
        return write_sdapi();
    }
    return ask_.images.empty() ? write_new() : write_edit();
}

Outgoing DrawExchange::write_sdapi() const {
    Outgoing out;
    out.path = ask_.images.empty() ? "/sdapi/v1/txt2img" : "/sdapi/v1/img2img";
    out.at_root = true;
    out.body = R"({"prompt":)";
    append_text(out.body, prompt());
    append_field(out.body, "negative_prompt");
    append_text(out.body, ask_.negative_prompt);
    fmt::format_to(std::back_inserter(out.body), ",\"batch_size\":{}", ask_.count);
    if (ask_.width != 0 && ask_.height != 0) {
        fmt::format_to(std::back_inserter(out.body), ",\"width\":{},\"height\":{}", ask_.width,
                       ask_.height);
    }
    append_number(out.body, "steps", ask_.steps);
    append_number(out.body, "cfg_scale", ask_.guidance);
    if (ask_.seed) {
        fmt::format_to(std::back_inserter(out.body), ",\"seed\":{}",
                       *ask_.seed & (~std::uint64_t{0} >> 1U));
    }
    for (std::size_t i = 0; i < ask_.images.size(); ++i) {
        out.body += i == 0 ? R"(,"init_images":[)" : i == 1 ? R"(],"extra_images":[)" : ",";
        append_base64(out.body, ask_.images[i].bytes);
    }
    out.body += ask_.images.empty() ? "" : "]";
    if (ask_.mask) {
        append_field(out.body, "mask");
        append_base64(out.body, ask_.mask->bytes);
    }
    out.body += '}';
    return out;
}

Outgoing DrawExchange::write_new() const {
    Outgoing out;
    out.path = "/images/generations";
    out.body = begun_object(upstream());
    append_field(out.body, "prompt");
    append_text(out.body, prompt());
    fmt::format_to(std::back_inserter(out.body), ",\"n\":{}", ask_.count);
    if (const std::string size = size_of(ask_); !size.empty()) {
        append_field(out.body, "size");
        append_text(out.body, size);
    }
    // OpenAI's newer models send nothing else and refuse the word.
    if (!upstream().model.starts_with("gpt-")) {
        out.body += R"(,"response_format":"b64_json")";
    }
    if (!ask_.negative_prompt.empty()) {
        append_field(out.body, "negative_prompt");
        append_text(out.body, ask_.negative_prompt);
    }
    append_number(out.body, "steps", ask_.steps);
    append_number(out.body, "guidance_scale", ask_.guidance);
    append_number(out.body, "seed", ask_.seed);
    append_extra(out.body, request_,
                 {"model", "prompt", "n", "size", "response_format", "negative_prompt", "steps",
                  "guidance_scale", "seed", "stream", "partial_images"});
    out.body += '}';
    return out;
}

Outgoing DrawExchange::write_edit() const {
    Form form;
    form.add("model", upstream().model);
    form.add("prompt", prompt());
    form.add("n", fmt::format("{}", ask_.count));
    if (const std::string size = size_of(ask_); !size.empty()) {
        form.add("size", size);
    }
    if (!upstream().model.starts_with("gpt-")) {
        form.add("response_format", "b64_json");
    }
    for (const job::Media& image : ask_.images) {
        form.add_file(ask_.images.size() == 1 ? "image" : "image[]", "image.png",
                      type_of_picture(image.bytes), image.bytes);
    }
    if (ask_.mask) {
        form.add_file("mask", "mask.png", type_of_picture(ask_.mask->bytes), ask_.mask->bytes);
    }
    Form::Finished finished = form.finish();
    Outgoing out;
    out.path = "/images/edits";
    out.content_type = std::move(finished.content_type);
    out.body = std::move(finished.body);
    return out;
}

/// Versions of stable-diffusion.cpp's server before it had that API know OpenAI's.
Result<WholeExchange::Then> DrawExchange::refused(unsigned status, std::string_view body) {
    if (by_sdapi_ && status == kNotFound) {
        by_sdapi_ = false;
        return Then::ask_again;
    }
    return WholeExchange::refused(status, body);
}

Result<std::string> DrawExchange::picture_in(const json::Value& item) const {
    std::string_view text;
    if (item.is_string()) {
        text = item.get_ref<const std::string&>();
    } else if (item.is_object() && item.contains("b64_json") && item["b64_json"].is_string()) {
        text = item["b64_json"].get_ref<const std::string&>();
    } else if (item.is_object() && item.contains("url")) {
        return fail(Fault::corrupt,
                    "the server of '{}' answers with addresses rather than pictures; set it up to "
                    "send b64_json",
                    upstream().model);
    }
    if (text.starts_with("data:")) {
        text.remove_prefix(std::min(text.find(',') + 1, text.size()));
    }
    auto bytes = base64_decoded(text);
    if (!bytes || bytes->empty()) {
        return senseless("picture");
    }
    return *std::move(bytes);
}

Result<WholeExchange::Then> DrawExchange::read(const json::Value& answer) {
    const char* name = by_sdapi_ ? "images" : "data";
    if (!answer.is_object() || !answer.contains(name) || !answer[name].is_array() ||
        answer[name].empty()) {
        return senseless("list of pictures");
    }
    std::vector<job::Picture> pictures;
    for (const json::Value& item : answer[name]) {
        job::Picture& picture = pictures.emplace_back();
        picture.index = static_cast<std::uint32_t>(pictures.size() - 1);
        TRILANE_TRY(picture.bytes, picture_in(item));
        picture.type = type_of_picture(picture.bytes);
        if (item.is_object() && item.contains("revised_prompt") &&
            item["revised_prompt"].is_string()) {
            picture.revised_prompt = utf8_repaired(item["revised_prompt"].get<std::string>());
        }
    }
    pictures.resize(std::min<std::size_t>(pictures.size(), std::max(ask_.count, 1U)));
    add_usage(answer);
    for (job::Picture& picture : pictures) {
        send(std::move(picture));
    }
    return Then::done;
}

}  // namespace trilane::lane::upstream
