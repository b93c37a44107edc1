#include "catalog/local_hub_test.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "catalog/web.h"
#include "gguf/writer.h"
#include "json/json.h"

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCommit = "0123456789abcdef0123456789abcdef01234567";

std::string header_of(const net::Request& request, std::string_view name) {
    const std::string* value = request.header(name);
    return value != nullptr ? *value : std::string();
}

/// "bytes=5-9" → {5, 10} within a file of `size` bytes.
std::optional<ByteRange> range_of(const std::string& header, std::size_t size) {
    unsigned long long first = 0;
    unsigned long long last = 0;
    if (std::sscanf(header.c_str(), "bytes=%llu-%llu", &first, &last) != 2 || first > last ||
        last >= size) {
        return std::nullopt;
    }
    return ByteRange{first, last + 1};
}

std::string part_between(const std::string& text, const std::string& before,
                         const std::string& after) {
    const std::size_t begin = text.find(before);
    if (begin == std::string::npos) {
        return {};
    }
    const std::size_t end = after.empty() ? text.size() : text.find(after, begin + before.size());
    return end == std::string::npos
               ? std::string()
               : text.substr(begin + before.size(), end - begin - before.size());
}

}  // namespace

std::string sha256_hex(const std::string& bytes) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr);
    std::string hex;
    for (unsigned i = 0; i < length; ++i) {
        hex += fmt::format("{:02x}", digest[i]);
    }
    return hex;
}

std::string gguf_bytes(std::size_t bytes, unsigned seed, const std::string& architecture) {
    gguf::Writer writer;
    writer.add("general.architecture", architecture);
    writer.add("general.license", "apache-2.0");
    writer.add(architecture + ".context_length", std::uint32_t{4096});
    std::vector<float> values(std::max<std::size_t>(bytes / sizeof(float), 1));
    std::uint32_t state = seed * 2'654'435'761U + 1;
    for (float& value : values) {
        state = state * 1'664'525U + 1'013'904'223U;
        value = static_cast<float>(state >> 8U);
    }
    const std::array<std::uint64_t, 1> shape{values.size()};
    writer.add_tensor("weights", shape, std::span<const float>(values));
    const auto stored = writer.bytes();
    return {reinterpret_cast<const char*>(stored.data()), stored.size()};
}

TempFolder::TempFolder() {
    std::string name = (fs::temp_directory_path() / "trilane-catalog-XXXXXX").string();
    path_ = ::mkdtemp(name.data()) != nullptr ? name : std::string();
    EXPECT_FALSE(path_.empty());
    path_ = fs::canonical(path_).string();
}

TempFolder::~TempFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

std::string TempFolder::write(const std::string& name, const std::string& bytes) const {
    const fs::path to = fs::path(path_) / name;
    fs::create_directories(to.parent_path());
    std::ofstream(to, std::ios::binary) << bytes;
    return to.string();
}

