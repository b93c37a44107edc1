#include "tensor/linear.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/block_formats.h"
#include "tensor/dequantize.h"
#include "tensor/ternary.h"

namespace trilane::tensor {
namespace {

/// Kernel and activation form of the types that run where they lie.
struct InPlace {
    kernels::Matmul kernels::KernelTable::*kernel;
    gguf::Type type;
    Form form;
};
constexpr InPlace kInPlace[] = {
    {&kernels::KernelTable::f32, gguf::Type::f32, Form::f32},
    {&kernels::KernelTable::f16, gguf::Type::f16, Form::f32},
    {&kernels::KernelTable::bf16, gguf::Type::bf16, Form::f32},
    {&kernels::KernelTable::q8_0, gguf::Type::q8_0, Form::block_i8},
    {&kernels::KernelTable::q4_0, gguf::Type::q4_0, Form::block_i8},
    {&kernels::KernelTable::q4_k, gguf::Type::q4_k, Form::block_i8},
    {&kernels::KernelTable::q5_k, gguf::Type::q5_k, Form::block_i8},
    {&kernels::KernelTable::q6_k, gguf::Type::q6_k, Form::block_i8},
};

Result<Linear> load_in_place(const gguf::File& file, const gguf::Tensor& tensor) {
    const auto* entry = std::find_if(
        std::begin(kInPlace), std::end(kInPlace),
        [&](const InPlace& e) { return static_cast<std::uint32_t>(e.type) == tensor.type; });
    if (entry == std::end(kInPlace)) {
        return fail(Fault::invalid, "tensor {} has type id {}, which has no kernel here",
                    tensor.name, tensor.type);
    }
    if (entry->form == Form::block_i8 && tensor.shape[0] % 32 != 0) {
        return fail(Fault::invalid,
                    "tensor {} has rows of {} weights; its type needs a multiple of 32",
                    tensor.name, tensor.shape[0]);
    }
    Linear linear;
    linear.rows = tensor.shape[1];
    linear.cols = tensor.shape[0];
    linear.form = entry->form;
    linear.kernel = entry->kernel;
    linear.weights = file.data(tensor).data();
    linear.bytes_read = tensor.bytes;
    return linear;
}

Result<Linear> load_ternary(const gguf::File& file, const gguf::Tensor& tensor,
                            TernaryPolicy policy) {
    TRILANE_TRY(PackedTernary packed, pack_ternary(tensor, file.data(tensor), policy));
    Linear linear;
    linear.rows = tensor.shape[1];
    linear.cols = tensor.shape[0];
    linear.form = packed.scale.has_value() ? Form::token_i8 : Form::block_i8;
    linear.kernel =
        packed.scale.has_value() ? &kernels::KernelTable::t2_i8 : &kernels::KernelTable::q8_0;
    linear.scale = packed.scale.value_or(1.0F);
    linear.packed = std::move(packed.buffer);
    linear.weights = linear.packed.as<std::uint8_t>();
    linear.bytes_read = linear.packed.bytes();
    return linear;
}

void finish_rows(const Linear& linear, const Product& product, std::size_t n, std::size_t begin,
                 std::size_t end) {
    if (linear.bias.empty() && linear.output_scale == 1.0F) {
        return;
    }
    for (std::size_t t = 0; t < n; ++t) {
        float* y = product.y + t * product.y_stride;
        for (std::size_t r = begin; r < end; ++r) {
            y[r] = y[r] * linear.output_scale + (linear.bias.empty() ? 0.0F : linear.bias[r]);
        }
    }
}

}  // namespace

Result<Linear> load_linear(const gguf::File& file, const gguf::Tensor& tensor,
                           TernaryPolicy policy) {
    TRILANE_TRY_STATUS(gguf::require_readable(tensor));
    if (tensor.dimensions != 2 || tensor.shape[0] == 0 || tensor.shape[1] == 0) {
        return fail(Fault::invalid, "tensor {} should be a matrix, but has {} dimensions",
                    tensor.name, tensor.dimensions);
    }
    return is_ternary(tensor.type) ? load_ternary(file, tensor, policy)
                                   : load_in_place(file, tensor);
}

Result<std::vector<float>> load_vector(const gguf::File& file, const gguf::Tensor& tensor,
                                       std::size_t count) {
    TRILANE_TRY_STATUS(gguf::require_readable(tensor));
    if (tensor.weights() != count) {
        return fail(Fault::invalid, "tensor {} has {} numbers, expected {}", tensor.name,
                    tensor.weights(), count);
    }
    std::vector<float> values(count);
    TRILANE_TRY_STATUS(dequantize(tensor.type, file.data(tensor), values));
    return values;
}

Result<Activations> Activations::make(std::size_t tokens_max, std::size_t width_max) {
    Activations acts;
    acts.stride_ = (width_max + 63) / 64 * 64;
    const std::size_t groups = acts.stride_ / 32;
    for (Quantised* form : {&acts.tokens_, &acts.blocks_}) {
        TRILANE_TRY(form->q, Buffer::make(tokens_max * acts.stride_));
        TRILANE_TRY(form->scales, Buffer::make(tokens_max * groups * sizeof(float)));
        TRILANE_TRY(form->sums, Buffer::make(tokens_max * groups * sizeof(std::int32_t)));
    }
    return acts;
}

void Activations::quantize(const kernels::KernelTable& table, Form form, std::size_t t,
                           const float* x, std::size_t width) {
    if (form == Form::f32) {
        return;
    }
    Quantised& out = form == Form::token_i8 ? tokens_ : blocks_;
    const std::size_t group = form == Form::token_i8 ? t : t * (stride_ / 32);
    const auto quantize = form == Form::token_i8 ? table.quantize_token : table.quantize_blocks;
    quantize(x, width, out.q.as<std::int8_t>() + t * stride_, out.scales.as<float>() + group,
             out.sums.as<std::int32_t>() + group);
}

// NOLINTNEXTLINE(readability-function-size): seven operands, each of its own kind
void matmul_part(const kernels::KernelTable& table, std::span<const Product> products,
                 const float* x, std::size_t x_stride, const Activations& acts, std::size_t n,
                 Part part) {
    for (const Product& product : products) {
        const Linear& linear = *product.linear;
        const std::size_t groups = linear.rows_padded() / kernels::kPanelRows;
        const std::size_t begin = groups * part.index / part.count * kernels::kPanelRows;
        std::size_t end = groups * (part.index + 1) / part.count * kernels::kPanelRows;
        if (linear.form != Form::token_i8) {
            end = std::min(end, linear.rows);
        }
        if (begin >= end) {
            continue;
        }
        const bool quantised = linear.form != Form::f32;
        const Activations::Quantised& form = acts.of(linear.form);
        const kernels::MatmulArgs args{.weights = linear.weights,
                                       .k = linear.cols,
                                       .row_begin = begin,
                                       .row_end = end,
                                       .weight_scale = linear.scale,
                                       .n = n,
                                       .x = x,
                                       .x_stride = quantised ? acts.stride() : x_stride,
                                       .xq = form.q.as<std::int8_t>(),
                                       .x_scale = form.scales.as<float>(),
                                       .x_sum = form.sums.as<std::int32_t>(),
                                       .x_group_stride = acts.stride() / 32,
                                       .y = product.y,
                                       .y_stride = product.y_stride};
        (table.*linear.kernel)(args);
        finish_rows(linear, product, n, begin, std::min(end, linear.rows));
    }
}

std::uint64_t Activations::resident_bytes() const {
    std::uint64_t bytes = 0;
    for (const Quantised* form : {&tokens_, &blocks_}) {
        bytes +=
            form->q.resident_bytes() + form->scales.resident_bytes() + form->sums.resident_bytes();
    }
    return bytes;
}

}  // namespace trilane::tensor
