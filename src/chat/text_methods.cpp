// The methods of strings, as Python has them.
#include <algorithm>
#include <array>
#include <limits>

#include "chat/builtins.h"
#include "chat/operators.h"
#include "chat/python_text.h"
#include "chat/unicode.h"

namespace trilane::chat {
namespace {

/// Padding to more characters than this is refused.
constexpr std::int64_t kPaddingMax = 1'000'000;
/// Splitting into more parts than this is refused.
constexpr std::size_t kPartsMax = 1'000'000;

const std::string& bytes(const Value& self) {
    return *self.text();
}

template <class Transform>
Result<Value> str_transformed(Host& host, const Value& self, const CallArgs& args,
                              std::string_view name, Transform transform) {
    TRILANE_TRY(const auto none, Parameters::bind(name, args, {}));
    (void)none;
    (void)host.heap.charge(bytes(self).size() / 8);
    return host.heap.text(transform(bytes(self)));
}

Result<Value> str_upper(Host& host, const Value& self, const CallArgs& args) {
    return str_transformed(host, self, args, "upper", to_upper);
}

Result<Value> str_lower(Host& host, const Value& self, const CallArgs& args) {
    return str_transformed(host, self, args, "lower", to_lower);
}

Result<Value> str_title(Host& host, const Value& self, const CallArgs& args) {
    return str_transformed(host, self, args, "title", to_title);
}

Result<Value> str_capitalize(Host& host, const Value& self, const CallArgs& args) {
    return str_transformed(host, self, args, "capitalize", to_capitalized);
}

Result<Value> stripped(Host& host, const Value& self, const CallArgs& args, bool left, bool right) {
    TRILANE_TRY(const auto bound, Parameters::bind("strip", args, {"chars"}));
    TRILANE_TRY(const auto chars, bound.text(0));
    return host.heap.text(std::string(chat::strip(bytes(self), chars, left, right)));
}

Result<Value> strip_both(Host& host, const Value& self, const CallArgs& args) {
    return stripped(host, self, args, true, true);
}

Result<Value> lstrip(Host& host, const Value& self, const CallArgs& args) {
    return stripped(host, self, args, true, false);
}

Result<Value> rstrip(Host& host, const Value& self, const CallArgs& args) {
    return stripped(host, self, args, false, true);
}

/// split() without a separator: runs of white space separate. What is left after the last cut keeps
/// its white space on the far side.
std::vector<std::string_view> split_words(std::string_view text, std::size_t cuts_max) {
    std::vector<std::string_view> parts;
    text = chat::strip(text, std::nullopt, true, false);
    while (!text.empty() && parts.size() < cuts_max) {
        std::size_t begin = 0;
        std::size_t end = 0;
        while (end < text.size() && !is_space(next_char(text, end))) {
            begin = end;
        }
        if (begin == text.size()) {
            break;
        }
        parts.push_back(text.substr(0, begin));
        text = chat::strip(text.substr(end), std::nullopt, true, false);
    }
    if (!text.empty()) {
        parts.push_back(text);
    }
    return parts;
}

/// The same from the right; the last word comes first.
std::vector<std::string_view> rsplit_words(std::string_view text, std::size_t cuts_max) {
    const auto offsets = char_offsets(text);
    std::vector<std::string_view> parts;
    text = chat::strip(text, std::nullopt, false, true);
    auto last = static_cast<std::size_t>(
        std::lower_bound(offsets.begin(), offsets.end(), text.size()) - offsets.begin());
    while (!text.empty() && parts.size() < cuts_max) {
        std::size_t begin = text.size();
        while (last > 0) {
            std::size_t at = offsets[last - 1];
            if (is_space(next_char(text, at))) {
                break;
            }
            begin = offsets[--last];
        }
        if (last == 0) {
            break;
        }
        parts.push_back(text.substr(begin));
        text = chat::strip(text.substr(0, begin), std::nullopt, false, true);
        last = static_cast<std::size_t>(
            std::lower_bound(offsets.begin(), offsets.end(), text.size()) - offsets.begin());
    }
    if (!text.empty()) {
        parts.push_back(text);
    }
    return parts;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view separator,
                                       std::size_t cuts_max, bool from_right) {
    std::vector<std::string_view> parts;
    while (parts.size() < cuts_max) {
        const auto found = from_right ? text.rfind(separator) : text.find(separator);
        if (found == std::string_view::npos) {
            break;
        }
        const auto after = text.substr(found + separator.size());
        const auto before = text.substr(0, found);
        parts.push_back(from_right ? after : before);
        text = from_right ? before : after;
    }
    parts.push_back(text);
    return parts;
}

Result<Value> split_from(Host& host, const Value& self, const CallArgs& args, bool from_right) {
    TRILANE_TRY(const auto bound, Parameters::bind("split", args, {"sep", "maxsplit"}));
    TRILANE_TRY(const auto separator, bound.text(0));
    TRILANE_TRY(const auto wanted, bound.integer(1, -1));
    if (separator && separator->empty()) {
        return fail(Fault::invalid, "split: the separator is empty");
    }
    const auto cuts_max =
        wanted < 0 ? kPartsMax : std::min(static_cast<std::size_t>(wanted), kPartsMax);
    const std::string& text = bytes(self);
    (void)host.heap.charge(1 + text.size() / 8);
    auto parts = separator    ? split_at(text, *separator, cuts_max, from_right)
                 : from_right ? rsplit_words(text, cuts_max)
                              : split_words(text, cuts_max);
    if (parts.size() > kPartsMax) {
        return fail(Fault::exhausted, "split is limited to {} parts", kPartsMax);
    }
    if (from_right) {
        std::reverse(parts.begin(), parts.end());
    }
    std::vector<Value> items;
    for (const auto part : parts) {
        items.push_back(host.heap.text(std::string(part)));
        if (host.heap.exhausted()) {
            break;
        }
    }
    return Value(host.heap.list(std::move(items)));
}

Result<Value> split(Host& host, const Value& self, const CallArgs& args) {
    return split_from(host, self, args, false);
}

Result<Value> rsplit(Host& host, const Value& self, const CallArgs& args) {
    return split_from(host, self, args, true);
}

Result<Value> splitlines(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto none, Parameters::bind("splitlines", args, {}));
    (void)none;
    std::vector<Value> items;
    for (std::string_view rest = bytes(self); !rest.empty();) {
        items.push_back(host.heap.text(std::string(take_line(rest))));
        if (host.heap.exhausted()) {
            break;
        }
    }
    return Value(host.heap.list(std::move(items)));
}

Result<Value> partition_from(Host& host, const Value& self, const CallArgs& args, bool from_right) {
    TRILANE_TRY(const auto bound, Parameters::bind("partition", args, {"sep"}, 1));
    TRILANE_TRY(const auto separator, bound.text(0));
    if (!separator || separator->empty()) {
        return fail(Fault::invalid, "partition: the separator is empty");
    }
    const std::string& text = bytes(self);
    const auto found = from_right ? text.rfind(*separator) : text.find(*separator);
    std::array<std::string, 3> parts;
    if (found == std::string::npos) {
        parts[from_right ? 2 : 0] = text;
    } else {
        parts = {text.substr(0, found), std::string(*separator),
                 text.substr(found + separator->size())};
    }
    std::vector<Value> items;
    items.reserve(parts.size());
    for (auto& part : parts) {
        items.push_back(host.heap.text(std::move(part)));
    }
    return Value(host.heap.list(std::move(items), true));
}

Result<Value> partition(Host& host, const Value& self, const CallArgs& args) {
    return partition_from(host, self, args, false);
}

Result<Value> rpartition(Host& host, const Value& self, const CallArgs& args) {
    return partition_from(host, self, args, true);
}

/// startswith and endswith: one text or a tuple of them.
template <class Matches>
Result<Value> any_affix(const CallArgs& args, std::string_view name, Matches matches) {
    TRILANE_TRY(const auto bound, Parameters::bind(name, args, {"prefix"}, 1));
    if (const auto* list = bound[0]->list(); list != nullptr && list->tuple) {
        for (const auto& item : list->items) {
            if (item.text() == nullptr) {
                return fail(Fault::invalid, "{}: the tuple must hold strings", name);
            }
            if (matches(*item.text())) {
                return Value(true);
            }
        }
        return Value(false);
    }
    if (bound[0]->text() == nullptr) {
        return fail(Fault::invalid, "{} needs a string, not {}", name, type_name(*bound[0]));
    }
    return Value(matches(*bound[0]->text()));
}

Result<Value> startswith(Host& /*host*/, const Value& self, const CallArgs& args) {
    return any_affix(args, "startswith",
                     [&](const std::string& affix) { return bytes(self).starts_with(affix); });
}

Result<Value> endswith(Host& /*host*/, const Value& self, const CallArgs& args) {
    return any_affix(args, "endswith",
                     [&](const std::string& affix) { return bytes(self).ends_with(affix); });
}

Result<Value> removeprefix(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("removeprefix", args, {"prefix"}, 1));
    TRILANE_TRY(const auto affix, bound.text(0));
    const bool hit = affix && bytes(self).starts_with(*affix);
    return host.heap.text(bytes(self).substr(hit ? affix->size() : 0));
}

