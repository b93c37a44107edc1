// The masks of a memo: which tokens a set of places allows.
#include <algorithm>

#include "grammar/memo.h"

namespace trilane::grammar {
namespace {

/// A walk of fewer nodes than this costs less than keeping what it found.
constexpr std::size_t kCheapNodes = 100;
/// Sets of more places are walked as one.
constexpr std::size_t kPlacesApartMax = 8;

void set_bit(std::span<std::uint64_t> bits, token::Id id) {
    const auto i = static_cast<std::size_t>(id);
    bits[i / 64] |= std::uint64_t{1} << (i % 64);
}

}  // namespace

std::span<const std::uint64_t> Memo::mask(Set set) {
    if (sets_[set].mask == kNone) {
        const std::size_t longest = std::max(trie_->long_tokens().depth_max, kShortTokenBytes);
        const Set same = canonical(set, static_cast<std::uint32_t>(longest + 1));
        if (sets_[same].mask == kNone) {
            sets_[same].mask = computed_mask(same);
        }
        sets_[set].mask = sets_[same].mask;
    }
    const std::size_t words = trie_->words();
    return std::span(masks_).subspan(sets_[set].mask * words, words);
}

/// The short tokens, which sets share further up to their loops' limits, and the long ones.
std::uint32_t Memo::computed_mask(Set set) {
    const std::size_t words = trie_->words();
    const Set same = canonical(set, kShortTokenBytes + 1);
    std::vector<std::uint64_t> bits(words, 0);
    if (sets_[same].short_mask == kNone) {
        add_short_tokens(same, bits);
        if (trie_->long_tokens().nodes.empty()) {
            return sets_[same].short_mask = keep(bits);
        }
        if (same != set) {
            sets_[same].short_mask = keep(bits);
        }
    } else {
        const auto known = std::span(masks_).subspan(sets_[same].short_mask * words, words);
        if (trie_->long_tokens().nodes.empty()) {
            return sets_[same].short_mask;
        }
        std::copy(known.begin(), known.end(), bits.begin());
    }
    walk(trie_->long_tokens(), set, bits);
    return keep(bits);
}

std::uint32_t Memo::keep(std::span<const std::uint64_t> bits) {
    const std::size_t at = masks_.size() / bits.size();
    masks_.insert(masks_.end(), bits.begin(), bits.end());
    bytes_ += bits.size_bytes();
    return static_cast<std::uint32_t>(at);
}

/// Each place by itself: most of what the inside of a string allows, say, does not depend on which
/// string it is, and is known from the others.
void Memo::add_short_tokens(Set set, std::span<std::uint64_t> bits) {
    const std::vector<Place> places = sets_[set].places;  // a copy: the list of sets grows
    if (places.size() > kPlacesApartMax) {
        walk(trie_->short_tokens(), set, bits);
        return;
    }
    for (const Place& place : places) {
        add_short_tokens_of(place, bits);
    }
}

void Memo::add_short_tokens_of(const Place& place, std::span<std::uint64_t> bits) {
    Stack rest = kEmpty;
    const Stack own = rebased(place.stack, rest);
    const Local& known = local(intern({{place.state, own}}, false));
    if (known.cheap || depths_[rest] + known.reach > automaton_.depth_max) {
        walk(trie_->short_tokens(), intern({place}, false), bits);
        return;
    }
    for (std::size_t word = 0; word < bits.size(); ++word) {
        bits[word] |= known.bits[word];
    }
    if (rest == kEmpty) {
        return;
    }
    leave(rest);
    drain();
    const Set after = intern_found();
    for (const std::uint32_t node : known.exits) {
        walk_below(node, after, bits);
    }
}

/// The counting loops on top of a stack, as a stack of their own; `rest` is what lies below. They
/// belong to the place: it comes through them with every character.
Memo::Stack Memo::rebased(Stack stack, Stack& rest) {
    std::vector<Frame> loops;
    while (stack != kEmpty && frames_[stack].start != kNone) {
        loops.push_back(frames_[stack]);
        stack = frames_[stack].parent;
    }
    rest = stack;
    Stack own = kEmpty;
    for (auto frame = loops.rbegin(); frame != loops.rend(); ++frame) {
        frame->parent = own;
        own = push(*frame);
    }
    return own;
}

const Memo::Local& Memo::local(Set set) {
    const auto [at, fresh] = locals_.try_emplace(set);
    Local& local = at->second;
    if (!fresh) {
        return local;
    }
    const TokenTrie::Half& half = trie_->short_tokens();
    local.bits.resize(trie_->words(), 0);
    path_.resize(std::max(path_.size(), half.depth_max + 1));
    path_[0] = set;
    std::size_t visited = 0;
    for (std::size_t i = 0; i < half.nodes.size(); ++visited) {
        const TokenTrie::Node& node = half.nodes[i];
        const Set next = step(path_[node.depth - 1U], node.byte);
        if (next == kDead) {
            i = node.skip;
            continue;
        }
        path_[node.depth] = next;
        local.reach = std::max(local.reach, sets_[next].reach);
        if (sets_[next].ends && node.skip > i + 1) {
            local.exits.push_back(static_cast<std::uint32_t>(i));
        }
        for (std::uint32_t t = 0; t < node.tokens; ++t) {
            set_bit(local.bits, half.ids[node.tokens_at + t]);
        }
        ++i;
    }
    local.cheap = visited < kCheapNodes;
    if (local.cheap) {
        local.bits = {};
        local.exits = {};
    }
    bytes_ += sizeof(Local) + local.bits.size() * sizeof(std::uint64_t) +
              local.exits.size() * sizeof(std::uint32_t);
    return local;
}

void Memo::walk(const TokenTrie::Half& half, Set from, std::span<std::uint64_t> bits) {
    path_.resize(std::max(path_.size(), half.depth_max + 1));
    path_[0] = from;
    walk(half, 0, half.nodes.size(), bits);
}

void Memo::walk_below(std::uint32_t node, Set from, std::span<std::uint64_t> bits) {
    const TokenTrie::Half& half = trie_->short_tokens();
    path_[half.nodes[node].depth] = from;
    walk(half, node + 1U, half.nodes[node].skip, bits);
}

void Memo::walk(const TokenTrie::Half& half, std::size_t begin, std::size_t end,
                std::span<std::uint64_t> bits) {
    for (std::size_t i = begin; i < end;) {
        const TokenTrie::Node& node = half.nodes[i];
        const Set next = step(path_[node.depth - 1U], node.byte);
        if (next == kDead) {
            i = node.skip;
            continue;
        }
        path_[node.depth] = next;
        for (std::uint32_t t = 0; t < node.tokens; ++t) {
            set_bit(bits, half.ids[node.tokens_at + t]);
        }
        ++i;
    }
}

}  // namespace trilane::grammar
