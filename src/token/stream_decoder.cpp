// StreamDecoder: holds back the bytes of a character until its last one arrives.
#include "base/utf8.h"
#include "token/tokenizer.h"

namespace trilane::token {

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)) {}

std::string StreamDecoder::push(Id id) {
    held_ += tokenizer_->bytes_of(id, false);
    const std::size_t complete = utf8_complete_prefix(held_);
    std::string text = utf8_repaired(std::string_view(held_).substr(0, complete));
    held_.erase(0, complete);
    return text;
}

std::string StreamDecoder::flush() {
    std::string text = utf8_repaired(held_);
    held_.clear();
    return text;
}

}  // namespace trilane::token
