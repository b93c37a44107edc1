// The tools of a request and which of them the model may or must call → job::Chat. Private to this
// dialect.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "dialect/fields.h"
#include "job/chat.h"

namespace trilane::dialect::openai {

/// Where a function's name and parameters stand: in a "function" of its own (chat), or in the tool
/// itself (responses).
enum class ToolShape { nested, flat };

/// The functions in {"type": "namespace"} tools: the client calls them by two names, the model by
/// one, which no other tool has.
class SpacedNames {
public:
    struct Spaced {
        std::string space;
        std::string name;

        auto operator<=>(const Spaced&) const = default;
    };

    /// A plain function has this name: none of a namespace will.
    void reserve(std::string name) { taken_.insert(std::move(name)); }
    /// Names a function for the model: "SPACE__NAME", or where that is taken, "SPACE__NAME_2" and
    /// so on. Absent when this very function has been named already.
    std::optional<std::string> add(std::string_view space, std::string_view name);

    /// What the model knows a function by, also one that is not among the tools (any more).
    [[nodiscard]] std::string joined(std::string_view space, std::string_view name) const;
    /// The function of a namespace that the model means; null = it is a plain one.
    [[nodiscard]] const Spaced* find(std::string_view joined) const;

private:
    std::set<std::string, std::less<>> taken_;
    std::map<Spaced, std::string> joined_;
    std::map<std::string, Spaced, std::less<>> spaced_;
};

/// "tools", "tool_choice" and "parallel_tool_calls"; of a chat also "functions" and
/// "function_call", which they had before; of responses also namespaces of functions. Tools that
/// must not be called are left out. Plain functions keep their names whatever namespaces have.
/// **Errors:** invalid, as parse() says.
Result<SpacedNames> read_tools(const Fields& body, ToolShape shape, job::Chat& chat);

/// Whether a chat's body has tools in the old way only, and wants its answer in it.
bool has_old_functions(const Fields& body);

}  // namespace trilane::dialect::openai
