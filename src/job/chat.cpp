#include "job/chat.h"

namespace trilane::job {

std::string_view role_name(Role role) {
    switch (role) {
        case Role::system:
            return "system";
        case Role::user:
            return "user";
        case Role::assistant:
            return "assistant";
        case Role::tool:
            break;
    }
    return "tool";
}

}  // namespace trilane::job
