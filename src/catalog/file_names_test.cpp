#include "catalog/file_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trilane::catalog {
namespace {

TEST(FileNames, TheQuantizationIsInTheName) {
    const std::vector<std::pair<std::string_view, std::string_view>> known{
        {"Qwen3-4B-Q4_K_M.gguf", "Q4_K_M"},
        {"Qwen3-Coder-30B-A3B-Instruct-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"},
        {"qwen2.5-coder-7b-instruct-q4_k_m.gguf", "Q4_K_M"},
        {"Model.i1-IQ4_XS.gguf", "IQ4_XS"},
        {"llama-2-7b.Q5_0.gguf", "Q5_0"},
        {"nomic-embed-text-v1.5.f16.gguf", "F16"},
        {"Phi-3-mini-4k-instruct-fp16.gguf", "F16"},
        {"Phi-3-mini-4k-instruct-q4.gguf", "Q4"},
        {"gpt-oss-20b-mxfp4.gguf", "MXFP4"},
        {"gpt-oss-20b-MXFP4_MOE.gguf", "MXFP4_MOE"},
        {"trilane-nano-tq2_0.gguf", "TQ2_0"},
        {"ggml-model-i2_s.gguf", "I2_S"},
        {"MiniCPM-V-2_6-Q4_K_S.gguf", "Q4_K_S"},
        {"Some_Model_Q6_K.gguf", "Q6_K"},
        {"big-BF16-00001-of-00004.gguf", "BF16"},
        {"gemma-3-4b-it-qat-q4_0.gguf", "Q4_0"},
        {"ggml-large-v3-turbo-q5_0.bin", "Q5_0"},
        {"model-Q4_0_4_4.gguf", "Q4_0_4_4"},
        {"Llama-3.2-1B-Instruct.gguf", ""},
        {"falcon-h1-7b.gguf", ""},
        {"sequoia-q.gguf", ""},
        {"model-v16.gguf", ""},
    };
    for (const auto& [name, quantization] : known) {
        EXPECT_EQ(quantization_of(name), quantization) << name;
    }
}

TEST(FileNames, QualityIsOrderedByBits) {
    const std::vector<std::string_view> best_first{
        "F32",    "BF16",   "Q8_0",   "Q6_K", "Q5_K_M", "UD-Q4_K_XL", "Q4_K_M", "MXFP4",
        "IQ4_XS", "Q3_K_M", "IQ3_XS", "Q2_K", "IQ2_M",  "TQ2_0",      "I2_S",   "TQ1_0"};
    for (std::size_t i = 1; i < best_first.size(); ++i) {
        EXPECT_GT(bits_of(best_first[i - 1]), bits_of(best_first[i])) << best_first[i];
    }
    EXPECT_GT(bits_of("Q5_K_H"), bits_of("Q4_0_8_8"));
    EXPECT_EQ(bits_of("weights"), 0);
}

TEST(FileNames, ShardsSayWhichTheyAre) {
    const auto shard = shard_of("big-Q4_K_M-00002-of-00003.gguf");
    ASSERT_TRUE(shard.has_value());
    EXPECT_EQ(shard->stem, "big-Q4_K_M");
    EXPECT_EQ(shard->number, 2U);
    EXPECT_EQ(shard->count, 3U);
    for (const char* name :
         {"big.gguf", "big-00004-of-00003.gguf", "big-00000-of-00003.gguf", "-00001-of-00003.gguf",
          "big-0001-of-0003.gguf", "big-00001-of-00003.bin", "big-00001-of-99999.gguf",
          "big-000+1-of-00003.gguf", "big_00001-of-00003.gguf"}) {
        EXPECT_FALSE(shard_of(name).has_value()) << name;
    }
    EXPECT_EQ(model_stem("a.b-00001-of-00002.gguf"), "a.b");
    EXPECT_EQ(model_stem("a.b.gguf"), "a.b");
    EXPECT_EQ(base_name("x/y/z.gguf"), "z.gguf");
}

TEST(FileNames, WhatIsAModelFile) {
    EXPECT_TRUE(is_model_file("a.gguf"));
    EXPECT_TRUE(is_model_file("A.GGUF"));
    EXPECT_TRUE(is_model_file("ggml-base.en.bin"));
    EXPECT_FALSE(is_model_file("pytorch_model.bin"));
    EXPECT_FALSE(is_model_file("model-imatrix.gguf"));
    EXPECT_FALSE(is_model_file(".a.gguf"));
    EXPECT_FALSE(is_model_file("a.gguf.part"));
    EXPECT_TRUE(is_projector("mmproj-F16.gguf"));
    EXPECT_TRUE(is_projector("gemma-3-4b-it-mmproj-f16.gguf"));
    EXPECT_FALSE(is_projector("gemma.gguf"));
}

TEST(FileNames, NamesSuggestAPurpose) {
    EXPECT_EQ(purpose_by_name("bge-reranker-v2-m3-Q8_0"), Purpose::rerank);
    EXPECT_EQ(purpose_by_name("Qwen3-Embedding-0.6B"), Purpose::embed);
    EXPECT_EQ(purpose_by_name("multilingual-e5-large"), Purpose::embed);
    EXPECT_EQ(purpose_by_name("whisper-v3:turbo"), Purpose::transcribe);
    EXPECT_EQ(purpose_by_name("OuteTTS-0.2-500M"), Purpose::speak);
    EXPECT_EQ(purpose_by_name("Qwen3-4B"), Purpose::unknown);
    EXPECT_EQ(purpose_by_architecture("nomic-bert"), Purpose::embed);
    EXPECT_EQ(purpose_by_architecture("flux"), Purpose::image);
    EXPECT_EQ(purpose_by_architecture("llama"), Purpose::unknown);
}

TEST(FileNames, ForeignPathsThatLeaveTheFolderAreRefused) {
    for (const char* good : {"a.gguf", "a/b/c.gguf", "a b.gguf", "ä.gguf", "..a/b..", "a..b"}) {
        EXPECT_TRUE(check_remote_path(good).has_value()) << good;
    }
    for (const char* bad : {"", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", "./a",
                            "a\\b", "a\nb", "a\x7f", "\xff\xfe"}) {
        EXPECT_FALSE(check_remote_path(bad).has_value()) << bad;
    }
    EXPECT_FALSE(check_remote_path(std::string(kRemotePathBytesMax + 1, 'a')).has_value());
    EXPECT_FALSE(check_remote_path(std::string_view("a\0b", 3)).has_value());
}

TEST(FileNames, NamesForThisDisk) {
    EXPECT_EQ(safe_file_name("a b(1).gguf"), "a_b_1_.gguf");
    EXPECT_EQ(safe_file_name(".hidden"), "_.hidden");
    EXPECT_EQ(safe_file_name("-rf"), "_-rf");
    EXPECT_EQ(safe_file_name(""), "_");
    EXPECT_LE(safe_file_name(std::string(1000, 'x') + ".gguf").size(), 201U);
    EXPECT_TRUE(safe_file_name(std::string(1000, 'x') + ".gguf").ends_with(".gguf"));
    EXPECT_TRUE(check_id("Qwen3-4B_Q4.K+M").has_value());
    for (const char* bad :
         {"", ".a", "-a", "a/b", "a b", "..", "ä", "names.json", "Names.JSON", "names.json.new"}) {
        EXPECT_FALSE(check_id(bad).has_value()) << bad;
    }
}

TEST(FileNames, IdsComeFromRepositoryAndVariant) {
    EXPECT_EQ(id_of("Qwen/Qwen3-4B-GGUF", "Q4_K_M"), "Qwen3-4B-Q4_K_M");
    EXPECT_EQ(id_of("ggml-org/Qwen3-Reranker-0.6B-Q8_0-GGUF", "Q8_0"), "Qwen3-Reranker-0.6B-Q8_0");
    EXPECT_EQ(id_of("ggerganov/whisper.cpp", "ggml-large-v3-turbo-q5_0"),
              "ggml-large-v3-turbo-q5_0");
    EXPECT_EQ(id_of("a/b-gguf", "UD-Q4_K_XL"), "b-UD-Q4_K_XL");
    EXPECT_EQ(id_of("a/GGUF", "folder/x"), "folder_x");
    EXPECT_TRUE(check_id(id_of("a/names.json", "")).has_value());
    EXPECT_TRUE(check_id(id_of("a/" + std::string(96, 'b'), std::string(96, 'c'))).has_value());
}

TEST(FileNames, ForeignTextIsMadeHarmless) {
    EXPECT_EQ(shown("a\x1b[31mb\n"), "a?[31mb?");
    EXPECT_LE(shown(std::string(10'000, 'a')).size(), 130U);
}

}  // namespace
}  // namespace trilane::catalog
