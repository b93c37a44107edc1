// Reference products of GGUF's quantised blocks with activations in the per-32 int8 form.
// Every sum inside a group of 32 is an exact integer; each group then adds itself with one fused
// multiply-add (two where the format has minima), in order. Other tables repeat exactly this.
#include <cmath>
#include <cstring>

#include "kernels/block_formats.h"
#include "kernels/generic/generic.h"
#include "kernels/generic/half.h"

namespace trilane::kernels::generic {
namespace {

float half_at(const std::uint8_t* p) {
    std::uint16_t half = 0;
    std::memcpy(&half, p, sizeof half);
    return float_from_half(half);
}

/// One token's activations from one group on.
struct Groups {
    const std::int8_t* q;
    const float* scale;
    const std::int32_t* sum;
};

/// Adds one block's product to `y`. Scheme: `block` bytes, `values` weights, and dot().
template <class Scheme>
void matmul(const MatmulArgs& args) {
    const std::size_t blocks = args.k / Scheme::kValues;
    const auto* weights = static_cast<const std::uint8_t*>(args.weights);
    for (std::size_t row = args.row_begin; row < args.row_end; ++row) {
        for (std::size_t t = 0; t < args.n; ++t) {
            const std::uint8_t* block = weights + row * blocks * Scheme::kBytes;
            Groups x{args.xq + t * args.x_stride, args.x_scale + t * args.x_group_stride,
                     args.x_sum + t * args.x_group_stride};
            float y = 0.0F;
            for (std::size_t b = 0; b < blocks; ++b, block += Scheme::kBytes) {
                y = Scheme::dot(block, x, y);
                x.q += Scheme::kValues;
                x.scale += Scheme::kValues / kGroup;
                x.sum += Scheme::kValues / kGroup;
            }
            args.y[t * args.y_stride + row] = y;
        }
    }
}

struct Q80 {
    static constexpr std::size_t kBytes = kQ80Bytes;
    static constexpr std::size_t kValues = kGroup;
    static float dot(const std::uint8_t* block, const Groups& x, float y) {
        std::int32_t sum = 0;
        for (std::size_t i = 0; i < kGroup; ++i) {
            sum += static_cast<std::int8_t>(block[2 + i]) * x.q[i];
        }
        return std::fma(half_at(block) * x.scale[0], static_cast<float>(sum), y);
    }
};

struct Q40 {
    static constexpr std::size_t kBytes = kQ40Bytes;
    static constexpr std::size_t kValues = kGroup;
    static float dot(const std::uint8_t* block, const Groups& x, float y) {
        std::int32_t sum = 0;
        for (std::size_t i = 0; i < 16; ++i) {
            sum += ((block[2 + i] & 15) - 8) * x.q[i] + ((block[2 + i] >> 4) - 8) * x.q[i + 16];
        }
        return std::fma(half_at(block) * x.scale[0], static_cast<float>(sum), y);
    }
};

/// The 6-bit scale and minimum of group j (0…7) of a Q4_K or Q5_K block.
struct ScaleMin {
    int scale;
    int min;
};
ScaleMin scale_min(const std::uint8_t* packed, std::size_t j) {
    if (j < 4) {
        return {packed[j] & 63, packed[j + 4] & 63};
    }
    return {(packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4,
            (packed[j + 4] >> 4) | (packed[j] >> 6) << 4};
}

/// Q4_K and Q5_K: nibbles of groups 2c and 2c + 1 share 32 bytes; Q5_K's bit j of high[i] is the
/// fifth bit of weight i of group j.
float dot_scale_min(const std::uint8_t* block, const std::uint8_t* high, const std::uint8_t* low,
                    const Groups& x, float y) {
    const float d = half_at(block);
    const float dmin = half_at(block + 2);
    for (std::size_t j = 0; j < 8; ++j) {
        std::int32_t sum = 0;
        for (std::size_t i = 0; i < kGroup; ++i) {
            int q = low[j / 2 * kGroup + i] >> (j % 2 * 4) & 15;
            if (high != nullptr) {
                q |= (high[i] >> j & 1) << 4;
            }
            sum += q * x.q[j * kGroup + i];
        }
        const ScaleMin s = scale_min(block + 4, j);
        y = std::fma(d * static_cast<float>(s.scale) * x.scale[j], static_cast<float>(sum), y);
        y = std::fma(-(dmin * static_cast<float>(s.min) * x.scale[j]), static_cast<float>(x.sum[j]),
                     y);
    }
    return y;
}

struct Q4k {
    static constexpr std::size_t kBytes = kQ4kBytes;
    static constexpr std::size_t kValues = kSuperBlock;
    static float dot(const std::uint8_t* block, const Groups& x, float y) {
        return dot_scale_min(block, nullptr, block + 16, x, y);
    }
};

struct Q5k {
    static constexpr std::size_t kBytes = kQ5kBytes;
    static constexpr std::size_t kValues = kSuperBlock;
    static float dot(const std::uint8_t* block, const Groups& x, float y) {
        return dot_scale_min(block, block + 16, block + 48, x, y);
    }
};

/// Halves of 128 weights: 64 bytes of low nibbles, 32 of high bit pairs; group c of a half takes
/// low bytes 32·(c % 2)…, nibble c / 2, and bit pair c. One int8 scale per 16 weights.
struct Q6k {
    static constexpr std::size_t kBytes = kQ6kBytes;
    static constexpr std::size_t kValues = kSuperBlock;
    static float dot(const std::uint8_t* block, const Groups& x, float y) {
        const float d = half_at(block + 208);
        for (std::size_t j = 0; j < 8; ++j) {
            const std::uint8_t* low = block + j / 4 * 64 + j % 2 * kGroup;
            const std::uint8_t* high = block + 128 + j / 4 * 32;
            std::int32_t sum = 0;
            for (std::size_t i = 0; i < kGroup; ++i) {
                const int nibble = low[i] >> (j % 4 / 2 * 4) & 15;
                const int q = (nibble | (high[i] >> (j % 4 * 2) & 3) << 4) - 32;
                sum +=
                    static_cast<std::int8_t>(block[192 + 2 * j + i / 16]) * q * x.q[j * kGroup + i];
            }
            y = std::fma(d * x.scale[j], static_cast<float>(sum), y);
        }
        return y;
    }
};

}  // namespace

void q8_0(const MatmulArgs& args) {
    matmul<Q80>(args);
}
void q4_0(const MatmulArgs& args) {
    matmul<Q40>(args);
}
void q4_k(const MatmulArgs& args) {
    matmul<Q4k>(args);
}
void q5_k(const MatmulArgs& args) {
    matmul<Q5k>(args);
}
void q6_k(const MatmulArgs& args) {
    matmul<Q6k>(args);
}

}  // namespace trilane::kernels::generic
