// Tests of every kernel of every table this CPU can run: the reference against plain definitions,
// the other tables against the reference, and batched against single, bit for bit.
#include "kernels/kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "kernels/block_formats.h"

namespace trilane::kernels {
namespace {

constexpr Isa kIsas[] = {Isa::generic, Isa::avx2, Isa::avxvnni, Isa::avx512};

using Sizes = std::initializer_list<std::size_t>;

const KernelTable& reference() {
    return **table_for(Isa::generic);
}

std::uint16_t half(float value) {
    std::uint16_t out = 0;
    reference().to_f16(&value, 1, &out);
    return out;
}

double from_half(std::uint16_t value) {
    float out = 0;
    reference().from_f16(&value, 1, &out);
    return static_cast<double>(out);
}

std::vector<float> random_floats(std::mt19937& rng, std::size_t count, float spread = 1.0F) {
    std::normal_distribution<float> normal(0.0F, spread);
    std::vector<float> out(count);
    std::generate(out.begin(), out.end(), [&] { return normal(rng); });
    return out;
}

/// Activations in all forms, and outputs guarded by a canary.
struct Activations {
    std::size_t k;
    std::size_t n;
    std::vector<float> x;
    std::vector<std::int8_t> xq;
    std::vector<float> scale;
    std::vector<std::int32_t> sum;
    std::size_t groups;  ///< 1: per token; otherwise per 32

    static constexpr std::size_t kPad = 16;  ///< elements between tokens: strides differ from k

    Activations(std::mt19937& rng, std::size_t k_, std::size_t n_, bool per_token)
        : k(k_), n(n_), groups(per_token ? 1 : k_ / kGroup) {
        x = random_floats(rng, n * stride());
        xq.resize(n * stride());
        std::uniform_int_distribution<int> byte(per_token ? -128 : -127, 127);
        std::generate(xq.begin(), xq.end(), [&] { return static_cast<std::int8_t>(byte(rng)); });
        scale = random_floats(rng, n * groups, 0.05F);
        resum();
    }
    void fill_q(std::int8_t value) {
        std::fill(xq.begin(), xq.end(), value);
        resum();
    }
    [[nodiscard]] std::size_t stride() const { return k + kPad; }

