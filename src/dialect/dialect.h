// Dialect: what the gateway sees of every API. A body becomes jobs and an AnswerWriter; the writer
// turns what the jobs report into the bytes of that API's answer. Pure translation: no sockets, no
// lanes, no models. Each API has a folder of its own here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "job/job.h"

namespace trilane::dialect {

/// What the gateway knows when a request comes in.
struct Context {
    std::string response_id_suffix;  ///< unique; without a prefix
    std::int64_t now_unix_s = 0;
    std::string system_fingerprint = "trilane";  ///< what would make answers differ: version, build
};

/// Writes one answer, whole or streamed.
/// **Threads:** one at a time.
class AnswerWriter {
public:
    AnswerWriter() = default;
    virtual ~AnswerWriter() = default;
    AnswerWriter(const AnswerWriter&) = delete;
    AnswerWriter& operator=(const AnswerWriter&) = delete;

    /// What the answer calls its model, when that is not what the client sent. Before on_event().
    virtual void name_model(std::string_view id) = 0;

    /// Job `job_index` of the request reports. Returns the bytes to send now; "" when the answer is
    /// sent whole. A Failed event of a stream that has begun is written into it, in the API's
    /// words. Events after the end give "".
    virtual std::string on_event(std::size_t job_index, const job::Event& event) = 0;
    /// Nothing more will come.
    [[nodiscard]] virtual bool finished() const = 0;

    /// Of an answer that is sent whole: the first failure, or null; and, when there is none and it
    /// is finished, its body.
    [[nodiscard]] virtual const Error* error() const { return nullptr; }
    [[nodiscard]] virtual std::string body() const { return {}; }

    /// Asked for when the first bytes are about to leave; "" = not known yet, ask again then.
    [[nodiscard]] virtual std::string content_type() const = 0;
    /// What tells a waiting client that the stream lives; "" = the API knows nothing for that.
    [[nodiscard]] virtual std::string heartbeat() const { return {}; }
};

/// A request as it came in.
struct Asked {
    std::vector<job::Request> jobs;  ///< at least one
    std::string model;               ///< as the client named it
    bool stream = false;
    std::unique_ptr<AnswerWriter> writer;
};

inline constexpr std::string_view kJsonType = "application/json";
inline constexpr std::string_view kEventStreamType = "text/event-stream";
inline constexpr std::string_view kNdjsonType = "application/x-ndjson";

/// How an API says that something went wrong; JSON in every one of them.
struct ErrorShape {
    /// Of a body it refuses or a job that failed.
    std::string (*of_error)(const Error& error);
    /// Of HTTP's own (401, 403, 404, 405, 408, 413, 429, 431 …): a sentence for a person.
    std::string (*of_status)(unsigned status, std::string_view message);
};

/// HTTP status of a fault, in every API: invalid 400, not_found 404, exhausted 429, cancelled 499
/// (the client is gone; for logs), unavailable 503, timeout 504, the rest 500.
unsigned http_status(Fault fault);

}  // namespace trilane::dialect
