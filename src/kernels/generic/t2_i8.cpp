// Reference of the ternary panel product. Exact integers, one float step at the end.
#include "kernels/block_formats.h"
#include "kernels/generic/generic.h"

namespace trilane::kernels::generic {
namespace {

std::int32_t dot(const std::uint8_t* lane, const std::int8_t* x, std::size_t k) {
    std::int32_t sum = 0;
    for (std::size_t step = 0; step < k; step += kPanelStep, lane += 128) {
        for (std::size_t plane = 0; plane < 4; ++plane) {
            for (std::size_t j = 0; j < 4; ++j) {
                sum += (lane[j] >> (2 * plane) & 3) * x[step + 4 * plane + j];
            }
        }
    }
    return sum;
}

}  // namespace

void t2_i8(const MatmulArgs& args) {
    const auto* weights = static_cast<const std::uint8_t*>(args.weights);
    for (std::size_t row = args.row_begin; row < args.row_end; ++row) {
        const std::size_t lane = row % kPanelRows;
        const std::uint8_t* w =
            weights + (row - lane) * (args.k / 4) + lane / 16 * 64 + lane % 16 * 4;
        for (std::size_t t = 0; t < args.n; ++t) {
            const std::int32_t sum = dot(w, args.xq + t * args.x_stride, args.k) - args.x_sum[t];
            args.y[t * args.y_stride + row] =
                static_cast<float>(sum) * (args.weight_scale * args.x_scale[t]);
        }
    }
}

}  // namespace trilane::kernels::generic
