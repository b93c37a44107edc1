#include "reply/parameters.h"

#include <algorithm>
#include <array>

#include "json/json.h"
#include "json/text.h"
#include "reply/call_head.h"
#include "reply/json_scanner.h"
#include "reply/marks.h"

namespace trilane::reply {
namespace {

constexpr std::string_view kOpen = "<parameter=";
constexpr std::string_view kClose = "</parameter>";
constexpr std::string_view kFunctionClose = "</function>";

bool only_strings(const json::Value& type) {
    if (type.is_string()) {
        return type == "string";
    }
    return type.is_array() && !type.empty() &&
           std::ranges::all_of(type, [](const json::Value& one) { return one == "string"; });
}

bool no_strings(const json::Value& type) {
    if (type.is_string()) {
        return type != "string";
    }
    return type.is_array() &&
           std::ranges::none_of(type, [](const json::Value& one) { return one == "string"; });
}

}  // namespace

Parameters::Parameters(std::string_view schema) {
    const auto value = json::parse(schema);
    if (!value || !value->is_object() || !value->contains("properties") ||
        !(*value)["properties"].is_object()) {
        return;
    }
    for (const auto& [name, property] : (*value)["properties"].items()) {
        Shape shape = Shape::any;
        if (property.is_object() && property.contains("type")) {
            const json::Value& type = property["type"];
            shape = only_strings(type) ? Shape::string
                    : no_strings(type) ? Shape::other
                                       : Shape::any;
        }
        shapes_.emplace_back(name, shape);
    }
}

Parameters::Shape Parameters::shape_of(const std::string& name) const {
    const auto found =
        std::ranges::find_if(shapes_, [&](const auto& one) { return one.first == name; });
    return found == shapes_.end() ? Shape::any : found->second;
}

bool Parameters::read(std::string& text) {
    while (true) {
        if (in_value_) {
            if (!read_value(text)) {
                return false;
            }
            continue;
        }
        if (read_between(text)) {
            out_ += '}';
            return true;
        }
        if (!in_value_) {
            return false;
        }
    }
}

/// True: the function has ended.
bool Parameters::read_between(std::string& text) {
    text.erase(0,
               static_cast<std::size_t>(std::ranges::find_if_not(text, is_space) - text.begin()));
    if (text.starts_with(kFunctionClose)) {
        text.erase(0, kFunctionClose.size());
        return true;
    }
    if (text.starts_with(kOpen)) {
        const std::size_t end = text.find('>');
        if (end == std::string::npos) {
            return text.size() > kHeadBytesMax;
        }
        begin(std::string_view(text).substr(kOpen.size(), end - kOpen.size()));
        text.erase(0, end + 1);
        return false;
    }
    const std::string_view rest = text;
    const bool may_go_on = kOpen.starts_with(rest) || kFunctionClose.starts_with(rest);
    return !may_go_on;  // the end was forgotten, or the model has lost its thread
}

void Parameters::begin(std::string_view name) {
    out_ += at_first_ ? "" : ", ";
    at_first_ = false;
    const std::string key(name);
    json::append_string(out_, key);
    out_ += ": ";
    shape_ = shape_of(key);
    value_.clear();
    in_value_ = at_begin_ = true;
    if (shape_ == Shape::string) {
        out_ += '"';
    }
}

/// True: the value is whole.
bool Parameters::read_value(std::string& text) {
    if (at_begin_) {
        if (text.empty()) {
            return false;
        }
        text.erase(0, text.front() == '\n' ? 1 : 0);
        at_begin_ = false;
    }
    const std::size_t end = text.find(kClose);
    if (end != std::string::npos) {
        std::string_view last = std::string_view(text).substr(0, end);
        last.remove_suffix(last.ends_with('\n') ? 1 : 0);
        add(last);
        text.erase(0, end + kClose.size());
        end_value();
        return true;
    }
    // A line break before the end does not count, so one is held back with what may be the end.
    std::size_t safe = text.size() - begun(text, kClose);
    safe -= safe > 0 && text[safe - 1] == '\n' ? 1U : 0U;
    add(std::string_view(text).substr(0, safe));
    text.erase(0, safe);
    return false;
}

void Parameters::add(std::string_view value) {
    if (shape_ == Shape::string) {
        json::append_escaped(out_, value);
    } else {
        value_ += value;
    }
}

void Parameters::end_value() {
    in_value_ = false;
    if (shape_ == Shape::string) {
        out_ += '"';
        return;
    }
    // As JSON, or as Python spells it; what is neither is a string after all.
    constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kPython{
        {{"True", "true"}, {"False", "false"}, {"None", "null"}}};
    const auto* const word =
        std::ranges::find_if(kPython, [&](const auto& one) { return one.first == value_; });
    if (word != kPython.end()) {
        value_ = word->second;
    }
    const auto value = json::parse(value_);
    if (value && !(shape_ == Shape::any && value->is_string())) {
        out_ += json::dump(*value);
    } else {
        json::append_string(out_, value_);
    }
}

void Parameters::finish(std::string_view text) {
    if (!in_value_) {
        out_ += '}';  // only the mark of the end was not written
        return;
    }
    add(text);
    out_ += value_;
}

}  // namespace trilane::reply