Result<Value> removesuffix(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("removesuffix", args, {"suffix"}, 1));
    TRILANE_TRY(const auto affix, bound.text(0));
    const bool hit = affix && bytes(self).ends_with(*affix);
    return host.heap.text(bytes(self).substr(0, bytes(self).size() - (hit ? affix->size() : 0)));
}

/// An empty `from` matches before every character and at the end.
std::string replaced_between(Heap& heap, const std::string& text, std::string_view to,
                             std::size_t count) {
    std::string out;
    for (std::size_t at = 0;;) {
        if (count > 0) {
            out += to;
            --count;
        }
        if (at >= text.size() || !heap.charge(1) || !heap.room(out.size())) {
            return out;
        }
        const auto begin = at;
        next_char(text, at);
        out.append(text, begin, at - begin);
    }
}

Result<Value> str_replace(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("replace", args, {"old", "new", "count"}, 2));
    TRILANE_TRY(const auto from, bound.text(0));
    TRILANE_TRY(const auto to, bound.text(1));
    TRILANE_TRY(const auto wanted, bound.integer(2, -1));
    if (!from || !to) {
        return fail(Fault::invalid, "replace needs two strings");
    }
    auto count =
        wanted < 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(wanted);
    const std::string& text = bytes(self);
    (void)host.heap.charge(1 + text.size() / 16);
    if (from->empty()) {
        return host.heap.text(replaced_between(host.heap, text, *to, count));
    }
    std::string out;
    std::size_t at = 0;
    for (auto found = text.find(*from); found != std::string::npos && count > 0;
         found = text.find(*from, at), --count) {
        out.append(text, at, found - at);
        out += *to;
        at = found + from->size();
        if (!host.heap.charge(1) || !host.heap.room(out.size())) {
            return Value();
        }
    }
    out.append(text, at);
    return host.heap.text(std::move(out));
}

