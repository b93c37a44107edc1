// Ternary panels × int8 activations in 256-bit registers: the body of the AVX2 and AVX-VNNI
// kernels. Included once per instruction set, inside an anonymous namespace; `Dot` says how sums
// are kept. Not a header for callers.

/// Ahead of a single token's walk: about what memory latency × one core's bandwidth covers.
constexpr std::size_t kPrefetchBytes = 4096;

__m256i broadcast4(const std::int8_t* x) {
    int word = 0;
    std::memcpy(&word, x, sizeof word);
    return _mm256_set1_epi32(word);
}

template <int plane>
__m256i codes(__m256i packed) {
    return _mm256_and_si256(plane == 0 ? packed : _mm256_srli_epi16(packed, 2 * plane),
                            _mm256_set1_epi8(3));
}

void finish(const MatmulArgs& args, std::size_t row, std::size_t t, __m256i sum) {
    const __m256i bias = _mm256_set1_epi32(args.x_sum[t]);
    const __m256 scale = _mm256_set1_ps(args.weight_scale * args.x_scale[t]);
    _mm256_storeu_ps(args.y + t * args.y_stride + row,
                     _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(sum, bias)), scale));
}

/// Sums of one block (16 rows: two registers) with `tokens` tokens.
template <std::size_t tokens>
struct Sums {
    __m256i low[tokens];
    __m256i high[tokens];
};

template <class Dot, int plane, std::size_t tokens>
void multiply_plane(__m256i w0, __m256i w1, const std::int8_t* x, std::size_t stride,
                    Sums<tokens>& sums) {
    const __m256i u0 = codes<plane>(w0);
    const __m256i u1 = codes<plane>(w1);
    TRILANE_UNROLL
    for (std::size_t t = 0; t < tokens; ++t) {
        const __m256i s = broadcast4(x + t * stride + std::ptrdiff_t{4} * plane);
        sums.low[t] = Dot::add(sums.low[t], u0, s);
        sums.high[t] = Dot::add(sums.high[t], u1, s);
    }
}

template <std::size_t tokens>
void clear(Sums<tokens>& sums) {
    TRILANE_UNROLL
    for (std::size_t t = 0; t < tokens; ++t) {
        sums.low[t] = sums.high[t] = _mm256_setzero_si256();
    }
}

/// One 16-row block of a panel (`w` is its first 64 bytes) × tokens first … first + tokens − 1.
template <class Dot, std::size_t tokens>
void block(const MatmulArgs& args, const std::uint8_t* w, std::size_t row, std::size_t first) {
    Sums<tokens> total;
    clear(total);
    const std::int8_t* x = args.xq + first * args.x_stride;
    for (std::size_t k = 0; k < args.k;) {
        const std::size_t rest = args.k - k;
        const std::size_t stretch = rest < Dot::kColumnsMax ? rest : Dot::kColumnsMax;
        Sums<tokens> part;
        clear(part);
        for (std::size_t end = k + stretch; k < end; k += kPanelStep, w += 128, x += kPanelStep) {
            if (tokens == 1) {
                _mm_prefetch(reinterpret_cast<const char*>(w) + kPrefetchBytes, _MM_HINT_T0);
            }
            const __m256i w0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
            const __m256i w1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 32));
            multiply_plane<Dot, 0, tokens>(w0, w1, x, args.x_stride, part);
            multiply_plane<Dot, 1, tokens>(w0, w1, x, args.x_stride, part);
            multiply_plane<Dot, 2, tokens>(w0, w1, x, args.x_stride, part);
            multiply_plane<Dot, 3, tokens>(w0, w1, x, args.x_stride, part);
        }
        TRILANE_UNROLL
        for (std::size_t t = 0; t < tokens; ++t) {
            total.low[t] = _mm256_add_epi32(total.low[t], Dot::widened(part.low[t]));
            total.high[t] = _mm256_add_epi32(total.high[t], Dot::widened(part.high[t]));
        }
    }
    TRILANE_UNROLL
    for (std::size_t t = 0; t < tokens; ++t) {
        finish(args, row, first + t, total.low[t]);
        finish(args, row + 8, first + t, total.high[t]);
    }
}

/// One whole panel × one token, walked once so that memory is read in order.
template <class Dot>
void panel_streamed(const MatmulArgs& args, const std::uint8_t* w, std::size_t row, std::size_t t) {
    Sums<2> total;
    clear(total);
    const std::int8_t* x = args.xq + t * args.x_stride;
    for (std::size_t k = 0; k < args.k;) {
        const std::size_t rest = args.k - k;
        const std::size_t stretch = rest < Dot::kColumnsMax ? rest : Dot::kColumnsMax;
        Sums<1> part[2];
        clear(part[0]);
        clear(part[1]);
        for (std::size_t end = k + stretch; k < end; k += kPanelStep, w += 128, x += kPanelStep) {
            TRILANE_UNROLL
            for (int half = 0; half < 2; ++half) {
                const std::uint8_t* b = w + std::ptrdiff_t{64} * half;
                _mm_prefetch(reinterpret_cast<const char*>(b) + kPrefetchBytes, _MM_HINT_T0);
                const __m256i w0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
                const __m256i w1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + 32));
                multiply_plane<Dot, 0, 1>(w0, w1, x, 0, part[half]);
                multiply_plane<Dot, 1, 1>(w0, w1, x, 0, part[half]);
                multiply_plane<Dot, 2, 1>(w0, w1, x, 0, part[half]);
                multiply_plane<Dot, 3, 1>(w0, w1, x, 0, part[half]);
            }
        }
        TRILANE_UNROLL
        for (int half = 0; half < 2; ++half) {
            total.low[half] = _mm256_add_epi32(total.low[half], Dot::widened(part[half].low[0]));
            total.high[half] = _mm256_add_epi32(total.high[half], Dot::widened(part[half].high[0]));
        }
    }
    for (int half = 0; half < 2; ++half) {
        const std::size_t block_row = row + 16 * static_cast<std::size_t>(half);
        finish(args, block_row, t, total.low[half]);
        finish(args, block_row + 8, t, total.high[half]);
    }
}

/// One panel × all tokens: tiles of `wide` tokens, then of two, then a single one.
template <class Dot, std::size_t wide>
void panel_any(const MatmulArgs& args, const std::uint8_t* w, std::size_t row) {
    std::size_t t = 0;
    for (; t + wide <= args.n; t += wide) {
        block<Dot, wide>(args, w, row, t);
        block<Dot, wide>(args, w + 64, row + 16, t);
    }
    for (; t + 2 <= args.n; t += 2) {
        block<Dot, 2>(args, w, row, t);
        block<Dot, 2>(args, w + 64, row + 16, t);
    }
    if (t < args.n) {
        panel_streamed<Dot>(args, w, row, t);
    }
}

/// All panels of the row range. Panels outside, tokens inside: each weight comes from memory once.
template <class Dot, std::size_t wide>
void matmul(const MatmulArgs& args) {
    const auto* weights = static_cast<const std::uint8_t*>(args.weights);
    for (std::size_t row = args.row_begin; row < args.row_end; row += kPanelRows) {
        panel_any<Dot, wide>(args, weights + row * (args.k / 4), row);
    }
}
