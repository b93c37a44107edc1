// Tensors: reads the tensors of one file by name, checking each shape. What all families share of
// loading Weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "gguf/gguf.h"
#include "tensor/linear.h"

namespace trilane::model {

/// Rows of an embedding, decoded one at a time from the file.
struct Embedding {
    std::uint32_t type = 0;
    std::span<const std::byte> rows;  ///< count × row_bytes
    std::size_t row_bytes = 0;

    /// Row `index` as numbers. `out` is as wide as a row, `index` one of them.
    void row(std::size_t index, std::span<float> out) const;
};

/// Shape of a matrix: `cols` is the contiguous one.
struct MatrixShape {
    std::size_t rows = 0;
    std::size_t cols = 0;
};

/// **Errors:** of all: corrupt or invalid, naming the tensor that is missing, misshapen or
/// unreadable.
class Tensors {
public:
    /// The file must outlive all that is read. Once `cancel` is set nothing more is read, and the
    /// error is `cancelled`.
    Tensors(const gguf::File& file, std::string_view architecture, CancelToken cancel = {})
        : file_(file), architecture_(architecture), cancel_(std::move(cancel)) {}

    [[nodiscard]] bool has(const std::string& name) const {
        return file_.find_tensor(name) != nullptr;
    }
    [[nodiscard]] Result<std::vector<float>> vector(const std::string& name,
                                                    std::size_t count) const;
    /// Empty when there is none.
    [[nodiscard]] Result<std::vector<float>> optional_vector(const std::string& name,
                                                             std::size_t count) const;
    /// `stem`.weight with its optional `stem`.bias and `stem`.scale.
    [[nodiscard]] Result<tensor::Linear> linear(const std::string& stem, MatrixShape shape,
                                                tensor::TernaryPolicy policy) const;
    /// `rows` rows of `stem`.weight of `shape`, and their biases, from row `first` on.
    [[nodiscard]] Result<tensor::Linear> linear_rows(const std::string& stem, MatrixShape shape,
                                                     std::size_t first, std::size_t rows) const;
    /// A table whose rows are `width` wide.
    [[nodiscard]] Result<Embedding> embedding(const std::string& name, std::size_t width) const;

private:
    [[nodiscard]] Result<const gguf::Tensor*> find(const std::string& name) const;
    [[nodiscard]] Result<const gguf::Tensor*> matrix(const std::string& name,
                                                     MatrixShape shape) const;
    const gguf::File& file_;
    std::string_view architecture_;
    CancelToken cancel_;
};

}  // namespace trilane::model
