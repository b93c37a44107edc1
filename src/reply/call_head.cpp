#include "reply/call_head.h"

#include <algorithm>

#include "reply/json_scanner.h"

namespace trilane::reply {
namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_space(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

bool is_name_byte(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-' || c == '.';
}

/// A text that is read from its front.
class Front {
public:
    explicit Front(std::string_view text) : text_(text), size_(text.size()) {}

    void skip_space() {
        while (!text_.empty() && is_space(text_.front())) {
            text_.remove_prefix(1);
        }
    }
    bool take(std::string_view word) {
        const bool is_there = text_.starts_with(word);
        text_.remove_prefix(is_there ? word.size() : 0);
        return is_there;
    }
    /// What stands before the first `word`, which is taken too. False: it has not come.
    bool take_until(std::string_view word, std::string_view& before) {
        const std::size_t at = text_.find(word);
        if (at == std::string_view::npos) {
            return false;
        }
        before = text_.substr(0, at);
        text_.remove_prefix(at + word.size());
        return true;
    }
    /// More bytes could make it begin with `word`.
    [[nodiscard]] bool may_become(std::string_view word) const { return word.starts_with(text_); }
    [[nodiscard]] std::string_view rest() const { return text_; }
    [[nodiscard]] std::size_t taken() const { return size_ - text_.size(); }

private:
    std::string_view text_;
    std::size_t size_;
};

CallHead wait(std::string_view text) {
    return {text.size() > kHeadBytesMax ? CallHead::State::bad : CallHead::State::more};
}

CallHead whole(std::string_view name, const Front& front, CallHead::Next next) {
    return {name.empty() ? CallHead::State::bad : CallHead::State::whole, std::string(name),
            front.taken(), next};
}

/// JSON follows, or nothing has.
CallHead json_or_wait(std::string_view name, std::string_view text, const Front& front) {
    if (front.rest().empty()) {
        return wait(text);
    }
    if (front.rest().front() != '{') {
        return {CallHead::State::bad};
    }
    return whole(name, front, CallHead::Next::json);
}

}  // namespace

CallHead function_head(std::string_view text) {
    Front front(text);
    std::string_view name;
    if (!front.take("<function=")) {
        return {CallHead::State::bad};
    }
    if (!front.take_until(">", name)) {
        return wait(text);
    }
    front.skip_space();
    const std::string_view rest = front.rest();
    if (rest.starts_with("<parameter=")) {
        return whole(trimmed(name), front, CallHead::Next::parameters);
    }
    if (rest.starts_with("</function>")) {
        return whole(trimmed(name), front, CallHead::Next::nothing);
    }
    if (front.may_become("<parameter=") || front.may_become("</function>")) {
        return wait(text);
    }
    return json_or_wait(trimmed(name), text, front);
}

CallHead mistral_head(std::string_view text) {
    Front front(text);
    std::string_view ignored;
    const auto end = std::ranges::find_if_not(text, is_name_byte);
    const std::string_view name(text.begin(), end);
    front.take(name);
    if (front.rest().empty()) {
        return wait(text);
    }
    front.skip_space();
    if (front.take("[CALL_ID]")) {
        return front.take_until("[ARGS]", ignored) ? json_or_wait(name, text, front) : wait(text);
    }
    if (!front.take("[ARGS]") && (front.may_become("[CALL_ID]") || front.may_become("[ARGS]"))) {
        return wait(text);
    }
    front.skip_space();
    return json_or_wait(name, text, front);
}

CallHead deepseek_head(std::string_view text) {
    Front front(text);
    std::string_view name;
    if (!front.take("<\uFF5Ctool\u2581call\u2581begin\uFF5C>")) {
        return {CallHead::State::bad};
    }
    if (!front.take_until("<\uFF5Ctool\u2581sep\uFF5C>", name)) {
        return wait(text);
    }
    if (front.rest().empty()) {
        return wait(text);
    }
    // The older models say "function" before the separator, the newer ones the name.
    if (front.rest().front() != '{' && !front.take_until("\n", name)) {
        return wait(text);
    }
    front.skip_space();
    if (front.take("```")) {
        front.take("json");
        front.skip_space();
    } else if (front.may_become("```")) {
        return wait(text);
    }
    if (front.may_become("json")) {
        return wait(text);
    }
    return json_or_wait(trimmed(name), text, front);
}

}  // namespace trilane::reply