    [[nodiscard]] MatmulArgs args(const void* weights, std::size_t rows,
                                  std::vector<float>& y) const {
        MatmulArgs a;
        a.weights = weights;
        a.k = k;
        a.row_end = rows;
        a.weight_scale = 0.37F;
        a.n = n;
        a.x = x.data();
        a.x_stride = stride();
        a.xq = xq.data();
        a.x_scale = scale.data();
        a.x_sum = sum.data();
        a.x_group_stride = groups;
        y.assign(n * (rows + 3), -12345.0F);
        a.y = y.data();
        a.y_stride = rows + 3;
        return a;
    }

private:
    void resum() {
        sum.assign(n * groups, 0);
        for (std::size_t t = 0; t < n; ++t) {
            for (std::size_t i = 0; i < k; ++i) {
                sum[t * groups + i * groups / k] += xq[t * stride() + i];
            }
        }
    }
};

std::vector<std::uint32_t> bits(const std::vector<float>& values) {
    std::vector<std::uint32_t> out(values.size());
    std::memcpy(out.data(), values.data(), values.size() * sizeof(float));
    return out;
}

std::vector<float> product(Matmul op, const Activations& x, const void* w, std::size_t rows) {
    std::vector<float> y;
    op(x.args(w, rows, y));
    return y;
}

// --- weights of every kind -----------------------------------------------------------------------

struct Kind {
    const char* name;
    Matmul KernelTable::*op;
    std::size_t granule;   ///< k is a multiple of it
    std::size_t row_step;  ///< row ranges are multiples of it
    bool per_token;
    bool exact;                          ///< tables equal bit for bit
    std::size_t bytes;                   ///< of `granule` weights; 0: panels
    std::vector<std::size_t> scales_at;  ///< byte offsets of F16 scales in a block
};

const std::vector<Kind>& kinds() {
    static const std::vector<Kind> all{
        {"t2_i8", &KernelTable::t2_i8, kPanelStep, kPanelRows, true, true, 0, {}},
        {"q8_0", &KernelTable::q8_0, kGroup, 1, false, true, kQ80Bytes, {0}},
        {"q4_0", &KernelTable::q4_0, kGroup, 1, false, true, kQ40Bytes, {0}},
        {"q4_k", &KernelTable::q4_k, kSuperBlock, 1, false, true, kQ4kBytes, {0, 2}},
        {"q5_k", &KernelTable::q5_k, kSuperBlock, 1, false, true, kQ5kBytes, {0, 2}},
        {"q6_k", &KernelTable::q6_k, kSuperBlock, 1, false, true, kQ6kBytes, {208}},
        {"f32", &KernelTable::f32, 1, 1, true, false, 4, {}},
        {"f16", &KernelTable::f16, 1, 1, true, false, 2, {0}},
        {"bf16", &KernelTable::bf16, 1, 1, true, false, 2, {}},
    };
    return all;
}

enum class Fill { random, all_zero_bits, all_one_bits };

/// A matrix whose quants are any bytes and whose scales are ordinary numbers.
std::vector<std::uint8_t> weights_of(const Kind& kind, std::mt19937& rng, std::size_t rows,
                                     std::size_t k, Fill fill = Fill::random) {
    const std::size_t units = rows * (k / kind.granule);
    std::vector<std::uint8_t> out(kind.bytes == 0 ? packed_t2_bytes(rows, k) : units * kind.bytes);
    std::uniform_int_distribution<int> byte(0, 255);
    const int fixed = fill == Fill::all_one_bits ? 255 : 0;
    for (auto& b : out) {
        b = static_cast<std::uint8_t>(fill == Fill::random ? byte(rng) : fixed);
    }
    if (kind.bytes == 0) {
        for (auto& b : out) {  // there is no code 3
            b = static_cast<std::uint8_t>(b & ~((b & b >> 1 & 0x55) << 1));
            b = fill == Fill::all_one_bits ? std::uint8_t{0xAA} : b;
        }
    }
    const std::string name = kind.name;
    for (std::size_t u = 0; u < units && kind.bytes != 0; ++u) {
        std::uint8_t* block = out.data() + u * kind.bytes;
        for (const std::size_t at : kind.scales_at) {
            const std::uint16_t d = half(std::normal_distribution<float>(0.0F, 0.1F)(rng));
            std::memcpy(block + at, &d, sizeof d);
        }
        if (name == "f32" || name == "bf16") {
            const float value = std::normal_distribution<float>()(rng);
            const auto raw = std::bit_cast<std::uint32_t>(value);
            const auto upper = static_cast<std::uint16_t>(raw >> 16);
            std::memcpy(block, name == "f32" ? static_cast<const void*>(&raw) : &upper, kind.bytes);
        }
    }
    return out;
}

/// Weight (row, column) as a number, read by the format's definition and nothing else.
double weight_at(const Kind& kind, const std::vector<std::uint8_t>& w, std::size_t k,
                 std::size_t row, std::size_t column) {
    const std::string name = kind.name;
    if (name == "t2_i8") {
        const std::size_t at = row / 32 * 32 * (k / 4) + column / 16 * 128 + row % 32 / 16 * 64 +
                               row % 16 * 4 + column % 4;
        return (w[at] >> (column % 16 / 4 * 2) & 3) - 1;
    }
    const std::uint8_t* b =
        w.data() + (row * (k / kind.granule) + column / kind.granule) * kind.bytes;
    const std::size_t i = column % kind.granule;
    const auto half_at = [&](std::size_t at) {
        std::uint16_t raw = 0;
        std::memcpy(&raw, b + at, sizeof raw);
        return from_half(raw);
    };
    if (name == "q8_0") {
        return half_at(0) * static_cast<std::int8_t>(b[2 + i]);
    }
    if (name == "q4_0") {
        return half_at(0) * ((i < 16 ? b[2 + i] & 15 : b[2 + i - 16] >> 4) - 8);
    }
    if (name == "q4_k" || name == "q5_k") {
        const std::size_t j = i / 32;
        const std::uint8_t* s = b + 4;
        const int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        const int min = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
        const bool five = name == "q5_k";
        int q = b[(five ? 48 : 16) + j / 2 * 32 + i % 32] >> (j % 2 * 4) & 15;
        q += five ? (b[16 + i % 32] >> j & 1) * 16 : 0;
        return half_at(0) * scale * q - half_at(2) * min;
    }
    if (name == "q6_k") {
        const std::size_t h = i / 128;
        const std::size_t c = i % 128 / 32;
        const std::size_t l = i % 32;
        const int low = b[h * 64 + c % 2 * 32 + l] >> (c / 2 * 4) & 15;
        const int high = b[128 + h * 32 + l] >> (c * 2) & 3;
        return half_at(208) * static_cast<std::int8_t>(b[192 + i / 16]) * ((low | high << 4) - 32);
    }
    if (name == "f32") {
        float value = 0;
        std::memcpy(&value, b, sizeof value);
        return static_cast<double>(value);
    }
    if (name == "f16") {
        return half_at(0);
    }
    std::uint16_t raw = 0;
    std::memcpy(&raw, b, sizeof raw);
    return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(raw) << 16));
}

