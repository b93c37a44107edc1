// Products: matrix products and the quantising of their inputs, shared among a team's workers. What
// all families share of a forward step.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>

#include "os/thread_team.h"
#include "tensor/linear.h"

namespace trilane::model {

/// Computes each product of `n` rows of `x` (and of their quantised forms).
void multiply(const kernels::KernelTable& table, os::ThreadTeam& team,
              std::span<const tensor::Product> products, const float* x, std::size_t x_stride,
              const tensor::Activations& acts, std::size_t n);

/// Row t, `x`, in the forms that these linears read.
void quantize(const kernels::KernelTable& table, tensor::Activations& acts, std::size_t t,
              const float* x, std::initializer_list<const tensor::Linear*> readers);

/// Turns the pairs (j, j + half) or (2j, 2j + 1) of a head by `half` angles.
void rotate(float* head, const float* cosines, const float* sines, std::size_t half, bool adjacent);

}  // namespace trilane::model
