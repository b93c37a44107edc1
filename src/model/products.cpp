#include "model/products.h"

#include <algorithm>

namespace trilane::model {
namespace {

/// A product is cut into this many parts per worker, so that a worker that is held back leaves
/// little undone; parts below the row count are not worth their handing out.
constexpr std::size_t kPartsPerWorker = 4;
constexpr std::size_t kPartRowsMin = 64;

}  // namespace

// NOLINTNEXTLINE(readability-function-size): seven operands, each of its own kind
void multiply(const kernels::KernelTable& table, os::ThreadTeam& team,
              std::span<const tensor::Product> products, const float* x, std::size_t x_stride,
              const tensor::Activations& acts, std::size_t n) {
    std::size_t rows = 0;
    for (const tensor::Product& product : products) {
        rows = std::max(rows, product.linear->rows_padded());
    }
    const std::size_t parts = team.size() == 1 ? 1
                                               : std::clamp(rows / kPartRowsMin, std::size_t{1},
                                                            team.size() * kPartsPerWorker);
    team.share(parts, [&](std::size_t, std::size_t part) {
        tensor::matmul_part(table, products, x, x_stride, acts, n, {part, parts});
    });
}

void quantize(const kernels::KernelTable& table, tensor::Activations& acts, std::size_t t,
              const float* x, std::initializer_list<const tensor::Linear*> readers) {
    bool done[3] = {};
    for (const tensor::Linear* linear : readers) {
        bool& seen = done[static_cast<std::size_t>(linear->form)];
        if (!seen) {
            acts.quantize(table, linear->form, t, x, linear->cols);
            seen = true;
        }
    }
}

void rotate(float* head, const float* cosines, const float* sines, std::size_t half,
            bool adjacent) {
    for (std::size_t j = 0; j < half; ++j) {
        float& a = head[adjacent ? 2 * j : j];
        float& b = head[adjacent ? 2 * j + 1 : j + half];
        const float turned = a * cosines[j] - b * sines[j];
        b = b * cosines[j] + a * sines[j];
        a = turned;
    }
}

}  // namespace trilane::model