bool reads_floats(const Kind& kind) {
    return !kind.exact;
}

/// y(row, t) and the sum of magnitudes that bounds its rounding error, in double.
struct Expected {
    double value;
    double magnitude;
};
Expected expected(const Kind& kind, const std::vector<std::uint8_t>& w, const Activations& x,
                  std::size_t row, std::size_t t) {
    Expected e{0, 0};
    for (std::size_t i = 0; i < x.k; ++i) {
        double activation = static_cast<double>(x.x[t * x.stride() + i]);
        if (!reads_floats(kind)) {
            activation = x.xq[t * x.stride() + i] *
                         static_cast<double>(x.scale[t * x.groups + i * x.groups / x.k]);
        }
        const double term = weight_at(kind, w, x.k, row, i) * activation *
                            (kind.bytes == 0 ? static_cast<double>(0.37F) : 1.0);
        e.value += term;
        e.magnitude += std::fabs(term);
    }
    return e;
}

// --- one suite per table -------------------------------------------------------------------------

class TableTest : public ::testing::TestWithParam<Isa> {
protected:
    void SetUp() override {
        const auto found = table_for(GetParam());
        if (!found) {
            GTEST_SKIP() << "SKIPPED on this CPU: " << found.error().message;
        }
        table_ = *found;
        EXPECT_EQ(table_->isa, GetParam());
    }
    const KernelTable* table_ = nullptr;
    std::mt19937 rng_{20261120};
};

std::vector<std::size_t> sizes_of(const Kind& kind) {
    if (kind.granule == 1) {
        return {1, 7, 8, 15, 16, 17, 64, 100, 257, 640};
    }
    std::vector<std::size_t> sizes;
    // 15 and 16 steps are the border of 16-bit sums in the AVX2 ternary kernel.
    for (const std::size_t blocks : Sizes{1, 2, 3, 7, 15, 16, 17, 31, 33}) {
        sizes.push_back(blocks * kind.granule);
    }
    return sizes;
}

TEST_P(TableTest, ProductsEqualTheirDefinition) {
    for (const Kind& kind : kinds()) {
        for (const std::size_t k : sizes_of(kind)) {
            const std::size_t rows = kind.row_step == 1 ? 21 : 2 * kind.row_step;
            const auto w = weights_of(kind, rng_, rows, k);
            const Activations x(rng_, k, 3, kind.per_token);
            const auto y = product(table_->*kind.op, x, w.data(), rows);
            for (std::size_t t = 0; t < x.n; ++t) {
                for (std::size_t row = 0; row < rows; ++row) {
                    const Expected e = expected(kind, w, x, row, t);
                    ASSERT_NEAR(static_cast<double>(y[t * (rows + 3) + row]), e.value,
                                2e-6 * e.magnitude + 1e-12)
                        << kind.name << " k " << k << " row " << row << " token " << t;
                }
            }
        }
    }
}

