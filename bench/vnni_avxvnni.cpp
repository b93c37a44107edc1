// The dot-instruction peak with AVX-VNNI.
#include "vnni.h"

#include <immintrin.h>

namespace trilane::bench {

std::size_t vnni_avxvnni(std::size_t rounds) {
    constexpr std::size_t kChains = 12;
    constexpr std::size_t kMacsPerDot = 32;
    __m256i sums[kChains];
    for (__m256i& sum : sums) {
        sum = _mm256_setzero_si256();
    }
    const __m256i u = _mm256_set1_epi8(1);
    __m256i s = _mm256_set1_epi8(2);
    for (std::size_t i = 0; i < rounds; ++i) {
        asm volatile("" : "+x"(s));  // else the loop could be folded
#pragma GCC unroll 12
        for (std::size_t c = 0; c < kChains; ++c) {
            sums[c] = _mm256_dpbusd_avx_epi32(sums[c], u, s);
        }
    }
    for (__m256i& sum : sums) {
        asm volatile("" : "+x"(sum));
    }
    return rounds * kChains * kMacsPerDot;
}

}  // namespace trilane::bench