std::vector<std::string> TempFolder::files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
        if (entry.is_symlink() || !entry.is_directory()) {
            names.push_back(fs::relative(entry.path(), path_).string());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::string file_text(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

LocalHub::LocalHub() {
    const auto start = [this](bool at_cdn) {
        auto server = net::Server::start(
            {}, [this, at_cdn](net::Request request, std::shared_ptr<net::Exchange> exchange) {
                answer(at_cdn, request, exchange);
            });
        EXPECT_TRUE(server.has_value());
        return std::move(*server);
    };
    hub_ = start(false);
    cdn_ = start(true);
}

LocalHub::~LocalHub() {
    let_go();
    hub_->stop(std::chrono::milliseconds(0));
    cdn_->stop(std::chrono::milliseconds(0));
}

std::string LocalHub::endpoint() const {
    return fmt::format("http://127.0.0.1:{}", hub_->port());
}

Hub LocalHub::options() const {
    Hub hub;
    hub.endpoint = endpoint();
    hub.token = token;
    hub.connect_timeout = std::chrono::seconds(10);
    hub.silence_timeout = std::chrono::seconds(30);
    hub.first_pause = std::chrono::milliseconds(1);
    hub.piece_bytes = 64U << 10U;
    return hub;
}

void LocalHub::put(const std::string& repository, const std::string& path, std::string bytes,
                   bool lfs) {
    const std::lock_guard lock(mutex_);
    repositories_[repository][path] = {std::move(bytes), lfs};
}

void LocalHub::put_listing(const std::string& repository, std::string json) {
    const std::lock_guard lock(mutex_);
    listings_[repository] = std::move(json);
}

void LocalHub::fail_next(std::vector<HubFault> faults) {
    const std::lock_guard lock(mutex_);
    file_faults_.assign(faults.begin(), faults.end());
}

void LocalHub::fail_next_listing(std::vector<HubFault> faults) {
    const std::lock_guard lock(mutex_);
    listing_faults_.assign(faults.begin(), faults.end());
}

void LocalHub::let_go() {
    std::vector<std::shared_ptr<net::Exchange>> held;
    {
        const std::lock_guard lock(mutex_);
        held.swap(held_);
    }
}

std::vector<SeenRequest> LocalHub::seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
}

std::size_t LocalHub::file_requests() {
    const std::lock_guard lock(mutex_);
    return file_requests_;
}

void LocalHub::forget_seen() {
    const std::lock_guard lock(mutex_);
    seen_.clear();
    file_requests_ = 0;
}

bool LocalHub::wait_for_file_requests(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60),
                             [&] { return file_requests_ >= count; });
}

std::optional<HubFault> LocalHub::take(std::deque<HubFault>& faults) {
    if (faults.empty()) {
        return std::nullopt;
    }
    HubFault fault = std::move(faults.front());
    faults.pop_front();
    return fault;
}

net::Response LocalHub::list(const std::string& repository, const std::string& target) {
    net::Response response;
    if (const auto given = listings_.find(repository); given != listings_.end()) {
        response.body = given->second;
        return response;
    }
    const auto files = repositories_.find(repository);
    if (files == repositories_.end()) {
        response.status = 404;
        response.headers = {{"X-Error-Code", "RepoNotFound"}};
        return response;
    }
    const std::string cursor = part_between(target, "cursor=", "");
    const std::size_t first = cursor.empty() ? 0 : std::stoul(cursor);
    json::Value nodes = json::Value::array();
    std::size_t index = 0;
    for (const auto& [path, file] : files->second) {
        if (index >= first && index < first + page_files) {
            json::Value node{{"type", "file"},
                             {"oid", "80ad1c2e56c4ea5a0b4a5bb1b1b8fa6cbcf49bd9"},
                             {"size", file.bytes.size()},
                             {"path", path}};
            if (file.lfs) {
                node["lfs"] = {{"oid", sha256_hex(file.bytes)},
                               {"size", file.bytes.size()},
                               {"pointerSize", 134}};
            }
            nodes.push_back({{"type", "directory"}, {"path", "folder"}, {"size", 0}});
            nodes.push_back(std::move(node));
        }
        ++index;
    }
    if (first + page_files < index) {
        response.headers = {
            {"Link", fmt::format("<{}/api/models/{}/tree/main?recursive=true&cursor="
                                 "{}>; rel=\"next\"",
                                 endpoint(), repository, first + page_files)}};
    }
    response.body = json::dump(nodes);
    return response;
}

net::Response LocalHub::redirect(const std::string& repository, const std::string& path) {
    const File& file = repositories_[repository][path];
    net::Response response;
    response.status = 302;
    // Another name of this machine: another host for whoever carries a token.
    response.headers = {{"Location", fmt::format("http://localhost:{}/cdn/{}:{}?signature=x",
                                                 cdn_->port(), repository, path)},
                        {"X-Repo-Commit", std::string(kCommit)}};
    if (tells_linked_etag && file.lfs) {
        response.headers.push_back({"X-Linked-Etag", '"' + sha256_hex(file.bytes) + '"'});
        response.headers.push_back({"X-Linked-Size", std::to_string(file.bytes.size())});
    }
    return response;
}

