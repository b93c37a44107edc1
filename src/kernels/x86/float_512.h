// Float words of the AVX-512 files: masked loads, the lane sum, exp. Included inside each file's
// anonymous namespace. Not a header for callers.

/// The first `count` < 16 lanes.
inline __mmask16 first_lanes(std::size_t count) {
    return static_cast<__mmask16>((1U << count) - 1U);
}

inline __m512 load16(const float* p) {
    return _mm512_loadu_ps(p);
}
inline __m512 load16(const std::uint16_t* half) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(half)));
}
inline __m512 load16(__mmask16 mask, const float* p) {
    return _mm512_maskz_loadu_ps(mask, p);
}
inline __m512 load16(__mmask16 mask, const std::uint16_t* half) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, half));
}

/// Lanes added pairwise: i with i + 8, then + 4, + 2, + 1.
inline float lane_sum(__m512 v) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/// e^x: 2^n · the Taylor polynomial of degree 7 on |r| ≤ ln 2 / 2 (relative error below 2^-23 with
/// rounding). Below about −104 the result is 0.
inline __m512 exp16(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(-110.0F), x);  // this order keeps NaN
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504F)),
                                          _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    // ln 2 in two parts: the first has few bits, so n · part is exact.
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62ep-1F), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.0bfbe8p-15F), r);
    __m512 p = _mm512_set1_ps(1.0F / 5040.0F);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F / 720.0F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F / 120.0F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F / 24.0F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F / 6.0F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F));
    return _mm512_scalef_ps(p, n);
}
