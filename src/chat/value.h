// The values a template computes with, shaped after Python's, and the heap that owns and meters
// them for the length of one rendering. Not JSON: that is converted on the way in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "chat/template.h"
#include "json/fwd.h"

namespace trilane::chat {

class Heap;
struct Builtin;
struct BoundMethod;
struct Dict;
struct List;
struct LoopState;
struct Macro;
struct MacroDef;
struct Namespace;

/// An immutable string. It gives its bytes back to the heap that metered it (null for literals of
/// the program, which outlive every rendering).
struct Text {
    Text(std::string text, Heap* meter) : bytes(std::move(text)), heap(meter) {}
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;
    ~Text();

    /// What the heap counts for it: the bytes and about what the allocator adds.
    [[nodiscard]] std::size_t held_bytes() const { return bytes.size() + 80; }

    std::string bytes;
    Heap* heap;
};

/// A missing variable, attribute or item. The name is for messages and lives in the program.
struct Undefined {
    const std::string* name = nullptr;
};
struct None {};

using TextRef = std::shared_ptr<const Text>;
using BoundRef = std::shared_ptr<const BoundMethod>;

/// One value. Strings are shared and counted; every other container belongs to the Heap and is
/// referred to by a plain pointer, so that cycles a template may build cannot leak.
class Value {
public:
    using Storage = std::variant<Undefined, None, bool, std::int64_t, double, TextRef, List*, Dict*,
                                 Namespace*, LoopState*, const Macro*, const Builtin*, BoundRef>;

    Value() = default;
    template <class T>
    explicit Value(T alternative) : data_(std::move(alternative)) {}

    template <class T>
    [[nodiscard]] bool is() const {
        return std::holds_alternative<T>(data_);
    }
    template <class T>
    [[nodiscard]] const T* get() const {
        return std::get_if<T>(&data_);
    }
    /// The bytes when this is a string, else null.
    [[nodiscard]] const std::string* text() const;
    [[nodiscard]] List* list() const;
    [[nodiscard]] Dict* dict() const;
    /// The value of an int or of a bool (which Python counts as one), else nothing.
    [[nodiscard]] std::optional<std::int64_t> integer() const;
    /// The same for any number.
    [[nodiscard]] std::optional<double> real() const;
    [[nodiscard]] bool undefined() const { return is<Undefined>(); }
    [[nodiscard]] bool none() const { return is<None>(); }
    [[nodiscard]] bool callable() const;
    [[nodiscard]] const Storage& data() const { return data_; }

private:
    Storage data_;
};

/// "a string", "a list" …: the type as an error message names it.
std::string_view type_name(const Value& value);

struct List {
    std::vector<Value> items;
    bool tuple = false;  ///< prints with parentheses and never equals a list
};

/// A dict in insertion order. Look-ups scan: the dicts of templates are small.
struct Dict {
    std::vector<std::pair<Value, Value>> items;

    [[nodiscard]] const Value* find(std::string_view key) const;
};

struct Namespace {
    std::vector<std::pair<std::string, Value>> items;

    [[nodiscard]] Value* find(std::string_view name);
};

/// What `loop` refers to inside a for statement.
struct LoopState {
    List* items = nullptr;
    std::size_t index = 0;
    std::vector<Value> last_changed;
    bool changed_before = false;
};

/// A method with the value it was taken from: `text.strip`.
struct BoundMethod {
    Value self;
    const Builtin* method = nullptr;
};

/// Names visible in one body; a name not found here is looked up in `parent`.
struct Scope {
    std::shared_ptr<Scope> parent;
    std::vector<std::pair<std::string_view, Value>> names;

    [[nodiscard]] const Value* find(std::string_view name) const;
    void set(std::string_view name, Value value);
};

/// A macro as a value: its text and the scope it was defined in.
struct Macro {
    const MacroDef* definition = nullptr;
    std::shared_ptr<Scope> scope;
};

/// Owns the containers of one rendering and counts what it uses. Operations never fail on a limit
/// themselves: they ask charge() or room() before they grow, stop early when told no, and the
/// interpreter turns exhausted() into the error at its next step.
class Heap {
public:
    explicit Heap(const RenderLimits& limits) : limits_(limits) {}
    Heap(const Heap&) = delete;
    Heap& operator=(const Heap&) = delete;
    ~Heap();

    Value text(std::string bytes);
    List* list(std::vector<Value> items = {}, bool tuple = false);
    Dict* dict();
    Namespace* name_space();
    LoopState* loop(List* items);
    const Macro* macro(Macro macro);
    /// Counts `elements` more values in some container.
    void grew(std::size_t elements) { hold(elements * sizeof(Value)); }

    /// Counts work. False once the budget is spent.
    bool charge(std::size_t steps);
    /// Whether a string of this length may be made.
    bool room(std::size_t bytes);
    /// Counts buffered bytes, and gives them back.
    void hold(std::size_t bytes);
    void release(std::size_t bytes) noexcept { held_bytes_ -= bytes; }
    /// Marks the rendering as over a limit; the first reason is kept.
    void exhaust(std::string_view what);
    [[nodiscard]] bool exhausted() const { return !exhausted_.empty(); }
    [[nodiscard]] const std::string& reason() const { return exhausted_; }

    /// Structures nested deeper than this cannot be printed or compared.
    static constexpr unsigned kNestingMax = 160;

private:
    RenderLimits limits_;
    std::size_t steps_ = 0;
    std::size_t held_bytes_ = 0;
    std::string exhausted_;
    std::deque<List> lists_;
    std::deque<Dict> dicts_;
    std::deque<Namespace> namespaces_;
    std::deque<LoopState> loops_;
    std::deque<Macro> macros_;
};

/// The value of a JSON tree; json.h's depth limit bounds the recursion for texts it parsed, and
/// deeper trees exhaust the heap.
Value from_json(Heap& heap, const json::Value& source, unsigned depth = 0);

}  // namespace trilane::chat
