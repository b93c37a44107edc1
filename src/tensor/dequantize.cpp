#include "tensor/dequantize.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "gguf/gguf.h"

namespace trilane::tensor {
namespace {

using gguf::Type;
using Block = const std::uint8_t*;

constexpr std::size_t kSuperBlock = 256;  // weights of a K-quant or ternary block
constexpr std::size_t kI2sGroup = 128;
constexpr std::size_t kI2sGroupBytes = 32;

std::uint16_t load_u16(Block at) {
    std::uint16_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

float load_half(Block at) {
    return half_to_float(load_u16(at));
}

void f32_block(Block block, float* out) {
    std::memcpy(out, block, sizeof *out);
}

void f16_block(Block block, float* out) {
    *out = load_half(block);
}

void bf16_block(Block block, float* out) {
    *out = std::bit_cast<float>(static_cast<std::uint32_t>(load_u16(block)) << 16U);
}

// d, then 16 bytes: weight j in the low nibble of byte j, weight 16 + j in the high one.
void q4_0_block(Block block, float* out) {
    const float d = load_half(block);
    for (std::size_t j = 0; j < 16; ++j) {
        const unsigned byte = block[2 + j];
        out[j] = static_cast<float>(static_cast<int>(byte & 15U) - 8) * d;
        out[16 + j] = static_cast<float>(static_cast<int>(byte >> 4U) - 8) * d;
    }
}

void q8_0_block(Block block, float* out) {
    const float d = load_half(block);
    for (std::size_t j = 0; j < 32; ++j) {
        out[j] = static_cast<float>(static_cast<std::int8_t>(block[2 + j])) * d;
    }
}

struct ScaleMin {
    float scale;
    float min;
};

/// Sub-block j (0…7) of Q4_K and Q5_K: two 6-bit numbers from 12 bytes. The first four of each
/// stand in the low 6 bits of bytes 0–3 and 4–7; the others in the nibbles of bytes 8–11, their
/// upper two bits in the top of the bytes before.
ScaleMin k_scale_min(Block scales, std::size_t j, float d, float dmin) {
    unsigned scale = scales[j % 4] & 63U;
    unsigned min = scales[4 + j % 4] & 63U;
    if (j >= 4) {
        const unsigned nibbles = scales[4 + j];
        scale = (nibbles & 15U) | ((scales[j - 4] >> 6U) << 4U);
        min = (nibbles >> 4U) | ((scales[j] >> 6U) << 4U);
    }
    return {d * static_cast<float>(scale), dmin * static_cast<float>(min)};
}

// d, dmin, 12 bytes of scales, 128 bytes: sub-blocks 2i and 2i+1 are the low and the high nibbles
// of bytes 32i … 32i+31.
void q4_k_block(Block block, float* out) {
    const float d = load_half(block);
    const float dmin = load_half(block + 2);
    for (std::size_t j = 0; j < 8; ++j) {
        const ScaleMin sub = k_scale_min(block + 4, j, d, dmin);
        const Block quants = block + 16 + j / 2 * 32;
        const unsigned shift = j % 2 == 0 ? 0 : 4;
        for (std::size_t i = 0; i < 32; ++i) {
            const unsigned q = (static_cast<unsigned>(quants[i]) >> shift) & 15U;
            out[32 * j + i] = sub.scale * static_cast<float>(q) - sub.min;
        }
    }
}

// As Q4_K with a fifth bit: bit j of byte 16 + i belongs to weight i of sub-block j.
void q5_k_block(Block block, float* out) {
    const float d = load_half(block);
    const float dmin = load_half(block + 2);
    const Block high = block + 16;
    for (std::size_t j = 0; j < 8; ++j) {
        const ScaleMin sub = k_scale_min(block + 4, j, d, dmin);
        const Block quants = block + 48 + j / 2 * 32;
        const unsigned shift = j % 2 == 0 ? 0 : 4;
        for (std::size_t i = 0; i < 32; ++i) {
            const unsigned low = (static_cast<unsigned>(quants[i]) >> shift) & 15U;
            const unsigned fifth = (static_cast<unsigned>(high[i]) >> j) & 1U;
            out[32 * j + i] = sub.scale * static_cast<float>(low | (fifth << 4U)) - sub.min;
        }
    }
}

// 128 bytes of low nibbles, 64 of upper pairs, 16 int8 scales, d. Half h holds 4 runs of 32: runs
// 0 and 1 are the low nibbles of its 64 bytes, 2 and 3 the high ones; run r's upper bits are pair
// r.
void q6_k_block(Block block, float* out) {
    const float d = load_half(block + 208);
    for (std::size_t half = 0; half < 2; ++half) {
        const Block low = block + 64 * half;
        const Block high = block + 128 + 32 * half;
        const Block scales = block + 192 + 8 * half;
        for (std::size_t run = 0; run < 4; ++run) {
            float* to = out + 128 * half + 32 * run;
            for (std::size_t i = 0; i < 32; ++i) {
                const unsigned nibble =
                    (static_cast<unsigned>(low[32 * (run % 2) + i]) >> (run < 2 ? 0U : 4U)) & 15U;
                const unsigned pair = (static_cast<unsigned>(high[i]) >> (2 * run)) & 3U;
                const int q = static_cast<int>(nibble | (pair << 4U)) - 32;
                const auto scale = static_cast<std::int8_t>(scales[2 * run + i / 16]);
                to[i] = d * static_cast<float>(scale) * static_cast<float>(q);
            }
        }
    }
}

// A byte holds up to five base-3 digits as a fraction of 256: times 3, what passes 256 is the
// digit.
constexpr std::uint8_t trit(unsigned byte, unsigned position) {
    constexpr std::array<unsigned, 5> kPower{1, 3, 9, 27, 81};
    return static_cast<std::uint8_t>((((byte * kPower[position]) & 255U) * 3U) >> 8U);
}

/// Runs of `width` bytes: digit n of byte m is weight n · width + m of the run.
template <std::size_t width, unsigned digits>
void trit_run(Block bytes, std::uint8_t* codes) {
    for (unsigned n = 0; n < digits; ++n) {
        for (std::size_t m = 0; m < width; ++m) {
            codes[n * width + m] = trit(bytes[m], n);
        }
    }
}

// 48 bytes of five digits (a run of 32, a run of 16), 4 bytes of four digits, d.
void tq1_0_codes(Block block, std::uint8_t* codes) {
    trit_run<32, 5>(block, codes);
    trit_run<16, 5>(block + 32, codes + 160);
    trit_run<4, 4>(block + 48, codes + 240);
}

// 64 bytes, d. Half h: byte 32h + m holds weights m, 32 + m, 64 + m, 96 + m at bits 0, 2, 4, 6.
void tq2_0_codes(Block block, std::uint8_t* codes) {
    for (std::size_t half = 0; half < 2; ++half) {
        for (std::size_t plane = 0; plane < 4; ++plane) {
            std::uint8_t* to = codes + 128 * half + 32 * plane;
            for (std::size_t m = 0; m < 32; ++m) {
                const unsigned byte = block[32 * half + m];
                to[m] = static_cast<std::uint8_t>((byte >> (2 * plane)) & 3U);
            }
        }
    }
}

// 32 bytes: byte m holds weights m, 32 + m, 64 + m, 96 + m at bits 6, 4, 2, 0.
void i2_s_codes(Block group, std::uint8_t* codes) {
    for (std::size_t plane = 0; plane < 4; ++plane) {
        for (std::size_t m = 0; m < 32; ++m) {
            const unsigned byte = group[m];
            codes[32 * plane + m] = static_cast<std::uint8_t>((byte >> (6 - 2 * plane)) & 3U);
        }
    }
}

template <void (*decode)(Block, std::uint8_t*), std::size_t scale_at>
void ternary_block(Block block, float* out) {
    std::array<std::uint8_t, kSuperBlock> codes{};
    decode(block, codes.data());
    const float d = load_half(block + scale_at);
    for (std::size_t i = 0; i < kSuperBlock; ++i) {
        out[i] = static_cast<float>(static_cast<int>(codes[i]) - 1) * d;
    }
}

void i2_s_tensor(Block block, std::span<float> out) {
    constexpr std::array<float, 4> kValue{-1.0F, 0.0F, 1.0F, 0.0F};  // bitnet.cpp reads code 3 as 0
    float scale;
    std::memcpy(&scale, block + out.size() / 4, sizeof scale);
    std::array<std::uint8_t, kI2sGroup> codes{};
    for (std::size_t at = 0; at < out.size(); at += kI2sGroup, block += kI2sGroupBytes) {
        i2_s_codes(block, codes.data());
        for (std::size_t i = 0; i < kI2sGroup; ++i) {
            out[at + i] = kValue[codes[i]] * scale;
        }
    }
}

Status require_sizes(std::uint32_t type_id, std::size_t bytes, std::size_t weights) {
    const auto wanted = gguf::stored_bytes(type_id, weights);
    if (!wanted) {
        return fail(Fault::corrupt, "{} weights are no whole number of {} blocks", weights,
                    gguf::type_label(type_id));
    }
    if (*wanted != bytes) {
        return fail(Fault::corrupt, "{} weights of type {} take {} bytes, not {}", weights,
                    gguf::type_label(type_id), *wanted, bytes);
    }
    return {};
}

template <void (*decode)(Block, float*), std::size_t block_weights, std::size_t block_bytes>
void each_block(Block block, std::span<float> out) {
    for (std::size_t at = 0; at < out.size(); at += block_weights, block += block_bytes) {
        decode(block, out.data() + at);
    }
}

}  // namespace

float half_to_float(std::uint16_t half) {
    const std::uint32_t sign = (half & 0x8000U) << 16U;
    const std::uint32_t rest = half & 0x7FFFU;
    if (rest >= 0x7C00U) {  // infinities and NaNs
        return std::bit_cast<float>(sign | 0x7F800000U | ((rest & 0x3FFU) << 13U));
    }
    // The exponent is too large by 112 as a float's; a multiplication puts that right, subnormals
    // included.
    const float magnitude = std::bit_cast<float>(rest << 13U) * 0x1p112F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

Status dequantize(std::uint32_t type_id, std::span<const std::byte> bytes, std::span<float> out) {
    if (gguf::traits_of(type_id) == nullptr) {
        return fail(Fault::invalid, "weights of {} (id {}) cannot be read",
                    gguf::type_label(type_id), type_id);
    }
    TRILANE_TRY_STATUS(require_sizes(type_id, bytes.size(), out.size()));
    const Block block = reinterpret_cast<Block>(bytes.data());
    switch (static_cast<Type>(type_id)) {
        case Type::f32:
            each_block<f32_block, 1, 4>(block, out);
            break;
        case Type::f16:
            each_block<f16_block, 1, 2>(block, out);
            break;
        case Type::bf16:
            each_block<bf16_block, 1, 2>(block, out);
            break;
        case Type::q4_0:
            each_block<q4_0_block, 32, 18>(block, out);
            break;
        case Type::q8_0:
            each_block<q8_0_block, 32, 34>(block, out);
            break;
        case Type::q4_k:
            each_block<q4_k_block, kSuperBlock, 144>(block, out);
            break;
        case Type::q5_k:
            each_block<q5_k_block, kSuperBlock, 176>(block, out);
            break;
        case Type::q6_k:
            each_block<q6_k_block, kSuperBlock, 210>(block, out);
            break;
        case Type::tq1_0:
            each_block<ternary_block<tq1_0_codes, 52>, kSuperBlock, 54>(block, out);
            break;
        case Type::tq2_0:
            each_block<ternary_block<tq2_0_codes, 64>, kSuperBlock, 66>(block, out);
            break;
        case Type::i2_s:
            i2_s_tensor(block, out);
            break;
    }
    return {};
}

bool is_ternary(std::uint32_t type_id) {
    const auto type = static_cast<Type>(type_id);
    return type == Type::tq1_0 || type == Type::tq2_0 || type == Type::i2_s;
}

std::size_t ternary_scales(std::uint32_t type_id, std::size_t weights) {
    return static_cast<Type>(type_id) == Type::i2_s ? 1 : weights / kSuperBlock;
}

Status ternary_codes(std::uint32_t type_id, std::span<const std::byte> bytes,
                     std::span<std::uint8_t> codes, std::span<float> scales) {
    if (!is_ternary(type_id)) {
        return fail(Fault::invalid, "{} is no ternary type", gguf::type_label(type_id));
    }
    TRILANE_TRY_STATUS(require_sizes(type_id, bytes.size(), codes.size()));
    if (scales.size() != ternary_scales(type_id, codes.size())) {
        return fail(Fault::corrupt, "{} weights of type {} have {} scales, not {}", codes.size(),
                    gguf::type_label(type_id), ternary_scales(type_id, codes.size()),
                    scales.size());
    }
    const Block block = reinterpret_cast<Block>(bytes.data());
    if (static_cast<Type>(type_id) == Type::i2_s) {
        for (std::size_t g = 0; g < codes.size() / kI2sGroup; ++g) {
            i2_s_codes(block + g * kI2sGroupBytes, codes.data() + g * kI2sGroup);
        }
        std::memcpy(scales.data(), block + codes.size() / 4, sizeof(float));
    } else {
        const bool one = static_cast<Type>(type_id) == Type::tq1_0;
        const std::size_t block_bytes = one ? 54 : 66;
        for (std::size_t b = 0; b < scales.size(); ++b) {
            const Block at = block + b * block_bytes;
            (one ? tq1_0_codes : tq2_0_codes)(at, codes.data() + b * kSuperBlock);
            scales[b] = load_half(at + block_bytes - 2);
        }
    }
    // A plain maximum over bytes: the compiler makes it wide, and code 3 is the only bad one.
    std::uint8_t largest = 0;
    for (const std::uint8_t code : codes) {
        largest = std::max(largest, code);
    }
    if (largest > 2) {
        return fail(Fault::corrupt, "a ternary weight has code 3; codes are 0, 1 and 2");
    }
    if (!std::all_of(scales.begin(), scales.end(), [](float s) { return std::isfinite(s); })) {
        return fail(Fault::corrupt, "a ternary scale is not a finite number");
    }
    return {};
}

std::optional<float> uniform_ternary_scale(std::span<const std::uint8_t> codes,
                                           std::span<const float> scales) {
    if (scales.empty() || codes.size() % scales.size() != 0) {
        return std::nullopt;
    }
    const std::size_t each = codes.size() / scales.size();
    std::optional<float> shared;
    for (std::size_t b = 0; b < scales.size(); ++b) {
        if (shared == scales[b]) {
            continue;
        }
        const auto block = codes.subspan(b * each, each);
        if (std::all_of(block.begin(), block.end(), [](std::uint8_t c) { return c == 1; })) {
            continue;
        }
        if (shared) {
            return std::nullopt;
        }
        shared = scales[b];
    }
    return shared.value_or(0.0F);
}

}  // namespace trilane::tensor
