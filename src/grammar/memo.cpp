#include "grammar/memo.h"

#include <algorithm>
#include <bit>

namespace trilane::grammar {
namespace {

std::size_t mixed(std::size_t hash, std::uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15ULL;
    return hash ^ (hash >> 29U);
}

/// The least count that no token of up to kShortTokenBytes tells from `count`: each run reads at
/// least a byte, so limits that lie further ahead do not matter yet.
std::uint32_t canonical_count(std::uint32_t count, const Automaton::Loop& loop) {
    constexpr std::uint32_t kReach = kShortTokenBytes + 1;
    const bool max_is_far = loop.max >= kUnbounded || loop.max - count > kReach;
    if (!max_is_far) {
        return count;
    }
    if (count >= loop.min) {
        return loop.min;
    }
    return loop.min - count > kReach ? loop.min - kReach - 1 : count;
}

}  // namespace

std::size_t Memo::PlacesHash::operator()(const std::vector<Place>& places) const {
    std::size_t hash = places.size();
    for (const Place& place : places) {
        hash = mixed(hash, (std::uint64_t{place.state} << 32U) | place.stack);
    }
    return hash;
}

std::size_t Memo::FrameHash::operator()(const Frame& frame) const {
    const std::size_t hash = mixed(frame.count, (std::uint64_t{frame.to} << 32U) | frame.start);
    return mixed(hash, frame.parent);
}

Memo::Memo(const Automaton& automaton, std::shared_ptr<const TokenTrie> trie)
    : automaton_(automaton), trie_(std::move(trie)), classes_(automaton.byte_of_class.size()) {
    frames_.push_back({});  // the empty stack
    depths_.push_back(0);
    intern({}, false);  // kDead
    std::fill(steps_.begin(), steps_.end(), kDead);
}

Memo::Set Memo::start() {
    enter({automaton_.start, kEmpty});
    drain();
    return intern_found();
}

Memo::Set Memo::compute_step(Set set, std::uint8_t byte) {
    for (const Place place : sets_[set].places) {
        for (const Automaton::Edge& edge : automaton_.edges_of(place.state)) {
            if (edge.lo <= byte && byte <= edge.hi) {
                enter({edge.to, place.stack});
            }
        }
    }
    drain();
    const Set next = intern_found();
    steps_[set * classes_ + automaton_.class_of[byte]] = next;
    return next;
}

/// Notes a place whose calls, jumps and return are still to be followed, unless the text could not
/// come to its end from there within the limit on depth.
void Memo::enter(Place place) {
    const std::uint64_t need = automaton_.states[place.state].need;
    if (need == kEndless || depths_[place.stack] + need > automaton_.depth_max) {
        return;
    }
    if (seen_.size() >= kWaysMax) {
        found_too_many_ = true;
        return;
    }
    if (seen_.insert((std::uint64_t{place.state} << 32U) | place.stack).second) {
        todo_.push_back(place);
    }
}

void Memo::drain() {
    while (!todo_.empty()) {
        const Place place = todo_.back();
        todo_.pop_back();
        if (!automaton_.edges_of(place.state).empty()) {
            found_.push_back(place);
        }
        for (const std::uint32_t jump : automaton_.jumps_of(place.state)) {
            enter({jump, place.stack});
        }
        for (const Automaton::Call& next : automaton_.calls_of(place.state)) {
            call(next, place.stack);
        }
        if (automaton_.states[place.state].ends) {
            leave(place.stack);
        }
    }
}

void Memo::call(const Automaton::Call& call, Stack stack) {
    if (call.loop != kNone && automaton_.loops[call.loop].min == 0) {
        enter({call.to, stack});
    }
    const Automaton::State& to = automaton_.states[call.to];
    if (to.need == kEndless || depths_[stack] + std::uint64_t{to.need} > automaton_.depth_max) {
        return;
    }
    if (!to.only_ends) {
        stack = push({call.to, kNone, 0, stack});
    }
    if (call.loop != kNone) {
        stack = push({call.loop, call.start, 0, stack});
    }
    enter({call.start, stack});
}

/// The machine on top of `stack` has ended.
void Memo::leave(Stack stack) {
    if (stack == kEmpty) {
        found_end_ = true;
    } else if (frames_[stack].start == kNone) {
        enter({frames_[stack].to, frames_[stack].parent});
    } else {
        iterate(stack);
    }
}

void Memo::iterate(Stack stack) {
    const Frame frame = frames_[stack];
    const Automaton::Loop& loop = automaton_.loops[frame.to];
    std::uint32_t count = frame.count + 1;
    if (loop.max >= kUnbounded) {
        count = std::min(count, loop.min);
    }
    if (count < loop.max) {
        enter({frame.start, push({frame.to, frame.start, count, frame.parent})});
    }
    if (count >= loop.min) {
        leave(frame.parent);
    }
}

Memo::Set Memo::intern_found() {
    std::sort(found_.begin(), found_.end());
    if (found_.size() > kPlacesMax || found_too_many_) {
        found_.clear();
        found_end_ = false;
        found_too_many_ = false;
    }
    const Set set = intern(std::move(found_), found_end_);
    found_ = {};
    found_end_ = false;
    seen_.clear();
    return set;
}

Memo::Set Memo::intern(std::vector<Place> places, bool ends) {
    const auto at = set_ids_.try_emplace(places, std::array<Set, 2>{kUnknown, kUnknown}).first;
    Set& id = at->second[ends ? 1 : 0];
    if (id == kUnknown) {
        id = static_cast<Set>(sets_.size());
        bytes_ += 2 * places.size() * sizeof(Place) + classes_ * sizeof(Set) + 128;
        sets_.push_back({std::move(places), ends, kNone, kNone});
        steps_.resize(steps_.size() + classes_, kUnknown);
    }
    return id;
}

Memo::Stack Memo::push(const Frame& frame) {
    const auto [at, fresh] = frame_ids_.try_emplace(frame, static_cast<Stack>(frames_.size()));
    if (fresh) {
        frames_.push_back(frame);
        depths_.push_back(depths_[frame.parent] + 1);
        bytes_ += 2 * sizeof(Frame) + 32;
    }
    return at->second;
}

Memo::Stack Memo::canonical_stack(Stack stack) {
    std::vector<Frame> frames;
    bool same = true;
    for (Stack at = stack; at != kEmpty; at = frames_[at].parent) {
        Frame frame = frames_[at];
        if (frame.start != kNone) {
            const std::uint32_t count = canonical_count(frame.count, automaton_.loops[frame.to]);
            same = same && count == frame.count;
            frame.count = count;
        }
        frames.push_back(frame);
    }
    if (same) {
        return stack;
    }
    Stack out = kEmpty;
    for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
        frame->parent = out;
        out = push(*frame);
    }
    return out;
}

