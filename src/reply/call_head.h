// CallHead: what stands before a call's arguments in the styles that do not put the name into JSON:
// "<function=f>", "f[ARGS]", "<｜tool▁call▁begin｜>function<｜tool▁sep｜>f". Pure functions over
// the text so far; they are asked again when more of it has come.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace trilane::reply {

/// Names and the marks around them are shorter.
inline constexpr std::size_t kHeadBytesMax = 512;

struct CallHead {
    enum class State { more, whole, bad };
    enum class Next { json, parameters, nothing };

    State state = State::more;
    std::string name = {};
    std::size_t bytes = 0;  ///< of the head, up to its arguments
    Next next = Next::json;
};

/// "<function=f>", then JSON, parameters in tags, or the end of the function.
CallHead function_head(std::string_view text);
/// "f[ARGS]" or "f[CALL_ID]x[ARGS]" or just "f", then JSON.
CallHead mistral_head(std::string_view text);
/// From the mark that begins the call to its JSON, which may stand in a fence.
CallHead deepseek_head(std::string_view text);

}  // namespace trilane::reply