TEST_P(TableTest, IntegerKernelsEqualTheReferenceBitForBit) {
    for (const Kind& kind : kinds()) {
        if (!kind.exact) {
            continue;
        }
        for (const Fill fill : {Fill::random, Fill::all_zero_bits, Fill::all_one_bits}) {
            for (const std::size_t k : sizes_of(kind)) {
                const std::size_t rows = kind.row_step == 1 ? 35 : 3 * kind.row_step;
                const auto w = weights_of(kind, rng_, rows, k, fill);
                Activations x(rng_, k, 5, kind.per_token);
                const int lowest = kind.per_token ? -128 : -127;
                for (const int q : {1000, 127, lowest, 0}) {  // 1000: as drawn
                    if (q != 1000) {
                        x.fill_q(static_cast<std::int8_t>(q));
                    }
                    ASSERT_EQ(bits(product(table_->*kind.op, x, w.data(), rows)),
                              bits(product(reference().*kind.op, x, w.data(), rows)))
                        << kind.name << " k " << k << " fill " << static_cast<int>(fill) << " q "
                        << q;
                }
            }
        }
    }
}

TEST_P(TableTest, BatchedEqualsSingleBitForBit) {
    for (const Kind& kind : kinds()) {
        const std::size_t k = kind.granule == 1 ? 75 : 3 * kind.granule;
        const std::size_t rows = kind.row_step == 1 ? 23 : 2 * kind.row_step;
        const auto w = weights_of(kind, rng_, rows, k);
        const Activations all(rng_, k, 67, kind.per_token);
        std::vector<float> y;
        std::vector<std::vector<float>> single;
        for (std::size_t t = 0; t < all.n; ++t) {
            MatmulArgs a = all.args(w.data(), rows, y);
            a.n = 1;
            a.x += t * all.stride();
            a.xq += t * all.stride();
            a.x_scale += t * all.groups;
            a.x_sum += t * all.groups;
            (table_->*kind.op)(a);
            single.emplace_back(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(rows));
        }
        for (const std::size_t n : Sizes{2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
                                         14, 15, 16, 17, 24, 25, 31, 32, 33, 64, 67}) {
            MatmulArgs a = all.args(w.data(), rows, y);
            a.n = n;
            (table_->*kind.op)(a);
            for (std::size_t t = 0; t < n; ++t) {
                const std::vector<float> got(
                    y.begin() + static_cast<std::ptrdiff_t>(t * a.y_stride),
                    y.begin() + static_cast<std::ptrdiff_t>(t * a.y_stride + rows));
                ASSERT_EQ(bits(got), bits(single[t])) << kind.name << " n " << n << " token " << t;
            }
        }
    }
}

TEST_P(TableTest, RowSplitsEqualTheWholeAndTouchNothingElse) {
    for (const Kind& kind : kinds()) {
        const std::size_t k = kind.granule == 1 ? 50 : 2 * kind.granule;
        const std::size_t rows = kind.row_step == 1 ? 37 : 4 * kind.row_step;
        const auto w = weights_of(kind, rng_, rows, k);
        for (const std::size_t n : Sizes{1, 4, 13}) {
            const Activations x(rng_, k, n, kind.per_token);
            const auto whole = product(table_->*kind.op, x, w.data(), rows);
            for (std::size_t cut = 0; cut <= rows; cut += kind.row_step) {
                std::vector<float> y;
                MatmulArgs a = x.args(w.data(), rows, y);
                a.row_end = cut;
                (table_->*kind.op)(a);
                for (std::size_t t = 0; t < n; ++t) {
                    for (std::size_t row = cut; row < a.y_stride; ++row) {
                        ASSERT_EQ(y[t * a.y_stride + row], -12345.0F)
                            << kind.name << " cut " << cut;
                    }
                }
                a.row_begin = cut;
                a.row_end = rows;
                (table_->*kind.op)(a);
                ASSERT_EQ(bits(y), bits(whole)) << kind.name << " n " << n << " cut " << cut;
            }
        }
    }
}

