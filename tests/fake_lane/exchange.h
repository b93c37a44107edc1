// Exchange: one request and the writing of its answer, byte by byte and with every fault of the
// script. Knows HTTP; knows nothing of what is answered.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "script.h"
#include "world.h"

namespace trilane::fake_lane {

/// A request as views into its connection's buffer.
struct Request {
    std::string_view method;
    std::string_view target;
    std::string_view path;   ///< target without its query
    std::string_view query;  ///< without the '?'
    std::string_view head;   ///< request line and headers
    std::string_view body;
    std::string_view authorization;
    std::string_view api_key;
    bool keep_alive = true;

    /// Whether it asks for work of the model, so that the script's faults are meant for it.
    [[nodiscard]] bool is_inference() const;
};

inline constexpr std::string_view kJson = "application/json; charset=utf-8";
inline constexpr std::string_view kEventStream = "text/event-stream";

/// **Threads:** its connection's only.
class Exchange {
public:
    Exchange(int socket, World& world, std::shared_ptr<const Script> script,
             const Request& request);
    ~Exchange() { settle(); }
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    const Request& request;
    World& world;
    [[nodiscard]] const Script& script() const { return *script_; }
    [[nodiscard]] const Behaviour& behaviour() const { return *behaviour_; }

    /// Lines that every head has, each with its line break: "Server: llama.cpp\r\n".
    void set_head_lines(std::string_view lines) { head_lines_ = lines; }
    /// The connection ends after this answer, and says so when `announced`.
    void close_after(bool announced) {
        keep_open_ = false;
        announces_close_ = announced;
    }
    [[nodiscard]] bool keeps_open() const { return keep_open_ && !dead_; }
    /// Nothing more can be written: the client has gone, or a fault has cut the connection.
    [[nodiscard]] bool is_dead() const { return dead_ || gone_; }
    /// Counts this as a request in flight, until its last bytes are about to be sent.
    void begin_work();
    /// Called just before the last bytes of the answer: a client that has all of it finds the slot
    /// free. Not called when there is no end; what it frees must free itself then.
    void set_release(std::function<void()> release) { release_ = std::move(release); }

    /// A whole answer in one write. `more_head` are further header lines, each with its break.
    void reply(unsigned status, std::string_view type, std::string_view body,
               std::string_view more_head = {});

    /// A chunked answer. Its head is held back until the first flush.
    void begin_stream(std::string_view type);
    [[nodiscard]] bool is_streaming() const { return streaming_; }
    /// Adds a piece as one chunk; it is sent with flush(), or when much has come together.
    void chunk(std::string_view bytes);
    /// Sends what is held back. False when the client has gone.
    bool flush();
    /// The last chunk.
    void end_stream();

    /// Waits, watching the client. False when it has gone and the work shall stop for it.
    bool wait_until(Clock::time_point when);
    bool wait_ms(std::int64_t count) { return wait_until(Clock::now() + ms(count)); }
    /// True when the client has gone and the work shall stop for it; does not wait.
    bool client_left();
    /// Says nothing more until the client goes away.
    void hang();
    /// Ends the connection without another word.
    void cut(bool with_reset);

    /// Faults that come before any answer: true when one has taken the request.
    bool was_spoiled();

private:
    bool write(std::string_view bytes);
    bool send_plainly(std::string_view bytes);
    bool note_if_left(int timeout_ms);
    void left();
    void settle();
    bool write_last(std::string_view bytes);
    bool spoil_reply(std::string_view head, std::string_view body);
    bool spoil_stream();
    void send_endless_line();
    void thaw();

    int socket_;
    std::shared_ptr<const Script> script_;
    const Behaviour* behaviour_;
    std::string_view head_lines_;
    bool keep_open_ = true;
    bool announces_close_ = false;
    bool dead_ = false;
    bool gone_ = false;
    bool working_ = false;
    std::function<void()> release_;
    bool streaming_ = false;
    std::int64_t sent_bytes_ = 0;
    std::int64_t chunks_ = 0;
    std::string held_;
    Clock::time_point last_write_;
};

}  // namespace trilane::fake_lane
