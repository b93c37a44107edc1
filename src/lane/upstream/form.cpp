#include "lane/upstream/form.h"

#include <fmt/format.h>

#include <algorithm>

namespace trilane::lane::upstream {
namespace {

std::string harmless(std::string_view text) {
    std::string out;
    std::copy_if(text.begin(), text.end(), std::back_inserter(out), [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\' && c != 0x7F;
    });
    return out;
}

}  // namespace

void Form::add(std::string_view name, std::string_view value) {
    parts_.emplace_back(fmt::format("Content-Disposition: form-data; name=\"{}\"", name), value);
}

void Form::add_file(std::string_view name, std::string_view file_name, std::string_view type,
                    std::string_view bytes) {
    parts_.emplace_back(
        fmt::format("Content-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\n"
                    "Content-Type: {}",
                    name, harmless(file_name), harmless(type)),
        bytes);
}

Form::Finished Form::finish() const {
    // A boundary that none of the values holds.
    std::string boundary;
    std::size_t size = 0;
    for (unsigned number = 0;; ++number) {
        boundary = fmt::format("trilane-form-{:08x}", number * 2'654'435'761U);
        const bool held = std::any_of(parts_.begin(), parts_.end(), [&](const auto& part) {
            return part.second.find(boundary) != std::string::npos;
        });
        if (!held) {
            break;
        }
    }
    for (const auto& [head, value] : parts_) {
        size += head.size() + value.size() + boundary.size() + 12;
    }
    Finished out;
    out.content_type = "multipart/form-data; boundary=" + boundary;
    out.body.reserve(size + boundary.size() + 8);
    for (const auto& [head, value] : parts_) {
        out.body += "--";
        out.body += boundary;
        out.body += "\r\n";
        out.body += head;
        out.body += "\r\n\r\n";
        out.body += value;
        out.body += "\r\n";
    }
    out.body += "--" + boundary + "--\r\n";
    return out;
}

}  // namespace trilane::lane::upstream
