// Result and Error: how every fallible function of Trilane answers. Not for our own bugs: those
// are TRILANE_CHECK (base/check.h).
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace trilane {

/// What kind of thing went wrong. The HTTP layer maps this, and only this, to a status code.
enum class Fault {
    invalid,      ///< the caller's input is wrong; sending it again will not help
    not_found,    ///< the named thing does not exist
    exhausted,    ///< a named limit is reached: queue, memory, context; later or smaller may work
    unavailable,  ///< the thing exists but cannot serve now
    timeout,      ///< a deadline passed
    cancelled,    ///< the client went away or asked to stop
    corrupt,      ///< a file or a peer breaks its own format
    internal,     ///< anything else; says what to report
};

/// The name of a fault as logs and JSON show it, e.g. "not_found".
std::string_view fault_name(Fault fault);

/// A failure that a caller is expected to handle: what kind, and a sentence for a person that says
/// what to do next.
struct Error {
    Fault fault = Fault::internal;
    std::string message;

    /// The same error seen from one level up: "opening model.gguf: bad magic".
    [[nodiscard]] Error because(std::string_view context) &&;
};

/// A value of type T or the Error that prevented it.
template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

/// `return fail(Fault::invalid, "top_p is {}; use a value in (0, 1]", p);`
template <class... Args>
[[nodiscard]] tl::unexpected<Error> fail(Fault fault, fmt::format_string<Args...> format,
                                         Args&&... args) {
    return tl::unexpected<Error>(Error{fault, fmt::format(format, std::forward<Args>(args)...)});
}

}  // namespace trilane

// NOLINTBEGIN(bugprone-macro-parentheses): `name` is a declaration and cannot be parenthesised.
#define TRILANE_TRY_JOIN2(a, b) a##b
#define TRILANE_TRY_JOIN(a, b) TRILANE_TRY_JOIN2(a, b)
#define TRILANE_TRY_IMPL(held, name, expr)              \
    auto held = (expr);                                 \
    if (!(held)) {                                      \
        return tl::unexpected(std::move(held).error()); \
    }                                                   \
    name = *std::move(held)

/// Binds `name` to the value of `expr`, or returns its Error from the enclosing function.
/// It is two statements: use it only at block scope, never as the body of an unbraced `if`.
#define TRILANE_TRY(name, expr) TRILANE_TRY_IMPL(TRILANE_TRY_JOIN(held_, __LINE__), name, expr)

/// The same for a Status: returns its Error from the enclosing function, or goes on.
#define TRILANE_TRY_STATUS(expr)                                           \
    do {                                                                   \
        auto trilane_held_status = (expr);                                 \
        if (!trilane_held_status) {                                        \
            return tl::unexpected(std::move(trilane_held_status).error()); \
        }                                                                  \
    } while (false)
// NOLINTEND(bugprone-macro-parentheses)
