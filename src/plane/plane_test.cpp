#include "plane/plane.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <random>
#include <thread>

#include "plane/plane_rig.h"

namespace trilane::plane {
namespace {

TEST(Plane, LoadsWhatIsAskedFor) {
    Box box;
    box.start({entry("a")});
    const Ear ear = box.ask("a");
    ASSERT_TRUE(ear.wait());
    EXPECT_FALSE(ear.error());
    EXPECT_EQ(ear.text(), "a");
    EXPECT_EQ(box.gpu->loads("a"), 1);
    EXPECT_EQ(box.plane->find("a")->context_tokens, 4711U) << "what the resident says of itself";
}

TEST(Plane, LoadsOnlyOnLanesThatAreAllowed) {
    Box box;
    box.start({entry("a")});
    const auto load = [&](Service::LoadAsk ask) {
        std::promise<Status> done;
        box.plane->load(std::move(ask), [&](Status status) { done.set_value(std::move(status)); });
        return done.get_future().get();
    };
    Service::LoadAsk ask;
    ask.model = "a";
    ask.lanes = {"cp*"};
    ASSERT_TRUE(load(ask)) << "the best lane is not allowed, another is";
    EXPECT_EQ(box.cpu->loads("a"), 1);
    EXPECT_EQ(box.gpu->loads("a"), 0);
    for (const char* name : {"gpu/a", "a"}) {
        ask.model = name;
        ask.lanes = {name[0] == 'g' ? "cpu" : "npu"};
        const Status refused = load(ask);
        ASSERT_FALSE(refused) << name;
        EXPECT_EQ(refused.error().fault, Fault::invalid);
    }
    EXPECT_EQ(box.gpu->loads("a"), 0);
}

TEST(Plane, OneLoadForAllWhoWait) {
    Box box;
    box.gpu->loads_wait = true;
    box.start({entry("a")});
    std::vector<Ear> ears;
    for (int i = 0; i < 5; ++i) {
        ears.push_back(box.ask("a"));
    }
    ASSERT_TRUE(box.gpu->wait_for_loading("a"));
    const View view = box.plane->view();
    EXPECT_EQ(box.find(view, "a")->state, lane::State::starting);
    EXPECT_EQ(box.find(view, "a")->waiting, 5U);
    box.gpu->let_load("a");
    for (const Ear& ear : ears) {
        ASSERT_TRUE(ear.wait());
        EXPECT_EQ(ear.text(), "a");
    }
    EXPECT_EQ(box.gpu->loads("a"), 1);
}

TEST(Plane, AWarmModelAnswersWhileAnotherLoads) {
    Box box;
    box.gpu->loads_wait = true;
    box.gpu->let_load("warm");
    box.start({entry("warm"), entry("cold")});
    ASSERT_TRUE(box.ask("warm").wait());
    const Ear cold = box.ask("cold");
    ASSERT_TRUE(box.gpu->wait_for_loading("cold"));
    for (int i = 0; i < 100; ++i) {
        const Ear ear = box.ask("warm");
        EXPECT_EQ(ear.ends(), 1) << "at once, on the asking thread";
    }
    EXPECT_EQ(cold.ends(), 0);
    box.gpu->let_load("cold");
    EXPECT_TRUE(cold.wait());
}

TEST(Plane, NeverMoreThanTheSlots) {
    Box box;
    box.gpu->answers_at_once = false;
    box.gpu->slots = 3;
    box.start({entry("a")});
    std::vector<Ear> ears;
    for (int i = 0; i < 20; ++i) {
        ears.push_back(box.ask("a"));
    }
    const auto resident = box.gpu->resident("a");
    ASSERT_TRUE(resident->wait_for_running(3));
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(resident->wait_for_running(1));
        resident->answer_next();
    }
    for (const Ear& ear : ears) {
        ASSERT_TRUE(ear.wait());
        EXPECT_FALSE(ear.error());
    }
    EXPECT_EQ(resident->most_at_once(), 3U);
}

TEST(Plane, EvictsOnlyAsMuchAsIsNeeded) {
    Box box(100);
    box.start({entry("a", 40), entry("b", 40), entry("c", 30)});
    ASSERT_TRUE(load_and_wait(*box.plane, "a"));
    ASSERT_TRUE(load_and_wait(*box.plane, "b"));
    ASSERT_TRUE(load_and_wait(*box.plane, "c"));
    EXPECT_FALSE(box.holds("a")) << "used longest ago";
    EXPECT_TRUE(box.holds("b"));
    EXPECT_TRUE(box.holds("c"));
    EXPECT_EQ(box.plane->view().lanes[0].evictions_total, 1U);
}

TEST(Plane, AFailingLoadLeavesThePinnedOnes) {
    Box box(100);
    box.gpu->bad["c"] = box.cpu->bad["c"] = {Fault::corrupt, "it is no model"};
    box.start({entry("a", 40), entry("b", 40), entry("c", 10), entry("huge", 1000)});
    ASSERT_TRUE(load_and_wait(*box.plane, "a", true));
    ASSERT_TRUE(load_and_wait(*box.plane, "b", true));
    const Ear bad = box.ask("c");
    ASSERT_TRUE(bad.wait());
    EXPECT_EQ(bad.error()->fault, Fault::corrupt);
    EXPECT_NE(bad.error()->message.find("it is no model"), std::string::npos);
    const Ear huge = box.ask("huge");
    ASSERT_TRUE(huge.wait());
    EXPECT_EQ(huge.error()->fault, Fault::unavailable) << "what it asks for is in order";
    EXPECT_TRUE(box.holds("a"));
    EXPECT_TRUE(box.holds("b"));
}

TEST(Plane, WhatIsPinnedKeepsOthersOut) {
    Box box(100);
    box.start({entry("a", 80), entry("b", 40)});
    ASSERT_TRUE(load_and_wait(*box.plane, "a", true));
    const Ear ear = box.ask("b");
    ASSERT_TRUE(ear.wait());
    EXPECT_EQ(ear.error()->fault, Fault::unavailable);
    EXPECT_NE(ear.error()->message.find("pinned"), std::string::npos);
    EXPECT_TRUE(box.holds("a"));
}

TEST(Plane, ALeaseCannotBeEvicted) {
    Box box(100);
    box.gpu->answers_at_once = false;
    box.start({entry("a", 80), entry("b", 80)});
    const Ear first = box.ask("a");
    const auto resident = box.gpu->resident("a");
    ASSERT_TRUE(resident->wait_for_running(1));
    const Ear second = box.ask("b");
    EXPECT_FALSE(resident->stopped());
    EXPECT_EQ(first.ends(), 0);
    resident->answer_next();
    ASSERT_TRUE(first.wait());
    EXPECT_FALSE(first.error());
    const auto other = box.gpu->resident("b");
    ASSERT_TRUE(other->wait_for_running(1));
    EXPECT_TRUE(resident->stopped());
    other->answer_next();
    ASSERT_TRUE(second.wait());
    EXPECT_EQ(second.text(), "b");
}

TEST(Plane, TwoClientsOnTwoModelsWithRoomForOne) {
    Box box(100);
    box.start({entry("a", 80), entry("b", 80)});
    std::atomic<int> good = 0;
    const auto client = [&](const std::string& model) {
        for (int i = 0; i < 10; ++i) {
            const Ear ear = box.ask(model, model);
            good += ear.wait() && !ear.error() && ear.text() == model ? 1 : 0;
        }
    };
    std::thread one(client, "a");
    std::thread two(client, "b");
    one.join();
    two.join();
    EXPECT_EQ(good, 20);
    EXPECT_LE(box.gpu->loads("a") + box.gpu->loads("b"), 4) << "they take turns in batches";
}

TEST(Plane, ALineHasAnEnd) {
    Box box;
    box.gpu->answers_at_once = false;
    box.gpu->slots = 1;
    box.options.line.length_max = 2;
    box.start({entry("a")});
    std::vector<Ear> ears;
    ears.push_back(box.ask("a"));
    const auto resident = box.gpu->resident("a");
    ASSERT_TRUE(resident->wait_for_running(1));
    ears.push_back(box.ask("a"));
    ears.push_back(box.ask("a"));
    const Ear refused = box.ask("a");
    ASSERT_TRUE(refused.wait());
    EXPECT_EQ(refused.error()->fault, Fault::exhausted);
    EXPECT_EQ(box.plane->line_of("a").queued, 2U);
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(resident->wait_for_running(1));
        resident->answer_next();
    }
    for (const Ear& ear : ears) {
        EXPECT_TRUE(ear.wait());
    }
}

