#include "catalog/web.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "base/check.h"
#include "catalog/file_names.h"

namespace trilane::catalog {
namespace {

using Clock = std::chrono::steady_clock;

constexpr long kReceiveBytes = 256L << 10;

/// libcurl's own global state: made once, on first use, and left to the end of the process.
bool curl_is_ready() {
    static const CURLcode made = ::curl_global_init(CURL_GLOBAL_DEFAULT);
    return made == CURLE_OK;
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string unquoted_etag(std::string_view etag) {
    if (etag.starts_with("W/")) {
        etag.remove_prefix(2);
    }
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
        etag = etag.substr(1, etag.size() - 2);
    }
    return std::string(etag);
}

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

/// "bytes 0-99/1234", "bytes 0-99/*".
void read_content_range(std::string_view value, WebHead& head) {
    constexpr std::string_view kUnit = "bytes ";
    const std::size_t dash = value.find('-');
    const std::size_t slash = value.find('/');
    if (!value.starts_with(kUnit) || dash == std::string_view::npos ||
        slash == std::string_view::npos || slash < dash) {
        return;
    }
    const auto first = number(value.substr(kUnit.size(), dash - kUnit.size()));
    const auto last = number(value.substr(dash + 1, slash - dash - 1));
    if (first && last && *first <= *last && *last < UINT64_MAX) {
        head.range = ByteRange{*first, *last + 1};
        head.whole_bytes = number(value.substr(slash + 1));
    }
}

void read_retry_after(std::string_view value, WebHead& head) {
    constexpr std::uint64_t kSecondsMax = 86'400;
    if (const auto seconds = number(value)) {
        head.retry_after = std::chrono::seconds(std::min(*seconds, kSecondsMax));
        return;
    }
    const std::time_t then = ::curl_getdate(std::string(value).c_str(), nullptr);
    const std::time_t now = std::time(nullptr);
    if (then > now) {
        head.retry_after =
            std::chrono::seconds(std::min(static_cast<std::uint64_t>(then - now), kSecondsMax));
    }
}

bool is_loopback_url(std::string_view url) {
    const std::string origin = origin_of(url);
    return origin.find("://127.") != std::string::npos ||
           origin.find("://localhost:") != std::string::npos ||
           origin.find("://[::1]") != std::string::npos;
}

struct FreeUrl {
    void operator()(CURLU* url) const { ::curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

Url parsed_url(std::string_view text) {
    Url url(::curl_url());
    if (!url ||
        ::curl_url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), 0) != CURLUE_OK) {
        return nullptr;
    }
    return url;
}

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
    char* text = nullptr;
    if (::curl_url_get(url, part, &text, flags) != CURLUE_OK || text == nullptr) {
        return {};
    }
    std::string copy(text);
    ::curl_free(text);
    return copy;
}

}  // namespace

std::string origin_of(std::string_view url) {
    const Url parsed = parsed_url(url);
    if (!parsed) {
        return {};
    }
    const std::string scheme = part_of(parsed.get(), CURLUPART_SCHEME);
    if (scheme != "http" && scheme != "https") {
        return {};
    }
    return lower_case(scheme + "://" + part_of(parsed.get(), CURLUPART_HOST) + ':' +
                      part_of(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

std::string shown_url(std::string_view url) {
    const Url parsed = parsed_url(url);
    if (!parsed) {
        return shown(url.substr(0, url.find('?')));
    }
    for (const CURLUPart part : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS,
                                 CURLUPART_QUERY, CURLUPART_FRAGMENT}) {
        ::curl_url_set(parsed.get(), part, nullptr, 0);
    }
    return shown(part_of(parsed.get(), CURLUPART_URL));
}

std::string percent_encoded(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            out += c;
        } else {
            out += '%';
            out += kDigits[byte >> 4U];
            out += kDigits[byte & 15U];
        }
    }
    return out;
}

