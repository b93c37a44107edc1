#include "lane/native/text_assembler.h"

#include <algorithm>

#include "base/utf8.h"

namespace trilane::lane {
namespace {

/// Length of the longest suffix of `text` that is a proper prefix of `stop`.
std::size_t begun(std::string_view text, std::string_view stop) {
    for (std::size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n) {
        if (text.substr(text.size() - n) == stop.substr(0, n)) {
            return n;
        }
    }
    return 0;
}

}  // namespace

TextAssembler::TextAssembler(std::shared_ptr<const token::Tokenizer> tokenizer,
                             std::vector<std::string> stop)
    : decoder_(std::move(tokenizer)), stop_(std::move(stop)) {
    std::erase_if(stop_, [](const std::string& s) { return s.empty(); });
}

job::Text TextAssembler::push(token::Id id, std::optional<job::LogprobEntry> logprob) {
    held_ += decoder_.push(id);
    if (logprob.has_value()) {
        held_logprobs_.push_back(*std::move(logprob));
    }
    std::size_t first_stop = std::string::npos;
    for (const std::string& stop : stop_) {
        first_stop = std::min(first_stop, held_.find(stop));
    }
    if (first_stop != std::string::npos) {
        stopped_ = true;
        held_.resize(first_stop);
        return take(first_stop);
    }
    std::size_t keep = 0;
    for (const std::string& stop : stop_) {
        keep = std::max(keep, begun(held_, stop));
    }
    // A stop string may begin inside a character only if it is not valid UTF-8; then send up to the
    // character.
    return take(utf8_complete_prefix(std::string_view(held_).substr(0, held_.size() - keep)));
}

job::Text TextAssembler::flush() {
    if (!stopped_) {
        held_ += decoder_.flush();
    }
    return take(held_.size());
}

job::Text TextAssembler::take(std::size_t bytes) {
    job::Text text;
    text.text = held_.substr(0, bytes);
    held_.erase(0, bytes);
    if (held_.empty() || !text.text.empty()) {
        text.logprobs = std::move(held_logprobs_);
        held_logprobs_.clear();
    }
    return text;
}

}  // namespace trilane::lane
