// The words of blocks.h in 512-bit registers: sixteen rows side by side, AVX-512 VNNI. Included
// inside an anonymous namespace. Not a header for callers.

struct Words {
    using Ints = __m512i;
    using Floats = __m512;
    static constexpr std::size_t kRows = 16;

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

    static Ints zero() { return _mm512_setzero_si512(); }
    static Ints ints(std::int32_t v) { return _mm512_set1_epi32(v); }
    static Ints bytes(char v) { return _mm512_set1_epi8(v); }
    static Ints bit_and(Ints a, Ints b) { return _mm512_and_si512(a, b); }
    static Ints bit_or(Ints a, Ints b) { return _mm512_or_si512(a, b); }
    static Ints bit_xor(Ints a, Ints b) { return _mm512_xor_si512(a, b); }
    static Ints right(Ints v, unsigned bits) { return _mm512_srli_epi32(v, bits); }
    static Ints left(Ints v, unsigned bits) { return _mm512_slli_epi32(v, bits); }
    static Ints right_signed(Ints v, unsigned bits) { return _mm512_srai_epi32(v, bits); }
    static Ints sub_bytes(Ints a, Ints b) { return _mm512_sub_epi8(a, b); }
    static Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
    static Ints sub(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
    static Ints mul(Ints a, Ints b) { return _mm512_mullo_epi32(a, b); }

    static Floats floats(float v) { return _mm512_set1_ps(v); }
    static Floats floats(Ints v) { return _mm512_cvtepi32_ps(v); }
    static Floats load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
    static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
    static Floats mul_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
    static Floats minus_mul_add(Floats a, Floats b, Floats c) { return _mm512_fnmadd_ps(a, b, c); }

    /// The F16 in the lower half of each lane.
    static Floats low_halves(Ints v) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v)); }

    /// The F16 at `offset` of each row.
    static Floats halves_at(const Rows& rows, std::size_t offset) {
        return _mm512_cvtph_ps(
            _mm256_inserti128_si256(_mm256_castsi128_si256(eight_shorts(rows, 0, offset)),
                                    eight_shorts(rows, 8, offset), 1));
    }

    /// 16 bytes at `offset` of each row, turned so that out[j] holds dword j of every row.
    static void turned(const Rows& rows, std::size_t offset, Ints* out) {
        __m512i z[4];
        TRILANE_UNROLL
        for (std::size_t i = 0; i < 4; ++i) {
            __m512i v = _mm512_castsi128_si512(load16(rows.at(i, offset)));
            v = _mm512_inserti32x4(v, load16(rows.at(4 + i, offset)), 1);
            v = _mm512_inserti32x4(v, load16(rows.at(8 + i, offset)), 2);
            z[i] = _mm512_inserti32x4(v, load16(rows.at(12 + i, offset)), 3);
        }
        const __m512i a = _mm512_unpacklo_epi32(z[0], z[1]);
        const __m512i b = _mm512_unpackhi_epi32(z[0], z[1]);
        const __m512i c = _mm512_unpacklo_epi32(z[2], z[3]);
        const __m512i d = _mm512_unpackhi_epi32(z[2], z[3]);
        out[0] = _mm512_unpacklo_epi64(a, c);
        out[1] = _mm512_unpackhi_epi64(a, c);
        out[2] = _mm512_unpacklo_epi64(b, d);
        out[3] = _mm512_unpackhi_epi64(b, d);
    }

    /// start + Σ over `dwords` × 4 columns of unsigned weights times the bytes at x.
    template <std::size_t dwords, int max>
    static Ints dot(Ints start, const Ints* w, const std::int8_t* x) {
        TRILANE_UNROLL
        for (std::size_t i = 0; i < dwords; ++i) {
            start = _mm512_dpbusd_epi32(start, w[i], four(x + 4 * i));
        }
        return start;
    }

    /// The form of signed weights that dot_signed reads: a bias of 128 makes them unsigned.
    static Ints signed_form(Ints w) { return bit_xor(w, bytes(static_cast<char>(0x80))); }

    /// Σ over `dwords` × 4 columns; `x_sum` is Σ of the same x.
    template <std::size_t dwords>
    static Ints dot_signed(const Ints* w, const std::int8_t* x, Ints x_sum) {
        return dot<dwords, 255>(sub(zero(), left(x_sum, 7)), w, x);
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
    static __m128i eight_shorts(const Rows& rows, std::size_t first, std::size_t offset) {
        __m128i v = _mm_cvtsi32_si128(short_at(rows.at(first + 0, offset)));
        v = _mm_insert_epi16(v, short_at(rows.at(first + 1, offset)), 1);
        v = _mm_insert_epi16(v, short_at(rows.at(first + 2, offset)), 2);
        v = _mm_insert_epi16(v, short_at(rows.at(first + 3, offset)), 3);
        v = _mm_insert_epi16(v, short_at(rows.at(first + 4, offset)), 4);
        v = _mm_insert_epi16(v, short_at(rows.at(first + 5, offset)), 5);
        v = _mm_insert_epi16(v, short_at(rows.at(first + 6, offset)), 6);
        return _mm_insert_epi16(v, short_at(rows.at(first + 7, offset)), 7);
    }
    static __m512i four(const std::int8_t* x) {
        int word = 0;
        std::memcpy(&word, x, sizeof word);
        return _mm512_set1_epi32(word);
    }
};
