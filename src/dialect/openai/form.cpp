#include "dialect/openai/form.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/utf8.h"
#include "dialect/body.h"

namespace trilane::dialect::openai {
namespace {

constexpr std::array kNumbers = std::to_array<std::string_view>(
    {"temperature", "n", "seed", "steps", "cfg_scale", "guidance_scale", "width", "height",
     "output_compression", "partial_images", "speed"});
constexpr std::array kTruths = std::to_array<std::string_view>({"stream"});

/// A text of a form as the JSON value that it stands for; as itself where it stands for none.
json::Value value_of(std::string_view name, std::string_view text) {
    if (std::ranges::find(kNumbers, name) != kNumbers.end()) {
        const auto number = json::parse(text);
        if (number && number->is_number()) {
            return *number;
        }
    }
    if (std::ranges::find(kTruths, name) != kTruths.end()) {
        for (const auto& [word, truth] :
             {std::pair("true", true), std::pair("True", true), std::pair("1", true),
              std::pair("false", false), std::pair("False", false), std::pair("0", false)}) {
            if (text == word) {
                return truth;
            }
        }
    }
    return std::string(text);
}

Status add_field(json::Value& fields, const FormPart& part) {
    if (!is_valid_utf8(part.content)) {
        return fail(Fault::invalid, "{}: got text that is not UTF-8; send UTF-8",
                    utf8_clipped(part.name, 64));
    }
    const bool list = part.name.ends_with("[]");
    const std::string name = list ? part.name.substr(0, part.name.size() - 2) : part.name;
    json::Value value = value_of(name, part.content);
    const auto there = fields.find(name);
    if (there == fields.end()) {
        if (list) {
            value = json::Value::array({std::move(value)});
        }
        fields[name] = std::move(value);
    } else if (there->is_array()) {
        there->push_back(std::move(value));
    } else {
        *there = json::Value::array({*there, std::move(value)});
    }
    return {};
}

}  // namespace

Result<Form> read_form(std::string_view content_type, std::string_view body) {
    Form form;
    if (!is_form(content_type)) {
        TRILANE_TRY(form.fields, read_object(body));
        return form;
    }
    TRILANE_TRY(std::vector<FormPart> parts, form_parts(content_type, body));
    for (FormPart& part : parts) {
        const bool picture = part.name == "image" || part.name == "image[]" || part.name == "mask";
        if (part.file_name.empty() && part.name != "file" && !picture) {
            TRILANE_TRY_STATUS(add_field(form.fields, part));
        } else {
            form.files.push_back(std::move(part));
        }
    }
    return form;
}

job::Media media_of_file(job::Media::Kind kind, const FormPart& file) {
    job::Media media;
    media.kind = kind;
    if (file.type != "application/octet-stream") {  // what clients say that do not know
        media.type = file.type;
    }
    media.bytes = file.content;
    return media;
}

}  // namespace trilane::dialect::openai
