#include "reply/call_object.h"

#include "json/json.h"

namespace trilane::reply {
namespace {

bool is_arguments_key(std::string_view key) {
    return key == "arguments" || key == "parameters";
}

/// Whether a value that begins with this byte is a number or a word.
bool is_scalar(char first) {
    return first != '{' && first != '[' && first != '"';
}

/// What a JSON string says; nothing when it is none.
std::string string_of(const std::string& text) {
    const auto value = json::parse(text);
    return value && value->is_string() ? value->get<std::string>() : std::string();
}

bool is_object(const std::string& text) {
    const auto value = json::parse(text);
    return value && value->is_object();
}

}  // namespace

ArgumentsObject::Step ArgumentsObject::push(char c) {
    if (scanner_.depth() == 0 && c != '{') {
        return Step::bad;
    }
    const bool in_string = scanner_.in_string();
    const Step step = scanner_.push(c);
    append_repaired(out_, c, in_string);
    return step;
}

CallObject::CallObject(IsTool is_tool, bool needs_arguments)
    : is_tool_(std::move(is_tool)), needs_arguments_(needs_arguments) {}

CallObject::Step CallObject::push(char c) {
    const Step step = scan(c);
    if (step == Step::done && !on_end()) {
        return Step::bad;
    }
    return step;
}

/// Follows the members of the outer object; what they are is on_value()'s.
CallObject::Step CallObject::scan(char c) {
    if (scanner_.depth() == 0 && c != '{') {
        return Step::bad;
    }
    const bool may_begin = scanner_.depth() == 1 && scanner_.at_value() && !is_space(c);
    const bool in_key = scanner_.depth() == 1 && scanner_.in_key();
    const bool was_scalar = scanner_.in_scalar();
    const bool in_string = scanner_.in_string();
    const Step step = scanner_.push(c);
    if (step == Step::bad) {
        return step;
    }
    if (in_key && scanner_.in_key()) {
        key_ += c;
    }
    if (may_begin) {
        begin_value(c);
    }
    if (kind_ == 0) {
        return step;
    }
    // What ends a number or a word is not part of it.
    const bool scalar_ended = is_scalar(kind_) && was_scalar && !scanner_.in_scalar();
    if (!scalar_ended) {
        append_repaired(streams_ ? out_ : value_, c, in_string);
    }
    const bool ended = scalar_ended || (scanner_.depth() == 1 && scanner_.after_value());
    return ended && !on_value() ? Step::bad : step;
}

void CallObject::begin_value(char c) {
    kind_ = c;
    value_.clear();
    streams_ = is_arguments_key(key_) && c == '{' && !name_.empty() && !has_arguments_;
    is_call_ = is_call_ || streams_;
}

/// The member `key_` is whole. False: this is no call.
bool CallObject::on_value() {
    kind_ = 0;
    const std::string key = std::exchange(key_, {});
    if (std::exchange(streams_, false)) {
        has_arguments_ = true;
        return true;
    }
    if (key == "name" && !is_call_) {
        name_ = string_of(value_);
        if (name_.empty() || !is_tool_(name_)) {
            return false;
        }
        if (!kept_.empty()) {
            is_call_ = has_arguments_ = true;
            out_ = std::exchange(kept_, {});
        }
        return true;
    }
    return !is_arguments_key(key) || has_arguments_ || on_arguments(std::move(value_));
}

/// Arguments that could not go straight out: before the name, or JSON inside a string.
bool CallObject::on_arguments(std::string text) {
    if (text == "null") {
        text = "{}";
    } else if (text.starts_with('"')) {
        text = string_of(text);
    }
    if (!is_object(text)) {
        return false;
    }
    if (name_.empty()) {
        kept_ = std::move(text);
        return true;
    }
    is_call_ = has_arguments_ = true;
    out_ = std::move(text);
    return true;
}

bool CallObject::on_end() {
    if (has_arguments_) {
        return true;
    }
    if (name_.empty() || needs_arguments_) {
        return false;
    }
    is_call_ = has_arguments_ = true;
    out_ = "{}";
    return true;
}

}  // namespace trilane::reply
