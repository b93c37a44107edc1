// The statuses of HTTP that decide how an upstream's answer is read.
#pragma once

namespace trilane::lane::upstream {

inline constexpr unsigned kStatusOk = 200;
inline constexpr unsigned kStatusOkEnd = 300;  ///< below it, all is well
inline constexpr unsigned kNotFound = 404;

}  // namespace trilane::lane::upstream
