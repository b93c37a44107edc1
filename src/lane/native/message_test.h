// A message for tests.
#pragma once

#include <string>

#include "job/chat.h"

namespace trilane::lane {

inline job::Message said(job::Role role, const std::string& content) {
    job::Message message;
    message.role = role;
    message.content = content;
    return message;
}

}  // namespace trilane::lane