Result<Value> found_at(const Value& self, const CallArgs& args, bool from_right, bool required) {
    TRILANE_TRY(const auto bound, Parameters::bind("find", args, {"sub"}, 1));
    TRILANE_TRY(const auto needle, bound.text(0));
    const std::string& text = bytes(self);
    const auto at = from_right ? text.rfind(needle.value_or("")) : text.find(needle.value_or(""));
    if (at == std::string::npos) {
        return required ? Result<Value>(fail(Fault::invalid, "index: the substring is not there"))
                        : Value(std::int64_t{-1});
    }
    return Value(static_cast<std::int64_t>(char_count(std::string_view(text).substr(0, at))));
}

Result<Value> find(Host& /*host*/, const Value& self, const CallArgs& args) {
    return found_at(self, args, false, false);
}

Result<Value> rfind(Host& /*host*/, const Value& self, const CallArgs& args) {
    return found_at(self, args, true, false);
}

Result<Value> index(Host& /*host*/, const Value& self, const CallArgs& args) {
    return found_at(self, args, false, true);
}

Result<Value> str_count(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("count", args, {"sub"}, 1));
    TRILANE_TRY(const auto needle, bound.text(0));
    const std::string& text = bytes(self);
    (void)host.heap.charge(1 + text.size() / 16);
    if (!needle || needle->empty()) {
        return Value(static_cast<std::int64_t>(char_count(text) + 1));
    }
    std::int64_t times = 0;
    for (auto at = text.find(*needle); at != std::string::npos;
         at = text.find(*needle, at + needle->size())) {
        ++times;
    }
    return Value(times);
}

Result<Value> str_join(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("join", args, {"iterable"}, 1));
    TRILANE_TRY(const List* list, iterate(host.heap, *bound[0]));
    std::string out;
    for (std::size_t i = 0; i < list->items.size(); ++i) {
        if (list->items[i].text() == nullptr) {
            return fail(Fault::invalid, "join: item {} is {}, not a string", i,
                        type_name(list->items[i]));
        }
        out += i > 0 ? bytes(self) : "";
        out += *list->items[i].text();
        if (!host.heap.charge(1) || !host.heap.room(out.size())) {
            break;
        }
    }
    return host.heap.text(std::move(out));
}

