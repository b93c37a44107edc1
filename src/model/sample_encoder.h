// SampleEncoder: small encoder models with seeded weights and a WordPiece vocabulary, for tests of
// this floor and those above. Not for measuring.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "gguf/writer.h"
#include "kernels/kernels.h"

namespace trilane::model {

/// What is written; every member may be changed before.
struct SampleEncoder {
    std::string architecture = "bert";
    std::uint32_t layers = 2;
    std::uint32_t dim = 64;
    std::uint32_t heads = 4;
    std::uint32_t ffn = 96;
    std::uint32_t context = 48;
    std::uint32_t token_types = 2;
    std::uint32_t pooling = 1;
    bool rank_head = false;  ///< cls and cls.output
    std::string tokenizer = "bert";
    bool q8_0 = false;  ///< matrices of the layers; else F32
    std::vector<std::string> words = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁the",  "▁sun",  "▁moon",
                                      "▁is",   "▁hot",  "▁cold", "▁a",    "▁star", "▁what", "s"};
    std::map<std::string, std::vector<float>> tensors;  ///< as written, before rounding to Q8_0

    static constexpr std::int32_t kCls = 2;
    static constexpr std::int32_t kSep = 3;

    [[nodiscard]] bool nomic() const { return architecture == "nomic-bert"; }
    [[nodiscard]] std::uint32_t vocab() const { return static_cast<std::uint32_t>(words.size()); }

    /// The file. Draws the tensors that are not given.
    gguf::Writer writer() {
        gguf::Writer out;
        add_metadata(out);
        matrix(out, "token_embd.weight", vocab(), dim, 1.0F, false);
        if (token_types > 0) {
            matrix(out, "token_types.weight", token_types, dim, 0.3F, false);
        }
        if (!nomic()) {
            matrix(out, "position_embd.weight", context, dim, 0.5F, false);
        }
        norm(out, "token_embd_norm");
        for (std::uint32_t i = 0; i < layers; ++i) {
            layer(out, "blk." + std::to_string(i) + ".");
        }
        if (rank_head) {
            matrix(out, "cls.weight", dim, dim, deviation(dim), false);
            vector(out, "cls.bias", dim, 0.0F, 0.1F);
            matrix(out, "cls.output.weight", 1, dim, 1.0F, false);
            vector(out, "cls.output.bias", 1, 0.0F, 0.1F);
        }
        return out;
    }

private:
    static float deviation(std::uint32_t cols) {
        return 1.2F / std::sqrt(static_cast<float>(cols));
    }
    /// About normal, deviation 1.
    float draw() {
        float sum = 0.0F;
        for (int i = 0; i < 12; ++i) {
            state_ = state_ * 6364136223846793005U + 1442695040888963407U;
            sum += static_cast<float>(state_ >> 40U) * 0x1p-24F;
        }
        return sum - 6.0F;
    }
    const std::vector<float>& values(const std::string& name, std::size_t count, float mean,
                                     float spread) {
        std::vector<float>& kept = tensors[name];
        if (kept.empty()) {
            kept.resize(count);
            for (float& value : kept) {
                value = mean + spread * draw();
            }
        }
        return kept;
    }
    void vector(gguf::Writer& out, const std::string& name, std::uint64_t count, float mean,
                float spread) {
        out.add_tensor(name, std::array{count}, values(name, count, mean, spread));
    }
    void norm(gguf::Writer& out, const std::string& stem) {
        vector(out, stem + ".weight", dim, 1.0F, 0.2F);
        vector(out, stem + ".bias", dim, 0.0F, 0.2F);
    }
    void matrix(gguf::Writer& out, const std::string& name, std::uint64_t rows, std::uint64_t cols,
                float spread, bool blocks) {
        const std::vector<float>& numbers = values(name, rows * cols, 0.0F, spread);
        const std::array<std::uint64_t, 2> shape{cols, rows};
        if (blocks) {
            out.add_tensor(name, shape, gguf::Type::q8_0, as_q8_0(numbers));
        } else {
            out.add_tensor(name, shape, numbers);
        }
    }
    /// A scale as F16 and 32 bytes per block.
    static std::vector<std::byte> as_q8_0(std::span<const float> numbers) {
        std::vector<std::byte> out;
        for (std::size_t at = 0; at < numbers.size(); at += 32) {
            const auto block = numbers.subspan(at, 32);
            float largest = 0.0F;
            for (const float number : block) {
                largest = std::max(largest, std::abs(number));
            }
            const float scale = largest / 127.0F;
            std::uint16_t half = 0;
            kernels::table_for(kernels::Isa::generic).value()->to_f16(&scale, 1, &half);
            out.push_back(static_cast<std::byte>(half & 0xFFU));
            out.push_back(static_cast<std::byte>(half >> 8U));
            for (const float number : block) {
                out.push_back(
                    static_cast<std::byte>(static_cast<std::int8_t>(std::lround(number / scale))));
            }
        }
        return out;
    }
    void linear(gguf::Writer& out, const std::string& stem, std::uint32_t rows, std::uint32_t cols,
                bool bias) {
        matrix(out, stem + ".weight", rows, cols, deviation(cols), q8_0);
        if (bias) {
            vector(out, stem + ".bias", rows, 0.0F, 0.1F);
        }
    }
    void layer(gguf::Writer& out, const std::string& at) {
        if (nomic()) {
            linear(out, at + "attn_qkv", 3 * dim, dim, false);
        } else {
            linear(out, at + "attn_q", dim, dim, true);
            linear(out, at + "attn_k", dim, dim, true);
            linear(out, at + "attn_v", dim, dim, true);
        }
        linear(out, at + "attn_output", dim, dim, !nomic());
        norm(out, at + "attn_output_norm");
        if (nomic()) {
            linear(out, at + "ffn_gate", ffn, dim, false);
        }
        linear(out, at + "ffn_up", ffn, dim, !nomic());
        linear(out, at + "ffn_down", dim, ffn, !nomic());
        norm(out, at + "layer_output_norm");
    }
    void add_metadata(gguf::Writer& out) const {
        const auto key = [&](const char* name) { return architecture + "." + name; };
        out.add("general.architecture", architecture);
        out.add(key("block_count"), layers);
        out.add(key("context_length"), context);
        out.add(key("embedding_length"), dim);
        out.add(key("feed_forward_length"), ffn);
        out.add(key("attention.head_count"), heads);
        out.add(key("attention.layer_norm_epsilon"), 1e-12F);
        out.add(key("attention.causal"), false);
        out.add(key("pooling_type"), pooling);
        if (nomic()) {
            out.add(key("rope.freq_base"), 1000.0F);
        }
        std::vector<std::int32_t> kinds(words.size(), 1);
        std::fill_n(kinds.begin(), 4, 3);
        out.add("tokenizer.ggml.model", tokenizer);
        out.add("tokenizer.ggml.tokens", std::span<const std::string>(words));
        out.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(kinds));
        out.add("tokenizer.ggml.unknown_token_id", 1U);
        out.add("tokenizer.ggml.cls_token_id", 2U);
        out.add("tokenizer.ggml.bos_token_id", 2U);
        out.add("tokenizer.ggml.seperator_token_id", 3U);
        out.add("tokenizer.ggml.padding_token_id", 0U);
    }

    std::uint64_t state_ = 20;
};

}  // namespace trilane::model
