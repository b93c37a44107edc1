// POST /v1/images/generations, edits and variations: a description, pictures, or both → pictures.
// They are sent as base64, whatever the client prefers: nothing here serves them under a URL.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <utility>

#include "base/base64.h"
#include "dialect/fields.h"
#include "dialect/media.h"
#include "dialect/openai/asks.h"
#include "dialect/openai/common_fields.h"
#include "dialect/openai/form.h"
#include "dialect/openai/openai.h"
#include "dialect/whole_answer.h"
#include "json/json.h"
#include "json/text.h"

namespace trilane::dialect::openai {
namespace {

constexpr std::int64_t kSideMax = 8192;  // pixels
constexpr std::int64_t kStepsMax = 1000;
constexpr double kGuidanceMax = 100;

/// "png" of "image/png".
std::string_view format_of(std::string_view type) {
    return type.starts_with("image/") ? type.substr(6) : std::string_view("png");
}

void append_base64(std::string& out, const job::Picture& picture) {
    out += "\"b64_json\":\"";
    out += base64_encoded(picture.bytes);
    out += '"';
}

class PicturesAnswer final : public WholeAnswer {
public:
    PicturesAnswer(std::string model, std::int64_t created_unix_s)
        : WholeAnswer(std::move(model)), created_unix_s_(created_unix_s) {}

    [[nodiscard]] std::string body() const override {
        std::string out = fmt::format(R"({{"created":{},"data":[)", created_unix_s_);
        for (const job::Picture& picture : pictures_) {
            out += &picture == pictures_.data() ? "{" : ",{";
            append_base64(out, picture);
            if (!picture.revised_prompt.empty()) {
                out += ",\"revised_prompt\":";
                json::append_string(out, picture.revised_prompt);
            }
            out += '}';
        }
        out += "],\"output_format\":";
        json::append_string(out, format_of(pictures_.front().type));
        out += '}';
        return out;
    }

protected:
    Status take(const job::Event& event) override {
        if (const auto* picture = std::get_if<job::Picture>(&event)) {
            pictures_.push_back(*picture);
        }
        return {};
    }
    Status complete() override {
        std::ranges::stable_sort(pictures_, {}, &job::Picture::index);
        return pictures_.empty() ? fail(Fault::internal, "the model gave no picture; see its log")
                                 : Status();
    }

private:
    const std::int64_t created_unix_s_;
    std::vector<job::Picture> pictures_;
};

/// The size as these events may name it: one of the API's, or "auto" for all others.
std::string_view named_size(const job::Draw& draw) {
    struct Size {
        std::uint32_t width;
        std::uint32_t height;
        std::string_view name;
    };
    constexpr Size kSizes[] = {
        {1024, 1024, "1024x1024"}, {1024, 1536, "1024x1536"}, {1536, 1024, "1536x1024"}};
    for (const Size& size : kSizes) {
        if (size.width == draw.width && size.height == draw.height) {
            return size.name;
        }
    }
    return "auto";
}

/// An event for each picture, when it is whole. Nothing counts tokens here.
class PictureEvents final : public AnswerWriter {
public:
    PictureEvents(std::string_view type, const job::Draw& draw, std::int64_t created_unix_s)
        : type_(type), size_(named_size(draw)), created_unix_s_(created_unix_s) {}

    void name_model(std::string_view /*id*/) override {}