/// Whether the text is not empty and every character passes.
template <class Passes>
Result<Value> all_chars(const Value& self, const CallArgs& args, Passes passes) {
    TRILANE_TRY(const auto none, Parameters::bind("the method", args, {}));
    (void)none;
    const std::string& text = bytes(self);
    for (std::size_t at = 0; at < text.size();) {
        if (!passes(next_char(text, at))) {
            return Value(false);
        }
    }
    return Value(!text.empty());
}

bool is_ascii_digit(char32_t c) {
    return c >= '0' && c <= '9';
}

Result<Value> isdigit(Host& /*host*/, const Value& self, const CallArgs& args) {
    return all_chars(self, args, is_ascii_digit);
}

Result<Value> isalpha(Host& /*host*/, const Value& self, const CallArgs& args) {
    return all_chars(self, args, is_alpha);
}

Result<Value> isalnum(Host& /*host*/, const Value& self, const CallArgs& args) {
    return all_chars(self, args, [](char32_t c) { return is_alpha(c) || is_ascii_digit(c); });
}

Result<Value> isspace(Host& /*host*/, const Value& self, const CallArgs& args) {
    return all_chars(self, args, is_space);
}

Result<Value> isupper(Host& /*host*/, const Value& self, const CallArgs& /*args*/) {
    return Value(bytes(self) == to_upper(bytes(self)) && bytes(self) != to_lower(bytes(self)));
}

Result<Value> islower(Host& /*host*/, const Value& self, const CallArgs& /*args*/) {
    return Value(bytes(self) == to_lower(bytes(self)) && bytes(self) != to_upper(bytes(self)));
}

enum class Side { left, right, both };

Result<Value> padded(Host& host, const Value& self, const CallArgs& args, Side side) {
    TRILANE_TRY(const auto bound, Parameters::bind("padding", args, {"width", "fillchar"}, 1));
    TRILANE_TRY(const auto width, bound.integer(0, 0));
    TRILANE_TRY(const auto fill, bound.text(1));
    if (width > kPaddingMax || (fill && char_count(*fill) != 1)) {
        return fail(Fault::invalid, "padding takes one character and a width up to {}",
                    kPaddingMax);
    }
    const auto have = static_cast<std::int64_t>(char_count(bytes(self)));
    const std::int64_t missing = std::max<std::int64_t>(width - have, 0);
    // Python puts the odd one left of an odd width's text.
    const std::int64_t before = side == Side::left    ? missing
                                : side == Side::right ? 0
                                                      : missing / 2 + (missing & width & 1);
    std::string out;
    for (std::int64_t i = 0; i < missing + 1; ++i) {
        if (i == before) {
            out += bytes(self);
        }
        if (i < missing) {
            out += fill.value_or(" ");
        }
    }
    return host.heap.text(std::move(out));
}

Result<Value> rjust(Host& host, const Value& self, const CallArgs& args) {
    return padded(host, self, args, Side::left);
}

Result<Value> ljust(Host& host, const Value& self, const CallArgs& args) {
    return padded(host, self, args, Side::right);
}

Result<Value> center(Host& host, const Value& self, const CallArgs& args) {
    return padded(host, self, args, Side::both);
}

constexpr auto kMethods = std::to_array<Builtin>({
    {"capitalize", str_capitalize},
    {"center", center},
    {"count", str_count},
    {"endswith", endswith},
    {"find", find},
    {"index", index},
    {"isalnum", isalnum},
    {"isalpha", isalpha},
    {"isdigit", isdigit},
    {"islower", islower},
    {"isspace", isspace},
    {"isupper", isupper},
    {"join", str_join},
    {"ljust", ljust},
    {"lower", str_lower},
    {"lstrip", lstrip},
    {"partition", partition},
    {"removeprefix", removeprefix},
    {"removesuffix", removesuffix},
    {"replace", str_replace},
    {"rfind", rfind},
    {"rjust", rjust},
    {"rpartition", rpartition},
    {"rsplit", rsplit},
    {"rstrip", rstrip},
    {"split", split},
    {"splitlines", splitlines},
    {"startswith", startswith},
    {"strip", strip_both},
    {"title", str_title},
    {"upper", str_upper},
});

}  // namespace

const Builtin* find_text_method(std::string_view name) {
    const auto* found = std::find_if(kMethods.begin(), kMethods.end(),
                                     [&](const Builtin& entry) { return entry.name == name; });
    return found == kMethods.end() ? nullptr : found;
}

}  // namespace trilane::chat