Memo::Set Memo::canonical(Set set) {
    if (automaton_.loops.empty()) {
        return set;
    }
    std::vector<Place> places = sets_[set].places;
    bool same = true;
    for (Place& place : places) {
        const Stack stack = canonical_stack(place.stack);
        same = same && stack == place.stack;
        place.stack = stack;
    }
    if (same) {
        return set;
    }
    std::sort(places.begin(), places.end());
    places.erase(std::unique(places.begin(), places.end()), places.end());
    return intern(std::move(places), sets_[set].ends);
}

std::span<const std::uint64_t> Memo::mask(Set set) {
    const std::size_t words = trie_->words();
    if (sets_[set].mask == kNone) {
        const bool counts = !automaton_.loops.empty();
        std::vector<std::uint64_t> bits(words, 0);
        if (counts) {
            const Set same = canonical(set);
            if (sets_[same].short_mask == kNone) {
                walk(trie_->short_tokens(), same, bits);
                sets_[same].short_mask = keep(bits);
            } else {
                const auto known = std::span(masks_).subspan(sets_[same].short_mask * words, words);
                std::copy(known.begin(), known.end(), bits.begin());
            }
            sets_[set].mask = trie_->long_tokens().nodes.empty() ? sets_[same].short_mask : kNone;
        } else {
            walk(trie_->short_tokens(), set, bits);
        }
        if (sets_[set].mask == kNone) {
            walk(trie_->long_tokens(), set, bits);
            sets_[set].mask = keep(bits);
        }
    }
    return std::span(masks_).subspan(sets_[set].mask * words, words);
}

std::uint32_t Memo::keep(std::span<const std::uint64_t> bits) {
    const std::size_t at = masks_.size() / bits.size();
    masks_.insert(masks_.end(), bits.begin(), bits.end());
    bytes_ += bits.size_bytes();
    return static_cast<std::uint32_t>(at);
}

void Memo::walk(const TokenTrie::Half& half, Set from, std::span<std::uint64_t> bits) {
    path_.resize(std::max(path_.size(), half.depth_max + 1));
    path_[0] = from;
    const TokenTrie::Node* const nodes = half.nodes.data();
    const std::size_t count = half.nodes.size();
    for (std::size_t i = 0; i < count;) {
        const TokenTrie::Node& node = nodes[i];
        const Set next = step(path_[node.depth - 1U], node.byte);
        if (next == kDead) {
            i = node.skip;
            continue;
        }
        path_[node.depth] = next;
        for (std::uint32_t t = 0; t < node.tokens; ++t) {
            const auto id = static_cast<std::size_t>(half.ids[node.tokens_at + t]);
            bits[id / 64] |= std::uint64_t{1} << (id % 64);
        }
        ++i;
    }
}

Memo::Set Memo::adopt(const Memo& other, Set set) {
    std::vector<Place> places;
    for (Place place : other.sets_[set].places) {
        std::vector<Frame> frames;
        for (Stack at = place.stack; at != kEmpty; at = other.frames_[at].parent) {
            frames.push_back(other.frames_[at]);
        }
        place.stack = kEmpty;
        for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
            frame->parent = place.stack;
            place.stack = push(*frame);
        }
        places.push_back(place);
    }
    std::sort(places.begin(), places.end());
    return intern(std::move(places), other.sets_[set].ends);
}

}  // namespace trilane::grammar
