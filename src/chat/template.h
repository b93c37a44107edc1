// Chat templates: the Jinja subset that GGUF files carry in `tokenizer.chat_template`, compiled
// once and rendered per request. Knows nothing of tokens or models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/fwd.h"

namespace trilane::chat {

struct Program;

/// A template longer than this is refused; the longest ones in the wild are below 64 KiB.
inline constexpr std::size_t kSourceBytesMax = 1U << 20U;

/// Limits of one rendering, so that a hostile template ends with an error and not with the machine.
struct RenderLimits {
    std::size_t output_bytes_max = 64U << 20U;   ///< of the output, and of any single string
    std::size_t memory_bytes_max = 256U << 20U;  ///< of all values and buffers alive at once
    std::size_t steps_max = 50'000'000;          ///< evaluated nodes and visited elements
    /// Nested nodes and macro calls being evaluated; 600 stay within 1 MiB of stack at -O2.
    std::uint32_t depth_max = 600;
};

struct RenderOptions {
    RenderLimits limits;
    /// What strftime_now() shows, read as UTC. Absent: the system's clock.
    std::optional<std::int64_t> now_unix_s;
};

/// One compiled template. Copies share the same immutable program.
class Template {
public:
    /// **Errors:** invalid, with line and column and the construct that is not known.
    static Result<Template> compile(std::string_view source);

    /// Renders with `variables` (an object: messages, tools, add_generation_prompt, bos_token, …)
    /// as Jinja2 does with trim_blocks and lstrip_blocks on and autoescape off.
    /// **Errors:** invalid: what raise_exception() said, or an operation on a wrong type with its
    /// line; exhausted: a limit was reached.
    /// **Threads:** const, may run in several threads at once.
    [[nodiscard]] Result<std::string> render(const json::Value& variables,
                                             const RenderOptions& options = {}) const;

    /// Whether the source mentions the name as a variable ("tools", "enable_thinking" …).
    [[nodiscard]] bool mentions(std::string_view variable) const;

private:
    explicit Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

    std::shared_ptr<const Program> program_;
};

}  // namespace trilane::chat
