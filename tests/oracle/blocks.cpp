#include "blocks.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/check.h"

namespace trilane::oracle {
namespace {

using Bytes = std::vector<std::byte>;
using gguf::Type;

void put(Bytes& out, std::uint64_t byte) {
    out.push_back(static_cast<std::byte>(byte & 255U));
}

void put_u16(Bytes& out, std::uint32_t value) {
    put(out, value);
    put(out, value >> 8U);
}

/// Nearest half of a number in the range of normal halves, by its definition.
std::uint16_t half_bits(double value) {
    const std::uint16_t sign = value < 0 ? 0x8000U : 0U;
    int exponent = 0;
    const double fraction = std::frexp(std::fabs(value), &exponent);  // [0.5, 1) · 2^exponent
    if (fraction == 0.0 || exponent < -24) {
        return sign;
    }
    if (exponent < -13) {  // subnormal: multiples of 2^-24
        return static_cast<std::uint16_t>(sign + std::lrint(std::ldexp(std::fabs(value), 24)));
    }
    TRILANE_CHECK(exponent <= 16);
    const auto mantissa = std::lrint(std::ldexp(fraction, 11));  // 1024 … 2048
    return static_cast<std::uint16_t>(sign + ((exponent + 13) << 10U) + mantissa);
}

void put_half(Bytes& out, double value) {
    put_u16(out, half_bits(value));
}

double either_sign(double value, Random& random) {
    return random.below(2) == 0 ? value : -value;
}

/// Blocks differ in scale, so that a scale read from the wrong block shows.
double uneven(double scale, Random& random) {
    return scale * random.between(0.7, 1.3);
}

void f32_weight(Bytes& out, double deviation, Random& random) {
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(random.normal() * deviation));
    put_u16(out, bits & 0xFFFFU);
    put_u16(out, bits >> 16U);
}

void bf16_weight(Bytes& out, double deviation, Random& random) {
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(random.normal() * deviation));
    put_u16(out, bits >> 16U);
}

void q8_0_block(Bytes& out, double deviation, Random& random) {
    put_half(out, uneven(deviation / 73.6, random));  // deviation of −127 … 127
    for (int i = 0; i < 32; ++i) {
        put(out, random.below(255) - 127);
    }
}

void q4_0_block(Bytes& out, double deviation, Random& random) {
    put_half(out, either_sign(uneven(deviation / 4.61, random), random));  // −8 … 7
    for (int i = 0; i < 16; ++i) {
        put(out, random.below(256));
    }
}

/// The 16 leading bytes of Q4_K and Q5_K: mins of about `middle` steps, so that weights centre at
/// 0.
void k_scales(Bytes& out, double step, double middle, Random& random) {
    put_half(out, step);
    put_half(out, step * middle);
    std::uint64_t scale[8];
    std::uint64_t min[8];
    for (int j = 0; j < 8; ++j) {
        scale[j] = 22 + random.below(40);
        min[j] = scale[j] - 2 + random.below(4);
    }
    for (int j = 0; j < 4; ++j) {
        put(out, scale[j] | (scale[j + 4] >> 4U) << 6U);
    }
    for (int j = 0; j < 4; ++j) {
        put(out, min[j] | (min[j + 4] >> 4U) << 6U);
    }
    for (int j = 4; j < 8; ++j) {
        put(out, (scale[j] & 15U) | (min[j] & 15U) << 4U);
    }
}

constexpr double kScaleMean = 41.5;  // of 22 … 61

void q4_k_block(Bytes& out, double deviation, Random& random) {
    k_scales(out, uneven(deviation / (4.61 * kScaleMean), random), 7.5, random);
    for (int i = 0; i < 128; ++i) {
        put(out, random.below(256));
    }
}

void q5_k_block(Bytes& out, double deviation, Random& random) {
    k_scales(out, uneven(deviation / (9.23 * kScaleMean), random), 15.5, random);
    for (int i = 0; i < 32 + 128; ++i) {
        put(out, random.below(256));
    }
}

void q6_k_block(Bytes& out, double deviation, Random& random) {
    for (int i = 0; i < 128 + 64; ++i) {
        put(out, random.below(256));
    }
    for (int i = 0; i < 16; ++i) {
        const std::uint64_t scale = 40 + random.below(80);
        put(out, random.below(2) == 0 ? scale : 256 - scale);
    }
    put_half(out, uneven(deviation / (18.5 * 80), random));
}

std::uint64_t trits(int count, Random& random) {
    std::uint64_t value = 0;
    for (int i = 0; i < count; ++i) {
        value = value * 3 + random.below(3);
    }
    for (int i = count; i < 5; ++i) {
        value *= 3;
    }
    return (value * 256 + 242) / 243;
}

void tq1_0_block(Bytes& out, double scale, Random& random) {
    for (int i = 0; i < 48; ++i) {
        put(out, trits(5, random));
    }
    for (int i = 0; i < 4; ++i) {
        put(out, trits(4, random));
    }
    put_half(out, scale);
}

void tq2_0_block(Bytes& out, double scale, Random& random) {
    for (int i = 0; i < 64; ++i) {
        std::uint64_t byte = 0;
        for (unsigned plane = 0; plane < 4; ++plane) {
            byte |= random.below(3) << (2 * plane);
        }
        put(out, byte);
    }
    put_half(out, scale);
}

void block_of(Type type, Bytes& out, double deviation, TernaryScales scales, Random& random) {
    const double ternary = deviation / 0.8165;  // of −1, 0, +1
    const double scale =
        scales == TernaryScales::one_per_tensor ? ternary : uneven(ternary, random);
    switch (type) {
        case Type::f32:
            return f32_weight(out, deviation, random);
        case Type::f16:
            return put_half(out, random.normal() * deviation);
        case Type::bf16:
            return bf16_weight(out, deviation, random);
        case Type::q8_0:
            return q8_0_block(out, deviation, random);
        case Type::q4_0:
            return q4_0_block(out, deviation, random);
        case Type::q4_k:
            return q4_k_block(out, deviation, random);
        case Type::q5_k:
            return q5_k_block(out, deviation, random);
        case Type::q6_k:
            return q6_k_block(out, deviation, random);
        case Type::tq1_0:
            return tq1_0_block(out, scale, random);
        case Type::tq2_0:
            return tq2_0_block(out, scale, random);
        case Type::i2_s:
            break;
    }
    TRILANE_CHECK(false && "the oracle has no such type");
}

}  // namespace

Random::Random(std::string_view seed) : state_(0xCBF29CE484222325U) {
    for (const char c : seed) {  // FNV-1a
        state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
    }
}

std::uint64_t Random::next() {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
}

double Random::normal() {
    double sum = -6.0;
    for (int i = 0; i < 12; ++i) {
        sum += unit();
    }
    return sum;
}

std::vector<std::byte> random_weights(const Drawing& drawing, Random& random) {
    const auto* traits = gguf::traits_of(static_cast<std::uint32_t>(drawing.type));
    TRILANE_CHECK(traits != nullptr && drawing.cols % traits->block_weights == 0);
    const std::size_t blocks = drawing.rows * drawing.cols / traits->block_weights;
    const std::size_t stored_bytes = blocks * traits->block_bytes;
    Bytes out;
    out.reserve(stored_bytes);
    for (std::size_t b = 0; b < blocks; ++b) {
        block_of(drawing.type, out, drawing.deviation, drawing.scales, random);
    }
    TRILANE_CHECK(out.size() == stored_bytes);
    return out;
}

}  // namespace trilane::oracle