TEST(Plane, TheCancelledLeaveTheLineAndTheSlot) {
    Box box;
    box.gpu->answers_at_once = false;
    box.gpu->slots = 1;
    box.start({entry("a")});
    const CancelToken cancel_running;
    const CancelToken cancel_waiting;
    const Ear running = box.ask("a", "", cancel_running);
    const auto resident = box.gpu->resident("a");
    ASSERT_TRUE(resident->wait_for_running(1));
    const Ear waiting = box.ask("a", "", cancel_waiting);
    cancel_waiting.cancel();
    box.plane->notice_cancel();
    EXPECT_EQ(waiting.error()->fault, Fault::cancelled);
    EXPECT_EQ(running.ends(), 0);
    cancel_running.cancel();
    box.plane->notice_cancel();
    EXPECT_EQ(running.error()->fault, Fault::cancelled);
    const Ear next = box.ask("a");
    ASSERT_TRUE(resident->wait_for_running(1));
    resident->answer_next();
    EXPECT_TRUE(next.wait());
}

TEST(Plane, WaitsEndAtTheirDeadline) {
    Box box;
    box.gpu->loads_wait = true;
    box.options.wait_max = std::chrono::milliseconds(30);
    box.start({entry("a")});
    const Ear ear = box.ask("a");
    ASSERT_TRUE(ear.wait());
    EXPECT_EQ(ear.error()->fault, Fault::unavailable);
    box.gpu->let_load("a");
}