TEST_P(TableTest, QuantizeTokenEqualsTheReferenceBitForBit) {
    for (const std::size_t k : Sizes{1, 16, 31, 32, 33, 48, 100, 2560}) {
        for (const float spread : {1.0F, 1e-7F, 1e6F, 0.0F}) {
            auto x = random_floats(rng_, k, spread);
            if (k > 20 && spread == 1.0F) {  // ties and the extremes
                x = std::vector<float>(k, 0.0F);
                for (std::size_t i = 0; i < k; ++i) {
                    x[i] = static_cast<float>(i % 254) / 2.0F - 63.5F;
                }
                x[3] = -127.0F;
            }
            std::vector<std::int8_t> q(k + 1, 99);
            std::vector<std::int8_t> q_ref(k + 1, 99);
            float scale = 0;
            float scale_ref = 0;
            std::int32_t sum = 0;
            std::int32_t sum_ref = 0;
            table_->quantize_token(x.data(), k, q.data(), &scale, &sum);
            reference().quantize_token(x.data(), k, q_ref.data(), &scale_ref, &sum_ref);
            ASSERT_EQ(q, q_ref) << "k " << k << " spread " << spread;
            EXPECT_EQ(scale, scale_ref);
            EXPECT_EQ(sum, sum_ref);
        }
    }
}

TEST_P(TableTest, QuantizeTokenRoundsAsBitNetDoes) {
    const std::vector<float> x{0.5F, 1.5F, 2.5F, -0.5F, -1.5F, 127.0F, -127.0F, 3.4F};
    std::vector<std::int8_t> q(x.size());
    float scale = 0;
    std::int32_t sum = 0;
    table_->quantize_token(x.data(), x.size(), q.data(), &scale, &sum);
    EXPECT_THAT(q, ::testing::ElementsAre(0, 2, 2, 0, -2, 127, -127, 3));
    EXPECT_EQ(scale, 1.0F);
    EXPECT_EQ(sum, 5);
    const std::vector<float> tiny(16, 1e-6F);  // below the floor of 1e-5
    q.resize(16);
    table_->quantize_token(tiny.data(), 16, q.data(), &scale, &sum);
    EXPECT_EQ(scale, 1e-5F / 127.0F);
    EXPECT_EQ(sum, 13 * 16);
}

TEST_P(TableTest, QuantizeBlocksEqualsTheReferenceBitForBit) {
    for (const float spread : {1.0F, 1e-30F, 1e-44F, 1e30F, 0.0F}) {
        auto x = random_floats(rng_, 320, spread);
        std::fill_n(x.begin() + 64, 32, 0.0F);
        std::vector<std::int8_t> q(320);
        std::vector<std::int8_t> q_ref(320);
        std::vector<float> scales(10);
        std::vector<float> scales_ref(10);
        std::vector<std::int32_t> sums(10);
        std::vector<std::int32_t> sums_ref(10);
        table_->quantize_blocks(x.data(), 320, q.data(), scales.data(), sums.data());
        reference().quantize_blocks(x.data(), 320, q_ref.data(), scales_ref.data(),
                                    sums_ref.data());
        ASSERT_EQ(q, q_ref) << spread;
        EXPECT_EQ(bits(scales), bits(scales_ref));
        EXPECT_EQ(sums, sums_ref);
        EXPECT_EQ(scales[2], 0.0F);
        EXPECT_EQ(sums[2], 0);
        for (std::size_t i = 0; i < 320; ++i) {
            EXPECT_GE(q[i], -127);
            if (spread == 1.0F && scales[i / 32] > 0.0F) {
                EXPECT_NEAR(static_cast<float>(q[i]) * scales[i / 32], x[i],
                            0.501F * scales[i / 32]);
            }
        }
    }
}

