// What an error number of the system says, for sentences that tell why something failed.
#pragma once

#include <string>
#include <system_error>

namespace trilane::os {

inline std::string reason(int code) {
    return std::system_category().message(code);
}

}  // namespace trilane::os