TEST(Plane, ALostModelIsLoadedAgainForWhoHadNotBegun) {
    Box box;
    box.gpu->answers_at_once = false;
    box.start({entry("a")});
    const Ear ear = box.ask("a");
    ASSERT_TRUE(box.gpu->resident("a")->wait_for_running(1));
    box.gpu->lose("a", {Fault::unavailable, "it was killed by signal 9 (SIGKILL)"});
    const auto again = box.gpu->resident("a");
    ASSERT_TRUE(again->wait_for_running(1));
    again->answer_next();
    ASSERT_TRUE(ear.wait());
    EXPECT_FALSE(ear.error());
    EXPECT_EQ(ear.ends(), 1);
    EXPECT_EQ(box.plane->view().lanes[0].lost_total, 1U);
}

TEST(Plane, OneThatAnsweredWellIsNoCrashLoop) {
    Box box;
    box.start({entry("a")});
    for (int crash = 0; crash < 4; ++crash) {
        for (int i = 0; i < 10; ++i) {
            const Ear ear = box.ask("gpu/a");
            ASSERT_TRUE(ear.wait());
            ASSERT_FALSE(ear.error()) << ear.error()->message;
        }
        box.gpu->lose("a", {Fault::unavailable, "it crashed"});
        const View view = box.plane->view();
        const Residency* one = box.find(view, "a");
        ASSERT_TRUE(one == nullptr || one->failures <= 1);
    }
}

TEST(Plane, CrashesInARowAreCounted) {
    Box box;
    box.start({entry("a")});
    ASSERT_TRUE(load_and_wait(*box.plane, "gpu/a"));
    box.gpu->lose("a", {Fault::unavailable, "it crashed"});
    ASSERT_TRUE(box.ask("gpu/a").wait()) << "the first time it is loaded again at once";
    box.gpu->lose("a", {Fault::unavailable, "it crashed"});
    const View view = box.plane->view();
    ASSERT_NE(box.find(view, "a"), nullptr);
    EXPECT_EQ(box.find(view, "a")->state, lane::State::failed) << "then after a pause";
    EXPECT_EQ(box.find(view, "a")->failures, 2U);
}

TEST(Plane, WhatFailsBeforeItBeginsRunsOnceMore) {
    Box box;
    box.gpu->answers_at_once = false;
    box.start({entry("a")});
    const Ear ear = box.ask("a");
    const auto resident = box.gpu->resident("a");
    ASSERT_TRUE(resident->wait_for_running(1));
    resident->fail_all({Fault::unavailable, "the connection was closed"});
    ASSERT_TRUE(resident->wait_for_running(1)) << "the model is well: it has it again";
    resident->fail_all({Fault::unavailable, "and again"});
    ASSERT_TRUE(ear.wait());
    EXPECT_EQ(ear.error()->message, "and again");
    EXPECT_EQ(ear.ends(), 1);
}

