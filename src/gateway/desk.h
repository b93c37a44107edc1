// Desk: what the gateway gives its endpoints to work with: the plane, and the ways to answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/library.h"
#include "dialect/dialect.h"
#include "dialect/openai/responses.h"
#include "gateway/endpoint.h"
#include "gateway/record.h"
#include "net/http.h"
#include "plane/service.h"
#include "probe/machine.h"

namespace trilane::os {
class WorkerPool;
}

namespace trilane::gateway {

class Downloads;
class LogJournal;
class Metrics;
class SocketSeats;

/// Work that was let in outside of a request of its own, until it has ended.
struct Admitted {
    access::Visit visit;
    Record record;
    Recorder recorder;  ///< may be empty
    std::shared_ptr<Metrics> metrics;
    std::shared_ptr<plane::Service> service;
    std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();

    /// Counts and records it. `last` is a Done or a Failed.
    void end(const job::Event& last);
};

/// **Threads:** any.
class Desk {
public:
    virtual ~Desk() = default;

    [[nodiscard]] virtual plane::Service& service() const = 0;
    /// The models' files; null = this daemon has no hand in them.
    [[nodiscard]] virtual catalog::Library* library() const = 0;
    [[nodiscard]] virtual const std::string& version() const = 0;
    [[nodiscard]] virtual const EndpointTable& endpoints() const = 0;
    [[nodiscard]] virtual std::string metrics_text() const = 0;
    /// The facts of this machine as they are now; absent = nobody told the gateway how to get them.
    [[nodiscard]] virtual std::optional<probe::Machine> machine() const = 0;
    /// Where pulled models are kept; "" = nowhere.
    [[nodiscard]] virtual const std::string& models_directory() const = 0;
    /// Of this daemon, as the client reached it: "http://127.0.0.1:13305".
    [[nodiscard]] virtual std::string base_url(const Call& call) const = 0;
    [[nodiscard]] virtual std::uint16_t port() const = 0;
    /// Of the generation that ended well most recently.
    [[nodiscard]] virtual std::optional<Record> last_answer() const = 0;
    /// Pulls that go on without their clients.
    [[nodiscard]] virtual Downloads& downloads() = 0;
    /// Answers of the responses API that who calls may follow.
    [[nodiscard]] virtual std::shared_ptr<dialect::openai::ResponseStore> responses(
        const Call& call) const = 0;
    /// For a new request: a fresh id, and the time.
    virtual dialect::Context context() = 0;

    /// Answers, counts and adds the call's own headers.
    virtual void respond(Call& call, net::Response response) = 0;
    void respond_json(Call& call, std::string body);
    void respond_text(Call& call, std::string content_type, std::string body);
    /// The models that a visitor may use.
    [[nodiscard]] std::vector<job::ModelCard> models_for(const access::Visit& visit) const;
    /// What a client's name means, whether its key may use that or not. **Errors:** not_found, in
    /// words that name no model which it may not use.
    [[nodiscard]] Result<job::ModelCard> find_for(const access::Visit& visit,
                                                  std::string_view name) const;
    /// The same; absent, and the call is refused, when there is none or the key may not use it.
    std::optional<job::ModelCard> model_for(Call& call, std::string_view name);

    /// Why a key may not use what `name`, as the client sent it, means: its id is not told.
    [[nodiscard]] static std::string not_for_key(const access::Visit& visit, std::string_view name);

    /// Answers with an error in the words of the endpoint's API.
    void refuse(Call& call, const Error& error);
    void refuse(Call& call, unsigned status, std::string_view message);
    /// Answers with what became of the library's work (http_error.h).
    void refuse_by_library(Call& call, const Error& error);
    /// How errors are worded for this client: two APIs share paths.
    [[nodiscard]] const dialect::ErrorShape& shape_for(const Call& call) const;

    /// Runs `read` with the call, here for a short body and on another thread for a long one, whose
    /// JSON, template and tokens would hold up the other connections of this one. Ill-formed UTF-8
    /// in JSON is refused first.
    virtual void read_body(Call call, std::function<void(Call)> read) = 0;
    /// Has the jobs done, and the writer's answer sent; or answers why not.
    virtual void submit(Call call, Result<dialect::Asked> asked) = 0;

    /// Lets in a job that comes over a socket, as submit() does those of calls: knocks with the
    /// key, fills in who asks and where it may run, and checks what it asks for. It counts as part
    /// of the socket's own visit, not once more among the key's answers at once.
    virtual Result<Admitted> admit(std::string_view key, job::Request& job) = 0;
    /// Whether who has this key may administer now: keys expire and are revoked while a socket is
    /// open.
    [[nodiscard]] virtual bool still_administers(std::string_view key) const = 0;
    /// The daemon's and the lanes' logs.
    virtual LogJournal& journal() = 0;
    [[nodiscard]] virtual const std::shared_ptr<SocketSeats>& realtime_seats() const = 0;
    /// Their line has room for a go of each session that has a seat.
    [[nodiscard]] virtual os::WorkerPool& realtime_workers() = 0;

    /// What a call that answers in pieces of its own making has ended with, for the counters.
    virtual void count(const Call& call, unsigned status) = 0;
    /// The same, for when the status is known later than the call lasts; while the server is there.
    [[nodiscard]] virtual std::function<void(unsigned status)> counter_of(const Call& call) = 0;
};

/// The usual POST: a JSON body that becomes jobs.
using Ask = Result<dialect::Asked> (*)(std::string_view body, const dialect::Context& context);
template <Ask ask>
void answer_with(Desk& desk, Call call) {
    desk.read_body(std::move(call), [&desk](Call read) {
        auto asked = ask(read.request.body, desk.context());
        desk.submit(std::move(read), std::move(asked));
    });
}

}  // namespace trilane::gateway
