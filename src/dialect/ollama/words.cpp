// Ollama's errors, and how it writes times.
#include <fmt/format.h>

#include <chrono>
#include <ctime>

#include "dialect/ollama/ollama.h"
#include "json/text.h"

namespace trilane::dialect::ollama {

std::string error_body(const Error& error) {
    return status_body(http_status(error.fault), error.message);
}

std::string status_body(unsigned /*status*/, std::string_view message) {
    std::string out = "{\"error\":";
    json::append_string(out, message);
    out += '}';
    return out;
}

std::string time_text(std::int64_t unix_ns) {
    constexpr std::int64_t kNsPerS = 1'000'000'000;
    const std::int64_t s = (unix_ns < 0 ? unix_ns - kNsPerS + 1 : unix_ns) / kNsPerS;
    const std::time_t whole = static_cast<std::time_t>(s);
    std::tm parts{};
    ::gmtime_r(&whole, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       unix_ns - s * kNsPerS);
}

Clock real_clock() {
    using std::chrono::duration_cast;
    using std::chrono::nanoseconds;
    Clock clock;
    clock.unix_ns = [] {
        return std::int64_t{
            duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
                .count()};
    };
    clock.steady_ns = [] {
        return std::int64_t{
            duration_cast<nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
                .count()};
    };
    return clock;
}

}  // namespace trilane::dialect::ollama
