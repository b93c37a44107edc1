#include "dialect/whole_answer.h"

#include <utility>

namespace trilane::dialect {

std::string WholeAnswer::on_event(std::size_t /*job_index*/, const job::Event& event) {
    if (finished()) {
        return {};
    }
    Status status;
    if (const auto* failed = std::get_if<job::Failed>(&event)) {
        error_ = failed->error;
    } else if (const auto* done = std::get_if<job::Done>(&event)) {
        usage_ = done->usage;
        status = complete();
        done_ = status.has_value();
    } else {
        status = take(event);
    }
    if (!status) {
        error_ = std::move(status).error();
    }
    return {};
}

}  // namespace trilane::dialect
