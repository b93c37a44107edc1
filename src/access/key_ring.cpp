#include "access/key_ring.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>

#include "base/utf8.h"
#include "json/json.h"
#include "os/small_file.h"

namespace trilane::access {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{4} << 20U;
constexpr int kFileVersion = 1;
/// How long a change waits for another process's to be done.
constexpr std::chrono::seconds kLockPatience{10};

bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= kKeyNameBytesMax && is_valid_utf8(name) &&
           std::ranges::all_of(name, [](char c) {
               const auto byte = static_cast<unsigned char>(c);
               return byte > 0x20 && byte != 0x7F;
           });
}

json::Value texts(const std::vector<std::string>& from) {
    json::Value out = json::Value::array();
    for (const std::string& text : from) {
        out.push_back(text);
    }
    return out;
}

json::Value written(const Key& key) {
    json::Value out = json::Value::object();
    out["name"] = key.name;
    out["sha256"] = key.digest;
    out["hint"] = key.hint;
    out["admin"] = key.admin;
    out["models"] = texts(key.models);
    out["lanes"] = texts(key.lanes);
    out["requests_per_minute"] = key.requests_per_minute;
    out["concurrent"] = key.concurrent;
    out["created_unix_s"] = key.created_unix_s;
    out["expires_unix_s"] = key.expires_unix_s ? json::Value(*key.expires_unix_s) : json::Value();
    return out;
}

bool read_texts(const json::Value& from, const char* name, std::vector<std::string>& into) {
    const auto at = from.find(name);
    if (at == from.end()) {
        return true;
    }
    if (!at->is_array() || at->size() > kPatternsMax) {
        return false;
    }
    for (const json::Value& text : *at) {
        if (!text.is_string()) {
            return false;
        }
        into.push_back(text.get<std::string>());
    }
    return true;
}

bool read_number(const json::Value& from, const char* name, std::uint32_t most,
                 std::uint32_t& into) {
    const auto at = from.find(name);
    if (at == from.end()) {
        return true;
    }
    if (!at->is_number_unsigned() || at->get<std::uint64_t>() > most) {
        return false;
    }
    into = at->get<std::uint32_t>();
    return true;
}

bool is_digest(std::string_view text) {
    return text.size() == 2 * std::size_t{SHA256_DIGEST_LENGTH} &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<Key> read_key(const json::Value& from) {
    Key key;
    const auto text = [&](const char* name) {
        const auto at = from.is_object() ? from.find(name) : from.end();
        return at != from.end() && at->is_string() ? at->get<std::string>() : std::string();
    };
    key.name = text("name");
    key.digest = text("sha256");
    key.hint = text("hint");
    if (!is_name(key.name) || !is_digest(key.digest)) {
        return std::nullopt;
    }
    const auto admin = from.find("admin");
    key.admin = admin != from.end() && admin->is_boolean() && admin->get<bool>();
    const auto time = [&](const char* name) -> std::optional<std::int64_t> {
        const auto at = from.find(name);
        return at != from.end() && at->is_number_integer() ? std::optional(at->get<std::int64_t>())
                                                           : std::nullopt;
    };
    key.created_unix_s = time("created_unix_s").value_or(0);
    key.expires_unix_s = time("expires_unix_s");
    // A limit that cannot be read must not become none.
    const bool good =
        read_texts(from, "models", key.models) && read_texts(from, "lanes", key.lanes) &&
        read_number(from, "requests_per_minute", kRequestsPerMinuteMax, key.requests_per_minute) &&
        read_number(from, "concurrent", kConcurrentMax, key.concurrent);
    key.admin = key.admin && !is_limited(key);
    return good ? std::optional(std::move(key)) : std::nullopt;
}

}  // namespace

bool is_limited(const Key& key) {
    return !key.models.empty() || !key.lanes.empty();
}

std::string digest_of(std::string_view key) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> bytes{};
    SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), bytes.data());
    std::string out;
    for (const unsigned char byte : bytes) {
        fmt::format_to(std::back_inserter(out), "{:02x}", byte);
    }
    return out;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    // The length is no secret; which bytes are right is.
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool matches(std::string_view pattern, std::string_view text) {
    // One place to come back to is enough: a later '*' takes over from an earlier one.
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && pattern[p] == text[t]) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool allows(const std::vector<std::string>& patterns, std::string_view text) {
    return patterns.empty() ||
           std::ranges::any_of(patterns, [&](const auto& one) { return matches(one, text); });
}

Result<std::string> random_key() {
    constexpr std::string_view kLetters =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    constexpr std::size_t kLength = 43;  // 62^43 > 2^256
    constexpr unsigned kFair = 256 / 62 * 62;
    std::string key = "tl-";
    const std::size_t whole = key.size() + kLength;
    while (key.size() < whole) {
        std::array<unsigned char, 64> bytes{};
        if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
            return fail(Fault::unavailable, "the system gave no random bytes; try again");
        }
        for (const unsigned char byte : bytes) {
            if (byte < kFair && key.size() < whole) {  // or some letters would be likelier
                key += kLetters[byte % kLetters.size()];
            }
        }
    }
    return key;
}

