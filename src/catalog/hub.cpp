#include "catalog/hub.h"

#include <algorithm>
#include <array>
#include <map>

#include "catalog/file_names.h"
#include "catalog/hub_listing.h"

namespace trilane::catalog {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kKindsShown = 6;

std::string endpoint_of(const Hub& hub) {
    std::string endpoint = hub.endpoint;
    while (endpoint.ends_with('/')) {
        endpoint.pop_back();
    }
    return endpoint;
}

/// Percent-encodes each component of a path.
std::string encoded_path(std::string_view path) {
    std::string out;
    while (true) {
        const std::size_t end = std::min(path.find('/'), path.size());
        out += percent_encoded(path.substr(0, end));
        if (end == path.size()) {
            return out;
        }
        out += '/';
        path.remove_prefix(end + 1);
    }
}

/// One page of text, within a limit.
class Page final : public WebListener {
public:
    bool on_head(const WebHead& /*head*/) override {
        text.clear();
        return true;
    }
    bool on_bytes(std::span<const std::byte> bytes) override {
        if (text.size() + bytes.size() > kListingBytesMax) {
            too_long = true;
            return false;
        }
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        return true;
    }
    std::string text;
    bool too_long = false;
};

void wait(Web& web, milliseconds pause) {
    const auto until = Clock::now() + pause;
    for (auto now = Clock::now(); now < until; now = Clock::now()) {
        web.step(std::chrono::duration_cast<milliseconds>(until - now) + milliseconds(1));
    }
}

/// Fetches a page, with as many tries as the hub's options allow; `next` becomes its successor.
Result<std::string> fetch_page(Web& web, const Hub& hub, const Reference& reference,
                               const std::string& url, std::string& next) {
    const bool own = origin_of(url) == origin_of(hub.endpoint);
    for (unsigned tries = 1;; ++tries) {
        Page page;
        const auto transfer = web.start({url, own ? hub.token : "", std::nullopt}, page);
        while (!transfer->ended()) {
            web.step(milliseconds(1000));
        }
        const WebHead& head = transfer->head();
        if (page.too_long) {
            return fail(Fault::invalid,
                        "the hub's list of the files of {} is longer than {} MiB; "
                        "name another repository",
                        shown(reference.repository), kListingBytesMax >> 20U);
        }
        const Status& outcome = transfer->outcome();
        if (outcome && head.status == 200) {
            next = next_page(head.link);
            return std::move(page.text);
        }
        if (outcome && !worth_retrying(head)) {
            return tl::unexpected(refusal(hub, reference, head));
        }
        const bool hopeless = !outcome && outcome.error().fault == Fault::invalid;
        const milliseconds pause = pause_before_retry(hub, tries, head);
        if (hopeless || tries >= hub.attempts || pause > kRetryAfterMax) {
            if (outcome) {
                return tl::unexpected(refusal(hub, reference, head));
            }
            return fail(outcome.error().fault,
                        "cannot reach the hub: {}; check the network, or "
                        "HF_ENDPOINT when you use another hub",
                        outcome.error().message);
        }
        wait(web, pause);
    }
}

/// "3 safetensors, 2 json": what a repository without GGUF holds.
std::string kinds_of(const std::vector<RemoteFile>& files) {
    std::map<std::string, std::size_t> counts;
    for (const RemoteFile& file : files) {
        const std::string_view name = base_name(file.path);
        const std::size_t dot = name.rfind('.');
        ++counts[dot == std::string_view::npos || dot == 0 ? std::string("others")
                                                           : lower_case(name.substr(dot + 1))];
    }
    std::vector<std::pair<std::string, std::size_t>> kinds(counts.begin(), counts.end());
    std::stable_sort(kinds.begin(), kinds.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    std::string text;
    for (std::size_t i = 0; i < kinds.size() && i < kKindsShown; ++i) {
        text += fmt::format("{}{} {}", i == 0 ? "" : ", ", kinds[i].second, shown(kinds[i].first));
    }
    return text.empty() ? "no files" : text;
}

Error no_gguf(const Reference& reference, const std::vector<RemoteFile>& files) {
    const bool shards = std::any_of(files.begin(), files.end(), [](const RemoteFile& file) {
        return shard_of(base_name(file.path)).has_value();
    });
    if (shards) {
        return {Fault::invalid,
                fmt::format("{} holds only incomplete sets of GGUF shards; try again "
                            "when its upload is done, or name another repository",
                            shown(reference.repository))};
    }
    return {Fault::invalid,
            fmt::format("{} holds no GGUF file ({}); look for a repository of the same model whose "
                        "name ends in -GGUF",
                        shown(reference.repository), kinds_of(files))};
}

}  // namespace

Status check_hub(const Hub& hub) {
    if (origin_of(hub.endpoint).empty()) {
        return fail(Fault::invalid,
                    "the hub's address '{}' is none; set HF_ENDPOINT to one like "
                    "https://huggingface.co",
                    shown_url(hub.endpoint));
    }
    if (std::any_of(hub.token.begin(), hub.token.end(),
                    [](char c) { return c <= ' ' || c > '~'; })) {
        return fail(Fault::invalid,
                    "the hub's token holds a space or a character that no HTTP header can carry; "
                    "set HF_TOKEN to the token alone");
    }
    return {};
}

std::string tree_url(const Hub& hub, const Reference& reference) {
    return fmt::format("{}/api/models/{}/tree/{}?recursive=true", endpoint_of(hub),
                       encoded_path(reference.repository), percent_encoded(reference.revision));
}

std::string file_url(const Hub& hub, const Reference& reference, std::string_view path) {
    return fmt::format("{}/{}/resolve/{}/{}", endpoint_of(hub), encoded_path(reference.repository),
                       percent_encoded(reference.revision), encoded_path(path));
}

bool worth_retrying(const WebHead& head) {
    const unsigned status = head.status;
    // A CDN's address is signed and ends: asking the hub again gives a fresh one.
    const bool stale = head.elsewhere && (status == 401 || status == 403 || status == 404);
    return status == 408 || status == 425 || status == 429 || status >= 500 || stale;
}

milliseconds pause_before_retry(const Hub& hub, unsigned tries, const WebHead& head) {
    if (head.retry_after) {
        return *head.retry_after;
    }
    milliseconds pause = hub.first_pause;
    for (unsigned i = 1; i < tries && pause < kPauseMax; ++i) {
        pause *= 2;
    }
    return std::min(pause, kPauseMax);
}

Error refusal(const Hub& hub, const Reference& reference, const WebHead& head) {
    const std::string repository = shown(reference.repository);
    const std::string endpoint = shown_url(hub.endpoint);
    const bool gated = head.error_code == "GatedRepo" || (head.status == 403 && !head.elsewhere);
    if (gated) {
        return {Fault::unavailable,
                fmt::format("{} is gated: accept its terms at {}/{} while logged in, then set "
                            "HF_TOKEN to a token of that account with read access{}",
                            repository, endpoint, repository,
                            hub.token.empty() ? "" : " (the token in use has none)")};
    }
    if (head.error_code == "RevisionNotFound") {
        return {Fault::not_found,
                fmt::format("{} has no revision '{}'; leave it out for the newest", repository,
                            shown(reference.revision))};
    }
    if (head.status == 401 && !hub.token.empty()) {
        return {Fault::unavailable,
                fmt::format("the hub refuses the token, or there is no {}; check the spelling, and "
                            "that HF_TOKEN is a valid token with read access",
                            repository)};
    }
    if (head.status == 404 || head.status == 401) {
        return {Fault::not_found,
                fmt::format("{} has no repository or file {}; check the spelling{}", endpoint,
                            repository,
                            hub.token.empty() ? ", or set HF_TOKEN if it is a private one" : "")};
    }
    if (head.status == 429) {
        const auto wait_s = head.retry_after ? head.retry_after->count() : 0;
        return {Fault::unavailable,
                fmt::format("the hub asks for fewer requests; try again in {}{}",
                            wait_s > 0 ? fmt::format("{} s", wait_s) : "some minutes",
                            hub.token.empty() ? ", or set HF_TOKEN for a higher limit" : "")};
    }
    return {Fault::unavailable,
            fmt::format("the hub answers {} for {}; try again later", head.status, repository)};
}

Result<std::vector<RemoteFile>> list_files(const Hub& hub, const Reference& reference) {
    TRILANE_TRY_STATUS(check_hub(hub));
    Web web(hub.connect_timeout, hub.silence_timeout);
    std::vector<RemoteFile> files;
    std::string url = tree_url(hub, reference);
    for (unsigned page = 0; !url.empty(); ++page) {
        if (page >= kListingPagesMax) {
            return fail(Fault::invalid,
                        "the list of the files of {} has more than {} pages; name "
                        "another repository",
                        shown(reference.repository), kListingPagesMax);
        }
        std::string next;
        TRILANE_TRY(const std::string text, fetch_page(web, hub, reference, url, next));
        TRILANE_TRY_STATUS(parse_tree(text, files));
        url = std::move(next);
    }
    return files;
}

Result<std::vector<Variant>> list_variants(const Hub& hub, const Reference& reference) {
    TRILANE_TRY(const std::vector<RemoteFile> files, list_files(hub, reference));
    std::vector<Variant> variants = group_variants(files);
    if (variants.empty()) {
        return tl::unexpected(no_gguf(reference, files));
    }
    return variants;
}

}  // namespace trilane::catalog