void LocalHub::send_file(const net::Request& request,
                         const std::shared_ptr<net::Exchange>& exchange, const File& file) {
    const HubFault fault = take(file_faults_).value_or(HubFault{});
    if (fault.status != 0) {
        exchange->respond({fault.status, "text/plain", fault.headers, "no"});
        return;
    }
    std::vector<net::Header> headers{
        {"ETag", fmt::format("\"{}{}\"", etag, etag_varies ? file_requests_ : 0)},
        {"X-Repo-Commit", std::string(kCommit)}};
    if (file.lfs && tells_linked_etag) {
        headers.push_back({"X-Linked-Etag", '"' + sha256_hex(file.bytes) + '"'});
    }
    auto range = range_of(header_of(request, "Range"), file.bytes.size());
    std::string body = file.bytes;
    unsigned status = 200;
    if (range && ranges && !fault.ignore_range) {
        status = 206;
        if (fault.shift) {
            ++range->begin;
        }
        body = file.bytes.substr(range->begin, range->end - range->begin);
        headers.push_back({"Content-Range", fmt::format("bytes {}-{}/{}", range->begin,
                                                        range->end - 1, file.bytes.size())});
    }
    if (fault.damage && !body.empty()) {
        body[body.size() / 2] = static_cast<char>(body[body.size() / 2] ^ 1);
    }
    if (!fault.bytes && !fault.hold) {
        exchange->respond(
            {status, "application/octet-stream", std::move(headers), std::move(body)});
        return;
    }
    net::StreamHead head;
    head.status = status;
    head.content_type = "application/octet-stream";
    head.headers = std::move(headers);
    exchange->start_stream(std::move(head));
    exchange->send(std::string_view(body).substr(0, fault.bytes.value_or(0)));
    if (fault.hold) {
        held_.push_back(exchange);
    }
}

void LocalHub::answer(bool at_cdn, const net::Request& request,
                      const std::shared_ptr<net::Exchange>& exchange) {
    const std::lock_guard lock(mutex_);
    seen_.push_back(
        {at_cdn, request.target, header_of(request, "Authorization"), header_of(request, "Range")});
    const std::string path(request.path());
    if (at_cdn) {
        const std::string repository = part_between(path, "/cdn/", ":");
        ++file_requests_;
        changed_.notify_all();
        send_file(request, exchange, repositories_[repository][part_between(path, ":", "")]);
        return;
    }
    if (!token.empty() && header_of(request, "Authorization") != "Bearer " + token) {
        net::Response refused{401, "application/json", {}, R"({"error":"no"})"};
        if (!refusal_code.empty()) {
            refused.headers.push_back({"X-Error-Code", refusal_code});
        }
        exchange->respond(std::move(refused));
        return;
    }
    if (path.starts_with("/api/models/")) {
        const auto fault = take(listing_faults_);
        exchange->respond(fault && fault->status != 0
                              ? net::Response{fault->status, "text/plain", fault->headers, "no"}
                              : list(part_between(path, "/api/models/", "/tree/"), request.target));
        return;
    }
    const std::string repository = path.substr(1, path.find("/resolve/") - 1);
    const std::string file = part_between(path, "/resolve/main/", "");
    const auto files = repositories_.find(repository);
    if (files == repositories_.end() || !files->second.contains(file)) {
        exchange->respond({404, "text/plain", {{"X-Error-Code", "EntryNotFound"}}, "no"});
        return;
    }
    if (redirects) {
        exchange->respond(redirect(repository, file));
        return;
    }
    ++file_requests_;
    changed_.notify_all();
    send_file(request, exchange, files->second.at(file));
}

}  // namespace trilane::catalog
