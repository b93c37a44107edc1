// What goes wrong on one lane and must not reach clients, orders of administrators, and ends of
// things that are still under way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "plane/plane_rig.h"

namespace trilane::plane {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A pool for each device.
void give_rooms(Box& box, std::uint64_t gpu_bytes, std::uint64_t cpu_bytes) {
    box.options.memory = [gpu_bytes, cpu_bytes](std::span<const plan::Occupant>) {
        plan::Memory memory;
        memory.pools = {{"vram", gpu_bytes, 0, 0}, {"system", cpu_bytes, 0, 0}};
        memory.devices = {{"gpu0", {{0, gpu_bytes}}}, {"cpu", {{1, cpu_bytes}}}};
        return memory;
    };
}

const Residency* find_on(const View& view, std::string_view lane, std::string_view model) {
    for (const LaneView& one : view.lanes) {
        for (const Residency& resident : one.residents) {
            if (one.name == lane && resident.model == model) {
                return &resident;
            }
        }
    }
    return nullptr;
}

bool is_on(const Box& box, std::string_view lane, std::string_view model) {
    const View view = box.plane->view();
    const Residency* one = find_on(view, lane, model);
    return one != nullptr && lane::takes_requests(one->state);
}

bool is_pinned_on(const Box& box, std::string_view lane, std::string_view model) {
    const View view = box.plane->view();
    const Residency* one = find_on(view, lane, model);
    return one != nullptr && one->pinned;
}

/// Long enough for the plane to have looked at everything at least once more.
void let_think(const Box& box) {
    ASSERT_TRUE(load_and_wait(*box.plane, "cpu/thought"));
    ASSERT_TRUE(box.plane->unload("cpu/thought"));
    ASSERT_TRUE(becomes([&] { return !is_on(box, "cpu", "thought"); }));
}

TEST(Fallback, ALaneFullOfWhatIsPinnedSendsOn) {
    Box box;
    give_rooms(box, 50, 50);
    box.start({entry("big", 40), entry("b", 30)});
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/big", true));
    const Ear ear = box.ask("b");
    ASSERT_TRUE(ear.wait());
    EXPECT_FALSE(ear.error()) << ear.error()->message;
    EXPECT_EQ(ear.text(), "b");
    EXPECT_TRUE(is_on(box, "cpu", "b"));
    EXPECT_TRUE(is_on(box, "gpu", "big"));
}

TEST(Fallback, AdministratorsLoadGoesOnAsWell) {
    Box box;
    give_rooms(box, 50, 50);
    box.start({entry("big", 40), entry("b", 30)});
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/big", true));
    const Status loaded = load_and_wait(*box.plane, "b");
    EXPECT_TRUE(loaded) << loaded.error().message;
    EXPECT_TRUE(is_on(box, "cpu", "b"));
    EXPECT_FALSE(load_and_wait(*box.plane, "gpu/b")) << "that lane and no other";
}

TEST(Fallback, TheFirstClientOfALoadThatFailsIsAnsweredElsewhere) {
    Box box;
    box.gpu->bad["a"] = {Fault::corrupt, "it is no model"};
    box.start({entry("a")});
    const Ear ear = box.ask("a");
    ASSERT_TRUE(ear.wait());
    EXPECT_FALSE(ear.error()) << ear.error()->message;
    EXPECT_EQ(box.cpu->loads("a"), 1);
    EXPECT_EQ(box.plane->view().lanes[0].load_failures_total, 1U);
    EXPECT_THAT(box.logged("a goes to lane cpu"), HasSubstr("it is no model"));
}

TEST(Fallback, AnAdministratorsLoadThatFailsIsTriedElsewhere) {
    Box box;
    box.gpu->bad["a"] = {Fault::corrupt, "it is no model"};
    box.start({entry("a")});
    const Status loaded = load_and_wait(*box.plane, "a");
    EXPECT_TRUE(loaded) << loaded.error().message;
    EXPECT_TRUE(is_on(box, "cpu", "a"));
}

TEST(Fallback, TheLastRefusalNamesEveryLaneAndItsReason) {
    Box box;
    give_rooms(box, 50, 20);
    box.gpu->bad["a"] = {Fault::corrupt, "it is no model"};
    box.start({entry("a", 30)});
    const Ear ear = box.ask("a");
    ASSERT_TRUE(ear.wait());
    ASSERT_TRUE(ear.error());
    EXPECT_EQ(ear.error()->fault, Fault::unavailable) << "another lane may have room later";
    EXPECT_THAT(ear.error()->message, HasSubstr("gpu: 'a' cannot be loaded: it is no model"));
    EXPECT_THAT(ear.error()->message, HasSubstr("cpu: 'a' does not fit this machine"));
    const Ear second = box.ask("a");
    ASSERT_TRUE(second.wait());
    EXPECT_THAT(second.error()->message, HasSubstr("gpu: 'a' cannot be loaded: it is no model"));
    EXPECT_THAT(second.error()->message, HasSubstr("cpu: 'a' does not fit this machine"));
    const Status loaded = load_and_wait(*box.plane, "a");
    EXPECT_THAT(loaded.error().message, HasSubstr("gpu: "));
    EXPECT_THAT(loaded.error().message, HasSubstr("cpu: "));
}

TEST(Fallback, WhatFitsNoLaneIsNoFaultOfTheRequests) {
    Box box(100);
    box.start({entry("huge", 1000)});
    const Ear ear = box.ask("huge");
    ASSERT_TRUE(ear.wait());
    EXPECT_EQ(ear.error()->fault, Fault::unavailable);
    EXPECT_THAT(ear.error()->message, HasSubstr("gpu: "));
    EXPECT_THAT(ear.error()->message, HasSubstr("cpu: "));
    EXPECT_EQ(load_and_wait(*box.plane, "huge").error().fault, Fault::unavailable);
}

TEST(Fallback, AFileThatIsNoGoodIsNoFaultOfTheRequests) {
    for (const Fault why : {Fault::invalid, Fault::corrupt}) {
        Box box;
        box.gpu->bad["a"] = box.cpu->bad["a"] = {why, "tensor output.weight is missing"};
        box.start({entry("a")});
        for (const char* again : {"", "within the pause"}) {
            const Ear ear = box.ask("a");
            ASSERT_TRUE(ear.wait());
            ASSERT_TRUE(ear.error());
            EXPECT_EQ(ear.error()->fault, Fault::corrupt) << again;
            EXPECT_THAT(ear.error()->message, HasSubstr("tensor output.weight is missing"));
        }
        EXPECT_EQ(load_and_wait(*box.plane, "a").error().fault, Fault::corrupt);
    }
}

TEST(Fallback, AChildThatDoesNotComeUpMayLater) {
    for (const Fault why : {Fault::internal, Fault::timeout, Fault::unavailable}) {
        Box box;
        box.gpu->bad["a"] = box.cpu->bad["a"] = {why, "the program exited with status 1"};
        box.start({entry("a")});
        const Ear ear = box.ask("a");
        ASSERT_TRUE(ear.wait());
        ASSERT_TRUE(ear.error());
        EXPECT_EQ(ear.error()->fault, Fault::unavailable);
    }
}

TEST(Fallback, ALaneThatTheNameSaysIsNotLeft) {
    Box box;
    box.gpu->bad["a"] = {Fault::corrupt, "it is no model"};
    box.start({entry("a")});
    const Ear ear = box.ask("gpu/a");
    ASSERT_TRUE(ear.wait());
    ASSERT_TRUE(ear.error());
    EXPECT_THAT(ear.error()->message, HasSubstr("it is no model"));
    EXPECT_EQ(box.cpu->loads("a"), 0);
}

TEST(Fallback, StaysWithinWhatTheKeyAllows) {
    Box box;
    box.gpu->bad["a"] = {Fault::corrupt, "it is no model"};
    box.start({entry("a")});
    Ear ear;
    job::Request request;
    request.model = "a";
    request.lanes = {"g*"};
    box.plane->submit(std::move(request), ear.sink(), {});
    ASSERT_TRUE(ear.wait());
    ASSERT_TRUE(ear.error());
    EXPECT_THAT(ear.error()->message, Not(HasSubstr("cpu")));
    EXPECT_EQ(box.cpu->loads("a"), 0);
}

TEST(Fallback, StaysWithinThePolicy) {
    Box box;
    box.gpu->bad["a"] = {Fault::corrupt, "it is no model"};
    box.options.policies["a"].lanes = {"gpu"};
    box.start({entry("a")});
    const Ear ear = box.ask("a");
    ASSERT_TRUE(ear.wait());
    EXPECT_TRUE(ear.error());
    EXPECT_EQ(box.cpu->loads("a"), 0);
}

TEST(Fallback, ALaneThatThePolicyDoesNotAllowIsRefusedWithThoseItDoes) {
    Box box;
    box.options.policies["a"].lanes = {"gpu"};
    box.start({entry("a")});
    const Status by_order =
        load(*box.plane, {.model = "a", .lane = "cpu", .context_tokens = {}, .pin = {}}).wait();
    const Ear ear = box.ask("cpu/a");
    ASSERT_TRUE(ear.wait());
    for (const Error& error :
         {by_order ? Error() : by_order.error(), ear.error().value_or(Error())}) {
        EXPECT_EQ(error.fault, Fault::invalid);
        EXPECT_THAT(error.message, HasSubstr("allows 'a' only on gpu, not on cpu"));
    }
    EXPECT_EQ(box.gpu->loads("a") + box.cpu->loads("a"), 0);
}

TEST(Fallback, AllWhoWaitGoOn) {
    Box box;
    box.gpu->bad["a"] = {Fault::corrupt, "it is no model"};
    box.gpu->loads_wait = true;
    box.cpu->slots = 1;
    box.start({entry("a")});
    std::vector<Ear> ears;
    for (int i = 0; i < 5; ++i) {
        ears.push_back(box.ask("a"));
    }
    ASSERT_TRUE(box.gpu->wait_for_loading("a"));
    box.gpu->let_load("a");
    for (const Ear& ear : ears) {
        ASSERT_TRUE(ear.wait());
        EXPECT_FALSE(ear.error()) << ear.error()->message;
    }
    EXPECT_EQ(box.cpu->loads("a"), 1);
}

TEST(Fallback, WhatRanOnALostModelGoesOnWhenItDoesNotComeBack) {
    Box box;
    box.gpu->answers_at_once = false;
    box.start({entry("a")});
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/a"));
    const Ear ear = box.ask("a");
    ASSERT_TRUE(box.gpu->resident("a")->wait_for_running(1));
    box.gpu->spoil("a", {Fault::unavailable, "the device is gone"});
    box.gpu->lose("a", {Fault::unavailable, "it crashed"});
    ASSERT_TRUE(ear.wait());
    EXPECT_FALSE(ear.error()) << ear.error()->message;
    EXPECT_TRUE(is_on(box, "cpu", "a"));
}

TEST(Fallback, WhoWaitsForALaneThatCrashesAgainAndAgainGoesOn) {
    Box box;
    box.gpu->answers_at_once = false;
    box.gpu->slots = 1;
    box.start({entry("a")});
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/a"));
    const Ear first = box.ask("a");
    const Ear second = box.ask("a");
    ASSERT_TRUE(box.gpu->resident("a")->wait_for_running(1));
    box.gpu->lose("a", {Fault::unavailable, "it crashed"});
    // Loaded again at once: nobody leaves a lane for one crash.
    ASSERT_TRUE(becomes([&] { return is_on(box, "gpu", "a"); }));
    const auto again = box.gpu->resident("a");
    ASSERT_TRUE(again->wait_for_running(1));
    EXPECT_EQ(box.cpu->loads("a"), 0);
    EXPECT_EQ(first.ends() + second.ends(), 0);
    box.gpu->lose("a", {Fault::unavailable, "it crashed once more"});
    ASSERT_TRUE(first.wait());
    ASSERT_TRUE(second.wait());
    // Who was taken back once is not, a second time; the other goes on, whether it ran or waited.
    EXPECT_FALSE(second.error()) << second.error()->message;
    EXPECT_EQ(box.cpu->loads("a"), 1);
    EXPECT_EQ(box.gpu->loads("a"), 2) << "nobody waits for its next try";
}

TEST(Fallback, WhatACrashLoopInterruptsGoesOn) {
    Box box;
    box.gpu->answers_at_once = false;
    box.start({entry("a")});
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/a"));
    box.gpu->lose("a", {Fault::unavailable, "it crashed"});
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/a"));
    const Ear ear = box.ask("a");
    ASSERT_TRUE(box.gpu->resident("a")->wait_for_running(1));
    box.gpu->lose("a", {Fault::unavailable, "it crashed once more"});
    ASSERT_TRUE(ear.wait());
    EXPECT_FALSE(ear.error()) << ear.error()->message;
    EXPECT_EQ(box.cpu->loads("a"), 1);
}

TEST(Fallback, WithoutAnotherLaneAPauseIsToldEarlyAndItsEnd) {
    Box box;
    box.gpu->answers_at_once = false;
    box.gpu->slots = 1;
    box.options.policies["a"].lanes = {"gpu"};
    box.start({entry("a")});
    EXPECT_EQ(box.plane->next_try_in("a"), std::chrono::seconds(0));
    // The pauses are 0, 0.5, 1, 2, 4 and 8 s; what is ordered in between ends them.
    for (int crashes = 0; crashes < 5; ++crashes) {
        ASSERT_TRUE(load_and_wait(*box.plane, "a"));
        box.gpu->lose("a", {Fault::unavailable, "it crashed"});
    }
    ASSERT_TRUE(load_and_wait(*box.plane, "a"));
    const Ear running = box.ask("a");
    const Ear waiting = box.ask("a");
    ASSERT_TRUE(box.gpu->resident("a")->wait_for_running(1));
    const auto begin = std::chrono::steady_clock::now();
    box.gpu->lose("a", {Fault::unavailable, "it crashed"});
    ASSERT_TRUE(running.wait());
    ASSERT_TRUE(waiting.wait());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    for (const Ear& ear : {running, waiting}) {
        ASSERT_TRUE(ear.error());
        EXPECT_EQ(ear.error()->fault, Fault::unavailable);
        EXPECT_THAT(ear.error()->message, HasSubstr("fails again and again: it crashed (next try"));
    }
    EXPECT_GT(box.plane->next_try_in("a"), std::chrono::seconds(5));
    EXPECT_LE(box.plane->next_try_in("gpu/a"), std::chrono::seconds(8));
}

TEST(Fallback, APinAndAPreloadGoOn) {
    Box box;
    box.gpu->bad["pin"] = {Fault::corrupt, "not here"};
    box.gpu->bad["pre"] = {Fault::corrupt, "not here"};
    box.options.policies["pin"].pin = true;
    box.options.policies["pre"].preload = true;
    box.start({entry("pin"), entry("pre")});
    EXPECT_TRUE(becomes([&] { return is_pinned_on(box, "cpu", "pin"); }));
    EXPECT_TRUE(becomes([&] { return is_on(box, "cpu", "pre"); }));
}

TEST(Fallback, WhoseTimeEndsBeforeTheNextTryIsToldAtOnce) {
    Box box;
    box.options.policies["a"].lanes = {"gpu"};
    box.options.wait_max = std::chrono::milliseconds(100);
    box.start({entry("a")});
    for (int crashes = 0; crashes < 2; ++crashes) {
        ASSERT_TRUE(load_and_wait(*box.plane, "a"));
        box.gpu->lose("a", {Fault::unavailable, "it crashed"});
    }
    const Ear ear = box.ask("a");
    EXPECT_EQ(ear.ends(), 1) << "its pause is half a second";
    EXPECT_THAT(ear.error()->message, HasSubstr("fails again and again"));
}

TEST(Fallback, APinThatFellBackComesBackToItsBetterLane) {
    Box box;
    box.gpu->bad["a"] = {Fault::unavailable, "the driver is not there yet"};
    box.options.policies["a"].pin = true;
    box.start({entry("a")});
    ASSERT_TRUE(becomes([&] { return is_pinned_on(box, "cpu", "a"); }));
    box.gpu->repair("a");
    // Its pause after the failure must be over; until then the other lane is all there is.
    ASSERT_TRUE(becomes([&] {
        const View view = box.plane->view();
        const Residency* failed = find_on(view, "gpu", "a");
        return failed != nullptr && box.plane->next_try_in("gpu/a") == std::chrono::seconds(0);
    }));
    EXPECT_EQ(box.gpu->loads("a"), 0) << "what serves is left alone";
    box.cpu->lose("a", {Fault::unavailable, "it crashed"});
    EXPECT_TRUE(becomes([&] { return is_pinned_on(box, "gpu", "a"); }));
    EXPECT_TRUE(becomes([&] { return is_on(box, "gpu", "a"); }));
}

TEST(Fallback, APinMovesToItsBetterLaneWhenThatIsLoaded) {
    Box box;
    box.gpu->bad["a"] = {Fault::unavailable, "the driver is not there yet"};
    box.options.policies["a"].pin = true;
    box.start({entry("a")});
    ASSERT_TRUE(becomes([&] { return is_pinned_on(box, "cpu", "a"); }));
    box.gpu->repair("a");
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/a"));
    EXPECT_TRUE(is_pinned_on(box, "gpu", "a"));
    EXPECT_FALSE(is_pinned_on(box, "cpu", "a")) << "one of them";
    EXPECT_TRUE(is_on(box, "cpu", "a"));
}

TEST(Fallback, APinThatCrashesOnItsBestLaneComesBackThere) {
    Box box;
    box.options.policies["a"].pin = true;
    box.start({entry("a")});
    ASSERT_TRUE(becomes([&] { return is_pinned_on(box, "gpu", "a") && is_on(box, "gpu", "a"); }));
    box.gpu->lose("a", {Fault::unavailable, "it crashed"});
    EXPECT_TRUE(becomes([&] { return box.gpu->loads("a") == 2; }));
    EXPECT_EQ(box.cpu->loads("a"), 0);
}

TEST(Orders, APinIsMetByTheLaneItNames) {
    Box box;
    box.start({entry("b"), entry("thought")});
    ASSERT_TRUE(
        load(*box.plane, {.model = "b", .lane = "cpu", .context_tokens = {}, .pin = true}).wait());
    let_think(box);
    EXPECT_EQ(box.gpu->loads("b"), 0) << "once is enough";
    EXPECT_TRUE(is_pinned_on(box, "cpu", "b"));
    const Ear ear = box.ask("b");
    ASSERT_TRUE(ear.wait());
    EXPECT_EQ(box.gpu->loads("b"), 0);
}

TEST(Orders, APinThatNamesALaneMovesThere) {
    Box box;
    box.options.policies["b"].pin = true;
    box.start({entry("b")});
    ASSERT_TRUE(becomes([&] { return is_pinned_on(box, "gpu", "b"); }));
    ASSERT_TRUE(
        load(*box.plane, {.model = "b", .lane = "cpu", .context_tokens = {}, .pin = true}).wait());
    EXPECT_TRUE(is_pinned_on(box, "cpu", "b"));
    EXPECT_FALSE(is_pinned_on(box, "gpu", "b")) << "one of them";
}

TEST(Orders, APinOfTheFileIsMetByAnyLane) {
    Box box;
    give_rooms(box, 50, 50);
    box.start({entry("b", 40), entry("c", 40), entry("thought", 1)});
    ASSERT_TRUE(load_and_wait(*box.plane, "cpu/b"));
    Policies policies;
    policies["b"].pin = true;
    box.plane->set_policies(policies, {});
    let_think(box);
    EXPECT_EQ(box.gpu->loads("b"), 0);
    EXPECT_TRUE(is_pinned_on(box, "cpu", "b"));
}

TEST(Orders, SurviveANewConfiguration) {
    Box box;
    box.start({entry("a", 60), entry("b", 60)});
    ASSERT_TRUE(
        load(*box.plane, {.model = "a", .lane = "", .context_tokens = 1024, .pin = true}).wait());
    box.plane->set_policies({}, {.length_max = 7, .per_client_max = 7});
    EXPECT_EQ(box.plane->line_of("a").queued_max, 7U);
    EXPECT_TRUE(is_pinned_on(box, "gpu", "a"));
    const Ear other = box.ask("b");
    ASSERT_TRUE(other.wait());
    ASSERT_TRUE(other.error()) << "a would have had to go";
    EXPECT_TRUE(box.holds("a"));
}

TEST(Orders, EndWhereTheFileSaysSomethingNewOfTheSame) {
    Box box;
    Policies policies;
    policies["a"].pin = true;
    box.options.policies = policies;
    box.start({entry("a"), entry("b")});
    ASSERT_TRUE(becomes([&] { return is_pinned_on(box, "gpu", "a"); }));
    ASSERT_TRUE(load_and_wait(*box.plane, "a", false));
    EXPECT_FALSE(is_pinned_on(box, "gpu", "a"));
    policies["a"].keep_warm_s = 7;
    box.plane->set_policies(policies, {});
    EXPECT_FALSE(is_pinned_on(box, "gpu", "a")) << "what it says of pins is as before";
    policies["a"].pin = false;
    box.plane->set_policies(policies, {});
    policies["a"].pin = true;
    box.plane->set_policies(policies, {});
    EXPECT_TRUE(is_pinned_on(box, "gpu", "a"));
}

TEST(Orders, AnUnloadEndsAPinOfTheFileUntilTheNextLoad) {
    Box box;
    box.options.policies["a"].pin = true;
    box.start({entry("a"), entry("thought")});
    const auto stays = [&] { return is_on(box, "gpu", "a") && is_pinned_on(box, "gpu", "a"); };
    ASSERT_TRUE(becomes(stays));
    ASSERT_TRUE(box.plane->unload("a"));
    let_think(box);
    EXPECT_EQ(box.gpu->loads("a"), 1) << "it does not come back by itself";
    const Ear ear = box.ask("a");
    ASSERT_TRUE(ear.wait());
    EXPECT_FALSE(ear.error());
    EXPECT_TRUE(becomes(stays)) << "as the file says";
    ASSERT_TRUE(box.plane->unload("a"));
    ASSERT_TRUE(load_and_wait(*box.plane, "a"));
    EXPECT_TRUE(stays()) << "whoever loads it";
    EXPECT_EQ(box.gpu->loads("a"), 3);
}

TEST(Orders, AnUnloadEndsWhatWasSaidOfAPin) {
    Box box;
    box.options.policies["a"].pin = true;
    box.start({entry("a")});
    ASSERT_TRUE(becomes([&] { return is_pinned_on(box, "gpu", "a"); }));
    ASSERT_TRUE(load_and_wait(*box.plane, "a", false));
    ASSERT_TRUE(box.plane->unload("a"));
    ASSERT_TRUE(load_and_wait(*box.plane, "a"));
    EXPECT_TRUE(is_pinned_on(box, "gpu", "a")) << "the file's word counts again";
}

TEST(Orders, AnotherContextIsLoadedAgain) {
    Box box;
    box.gpu->answers_at_once = false;
    box.start({entry("a")});
    ASSERT_TRUE(load_and_wait(*box.plane, "a"));
    EXPECT_EQ(find_on(box.plane->view(), "gpu", "a")->context_tokens, 4096U);
    const Ear running = box.ask("a");
    const auto first = box.gpu->resident("a");
    ASSERT_TRUE(first->wait_for_running(1));
    const News news =
        load(*box.plane, {.model = "a", .lane = "", .context_tokens = 1024, .pin = {}});
    ASSERT_TRUE(becomes(
        [&] { return find_on(box.plane->view(), "gpu", "a")->state == lane::State::draining; }));
    const Ear waiting = box.ask("a");
    EXPECT_FALSE(news.come()) << "what runs ends first";
    first->answer_next();
    ASSERT_TRUE(running.wait());
    EXPECT_FALSE(running.error());
    ASSERT_TRUE(news.wait());
    EXPECT_EQ(find_on(box.plane->view(), "gpu", "a")->context_tokens, 1024U);
    EXPECT_EQ(box.gpu->loads("a"), 2);
    const auto second = box.gpu->resident("a");
    ASSERT_TRUE(second->wait_for_running(1));
    second->answer_next();
    ASSERT_TRUE(waiting.wait());
    EXPECT_FALSE(waiting.error()) << "who asked meanwhile is none the wiser";
    ASSERT_TRUE(
        load(*box.plane, {.model = "a", .lane = "", .context_tokens = 1024, .pin = {}}).wait());
    EXPECT_EQ(box.gpu->loads("a"), 2) << "as it is already";
}

TEST(Orders, AnUnloadEndsWhatWasSaidOfTheContext) {
    Box box;
    box.start({entry("a")});
    const auto context_on = [&](std::string_view lane) {
        return find_on(box.plane->view(), lane, "a")->context_tokens;
    };
    for (const char* lane : {"gpu", "cpu"}) {
        ASSERT_TRUE(
            load(*box.plane, {.model = "a", .lane = lane, .context_tokens = 1024, .pin = {}})
                .wait());
    }
    ASSERT_TRUE(box.plane->unload("gpu/a"));
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/a"));
    EXPECT_EQ(context_on("gpu"), 1024U) << "what is still loaded elsewhere stays as asked for";
    ASSERT_TRUE(box.plane->unload("a"));
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/a"));
    EXPECT_EQ(context_on("gpu"), 4096U);
}

TEST(Orders, AnotherContextDuringALoadBeginsItAnew) {
    Box box;
    box.gpu->loads_wait = true;
    box.start({entry("a")});
    const Ear ear = box.ask("a");
    const News plain =
        load(*box.plane, {.model = "a", .lane = "", .context_tokens = {}, .pin = {}});
    ASSERT_TRUE(box.gpu->wait_for_loading("a"));
    const News news =
        load(*box.plane, {.model = "a", .lane = "", .context_tokens = 1024, .pin = {}});
    ASSERT_TRUE(becomes([&] {
        const View view = box.plane->view();
        const Residency* one = find_on(view, "gpu", "a");
        return one != nullptr && one->context_tokens == 1024;
    }));
    box.gpu->let_load("a");
    EXPECT_TRUE(news.wait());
    EXPECT_TRUE(plain.wait());
    ASSERT_TRUE(ear.wait());
    EXPECT_FALSE(ear.error());
    EXPECT_EQ(box.gpu->loads("a"), 1);
}

TEST(Orders, AContextIsCutToWhatTheModelWasMadeFor) {
    Box box;
    catalog::Entry small = entry("small");
    small.context_tokens = 1024;
    catalog::Entry stretched = small;
    stretched.id = "stretched";
    box.options.policies["stretched"].wishes.context_tokens = 2048;
    box.start({small, stretched, entry("unknown")});
    const auto context_of = [&](const char* model) {
        EXPECT_TRUE(
            load(*box.plane, {.model = model, .lane = "", .context_tokens = 99'999, .pin = {}})
                .wait());
        return find_on(box.plane->view(), "gpu", model)->context_tokens;
    };
    EXPECT_EQ(context_of("small"), 1024U);
    EXPECT_EQ(context_of("small"), 1024U);
    EXPECT_EQ(box.gpu->loads("small"), 1) << "it is as it can be";
    EXPECT_EQ(context_of("stretched"), 2048U) << "its owner says that it can do that";
    EXPECT_EQ(context_of("unknown"), 99'999U);
}

TEST(Orders, AContextThatDoesNotFitLeavesWhatIsLoaded) {
    Box box(10'000);
    box.gpu->bytes_per_token = box.cpu->bytes_per_token = 1;
    box.start({entry("a")});
    ASSERT_TRUE(load_and_wait(*box.plane, "a"));
    const std::uint32_t before = find_on(box.plane->view(), "gpu", "a")->context_tokens;
    const Status refused =
        load(*box.plane, {.model = "a", .lane = "", .context_tokens = 1'000'000, .pin = true})
            .wait();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().fault, Fault::invalid);
    EXPECT_TRUE(is_on(box, "gpu", "a"));
    EXPECT_FALSE(is_pinned_on(box, "gpu", "a")) << "nothing of what was refused stays";
    ASSERT_TRUE(box.plane->unload("a"));
    const Ear ear = box.ask("a");
    ASSERT_TRUE(ear.wait());
    EXPECT_FALSE(ear.error()) << ear.error()->message;
    EXPECT_EQ(find_on(box.plane->view(), "gpu", "a")->context_tokens, before);
}

TEST(Orders, DoNotReadTheCatalogue) {
    Box box;
    std::atomic<int> read = 0;
    box.start({entry("a")});
    box.plane->stop(0);
    box.options.catalogue = [&read] {
        read += 1;
        return std::vector{entry("a")};
    };
    Plane plane(box.options, {box.gpu, box.cpu});
    EXPECT_EQ(read, 1);
    ASSERT_TRUE(load_and_wait(plane, "a", true));
    ASSERT_TRUE(plane.unload("a"));
    plane.set_policies({}, {});
    EXPECT_EQ(read, 1) << "callers of these must not wait for files";
}

TEST(Catalogue, AnOlderReadingDoesNotFollowANewer) {
    Box box;
    std::atomic<int> reading = 0;
    std::atomic<bool> patient = true;
    box.options.catalogue = [&] {
        const int number = ++reading;
        if (number == 2) {
            std::vector old{entry("a")};
            const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
            while (patient && std::chrono::steady_clock::now() < end) {
                std::this_thread::yield();
            }
            return old;
        }
        return number < 2 ? std::vector{entry("a")} : std::vector{entry("a"), entry("b")};
    };
    Plane plane(box.options, {box.gpu, box.cpu});
    std::thread slow([&] { plane.catalogue_changed(); });
    ASSERT_TRUE(becomes([&] { return reading >= 2; }));
    std::thread fast([&] {
        plane.catalogue_changed();
        patient = false;
    });
    slow.join();
    fast.join();
    EXPECT_TRUE(plane.find("b"));
}

/// Starts the plane with what `listed` says each time the catalogue is read.
void start_with(Box& box, std::function<std::vector<catalog::Entry>()> listed) {
    box.options.catalogue = std::move(listed);
    box.plane = std::make_unique<Plane>(box.options,
                                        std::vector<std::shared_ptr<lane::Lane>>{box.gpu, box.cpu});
}

TEST(Catalogue, WhatIsDeletedGoesOnceItsAnswersHaveEnded) {
    const std::string disk = testing::TempDir() + "deleted_while_loaded";
    std::filesystem::remove_all(disk);
    std::filesystem::remove_all(disk + "_away");
    std::filesystem::create_directories(disk + "/models");
    const std::string path = disk + "/models/a.gguf";
    std::ofstream(path) << "a model";
    catalog::Entry stored = entry("a");
    stored.path = path;
    std::atomic<bool> listed = true;
    Box box;
    box.gpu->answers_at_once = false;
    start_with(box, [&] { return listed ? std::vector{stored} : std::vector<catalog::Entry>{}; });
    ASSERT_TRUE(load_and_wait(*box.plane, "a", true));
    const Ear running = box.ask("a");
    const auto resident = box.gpu->resident("a");
    ASSERT_TRUE(resident->wait_for_running(1));
    const auto state = [&] { return find_on(box.plane->view(), "gpu", "a")->state; };
    listed = false;
    box.plane->catalogue_changed();
    EXPECT_EQ(state(), lane::State::serving) << "its folder could not be read; the file is there";
    EXPECT_TRUE(is_pinned_on(box, "gpu", "a"));
    std::filesystem::rename(disk, disk + "_away");
    box.plane->catalogue_changed();
    EXPECT_EQ(state(), lane::State::serving) << "the whole disk is away";
    std::filesystem::rename(disk + "_away", disk);
    std::filesystem::remove(path);
    box.plane->catalogue_changed();
    EXPECT_EQ(state(), lane::State::draining);
    resident->answer_next();
    ASSERT_TRUE(running.wait());
    EXPECT_FALSE(running.error());
    EXPECT_TRUE(becomes([&] { return find_on(box.plane->view(), "gpu", "a") == nullptr; }));
    EXPECT_THAT(box.logged("deleted"), HasSubstr("gpu: a is unloaded"));
    std::ofstream(path) << "a model";
    listed = true;
    box.plane->catalogue_changed();
    ASSERT_TRUE(load_and_wait(*box.plane, "a"));
    EXPECT_FALSE(is_pinned_on(box, "gpu", "a")) << "its pin went with it";
    std::filesystem::remove_all(disk);
}

TEST(Catalogue, WhatIsLoadedIsUnloadedByItsNameThoughNothingListsIt) {
    std::atomic<bool> listed = true;
    Box box;
    start_with(box, [&] {
        return listed ? std::vector{entry("a"), entry("b")} : std::vector{entry("b")};
    });
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/a"));
    ASSERT_TRUE(load_and_wait(*box.plane, "cpu/a"));
    listed = false;
    box.plane->catalogue_changed();
    EXPECT_TRUE(is_on(box, "gpu", "a"));
    EXPECT_TRUE(box.plane->unload("cpu/a"));
    EXPECT_TRUE(becomes([&] { return find_on(box.plane->view(), "cpu", "a") == nullptr; }));
    EXPECT_TRUE(is_on(box, "gpu", "a"));
    EXPECT_TRUE(box.plane->unload("a"));
    EXPECT_TRUE(becomes([&] { return find_on(box.plane->view(), "gpu", "a") == nullptr; }));
    EXPECT_EQ(box.plane->unload("a").error().fault, Fault::not_found);
}

TEST(Ends, StoppingAnswersLoadsThatWaitForRoom) {
    Box box(100);
    box.gpu->answers_at_once = false;
    box.start({entry("a", 80), entry("b", 80)});
    const Ear running = box.ask("gpu/a");
    ASSERT_TRUE(box.gpu->resident("a")->wait_for_running(1));
    const News news =
        load(*box.plane, {.model = "gpu/b", .lane = "", .context_tokens = {}, .pin = {}});
    EXPECT_FALSE(news.come());
    box.plane->stop(0);
    ASSERT_TRUE(news.come());
    EXPECT_EQ(news.wait().error().fault, Fault::unavailable);
    EXPECT_THAT(news.wait().error().message, HasSubstr("stopping"));
    const News late = load(*box.plane, {.model = "a", .lane = "", .context_tokens = {}, .pin = {}});
    ASSERT_TRUE(late.come());
    EXPECT_THAT(late.wait().error().message, HasSubstr("stopping"));
}

TEST(Ends, StoppingAnswersLoadsThatWaitForAnUnload) {
    Box box(100);
    box.gpu->stop_gate = std::make_shared<Gate>();
    box.start({entry("a", 80), entry("b", 80)});
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/a"));
    const News news =
        load(*box.plane, {.model = "gpu/b", .lane = "", .context_tokens = {}, .pin = {}});
    ASSERT_TRUE(becomes([&] { return find_on(box.plane->view(), "gpu", "b") != nullptr; }));
    std::thread stopping([&] { box.plane->stop(0); });
    EXPECT_THAT(news.wait().error().message, HasSubstr("stopping"));
    box.gpu->stop_gate->open();
    stopping.join();
}

TEST(Ends, UnloadingDuringALoadTellsWhoWaits) {
    Box box;
    box.gpu->loads_wait = true;
    box.start({entry("a")});
    const Ear ear = box.ask("a");
    const News news = load(*box.plane, {.model = "a", .lane = "", .context_tokens = {}, .pin = {}});
    ASSERT_TRUE(box.gpu->wait_for_loading("a"));
    ASSERT_TRUE(box.plane->unload("a"));
    ASSERT_TRUE(ear.wait());
    ASSERT_TRUE(ear.error());
    EXPECT_EQ(ear.error()->fault, Fault::unavailable);
    EXPECT_THAT(ear.error()->message, HasSubstr("unloaded"));
    EXPECT_EQ(news.wait().error().fault, Fault::cancelled);
    ASSERT_TRUE(becomes([&] { return find_on(box.plane->view(), "gpu", "a") == nullptr; }));
    EXPECT_EQ(box.gpu->loads("a") + box.cpu->loads("a"), 0) << "nor is it loaded again";
}

TEST(Ends, ALoadThatNobodyWantsAnyMoreHasNotFailed) {
    Box box;
    box.gpu->loads_wait = true;
    box.start({entry("a")});
    const News news = load(*box.plane, {.model = "a", .lane = "", .context_tokens = {}, .pin = {}});
    ASSERT_TRUE(box.gpu->wait_for_loading("a"));
    ASSERT_TRUE(box.plane->unload("a"));
    EXPECT_EQ(news.wait().error().fault, Fault::cancelled);
    ASSERT_TRUE(becomes([&] { return !box.logged("a is loaded no further").empty(); }));
    EXPECT_EQ(box.plane->view().lanes[0].load_failures_total, 0U);
    const Ear ear = box.ask("a");
    ASSERT_TRUE(box.gpu->wait_for_loading("a"));
    box.plane->stop(0);
    EXPECT_EQ(box.plane->view().lanes[0].load_failures_total, 0U);
}

TEST(Ends, UnloadingWhatOnlyWaitsTellsWhoWaits) {
    Box box(100);
    box.gpu->answers_at_once = false;
    box.start({entry("a", 80), entry("b", 80)});
    const Ear running = box.ask("gpu/a");
    ASSERT_TRUE(box.gpu->resident("a")->wait_for_running(1));
    const Ear ear = box.ask("gpu/b");
    const News news =
        load(*box.plane, {.model = "gpu/b", .lane = "", .context_tokens = {}, .pin = {}});
    ASSERT_TRUE(box.plane->unload("b"));
    ASSERT_TRUE(ear.wait());
    EXPECT_EQ(news.wait().error().fault, Fault::cancelled);
    EXPECT_EQ(running.ends(), 0);
    EXPECT_EQ(box.plane->unload("b").error().fault, Fault::not_found);
}

TEST(Ends, WhatDiesHoldsItsRoomUntilItIsGone) {
    Box box(100);
    box.gpu->stop_gate = std::make_shared<Gate>();
    box.start({entry("a", 40), entry("b", 90)});
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/a"));
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/a"));
    box.gpu->lose("a", {Fault::unavailable, "it hangs"});
    EXPECT_EQ(box.plane->view().pools[0].planned_bytes, 40U);
    ASSERT_TRUE(box.plane->unload("a"));
    EXPECT_EQ(box.plane->view().pools[0].planned_bytes, 40U) << "its child is still there";
    const Ear ear = box.ask("gpu/b");
    EXPECT_EQ(box.gpu->loads("b"), 0);
    box.gpu->stop_gate->open();
    ASSERT_TRUE(ear.wait());
    EXPECT_FALSE(ear.error());
    EXPECT_EQ(box.gpu->loads("a"), 1);
    EXPECT_EQ(find_on(box.plane->view(), "gpu", "a"), nullptr);
}

TEST(Ends, FiguresAreTakenWithoutTheLock) {
    Box box;
    std::atomic<bool> stuck = false;
    std::vector<std::thread> lookers;
    std::mutex mutex;
    Plane* plane = nullptr;
    box.gpu->on_snapshot = [&] {
        const auto looked = std::make_shared<Gate>();
        const std::scoped_lock lock(mutex);
        lookers.emplace_back([&, looked] {
            static_cast<void>(plane->line_of("a"));
            looked->open();
        });
        stuck = stuck || !looked->wait_for(std::chrono::seconds(2));
    };
    box.start({entry("a")});
    plane = box.plane.get();
    ASSERT_TRUE(box.ask("a").wait());
    ASSERT_TRUE(box.plane->unload("a"));
    ASSERT_TRUE(becomes([&] { return !box.logged("a is unloaded").empty(); }));
    ASSERT_TRUE(box.ask("a").wait());
    box.plane->stop(0);
    {
        const std::scoped_lock lock(mutex);
        for (std::thread& looker : lookers) {
            looker.join();
        }
    }
    EXPECT_FALSE(stuck);
    EXPECT_EQ(box.plane->view().lanes[0].requests_total, 2U) << "and none is forgotten";
}

TEST(Ends, ADeadlineInLineIsATimeout) {
    Box box;
    box.gpu->loads_wait = true;
    box.start({entry("a")});
    Ear ear;
    job::Request request;
    request.model = "a";
    request.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
    box.plane->submit(std::move(request), ear.sink(), {});
    ASSERT_TRUE(ear.wait());
    EXPECT_EQ(ear.error()->fault, Fault::timeout);
    EXPECT_THAT(ear.error()->message, HasSubstr(" ms, as it asks for"));
    box.gpu->let_load("a");
}

TEST(Machine, TakesNoStepThatItDoesNotHave) {
    using lane::LoadPhase;
    Box box;
    box.expects_bugs = true;
    box.gpu->phases = {LoadPhase::starting, LoadPhase::warming, LoadPhase::starting};
    box.gpu->loads_wait = true;
    box.start({entry("a")});
    const Ear ear = box.ask("a");
    ASSERT_TRUE(box.gpu->wait_for_loading("a"));
    EXPECT_EQ(find_on(box.plane->view(), "gpu", "a")->state, lane::State::warming);
    EXPECT_THAT(box.logged("bug:"), HasSubstr("gpu/a cannot go from warming to starting"));
    box.gpu->let_load("a");
    ASSERT_TRUE(ear.wait());
    EXPECT_FALSE(ear.error());
}

TEST(Machine, LanesThatTryNothingOutAreReadyAtOnce) {
    Box box;  // whose destructor looks for bugs in the log
    box.start({entry("a")});
    ASSERT_TRUE(load_and_wait(*box.plane, "a"));
    EXPECT_TRUE(is_on(box, "gpu", "a"));
    EXPECT_GT(find_on(box.plane->view(), "gpu", "a")->since_unix_ms, 0);
}

}  // namespace
}  // namespace trilane::plane
