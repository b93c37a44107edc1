// The whole table of edges, pair by pair.
#include "lane/state.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string_view>
#include <utility>

namespace trilane::lane {
namespace {

constexpr std::array kAll{State::offline,  State::starting,  State::warming,
                          State::ready,    State::serving,   State::idle,
                          State::draining, State::unloading, State::failed};

const std::set<std::pair<State, State>> kEdges{
    {State::offline, State::starting},   {State::starting, State::warming},
    {State::starting, State::ready},     {State::starting, State::unloading},
    {State::starting, State::failed},    {State::warming, State::ready},
    {State::warming, State::unloading},  {State::warming, State::failed},
    {State::ready, State::serving},      {State::ready, State::idle},
    {State::ready, State::draining},     {State::ready, State::unloading},
    {State::ready, State::failed},       {State::serving, State::ready},
    {State::serving, State::idle},       {State::serving, State::draining},
    {State::serving, State::failed},     {State::idle, State::ready},
    {State::idle, State::serving},       {State::idle, State::draining},
    {State::idle, State::unloading},     {State::idle, State::failed},
    {State::draining, State::unloading}, {State::draining, State::failed},
    {State::unloading, State::offline},  {State::unloading, State::failed},
    {State::failed, State::offline},     {State::failed, State::starting},
    {State::failed, State::unloading},
};

TEST(State, EveryPairIsAsTheTableSays) {
    for (const State from : kAll) {
        for (const State to : kAll) {
            EXPECT_EQ(may_follow(from, to), kEdges.contains({from, to}))
                << state_name(from) << " -> " << state_name(to);
        }
    }
}

TEST(State, NamesAreDistinct) {
    std::set<std::string_view> names;
    for (const State state : kAll) {
        names.insert(state_name(state));
    }
    EXPECT_EQ(names.size(), kAll.size());
    EXPECT_EQ(state_name(State::offline), "offline");
    EXPECT_EQ(state_name(State::failed), "failed");
}

TEST(State, RequestsGoOnlyToWhatIsLoaded) {
    for (const State state : kAll) {
        const bool loaded =
            state == State::ready || state == State::serving || state == State::idle;
        EXPECT_EQ(takes_requests(state), loaded) << state_name(state);
    }
}

TEST(State, NothingTakesRequestsBeforeItsLoadHasEnded) {
    for (const State from : kAll) {
        for (const State to : kAll) {
            if (may_follow(from, to) && takes_requests(to) && !takes_requests(from)) {
                EXPECT_TRUE(from == State::starting || from == State::warming);
            }
        }
    }
}

}  // namespace
}  // namespace trilane::lane