TEST(Plane, AFailedLoadWaitsBeforeTheNextTry) {
    Box box;
    box.gpu->bad["a"] = {Fault::unavailable, "the port is taken"};
    box.start({entry("a")});
    ASSERT_TRUE(box.ask("a").wait());
    box.gpu->repair("a");
    const Ear early = box.ask("gpu/a");
    ASSERT_TRUE(early.wait());
    ASSERT_TRUE(early.error());
    EXPECT_NE(early.error()->message.find("the port is taken (next try in"), std::string::npos);
    const View view = box.plane->view();
    EXPECT_EQ(box.find(view, "a")->state, lane::State::failed);
    EXPECT_EQ(box.find(view, "a")->failures, 1U);
    const Ear elsewhere = box.ask("a");
    ASSERT_TRUE(elsewhere.wait());
    EXPECT_FALSE(elsewhere.error()) << "the other lane can";
}

TEST(Plane, UnloadsAndForgets) {
    Box box;
    box.start({entry("a")});
    ASSERT_TRUE(load_and_wait(*box.plane, "a"));
    const auto resident = box.gpu->resident("a");
    ASSERT_TRUE(box.plane->unload("a"));
    EXPECT_EQ(box.plane->unload("nothing").error().fault, Fault::not_found);
    ASSERT_TRUE(box.ask("a").wait()) << "asked for again, it is loaded again";
    EXPECT_TRUE(resident->stopped());
    EXPECT_EQ(box.gpu->loads("a"), 2);
}

TEST(Plane, ALaneThatIsNotThereLoadsNothing) {
    Box box;
    box.start({entry("a")});
    std::optional<Status> told;
    box.plane->load({.model = "a", .lane = "tpu", .context_tokens = {}, .pin = {}},
                    [&](Status status) { told = std::move(status); });
    ASSERT_TRUE(told) << "at once";
    EXPECT_EQ(told->error().fault, Fault::not_found);
    EXPECT_NE(told->error().message.find("gpu, cpu"), std::string::npos);
    EXPECT_EQ(box.gpu->loads("a") + box.cpu->loads("a"), 0);
}

TEST(Plane, LoadingWhatIsLoadedIsDoneAtOnce) {
    Box box;
    box.start({entry("a")});
    ASSERT_TRUE(load_and_wait(*box.plane, "a", false));
    ASSERT_TRUE(load_and_wait(*box.plane, "a", false));
    EXPECT_EQ(box.gpu->loads("a"), 1);
}

TEST(Plane, AClientSaysHowLongAModelStays) {
    Box box;
    box.options.policies["*"].keep_warm_s = 3600;
    box.start({entry("a"), entry("b")});
    EXPECT_EQ(box.plane->keep("a", std::chrono::seconds(5)).error().fault, Fault::not_found);
    ASSERT_TRUE(box.ask("a").wait());
    const auto expires = [&] { return box.find(box.plane->view(), "a")->expires_unix_ms; };
    const std::int64_t by_policy = expires();
    EXPECT_GT(by_policy, 0);
    ASSERT_TRUE(box.plane->keep("a", std::chrono::hours(2)));
    EXPECT_GT(expires(), by_policy + 3'000'000);
    ASSERT_TRUE(box.plane->keep("a:latest", std::nullopt));
    EXPECT_EQ(expires(), 0);
    ASSERT_TRUE(box.plane->keep("a", std::chrono::milliseconds(0)));
    const auto end = std::chrono::steady_clock::now() + kTestPatience;
    while (box.holds("a") && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
    }
    EXPECT_FALSE(box.holds("a"));
}

TEST(Plane, UnloadingUnpins) {
    Box box;
    box.start({entry("a")});
    ASSERT_TRUE(load_and_wait(*box.plane, "a", true));
    ASSERT_TRUE(box.plane->unload("a"));
    ASSERT_TRUE(load_and_wait(*box.plane, "cpu/a")) << "gives the plane time to think";
    EXPECT_EQ(box.gpu->loads("a"), 1) << "it does not come back by itself";
}

TEST(Plane, LanesHaveAMostOfResidents) {
    Box box;
    box.gpu->most_residents = 1;
    box.start({entry("a"), entry("b")});
    ASSERT_TRUE(load_and_wait(*box.plane, "a"));
    ASSERT_TRUE(load_and_wait(*box.plane, "b"));
    EXPECT_FALSE(box.holds("a"));
    EXPECT_TRUE(load_and_wait(*box.plane, "cpu/a")) << "the other lane has room";
    EXPECT_TRUE(box.holds("b"));
    EXPECT_TRUE(box.holds("a"));
}

TEST(Plane, PreloadsAndPinsAtTheStart) {
    Box box;
    box.options.policies["a"].preload = true;
    box.options.policies["b"].pin = true;
    box.start({entry("a"), entry("b")});
    EXPECT_NE(box.gpu->resident("a"), nullptr);
    EXPECT_NE(box.gpu->resident("b"), nullptr);
}

