// The dot-instruction peak with AVX-512 VNNI.
#include <immintrin.h>

#include "vnni.h"

namespace trilane::bench {

std::size_t vnni_avx512(std::size_t rounds) {
    constexpr std::size_t kChains = 12;
    constexpr std::size_t kMacsPerDot = 64;
    __m512i sums[kChains];
    for (__m512i& sum : sums) {
        sum = _mm512_setzero_si512();
    }
    const __m512i u = _mm512_set1_epi8(1);
    __m512i s = _mm512_set1_epi8(2);
    for (std::size_t i = 0; i < rounds; ++i) {
        asm volatile("" : "+v"(s));  // else the loop could be folded
#pragma GCC unroll 12
        for (std::size_t c = 0; c < kChains; ++c) {
            sums[c] = _mm512_dpbusd_epi32(sums[c], u, s);
        }
    }
    for (__m512i& sum : sums) {
        asm volatile("" : "+v"(sum));
    }
    return rounds * kChains * kMacsPerDot;
}

}  // namespace trilane::bench
