#include "gateway/response_store.h"

#include <gtest/gtest.h>

namespace trilane::gateway {
namespace {

std::shared_ptr<dialect::openai::StoredResponse> response(std::string id, std::size_t body = 0) {
    auto made = std::make_shared<dialect::openai::StoredResponse>();
    made->id = std::move(id);
    made->body = std::string(body, 'x');
    return made;
}

TEST(BoundedResponses, KeepsAndForgets) {
    BoundedResponses store;
    EXPECT_EQ(store.find("me", "a"), nullptr);
    const auto a = response("a");
    store.keep("me", a);
    EXPECT_EQ(store.find("me", "a"), a);
    EXPECT_EQ(store.bytes(), a->bytes());
    EXPECT_TRUE(store.remove("me", "a"));
    EXPECT_FALSE(store.remove("me", "a"));
    EXPECT_EQ(store.find("me", "a"), nullptr);
    EXPECT_EQ(store.bytes(), 0U);
}

TEST(BoundedResponses, TheLongestUnusedMakesRoomForAnother) {
    BoundedResponses store(2);
    store.keep("me", response("a"));
    store.keep("me", response("b"));
    EXPECT_NE(store.find("me", "a"), nullptr);
    store.keep("me", response("c"));
    EXPECT_EQ(store.find("me", "b"), nullptr);
    EXPECT_NE(store.find("me", "a"), nullptr);
    EXPECT_NE(store.find("me", "c"), nullptr);
    EXPECT_EQ(store.count(), 2U);
}

TEST(BoundedResponses, BytesAreBounded) {
    BoundedResponses store(100, 10'000);
    for (int i = 0; i < 20; ++i) {
        store.keep("me", response(std::to_string(i), 2000));
        EXPECT_LE(store.bytes(), 10'000U);
    }
    EXPECT_EQ(store.count(), 4U);
    EXPECT_NE(store.find("me", "19"), nullptr);
    EXPECT_EQ(store.find("me", "15"), nullptr);
    store.keep("me", response("giant", 20'000));
    EXPECT_EQ(store.find("me", "giant"), nullptr);
    EXPECT_EQ(store.count(), 4U);
}

TEST(BoundedResponses, OwnersDoNotSeeEachOther) {
    const auto all = std::make_shared<BoundedResponses>();
    ResponsesOf ann(all, "ann");
    ResponsesOf bob(all, "bob");
    ann.keep(response("a"));
    EXPECT_NE(ann.find("a"), nullptr);
    EXPECT_EQ(bob.find("a"), nullptr);
    EXPECT_FALSE(bob.remove("a"));
    EXPECT_TRUE(ann.remove("a"));
}

TEST(BoundedResponses, TheSameIdIsKeptOnce) {
    BoundedResponses store;
    store.keep("me", response("a", 10));
    const auto again = response("a", 20);
    store.keep("me", again);
    EXPECT_EQ(store.count(), 1U);
    EXPECT_EQ(store.bytes(), again->bytes());
}

TEST(BoundedResponses, WhatIsInUseOutlivesItsPlace) {
    BoundedResponses store(1);
    store.keep("me", response("a", 5));
    const auto held = store.find("me", "a");
    store.keep("me", response("b"));
    EXPECT_EQ(held->body, "xxxxx");
}

}  // namespace
}  // namespace trilane::gateway
