// Reference products of rows of plain numbers, and attention over an F16 cache.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/generic/generic.h"
#include "kernels/generic/half.h"

namespace trilane::kernels::generic {
namespace {

constexpr std::size_t kLanes = 16;

/// Adds lanes pairwise: lane i with lane i + width / 2, until one is left.
float lane_sum(std::array<float, kLanes> lanes) {
    for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
        for (std::size_t i = 0; i < width; ++i) {
            lanes[i] += lanes[i + width];
        }
    }
    return lanes[0];
}

/// Σ at(i) · x[i], element i in lane i % 16.
template <class At>
float dot(At at, const float* x, std::size_t k) {
    std::array<float, kLanes> lanes{};
    const std::size_t whole = k / kLanes * kLanes;
    for (std::size_t i = 0; i < whole; i += kLanes) {
        for (std::size_t j = 0; j < kLanes; ++j) {
            lanes[j] += at(i + j) * x[i + j];
        }
    }
    for (std::size_t i = whole; i < k; ++i) {
        lanes[i - whole] += at(i) * x[i];
    }
    return lane_sum(lanes);
}

/// Rows of `Stored` numbers that `load` turns into float.
template <class Stored, class Load>
void matmul(const MatmulArgs& args, Load load) {
    const auto* weights = static_cast<const unsigned char*>(args.weights);
    for (std::size_t row = args.row_begin; row < args.row_end; ++row) {
        const unsigned char* w = weights + row * args.k * sizeof(Stored);
        const auto at = [w, load](std::size_t i) {
            Stored stored{};
            std::memcpy(&stored, w + i * sizeof(Stored), sizeof stored);
            return load(stored);
        };
        for (std::size_t t = 0; t < args.n; ++t) {
            args.y[t * args.y_stride + row] = dot(at, args.x + t * args.x_stride, args.k);
        }
    }
}

}  // namespace

void f32(const MatmulArgs& args) {
    matmul<float>(args, [](float stored) { return stored; });
}

void f16(const MatmulArgs& args) {
    matmul<std::uint16_t>(args, [](std::uint16_t stored) { return float_from_half(stored); });
}

void bf16(const MatmulArgs& args) {
    matmul<std::uint16_t>(args, [](std::uint16_t stored) {
        return std::bit_cast<float>(static_cast<std::uint32_t>(stored) << 16);
    });
}

void attend(const AttendArgs& args) {
    float max = -INFINITY;
    for (std::size_t p = 0; p < args.positions; ++p) {
        const std::uint16_t* k = args.k + p * args.kv_stride;
        const auto at = [k](std::size_t i) { return float_from_half(k[i]); };
        args.scores[p] = dot(at, args.q, args.head_dim) * args.scale;
        max = std::max(max, args.scores[p]);
    }
    float sum = 0.0F;
    for (std::size_t p = 0; p < args.positions; ++p) {
        args.scores[p] = std::exp(args.scores[p] - max);
        sum += args.scores[p];
    }
    std::fill_n(args.out, args.head_dim, 0.0F);
    for (std::size_t p = 0; p < args.positions; ++p) {
        const std::uint16_t* v = args.v + p * args.kv_stride;
        for (std::size_t i = 0; i < args.head_dim; ++i) {
            args.out[i] += args.scores[p] * float_from_half(v[i]);
        }
    }
    for (std::size_t i = 0; i < args.head_dim; ++i) {
        args.out[i] /= sum;
    }
}

}  // namespace trilane::kernels::generic
