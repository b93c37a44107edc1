#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/catalog.h"

namespace trilane::catalog {
namespace {

constexpr std::string_view kList = R"({"models":[
 {"name":"Qwen3-0.6B-NPU2","model":"qwen3:0.6b","installed":true,"size":751632384,"footprint":0.66,
  "default_context_length":32768,"label":["reasoning","tool-calling"],
  "details":{"format":"NPU2","family":"qwen3","think":true,"parameter_size":"0.6B",
             "quantization_level":"Q4_1"}},
 {"name":"x","model":"llama3.2:3b","installed":false,"footprint":2.7},
 {"model":"embed-gemma:300m","installed":true,"label":["embeddings"]},
 {"model":"whisper-v3:turbo","installed":true,"label":["transcription"],"footprint":"big"},
 {"model":"gemma4-it:e4b","installed":true,"label":["vision","audio","transcription"],
  "details":{"parameter_size":"4B"}},
 {"name":"hy-mt2:1.8b","installed":true,"size":-5,"footprint":-1,"default_context_length":1e300},
 {"installed":true}, 7, {"model":17,"installed":true}]})";

TEST(FlmList, InstalledModelsWithWhatTheyNeed) {
    const auto entries = parse_flm_list(kList);
    ASSERT_TRUE(entries.has_value()) << entries.error().message;
    ASSERT_EQ(entries->size(), 5U);
    const Entry& qwen = (*entries)[0];
    EXPECT_EQ(qwen.id, "qwen3:0.6b");
    EXPECT_EQ(qwen.path, "qwen3:0.6b");
    EXPECT_EQ(qwen.store, Store::flm);
    EXPECT_EQ(qwen.purpose, Purpose::chat);
    EXPECT_EQ(qwen.parameters, 751'632'384U);
    EXPECT_NEAR(static_cast<double>(qwen.footprint_bytes), 0.66 * (1U << 30U), 1);
    EXPECT_EQ(qwen.context_tokens, 32'768U);
    EXPECT_EQ(qwen.architecture, "qwen3");
    EXPECT_EQ(qwen.quantization, "Q4_1");
    EXPECT_EQ((*entries)[1].purpose, Purpose::embed);
    EXPECT_EQ((*entries)[2].purpose, Purpose::transcribe);
    EXPECT_EQ((*entries)[2].footprint_bytes, 0U);
    EXPECT_EQ((*entries)[3].purpose, Purpose::chat);
    EXPECT_EQ((*entries)[3].parameters, 4'000'000'000U);
    EXPECT_EQ((*entries)[4].id, "hy-mt2:1.8b");
    EXPECT_EQ((*entries)[4].footprint_bytes, 0U);
    EXPECT_EQ((*entries)[4].context_tokens, 0U);
}

TEST(FlmList, WhatIsNoListIsRefused) {
    for (const char* text : {"", "flm: command failed", "[]", "{}", R"({"models":{}})"}) {
        const auto entries = parse_flm_list(text);
        ASSERT_FALSE(entries.has_value()) << text;
        EXPECT_EQ(entries.error().fault, Fault::corrupt);
    }
    EXPECT_TRUE(parse_flm_list(R"({"models":[]})")->empty());
}

}  // namespace
}  // namespace trilane::catalog