    std::string on_event(std::size_t /*job_index*/, const job::Event& event) override {
        if (finished_) {
            return {};
        }
        if (const auto* picture = std::get_if<job::Picture>(&event)) {
            std::string out = fmt::format(
                "event: {0}\ndata: {{\"type\":\"{0}\",\"created_at\":{1},", type_, created_unix_s_);
            append_base64(out, *picture);
            out += ",\"output_format\":";
            json::append_string(out, format_of(picture->type));
            fmt::format_to(std::back_inserter(out),
                           R"(,"background":"auto","quality":"auto","size":"{}","usage":{{)"
                           R"("input_tokens":0,"input_tokens_details":{{"image_tokens":0,)"
                           R"("text_tokens":0}},"output_tokens":0,"total_tokens":0}}}})"
                           "\n\n",
                           size_);
            return out;
        }
        if (const auto* failed = std::get_if<job::Failed>(&event)) {
            finished_ = true;
            return "data: " + error_body(failed->error) + "\n\n";
        }
        finished_ = std::holds_alternative<job::Done>(event);
        return {};
    }
    [[nodiscard]] bool finished() const override { return finished_; }
    [[nodiscard]] std::string content_type() const override {
        return std::string(kEventStreamType);
    }
    [[nodiscard]] std::string heartbeat() const override { return ": ping\n\n"; }

private:
    const std::string type_;
    const std::string_view size_;
    const std::int64_t created_unix_s_;
    bool finished_ = false;
};

/// "1024x768"; "auto" is the model's own.
Status read_size(const Fields& fields, job::Draw& draw) {
    for (const auto& [name, side] :
         {std::pair("width", &draw.width), std::pair("height", &draw.height)}) {
        TRILANE_TRY(const auto pixels, fields.integer(name, 1, kSideMax));
        *side = static_cast<std::uint32_t>(pixels.value_or(0));
    }
    TRILANE_TRY(const auto size, fields.text("size"));
    if (!size || *size == "auto") {
        return {};
    }
    const char* const end = size->data() + size->size();
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    const auto first = std::from_chars(size->data(), end, width);
    const bool cross = first.ec == std::errc() && first.ptr != end && *first.ptr == 'x';
    const auto second = cross ? std::from_chars(first.ptr + 1, end, height)
                              : std::from_chars_result{end, std::errc::invalid_argument};
    if (second.ec != std::errc() || second.ptr != end || width == 0 || height == 0 ||
        width > kSideMax || height > kSideMax) {
        return refuse("size", json::Value(*size),
                      fmt::format("\"auto\" or WIDTHxHEIGHT, each from 1 to {}", kSideMax));
    }
    draw.width = width;
    draw.height = height;
    return {};
}

Status read_drawing(const Fields& fields, job::Draw& draw) {
    TRILANE_TRY(const auto count, fields.integer("n", 1, kPicturesMax));
    draw.count = static_cast<std::uint32_t>(count.value_or(1));
    TRILANE_TRY_STATUS(read_size(fields, draw));
    TRILANE_TRY(const auto negative, fields.text("negative_prompt"));
    draw.negative_prompt = negative.value_or("");
    TRILANE_TRY(const auto steps, fields.integer("steps", 1, kStepsMax));
    if (steps) {
        draw.steps = static_cast<std::uint32_t>(*steps);
    }
    for (const std::string_view name : {"cfg_scale", "guidance_scale"}) {
        TRILANE_TRY(const auto guidance, fields.number(name, 0, kGuidanceMax));
        if (guidance) {
            draw.guidance = static_cast<float>(*guidance);
        }
    }
    TRILANE_TRY(const auto seed,
                fields.integer("seed", -1, std::numeric_limits<std::int64_t>::max()));
    if (seed && *seed >= 0) {
        draw.seed = static_cast<std::uint64_t>(*seed);
    }
    TRILANE_TRY_STATUS(fields.word("response_format", {"b64_json", "url"}));
    return {};
}

/// {"image_url": "data:…"} of a JSON body, or the URL itself.
Result<job::Media> read_picture(const json::Value& value, const std::string& path) {
    if (value.is_string()) {
        return media_of_url(job::Media::Kind::image, value.get_ref<const std::string&>(), path);
    }
    if (!value.is_object()) {
        return refuse(path, value, "an object with image_url");
    }
    const Fields fields(value, path);
    TRILANE_TRY(const std::string url, fields.required_text("image_url", "a data URL of base64"));
    return media_of_url(job::Media::Kind::image, url, fields.path_of("image_url"));
}

/// The pictures to change and where to change them: files of a form, or fields of a JSON body.
Status read_pictures(const Form& form, const Fields& fields, job::Draw& draw) {
    for (const FormPart& file : form.files) {
        if (file.content.empty()) {
            return fail(Fault::invalid, "image: got an empty file; send a picture");
        }
        job::Media picture = media_of_file(job::Media::Kind::image, file);
        if (file.name == "mask") {
            draw.mask = std::move(picture);
        } else {
            draw.images.push_back(std::move(picture));
        }
    }
    TRILANE_TRY(const json::Value* images, fields.array("images", "pictures"));
    for (std::size_t i = 0; images != nullptr && i < images->size() && i < kMediaMax; ++i) {
        TRILANE_TRY(job::Media picture, read_picture((*images)[i], fmt::format("images[{}]", i)));
        draw.images.push_back(std::move(picture));
    }
    if (const json::Value* mask = fields.find("mask")) {
        TRILANE_TRY(draw.mask, read_picture(*mask, "mask"));
    }
    if (draw.images.empty()) {
        return fail(Fault::invalid,
                    "image: missing; send the picture to change as a file of a form");
    }
    if (draw.images.size() > kPicturesMax * 2) {
        return fail(Fault::invalid, "image: got {} pictures; send at most {}", draw.images.size(),
                    kPicturesMax * 2);
    }
    return {};
}

}  // namespace

Result<Asked> ask_pictures(PictureAsk kind, std::string_view content_type, std::string_view body,
                           const Context& context) {
    TRILANE_TRY(const Form form, read_form(content_type, body));
    const Fields fields(form.fields, "");
    TRILANE_TRY(job::Request request, read_common(fields, ModelField::required, "img-", context));
    job::Draw draw;
    if (kind != PictureAsk::variation) {
        TRILANE_TRY(draw.prompt, fields.required_text("prompt", "what the picture shows"));
    }
    if (kind != PictureAsk::generation) {
        TRILANE_TRY_STATUS(read_pictures(form, fields, draw));
    }
    TRILANE_TRY_STATUS(read_drawing(fields, draw));
    TRILANE_TRY(const auto stream, fields.boolean("stream"));
    TRILANE_TRY_STATUS(
        read_extra(form.fields,
                   {"model", "prompt", "image", "images", "mask", "n", "size", "width", "height",
                    "negative_prompt", "steps", "cfg_scale", "guidance_scale", "seed",
                    "response_format", "stream", "partial_images", "user"},
                   request));
    Asked asked;
    asked.model = request.model;
    asked.stream = stream.value_or(false);
    if (asked.stream) {
        asked.writer = std::make_unique<PictureEvents>(
            kind == PictureAsk::generation ? "image_generation.completed" : "image_edit.completed",
            draw, context.now_unix_s);
    } else {
        asked.writer = std::make_unique<PicturesAnswer>(request.model, context.now_unix_s);
    }
    request.ask = std::move(draw);
    asked.jobs.push_back(std::move(request));
    return asked;
}

}  // namespace trilane::dialect::openai
