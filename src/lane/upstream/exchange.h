// Exchange: one job's conversation with an HTTP server, whatever is asked: which request comes
// next, and what the bytes of its answer mean for the job. One kind per kind of ask. Knows no
// sockets and no clock; when to send, to wait and to give up is Course's business.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "job/job.h"
#include "lane/upstream/rules.h"

namespace trilane::lane::upstream {

/// A request as it goes to the server.
struct Outgoing {
    std::string path;      ///< below the API's prefix, or with `at_root` as it stands
    bool at_root = false;  ///< a page of the server's own: "/tokenize"
    std::string content_type = "application/json";
    std::string body;
};

/// Where a piece of an answer leaves the job.
enum class Next : std::uint8_t {
    more,            ///< this answer goes on
    answered,        ///< this answer was the last; Done has been sent
    ask_again,       ///< this answer is complete, and the next request must be sent
    enough,          ///< as `answered`, though the server goes on: break it off
    enough_of_this,  ///< as `ask_again`, though the server goes on
    failed,          ///< see failure(); no last event has been sent
};

/// **Threads:** one at a time.
class Exchange {
public:
    virtual ~Exchange() = default;

    /// The next request; what is heard from now on is its answer. Asked for once at first, after
    /// `ask_again` and `enough_of_this`, and after a failure that may_pass().
    /// **Errors:** invalid: what is asked cannot be asked of this server, and what to do instead.
    virtual Result<Outgoing> ask() = 0;

    virtual void on_head(unsigned status, std::string_view content_type) = 0;
    virtual Next on_body(std::string_view bytes) = 0;
    /// The transfer has ended, well or not.
    virtual Next on_end(const Status& status) = 0;

    /// Everything has come but the end of the transfer.
    [[nodiscard]] virtual bool only_end_missing() const { return false; }
    /// The current answer came to its good end.
    [[nodiscard]] virtual bool completed() const = 0;
    /// Pieces of the current answer so far; comments and heads do not count.
    [[nodiscard]] virtual std::uint64_t pieces() const = 0;
    [[nodiscard]] virtual const Error& failure() const = 0;
    /// The failure was the server's own words and nothing of the answer has been sent on: asking
    /// again may help.
    [[nodiscard]] virtual bool may_pass() const { return false; }
};

/// The exchange for that request. `request` and `upstream` must outlive it; events go to `sink`,
/// Failed excepted.
std::unique_ptr<Exchange> open_exchange(const job::Request& request, const Upstream& upstream,
                                        job::EventSink sink);

}  // namespace trilane::lane::upstream
