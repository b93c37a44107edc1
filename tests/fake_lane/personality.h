// Personality: which engine is being played. Says when its port opens, what it prints, and answers
// requests; sockets and processes are others' work.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "exchange.h"
#include "json/fwd.h"
#include "script.h"
#include "world.h"

namespace trilane::fake_lane {

/// Where a server shall listen. A host that ends in ".sock" is the path of a UNIX socket.
struct Address {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
};

/// What can be asked while the model loads.
enum class Opening {
    answers_503,  ///< llama-server: HTTP works, every answer is "Loading model"
    backlog,      ///< FLM: connections succeed and wait
    closed        ///< the others: connections are refused
};

/// A moment in a server's life that it writes a line about.
enum class Milestone { loading, loaded, listening, idle, stopping, stopped };

class Personality {
public:
    virtual ~Personality() = default;

    [[nodiscard]] virtual std::string_view name() const = 0;
    [[nodiscard]] virtual std::string_view model() const = 0;
    [[nodiscard]] virtual const Address& address() const = 0;
    [[nodiscard]] virtual Opening opening(const Script& script) const = 0;

    /// The lines of a milestone; `port` is 0 while it is not known.
    virtual void print(Milestone milestone, std::uint16_t port) const = 0;
    /// The lines before an exit with status 1.
    virtual void print_load_failure(std::string_view reason) const = 0;
    virtual void print_bind_failure(std::uint16_t port) const = 0;
    /// Why this start must fail, or "".
    [[nodiscard]] virtual std::string load_failure(const Script& script) const;

    /// Script fields that come from the command line, for fields the script does not set.
    virtual void adjust(Script& script) const;
    /// Called once, when the script is final and before the first request.
    virtual void prepare(const Script& script) = 0;

    /// A request. Called on the thread of its connection; the model may still be loading.
    virtual void answer(Exchange& exchange) = 0;
    /// Called when loading has ended.
    virtual void loaded() {}

    [[nodiscard]] virtual std::string_view head_lines() const { return ""; }
    /// Whether a connection serves more than one request.
    [[nodiscard]] virtual bool keeps_alive(const Script& script) const;
    /// Open connections beyond this are closed without an answer; 0 = no limit.
    [[nodiscard]] virtual std::uint64_t sockets_max(const Script& script) const;
    /// Whether SIGTERM ends it at once, as the default action does.
    [[nodiscard]] virtual bool ends_by_signal() const { return false; }
    /// Adds what is special about it to GET /fake/stats.
    virtual void describe(json::Value& stats) const = 0;
};

/// The engines that can be played, by the name they are asked for.
/// **Errors:** invalid: bad arguments, in the words of that engine.
Result<std::unique_ptr<Personality>> make_llama_server(const std::vector<std::string>& arguments,
                                                       const Script& script);
Result<std::unique_ptr<Personality>> make_flm(const std::vector<std::string>& arguments,
                                              const Script& script);
/// whisper-server, sd-server, kokoro, and "openai": any OpenAI-compatible server.
Result<std::unique_ptr<Personality>> make_other(std::string_view kind,
                                                const std::vector<std::string>& arguments);

/// Calls that print something and end: `llama-server --version`, `flm list -j` … Absent = this is
/// none of them; otherwise the exit code.
std::optional<int> llama_server_verb(const std::vector<std::string>& arguments,
                                     const Script& script);
std::optional<int> flm_verb(const std::vector<std::string>& arguments, const Script& script);
std::optional<int> other_verb(const std::vector<std::string>& arguments);

/// A request for "/fake/…": the test's own door, which no real engine has.
void answer_fake_page(Exchange& exchange, const Personality& personality);

/// A port in digits. **Errors:** invalid.
Result<std::uint16_t> port_of(std::string_view text);

}  // namespace trilane::fake_lane