struct WebTransfer::State {
    State(CURLM* in_multi, WebListener& to, std::string asked)
        : multi(in_multi), listener(to), url(std::move(asked)), last_byte_at(Clock::now()) {}
    ~State() {
        if (easy != nullptr) {
            ::curl_multi_remove_handle(multi, easy);
            ::curl_easy_cleanup(easy);
        }
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void read_header(std::string_view line);
    bool deliver_head();
    bool deliver(std::span<const std::byte> bytes);
    void end(Status status);
    void settle(CURLcode code);

    CURLM* multi;
    CURL* easy = nullptr;
    WebListener& listener;
    std::string url;
    std::set<State*>* transfers = nullptr;  ///< those of the Web that are under way
    std::array<char, CURL_ERROR_SIZE> reason{};
    WebHead head;
    std::string own_etag;     ///< of the answer being read
    std::string linked_etag;  ///< of any
    std::size_t header_bytes = 0;
    bool head_delivered = false;
    bool refused = false;  ///< by the listener
    Clock::time_point last_byte_at;
    bool over = false;
    Status status;
};

/// Fields of each answer begin anew with its status line, but for those that only a hub's own
/// answer carries and its CDN's does not.
void WebTransfer::State::read_header(std::string_view line) {
    last_byte_at = Clock::now();
    line = trimmed(line);
    if (line.starts_with("HTTP/")) {
        std::string commit = std::move(head.commit);
        head = WebHead{};
        head.commit = std::move(commit);
        own_etag.clear();
        return;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
        return;
    }
    const std::string name = lower_case(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (name == "etag") {
        own_etag = unquoted_etag(value);
    } else if (name == "x-linked-etag") {
        linked_etag = unquoted_etag(value);
    } else if (name == "x-repo-commit") {
        head.commit = value;
    } else if (name == "x-error-code") {
        head.error_code = value;
    } else if (name == "link") {
        head.link = value;
    } else if (name == "content-range") {
        read_content_range(value, head);
    } else if (name == "retry-after") {
        read_retry_after(value, head);
    }
}

bool WebTransfer::State::deliver_head() {
    if (head_delivered) {
        return true;
    }
    head_delivered = true;
    long code = 0;
    char* effective = nullptr;
    ::curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    ::curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &effective);
    head.status = static_cast<unsigned>(code);
    head.linked = !linked_etag.empty();
    head.etag = head.linked ? linked_etag : own_etag;
    head.elsewhere = effective != nullptr && origin_of(effective) != origin_of(url);
    refused = !listener.on_head(head);
    return !refused;
}

bool WebTransfer::State::deliver(std::span<const std::byte> bytes) {
    last_byte_at = Clock::now();
    if (!deliver_head()) {
        return false;
    }
    refused = !listener.on_bytes(bytes);
    return !refused;
}

void WebTransfer::State::end(Status how) {
    over = true;
    status = std::move(how);
    if (transfers != nullptr) {
        transfers->erase(this);
    }
    ::curl_multi_remove_handle(multi, easy);
}

void WebTransfer::State::settle(CURLcode code) {
    if (code == CURLE_OK && deliver_head()) {
        end({});
        return;
    }
    if (refused) {
        end(fail(Fault::cancelled, "the transfer was broken off"));
        return;
    }
    const std::string_view why = reason[0] != '\0' ? std::string_view(reason.data())
                                                   : std::string_view(::curl_easy_strerror(code));
    const bool bad_address = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
    end(fail(bad_address                        ? Fault::invalid
             : code == CURLE_OPERATION_TIMEDOUT ? Fault::timeout
                                                : Fault::unavailable,
             "{}: {}", shown_url(url), shown(why)));
}

WebTransfer::WebTransfer(std::unique_ptr<State> state) : state_(std::move(state)) {}
WebTransfer::~WebTransfer() {
    if (state_->transfers != nullptr) {
        state_->transfers->erase(state_.get());
    }
}
bool WebTransfer::ended() const {
    return state_->over;
}
const Status& WebTransfer::outcome() const {
    return state_->status;
}
const WebHead& WebTransfer::head() const {
    return state_->head;
}

struct Web::Multi {
    CURLM* handle = nullptr;
    std::chrono::milliseconds connect_timeout;
    std::chrono::milliseconds silence_timeout;
    std::set<WebTransfer::State*> transfers;

