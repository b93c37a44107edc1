#include "dialect/dialect.h"

namespace trilane::dialect {

unsigned http_status(Fault fault) {
    switch (fault) {
        case Fault::invalid:
            return 400;
        case Fault::not_found:
            return 404;
        case Fault::exhausted:
            return 429;
        case Fault::cancelled:
            return 499;
        case Fault::unavailable:
            return 503;
        case Fault::timeout:
            return 504;
        case Fault::corrupt:
        case Fault::internal:
            break;
    }
    return 500;
}

}  // namespace trilane::dialect
