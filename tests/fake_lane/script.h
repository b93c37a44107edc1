// Script: what the fake engine shall do, read from JSON. Fields only, no behaviour; README.md has
// the table of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/fwd.h"

namespace trilane::fake_lane {

/// Ways to answer that no client can use.
enum class Garbage {
    none,
    text,             ///< well-formed, but the words are those of a broken device
    empty,            ///< well-formed, without a word
    bytes,            ///< not HTTP
    json,             ///< well-formed HTTP around JSON that breaks off
    truncated,        ///< fewer bytes than announced, then the end
    bad_chunk,        ///< a chunk whose size is no number
    huge_head,        ///< a header larger than anybody accepts
    second_response,  ///< another whole HTTP response inside the stream
    endless_line,     ///< an event of 64 MiB without an end
};

/// How a stream ends once its tokens are sent.
enum class StreamEnd { done, no_done, eof, reset, silence };

/// What happens when FLM gets a request while another one is under way.
enum class Concurrency { crash, queue, allow };

/// How one request is treated. Times in ms, speeds in tokens per second; 0 = instant, -1 = never.
struct Behaviour {
    double prompt_tps = 0;
    double decode_tps = 0;
    std::int64_t tokens = 16;
    bool has_text = false;
    std::string text;
    std::int64_t prompt_tokens = -1;
    std::int64_t cached_tokens = 0;
    std::int64_t latency_ms = 0;
    bool hang = false;
    std::int64_t hang_after_tokens = -1;
    bool crash = false;
    std::int64_t crash_after_tokens = -1;
    std::int64_t crash_signal = 9;
    Garbage garbage = Garbage::none;
    std::int64_t close_after_bytes = -1;
    bool close_with_reset = false;
    std::int64_t error_status = 0;
    std::string error_message = "scripted error";
    bool error_as_string = false;
    std::int64_t retry_after_s = -1;
    bool refuse_cancel = false;
    std::int64_t cancel_lag_ms = 0;
    std::int64_t sse_ping_ms = 0;
    StreamEnd stream_end = StreamEnd::done;
    bool write_each = false;
    std::int64_t write_bytes_max = 0;
    std::int64_t switch_ms = 500;
};

/// Behaviour for some requests. Conditions that are not given always hold.
struct Rule {
    std::string path;         ///< the request's path, without its query
    std::string body_has;     ///< a text somewhere in the body as it was sent
    std::int64_t from = 1;    ///< the first of the requests that match, counted from 1
    std::int64_t every = 1;   ///< then each so many-th
    std::int64_t times = -1;  ///< at most so often; -1 = no limit
    Behaviour does;
    /// How many have matched. Shared by the copies of a script.
    std::shared_ptr<std::atomic<std::int64_t>> seen;
};

/// A line that is printed at the start.
struct PrintedLine {
    std::string text;
    bool to_stderr = false;
    std::int64_t repeat = 1;
};

struct Script {
    Behaviour base;
    std::vector<Rule> rules;

    // the process
    std::int64_t start_ms = 0;
    std::int64_t load_ms = 0;
    bool never_ready = false;
    std::string fail_load;  ///< the reason that is logged; "" = loads
    bool fail_bind = false;
    std::int64_t exit_after_ms = -1;
    std::int64_t exit_code = 1;
    std::int64_t exit_signal = 0;
    std::int64_t crash_on_request = -1;
    std::int64_t hang_after_ms = -1;
    bool hang_health = false;
    bool frozen = false;
    bool ready_but_insane = false;
    std::int64_t slots = -1;  ///< -1 = as the command line says; 0 = no limit
    std::int64_t resident_mb = 0;
    std::vector<PrintedLine> print;
    bool log_requests = false;
    std::int64_t slow_term_ms = 0;
    bool ignore_term = false;
    bool grandchild = false;
    bool exit_on_stdin_eof = false;
    bool check_model_file = false;
    std::string api_key;

    // connections
    std::int64_t close_on_accept = 0;
    std::int64_t keep_alive_max = 0;
    std::int64_t keep_alive_ms = 0;

    // what the program says of itself
    std::string version;
    std::vector<std::string> devices;
    std::vector<std::string> without_flags;

    // FLM
    Concurrency concurrency = Concurrency::crash;
    std::int64_t cooldown_ms = 333;
    std::vector<std::string> installed = {"qwen3:0.6b", "llama3.2:1b", "embed-gemma:300m",
                                          "whisper-v3:turbo"};
    std::string npu = "ready";
    bool missing_plugin = false;
    bool health_route = true;
    bool fail_default_model = false;
    std::vector<std::string> quirks_off;

    [[nodiscard]] bool has_quirk(std::string_view name) const;
};

/// Lays the fields of a JSON object over a script. Rules start from the fields beside them.
/// `by_model` is applied for the first of its keys that `model` contains, after the other fields.
/// **Errors:** invalid, naming the field; the script is then unchanged.
Status apply(Script& script, const json::Value& fields, std::string_view model);
Status apply_text(Script& script, std::string_view text, std::string_view model);

/// The names of all fields, for the test that holds README.md to them.
std::vector<std::string> field_names();

}  // namespace trilane::fake_lane
