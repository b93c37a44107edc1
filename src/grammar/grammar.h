// Grammar: which texts an answer may be. Made from a JSON schema, GBNF, a regular expression or a
// list of choices, or put together from such parts (builder.h); a Matcher (matcher.h) holds a
// model's tokens to it. Says nothing of how tokens are drawn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "grammar/builder.h"
#include "job/chat.h"

namespace trilane::grammar {

inline constexpr std::size_t kSourceBytesMax = 1U
                                               << 20U;  ///< of a schema, a grammar, an expression
inline constexpr std::size_t kChoicesMax = 4096;
inline constexpr std::size_t kChoiceBytesMax = 1U << 20U;  ///< of all choices

/// The grammar of a format; null for Kind::text, which binds nothing.
/// **Errors:** those of the makers below. **Threads:** any.
Result<Compiled> compile(const job::Format& format);

/// GBNF as llama.cpp documents it, from the rule `root`.
/// **Errors:** invalid, with line and column; also for left recursion and for texts without end.
Result<Compiled> from_gbnf(std::string_view source);
/// The whole answer matches the expression (ECMAScript without assertions and back-references).
Result<Compiled> from_regex(std::string_view source);
/// The answer is JSON text that the schema holds for.
/// **Errors:** invalid for what cannot be guaranteed, naming the place in the schema.
Result<Compiled> from_json_schema(std::string_view schema);
/// The answer is exactly one of the texts.
Result<Compiled> from_choices(std::span<const std::string> choices);
/// The answer is a JSON object.
Result<Compiled> json_object();

/// The same as parts of a larger grammar, as a forced call of a tool needs them:
/// sequence(literal("<tool_call>…"), add_json_schema(schema), literal("…")).
Result<Part> add_gbnf(Builder& builder, std::string_view source);
Result<Part> add_regex(Builder& builder, std::string_view source);
Result<Part> add_json_schema(Builder& builder, std::string_view schema);
Result<Part> add_choices(Builder& builder, std::span<const std::string> choices);
Part add_json_object(Builder& builder);
Part add_json_value(Builder& builder);

}  // namespace trilane::grammar
