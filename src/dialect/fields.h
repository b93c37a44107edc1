// Fields: one JSON object of a request body, read field by field; every refusal names the field,
// what it was and what would be right. Knows no endpoint..
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/fwd.h"

namespace trilane::dialect {

/// "temperature: got 3.5; send a number from 0 to 2". Long values are clipped.
tl::unexpected<Error> refuse(std::string_view path, const json::Value& got, std::string_view send);

/// A whole number, also when it is written as 16.0; absent when it is anything else or beyond 64
/// bits.
std::optional<std::int64_t> whole_number(const json::Value& value);

/// Readers of one object. All of them answer nullopt for a field that is absent or null.
/// **Owns:** nothing; the object must outlive this.
class Fields {
public:
    /// `path` is how the object itself is called in messages; empty for the body.
    Fields(const json::Value& object, std::string path) : object_(object), path_(std::move(path)) {}

    /// The value of a field, or null when it is absent or null.
    [[nodiscard]] const json::Value* find(std::string_view name) const;
    [[nodiscard]] std::string path_of(std::string_view name) const;

    [[nodiscard]] Result<std::optional<bool>> boolean(std::string_view name) const;
    [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view name,
                                                              std::int64_t min,
                                                              std::int64_t max) const;
    [[nodiscard]] Result<std::optional<double>> number(std::string_view name, double min,
                                                       double max) const;
    [[nodiscard]] Result<std::optional<std::string>> text(std::string_view name) const;
    /// One of the given words.
    [[nodiscard]] Result<std::optional<std::string>> word(
        std::string_view name, std::initializer_list<std::string_view> known) const;
    [[nodiscard]] Result<const json::Value*> array(std::string_view name,
                                                   std::string_view of_what) const;
    [[nodiscard]] Result<const json::Value*> object(std::string_view name) const;

    /// The same for a field that must be there and be more than "".
    [[nodiscard]] Result<std::string> required_text(std::string_view name,
                                                    std::string_view send) const;

private:
    const json::Value& object_;
    std::string path_;
};

}  // namespace trilane::dialect
