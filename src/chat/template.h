// Chat templates: the Jinja subset that GGUF files carry in `tokenizer.chat_template`, compiled once
// and rendered per request. Knows nothing of tokens or models.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/fwd.h"

namespace trilane::chat {

/// Limits of one rendering, so that a hostile template ends with an error and not with the machine.
struct RenderLimits {
    std::size_t output_bytes_max = 64U << 20U;
    std::size_t steps_max = 50'000'000;  ///< evaluated nodes
};

class Template {
public:
    /// **Errors:** invalid, with line and column and the construct that is not known.
    static Result<Template> compile(std::string_view source);

    /// Renders with `variables` (an object: messages, tools, add_generation_prompt, bos_token, …).
    /// **Errors:** invalid: what raise_exception() said, or an operation on a wrong type with its
    /// line; exhausted: a limit was reached.
    /// **Threads:** const, may run in several threads at once.
    [[nodiscard]] Result<std::string> render(const json::Value& variables, const RenderLimits& limits = {}) const;

    /// Whether the source mentions the name as a variable ("tools", "enable_thinking" …).
    [[nodiscard]] bool mentions(std::string_view variable) const;

    // movable and copyable (shared immutable program inside)
};

}  // namespace trilane::chat
