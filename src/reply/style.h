// Style: how one family of models writes what is more than text: calls of tools, and thoughts. Read
// from the chat template and the names of tokens, since nothing else in a file tells.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace trilane::reply {

/// How calls are written. Every style also takes a bare `{"name": …, "arguments": …}` at the very
/// beginning of an answer, which small models write whatever they were taught.
enum class Calls {
    hermes,   ///< <tool_call>{"name": …, "arguments": …}</tool_call>; also when nobody knows
    xml,      ///< <tool_call><function=f><parameter=p>value</parameter></function></tool_call>
    llama,    ///< {"name": …, "parameters": …}, perhaps behind <|python_tag|>
    mistral,  ///< [TOOL_CALLS][{"name": …, "arguments": …}]
    mistral_named,  ///< [TOOL_CALLS]f[ARGS]{…}
    phi,       ///< <|tool_call|>[{"name": …, "arguments": …}]<|/tool_call|>, functools[…]
    deepseek,  ///< <｜tool▁call▁begin｜>function<｜tool▁sep｜>f ```json {…} ``` <｜tool▁call▁end｜>
};

struct Style {
    Calls calls = Calls::hermes;
    bool thinks = false;  ///< the model is made to think before it answers
    std::string think_open = "<think>";
    std::string think_close = "</think>";
};

/// `has_token` says whether the vocabulary has an entry of that name.
Style style_of(std::string_view chat_template,
               const std::function<bool(std::string_view)>& has_token);

/// What the reader of such answers must see even where it is a control token, whose text is
/// otherwise empty.
std::vector<std::string_view> markers(const Style& style);

/// How calls are written when an answer is made to hold them: `open`, then each call with `between`
/// between two, then `close`. What the reader makes of it are those calls. Names of control tokens
/// in it stand for the tokens.
struct CallFrame {
    std::string_view open;
    std::string_view before_name;
    std::string_view after_name;
    std::string_view after_arguments;
    std::string_view between;
    std::string_view close;
};
CallFrame call_frame(Calls calls);

/// A text that opens a call, and how many bytes of it belong to what follows.
struct Opener {
    std::string_view text;
    std::size_t kept = 0;
};
std::vector<Opener> openers(Calls calls);
/// Texts that end a call or a list of them; some may be missing in an answer.
std::vector<std::string_view> closers(Calls calls);

}  // namespace trilane::reply
