#include "grammar/matcher.h"

#include <algorithm>

#include "base/check.h"
#include "grammar/memo.h"

namespace trilane::grammar {

Matcher::Matcher(Compiled grammar, std::shared_ptr<const TokenTrie> trie)
    : grammar_(std::move(grammar)), trie_(std::move(trie)), memo_(grammar_->memo(trie_)) {
    const std::lock_guard<std::mutex> lock(memo_->mutex());
    set_ = memo_->start();
}

Matcher::~Matcher() = default;
Matcher::Matcher(Matcher&&) noexcept = default;
Matcher& Matcher::operator=(Matcher&&) noexcept = default;

void Matcher::allowed(std::span<std::uint64_t> bits) {
    TRILANE_CHECK(bits.size() >= trie_->words());
    std::fill(bits.begin(), bits.end(), 0);
    if (ended_) {
        return;
    }
    const std::lock_guard<std::mutex> lock(memo_->mutex());
    const auto mask = memo_->mask(set_);
    std::copy(mask.begin(), mask.end(), bits.begin());
    if (memo_->ends(set_)) {
        for (const token::Id end : trie_->ends()) {
            const auto id = static_cast<std::size_t>(end);
            bits[id / 64] |= std::uint64_t{1} << (id % 64);
        }
    }
}

bool Matcher::accept(token::Id id) {
    if (trie_->is_end(id)) {
        const bool complete = may_end() && !ended_;
        ended_ = ended_ || complete;
        return complete;
    }
    const std::string_view bytes = trie_->bytes_of(id);
    if (bytes.empty() || ended_) {
        return false;
    }
    {
        const std::lock_guard<std::mutex> lock(memo_->mutex());
        std::uint32_t set = set_;
        for (const char c : bytes) {
            set = memo_->step(set, static_cast<std::uint8_t>(c));
        }
        if (set == Memo::kDead) {
            return false;
        }
        set_ = set;
        if (!memo_->full()) {
            return true;
        }
    }
    // Whoever comes first brings a fresh one for all.
    auto fresh = grammar_->memo(trie_);
    if (fresh == memo_) {
        fresh = grammar_->fresh_memo(trie_);
    }
    const std::scoped_lock lock(memo_->mutex(), fresh->mutex());
    set_ = fresh->adopt(*memo_, set_);
    std::swap(memo_, fresh);  // the old one is let go below its lock
    return true;
}

bool Matcher::may_end() const {
    const std::lock_guard<std::mutex> lock(memo_->mutex());
    return memo_->ends(set_);
}

bool Matcher::must_end() const {
    const std::lock_guard<std::mutex> lock(memo_->mutex());
    return ended_ || !memo_->goes_on(set_);
}

}  // namespace trilane::grammar
