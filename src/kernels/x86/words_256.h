// The words of blocks.h in 256-bit registers: eight rows side by side, AVX2 or AVX-VNNI. Included
// inside an anonymous namespace; expects TRILANE_HAS_VNNI to be 0 or 1. Not a header for callers.

struct Words {
    using Ints = __m256i;
    using Floats = __m256;
    static constexpr std::size_t kRows = 8;

    /// The same block of every row of a tile. Few pointers, so that they stay in registers.
    struct Rows {
        const std::uint8_t* quad[kRows / 4];  ///< rows 0, 4, …
        std::size_t stride;                   ///< bytes from one row to the next

        Rows(const std::uint8_t* first, std::size_t row_bytes) : stride(row_bytes) {
            TRILANE_UNROLL
            for (std::size_t i = 0; i < kRows / 4; ++i) {
                quad[i] = first + 4 * i * row_bytes;
            }
        }
        const std::uint8_t* at(std::size_t row, std::size_t offset) const {
            return quad[row / 4] + row % 4 * stride + offset;
        }
        void advance(std::size_t bytes) {
            TRILANE_UNROLL
            for (std::size_t i = 0; i < kRows / 4; ++i) {
                quad[i] += bytes;
            }
        }
    };

    static Ints zero() { return _mm256_setzero_si256(); }
    static Ints ints(std::int32_t v) { return _mm256_set1_epi32(v); }
    static Ints bytes(char v) { return _mm256_set1_epi8(v); }
    static Ints bit_and(Ints a, Ints b) { return _mm256_and_si256(a, b); }
    static Ints bit_or(Ints a, Ints b) { return _mm256_or_si256(a, b); }
    static Ints bit_xor(Ints a, Ints b) { return _mm256_xor_si256(a, b); }
    static Ints right(Ints v, unsigned bits) {
        return _mm256_srli_epi32(v, static_cast<int>(bits));
    }
    static Ints left(Ints v, unsigned bits) { return _mm256_slli_epi32(v, static_cast<int>(bits)); }
    static Ints right_signed(Ints v, unsigned bits) {
        return _mm256_srai_epi32(v, static_cast<int>(bits));
    }
    static Ints sub_bytes(Ints a, Ints b) { return _mm256_sub_epi8(a, b); }
    static Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
    static Ints sub(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
    static Ints mul(Ints a, Ints b) { return _mm256_mullo_epi32(a, b); }

    static Floats floats(float v) { return _mm256_set1_ps(v); }
    static Floats floats(Ints v) { return _mm256_cvtepi32_ps(v); }
    static Floats load(const float* p) { return _mm256_loadu_ps(p); }
    static void store(float* p, Floats v) { _mm256_storeu_ps(p, v); }
    static Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
    static Floats mul_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
    static Floats minus_mul_add(Floats a, Floats b, Floats c) { return _mm256_fnmadd_ps(a, b, c); }

    /// The F16 in the lower half of each lane.
    static Floats low_halves(Ints v) {
        const __m256i low = _mm256_and_si256(v, _mm256_set1_epi32(0xFFFF));
        const __m128i halves =
            _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
        return _mm256_cvtph_ps(halves);
    }

    /// The F16 at `offset` of each row.
    static Floats halves_at(const Rows& rows, std::size_t offset) {
        return _mm256_cvtph_ps(eight_shorts(rows, offset));
    }

    /// 16 bytes at `offset` of each row, turned so that out[j] holds dword j of every row.
    static void turned(const Rows& rows, std::size_t offset, Ints* out) {
        __m256i z[4];
        TRILANE_UNROLL
        for (std::size_t i = 0; i < 4; ++i) {
            z[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(load16(rows.at(i, offset))),
                                           load16(rows.at(4 + i, offset)), 1);
        }
        const __m256i a = _mm256_unpacklo_epi32(z[0], z[1]);
        const __m256i b = _mm256_unpackhi_epi32(z[0], z[1]);
        const __m256i c = _mm256_unpacklo_epi32(z[2], z[3]);
        const __m256i d = _mm256_unpackhi_epi32(z[2], z[3]);
        out[0] = _mm256_unpacklo_epi64(a, c);
        out[1] = _mm256_unpackhi_epi64(a, c);
        out[2] = _mm256_unpacklo_epi64(b, d);
        out[3] = _mm256_unpackhi_epi64(b, d);
    }

    /// start + Σ over `dwords` × 4 columns of unsigned weights ≤ max times the bytes at x.
    template <std::size_t dwords, int max>
    static Ints dot(Ints start, const Ints* w, const std::int8_t* x) {
#if TRILANE_HAS_VNNI
        TRILANE_UNROLL
        for (std::size_t i = 0; i < dwords; ++i) {
            start = _mm256_dpbusd_avx_epi32(start, w[i], four(x + 4 * i));
        }
        return start;
#else
        // As many 16-bit sums of two products as surely fit, then one widening.
        constexpr std::size_t kFit = 32767 / (2 * max * 128);
        static_assert(kFit >= 1);
        TRILANE_UNROLL
        for (std::size_t i = 0; i < dwords; i += kFit) {
            __m256i part = _mm256_maddubs_epi16(w[i], four(x + 4 * i));
            for (std::size_t j = i + 1; j < i + kFit && j < dwords; ++j) {
                part = _mm256_add_epi16(part, _mm256_maddubs_epi16(w[j], four(x + 4 * j)));
            }
            start = _mm256_add_epi32(start, _mm256_madd_epi16(part, _mm256_set1_epi16(1)));
        }
        return start;
#endif
    }

    // Signed weights. VNNI takes them with a bias of 128; without it a bias would overflow 16-bit
    // sums, so |w| is multiplied by x with the sign of w (which needs x ≥ −127).

    /// The form of signed weights that dot_signed reads.
    static Ints signed_form(Ints w) {
        return TRILANE_HAS_VNNI == 0 ? w : bit_xor(w, bytes(static_cast<char>(0x80)));
    }

    /// Σ over `dwords` × 4 columns; `x_sum` is Σ of the same x.
    template <std::size_t dwords>
    static Ints dot_signed(const Ints* w, const std::int8_t* x, [[maybe_unused]] Ints x_sum) {
#if TRILANE_HAS_VNNI
        return dot<dwords, 255>(sub(zero(), left(x_sum, 7)), w, x);
#else
        Ints sum = zero();
        TRILANE_UNROLL
        for (std::size_t i = 0; i < dwords; ++i) {
            const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w[i]),
                                                       _mm256_sign_epi8(four(x + 4 * i), w[i]));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        }
        return sum;
#endif
    }

private:
    static __m128i load16(const std::uint8_t* p) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    }
    static int short_at(const std::uint8_t* p) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, p, sizeof bits);
        return bits;
    }
    static __m128i eight_shorts(const Rows& rows, std::size_t offset) {
        __m128i v = _mm_cvtsi32_si128(short_at(rows.at(0, offset)));
        v = _mm_insert_epi16(v, short_at(rows.at(1, offset)), 1);
        v = _mm_insert_epi16(v, short_at(rows.at(2, offset)), 2);
        v = _mm_insert_epi16(v, short_at(rows.at(3, offset)), 3);
        v = _mm_insert_epi16(v, short_at(rows.at(4, offset)), 4);
        v = _mm_insert_epi16(v, short_at(rows.at(5, offset)), 5);
        v = _mm_insert_epi16(v, short_at(rows.at(6, offset)), 6);
        return _mm_insert_epi16(v, short_at(rows.at(7, offset)), 7);
    }
    static __m256i four(const std::int8_t* x) {
        int word = 0;
        std::memcpy(&word, x, sizeof word);
        return _mm256_set1_epi32(word);
    }
};