TEST_P(TableTest, HalfConversionIsExactForEveryHalf) {
    std::vector<std::uint16_t> all(65536);
    for (std::size_t i = 0; i < all.size(); ++i) {
        all[i] = static_cast<std::uint16_t>(i);
    }
    std::vector<float> floats(all.size());
    table_->from_f16(all.data(), all.size(), floats.data());
    EXPECT_EQ(floats[0x3C00], 1.0F);
    EXPECT_EQ(floats[0x0001], 0x1p-24F);
    EXPECT_EQ(floats[0xFBFF], -65504.0F);
    EXPECT_TRUE(std::isinf(floats[0x7C00]));
    std::vector<float> expected_floats(all.size());
    reference().from_f16(all.data(), all.size(), expected_floats.data());
    EXPECT_EQ(bits(floats), bits(expected_floats));
    std::vector<std::uint16_t> back(all.size());
    table_->to_f16(floats.data(), floats.size(), back.data());
    for (std::size_t i = 0; i < all.size(); ++i) {
        const bool is_nan = (i & 0x7C00) == 0x7C00 && (i & 0x3FF) != 0;
        ASSERT_EQ(back[i], is_nan ? i | 0x200 : i);
    }
}

TEST_P(TableTest, ToHalfRoundsToNearestEven) {
    std::vector<float> x{65519.9F, 65520.0F,        0x1p-25F,          0x1.8p-25F,
                         0x1p-26F, 1.0F + 0x1p-11F, 1.0F + 0x1.8p-10F, -0.0F,
                         INFINITY, 1e-45F,          0x1.ffcp-15F,      0x1.ffep-15F};
    std::uniform_int_distribution<std::uint32_t> any;
    for (int i = 0; i < 200000; ++i) {
        x.push_back(std::bit_cast<float>(any(rng_)));
    }
    for (std::uint32_t exponent = 95; exponent < 145;
         ++exponent) {  // around half's range, and ties
        for (std::uint32_t i = 0; i < 500; ++i) {
            x.push_back(std::bit_cast<float>(exponent << 23 | i * 4096));
        }
    }
    std::vector<std::uint16_t> got(x.size());
    std::vector<std::uint16_t> want(x.size());
    table_->to_f16(x.data(), x.size(), got.data());
    reference().to_f16(x.data(), x.size(), want.data());
    EXPECT_EQ(got, want);
    EXPECT_THAT(std::vector<std::uint16_t>(got.begin(), got.begin() + 10),
                ::testing::ElementsAre(0x7BFF, 0x7C00, 0x0000, 0x0001, 0x0000, 0x3C00, 0x3C02,
                                       0x8000, 0x7C00, 0x0000));
}

TEST_P(TableTest, RmsNormEqualsItsDefinition) {
    for (const std::size_t n : Sizes{1, 7, 8, 31, 32, 33, 640, 2560, 6911}) {
        const auto x = random_floats(rng_, n, 3.0F);
        const auto w = random_floats(rng_, n);
        std::vector<float> out(n);
        table_->rms_norm(x.data(), w.data(), 1e-5F, n, out.data());
        double squares = 0;
        for (const float v : x) {
            squares += static_cast<double>(v) * static_cast<double>(v);
        }
        const double factor = 1.0 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
        for (std::size_t i = 0; i < n; ++i) {
            const double want = static_cast<double>(x[i]) * static_cast<double>(w[i]) * factor;
            ASSERT_NEAR(static_cast<double>(out[i]), want, 2e-6 * std::fabs(want) + 1e-12);
        }
        std::vector<float> in_place = x;
        table_->rms_norm(in_place.data(), w.data(), 1e-5F, n, in_place.data());
        EXPECT_EQ(bits(in_place), bits(out));
    }
}

