#include "net/request_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <optional>
#include <utility>

namespace trilane::net {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

std::string text(string_view view) {
    return {view.data(), view.size()};
}

/// "http://host/path?q" → "/path?q" and its "host"; other forms stay. RFC 9112 §3.2.2 makes servers
/// accept both.
struct OriginForm {
    std::string target;
    std::optional<std::string> authority;
};
OriginForm origin_form(std::string target) {
    const auto scheme_end = target.find("://");
    if (target.starts_with('/') || scheme_end == std::string::npos) {
        return {std::move(target), std::nullopt};
    }
    const auto path = std::min(target.find_first_of("/?#", scheme_end + 3), target.size());
    std::string authority = target.substr(scheme_end + 3, path - scheme_end - 3);
    std::string rest = target.substr(path);
    return {rest.starts_with('/') ? rest : "/" + rest, std::move(authority)};
}

/// What Beast's grammar found in `bytes` → what the client is told.
Refusal refusal_of(const error_code& ec, std::string_view bytes, const Limits& limits) {
    if (ec == http::error::header_limit) {
        return {431, fmt::format("the request headers are longer than {} bytes; send fewer or "
                                 "shorter ones",
                                 limits.header_bytes_max)};
    }
    if (ec == http::error::body_limit) {
        return {413, fmt::format("the request body is longer than {} bytes; send a shorter one",
                                 limits.body_bytes_max)};
    }
    const std::string_view first_line = bytes.substr(0, bytes.find('\r'));
    if (ec == http::error::bad_version && first_line.find(" HTTP/") != std::string_view::npos) {
        return {505, "this server speaks HTTP/1.1 and HTTP/1.0"};
    }
    return {400, fmt::format("not a well-formed HTTP/1.1 request: {}", ec.message())};
}

/// Collects one request out of Beast's callbacks, with the checks that Beast leaves to its user.
class Collector final : public http::basic_parser<true> {
public:
    Collector(const Limits& limits, std::atomic<std::size_t>* reading_bytes)
        : limits_(limits), reading_bytes_(reading_bytes) {
        eager(true);
        header_limit(static_cast<std::uint32_t>(limits.header_bytes_max));
        body_limit(limits.body_bytes_max);
    }
    ~Collector() override { drop_body(); }
    Collector(const Collector&) = delete;
    Collector& operator=(const Collector&) = delete;

    /// Gives the body's memory back, and its bytes to the other parsers.
    void drop_body() {
        request.body = {};
        if (reading_bytes_ != nullptr) {
            reading_bytes_->fetch_sub(std::exchange(counted_bytes_, 0), std::memory_order_relaxed);
        }
    }

    /// Fewer bytes than this cannot be all of a chunked body, nor its first chunk.
    [[nodiscard]] std::size_t bytes_min() {
        constexpr std::size_t kChunkBytesMin = 5;
        return is_header_done() && chunked() && !chunk_seen_ ? kChunkBytesMin : 1;
    }

    Request request;
    std::optional<Refusal> refusal;
    bool expects_continue = false;

private:
    void refuse(unsigned status, std::string message, error_code& ec) {
        refusal = Refusal{status, std::move(message)};
        ec = http::error::bad_value;
    }

    /// Beast bounds the headers of one put() only; a slow client makes many.
    void count_header_bytes(std::size_t bytes, error_code& ec) {
        header_bytes_ += bytes;
        if (header_bytes_ > limits_.header_bytes_max) {
            ec = http::error::header_limit;
        }
    }

    std::size_t append_body(string_view bytes, error_code& ec) {
        if (reading_bytes_ != nullptr) {
            const std::size_t before =
                reading_bytes_->fetch_add(bytes.size(), std::memory_order_relaxed);
            counted_bytes_ += bytes.size();
            if (before + bytes.size() > limits_.reading_bytes_max) {
                refuse(503,
                       fmt::format("the request bodies that are arriving now would together be "
                                   "longer than {} bytes; try again in a moment",
                                   limits_.reading_bytes_max),
                       ec);
                return 0;
            }
        }
        request.body.append(bytes.data(), bytes.size());
        return bytes.size();
    }

    void on_request_impl(http::verb /*method*/, string_view method, string_view target, int version,
                         error_code& ec) override {
        request.method = text(method);
        OriginForm form = origin_form(text(target));
        request.target = std::move(form.target);
        authority_ = std::move(form.authority);
        request.minor = version == 11 ? 1 : 0;
        count_header_bytes(method.size() + target.size(), ec);
    }

    void on_response_impl(int /*code*/, string_view /*reason*/, int /*version*/,
                          error_code& ec) override {
        ec = http::error::bad_method;
    }

