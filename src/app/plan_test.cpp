// `trilane plan` on machines that are made up and models that are real.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/plan_listing.h"
#include "json/json.h"

namespace trilane::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kGigabyte = 1'000'000'000;
const ModelFile kNanoFile{"trilane-nano",
                          TRILANE_SOURCE_DIR "/models/trilane-nano/trilane-nano-tq2_0.gguf"};
const ModelFile kStories{"stories",
                         TRILANE_SOURCE_DIR "/tests/fixtures/stories260K/stories260K-f32.gguf"};

probe::Machine machine_of(std::uint64_t system_bytes) {
    probe::Machine machine;
    machine.cpu.cores = 4;
    machine.pools = {{"system", system_bytes, system_bytes, "meminfo"}};
    return machine;
}

probe::Machine apu() {
    probe::Machine machine = machine_of(64 * kGigabyte);
    machine.pools.push_back({"carve-out:card0", kGigabyte / 2, kGigabyte / 2, "vram"});
    probe::GpuFacts& gpu = machine.gpus.emplace_back();
    gpu.name = "card0";
    gpu.vendor = probe::Vendor::amd;
    gpu.integrated = true;
    gpu.gtt_total_bytes = {48 * kGigabyte, "gtt"};
    machine.npus.emplace_back();
    return machine;
}

std::vector<std::string> places_of(const PlannedModel& model) {
    std::vector<std::string> places;
    for (const PlannedPlace& place : model.places) {
        places.push_back(place.device + " " + place.lane);
    }
    return places;
}

PlannedLoads planned(const probe::Machine& machine, const std::vector<ModelFile>& files,
                     const PlanQuestion& question = {}) {
    auto loads = plan_loads(machine, files, question);
    EXPECT_TRUE(loads.has_value()) << loads.error().message;
    return *std::move(loads);
}

TEST(Plan, OffersEveryPlaceTheFastestSiliconFirst) {
    const PlannedLoads loads = planned(apu(), {kNanoFile});
    ASSERT_EQ(loads.models.size(), 1U);
    const PlannedModel& model = loads.models[0];
    EXPECT_THAT(places_of(model),
                ElementsAre("gpu0 llama-server", "cpu native", "cpu llama-server"));
    ASSERT_TRUE(model.chosen.has_value());
    EXPECT_EQ(*model.chosen, 0U);
    EXPECT_EQ(model.places[0].need.context_tokens, 1024U);
    EXPECT_EQ(model.places[1].need.parallel, 8U) << "the native engine's slots";
    EXPECT_TRUE(loads.all_fit());
}

TEST(Plan, PlansOnlyTheDeviceThatIsAsked) {
    const PlannedLoads loads = planned(apu(), {kNanoFile}, {.parallel = 2, .device = "cpu"});
    EXPECT_THAT(places_of(loads.models[0]), ElementsAre("cpu native", "cpu llama-server"));
    EXPECT_EQ(loads.models[0].places[0].need.parallel, 2U);
    const auto nowhere = plan_loads(apu(), std::vector{kNanoFile}, {.device = "gpu3"});
    EXPECT_THAT(nowhere.error().message, HasSubstr("use one of cpu, npu, gpu0"));
    const auto npu = plan_loads(apu(), std::vector{kNanoFile}, {.device = "npu"});
    EXPECT_THAT(npu.error().message, HasSubstr("no GGUF files"));
}

TEST(Plan, ModelsAreToBeResidentTogether) {
    const auto room = [](const PlannedLoads& loads, std::size_t model) {
        return loads.models[model].places[0].verdict.room_bytes;
    };
    const PlannedLoads loads = planned(apu(), {kNanoFile, kStories});
    EXPECT_EQ(room(loads, 1), room(loads, 0) - loads.models[0].places[0].verdict.need_bytes);
}

TEST(Plan, CutsTheContextToWhatFits) {
    // Weights, engine and buffers fit, the caches of all eight slots do not.
    const PlannedLoads small = planned(machine_of(150'000'000), {kNanoFile}, {.device = "cpu"});
    const PlannedPlace& native = small.models[0].places[0];
    EXPECT_EQ(native.lane, "native");
    EXPECT_NE(native.verdict.fit, plan::Fit::does_not_fit) << native.verdict.text;
    EXPECT_LT(native.need.context_tokens, 1024U);
    EXPECT_GE(native.need.context_tokens, 256U);
    EXPECT_THAT(native.note, HasSubstr("context cut to"));
    EXPECT_EQ(native.verdict.context_tokens_max, native.need.context_tokens);
    // Asked for, it is not cut.
    const PlannedLoads asked =
        planned(machine_of(150'000'000), {kNanoFile}, {.context_tokens = 1024, .device = "cpu"});
    EXPECT_EQ(asked.models[0].places[0].verdict.fit, plan::Fit::does_not_fit);
    EXPECT_EQ(asked.models[0].places[0].verdict.context_tokens_max, native.need.context_tokens);
}

