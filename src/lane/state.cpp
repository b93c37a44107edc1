#include "lane/state.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.h"

namespace trilane::lane {
namespace {

constexpr std::size_t kStates = static_cast<std::size_t>(State::failed) + 1;

constexpr std::uint32_t bit(State state) {
    return 1U << static_cast<std::uint32_t>(state);
}

template <class... States>
constexpr std::uint32_t set_of(States... states) {
    return (bit(states) | ...);
}

struct Row {
    std::string_view name;
    std::uint32_t next;
};

/// In the order of the enum.
constexpr std::array<Row, kStates> kRows{{
    {"offline", set_of(State::starting)},
    {"starting", set_of(State::warming, State::ready, State::unloading, State::failed)},
    {"warming", set_of(State::ready, State::unloading, State::failed)},
    {"ready",
     set_of(State::serving, State::idle, State::draining, State::unloading, State::failed)},
    {"serving", set_of(State::ready, State::idle, State::draining, State::failed)},
    {"idle",
     set_of(State::ready, State::serving, State::draining, State::unloading, State::failed)},
    {"draining", set_of(State::unloading, State::failed)},
    {"unloading", set_of(State::offline, State::failed)},
    {"failed", set_of(State::offline, State::starting, State::unloading)},
}};

const Row& row_of(State state) {
    const auto index = static_cast<std::size_t>(state);
    TRILANE_CHECK(index < kStates);
    return kRows[index];
}

}  // namespace

std::string_view state_name(State state) {
    return row_of(state).name;
}

bool may_follow(State from, State to) {
    return (row_of(from).next & bit(to)) != 0;
}

bool takes_requests(State state) {
    return (bit(state) & set_of(State::ready, State::serving, State::idle)) != 0;
}

}  // namespace trilane::lane
