// What `trilane serve` makes of its command line and its file. Its lanes: lanes_found_test.cpp.
#include "app/serve_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trilane::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PoliciesOfTheStart, ANamedModelIsKeptAndTheBundledOneIsLikeAnyOther) {
    config::Config config;
    config.models.emplace_back().id = "*";
    config.models[0].keep_warm_s = 60;
    const plane::Policies unasked = policies_of(config, "nano", false);
    EXPECT_TRUE(unasked.at("nano").preload);
    EXPECT_FALSE(unasked.at("nano").pin);
    EXPECT_EQ(unasked.at("nano").keep_warm_s, 60U);
    const plane::Policies named = policies_of(config, "nano", true);
    EXPECT_TRUE(named.at("nano").preload);
    EXPECT_TRUE(named.at("nano").pin);
    EXPECT_EQ(named.at("nano").keep_warm_s, 0U);
    EXPECT_FALSE(policies_of(config, "", false).contains("nano"));
}

TEST(ModelOfTheStart, TheBundledOneIsLoadedUnaskedOnlyWhereNothingIsConfigured) {
    const config::Config nothing;
    config::Config lanes;
    lanes.lanes.emplace_back().kind = "native";
    config::Config models;
    models.models.emplace_back().id = "*";
    ServeOptions options;
    EXPECT_TRUE(begins_with_model(nothing, options));
    EXPECT_FALSE(begins_with_model(lanes, options));
    EXPECT_FALSE(begins_with_model(models, options));
    options.given = {"--model"};
    EXPECT_TRUE(begins_with_model(lanes, options));
    EXPECT_TRUE(begins_with_model(models, options));
    options.given = {};
    options.no_model = true;
    EXPECT_FALSE(begins_with_model(nothing, options));
}

TEST(Shortcomings, LanesAreSummedUpInOneLine) {
    EXPECT_EQ(usable_lanes_text(2, {}), "");
    const std::vector<UnusableLane> one{{"gpu", "there is no program"}};
    EXPECT_EQ(usable_lanes_text(1, one), "1 of 2 lanes usable: gpu is not: there is no program");
    const std::vector<UnusableLane> two{{"gpu", "a"}, {"npu", "b"}};
    EXPECT_EQ(usable_lanes_text(0, two), "0 of 2 lanes usable: gpu is not: a; npu is not: b");
}

TEST(Shortcomings, ReasonsDoNotRepeatTheLanesName) {
    const Error named{Fault::invalid, "lane gpu: --port is ours"};
    EXPECT_EQ(reason_of(named, "gpu"), "--port is ours");
    EXPECT_EQ(reason_of(named, "npu"), "lane gpu: --port is ours");
    EXPECT_EQ(reason_of({Fault::invalid, "no such kind"}, "gpu"), "no such kind");
}

TEST(Shortcomings, ModelsOfTheStartThatAreNotThereAreNamed) {
    config::Config config;
    for (const auto* id : {"here", "pinned", "preloaded", "idle", "*"}) {
        config.models.emplace_back().id = id;
    }
    config.models[0].pin = true;
    config.models[1].pin = true;
    config.models[2].preload = true;
    config.models[4].preload = true;
    catalog::Entry here;
    here.id = "here";
    EXPECT_THAT(missing_models(config, {&here, 1}),
                ElementsAre(HasSubstr("model.\"pinned\" is to be pinned and is not there"),
                            HasSubstr("model.\"preloaded\" is to be preloaded")));
}

TEST(PoliciesOfTheStart, OnlyTheCommandLineNamesTheModel) {
    ServeOptions options;
    EXPECT_FALSE(names_its_model(options));
    options.given = {"--model"};
    EXPECT_TRUE(names_its_model(options));
}

}  // namespace
}  // namespace trilane::app
