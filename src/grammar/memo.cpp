#include "grammar/memo.h"

#include <algorithm>
#include <bit>

namespace trilane::grammar {
namespace {

std::size_t mixed(std::size_t hash, std::uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15ULL;
    return hash ^ (hash >> 29U);
}

// Counts of which no token can tell where exactly they stand: each run of a loop reads at least a
// byte, so limits that lie further ahead than a token is long do not matter yet. They stay as they
// are while masks are found, which keeps the sets on the way few.
constexpr std::uint32_t kFarBelowMin = kNone - 1;  // must go on
constexpr std::uint32_t kFarBelowMax = kNone - 2;  // may go on or end

std::uint32_t added(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(std::uint64_t{a} + b, kEndless));
}

std::uint32_t canonical_count(std::uint32_t count, const Automaton::Loop& loop,
                              std::uint32_t reach) {
    if (count >= kFarBelowMax || (loop.max < kUnbounded && loop.max - count <= reach)) {
        return count;
    }
    if (count >= loop.min) {
        return kFarBelowMax;
    }
    return loop.min - count > reach ? kFarBelowMin : count;
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
    rests_.push_back(0);
    reaches_.push_back(0);
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
    if (frame.count >= kFarBelowMax) {
        enter({frame.start, stack});
        if (frame.count == kFarBelowMax) {
            leave(frame.parent);
        }
        return;
    }
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
        std::uint32_t reach = 0;
        for (const Place& place : places) {
            reach = std::max({reach, reaches_[place.stack],
                              depths_[place.stack] + automaton_.states[place.state].need});
        }
        sets_.push_back({std::move(places), ends, reach, kNone, kNone});
        steps_.resize(steps_.size() + classes_, kUnknown);
    }
    return id;
}

std::uint32_t Memo::rest_of(const Frame& frame) const {
    if (frame.start == kNone) {
        return automaton_.states[frame.to].rest;
    }
    const std::uint32_t min = automaton_.loops[frame.to].min;
    const std::uint64_t runs = frame.count + std::uint64_t{1} < min ? min - frame.count - 1 : 0;
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(runs * automaton_.states[frame.start].rest, kEndless));
}

std::uint32_t Memo::bytes_to_end(Set set) const {
    if (sets_[set].ends) {
        return 0;
    }
    std::uint32_t least = kEndless;
    for (const Place& place : sets_[set].places) {
        least = std::min(least, added(automaton_.states[place.state].rest, rests_[place.stack]));
    }
    return least;
}

std::optional<std::string> Memo::way_to_end(Set set, std::size_t bytes_max) {
    std::string way;
    while (!sets_[set].ends) {
        const std::uint32_t rest = bytes_to_end(set);
        if (rest == kEndless || way.size() + rest > bytes_max) {
            return std::nullopt;
        }
        std::uint8_t best = 0;
        std::uint32_t least = kEndless;
        for (const std::uint8_t byte : automaton_.byte_of_class) {
            const std::uint32_t after = bytes_to_end(step(set, byte));
            if (after < least) {
                least = after;
                best = byte;
            }
            if (after < rest) {
                break;
            }
        }
        if (least == kEndless) {
            return std::nullopt;
        }
        way += static_cast<char>(best);
        set = step(set, best);
    }
    return way;
}

Memo::Stack Memo::push(const Frame& frame) {
    const auto [at, fresh] = frame_ids_.try_emplace(frame, static_cast<Stack>(frames_.size()));
    if (fresh) {
        frames_.push_back(frame);
        const std::uint32_t depth = depths_[frame.parent];
        const bool returns = frame.start == kNone;
        depths_.push_back(depth + 1);
        rests_.push_back(added(rests_[frame.parent], rest_of(frame)));
        reaches_.push_back(std::max(reaches_[frame.parent],
                                    returns ? depth + automaton_.states[frame.to].need : depth));
        bytes_ += 2 * sizeof(Frame) + 36;
    }
    return at->second;
}

Memo::Stack Memo::canonical_stack(Stack stack, std::uint32_t reach) {
    std::vector<Frame> frames;
    bool same = true;
    for (Stack at = stack; at != kEmpty; at = frames_[at].parent) {
        Frame frame = frames_[at];
        if (frame.start != kNone) {
            const std::uint32_t count =
                canonical_count(frame.count, automaton_.loops[frame.to], reach);
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

Memo::Set Memo::canonical(Set set, std::uint32_t reach) {
    if (automaton_.loops.empty()) {
        return set;
    }
    std::vector<Place> places = sets_[set].places;
    bool same = true;
    for (Place& place : places) {
        const Stack stack = canonical_stack(place.stack, reach);
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
