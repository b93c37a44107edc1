// Binding of call arguments to a builtin's parameters, and the look-up over all tables.
#include <algorithm>
#include <charconv>

#include "chat/builtins.h"
#include "chat/operators.h"

namespace trilane::chat {

Result<Parameters> Parameters::bind(std::string_view callee, const CallArgs& args,
                                    std::initializer_list<std::string_view> names,
                                    std::size_t required) {
    Parameters bound;
    bound.callee_ = callee;
    bound.names_ = names;
    bound.values_.assign(names.size(), nullptr);
    if (args.positional.size() > names.size()) {
        return fail(Fault::invalid, "{} takes at most {} arguments, not {}", callee, names.size(),
                    args.positional.size());
    }
    for (std::size_t i = 0; i < args.positional.size(); ++i) {
        bound.values_[i] = &args.positional[i];
    }
    for (const auto& [name, value] : args.named) {
        const auto found = std::find(bound.names_.begin(), bound.names_.end(), name);
        if (found == bound.names_.end()) {
            return fail(Fault::invalid, "{} has no argument named '{}'", callee, name);
        }
        auto& slot = bound.values_[static_cast<std::size_t>(found - bound.names_.begin())];
        if (slot != nullptr) {
            return fail(Fault::invalid, "{} was given '{}' twice", callee, name);
        }
        slot = &value;
    }
    for (std::size_t i = 0; i < required; ++i) {
        if (bound.values_[i] == nullptr) {
            return fail(Fault::invalid, "{} needs the argument '{}'", callee, bound.names_[i]);
        }
    }
    return bound;
}

bool Parameters::flag(std::size_t i, bool otherwise) const {
    return values_[i] == nullptr ? otherwise : truthy(*values_[i]);
}

Result<std::int64_t> Parameters::integer(std::size_t i, std::int64_t otherwise) const {
    if (values_[i] == nullptr) {
        return otherwise;
    }
    if (const auto number = values_[i]->integer()) {
        return *number;
    }
    return fail(Fault::invalid, "{}: '{}' must be an integer, not {}", callee_, names_[i],
                type_name(*values_[i]));
}

Result<std::optional<std::string_view>> Parameters::text(std::size_t i) const {
    if (values_[i] == nullptr || values_[i]->none()) {
        return std::optional<std::string_view>();
    }
    if (const auto* text = values_[i]->text()) {
        return std::optional<std::string_view>(*text);
    }
    return fail(Fault::invalid, "{}: '{}' must be a string, not {}", callee_, names_[i],
                type_name(*values_[i]));
}

Result<Value> attribute_path(Heap& heap, const Value& object, std::string_view path) {
    Value current = object;
    while (true) {
        const auto dot = path.find('.');
        const auto part = path.substr(0, dot);
        std::int64_t index = 0;
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
        const bool number = error == std::errc{} && end == part.data() + part.size();
        TRILANE_TRY(current,
                    item(heap, current, number ? Value(index) : heap.text(std::string(part))));
        if (dot == std::string_view::npos) {
            return current;
        }
        path.remove_prefix(dot + 1);
    }
}

const Builtin* find_filter(std::string_view name) {
    const Builtin* found = find_text_filter(name);
    return found != nullptr ? found : find_list_filter(name);
}

}  // namespace trilane::chat