TEST(Plane, StopEndsEverything) {
    Box box;
    box.gpu->answers_at_once = false;
    box.gpu->slots = 1;
    box.start({entry("a"), entry("b")});
    const Ear running = box.ask("a");
    ASSERT_TRUE(box.gpu->resident("a")->wait_for_running(1));
    const Ear waiting = box.ask("a");
    box.plane->stop(0);
    EXPECT_EQ(running.error()->fault, Fault::unavailable);
    EXPECT_EQ(waiting.error()->fault, Fault::unavailable);
    const Ear late = box.ask("a");
    EXPECT_EQ(late.error()->fault, Fault::unavailable);
    EXPECT_TRUE(box.plane->view().lanes[0].residents.empty());
}

/// Asks so often, one after the other.
void ask_often(const Box& box, const std::string& model, std::uint32_t times) {
    for (std::uint32_t i = 0; i < times; ++i) {
        const Ear ear = box.ask(model);
        ASSERT_TRUE(ear.wait());
        ASSERT_FALSE(ear.error()) << ear.error()->message;
    }
}

TEST(Plane, WhatAModelHeldCorrectsItsNextLoad) {
    Box box(100);
    box.gpu->holds["a"] = {.own_bytes = 0, .gpu_bytes = 36, .vram_bytes = 0, .file_bytes = 0};
    std::mutex mutex;
    std::vector<plan::Observation> kept;
    box.options.on_observation = [&](const std::vector<plan::Observation>& all) {
        const std::scoped_lock lock(mutex);
        kept = all;
    };
    box.start({entry("a", 30), entry("b", 65)});
    ask_often(box, "a", 1);
    const View first = box.plane->view();
    EXPECT_EQ(box.find(first, "a")->planned_bytes, 30U);
    EXPECT_FALSE(box.find(first, "a")->correction);
    EXPECT_EQ(box.find(first, "a")->load.observed.bytes(), 36U);
    ASSERT_TRUE(load_and_wait(*box.plane, "b"));
    EXPECT_TRUE(box.holds("a")) << "30 and 65 are less than 100";
    ASSERT_TRUE(box.plane->unload("a"));
    ask_often(box, "a", 1);
    const View second = box.plane->view();
    EXPECT_EQ(box.find(second, "a")->predicted_bytes, 30U);
    EXPECT_EQ(box.find(second, "a")->planned_bytes, 36U);
    EXPECT_EQ(box.find(second, "a")->correction->observed_bytes, 36U);
    EXPECT_FALSE(box.holds("b")) << "36 and 65 are more than 100";
    box.plane->stop(0);
    const std::scoped_lock lock(mutex);
    ASSERT_EQ(kept.size(), 1U);
    EXPECT_EQ(kept[0].load.model, "a");
    EXPECT_EQ(kept[0].load.device, "gpu0");
    EXPECT_EQ(kept[0].observed_bytes, 36U);
}

TEST(Plane, RemembersWhatEarlierOnesObserved) {
    Box box(100);
    plan::Observation seen;
    seen.load = {.model = "a",
                 .weight_bytes = 30,
                 .lane = "fake",
                 .device = "gpu0",
                 .kv = plan::KvType::f16,
                 .context_tokens = 4096,
                 .parallel = 1};
    seen.predicted_bytes = 30;
    seen.observed_bytes = 45;
    box.options.observations = {seen};
    box.start({entry("a", 30), entry("b", 30)});
    ask_often(box, "a", 1);
    ask_often(box, "b", 1);
    const View view = box.plane->view();
    EXPECT_EQ(box.find(view, "a")->planned_bytes, 45U);
    EXPECT_EQ(box.find(view, "b")->planned_bytes, 30U) << "another model";
}

TEST(Plane, LessThanPredictedIsBelievedWhenItHasSettled) {
    Box box(100);
    box.gpu->holds["a"] = {.own_bytes = 0, .gpu_bytes = 37, .vram_bytes = 0, .file_bytes = 0};
    box.gpu->other_bytes = 10;
    box.start({entry("a", 30)});
    ask_often(box, "a", plan::kSettledAnswers - 1);
    ASSERT_TRUE(box.plane->unload("a"));
    ask_often(box, "a", plan::kSettledAnswers);
    const View early = box.plane->view();
    EXPECT_EQ(box.find(early, "a")->planned_bytes, 40U);
    ASSERT_TRUE(box.plane->unload("a"));
    ask_often(box, "a", 1);
    const View settled = box.plane->view();
    EXPECT_EQ(box.find(settled, "a")->planned_bytes, 37U);
}

