#include "model/tensors.h"

#include "base/check.h"
#include "tensor/dequantize.h"

namespace trilane::model {

void Embedding::row(std::size_t index, std::span<float> out) const {
    const auto decoded = tensor::dequantize(type, rows.subspan(index * row_bytes, row_bytes), out);
    TRILANE_CHECK(decoded.has_value());
}

Result<const gguf::Tensor*> Tensors::find(const std::string& name) const {
    if (cancel_.cancelled()) {
        return fail(Fault::cancelled, "the load was cancelled");
    }
    const gguf::Tensor* tensor = file_.find_tensor(name);
    if (tensor == nullptr) {
        return fail(Fault::corrupt, "tensor {} is missing; architecture {} needs it", name,
                    architecture_);
    }
    return tensor;
}

Result<const gguf::Tensor*> Tensors::matrix(const std::string& name, MatrixShape shape) const {
    TRILANE_TRY(const gguf::Tensor* tensor, find(name));
    if (tensor->shape[0] != shape.cols || tensor->shape[1] != shape.rows) {
        return fail(Fault::corrupt, "tensor {} is {} × {}; the metadata make it {} × {}",
                    tensor->name, tensor->shape[1], tensor->shape[0], shape.rows, shape.cols);
    }
    return tensor;
}

Result<std::vector<float>> Tensors::vector(const std::string& name, std::size_t count) const {
    TRILANE_TRY(const gguf::Tensor* tensor, find(name));
    return tensor::load_vector(file_, *tensor, count);
}

Result<std::vector<float>> Tensors::optional_vector(const std::string& name,
                                                    std::size_t count) const {
    if (!has(name)) {
        return std::vector<float>{};
    }
    return vector(name, count);
}

Result<tensor::Linear> Tensors::linear(const std::string& stem, MatrixShape shape,
                                       tensor::TernaryPolicy policy) const {
    TRILANE_TRY(const gguf::Tensor* tensor, matrix(stem + ".weight", shape));
    TRILANE_TRY(tensor::Linear linear, tensor::load_linear(file_, *tensor, policy));
    TRILANE_TRY(linear.bias, optional_vector(stem + ".bias", shape.rows));
    TRILANE_TRY(const auto scale, optional_vector(stem + ".scale", 1));
    linear.output_scale = scale.empty() ? 1.0F : scale[0];
    return linear;
}

Result<tensor::Linear> Tensors::linear_rows(const std::string& stem, MatrixShape shape,
                                            std::size_t first, std::size_t rows) const {
    TRILANE_TRY(const gguf::Tensor* whole, matrix(stem + ".weight", shape));
    TRILANE_TRY_STATUS(gguf::require_readable(*whole));
    if (whole->type == static_cast<std::uint32_t>(gguf::Type::i2_s)) {
        return fail(Fault::invalid, "tensor {} cannot be split by rows as I2_S", whole->name);
    }
    gguf::Tensor part = *whole;
    const std::uint64_t row_bytes = whole->bytes / whole->shape[1];
    part.shape[1] = rows;
    part.offset += first * row_bytes;
    part.bytes = rows * row_bytes;
    TRILANE_TRY(tensor::Linear linear,
                tensor::load_linear(file_, part, tensor::TernaryPolicy::exact));
    TRILANE_TRY(const auto bias, optional_vector(stem + ".bias", shape.rows));
    if (!bias.empty()) {
        const auto begin = bias.begin() + static_cast<std::ptrdiff_t>(first);
        linear.bias.assign(begin, begin + static_cast<std::ptrdiff_t>(rows));
    }
    return linear;
}

Result<Embedding> Tensors::embedding(const std::string& name, std::size_t width) const {
    TRILANE_TRY(const gguf::Tensor* tensor, find(name));
    TRILANE_TRY_STATUS(gguf::require_readable(*tensor));
    const auto* traits = gguf::traits_of(tensor->type);
    if (tensor->type == static_cast<std::uint32_t>(gguf::Type::i2_s) ||
        width % traits->block_weights != 0) {
        return fail(Fault::invalid, "tensor {} cannot be read row by row as {}", name,
                    traits->name);
    }
    if (tensor->shape[0] != width) {
        return fail(Fault::corrupt, "{} has rows of {}; the metadata make it {}", name,
                    tensor->shape[0], width);
    }
    return Embedding{tensor->type, file_.data(*tensor),
                     width / traits->block_weights * std::size_t{traits->block_bytes}};
}

}  // namespace trilane::model
