// Multipart: a body of multipart/form-data (RFC 7578) as its parts. Copies no content and knows no
// fields.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trilane::dialect {

inline constexpr std::size_t kFormPartsMax = 256;
inline constexpr std::size_t kFormHeadBytesMax = 8192;  ///< of one part

struct FormPart {
    std::string name;
    std::string file_name;     ///< "" = a field rather than a file
    std::string type;          ///< content type; "" = not said
    std::string_view content;  ///< inside the body
};

/// Whether a Content-Type is that of a form.
bool is_form(std::string_view content_type);

/// The parts in the order in which they came. Names and types are valid UTF-8; contents are as
/// sent. `body` must outlive them.
/// **Errors:** invalid, a sentence about "the form".
Result<std::vector<FormPart>> form_parts(std::string_view content_type, std::string_view body);

}  // namespace trilane::dialect