    static std::size_t on_header(char* data, std::size_t one, std::size_t bytes, void* to) {
        auto& state = *static_cast<WebTransfer::State*>(to);
        state.header_bytes += one * bytes;
        if (state.header_bytes > kHeaderBytesMax) {
            return 0;
        }
        state.read_header({data, one * bytes});
        return one * bytes;
    }
    static std::size_t on_body(char* data, std::size_t one, std::size_t bytes, void* to) {
        auto& state = *static_cast<WebTransfer::State*>(to);
        const std::span<const char> piece(data, one * bytes);
        return state.deliver(std::as_bytes(piece)) ? piece.size() : CURL_WRITEFUNC_ERROR;
    }
    void set_options(WebTransfer::State& state, const WebGet& get) const;
    void end_silent_ones();
};

void Web::Multi::set_options(WebTransfer::State& state, const WebGet& get) const {
    CURL* easy = state.easy;
    ::curl_easy_setopt(easy, CURLOPT_URL, get.url.c_str());
    ::curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    ::curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    ::curl_easy_setopt(easy, CURLOPT_MAXREDIRS, kRedirectsMax);
    ::curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR,
                       get.url.starts_with("https:") ? "https" : "http,https");
    // One connection per piece: over HTTP/2 all pieces would share one, and its window.
    ::curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    ::curl_easy_setopt(easy, CURLOPT_UNRESTRICTED_AUTH, 0L);
    if (!get.token.empty()) {
        ::curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        ::curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, get.token.c_str());
    }
    if (get.range) {
        const std::string range = fmt::format("{}-{}", get.range->begin, get.range->end - 1);
        ::curl_easy_setopt(easy, CURLOPT_RANGE, range.c_str());
    }
    if (is_loopback_url(get.url)) {
        ::curl_easy_setopt(easy, CURLOPT_PROXY, "");
    }
    ::curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(easy, CURLOPT_USERAGENT, "trilane");
    ::curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBytes);
    ::curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect_timeout.count()));
    ::curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, state.reason.data());
    ::curl_easy_setopt(easy, CURLOPT_PRIVATE, &state);
    ::curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Multi::on_header);
    ::curl_easy_setopt(easy, CURLOPT_HEADERDATA, &state);
    ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Multi::on_body);
    ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, &state);
}

void Web::Multi::end_silent_ones() {
    const auto now = Clock::now();
    const std::vector<WebTransfer::State*> all(transfers.begin(), transfers.end());
    for (WebTransfer::State* state : all) {
        if (now - state->last_byte_at > silence_timeout + connect_timeout ||
            (state->header_bytes > 0 && now - state->last_byte_at > silence_timeout)) {
            state->end(fail(Fault::timeout, "{}: no byte came for {} s", shown_url(state->url),
                            std::chrono::duration<double>(now - state->last_byte_at).count()));
        }
    }
}

Web::Web(std::chrono::milliseconds connect_timeout, std::chrono::milliseconds silence_timeout)
    : multi_(std::make_unique<Multi>()) {
    multi_->handle = curl_is_ready() ? ::curl_multi_init() : nullptr;
    TRILANE_CHECK(multi_->handle != nullptr);  // only out of memory
    multi_->connect_timeout = connect_timeout;
    multi_->silence_timeout = silence_timeout;
}

Web::~Web() {
    TRILANE_CHECK(multi_->transfers.empty());
    ::curl_multi_cleanup(multi_->handle);
}

std::unique_ptr<WebTransfer> Web::start(const WebGet& get, WebListener& listener) {
    auto state = std::make_unique<WebTransfer::State>(multi_->handle, listener, get.url);
    state->easy = ::curl_easy_init();
    TRILANE_CHECK(state->easy != nullptr);  // only out of memory
    multi_->set_options(*state, get);
    state->transfers = &multi_->transfers;
    multi_->transfers.insert(state.get());
    if (const CURLMcode added = ::curl_multi_add_handle(multi_->handle, state->easy);
        added != CURLM_OK) {
        state->end(
            fail(Fault::internal, "{}: {}", shown_url(get.url), ::curl_multi_strerror(added)));
    }
    return std::unique_ptr<WebTransfer>(new WebTransfer(std::move(state)));
}

void Web::step(std::chrono::milliseconds patience) {
    int running = 0;
    ::curl_multi_perform(multi_->handle, &running);
    int messages = 0;
    bool settled = false;
    const auto settle_all = [&] {
        while (const CURLMsg* message = ::curl_multi_info_read(multi_->handle, &messages)) {
            if (message->msg != CURLMSG_DONE) {
                continue;
            }
            const CURLcode code = message->data.result;
            WebTransfer::State* state = nullptr;
            ::curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &state);
            state->settle(code);
            settled = true;
        }
    };
    settle_all();
    if (!settled && patience.count() > 0) {
        ::curl_multi_poll(multi_->handle, nullptr, 0, static_cast<int>(patience.count()), nullptr);
        ::curl_multi_perform(multi_->handle, &running);
        settle_all();
    }
    multi_->end_silent_ones();
}

}  // namespace trilane::catalog
