// Reading: values of a TOML document with their places, and the remarks about them. Inside of
// config.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace toml {
inline namespace v3 {
class node;
}
}  // namespace toml

namespace trilane::config {

/// One value and what is said about it. `path` is how a person would write it: "server.port".
class Reading {
public:
    Reading(const toml::node& node, std::string path, std::vector<Remark>& remarks)
        : node_(node), path_(std::move(path)), remarks_(remarks) {}

    // Each leaves `into` as it is, and remarks, when the value is not what it must be.
    void text(std::string& into) const;
    void word(std::string& into, std::initializer_list<std::string_view> known) const;
    void boolean(bool& into) const;
    void whole(std::uint32_t& into, std::uint64_t min, std::uint64_t max) const;
    void whole(std::uint16_t& into, std::uint64_t min, std::uint64_t max) const;
    void whole(std::size_t& into, std::uint64_t min, std::uint64_t max) const;
    void signed_whole(std::int32_t& into, std::int64_t min, std::int64_t max) const;
    /// "4 GiB", "512MB", 1073741824.
    void bytes(std::uint64_t& into) const;
    /// "15m", "30 s", "2h", or a number of seconds.
    void seconds(std::uint32_t& into, std::uint64_t min, std::uint64_t max) const;
    /// One of plan's names: "cpu", "gpu0", "npu".
    void device(std::string& into) const;
    void texts(std::vector<std::string>& into) const;
    void pairs(std::map<std::string, std::string>& into) const;
    void refuse(std::string_view wanted) const;
    [[nodiscard]] std::optional<double> number() const;
    [[nodiscard]] std::optional<std::string> as_text() const;

private:
    template <class T>
    void whole_into(T& into, std::uint64_t min, std::uint64_t max) const;

    const toml::node& node_;
    std::string path_;
    std::vector<Remark>& remarks_;
};

/// "4 GiB" → bytes; nullopt for anything else. Binary and decimal units, a number alone is bytes.
std::optional<std::uint64_t> parse_bytes(std::string_view text);
std::string bytes_text(std::uint64_t bytes);
/// "15m" → 900; nullopt for anything else.
std::optional<std::uint64_t> parse_seconds(std::string_view text);
std::string seconds_text(std::uint64_t seconds);

}  // namespace trilane::config
