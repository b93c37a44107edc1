#include "catalog/loadouts.h"

#include <array>

namespace trilane::catalog {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;
constexpr std::uint64_t kMB = 1'000'000;

/// What the kernel counts on machines that are sold with 8 GB, 16 GB …, a small carve-out taken
/// off.
constexpr std::uint64_t kTier8 = 7 * kGiB;
constexpr std::uint64_t kTier16 = 15 * kGiB;
constexpr std::uint64_t kTier32 = 30 * kGiB;
constexpr std::uint64_t kTier64 = 61 * kGiB;
constexpr std::uint64_t kTier96 = 92 * kGiB;
constexpr std::uint64_t kTier128 = 120 * kGiB;

/// KV bytes of one position at f16: layers × KV heads × head length × (K and V) × 2 bytes.
constexpr std::uint64_t kv(std::uint64_t layers, std::uint64_t heads, std::uint64_t length) {
    return layers * heads * length * 2 * 2;
}

/// FLM's footprints are in GB; see flm_list.cpp for how they are read.
constexpr std::uint64_t footprint(std::uint64_t hundredths_of_gib) {
    return hundredths_of_gib * kGiB / 100;
}

constexpr LoadoutModel with(LoadoutModel model, std::string_view role, std::string_view lane,
                            std::uint32_t context_tokens) {
    model.role = role;
    model.lane = lane;
    model.context_tokens = context_tokens;
    return model;
}

// Models, each with its nominal size; loadouts give them a role, a lane and a context.
constexpr LoadoutModel kQwen3Small{
    "", "Qwen/Qwen3-1.7B-GGUF:Q8_0", "", Purpose::chat, 1'840 * kMB, 0, kv(28, 8, 128)};
constexpr LoadoutModel kQwen3Four{
    "", "Qwen/Qwen3-4B-GGUF:Q4_K_M", "", Purpose::chat, 2'500 * kMB, 0, kv(36, 8, 128)};
constexpr LoadoutModel kQwen3Eight{
    "", "Qwen/Qwen3-8B-GGUF:Q4_K_M", "", Purpose::chat, 5'030 * kMB, 0, kv(36, 8, 128)};
constexpr LoadoutModel kQwen3Moe{"",
                                 "unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF:Q4_K_M",
                                 "",
                                 Purpose::chat,
                                 18'600 * kMB,
                                 0,
                                 kv(48, 4, 128)};
constexpr LoadoutModel kQwen3MoeQ8{"",
                                   "unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF:Q8_0",
                                   "",
                                   Purpose::chat,
                                   32'500 * kMB,
                                   0,
                                   kv(48, 4, 128)};
constexpr LoadoutModel kGptOss20{
    "", "ggml-org/gpt-oss-20b-GGUF:MXFP4", "", Purpose::chat, 12'200 * kMB, 0, kv(24, 8, 64)};
constexpr LoadoutModel kGptOss120{
    "", "ggml-org/gpt-oss-120b-GGUF:MXFP4", "", Purpose::chat, 63'500 * kMB, 0, kv(36, 8, 64)};
constexpr LoadoutModel kGlmAir{
    "", "unsloth/GLM-4.5-Air-GGUF:Q4_K_M", "", Purpose::chat, 74'000 * kMB, 0, kv(47, 8, 128)};
/// With the projector of its pictures.
constexpr LoadoutModel kGemmaTwelve{
    "", "ggml-org/gemma-3-12b-it-GGUF:Q4_K_M", "", Purpose::chat, 8'200 * kMB, 0, kv(48, 8, 256)};
constexpr LoadoutModel kCoderThree{"",
                                   "bartowski/Qwen2.5-Coder-3B-Instruct-GGUF:Q4_K_M",
                                   "",
                                   Purpose::chat,
                                   1'940 * kMB,
                                   0,
                                   kv(36, 2, 128)};
constexpr LoadoutModel kCoderSeven{"",
                                   "bartowski/Qwen2.5-Coder-7B-Instruct-GGUF:Q4_K_M",
                                   "",
                                   Purpose::chat,
                                   4'690 * kMB,
                                   0,
                                   kv(28, 4, 128)};
constexpr LoadoutModel kCoderMoe{"",
                                 "unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF:Q4_K_M",
                                 "",
                                 Purpose::chat,
                                 18'600 * kMB,
                                 0,
                                 kv(48, 4, 128)};
constexpr LoadoutModel kCoderMoeQ8{"",
                                   "unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF:Q8_0",
                                   "",
                                   Purpose::chat,
                                   32'500 * kMB,
                                   0,
                                   kv(48, 4, 128)};
/// Fills in the middle while one types.
constexpr LoadoutModel kFillIn{"",
                               "ggml-org/Qwen2.5-Coder-1.5B-Q8_0-GGUF:Q8_0",
                               "",
                               Purpose::chat,
                               1'650 * kMB,
                               0,
                               kv(28, 2, 128)};
constexpr LoadoutModel kNomicEmbed{
    "", "nomic-ai/nomic-embed-text-v1.5-GGUF:Q8_0", "", Purpose::embed, 150 * kMB, 0, 0};
constexpr LoadoutModel kQwenEmbed{
    "", "Qwen/Qwen3-Embedding-0.6B-GGUF:Q8_0", "", Purpose::embed, 640 * kMB, 0, kv(28, 8, 128)};
constexpr LoadoutModel kQwenEmbedFour{
    "", "Qwen/Qwen3-Embedding-4B-GGUF:Q8_0", "", Purpose::embed, 4'290 * kMB, 0, kv(36, 8, 128)};
constexpr LoadoutModel kReranker{"",
                                 "ggml-org/Qwen3-Reranker-0.6B-Q8_0-GGUF:Q8_0",
                                 "",
                                 Purpose::rerank,
                                 645 * kMB,
                                 0,
                                 kv(28, 8, 128)};
constexpr LoadoutModel kWhisperSmall{
    "", "ggerganov/whisper.cpp:ggml-large-v3-turbo-q5_0.bin", "", Purpose::transcribe, 580 * kMB, 0,
    0};
constexpr LoadoutModel kWhisper{
    "", "ggerganov/whisper.cpp:ggml-large-v3-turbo.bin", "", Purpose::transcribe, 1'630 * kMB, 0,
    0};
constexpr LoadoutModel kKokoro{"", "engine:kokoro", "", Purpose::speak, 350 * kMB, 0, 0};
constexpr LoadoutModel kFlmTiny{"", "flm:qwen3:0.6b", "", Purpose::chat, footprint(66), 0, 0};
constexpr LoadoutModel kFlmSmall{"", "flm:qwen3:1.7b", "", Purpose::chat, footprint(160), 0, 0};
constexpr LoadoutModel kFlmThree{"", "flm:llama3.2:3b", "", Purpose::chat, footprint(270), 0, 0};
constexpr LoadoutModel kFlmFour{"", "flm:qwen3:4b", "", Purpose::chat, footprint(310), 0, 0};
constexpr LoadoutModel kFlmEmbed{"", "flm:embed-gemma:300m", "", Purpose::embed, footprint(62), 0,
                                 0};
constexpr LoadoutModel kFlmWhisper{
    "", "flm:whisper-v3:turbo", "", Purpose::transcribe, footprint(62), 0, 0};

constexpr std::array kMinimal8{with(kQwen3Small, "primary", "cpu", 8'192),
                               with(kNomicEmbed, "embed", "cpu", 2'048)};
constexpr std::array kChat8{with(kQwen3Four, "primary", "cpu", 8'192)};
constexpr std::array kCoder8{with(kCoderThree, "primary", "cpu", 16'384)};

constexpr std::array kCoder16{with(kCoderSeven, "primary", "gpu", 32'768),
                              with(kFillIn, "background", "gpu", 8'192),
                              with(kNomicEmbed, "embed", "cpu", 2'048)};
constexpr std::array kChat16{with(kQwen3Eight, "primary", "gpu", 16'384),
                             with(kFlmTiny, "background", "npu", 32'768)};
constexpr std::array kVoice16{with(kQwen3Four, "primary", "gpu", 8'192),
                              with(kWhisperSmall, "transcribe", "gpu", 448),
                              with(kKokoro, "speak", "cpu", 0)};
constexpr std::array kRetrieval16{with(kQwen3Four, "primary", "gpu", 16'384),
                                  with(kQwenEmbed, "embed", "gpu", 8'192),
                                  with(kReranker, "rerank", "gpu", 8'192)};

constexpr std::array kCoder32{with(kCoderMoe, "primary", "gpu", 32'768),
                              with(kFillIn, "background", "gpu", 8'192),
                              with(kFlmEmbed, "embed", "npu", 2'048)};
constexpr std::array kChat32{with(kGptOss20, "primary", "gpu", 32'768),
                             with(kFlmSmall, "background", "npu", 32'768),
                             with(kNomicEmbed, "embed", "cpu", 2'048)};
constexpr std::array kVoice32{with(kQwen3Moe, "primary", "gpu", 16'384),
                              with(kFlmWhisper, "transcribe", "npu", 448),
                              with(kKokoro, "speak", "cpu", 0)};
constexpr std::array kRetrieval32{with(kQwen3Moe, "primary", "gpu", 16'384),
                                  with(kQwenEmbed, "embed", "gpu", 8'192),
                                  with(kReranker, "rerank", "gpu", 8'192)};

constexpr std::array kCoder64{with(kCoderMoeQ8, "primary", "gpu", 131'072),
                              with(kFillIn, "background", "gpu", 8'192),
                              with(kQwenEmbed, "embed", "gpu", 8'192)};
constexpr std::array kChat64{with(kQwen3MoeQ8, "primary", "gpu", 65'536),
                             with(kGemmaTwelve, "background", "gpu", 8'192),
                             with(kFlmThree, "background", "npu", 32'768)};
constexpr std::array kVoice64{with(kQwen3MoeQ8, "primary", "gpu", 32'768),
                              with(kWhisper, "transcribe", "gpu", 448),
                              with(kKokoro, "speak", "cpu", 0)};
constexpr std::array kRetrieval64{with(kQwen3MoeQ8, "primary", "gpu", 65'536),
                                  with(kQwenEmbedFour, "embed", "gpu", 8'192),
                                  with(kReranker, "rerank", "gpu", 8'192)};

constexpr std::array kCoder96{with(kGptOss120, "primary", "gpu", 131'072),
                              with(kFillIn, "background", "gpu", 8'192),
                              with(kQwenEmbed, "embed", "gpu", 8'192)};
constexpr std::array kChat96{with(kGptOss120, "primary", "gpu", 65'536),
                             with(kGemmaTwelve, "background", "gpu", 8'192),
                             with(kFlmFour, "background", "npu", 32'768)};
constexpr std::array kVoice96{with(kGptOss120, "primary", "gpu", 32'768),
                              with(kFlmWhisper, "transcribe", "npu", 448),
                              with(kKokoro, "speak", "cpu", 0)};
constexpr std::array kRetrieval96{with(kGptOss120, "primary", "gpu", 65'536),
                                  with(kQwenEmbedFour, "embed", "gpu", 8'192),
                                  with(kReranker, "rerank", "gpu", 8'192)};
constexpr std::array kCoder128{with(kGlmAir, "primary", "gpu", 131'072),
                               with(kFillIn, "background", "gpu", 8'192),
                               with(kFlmEmbed, "embed", "npu", 2'048)};

constexpr std::string_view kForMinimal = "A small assistant and embeddings on the CPU alone.";
constexpr std::string_view kForCoder =
    "A coding model with room for files, completion while typing, embeddings for search.";
constexpr std::string_view kForChat = "A general assistant, with a small one beside it for chores.";
constexpr std::string_view kForVoice =
    "Talk and listen: an assistant, speech to text, and a speech server for its answers.";
constexpr std::string_view kForRetrieval =
    "Answers from documents: an assistant, embeddings and a reranker.";

constexpr std::array kLoadouts{
    Loadout{"minimal", kTier8, kForMinimal, kMinimal8},
    Loadout{"chat", kTier8, "One assistant on the CPU alone.", kChat8},
    Loadout{"coder", kTier8, "One coding model on the CPU alone.", kCoder8},
    Loadout{"coder", kTier16, kForCoder, kCoder16},
    Loadout{"chat", kTier16, kForChat, kChat16},
    Loadout{"voice", kTier16, kForVoice, kVoice16},
    Loadout{"retrieval", kTier16, kForRetrieval, kRetrieval16},
    Loadout{"coder", kTier32, kForCoder, kCoder32},
    Loadout{"chat", kTier32, kForChat, kChat32},
    Loadout{"voice", kTier32, kForVoice, kVoice32},
    Loadout{"retrieval", kTier32, kForRetrieval, kRetrieval32},
    Loadout{"coder", kTier64, kForCoder, kCoder64},
    Loadout{"chat", kTier64, kForChat, kChat64},
    Loadout{"voice", kTier64, kForVoice, kVoice64},
    Loadout{"retrieval", kTier64, kForRetrieval, kRetrieval64},
    Loadout{"coder", kTier96, kForCoder, kCoder96},
    Loadout{"chat", kTier96, kForChat, kChat96},
    Loadout{"voice", kTier96, kForVoice, kVoice96},
    Loadout{"retrieval", kTier96, kForRetrieval, kRetrieval96},
    Loadout{"coder", kTier128, kForCoder, kCoder128},
};

}  // namespace

std::span<const Loadout> loadouts() {
    return kLoadouts;
}

}  // namespace trilane::catalog