TEST_P(TableTest, GatesEqualTheirDefinition) {
    for (const std::size_t n : Sizes{1, 7, 8, 9, 100, 1001}) {
        auto gate = random_floats(rng_, n, 20.0F);
        gate[0] = -200.0F;
        gate[n / 2] = 200.0F;
        const auto up = random_floats(rng_, n);
        std::vector<float> out(n);
        table_->silu_mul(gate.data(), up.data(), n, out.data());
        for (std::size_t i = 0; i < n; ++i) {
            const double g = static_cast<double>(gate[i]);
            const double want = g / (1.0 + std::exp(-g)) * static_cast<double>(up[i]);
            ASSERT_NEAR(static_cast<double>(out[i]), want, 1e-6 * std::fabs(want) + 1e-30)
                << gate[i];
        }
        auto in_place = up;
        table_->silu_mul(gate.data(), in_place.data(), n, in_place.data());
        EXPECT_EQ(bits(in_place), bits(out));
        table_->relu2_mul(gate.data(), up.data(), n, out.data());
        for (std::size_t i = 0; i < n; ++i) {
            const float g = std::max(gate[i], 0.0F);
            ASSERT_EQ(out[i], g * g * up[i]);
        }
        in_place = gate;
        table_->relu2_mul(in_place.data(), up.data(), n, in_place.data());
        EXPECT_EQ(bits(in_place), bits(out));
        auto sum = up;
        table_->add(gate.data(), n, sum.data());
        for (std::size_t i = 0; i < n; ++i) {
            ASSERT_EQ(sum[i], up[i] + gate[i]);
        }
    }
}

/// A gate's value must not depend on where in the vector it stands (the tail included).
TEST_P(TableTest, SiluIsTheSameAtEveryPlace) {
    const std::vector<float> gate(41, 1.7F);
    const std::vector<float> up(41, 0.3F);
    std::vector<float> out(41);
    table_->silu_mul(gate.data(), up.data(), 41, out.data());
    EXPECT_THAT(out, ::testing::Each(::testing::Eq(out[0])));
}

TEST_P(TableTest, AttendEqualsItsDefinition) {
    for (const std::size_t dim : Sizes{1, 8, 20, 48, 64, 80, 96, 128, 200, 256}) {
        for (const std::size_t positions : Sizes{1, 2, 5, 15, 16, 17, 33, 100}) {
            const std::size_t stride = dim + 24;
            const auto q = random_floats(rng_, dim, 2.0F);
            std::vector<std::uint16_t> k(positions * stride);
            std::vector<std::uint16_t> v(positions * stride);
            const auto values = random_floats(rng_, 2 * positions * stride);
            table_->to_f16(values.data(), k.size(), k.data());
            table_->to_f16(values.data() + k.size(), v.size(), v.data());
            std::vector<float> scores(positions + 1, -7.0F);
            std::vector<float> out(dim + 1, -7.0F);
            AttendArgs a{q.data(), k.data(), v.data(),      stride,    positions,
                         dim,      0.3F,     scores.data(), out.data()};
            table_->attend(a);
            EXPECT_EQ(scores[positions], -7.0F);
            EXPECT_EQ(out[dim], -7.0F);

            std::vector<double> weight(positions);
            for (std::size_t p = 0; p < positions; ++p) {
                for (std::size_t i = 0; i < dim; ++i) {
                    weight[p] += static_cast<double>(q[i]) * from_half(k[p * stride + i]);
                }
            }
            const double max = *std::max_element(weight.begin(), weight.end());
            double total = 0;
            for (double& w : weight) {
                w = std::exp(static_cast<double>(0.3F) * (w - max));
                total += w;
            }
            for (std::size_t i = 0; i < dim; ++i) {
                double want = 0;
                for (std::size_t p = 0; p < positions; ++p) {
                    want += weight[p] / total * from_half(v[p * stride + i]);
                }
                ASSERT_NEAR(static_cast<double>(out[i]), want, 2e-5) << dim << " × " << positions;
            }
        }
    }
}