TEST(Plane, TellsWhoOfOursIsInMemory) {
    Box box(100);
    box.gpu->holds["a"] = {.own_bytes = 1, .gpu_bytes = 2, .vram_bytes = 3, .file_bytes = 4};
    box.gpu->holds["slow"] = {.own_bytes = 5, .gpu_bytes = 0, .vram_bytes = 0, .file_bytes = 0};
    box.gpu->loads_wait = true;
    box.gpu->let_load("a");
    box.gpu->let_load("c");
    std::mutex mutex;
    std::vector<plan::Occupant> seen;
    box.options.memory = [&, plain = box.options.memory](std::span<const plan::Occupant> all) {
        const std::scoped_lock lock(mutex);
        seen.assign(all.begin(), all.end());
        return plain(all);
    };
    box.start({entry("a", 10), entry("c", 10), entry("slow", 20)});
    ask_often(box, "a", 1);
    const Ear slow = box.ask("slow");
    ASSERT_TRUE(box.gpu->wait_for_loading("slow"));
    ask_often(box, "c", 1);
    {
        const std::scoped_lock lock(mutex);
        ASSERT_EQ(seen.size(), 2U) << "the resident, and the load that is under way";
        EXPECT_EQ(seen[0].device, "gpu0");
        EXPECT_EQ(seen[0].claim, std::vector<std::uint64_t>{10});
        EXPECT_EQ(seen[0].observed, box.gpu->holds["a"]);
        EXPECT_EQ(seen[1].claim, std::vector<std::uint64_t>{20});
        EXPECT_EQ(seen[1].observed, box.gpu->holds["slow"]);
    }
    box.gpu->let_load("slow");
    EXPECT_TRUE(slow.wait());
    box.plane->stop(0);  // before `seen` goes
}

TEST(Plane, WaitsForMemoryThatIsBeingAskedFor) {
    Box box(100);
    std::atomic<bool> known = false;
    std::atomic<int> asked = 0;
    box.options.memory = [&, plain = box.options.memory](std::span<const plan::Occupant> all) {
        plan::Memory memory = plain(all);
        if (!known) {
            memory.devices[0].shares.clear();
            memory.devices[0].awaited = true;
        }
        asked += 1;
        return memory;
    };
    box.cpu->bad["a"] = {Fault::invalid, "not here"};
    box.start({entry("a")});
    const Ear ear = box.ask("a");
    ASSERT_TRUE(load_and_wait(*box.plane, "cpu/a").error().fault == Fault::corrupt)
        << "the other device is known";
    EXPECT_GE(asked, 1);
    EXPECT_EQ(ear.ends(), 0) << "neither refused nor loaded";
    known = true;
    box.plane->memory_changed();
    ASSERT_TRUE(ear.wait());
    EXPECT_FALSE(ear.error());
    box.plane->stop(0);
}

/// Random clients, losses, unloads and cancels: every request ends exactly once.
TEST(Plane, EveryRequestEndsOnce) {
    Box box(100);
    box.options.wait_max = std::chrono::seconds(10);
    box.options.batch_wait_max = std::chrono::milliseconds(20);
    box.start({entry("a", 40), entry("b", 40), entry("c", 40), entry("d", 90)});
    std::vector<std::thread> clients;
    std::atomic<int> twice = 0;
    std::atomic<int> never = 0;
    for (unsigned seed = 0; seed < 4; ++seed) {
        clients.emplace_back([&, seed] {
            std::mt19937 random(seed);
            for (int i = 0; i < 60; ++i) {
                const CancelToken cancel;
                const std::string model(1, static_cast<char>('a' + random() % 4));
                const Ear ear = box.ask(model, std::to_string(seed), cancel);
                switch (random() % 8) {
                    case 0:
                        cancel.cancel();
                        box.plane->notice_cancel();
                        break;
                    case 1:
                        (void)box.plane->unload(model);
                        break;
                    default:
                        break;
                }
                never += ear.wait() ? 0 : 1;
                twice += ear.ends() > 1 ? 1 : 0;
            }
        });
    }
    for (std::thread& client : clients) {
        client.join();
    }
    EXPECT_EQ(never, 0);
    EXPECT_EQ(twice, 0);
}

}  // namespace
}  // namespace trilane::plane
