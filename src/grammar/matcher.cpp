#include "grammar/matcher.h"

#include <algorithm>

#include "base/check.h"
#include "grammar/memo.h"

namespace trilane::grammar {
namespace {

/// Longer ways to the end of a text are not looked for.
constexpr std::size_t kWayBytesMax = 1U << 16U;

}  // namespace

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

bool Matcher::leaves_room(token::Id next, std::uint32_t left) {
    if (trie_->is_end(next)) {
        return may_end();
    }
    const std::string_view bytes = trie_->bytes_of(next);
    if (bytes.empty() || ended_) {
        return false;
    }
    const std::lock_guard<std::mutex> lock(memo_->mutex());
    std::uint32_t set = set_;
    for (const char c : bytes) {
        set = memo_->step(set, static_cast<std::uint8_t>(c));
    }
    return ends_within(set, left);
}

bool Matcher::can_end_within(std::uint32_t left) {
    const std::lock_guard<std::mutex> lock(memo_->mutex());
    return ended_ || ends_within(set_, left);
}

/// With the memo's mutex held. A token reads a byte at least, so few bytes need no closer look.
bool Matcher::ends_within(std::uint32_t set, std::uint32_t left) {
    const std::uint32_t bytes = memo_->bytes_to_end(set);
    const std::uint64_t bytes_max = std::uint64_t{left} * kShortTokenBytes;
    if (bytes <= left || bytes > bytes_max) {
        return bytes <= left;
    }
    const auto way = memo_->way_to_end(set, std::min<std::uint64_t>(bytes_max, kWayBytesMax));
    if (!way) {
        return false;
    }
    std::string_view rest = *way;
    for (std::uint32_t taken = 0; taken < left; ++taken) {
        if (rest.empty()) {
            return true;
        }
        const auto longest = trie_->longest_beginning(rest);
        if (!longest) {
            return false;
        }
        rest.remove_prefix(trie_->bytes_of(*longest).size());
    }
    return rest.empty();
}

std::optional<token::Id> Matcher::next_to_end() {
    const std::lock_guard<std::mutex> lock(memo_->mutex());
    const auto way = memo_->way_to_end(set_, kWayBytesMax);
    return way ? trie_->longest_beginning(*way) : std::nullopt;
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