    void on_field_impl(http::field field, string_view name, string_view value,
                       error_code& ec) override {
        constexpr std::size_t kLineOverheadBytes = 4;  // ": " and the line end
        count_header_bytes(name.size() + value.size() + kLineOverheadBytes, ec);
        if (ec || header_seen_) {
            return;  // trailers are read and dropped
        }
        if (request.headers.size() >= limits_.headers_max) {
            refuse(431, fmt::format("more than {} headers; send fewer", limits_.headers_max), ec);
            return;
        }
        const std::string_view plain(value.data(), value.size());
        if (field == http::field::transfer_encoding &&
            (!equal_ignoring_case(plain, "chunked") || request.minor == 0)) {
            refuse(501, "the only transfer encoding understood here is HTTP/1.1's \"chunked\"", ec);
            return;
        }
        if (field == http::field::expect) {
            if (!equal_ignoring_case(plain, "100-continue")) {
                refuse(417, "the only expectation understood here is \"100-continue\"", ec);
                return;
            }
            expects_continue = request.minor == 1;
        }
        hosts_ += field == http::field::host ? 1U : 0U;
        request.headers.push_back({text(name), text(value)});
    }

    void on_header_impl(error_code& ec) override {
        header_seen_ = true;
        if (hosts_ > 1 || (hosts_ == 0 && request.minor == 1)) {
            refuse(400, "an HTTP/1.1 request has exactly one Host header", ec);
            return;
        }
        if (authority_) {
            name_host(ec);
        }
    }

    /// What the target names counts, whatever the header says (RFC 9112 §3.2.2).
    void name_host(error_code& ec) {
        if (authority_->empty() || authority_->find('@') != std::string::npos) {
            refuse(400, "the request's target names no host", ec);
            return;
        }
        const auto host = std::ranges::find_if(request.headers, [](const Header& header) {
            return equal_ignoring_case(header.name, "Host");
        });
        if (host != request.headers.end()) {
            host->value = *authority_;
        } else {
            request.headers.push_back({"Host", *authority_});
        }
    }

    void on_body_init_impl(const boost::optional<std::uint64_t>& /*length*/,
                           error_code& /*ec*/) override {}

    std::size_t on_body_impl(string_view bytes, error_code& ec) override {
        return append_body(bytes, ec);
    }

    void on_chunk_header_impl(std::uint64_t /*size*/, string_view /*extensions*/,
                              error_code& /*ec*/) override {
        chunk_seen_ = true;
    }

    std::size_t on_chunk_body_impl(std::uint64_t /*remain*/, string_view bytes,
                                   error_code& ec) override {
        return append_body(bytes, ec);
    }

    void on_finish_impl(error_code& /*ec*/) override {}

    const Limits& limits_;
    std::atomic<std::size_t>* reading_bytes_;
    std::size_t counted_bytes_ = 0;  // our part of *reading_bytes_
    std::size_t header_bytes_ = 0;
    unsigned hosts_ = 0;
    std::optional<std::string> authority_;  // of a target in absolute form
    bool header_seen_ = false;
    bool chunk_seen_ = false;
};

}  // namespace

/// Beast's parsers serve one message each: this one is built anew, in place, for the next.
class RequestParser::Machine {
public:
    std::optional<Collector> collector;
};

RequestParser::RequestParser(const Limits& limits, std::atomic<std::size_t>* reading_bytes)
    : machine_(std::make_unique<Machine>()), limits_(limits), reading_bytes_(reading_bytes) {
    machine_->collector.emplace(limits_, reading_bytes_);
}

RequestParser::~RequestParser() = default;

RequestParser::Step RequestParser::feed(std::string_view bytes, std::size_t& consumed) {
    Collector& collector = *machine_->collector;
    consumed = 0;
    while (consumed < bytes.size() && !collector.is_done()) {
        error_code ec;
        const std::string_view rest = bytes.substr(consumed);
        if (rest.size() < collector.bytes_min()) {
            return Step::need_more;  // Beast (1.81) aborts on four bytes of an empty chunked body
        }
        consumed += collector.put(boost::asio::const_buffer(rest.data(), rest.size()), ec);
        if (ec == http::error::need_more) {
            return Step::need_more;
        }
        if (ec) {
            refusal_ =
                collector.refusal ? std::move(*collector.refusal) : refusal_of(ec, rest, limits_);
            collector.drop_body();  // the connection may linger for a while yet
            return Step::refused;
        }
    }
    return collector.is_done() ? Step::complete : Step::need_more;
}

bool RequestParser::header_done() const {
    return machine_->collector->is_header_done();
}

std::string_view RequestParser::target() const {
    return machine_->collector->request.target;
}

bool RequestParser::wants_continue() const {
    return machine_->collector->expects_continue;
}

const Refusal& RequestParser::refusal() const {
    return refusal_;
}

Request RequestParser::take() {
    Request request = std::move(machine_->collector->request);
    request.keep_alive = machine_->collector->keep_alive();
    machine_->collector.emplace(limits_, reading_bytes_);
    return request;
}

Result<Request> parse_request(std::string_view bytes, const Limits& limits) {
    RequestParser parser(limits);
    std::size_t consumed = 0;
    switch (parser.feed(bytes, consumed)) {
        case RequestParser::Step::complete:
            return parser.take();
        case RequestParser::Step::refused:
            return fail(Fault::invalid, "{}", parser.refusal().message);
        case RequestParser::Step::need_more:
            break;
    }
    return fail(Fault::invalid, "the request is cut off after {} bytes", bytes.size());
}

}  // namespace trilane::net
