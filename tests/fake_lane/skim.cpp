#include "skim.h"

#include <cstring>

#include "json/json.h"

namespace trilane::fake_lane {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

/// The place behind the string that begins at `at`.
std::size_t string_end(std::string_view text, std::size_t at) {
    for (std::size_t from = at + 1; from < text.size();) {
        const void* found = std::memchr(text.data() + from, '"', text.size() - from);
        if (found == nullptr) {
            return kNone;
        }
        const auto quote = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
        std::size_t slashes = 0;
        while (text[quote - 1 - slashes] == '\\') {
            ++slashes;
        }
        if (slashes % 2 == 0) {
            return quote + 1;
        }
        from = quote + 1;
    }
    return kNone;
}

/// The place behind the value that begins at `at`.
std::size_t value_end(std::string_view text, std::size_t at) {
    if (at >= text.size()) {
        return kNone;
    }
    if (text[at] == '"') {
        return string_end(text, at);
    }
    if (text[at] != '{' && text[at] != '[') {
        const std::size_t end = text.find_first_of(",]} \t\r\n", at);
        return end == at ? kNone : std::min(end, text.size());
    }
    std::size_t depth = 0;
    while (at < text.size()) {
        const char c = text[at];
        if (c == '"') {
            at = string_end(text, at);
            if (at == kNone) {
                return kNone;
            }
            continue;
        }
        if (c == '{' || c == '[') {
            ++depth;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return at + 1;
        }
        ++at;
    }
    return kNone;
}

}  // namespace

Skim::Skim(std::string_view text) : text_(text) {
    skip_space();
    if (at_ >= text_.size() || (text_[at_] != '{' && text_[at_] != '[')) {
        ok_ = false;
        return;
    }
    is_object_ = text_[at_] == '{';
    ++at_;
    skip_space();
}

void Skim::skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || (text_[at_] >= '\t' && text_[at_] <= '\r'))) {
        ++at_;
    }
}

bool Skim::read_key(std::string_view& key) {
    const std::size_t end =
        at_ < text_.size() && text_[at_] == '"' ? string_end(text_, at_) : kNone;
    if (end == kNone) {
        return false;
    }
    key = text_.substr(at_ + 1, end - at_ - 2);
    at_ = end;
    skip_space();
    if (at_ >= text_.size() || text_[at_] != ':') {
        return false;
    }
    ++at_;
    skip_space();
    return true;
}

bool Skim::next(std::string_view& key, std::string_view& value) {
    if (!ok_ || ended_) {
        return false;
    }
    if (at_ < text_.size() && (text_[at_] == '}' || text_[at_] == ']')) {
        ended_ = true;
        return false;
    }
    if (is_object_ && !read_key(key)) {
        ok_ = false;
        return false;
    }
    const std::size_t end = value_end(text_, at_);
    if (end == kNone) {
        ok_ = false;
        return false;
    }
    value = text_.substr(at_, end - at_);
    at_ = end;
    skip_space();
    if (at_ < text_.size() && text_[at_] == ',') {
        ++at_;
        skip_space();
    } else if (at_ >= text_.size() || (text_[at_] != '}' && text_[at_] != ']')) {
        ok_ = false;
    }
    return ok_;
}

std::string_view member(std::string_view object, std::string_view key) {
    Skim skim(object);
    std::string_view name;
    std::string_view value;
    while (skim.is_object() && skim.next(name, value)) {
        if (name == key) {
            return value;
        }
    }
    return {};
}

std::string unquoted(std::string_view raw) {
    if (raw.size() < 2 || raw.front() != '"') {
        return {};
    }
    if (raw.find('\\') == std::string_view::npos) {
        return std::string(raw.substr(1, raw.size() - 2));
    }
    const Result<json::Value> parsed = json::parse(raw);
    return parsed && parsed->is_string() ? parsed->get<std::string>() : std::string();
}

std::optional<double> number(std::string_view raw) {
    if (raw.empty() || (raw.front() != '-' && (raw.front() < '0' || raw.front() > '9'))) {
        return std::nullopt;
    }
    return std::strtod(std::string(raw).c_str(), nullptr);
}

std::optional<std::int64_t> integer(std::string_view raw) {
    const std::optional<double> value = number(raw);
    if (!value || *value > 1e15 || *value < -1e15) {
        return std::nullopt;
    }
    return static_cast<std::int64_t>(*value);
}

}  // namespace trilane::fake_lane
