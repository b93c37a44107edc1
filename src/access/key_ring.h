// KeyRing: the API keys that people have been given, as a file holds them: a digest of each, never
// the key itself, and what it allows. Knows nothing of HTTP.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trilane::access {

inline constexpr std::size_t kKeysMax = 1000;
inline constexpr std::size_t kKeyNameBytesMax = 64;
inline constexpr std::size_t kKeyBytesMax = 512;  ///< of a key as a client sends it
inline constexpr std::size_t kPatternsMax = 64;   ///< models or lanes of one key
inline constexpr std::uint32_t kRequestsPerMinuteMax = 1'000'000;
inline constexpr std::uint32_t kConcurrentMax = 10'000;

/// A key and what it allows. Lists are patterns in which '*' stands for any text; an empty one
/// allows everything.
struct Key {
    std::string name;
    std::string digest;  ///< SHA-256 of the key, in hexadecimal
    std::string hint;    ///< its last four characters, to tell keys apart
    /// May also change what the daemon has, and see what others do. Not with limits on models or
    /// lanes, which such a key could walk round.
    bool admin = false;
    std::vector<std::string> models;
    std::vector<std::string> lanes;
    std::uint32_t requests_per_minute = 0;  ///< 0 = no limit
    std::uint32_t concurrent = 0;           ///< answers at once; 0 = no limit
    std::int64_t created_unix_s = 0;
    std::optional<std::int64_t> expires_unix_s;
};

/// Whether a key has limits on models or lanes.
bool is_limited(const Key& key);

/// SHA-256 in hexadecimal.
std::string digest_of(std::string_view key);

/// True when the texts are equal; takes as long for a wrong text as for a right one of its length.
bool equal_in_constant_time(std::string_view a, std::string_view b);

/// Whether `text` is what a pattern means: '*' stands for any text.
bool matches(std::string_view pattern, std::string_view text);
/// Whether an empty list, or one of its patterns, allows `text`.
bool allows(const std::vector<std::string>& patterns, std::string_view text);

/// A fresh key, "tl-" and 43 letters and digits: 256 bits of the system's randomness. It is shown
/// once and kept nowhere. **Errors:** unavailable: there is no randomness.
Result<std::string> random_key();

class KeyRing {
public:
    /// Reads a file that save() wrote; a file that is not there is an empty ring. An
    /// administrator's key with limits on models or lanes is read as one that is limited and
    /// administers nothing.
    /// **Errors:** corrupt, naming the file and what is wrong; unavailable.
    static Result<KeyRing> load(const std::string& path);
    /// Loads the file, has it changed and writes it at once (never half of it), readable by its
    /// owner only. Changes of several processes happen one after another; none is lost.
    /// **Errors:** as load()'s and `how`'s; timeout: another change does not end.
    static Status change(const std::string& path, const std::function<Status(KeyRing&)>& how);

    /// Takes up `key` under its name. **Errors:** invalid: the name is taken or no name, a limit
    /// above is passed, or it is limited and to administer at once.
    Status add(Key key);
    /// **Errors:** not_found, with the names there are.
    Status remove(std::string_view name);

    /// The key that a client sent, or null. All keys are compared, so the time tells nothing.
    [[nodiscard]] const Key* find(std::string_view sent) const;
    [[nodiscard]] const std::vector<Key>& keys() const { return keys_; }
    /// Whether it was read from a file, which may have held no key any more.
    [[nodiscard]] bool has_file() const { return has_file_; }

private:
    [[nodiscard]] Status save(const std::string& path) const;

    std::vector<Key> keys_;
    bool has_file_ = false;
};

}  // namespace trilane::access
