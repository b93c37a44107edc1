// Any bytes as a form: the first line is the Content-Type, the rest the body. What is read must lie
// inside the body, and names must be valid UTF-8.
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"
#include "dialect/multipart.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace trilane;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t line = std::min(input.find('\n'), input.size());
    const std::string_view body = input.substr(std::min(line + 1, input.size()));
    const auto parts = dialect::form_parts(input.substr(0, line), body);
    if (!parts) {
        TRILANE_CHECK(parts.error().fault == Fault::invalid);
        return 0;
    }
    TRILANE_CHECK(parts->size() <= dialect::kFormPartsMax);
    for (const dialect::FormPart& part : *parts) {
        TRILANE_CHECK(part.content.data() >= body.data() &&
                      part.content.data() + part.content.size() <= body.data() + body.size());
        TRILANE_CHECK(is_valid_utf8(part.name) && is_valid_utf8(part.file_name) &&
                      is_valid_utf8(part.type));
    }
    return 0;
}
