// Media: pictures and sounds as JSON carries them, base64 or a URL, → job::Media. Decodes base64
// only: what the bytes are is for those who use them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "job/chat.h"

namespace trilane::dialect {

inline constexpr std::size_t kMediaBytesMax = 32U << 20U;  ///< of one picture or sound, decoded
inline constexpr std::size_t kMediaMax = 256;              ///< of one request

/// Of a "data:" URL, decoded, or of an http or https one, which is kept.
/// **Errors:** invalid, naming `path`, the field that it is from.
Result<job::Media> media_of_url(job::Media::Kind kind, std::string_view url, std::string_view path);

/// Of base64 text. `type` is a content type; "" = not said.
/// **Errors:** as above.
Result<job::Media> media_of_base64(job::Media::Kind kind, std::string_view type,
                                   std::string_view text, std::string_view path);

}  // namespace trilane::dialect
