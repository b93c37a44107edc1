#include "plane/line.h"

#include <gtest/gtest.h>

namespace trilane::plane {
namespace {

using std::chrono::seconds;

constexpr Time kNow{seconds(10)};

Waiting waiting(std::string model, std::string client = "", std::uint32_t weight = 1,
                int second = 0) {
    job::Request request;
    request.model = std::move(model);
    request.client = std::move(client);
    Waiting out;
    out.request = std::make_shared<const job::Request>(std::move(request));
    out.weight = weight;
    out.since = Time(seconds(second));
    out.until = Time(seconds(second + 100));
    return out;
}

TEST(WaitingLine, GivesTheOldestOfTheModel) {
    WaitingLine line({});
    line.push(waiting("a", "", 1, 1));
    line.push(waiting("b", "", 1, 2));
    line.push(waiting("a", "", 1, 3));
    EXPECT_EQ(line.pop("b", 1, kNow)->since, Time(seconds(2)));
    EXPECT_EQ(line.pop("a", 1, kNow)->since, Time(seconds(1)));
    EXPECT_EQ(line.pop("a", 1, kNow)->since, Time(seconds(3)));
    EXPECT_FALSE(line.pop("a", 1, kNow));
    EXPECT_EQ(line.length(), 0U);
}

TEST(WaitingLine, ClientsTakeTurns) {
    WaitingLine line({});
    for (int i = 0; i < 3; ++i) {
        line.push(waiting("a", "greedy", 1, i));
    }
    line.push(waiting("a", "modest", 1, 9));
    std::string order;
    while (auto next = line.pop("a", 1, kNow)) {
        order += next->request->client.front();
    }
    EXPECT_EQ(order, "gmgg");
}

TEST(WaitingLine, AHeavyOneHoldsTheLineUp) {
    WaitingLine line({});
    line.push(waiting("a", "", 4));
    line.push(waiting("a", "", 1));
    EXPECT_FALSE(line.pop("a", 3, kNow)) << "or the light ones would starve it";
    EXPECT_EQ(line.pop("a", 4, kNow)->weight, 4U);
}

TEST(WaitingLine, SomeStayForAMoment) {
    WaitingLine line({});
    Waiting later = waiting("a", "", 1, 1);
    later.not_before = kNow + seconds(5);
    line.push_front(std::move(later));
    EXPECT_FALSE(line.pop("a", 1, kNow));
    EXPECT_EQ(line.next_change(kNow), kNow + seconds(5));
    EXPECT_TRUE(line.pop("a", 1, kNow + seconds(5)));
}

TEST(WaitingLine, BoundsAreForAllAndForEach) {
    WaitingLine line({.length_max = 4, .per_client_max = 2});
    line.push(waiting("a", "x", 2));
    EXPECT_EQ(line.room_for("x", 1).error().fault, Fault::exhausted);
    EXPECT_TRUE(line.room_for("y", 2));
    EXPECT_TRUE(line.room_for("", 2)) << "nobody in particular has no bound of its own";
    EXPECT_FALSE(line.room_for("", 3));
    line.push(waiting("a", "", 2));
    EXPECT_FALSE(line.room_for("y", 1));
}

TEST(WaitingLine, TheDeadLeave) {
    WaitingLine line({});
    line.push(waiting("a", "", 1, 0));
    line.push(waiting("a", "", 1, 50));
    line.push(waiting("b", "", 3, 60));
    const CancelToken cancel = line.pop("b", 9, kNow)->cancel;
    Waiting again = waiting("b", "", 3, 60);
    again.cancel = cancel;
    line.push(std::move(again));
    EXPECT_EQ(line.next_change(kNow), Time(seconds(100)));
    EXPECT_EQ(line.take_dead(Time(seconds(99))).size(), 0U);
    EXPECT_EQ(line.take_dead(Time(seconds(100))).size(), 1U);
    cancel.cancel();
    EXPECT_EQ(line.take_dead(Time(seconds(100))).front().weight, 3U);
    EXPECT_EQ(line.length(), 1U);
}

TEST(WaitingLine, SaysWhatIsWanted) {
    WaitingLine line({});
    line.push(waiting("b", "", 2, 5));
    line.push(waiting("a", "", 1, 6));
    line.push(waiting("b", "", 1, 7));
    line.push_front(waiting("a", "", 1, 1));
    const auto wanted = line.wanted();
    ASSERT_EQ(wanted.size(), 2U);
    EXPECT_EQ(wanted[0].model, "a");
    EXPECT_EQ(wanted[0].since, Time(seconds(1)));
    EXPECT_EQ(wanted[1].weight, 3U);
    EXPECT_EQ(line.weight_of("b"), 3U);
    EXPECT_EQ(line.take_model("b").size(), 2U);
    EXPECT_FALSE(line.waits_for("b"));
    EXPECT_EQ(line.take_all().size(), 2U);
}

}  // namespace
}  // namespace trilane::plane
