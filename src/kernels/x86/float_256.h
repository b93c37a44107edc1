// Float words of the AVX2 files: loads with a tail, the lane sum, exp. Included inside each file's
// anonymous namespace. Not a header for callers.

inline __m256 load8(const float* p) {
    return _mm256_loadu_ps(p);
}
inline __m256 load8(const std::uint16_t* half) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(half)));
}

/// The first `count` < 8 values, zeros behind them.
template <class Stored>
inline __m256 load_tail(const Stored* p, std::size_t count) {
    Stored padded[8] = {};
    std::memcpy(padded, p, count * sizeof(Stored));
    return load8(padded);
}

/// Lanes added pairwise: i with i + 4, then + 2, then + 1.
inline float lane_sum(__m256 v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

inline float lane_max(__m256 v) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/// e^x: 2^n · the Taylor polynomial of degree 7 on |r| ≤ ln 2 / 2 (relative error below 2^-23 with
/// rounding). 0 below −87.3, largest finite powers kept above 88.
inline __m256 exp8(__m256 x) {
    const __m256 low = _mm256_set1_ps(-87.3F);
    const __m256 is_zero = _mm256_cmp_ps(x, low, _CMP_LT_OQ);
    x = _mm256_min_ps(_mm256_set1_ps(88.0F), _mm256_max_ps(low, x));  // this order keeps NaN
    const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504F)),
                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    // ln 2 in two parts: the first has few bits, so n · part is exact.
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62ep-1F), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.0bfbe8p-15F), r);
    __m256 p = _mm256_set1_ps(1.0F / 5040.0F);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F / 720.0F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F / 120.0F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F / 24.0F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F / 6.0F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F));
    const __m256i exponent =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_andnot_ps(is_zero, _mm256_mul_ps(p, _mm256_castsi256_ps(exponent)));
}
