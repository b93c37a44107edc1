// What `trilane serve` makes of its command line and its file. Its lanes: lanes_found_test.cpp.
#include "app/serve_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trilane::app {
namespace {

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

TEST(PoliciesOfTheStart, OnlyTheCommandLineNamesTheModel) {
    ServeOptions options;
    EXPECT_FALSE(names_its_model(options));
    options.given = {"--model"};
    EXPECT_TRUE(names_its_model(options));
}

}  // namespace
}  // namespace trilane::app
