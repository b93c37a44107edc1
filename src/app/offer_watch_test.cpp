// Lists of models that only lanes know: asked for at the same time, told when they change, left
// alone when the daemon stops.
#include "app/offer_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <utility>

#include "lane/descriptor.h"

namespace trilane::app {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kLong{20};

/// Offers what it is told to; may wait for somebody who never answers.
class OfferingLane final : public lane::Lane {
public:
    explicit OfferingLane(std::string name) : name_(std::move(name)) {}

    [[nodiscard]] const std::string& name() const override { return name_; }
    [[nodiscard]] const lane::Descriptor& descriptor() const override {
        return *lane::descriptor_of("remote").value();
    }
    [[nodiscard]] const std::string& device() const override { return device_; }
    [[nodiscard]] std::uint32_t residents_max() const override { return 1; }
    [[nodiscard]] bool can_serve(const catalog::Entry& /*entry*/) const override { return true; }
    [[nodiscard]] Result<plan::Need> need(const catalog::Entry& /*entry*/,
                                          const lane::LoadWishes& /*wishes*/) const override {
        return plan::Need{};
    }
    Result<std::shared_ptr<lane::Resident>> load(lane::LoadRequest /*request*/) override {
        return fail(Fault::unavailable, "it only offers");
    }
    [[nodiscard]] std::shared_ptr<os::LogRing> log() const override { return nullptr; }

    [[nodiscard]] std::vector<catalog::Entry> offers() const override {
        const std::scoped_lock lock(mutex_);
        return offers_;
    }
    Status refresh_offers(const CancelToken& cancel) override {
        const auto end = Clock::now() + kLong;
        while (hangs && !cancel.cancelled() && Clock::now() < end) {
            std::this_thread::sleep_for(1ms);
        }
        const std::scoped_lock lock(mutex_);
        offers_ = next_;
        ++asked;
        return error_;
    }

    void set_next(const std::vector<std::string>& ids) {
        const std::scoped_lock lock(mutex_);
        next_.clear();
        for (const std::string& id : ids) {
            catalog::Entry entry;
            entry.id = id;
            next_.push_back(std::move(entry));
        }
    }
    void set_error(Status error) {
        const std::scoped_lock lock(mutex_);
        error_ = std::move(error);
    }

    std::atomic<bool> hangs{false};
    std::atomic<int> asked{0};

private:
    const std::string name_;
    const std::string device_;
    mutable std::mutex mutex_;
    std::vector<catalog::Entry> offers_;
    std::vector<catalog::Entry> next_;
    Status error_;
};

class OfferWatchTest : public ::testing::Test {
protected:
    std::shared_ptr<OfferingLane> lane(std::string name, const std::vector<std::string>& ids) {
        auto lane = std::make_shared<OfferingLane>(std::move(name));
        lane->set_next(ids);
        options_.lanes.push_back(lane);
        return lane;
    }
    std::unique_ptr<OfferWatch> watch(std::chrono::milliseconds interval) {
        options_.interval = interval;
        options_.changed = [this] { ++changes_; };
        options_.warn = [this](std::string_view line) {
            const std::scoped_lock lock(mutex_);
            warnings_ += std::string(line) + '\n';
        };
        return std::make_unique<OfferWatch>(options_);
    }
    static bool eventually(const std::function<bool()>& condition) {
        const auto end = Clock::now() + kLong;
        while (!condition() && Clock::now() < end) {
            std::this_thread::sleep_for(1ms);
        }
        return condition();
    }

    OfferWatch::Options options_;
    std::atomic<int> changes_{0};
    std::mutex mutex_;
    std::string warnings_;
};

TEST_F(OfferWatchTest, AsksEveryLaneAndTellsOfChanges) {
    const auto far = lane("far", {"a", "b"});
    const auto near = lane("near", {});
    const auto watching = watch(kLong);
    watching->wait_first(kLong);
    EXPECT_EQ(far->asked, 1);
    EXPECT_EQ(near->asked, 1);
    EXPECT_EQ(changes_, 1) << "a lane without models offers what it did before";
}

TEST_F(OfferWatchTest, AModelInPlaceOfAnotherIsAChange) {
    const auto far = lane("far", {"a", "b"});
    const auto watching = watch(1ms);
    ASSERT_TRUE(eventually([&] { return changes_ == 1; }));
    far->set_next({"a", "c"});
    EXPECT_TRUE(eventually([&] { return changes_ == 2; }));
    const int asked = far->asked;
    ASSERT_TRUE(eventually([&] { return far->asked > asked + 2; }));
    EXPECT_EQ(changes_, 2) << "the same list is none";
}

TEST_F(OfferWatchTest, WhatALoadHasReadMeanwhileIsToldToo) {
    const auto far = lane("far", {"a"});
    const auto watching = watch(50ms);
    ASSERT_TRUE(eventually([&] { return changes_ == 1; }));
    far->set_next({"b"});
    ASSERT_TRUE(far->refresh_offers({}));  // as a lane does before it loads
    EXPECT_TRUE(eventually([&] { return changes_ == 2; }));
}

TEST_F(OfferWatchTest, OneThatDoesNotAnswerKeepsNobodyBack) {
    const auto dead = lane("dead", {"x"});
    dead->hangs = true;
    const auto far = lane("far", {"a"});
    const auto watching = watch(kLong);
    EXPECT_TRUE(eventually([&] { return changes_ == 1; }));
    EXPECT_EQ(dead->asked, 0);
}

TEST_F(OfferWatchTest, StoppingWaitsForNoList) {
    for (const char* name : {"one", "two", "three"}) {
        lane(name, {"x"})->hangs = true;
    }
    const auto watching = watch(kLong);
    const auto begin = Clock::now();
    watching->stop();
    EXPECT_LT(Clock::now() - begin, kLong / 4);
    EXPECT_EQ(changes_, 0);
}

TEST_F(OfferWatchTest, WhatCannotBeReadIsALine) {
    lane("far", {})->set_error(fail(Fault::unavailable, "connection refused"));
    const auto watching = watch(kLong);
    watching->wait_first(kLong);
    const std::scoped_lock lock(mutex_);
    EXPECT_THAT(warnings_, HasSubstr("lane far: connection refused"));
}

}  // namespace
}  // namespace trilane::app
