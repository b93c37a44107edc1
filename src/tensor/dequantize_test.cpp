// Golden blocks of every readable type, computed by hand from the layouts.
#include "tensor/dequantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <vector>

#include "gguf/gguf.h"

namespace trilane::tensor {
namespace {

using gguf::Type;
using ::testing::Each;
using ::testing::HasSubstr;

// Halves by their bits, so that no conversion of ours stands between the test and the bytes.
constexpr std::array<unsigned, 2> kHalfOne{0x00, 0x3C};     // 1.0
constexpr std::array<unsigned, 2> kHalfTwo{0x00, 0x40};     // 2.0
constexpr std::array<unsigned, 2> kHalfHalf{0x00, 0x38};    // 0.5
constexpr std::array<unsigned, 2> kHalfMinus3{0x00, 0xC2};  // −3.0

std::uint32_t id(Type type) {
    return static_cast<std::uint32_t>(type);
}

class Bytes {
public:
    Bytes& half(const std::array<unsigned, 2>& bits) { return list({bits[0], bits[1]}); }
    Bytes& list(std::initializer_list<unsigned> values) {
        for (const unsigned value : values) {
            bytes_.push_back(static_cast<std::byte>(value));
        }
        return *this;
    }
    Bytes& times(std::size_t count, unsigned value) {
        bytes_.insert(bytes_.end(), count, static_cast<std::byte>(value));
        return *this;
    }
    Bytes& real(float value) {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        return list({bits & 255U, (bits >> 8U) & 255U, (bits >> 16U) & 255U, bits >> 24U});
    }
    Bytes& set(std::size_t at, unsigned value) {
        bytes_.at(at) = static_cast<std::byte>(value);
        return *this;
    }
    [[nodiscard]] const std::vector<std::byte>& get() const { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

std::vector<float> decoded(Type type, const Bytes& bytes, std::size_t weights) {
    // NaN where nothing is written, so that a gap shows.
    std::vector<float> out(weights, std::numeric_limits<float>::quiet_NaN());
    const Status status = dequantize(id(type), bytes.get(), out);
    EXPECT_TRUE(status.has_value()) << (status ? "" : status.error().message);
    return out;
}

TEST(HalfToFloat, EveryHalfHasItsValue) {
    for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
        const float value = half_to_float(static_cast<std::uint16_t>(bits));
        const int exponent = static_cast<int>((bits >> 10U) & 31U);
        const auto mantissa = static_cast<float>(bits & 0x3FFU);
        EXPECT_EQ(std::signbit(value), bits >= 0x8000U) << bits;
        if (exponent == 31) {
            EXPECT_EQ(std::isnan(value), mantissa != 0) << bits;
            EXPECT_EQ(std::isinf(value), mantissa == 0) << bits;
            continue;
        }
        const float magnitude = exponent == 0 ? std::ldexp(mantissa, -24)
                                              : std::ldexp(mantissa + 1024.0F, exponent - 25);
        EXPECT_EQ(std::fabs(value), magnitude) << bits;
    }
}

TEST(Dequantize, PlainNumbers) {
    EXPECT_THAT(decoded(Type::f32, Bytes().real(-1.5F).real(3e38F), 2),
                ::testing::ElementsAre(-1.5F, 3e38F));
    EXPECT_THAT(decoded(Type::f16, Bytes().half(kHalfMinus3).list({0x01, 0x00}), 2),
                ::testing::ElementsAre(-3.0F, 0x1p-24F));
    EXPECT_THAT(decoded(Type::bf16, Bytes().list({0x80, 0x3F, 0x40, 0xC0}), 2),
                ::testing::ElementsAre(1.0F, -3.0F));
}

TEST(Dequantize, Q4_0PutsLowNibblesFirst) {
    const Bytes block = Bytes().half(kHalfHalf).times(16, 0x88).set(2, 0xF0).set(17, 0x1A);
    const auto out = decoded(Type::q4_0, block, 32);
    EXPECT_EQ(out[0], -4.0F);   // 0 − 8
    EXPECT_EQ(out[16], 3.5F);   // 15 − 8
    EXPECT_EQ(out[15], 1.0F);   // 10 − 8
    EXPECT_EQ(out[31], -3.5F);  // 1 − 8
    EXPECT_EQ(out[1], 0.0F);
    EXPECT_EQ(out[30], 0.0F);
}

TEST(Dequantize, Q8_0IsSigned) {
    Bytes block = Bytes().half(kHalfTwo).times(32, 0).set(2, 0x80).set(3, 0x7F).set(33, 0xFF);
    block.half(kHalfOne).times(32, 5);
    const auto out = decoded(Type::q8_0, block, 64);
    EXPECT_EQ(out[0], -256.0F);
    EXPECT_EQ(out[1], 254.0F);
    EXPECT_EQ(out[31], -2.0F);
    EXPECT_EQ(out[30], 0.0F);
    EXPECT_EQ(out[32], 5.0F);
    EXPECT_EQ(out[63], 5.0F);
}

// The twelve bytes below hold scales 1, 2, 3, 4, 37, 22, 55, 40 and mins 5, 6, 7, 8, 9, 26, 43, 60:
// the last four of each as a low nibble and two bits above one of the first four.
constexpr std::array<float, 8> kScales{1, 2, 3, 4, 37, 22, 55, 40};
constexpr std::array<float, 8> kMins{5, 6, 7, 8, 9, 26, 43, 60};

Bytes k_header() {
    return Bytes().half(kHalfTwo).half(kHalfHalf).list(
        {1 | (2U << 6U), 2 | (1U << 6U), 3 | (3U << 6U), 4 | (2U << 6U),  // scales 0–3, tops of 4–7
         5 | (0U << 6U), 6 | (1U << 6U), 7 | (2U << 6U), 8 | (3U << 6U),  // mins 0–3, tops of 4–7
         5 | (9U << 4U), 6 | (10U << 4U), 7 | (11U << 4U), 8 | (12U << 4U)});
}

TEST(Dequantize, Q4_KUnpacksSixBitScalesAndMins) {
    Bytes block = k_header();
    block.times(128, 0x31);
    block.set(16, 0xF0).set(143, 0x0E);
    const auto out = decoded(Type::q4_k, block, 256);
    for (std::size_t j = 0; j < 8; ++j) {
        for (std::size_t i = 0; i < 32; ++i) {
            float q = j % 2 == 0 ? 1.0F : 3.0F;
            if (i == 0 && j < 2) {
                q = j == 0 ? 0.0F : 15.0F;
            }
            if (i == 31 && j >= 6) {
                q = j == 6 ? 14.0F : 0.0F;
            }
            EXPECT_EQ(out[32 * j + i], 2.0F * kScales[j] * q - 0.5F * kMins[j]) << j << " " << i;
        }
    }
}

TEST(Dequantize, Q5_KAddsTheFifthBitOfItsSubBlock) {
    Bytes block = k_header();
    block.times(32, 0).times(128, 0x31);
    block.set(16 + 3, 0x81);   // weight 3 of sub-blocks 0 and 7
    block.set(16 + 31, 0x10);  // weight 31 of sub-block 4
    const auto out = decoded(Type::q5_k, block, 256);
    for (std::size_t j = 0; j < 8; ++j) {
        for (std::size_t i = 0; i < 32; ++i) {
            const bool fifth = (i == 3 && (j == 0 || j == 7)) || (i == 31 && j == 4);
            const float q = (j % 2 == 0 ? 1.0F : 3.0F) + (fifth ? 16.0F : 0.0F);
            EXPECT_EQ(out[32 * j + i], 2.0F * kScales[j] * q - 0.5F * kMins[j]) << j << " " << i;
        }
    }
}

TEST(Dequantize, Q6_KJoinsNibblesPairsAndSignedScales) {
    Bytes block;
    block.times(64, 0x21).times(64, 0x43);  // low nibbles: half 0: 1, 1, 2, 2; half 1: 3, 3, 4, 4
    block.times(32, 0xE4).times(32, 0x1B);  // pairs: half 0: 0, 1, 2, 3; half 1: 3, 2, 1, 0
    for (unsigned s = 0; s < 16; ++s) {
        block.list({s < 8 ? s + 1 : 256 - s});  // 1 … 8, −8 … −15
    }
    block.half(kHalfHalf);
    const auto out = decoded(Type::q6_k, block, 256);
    constexpr std::array<float, 8> q{1 - 32,      1 + 16 - 32, 2 + 32 - 32, 2 + 48 - 32,
                                     3 + 48 - 32, 3 + 32 - 32, 4 + 16 - 32, 4 - 32};
    for (std::size_t i = 0; i < 256; ++i) {
        const auto s = static_cast<float>(i / 16);
        const float scale = s < 8 ? s + 1 : -s;
        EXPECT_EQ(out[i], 0.5F * scale * q[i / 32]) << i;
    }
}

TEST(Dequantize, Q6_KReadsEachByteWhereItStands) {
    Bytes block;
    block.times(192, 0).times(16, 1).half(kHalfOne);
    block.set(33, 0xA0);        // half 0: weight 1 of run 1 (low) and run 3 (high)
    block.set(128 + 63, 0x40);  // half 1: weight 31 of run 3
    const auto out = decoded(Type::q6_k, block, 256);
    for (std::size_t i = 0; i < 256; ++i) {
        const float q = i == 97 ? 10.0F : i == 255 ? 16.0F : 0.0F;
        EXPECT_EQ(out[i], q - 32.0F) << i;
    }
}

/// The byte for five digits, as the packer rounds it: ⌈v · 256 / 243⌉, first digit most
/// significant.
unsigned packed_trits(const std::array<unsigned, 5>& digits) {
    unsigned value = 0;
    for (const unsigned digit : digits) {
        value = value * 3 + digit;
    }
    return (value * 256 + 242) / 243;
}

TEST(Dequantize, Tq1_0DecodesEveryFiveTritByteInEveryPlace) {
    for (unsigned v = 0; v < 243; ++v) {
        const std::array<unsigned, 5> digits{v / 81, v / 27 % 3, v / 9 % 3, v / 3 % 3, v % 3};
        const unsigned byte = packed_trits(digits);
        ASSERT_LT(byte, 256U);
        const auto out =
            decoded(Type::tq1_0, Bytes().times(48, byte).times(4, byte).half(kHalfTwo), 256);
        for (std::size_t i = 0; i < 256; ++i) {
            const std::size_t place = i < 160 ? i / 32 : i < 240 ? (i - 160) / 16 : (i - 240) / 4;
            EXPECT_EQ(out[i], 2.0F * (static_cast<float>(digits[place]) - 1.0F)) << v << " " << i;
        }
    }
}

TEST(Dequantize, Tq1_0ReadsEachByteWhereItStands) {
    const unsigned zeros = packed_trits({1, 1, 1, 1, 1});
    const unsigned first = packed_trits({2, 1, 1, 1, 0});  // +1 first, −1 last
    struct Case {
        std::size_t byte;
        std::size_t plus;
        std::size_t minus;
    };
    for (const Case& place : {Case{0, 0, 128}, Case{31, 31, 159}, Case{32, 160, 224},
                              Case{47, 175, 239}, Case{48, 240, 256}, Case{51, 243, 256}}) {
        Bytes block;
        block.times(52, zeros).half(kHalfOne).set(place.byte, first);
        const auto out = decoded(Type::tq1_0, block, 256);
        for (std::size_t i = 0; i < 256; ++i) {
            const float want = i == place.plus ? 1.0F : i == place.minus ? -1.0F : 0.0F;
            EXPECT_EQ(out[i], want) << place.byte << " " << i;
        }
    }
}

TEST(Dequantize, Tq2_0HasFourPlanesPerHalf) {
    // 0xA4 = codes 0, 1, 2, 2 from the low end; 0x06 = codes 2, 1, 0, 0.
    const Bytes block = Bytes().times(32, 0xA4).times(32, 0x06).half(kHalfMinus3);
    const auto out = decoded(Type::tq2_0, block, 256);
    constexpr std::array<float, 8> want{3, 0, -3, -3, -3, 0, 3, 3};
    for (std::size_t i = 0; i < 256; ++i) {
        EXPECT_EQ(out[i], want[i / 32]) << i;
    }
    const auto one =
        decoded(Type::tq2_0, Bytes().times(64, 0x55).half(kHalfOne).set(33, 0x59), 256);
    EXPECT_EQ(one[128 + 32 + 1], 1.0F);  // byte 1 of half 1, plane 1
    EXPECT_EQ(std::count(one.begin(), one.end(), 0.0F), 255);
}

Bytes i2_s_two_groups() {
    Bytes bytes;
    bytes.times(32, 0x1A);              // codes 0, 1, 2, 2 from the high end
    bytes.times(32, 0x55);              // zeros
    bytes.set(32 + 5, 0x95);            // group 1: weight 5 is code 2
    bytes.real(0.75F).times(28, 0xEE);  // the rest of the trailer means nothing
    return bytes;
}

TEST(Dequantize, I2SGroupsRunThroughTheTensorAndTheScaleFollows) {
    const auto out = decoded(Type::i2_s, i2_s_two_groups(), 256);
    constexpr std::array<float, 4> want{-0.75F, 0.0F, 0.75F, 0.75F};
    for (std::size_t i = 0; i < 128; ++i) {
        EXPECT_EQ(out[i], want[i / 32]) << i;
    }
    for (std::size_t i = 128; i < 256; ++i) {
        EXPECT_EQ(out[i], i == 133 ? 0.75F : 0.0F) << i;
    }
}

TEST(Dequantize, WrongSizesAndTypesAreRefused) {
    std::vector<float> out(256);
    const std::vector<std::byte> bytes(144);
    const auto message = [&](std::uint32_t type, std::size_t have, std::size_t weights) {
        const Status status =
            dequantize(type, std::span(bytes).first(have), std::span(out).first(weights));
        return status ? std::string("accepted") : status.error().message;
    };
    EXPECT_EQ(message(id(Type::q4_k), 144, 256), "accepted");
    EXPECT_THAT(message(id(Type::q4_k), 143, 256), HasSubstr("take 144 bytes, not 143"));
    EXPECT_THAT(message(id(Type::q4_k), 144, 255), HasSubstr("no whole number of Q4_K blocks"));
    EXPECT_THAT(message(id(Type::i2_s), 32, 128), HasSubstr("take 64 bytes, not 32"));
    EXPECT_THAT(message(42, 72, 256), HasSubstr("cannot be read"));
    EXPECT_EQ(message(id(Type::q8_0), 0, 0), "accepted");
}

struct Ternary {
    std::vector<std::uint8_t> codes;
    std::vector<float> scales;
};

Result<Ternary> split(Type type, const Bytes& bytes, std::size_t weights) {
    Ternary out{std::vector<std::uint8_t>(weights, 9),
                std::vector<float>(ternary_scales(id(type), weights))};
    TRILANE_TRY_STATUS(ternary_codes(id(type), bytes.get(), out.codes, out.scales));
    return out;
}

TEST(TernaryCodes, EqualTheDequantizedWeights) {
    // Every byte value somewhere in TQ1_0; TQ2_0 without code 3.
    Bytes tq1;
    for (unsigned b = 0; b < 5; ++b) {
        for (unsigned i = 0; i < 52; ++i) {
            tq1.list({(52 * b + i) & 255U});
        }
        tq1.half(b % 2 == 0 ? kHalfTwo : kHalfMinus3);
    }
    Bytes tq2;
    for (unsigned i = 0; i < 64; ++i) {
        tq2.list({i % 3 | (i / 3 % 3) << 2U | (i / 9 % 3) << 4U | (i / 27 % 3) << 6U});
    }
    tq2.half(kHalfHalf);
    const auto check = [](Type type, const Bytes& bytes, std::size_t weights) {
        const auto out = split(type, bytes, weights);
        ASSERT_TRUE(out.has_value()) << out.error().message;
        const auto floats = decoded(type, bytes, weights);
        for (std::size_t i = 0; i < weights; ++i) {
            const float scale = out->scales[i * out->scales.size() / weights];
            EXPECT_EQ((static_cast<float>(out->codes[i]) - 1.0F) * scale, floats[i]) << i;
        }
    };
    check(Type::tq1_0, tq1, 5 * 256);
    check(Type::tq2_0, tq2, 256);
    check(Type::i2_s, i2_s_two_groups(), 256);
}

TEST(TernaryCodes, CodeThreeAndBrokenScalesAreCorrupt) {
    const auto fault = [](Type type, const Bytes& bytes, std::size_t weights) {
        const auto out = split(type, bytes, weights);
        return out ? std::string("accepted") : out.error().message;
    };
    Bytes tq2;
    tq2.times(64, 0x55).half(kHalfOne);
    EXPECT_EQ(fault(Type::tq2_0, tq2, 256), "accepted");
    EXPECT_THAT(fault(Type::tq2_0, Bytes(tq2).set(63, 0xD5), 256), HasSubstr("code 3"));
    EXPECT_THAT(fault(Type::tq2_0, Bytes(tq2).set(64, 0).set(65, 0x7C), 256), HasSubstr("finite"));
    EXPECT_THAT(fault(Type::i2_s, i2_s_two_groups().set(0, 0x1B), 256), HasSubstr("code 3"));
    EXPECT_THAT(fault(Type::q8_0, Bytes().times(34, 0), 32), HasSubstr("no ternary type"));
    EXPECT_THAT(fault(Type::tq2_0, Bytes().times(65, 0), 256), HasSubstr("not 65"));
    std::vector<std::uint8_t> codes(256);
    std::vector<float> scales(2);
    EXPECT_FALSE(ternary_codes(id(Type::tq2_0), tq2.get(), codes, scales).has_value());
}

TEST(TernaryCodes, TheSharedScaleIgnoresBlocksOfZeros) {
    const auto shared = [](std::initializer_list<unsigned> bytes,
                           std::initializer_list<float> scales) {
        std::vector<std::uint8_t> codes;
        for (const unsigned b : bytes) {
            codes.insert(codes.end(), 256, static_cast<std::uint8_t>(b));
        }
        return uniform_ternary_scale(codes, std::vector<float>(scales));
    };
    EXPECT_EQ(shared({2, 1, 0}, {0.5F, 7.0F, 0.5F}), 0.5F);
    EXPECT_EQ(shared({1, 2}, {7.0F, 0.5F}), 0.5F);
    EXPECT_EQ(shared({2, 0}, {0.5F, 0.25F}), std::nullopt);
    EXPECT_EQ(shared({1, 1}, {7.0F, 8.0F}), 0.0F);
    EXPECT_EQ(shared({}, {}), std::nullopt);
}

}  // namespace
}  // namespace trilane::tensor
