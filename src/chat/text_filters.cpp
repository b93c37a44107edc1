// Filters over strings, numbers and printing: trim, tojson, round …
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

#include "chat/builtins.h"
#include "chat/operators.h"
#include "chat/python_text.h"
#include "chat/unicode.h"

namespace trilane::chat {
namespace {

/// Wider indentation than this is no longer for reading.
constexpr std::int64_t kIndentMax = 1000;

template <class Transform>
Result<Value> transformed(Host& host, const Value& self, const CallArgs& args,
                          std::string_view name, Transform transform) {
    TRILANE_TRY(const auto none, Parameters::bind(name, args, {}));
    (void)none;
    const auto text = to_str(host.heap, self);
    (void)host.heap.charge(text.size() / 8);
    return host.heap.text(transform(text));
}

Result<Value> upper(Host& host, const Value& self, const CallArgs& args) {
    return transformed(host, self, args, "upper", to_upper);
}

Result<Value> lower(Host& host, const Value& self, const CallArgs& args) {
    return transformed(host, self, args, "lower", to_lower);
}

Result<Value> capitalize(Host& host, const Value& self, const CallArgs& args) {
    return transformed(host, self, args, "capitalize", to_capitalized);
}

/// The title filter starts a word after white space, '-', '(', '{', '[' or '<' only.
std::string title_words(std::string_view text) {
    std::string out;
    bool word_start = true;
    for (std::size_t at = 0; at < text.size();) {
        const auto begin = at;
        const char32_t c = next_char(text, at);
        const auto one = text.substr(begin, at - begin);
        const bool separator =
            is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
        out += word_start && !separator ? to_upper(one) : to_lower(one);
        word_start = separator;
    }
    return out;
}

Result<Value> title(Host& host, const Value& self, const CallArgs& args) {
    return transformed(host, self, args, "title", title_words);
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '\'':
                out += "&#39;";
                break;
            case '"':
                out += "&#34;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

Result<Value> escape(Host& host, const Value& self, const CallArgs& args) {
    return transformed(host, self, args, "escape", escaped);
}

Result<Value> string(Host& host, const Value& self, const CallArgs& args) {
    return transformed(host, self, args, "string", [](const std::string& text) { return text; });
}

Result<Value> trim(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("trim", args, {"chars"}));
    TRILANE_TRY(const auto chars, bound.text(0));
    return host.heap.text(std::string(strip(to_str(host.heap, self), chars, true, true)));
}

Result<Value> replace(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("replace", args, {"old", "new", "count"}, 2));
    CallArgs rest;
    rest.positional = {host.heap.text(to_str(host.heap, *bound[0])),
                       host.heap.text(to_str(host.heap, *bound[1]))};
    if (bound[2] != nullptr && !bound[2]->none()) {
        rest.positional.push_back(*bound[2]);
    }
    const Value text = host.heap.text(to_str(host.heap, self));
    return find_text_method("replace")->call(host, text, rest);
}

Result<Value> indent(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("indent", args, {"width", "first", "blank"}));
    std::string indention;
    if (bound[0] != nullptr && bound[0]->text() != nullptr) {
        indention = *bound[0]->text();
    } else {
        TRILANE_TRY(const auto width, bound.integer(0, 4));
        indention.assign(static_cast<std::size_t>(std::clamp<std::int64_t>(width, 0, kIndentMax)),
                         ' ');
    }
    const bool blank = bound.flag(2, false);
    // A line end at the end counts as one more, empty, line.
    const auto text = to_str(host.heap, self) + "\n";
    std::string out = bound.flag(1, false) ? indention : "";
    bool first = true;
    for (std::string_view rest = text; !rest.empty();) {
        const auto line = take_line(rest);
        if (!first) {
            out += '\n';
            out += blank || !line.empty() ? indention : "";
        }
        first = false;
        out += line;
        if (!host.heap.charge(1) || !host.heap.room(out.size())) {
            break;
        }
    }
    return host.heap.text(std::move(out));
}

Result<Value> format(Host& host, const Value& self, const CallArgs& args) {
    if (!args.named.empty()) {
        return fail(Fault::invalid, "format takes no named arguments");
    }
    TRILANE_TRY(auto text, percent_format(host.heap, to_str(host.heap, self), args.positional));
    return host.heap.text(std::move(text));
}

Result<Value> tojson(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(
        const auto bound,
        Parameters::bind("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"}));
    JsonStyle style;
    style.ensure_ascii = bound.flag(0, false);
    style.sort_keys = bound.flag(3, false);
    if (bound[1] != nullptr && bound[1]->text() != nullptr) {
        style.indent = bound[1]->text()->substr(0, kIndentMax);
    } else if (bound[1] != nullptr && !bound[1]->none()) {
        TRILANE_TRY(const auto width, bound.integer(1, 0));
        style.indent.emplace(
            static_cast<std::size_t>(std::clamp<std::int64_t>(width, 0, kIndentMax)), ' ');
    }
    style.item_separator = style.indent ? "," : ", ";
    style.key_separator = ": ";
    if (bound[2] != nullptr && !bound[2]->none()) {
        const auto* pair = bound[2]->list();
        if (pair == nullptr || pair->items.size() != 2 || pair->items[0].text() == nullptr ||
            pair->items[1].text() == nullptr) {
            return fail(Fault::invalid, "tojson: separators must be a pair of strings");
        }
        style.item_separator = pair->items[0].text()->substr(0, kIndentMax);
        style.key_separator = pair->items[1].text()->substr(0, kIndentMax);
    }
    std::string out;
    TRILANE_TRY_STATUS(append_json(host.heap, out, self, style));
    return host.heap.text(std::move(out));
}

