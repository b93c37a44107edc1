#include "access/door.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "access/key_test.h"

namespace trilane::access {
namespace {

using std::chrono::milliseconds;
constexpr Door::Time kStart{std::chrono::hours(1)};

KeyRing ring_of(std::initializer_list<Key> keys) {
    KeyRing ring;
    for (const Key& key : keys) {
        EXPECT_TRUE(ring.add(key));
    }
    return ring;
}

TEST(Door, IsOpenWithoutKeys) {
    Door door;
    EXPECT_TRUE(door.is_open());
    const Answer answer = door.knock("", true, kStart, 0);
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.visit.name(), "");
    EXPECT_TRUE(answer.visit.is_admin());
}

TEST(Door, LetsInWhoHasAKey) {
    Door door("master", ring_of({key("ann", "a")}));
    EXPECT_FALSE(door.is_open());
    EXPECT_EQ(door.knock("", true, kStart, 0).status, 401U);
    EXPECT_EQ(door.knock("b", true, kStart, 0).status, 401U);
    EXPECT_EQ(door.knock(std::string(100'000, 'a'), true, kStart, 0).status, 401U);
    const Answer master = door.knock("master", true, kStart, 0);
    EXPECT_EQ(master.visit.name(), "default");
    EXPECT_TRUE(master.visit.is_admin());
    const Answer ann = door.knock("a", true, kStart, 0);
    EXPECT_EQ(ann.visit.name(), "ann");
    EXPECT_FALSE(ann.visit.is_admin());
}

TEST(Door, KeysExpireAndAreReplaced) {
    Key ann = key("ann", "a");
    ann.expires_unix_s = 100;
    Door door("", ring_of({ann}));
    EXPECT_EQ(door.knock("a", true, kStart, 99).status, 200U);
    EXPECT_EQ(door.knock("a", true, kStart, 100).status, 401U);
    door.replace(ring_of({key("bob", "b")}));
    EXPECT_EQ(door.knock("a", true, kStart, 0).status, 401U);
    EXPECT_EQ(door.knock("b", true, kStart, 0).status, 200U);
}

TEST(Door, StaysShutWithoutTheLastKey) {
    Door door("", ring_of({key("ann", "a")}));
    door.replace(KeyRing());  // revoked, or the file is gone
    EXPECT_FALSE(door.is_open());
    for (const char* sent : {"", "a"}) {
        const Answer answer = door.knock(sent, true, kStart, 0);
        EXPECT_EQ(answer.status, 401U);
        EXPECT_NE(answer.message.find("trilane key add"), std::string::npos);
    }
    door.replace(ring_of({key("bob", "b")}));
    EXPECT_EQ(door.knock("b", true, kStart, 0).status, 200U);
    Door first;
    first.replace(ring_of({key("ann", "a")}));
    first.replace(KeyRing());
    EXPECT_FALSE(first.is_open()) << "keys came while it served";
}

TEST(Door, AFileWithoutKeysAsksForOne) {
    const std::string path = testing::TempDir() + "empty_keys.json";
    std::ofstream(path) << R"({"version":1,"keys":[]})";
    auto ring = KeyRing::load(path);
    ASSERT_TRUE(ring);
    Door door("", *std::move(ring));
    EXPECT_FALSE(door.is_open());
    EXPECT_EQ(door.knock("", false, kStart, 0).status, 401U);
}

TEST(Door, HoldsTheRate) {
    Key ann = key("ann", "a");
    ann.requests_per_minute = 3;
    Door door("", ring_of({ann}));
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(door.knock("a", true, kStart, 0).status, 200U);
    }
    const Answer fourth = door.knock("a", true, kStart, 0);
    EXPECT_EQ(fourth.status, 429U);
    EXPECT_EQ(fourth.retry_after_s, 20U);
    EXPECT_EQ(door.knock("a", false, kStart, 0).status, 200U) << "looking around is no work";
    door.replace(ring_of({ann}));
    EXPECT_EQ(door.knock("a", true, kStart, 0).status, 429U) << "a reload is no refill";
    EXPECT_EQ(door.knock("a", true, kStart + milliseconds(20'001), 0).status, 200U);
    EXPECT_EQ(door.knock("a", true, kStart + milliseconds(20'002), 0).status, 429U);
}

TEST(Door, HoldsTheNumberAtOnce) {
    Key ann = key("ann", "a");
    ann.concurrent = 2;
    Door door("", ring_of({ann}));
    Answer first = door.knock("a", true, kStart, 0);
    Answer second = door.knock("a", true, kStart, 0);
    EXPECT_EQ(door.knock("a", true, kStart, 0).status, 429U);
    Visit moved = std::move(first.visit);
    EXPECT_EQ(door.knock("a", true, kStart, 0).status, 429U);
    moved = Visit();
    EXPECT_EQ(door.knock("a", true, kStart, 0).status, 200U);
}

TEST(Door, CountsWhatBelongsToAVisitOnce) {
    Key ann = key("ann", "a");
    ann.concurrent = 1;
    ann.requests_per_minute = 3;
    Door door("", ring_of({ann}));
    const Answer session = door.knock("a", true, kStart, 0);
    ASSERT_EQ(session.status, 200U);
    EXPECT_EQ(door.knock("a", true, kStart, 0).status, 429U);
    EXPECT_EQ(door.knock("a", true, kStart, 0, true).status, 200U);
    EXPECT_EQ(door.knock("a", true, kStart, 0).status, 429U) << "the session is still there";
    EXPECT_EQ(door.knock("a", true, kStart, 0, true).status, 200U);
    EXPECT_EQ(door.knock("a", true, kStart, 0, true).status, 429U) << "rates apply";
}

TEST(Door, TellsWhatAKeyAllows) {
    Key ann = key("ann", "a");
    ann.models = {"qwen*"};
    ann.lanes = {"npu"};
    Door door("", ring_of({ann}));
    const Answer answer = door.knock("a", true, kStart, 0);
    EXPECT_TRUE(answer.visit.may_use_model("qwen3-4b"));
    EXPECT_FALSE(answer.visit.may_use_model("llama"));
    EXPECT_TRUE(answer.visit.may_use_lane("npu"));
    EXPECT_FALSE(answer.visit.may_use_lane("gpu"));
}

}  // namespace
}  // namespace trilane::access