TEST_P(TableTest, AttendSurvivesScoresFarApart) {
    const std::vector<float> q{1000.0F};
    const std::vector<std::uint16_t> k{half(1.0F), half(-1.0F), half(1.0F)};
    const std::vector<std::uint16_t> v{half(2.0F), half(100.0F), half(4.0F)};
    std::vector<float> scores(3);
    float out = 0;
    table_->attend({q.data(), k.data(), v.data(), 1, 3, 1, 1.0F, scores.data(), &out});
    EXPECT_EQ(out, 3.0F);
}

INSTANTIATE_TEST_SUITE_P(Isa, TableTest, ::testing::ValuesIn(kIsas),
                         [](const auto& param) { return std::string(isa_name(param.param)); });

// --- packing and choosing ------------------------------------------------------------------------

TEST(Panels, PackingPutsEveryCodeWhereTheLayoutSays) {
    constexpr std::size_t kRows = 70;
    constexpr std::size_t kColumns = 48;
    ASSERT_EQ(packed_t2_bytes(kRows, kColumns), 96U * 12U);
    std::mt19937 rng(7);
    std::uniform_int_distribution<int> code(0, 2);
    std::vector<std::vector<std::uint8_t>> codes(96, std::vector<std::uint8_t>(kColumns, 1));
    std::vector<std::uint8_t> packed(packed_t2_bytes(kRows, kColumns), 0xFF);
    for (std::size_t row = 0; row < 96; ++row) {
        for (auto& c : codes[row]) {
            c = row < kRows ? static_cast<std::uint8_t>(code(rng)) : std::uint8_t{1};
        }
        pack_t2_row(codes[row].data(), kColumns, row, packed.data());
    }
    for (std::size_t row = 0; row < 96; ++row) {
        for (std::size_t i = 0; i < kColumns; ++i) {
            ASSERT_EQ(weight_at(kinds()[0], packed, kColumns, row, i), codes[row][i] - 1);
        }
    }
}

TEST(Choice, NamesGoBothWays) {
    for (const Isa isa : kIsas) {
        const auto back = isa_from_name(isa_name(isa));
        ASSERT_TRUE(back);
        EXPECT_EQ(*back, isa);
    }
}

TEST(Choice, AnUnknownNameListsTheKnownOnes) {
    const auto isa = isa_from_name("sse9");
    ASSERT_FALSE(isa);
    EXPECT_EQ(isa.error().fault, Fault::invalid);
    EXPECT_THAT(isa.error().message, ::testing::HasSubstr("sse9"));
    EXPECT_THAT(isa.error().message, ::testing::HasSubstr("generic, avx2, avxvnni, avx512"));
}

TEST(Choice, GenericAlwaysRunsAndOthersAreRefusedWithAReason) {
    EXPECT_TRUE(isa_available(Isa::generic));
    for (const Isa isa : kIsas) {
        const auto table = table_for(isa);
        ASSERT_EQ(table.has_value(), isa_available(isa));
        if (!table) {
            EXPECT_EQ(table.error().fault, Fault::unavailable);
            EXPECT_THAT(table.error().message, ::testing::HasSubstr(std::string(isa_name(isa))));
        }
    }
    EXPECT_TRUE(isa_available(best_table().isa));
}

TEST(Choice, EveryTableIsComplete) {
    for (const Isa isa : kIsas) {
        const auto found = table_for(isa);
        if (!found) {
            continue;
        }
        const KernelTable& t = **found;
        for (const Kind& kind : kinds()) {
            EXPECT_NE(t.*kind.op, nullptr) << kind.name;
        }
        EXPECT_TRUE(t.quantize_token && t.quantize_blocks && t.rms_norm && t.silu_mul &&
                    t.relu2_mul && t.add && t.to_f16 && t.from_f16 && t.attend);
    }
}

}  // namespace
}  // namespace trilane::kernels
