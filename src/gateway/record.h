// Record: what one request came to, for usage, the audit log and traces. Never its content.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "job/job.h"

namespace trilane::gateway {

struct Record {
    std::string request_id;
    std::string key;       ///< name of the API key; "" = none was asked for
    std::string endpoint;  ///< "POST /v1/chat/completions"
    std::string subject;   ///< "chat", "embeddings" …; "" = no model's work
    std::string model;
    std::string lane;  ///< "" = none answered
    unsigned status = 0;
    bool streamed = false;
    job::Usage usage;
    job::Timings timings;
    std::chrono::system_clock::time_point began;
    double duration_s = 0;
    double first_text_s = 0;  ///< from the request to its first text; 0 = there was none
    std::string error;        ///< name of the fault that ended it; "" = it ended well
    std::string detail;       ///< what the lane said of it; never what was asked
    std::string traceparent;  ///< the W3C trace context that came with the request
};

/// Hears of every request that has ended. **Threads:** any, also several at once; must not wait.
using Recorder = std::function<void(const Record&)>;

}  // namespace trilane::gateway
