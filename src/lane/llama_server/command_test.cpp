// The command line of llama-server, for versions that know more and less.
#include "lane/llama_server/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace trilane::lane::llama_server {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

/// Every long option that we may write, in today's forms.
constexpr std::string_view kToday =
    "-a, --alias S  x\n-c, --ctx-size N  x\n-np, --parallel N  x\n-no-kvu, --no-kv-unified  x\n"
    "-ngl, --gpu-layers, --n-gpu-layers N  x\n-dev, --device D  x\n--load-mode MODE  x\n"
    "-fa, --flash-attn [on|off|auto]  x\n-ctk, --cache-type-k T  x\n-ctv, --cache-type-v T  x\n"
    "-cram, --cache-ram N  x\n--ctx-checkpoints N  x\n-fit, --fit [on|off]  x\n--jinja  x\n"
    "-mm, --mmproj F  x\n--metrics  x\n--slots  x\n--no-ui, --no-webui  x\n--offline  x\n"
    "-to, --timeout N  x\n-b, --batch-size N  x\n-ub, --ubatch-size N  x\n--embedding  x\n"
    "--reranking  x\n";

Command command() {
    Command command;
    command.entry.id = "nano";
    command.entry.path = "/models/nano.gguf";
    command.entry.purpose = catalog::Purpose::chat;
    command.port = 4711;
    command.context_tokens = 4096;
    command.parallel = 4;
    command.on_gpu = true;
    command.engine_device = "Vulkan0";
    command.prompt_cache_bytes = std::uint64_t{512} << 20U;
    return command;
}

/// What stands behind an option; "" when it is not there.
std::string value_of(const std::vector<std::string>& line, std::string_view option) {
    const auto found = std::find(line.begin(), line.end(), option);
    return found == line.end() || found + 1 == line.end() ? "" : *(found + 1);
}

TEST(Command, WritesOutWhatThePlanDependsOn) {
    const auto line = arguments(command(), HelpText(kToday));
    EXPECT_EQ(value_of(line, "--host"), "127.0.0.1");
    EXPECT_EQ(value_of(line, "--port"), "4711");
    EXPECT_EQ(value_of(line, "--model"), "/models/nano.gguf");
    EXPECT_EQ(value_of(line, "--alias"), "nano");
    EXPECT_EQ(value_of(line, "--ctx-size"), "16384") << "of all requests";
    EXPECT_EQ(value_of(line, "--parallel"), "4");
    EXPECT_EQ(value_of(line, "--n-gpu-layers"), "999");
    EXPECT_EQ(value_of(line, "--device"), "Vulkan0");
    EXPECT_EQ(value_of(line, "--load-mode"), "none");
    EXPECT_EQ(value_of(line, "--flash-attn"), "on");
    EXPECT_EQ(value_of(line, "--cache-ram"), "512");
    EXPECT_EQ(value_of(line, "--ctx-checkpoints"), std::to_string(kContextCheckpoints));
    EXPECT_EQ(value_of(line, "--fit"), "off");
    for (const auto* option : {"--jinja", "--metrics", "--slots", "--no-ui", "--offline"}) {
        EXPECT_THAT(line, Contains(option));
    }
    for (const auto* option : {"--cache-type-k", "--embedding", "--reranking", "--mmproj"}) {
        EXPECT_THAT(line, Not(Contains(option)));
    }
}

TEST(Command, AnOldProgramGetsWhatItKnows) {
    const auto line = arguments(
        command(), HelpText("-fa, --flash-attn   x\n--no-mmap   x\n-c, --ctx-size N   x\n"));
    EXPECT_THAT(line,
                ElementsAre("--host", "127.0.0.1", "--port", "4711", "--model", "/models/nano.gguf",
                            "--ctx-size", "16384", "--no-mmap", "--flash-attn"));
}

TEST(Command, OnTheCpuNothingGoesToAGpu) {
    Command on_cpu = command();
    on_cpu.on_gpu = false;
    on_cpu.engine_device = "none";
    const auto line = arguments(on_cpu, HelpText(kToday));
    EXPECT_EQ(value_of(line, "--n-gpu-layers"), "0");
    EXPECT_EQ(value_of(line, "--device"), "none");
    EXPECT_THAT(line, Not(Contains("--load-mode")));
}

TEST(Command, NarrowCachesProjectorsAndUsersArguments) {
    Command wished = command();
    wished.kv = plan::KvType::q8_0;
    wished.entry.projector_path = "/models/mmproj.gguf";
    wished.user_args = {"-ngl", "20", "--threads", "3"};
    const auto line = arguments(wished, HelpText(kToday));
    EXPECT_EQ(value_of(line, "--cache-type-k"), "q8_0");
    EXPECT_EQ(value_of(line, "--cache-type-v"), "q8_0");
    EXPECT_EQ(value_of(line, "--mmproj"), "/models/mmproj.gguf");
    EXPECT_THAT(line, Not(Contains("--n-gpu-layers")));
    ASSERT_GE(line.size(), 4U);
    EXPECT_THAT(std::vector<std::string>(line.end() - 4, line.end()),
                ElementsAre("-ngl", "20", "--threads", "3"));
    wished.kv = plan::KvType::q4_0;
    EXPECT_EQ(value_of(arguments(wished, HelpText(kToday)), "--cache-type-v"), "q4_0");
}

TEST(Command, PoolingModelsReadAnInputInOneStep) {
    Command pooling = command();
    pooling.parallel = 1;
    pooling.entry.purpose = catalog::Purpose::embed;
    pooling.entry.projector_path = "/models/mmproj.gguf";
    const auto embedding = arguments(pooling, HelpText(kToday));
    EXPECT_THAT(embedding, Contains("--embedding"));
    EXPECT_EQ(value_of(embedding, "--ubatch-size"), "4096");
    EXPECT_EQ(value_of(embedding, "--batch-size"), "4096");
    EXPECT_THAT(embedding, Not(Contains("--jinja")));
    EXPECT_THAT(embedding, Not(Contains("--mmproj")));
    pooling.entry.purpose = catalog::Purpose::rerank;
    const auto ranking = arguments(pooling, HelpText(kToday));
    EXPECT_THAT(ranking, Contains("--reranking"));
    EXPECT_THAT(ranking, Not(Contains("--embedding"))) << "together they score zero";
}

TEST(Command, WhatThePlanSetsIsReserved) {
    for (const auto* option :
         {"--host", "--port", "-m", "--model", "-c", "--ctx-size", "-np", "--parallel", "-cram",
          "--cache-ram", "--device", "-dev", "-ctk", "--api-key", "--embedding", "--rerank"}) {
        EXPECT_FALSE(refuse_reserved(std::vector<std::string>{option}, reserved_options(), "gpu")
                         .has_value())
            << option;
    }
    for (const auto* option : {"-ngl", "--threads", "--spec-type", "-md", "--no-warmup"}) {
        EXPECT_TRUE(refuse_reserved(std::vector<std::string>{option}, reserved_options(), "gpu")
                        .has_value())
            << option;
    }
}

}  // namespace
}  // namespace trilane::lane::llama_server
