// A key for tests.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "access/key_ring.h"

namespace trilane::access {

inline Key key(std::string name, std::string_view text) {
    Key out;
    out.name = std::move(name);
    out.digest = digest_of(text);
    return out;
}

}  // namespace trilane::access
