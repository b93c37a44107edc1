#include "tensor/ternary.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/block_formats.h"
#include "kernels/kernels.h"
#include "tensor/dequantize.h"

namespace trilane::tensor {
namespace {

constexpr std::size_t kTq2Weights = 256;
constexpr std::size_t kTq2Bytes = 66;
constexpr std::size_t kTq2ScaleAt = 64;
constexpr std::size_t kQ8Weights = 32;
constexpr std::size_t kQ8Bytes = 34;
constexpr std::uint32_t kPairMask = 0x03030303U;

bool is_tq2(const gguf::Tensor& tensor) {
    return tensor.type == static_cast<std::uint32_t>(gguf::Type::tq2_0);
}

template <class T>
T read(const std::byte* bytes) {
    T value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

/// The scale that all TQ2_0 blocks share, as uniform_ternary_scale, without unpacking a code.
std::optional<float> uniform_tq2_scale(std::span<const std::byte> bytes) {
    std::optional<std::uint16_t> scale;
    for (std::size_t at = 0; at < bytes.size(); at += kTq2Bytes) {
        const auto here = read<std::uint16_t>(bytes.data() + at + kTq2ScaleAt);
        if (scale == here) {
            continue;
        }
        const auto codes = bytes.subspan(at, kTq2ScaleAt);
        if (std::all_of(codes.begin(), codes.end(),
                        [](std::byte b) { return b == std::byte{0x55}; })) {
            continue;  // nothing but zeros: any scale fits
        }
        if (scale.has_value()) {
            return std::nullopt;
        }
        scale = here;
    }
    return half_to_float(scale.value_or(0));
}

/// One TQ2_0 row straight into its panel: 16 weights lie in 16 bytes at one shift, and become the
/// four planes of one 32-bit word. Returns false on a code 3.
bool repack_tq2_row(const std::byte* blocks, std::size_t cols, std::size_t row,
                    std::uint8_t* packed) {
    std::uint8_t* out = packed + row / kernels::kPanelRows * (kernels::kPanelRows * cols / 4) +
                        row % kernels::kPanelRows / 16 * 64 + row % 16 * 4;
    std::uint32_t threes = 0;
    for (std::size_t k = 0; k < cols; k += 16, out += 128) {
        const std::byte* codes =
            blocks + k / kTq2Weights * kTq2Bytes + k % kTq2Weights / 128 * 32 + k % 32;
        const auto shift = static_cast<unsigned>(k % 128 / 32 * 2);
        std::uint32_t word = 0;
        for (unsigned plane = 0; plane < 4; ++plane) {
            const auto four = read<std::uint32_t>(codes + std::size_t{4} * plane);
            word |= ((four >> shift) & kPairMask) << (2 * plane);
        }
        threes |= word & (word >> 1U) & 0x55555555U;
        std::memcpy(out, &word, sizeof word);
    }
    return threes == 0;
}

Status pack_tq2_panels(const gguf::Tensor& tensor, std::span<const std::byte> bytes,
                       std::uint8_t* packed) {
    const std::size_t cols = tensor.shape[0];
    for (std::size_t row = 0; row < tensor.shape[1]; ++row) {
        if (!repack_tq2_row(bytes.data() + row * (cols / kTq2Weights * kTq2Bytes), cols, row,
                            packed)) {
            return fail(Fault::corrupt, "tensor {} row {} holds a code that is not ternary",
                        tensor.name, row);
        }
    }
    return {};
}

/// Codes and scales of any ternary type, unpacked.
struct Unpacked {
    std::vector<std::uint8_t> codes;
    std::vector<float> scales;
};

Result<Unpacked> unpack(const gguf::Tensor& tensor, std::span<const std::byte> bytes) {
    Unpacked u;
    u.codes.resize(tensor.weights());
    u.scales.resize(ternary_scales(tensor.type, tensor.weights()));
    const auto status = ternary_codes(tensor.type, bytes, u.codes, u.scales);
    if (!status) {
        return tl::unexpected(Error(status.error()).because(tensor.name));
    }
    return u;
}

Result<Buffer> q8_0_blocks(const gguf::Tensor& tensor, const Unpacked& u) {
    const std::size_t weights = u.codes.size();
    const std::size_t weights_per_scale = weights / u.scales.size();
    TRILANE_TRY(Buffer buffer, Buffer::make(weights / kQ8Weights * kQ8Bytes));
    auto* out = buffer.as<std::uint8_t>();
    for (std::size_t w = 0; w < weights; w += kQ8Weights, out += kQ8Bytes) {
        const float scale = u.scales[w / weights_per_scale];
        std::uint16_t half = 0;
        kernels::best_table().to_f16(&scale, 1, &half);
        if (half_to_float(half) != scale) {
            return fail(Fault::invalid,
                        "tensor {} has a scale of {} that no half-precision block can hold",
                        tensor.name, scale);
        }
        std::memcpy(out, &half, sizeof half);
        for (std::size_t i = 0; i < kQ8Weights; ++i) {
            out[sizeof half + i] = static_cast<std::uint8_t>(u.codes[w + i] - 1);
        }
    }
    return buffer;
}

void pack_code_panels(const gguf::Tensor& tensor, const Unpacked& u, std::uint8_t* packed) {
    const std::size_t cols = tensor.shape[0];
    for (std::size_t row = 0; row < tensor.shape[1]; ++row) {
        kernels::pack_t2_row(u.codes.data() + row * cols, cols, row, packed);
    }
}

}  // namespace

Result<PackedTernary> pack_ternary(const gguf::Tensor& tensor, std::span<const std::byte> bytes,
                                   TernaryPolicy policy) {
    const std::size_t cols = tensor.shape[0];
    const std::size_t rows = tensor.shape[1];
    if (cols % 128 != 0) {
        return fail(Fault::invalid,
                    "ternary tensor {} has rows of {} weights; a multiple of 128 is needed",
                    tensor.name, cols);
    }
    PackedTernary packed;
    const bool fast = policy == TernaryPolicy::token_i8 && is_tq2(tensor);
    Unpacked unpacked;
    if (fast) {
        packed.scale = uniform_tq2_scale(bytes);
    }
    if (!packed.scale.has_value()) {
        TRILANE_TRY(unpacked, unpack(tensor, bytes));
        packed.scale = policy == TernaryPolicy::token_i8
                           ? uniform_ternary_scale(unpacked.codes, unpacked.scales)
                           : std::nullopt;
    }
    if (!packed.scale.has_value()) {
        TRILANE_TRY(packed.buffer, q8_0_blocks(tensor, unpacked));
        return packed;
    }
    if (!std::isfinite(*packed.scale)) {
        return fail(Fault::corrupt, "tensor {} has a scale that is not a number", tensor.name);
    }
    TRILANE_TRY(packed.buffer, Buffer::make(kernels::packed_t2_bytes(rows, cols)));
    auto* panels = packed.buffer.as<std::uint8_t>();
    if (fast) {
        TRILANE_TRY_STATUS(pack_tq2_panels(tensor, bytes, panels));
    } else {
        pack_code_panels(tensor, unpacked, panels);
    }
    const std::vector<std::uint8_t> zeros(cols, 1);
    for (std::size_t row = rows; row % kernels::kPanelRows != 0; ++row) {
        kernels::pack_t2_row(zeros.data(), cols, row, panels);
    }
    return packed;
}

}  // namespace trilane::tensor
