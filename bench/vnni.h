// The densest loop of int8 dot instructions there is, per instruction set: what no kernel can
// exceed.
#pragma once

#include <cstddef>

namespace trilane::bench {

/// Runs `rounds` of twelve independent dot instructions on registers; returns the multiply-adds
/// done.
std::size_t vnni_avxvnni(std::size_t rounds);
std::size_t vnni_avx512(std::size_t rounds);

}  // namespace trilane::bench