Result<KeyRing> KeyRing::load(const std::string& path) {
    KeyRing ring;
    const auto bytes = os::read_small_file(path, kFileBytesMax);
    if (!bytes && bytes.error().fault == Fault::not_found) {
        return ring;
    }
    // What cannot be read may hold keys: to go on without them would let everybody in.
    if (!bytes) {
        return fail(Fault::unavailable,
                    "the keys cannot be read: {}; make the file readable, or name another as "
                    "server.keys_file",
                    bytes.error().message);
    }
    ring.has_file_ = true;
    const auto value = json::parse(*bytes);
    const bool shaped = value && value->is_object() && value->contains("keys") &&
                        (*value)["keys"].is_array() && (*value)["version"] == kFileVersion;
    if (!shaped) {
        return fail(Fault::corrupt,
                    "{}: is no list of keys; restore it, or delete it and make new keys with "
                    "`trilane key add`",
                    path);
    }
    for (const json::Value& one : (*value)["keys"]) {
        auto key = read_key(one);
        const Status added =
            key ? ring.add(*std::move(key))
                : fail(Fault::corrupt, "a key of it has fields that are not right");
        if (!added) {
            return fail(Fault::corrupt, "{}: {}", path, added.error().message);
        }
    }
    return ring;
}

Status KeyRing::save(const std::string& path) const {
    json::Value value = {{"version", kFileVersion}, {"keys", json::Value::array()}};
    for (const Key& key : keys_) {
        value["keys"].push_back(written(key));
    }
    const std::string bytes = json::dump_pretty(value) + "\n";
    // A name that nobody else writes to; readable by its owner only.
    std::string beside = path + ".XXXXXX";
    const int fd = ::mkostemp(beside.data(), O_CLOEXEC);
    bool good = fd >= 0;
    good = good && ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
    good = good && ::fsync(fd) == 0;
    if (fd >= 0) {
        ::close(fd);
    }
    if (!good || std::rename(beside.c_str(), path.c_str()) != 0) {
        const int error = errno;
        if (fd >= 0) {
            std::remove(beside.c_str());
        }
        return fail(Fault::unavailable, "{}: cannot be written: {}", path, std::strerror(error));
    }
    return {};
}

Status KeyRing::change(const std::string& path, const std::function<Status(KeyRing&)>& how) {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    TRILANE_TRY(const os::FileLock lock, os::FileLock::take(path + ".lock", kLockPatience));
    TRILANE_TRY(KeyRing ring, load(path));
    TRILANE_TRY_STATUS(how(ring));
    return ring.save(path);
}

Status KeyRing::add(Key key) {
    if (!is_name(key.name)) {
        return fail(Fault::invalid, "a key's name is 1 to {} characters without spaces; got \"{}\"",
                    kKeyNameBytesMax, utf8_clipped(key.name, kKeyNameBytesMax));
    }
    if (std::ranges::find(keys_, key.name, &Key::name) != keys_.end()) {
        return fail(Fault::invalid,
                    "there is a key called {} already; choose another name, or revoke it first",
                    key.name);
    }
    if (keys_.size() >= kKeysMax) {
        return fail(Fault::invalid, "there are {} keys already; revoke some", kKeysMax);
    }
    if (key.models.size() > kPatternsMax || key.lanes.size() > kPatternsMax ||
        key.requests_per_minute > kRequestsPerMinuteMax || key.concurrent > kConcurrentMax) {
        return fail(Fault::invalid,
                    "a key has at most {} models and lanes, {} requests per minute and {} at once",
                    kPatternsMax, kRequestsPerMinuteMax, kConcurrentMax);
    }
    if (key.admin && is_limited(key)) {
        return fail(Fault::invalid,
                    "a key that administers can be limited to no models or lanes: it could lift "
                    "its own limits; leave out --admin, or --models and --lanes");
    }
    keys_.push_back(std::move(key));
    return {};
}

Status KeyRing::remove(std::string_view name) {
    const auto at = std::ranges::find(keys_, name, &Key::name);
    if (at == keys_.end()) {
        std::string names;
        for (const Key& key : keys_) {
            names += (names.empty() ? "" : ", ") + key.name;
        }
        return fail(Fault::not_found, "there is no key called {}; there {}",
                    utf8_clipped(name, kKeyNameBytesMax),
                    names.empty() ? "are none" : "is: " + names);
    }
    keys_.erase(at);
    return {};
}

const Key* KeyRing::find(std::string_view sent) const {
    if (sent.size() > kKeyBytesMax) {
        return nullptr;
    }
    const std::string digest = digest_of(sent);
    const Key* found = nullptr;
    for (const Key& key : keys_) {
        if (equal_in_constant_time(key.digest, digest)) {
            found = &key;
        }
    }
    return found;
}

}  // namespace trilane::access