Result<std::int64_t> to_integer(double real) {
    if (!(std::fabs(real) < 9.2e18)) {
        return fail(Fault::invalid, "{} does not fit an integer", float_repr(real));
    }
    return static_cast<std::int64_t>(real);
}

/// What Python's float() reads: surrounding white space, underscores apart.
std::optional<double> parse_real(std::string_view text) {
    text = strip(text, std::nullopt, true, true);
    if (!text.empty() && text.front() == '+') {
        text.remove_prefix(1);
    }
    double real = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), real);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return real;
}

std::optional<std::int64_t> parse_integer(std::string_view text, int base) {
    text = strip(text, std::nullopt, true, true);
    if (!text.empty() && text.front() == '+') {
        text.remove_prefix(1);
    }
    const char mark = base == 16 ? 'x' : base == 8 ? 'o' : base == 2 ? 'b' : '0';
    if (text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == mark) {
        text.remove_prefix(2);
    }
    std::int64_t integer = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), integer, base);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return integer;
}

Result<Value> to_int(Host& /*host*/, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("int", args, {"default", "base"}));
    TRILANE_TRY(const auto base, bound.integer(1, 10));
    if (self.undefined()) {
        return undefined_error(self);
    }
    if (const auto number = self.integer()) {
        return Value(*number);
    }
    std::optional<double> real = self.real();
    if (const auto* text = self.text(); text != nullptr && base >= 2 && base <= 36) {
        if (const auto number = parse_integer(*text, static_cast<int>(base))) {
            return Value(*number);
        }
        real = parse_real(*text);
    }
    if (real && std::isfinite(*real)) {
        TRILANE_TRY(const auto number, to_integer(*real));
        return Value(number);
    }
    return bound[0] == nullptr ? Value(std::int64_t{0}) : *bound[0];
}

Result<Value> to_float(Host& /*host*/, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("float", args, {"default"}));
    if (self.undefined()) {
        return undefined_error(self);
    }
    std::optional<double> real = self.real();
    if (const auto* text = self.text()) {
        real = parse_real(*text);
    }
    if (real) {
        return Value(*real);
    }
    return bound[0] == nullptr ? Value(0.0) : *bound[0];
}

Result<Value> absolute(Host& /*host*/, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("abs", args, {}));
    (void)bound;
    if (self.undefined()) {
        return undefined_error(self);
    }
    if (const auto number = self.integer()) {
        return *number < 0 ? negate(self) : Result<Value>(Value(*number));
    }
    if (const auto number = self.real()) {
        return Value(std::fabs(*number));
    }
    return fail(Fault::invalid, "abs needs a number, not {}", type_name(self));
}

Result<Value> round(Host& /*host*/, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("round", args, {"precision", "method"}));
    TRILANE_TRY(const auto precision, bound.integer(0, 0));
    TRILANE_TRY(const auto method, bound.text(1));
    if (!self.real()) {
        return self.undefined()
                   ? undefined_error(self)
                   : fail(Fault::invalid, "round needs a number, not {}", type_name(self));
    }
    if (std::abs(precision) > 300) {
        return fail(Fault::invalid, "round: a precision of {} is too large", precision);
    }
    const double number = *self.real();
    const double scale = std::pow(10.0, static_cast<double>(precision));
    if (method == "ceil") {
        return Value(std::ceil(number * scale) / scale);
    }
    if (method == "floor") {
        return Value(std::floor(number * scale) / scale);
    }
    if (method && *method != "common") {
        return fail(Fault::invalid, "round: the method must be common, ceil or floor");
    }
    if (self.integer() && precision >= 0) {
        return Value(*self.integer());
    }
    if (precision <= 0) {
        const double rounded = std::nearbyint(number * scale) / scale;
        if (!self.integer()) {
            return Value(rounded);
        }
        TRILANE_TRY(const auto integer, to_integer(rounded));
        return Value(integer);
    }
    // Correct decimal rounding, which Python's round() promises, is what printing does.
    double rounded = number;
    const auto digits = fmt::format("{:.{}f}", number, precision);
    std::from_chars(digits.data(), digits.data() + digits.size(), rounded);
    return Value(rounded);
}

Result<Value> wordcount(Host& host, const Value& self, const CallArgs& args) {
    TRILANE_TRY(const auto bound, Parameters::bind("wordcount", args, {}));
    (void)bound;
    const auto text = to_str(host.heap, self);
    std::int64_t words = 0;
    bool inside = false;
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = next_char(text, at);
        const bool word =
            c == '_' || (c < 0x80 ? std::isalnum(static_cast<int>(c)) != 0 : is_alpha(c));
        words += word && !inside ? 1 : 0;
        inside = word;
    }
    return Value(words);
}

constexpr auto kTextFilters = std::to_array<Builtin>({
    {"abs", absolute},
    {"capitalize", capitalize},
    {"e", escape},
    {"escape", escape},
    {"float", to_float},
    {"forceescape", escape},
    {"format", format},
    {"indent", indent},
    {"int", to_int},
    {"lower", lower},
    {"replace", replace},
    {"round", round},
    {"safe", string},
    {"string", string},
    {"title", title},
    {"tojson", tojson},
    {"trim", trim},
    {"upper", upper},
    {"wordcount", wordcount},
});

}  // namespace

const Builtin* find_text_filter(std::string_view name) {
    const auto* found = std::find_if(kTextFilters.begin(), kTextFilters.end(),
                                     [&](const Builtin& entry) { return entry.name == name; });
    return found == kTextFilters.end() ? nullptr : found;
}

}  // namespace trilane::chat