TEST(Plan, NeverPlansMoreContextThanTheModelWasMadeFor) {
    const PlannedLoads loads = planned(apu(), {kNanoFile}, {.context_tokens = 8192, .device = ""});
    for (const PlannedPlace& place : loads.models[0].places) {
        EXPECT_EQ(place.need.context_tokens, 1024U) << place.lane;
        EXPECT_THAT(place.note, HasSubstr("made for no more"));
    }
}

TEST(Plan, SaysWhatToDoWhenNothingFits) {
    const PlannedLoads loads = planned(machine_of(50'000'000), {kNanoFile});
    EXPECT_FALSE(loads.all_fit());
    const std::string text = plan_text(loads);
    EXPECT_THAT(text, HasSubstr("It does not fit. On cpu by native it needs"));
    EXPECT_THAT(text, HasSubstr("use a smaller model or quantization"));
}

TEST(Plan, IsCorrectedByWhatWasSeen) {
    PlanQuestion question{.context_tokens = 512, .device = "gpu0"};
    const PlannedLoads plain = planned(apu(), {kNanoFile}, question);
    const plan::Need& need = plain.models[0].places[0].need;
    plan::Observation seen;
    seen.load = {.model = kNanoFile.id,
                 .weight_bytes = plan::weight_bytes_of(need),
                 .lane = "llama-server",
                 .device = "gpu0",
                 .context_tokens = 512,
                 .parallel = need.parallel};
    seen.predicted_bytes = need.predicted_bytes();
    seen.observed_bytes = need.predicted_bytes() + 60'000'000;
    seen.unix_s = 1'760'000'000;
    question.observed = {seen};
    const PlannedLoads loads = planned(apu(), {kNanoFile}, question);
    const PlannedPlace& place = loads.models[0].places[0];
    EXPECT_EQ(place.verdict.need_bytes, seen.observed_bytes);
    const std::string text = plan_text(loads);
    EXPECT_THAT(text, HasSubstr("observed correction"));
    EXPECT_THAT(text, HasSubstr("+60.0 MB"));
    EXPECT_THAT(text, HasSubstr("gpu0 llama-server: corrected by what it was seen to hold on "
                                "2025-10-09: "));
    const json::Value value = plan_json(loads)["models"][0]["places"][0];
    EXPECT_EQ(value["predicted_bytes"], need.predicted_bytes());
    EXPECT_EQ(value["need_bytes"], seen.observed_bytes);
    EXPECT_EQ(value["correction"]["bytes"], 60'000'000);
    EXPECT_THAT(plan_text(plain), Not(HasSubstr("correct")));
}

TEST(Plan, KeepsTheReserveThatIsConfigured) {
    PlanQuestion question{.device = "cpu"};
    question.reserve.bytes = 63 * kGigabyte;
    const PlannedLoads loads = planned(apu(), {kNanoFile}, question);
    EXPECT_EQ(loads.models[0].places[0].verdict.room_bytes, kGigabyte);
}

TEST(Plan, TextHasAColumnForEachPlace) {
    const std::string text = plan_text(planned(apu(), {kNanoFile, kStories}));
    EXPECT_THAT(text, HasSubstr("gpu0 llama-server  cpu native  cpu llama-server"));
    EXPECT_THAT(text, HasSubstr("1024 x 8"));
    EXPECT_THAT(text, HasSubstr("On gpu0 by llama-server it fits: needs "));
    EXPECT_THAT(text, HasSubstr("in carve-out:card0"));
    EXPECT_THAT(text, HasSubstr("All of them fit together."));
    EXPECT_THAT(text, Not(HasSubstr("Not by the native engine")));
}

TEST(Plan, JsonHasTheSameFigures) {
    const PlannedLoads loads = planned(apu(), {kNanoFile});
    const json::Value value = plan_json(loads);
    EXPECT_EQ(value["fits"], true);
    const json::Value& place = value["models"][0]["places"][1];
    EXPECT_EQ(place["lane"], "native");
    EXPECT_EQ(place["need_bytes"], loads.models[0].places[1].verdict.need_bytes);
    std::uint64_t parts = 0;
    for (const auto& part : place["parts_bytes"]) {
        parts += part.get<std::uint64_t>();
    }
    EXPECT_EQ(parts, place["need_bytes"]);
    EXPECT_EQ(value["models"][0]["chosen"], 0);
    EXPECT_EQ(value["pools"][0]["name"], "system");
}

}  // namespace
}  // namespace trilane::app
