// Linears of every type against a plain product of the dequantised weights.

#include "tensor/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "gguf/writer.h"
#include "tensor/dequantize.h"

namespace trilane::tensor {
namespace {

constexpr std::size_t kRows = 40;  // not a whole number of panels
constexpr std::size_t kCols = 512;
constexpr std::size_t kTokens = 5;

/// A file with one matrix of random blocks of `type`, its scales small and finite.
std::vector<std::byte> matrix_file(gguf::Type type, bool one_scale) {
    const auto* traits = gguf::traits_of(static_cast<std::uint32_t>(type));
    std::mt19937 random(5);
    std::vector<std::byte> stored;
    const std::size_t blocks = kRows * kCols / traits->block_weights;
    for (std::size_t b = 0; b < blocks; ++b) {
        std::vector<std::byte> block(traits->block_bytes);
        for (std::byte& byte : block) {
            byte = static_cast<std::byte>(random());
            if (type == gguf::Type::tq2_0 || type == gguf::Type::i2_s) {
                // four codes below 3
                byte = static_cast<std::byte>(random() % 3 | random() % 3 << 2U |
                                              random() % 3 << 4U | random() % 3 << 6U);
            } else if (type == gguf::Type::f32 || type == gguf::Type::f16 ||
                       type == gguf::Type::bf16) {
                byte = static_cast<std::byte>(0x38 + random() % 8);  // positive numbers below 2
            }
        }
        const auto set_half = [&](std::size_t at) {
            const auto half = static_cast<std::uint16_t>(0x2800 + (one_scale ? 0 : random() % 512));
            std::memcpy(block.data() + at, &half, sizeof half);
        };
        switch (type) {
            case gguf::Type::tq1_0:
            case gguf::Type::tq2_0:
                set_half(traits->block_bytes - 2);
                break;
            case gguf::Type::q6_k:
                set_half(traits->block_bytes - 2);
                break;
            case gguf::Type::q4_0:
            case gguf::Type::q8_0:
                set_half(0);
                break;
            case gguf::Type::q4_k:
            case gguf::Type::q5_k:
                set_half(0);
                set_half(2);
                break;
            default:
                break;
        }
        stored.insert(stored.end(), block.begin(), block.end());
    }
    if (type == gguf::Type::i2_s) {
        stored.resize(kRows * kCols / 4 + 32);
        const float scale = 0.03125F;
        std::memcpy(stored.data() + kRows * kCols / 4, &scale, sizeof scale);
    }
    gguf::Writer writer;
    const std::uint64_t shape[] = {kCols, kRows};
    writer.add_tensor("w", shape, type, std::move(stored));
    return writer.bytes();
}

struct Case {
    gguf::Type type;
    TernaryPolicy policy;
    bool one_scale;
    double tolerance;  // of the largest output
};

class LinearOf : public ::testing::TestWithParam<Case> {};

TEST_P(LinearOf, EqualsThePlainProduct) {
    const Case& c = GetParam();
    const auto bytes = matrix_file(c.type, c.one_scale);
    const auto file = gguf::File::parse(bytes).value();
    const gguf::Tensor& tensor = *file->find_tensor("w");
    const Linear linear = load_linear(*file, tensor, c.policy).value();
    std::vector<float> plain(kRows * kCols);
    ASSERT_TRUE(dequantize(tensor.type, file->data(tensor), plain));

    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    std::vector<float> x(kTokens * kCols);
    for (float& value : x) {
        value = normal(random);
    }
    const kernels::KernelTable& table = kernels::best_table();
    Activations acts = Activations::make(kTokens, kCols).value();
    for (std::size_t t = 0; t < kTokens; ++t) {
        acts.quantize(table, linear.form, t, x.data() + t * kCols, kCols);
    }
    std::vector<float> y(kTokens * 64);
    const Product products[] = {{&linear, y.data(), 64}};
    for (std::size_t part = 0; part < 3; ++part) {
        matmul_part(table, products, x.data(), kCols, acts, kTokens, {part, 3});
    }
    double largest = 0;
    double worst = 0;
    for (std::size_t t = 0; t < kTokens; ++t) {
        for (std::size_t r = 0; r < kRows; ++r) {
            double expected = 0;
            for (std::size_t k = 0; k < kCols; ++k) {
                expected += static_cast<double>(plain[r * kCols + k]) *
                            static_cast<double>(x[t * kCols + k]);
            }
            largest = std::max(largest, std::abs(expected));
            worst = std::max(worst, std::abs(expected - static_cast<double>(y[t * 64 + r])));
        }
    }
    EXPECT_GT(largest, 0.1);
    EXPECT_LT(worst, c.tolerance * largest);
}

constexpr double kInt8 = 0.02;  // rounding activations to int8
INSTANTIATE_TEST_SUITE_P(
    Types, LinearOf,
    ::testing::Values(Case{gguf::Type::f32, TernaryPolicy::exact, true, 1e-5},
                      Case{gguf::Type::f16, TernaryPolicy::exact, true, 1e-5},
                      Case{gguf::Type::bf16, TernaryPolicy::exact, true, 1e-5},
                      Case{gguf::Type::q8_0, TernaryPolicy::exact, false, kInt8},
                      Case{gguf::Type::q4_0, TernaryPolicy::exact, false, kInt8},
                      Case{gguf::Type::q4_k, TernaryPolicy::exact, false, kInt8},
                      Case{gguf::Type::q5_k, TernaryPolicy::exact, false, kInt8},
                      Case{gguf::Type::q6_k, TernaryPolicy::exact, false, kInt8},
                      Case{gguf::Type::tq1_0, TernaryPolicy::token_i8, true, kInt8},
                      Case{gguf::Type::tq1_0, TernaryPolicy::exact, true, kInt8},
                      Case{gguf::Type::tq2_0, TernaryPolicy::token_i8, true, kInt8},
                      Case{gguf::Type::tq2_0, TernaryPolicy::token_i8, false, kInt8},
                      Case{gguf::Type::tq2_0, TernaryPolicy::exact, true, kInt8},
                      Case{gguf::Type::i2_s, TernaryPolicy::token_i8, true, kInt8}));

TEST(Linear, OneScaleMakesPanelsAndSeveralDoNot) {
    const auto uniform = matrix_file(gguf::Type::tq2_0, true);
    const auto mixed = matrix_file(gguf::Type::tq2_0, false);
    const auto uniform_file = gguf::File::parse(uniform).value();
    const auto mixed_file = gguf::File::parse(mixed).value();
    EXPECT_EQ(
        load_linear(*uniform_file, *uniform_file->find_tensor("w"), TernaryPolicy::token_i8)->form,
        Form::token_i8);
    EXPECT_EQ(
        load_linear(*uniform_file, *uniform_file->find_tensor("w"), TernaryPolicy::exact)->form,
        Form::block_i8);
    EXPECT_EQ(
        load_linear(*mixed_file, *mixed_file->find_tensor("w"), TernaryPolicy::token_i8)->form,
        Form::block_i8);
}

TEST(Linear, RefusesACodeThatIsNotTernary) {
    auto bytes = matrix_file(gguf::Type::tq2_0, true);
    const auto file = gguf::File::parse(bytes).value();
    bytes[file->find_tensor("w")->offset + 70] = std::byte{0xFF};
    const auto broken = load_linear(*file, *file->find_tensor("w"), TernaryPolicy::token_i8);
    ASSERT_FALSE(broken);
    EXPECT_EQ(broken.error().fault, Fault::corrupt);
    EXPECT_NE(broken.error().message.find("tensor w"), std::string::npos) << broken.error().message;
}

}  // namespace
}  // namespace trilane::tensor
