// Packing of ternary rows into the panels that every t2_i8 kernel reads (layout: kernels.h).
#include <cstring>

#include "base/check.h"
#include "kernels/block_formats.h"
#include "kernels/kernels.h"

namespace trilane::kernels {

std::size_t packed_t2_bytes(std::size_t rows, std::size_t k) {
    TRILANE_CHECK(k % kPanelStep == 0);
    return (rows + kPanelRows - 1) / kPanelRows * kPanelRows * (k / 4);
}

void pack_t2_row(const std::uint8_t* codes, std::size_t k, std::size_t row, std::uint8_t* packed) {
    TRILANE_CHECK(k % kPanelStep == 0);
    const std::size_t lane = row % kPanelRows;
    std::uint8_t* out =
        packed + row / kPanelRows * kPanelRows * (k / 4) + lane / 16 * 64 + lane % 16 * 4;
    for (std::size_t step = 0; step < k; step += kPanelStep, out += 128) {
        // Four columns at a time: a word holds one plane's bytes j = 0…3, byte order as in memory.
        std::uint32_t word = 0;
        for (std::size_t plane = 0; plane < 4; ++plane) {
            std::uint32_t four = 0;
            std::memcpy(&four, codes + step + plane * 4, sizeof four);
            word |= (four & 0x03030303U) << (2 * plane);
        }
        std::memcpy(out, &word, sizeof word);
    }
}

}  // namespace trilane::kernels
