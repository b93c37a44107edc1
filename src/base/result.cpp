#include "base/result.h"

namespace trilane {

std::string_view fault_name(Fault fault) {
    switch (fault) {
        case Fault::invalid:
            return "invalid";
        case Fault::not_found:
            return "not_found";
        case Fault::exhausted:
            return "exhausted";
        case Fault::unavailable:
            return "unavailable";
        case Fault::timeout:
            return "timeout";
        case Fault::cancelled:
            return "cancelled";
        case Fault::corrupt:
            return "corrupt";
        case Fault::internal:
            break;
    }
    return "internal";
}

Error Error::because(std::string_view context) && {
    message.insert(0, std::string(context) + ": ");
    return std::move(*this);
}

}  // namespace trilane
