// Linear: a weight matrix ready for its kernel, and the activations it wants. Ternary weights are
// packed into panels here; every other type is used where the file maps it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/gguf.h"
#include "kernels/kernels.h"
#include "os/thread_team.h"
#include "tensor/buffer.h"
#include "tensor/ternary.h"

namespace trilane::tensor {

/// The form of activations that a kernel reads.
enum class Form : std::uint8_t {
    f32,       ///< the numbers themselves
    token_i8,  ///< int8 with one scale per token: what BitNet models are trained with
    block_i8,  ///< int8 with one scale per 32 values
};

/// y = W·x (+ bias) with W of `rows` × `cols`.
struct Linear {
    std::size_t rows = 0;
    std::size_t cols = 0;
    Form form = Form::f32;
    kernels::Matmul kernels::KernelTable::*kernel = nullptr;
    const void* weights = nullptr;  ///< into `packed` or into the file
    float scale = 1.0F;             ///< of a ternary tensor
    float output_scale = 1.0F;      ///< a `.scale` tensor beside the weights
    std::vector<float> bias;        ///< [rows] or empty
    Buffer packed;
    std::size_t bytes_read = 0;  ///< weight bytes that one token's product reads

    /// Panels compute rows in groups of 32; outputs need room for the last group.
    [[nodiscard]] std::size_t rows_padded() const { return (rows + 31) / 32 * 32; }
};

/// Makes a Linear of a 2-D tensor. The file must outlive it.
/// **Errors:** invalid, naming the tensor, for types it cannot compute and for sizes they do not
/// allow; corrupt for ternary tensors whose bytes are no ternary codes.
Result<Linear> load_linear(const gguf::File& file, const gguf::Tensor& tensor,
                           TernaryPolicy policy);

/// `tensor` as `count` floats (norms, biases, scales). **Errors:** invalid, naming the tensor.
Result<std::vector<float>> load_vector(const gguf::File& file, const gguf::Tensor& tensor,
                                       std::size_t count);

/// Activations of up to tokens_max tokens in the quantised forms their linears want.
class Activations {
public:
    /// Room for tokens × width. **Errors:** exhausted.
    static Result<Activations> make(std::size_t tokens_max, std::size_t width_max);

    /// One quantised form: q [tokens][stride], scales and sums [tokens] (token_i8) or
    /// [tokens][stride / 32] (block_i8).
    struct Quantised {
        Buffer q;
        Buffer scales;
        Buffer sums;
    };

    /// Quantises token t of `x` ([width] floats) into `form`; nothing to do for f32.
    /// **Threads:** different tokens may be quantised at once.
    void quantize(const kernels::KernelTable& table, Form form, std::size_t t, const float* x,
                  std::size_t width);

    [[nodiscard]] std::size_t stride() const { return stride_; }
    /// What is in memory of both forms.
    [[nodiscard]] std::uint64_t resident_bytes() const;
    [[nodiscard]] const Quantised& of(Form form) const {
        return form == Form::token_i8 ? tokens_ : blocks_;
    }

private:
    Quantised tokens_;
    Quantised blocks_;
    std::size_t stride_ = 0;
};

/// One product of a matmul call: `linear` into `y` ([n][y_stride], y_stride ≥ rows_padded()).
struct Product {
    const Linear* linear = nullptr;
    float* y = nullptr;
    std::size_t y_stride = 0;
};

/// Part `index` of `count` equal parts of a product's rows.
struct Part {
    std::size_t index = 0;
    std::size_t count = 1;
};

/// Computes one part of each product's rows for `n` tokens. `x` is [n][x_stride] floats, read by
/// f32 kernels; `acts` holds the quantised forms of the same tokens.
/// **Threads:** parts are disjoint: all may be computed at once.
void matmul_part(const kernels::KernelTable& table, std::span<const Product> products,
                 const float* x, std::size_t x_stride, const Activations& acts, std::size_t n,
                 Part part);

}  // namespace trilane::tensor
