// Products of GGUF's quantised blocks with per-32 int8 activations, written once over the words of
// words_256.h or words_512.h. Included after one of them, inside an anonymous namespace. Not a
// header for callers.
//
// A tile is Words::kRows rows side by side, one row per 32-bit lane: weights are turned once per
// group of 32 columns, then every token costs eight dot instructions, whose sums are already in
// their rows' lanes. So the float step is one fused multiply-add for all rows of the tile, in block
// order, and the result equals the reference bit for bit.

using Ints = Words::Ints;
using Floats = Words::Floats;
using Rows = Words::Rows;

/// Tokens that share one turning of the weights.
constexpr std::size_t kTokensMax = 32;

/// One token's activations of one group.
struct Group {
    const std::int8_t* q;
    float scale;
    std::int32_t sum;
};

inline void turned_32(const Rows& rows, std::size_t offset, Ints* out) {
    Words::turned(rows, offset, out);
    Words::turned(rows, offset + 16, out + 4);
}

/// acc + (scale · x.scale) · sum
inline Floats add_group(Floats acc, Floats scale, const Group& x, Ints sum) {
    return Words::mul_add(Words::mul(scale, Words::floats(x.scale)), Words::floats(sum), acc);
}

/// A format has kBytes and kValues of its block, a Block that holds what one block of every row
/// needs, and per group of 32 weights: unpack() into eight words, then add() per token.
struct Q80 {
    static constexpr std::size_t kBytes = kQ80Bytes;
    static constexpr std::size_t kValues = kGroup;
    struct Block {
        Floats d;
        const Rows* rows;
    };
    static void open(const Rows& rows, Block& block) {
        block.d = Words::halves_at(rows, 0);
        block.rows = &rows;
    }
    static void unpack(const Block& block, std::size_t, Ints* w) {
        turned_32(*block.rows, 2, w);
        TRILANE_UNROLL
        for (std::size_t i = 0; i < 8; ++i) {
            w[i] = Words::signed_form(w[i]);
        }
    }
    static Floats add(Floats acc, const Block& block, std::size_t, const Ints* w, const Group& x) {
        const Ints x_sum = Words::ints(x.sum);
        return add_group(acc, block.d, x, Words::dot_signed<8>(w, x.q, x_sum));
    }
};

struct Q40 {
    static constexpr std::size_t kBytes = kQ40Bytes;
    static constexpr std::size_t kValues = kGroup;
    struct Block {
        Floats d;
        const Rows* rows;
    };
    static void open(const Rows& rows, Block& block) {
        block.d = Words::halves_at(rows, 0);
        block.rows = &rows;
    }
    static void unpack(const Block& block, std::size_t, Ints* w) {
        Ints packed[4];
        Words::turned(*block.rows, 2, packed);
        TRILANE_UNROLL
        for (std::size_t i = 0; i < 4; ++i) {
            w[i] = Words::bit_and(packed[i], Words::bytes(15));
            w[4 + i] = Words::bit_and(Words::right(packed[i], 4), Words::bytes(15));
        }
    }
    static Floats add(Floats acc, const Block& block, std::size_t, const Ints* w, const Group& x) {
        const Ints start = Words::ints(-8 * x.sum);
        return add_group(acc, block.d, x, Words::dot<8, 15>(start, w, x.q));
    }
};

/// What Q4_K and Q5_K share: 16 bytes in front (d, dmin, twelve bytes of 6-bit scales and minima)
/// and 128 bytes of nibbles, groups 2c and 2c + 1 in bytes 32c….
struct ScaleMinBlock {
    Floats scale[8];
    Floats min[8];
    Ints low[32];

    void open(const Rows& rows, std::size_t nibbles) {
        Ints front[4];
        Words::turned(rows, 0, front);
        const Floats d = Words::low_halves(front[0]);
        const Floats dmin = Words::low_halves(Words::right(front[0], 16));
        TRILANE_UNROLL
        for (unsigned j = 0; j < 4; ++j) {
            const Ints low_scale = Words::right(front[1], 8 * j);
            const Ints low_min = Words::right(front[2], 8 * j);
            const Ints both = Words::right(front[3], 8 * j);
            scale[j] = times(d, Words::bit_and(low_scale, Words::ints(63)));
            min[j] = times(dmin, Words::bit_and(low_min, Words::ints(63)));
            scale[4 + j] = times(d, joined(both, low_scale));
            min[4 + j] = times(dmin, joined(Words::right(both, 4), low_min));
        }
        for (std::size_t c = 0; c < 4; ++c) {
            turned_32(rows, nibbles + 32 * c, low + 8 * c);
        }
    }

    Ints nibbles(std::size_t group, std::size_t i) const {
        const Ints packed = low[group / 2 * 8 + i];
        const Ints wanted = group % 2 == 0 ? packed : Words::right(packed, 4);
        return Words::bit_and(wanted, Words::bytes(15));
    }

    template <int max>
    Floats add(Floats acc, std::size_t group, const Ints* w, const Group& x) const {
        const Ints sum = Words::dot<8, max>(Words::zero(), w, x.q);
        acc = add_group(acc, scale[group], x, sum);
        return Words::minus_mul_add(Words::mul(min[group], Words::floats(x.scale)),
                                    Words::floats(static_cast<float>(x.sum)), acc);
    }

private:
    static Floats times(Floats d, Ints v) { return Words::mul(d, Words::floats(v)); }
    /// Low four bits of `low`, then bits 6 and 7 of `top`.
    static Ints joined(Ints low, Ints top) {
        const Ints upper = Words::bit_and(Words::right(top, 2), Words::ints(0x30));
        return Words::bit_or(Words::bit_and(low, Words::ints(15)), upper);
    }
};

struct Q4k {
    static constexpr std::size_t kBytes = kQ4kBytes;
    static constexpr std::size_t kValues = kSuperBlock;
    using Block = ScaleMinBlock;
    static void open(const Rows& rows, Block& block) { block.open(rows, 16); }
    static void unpack(const Block& block, std::size_t group, Ints* w) {
        TRILANE_UNROLL
        for (std::size_t i = 0; i < 8; ++i) {
            w[i] = block.nibbles(group, i);
        }
    }
    static Floats add(Floats acc, const Block& block, std::size_t group, const Ints* w,
                      const Group& x) {
        return block.template add<15>(acc, group, w, x);
    }
};

struct Q5k {
    static constexpr std::size_t kBytes = kQ5kBytes;
    static constexpr std::size_t kValues = kSuperBlock;
    struct Block {
        ScaleMinBlock base;
        Ints high[8];
    };
    static void open(const Rows& rows, Block& block) {
        block.base.open(rows, 48);
        turned_32(rows, 16, block.high);
    }
    static void unpack(const Block& block, std::size_t group, Ints* w) {
        TRILANE_UNROLL
        for (std::size_t i = 0; i < 8; ++i) {
            const Ints fifth = Words::right(block.high[i], static_cast<unsigned>(group));
            w[i] = Words::bit_or(block.base.nibbles(group, i),
                                 Words::left(Words::bit_and(fifth, Words::bytes(1)), 4));
        }
    }
    static Floats add(Floats acc, const Block& block, std::size_t group, const Ints* w,
                      const Group& x) {
        return block.base.template add<31>(acc, group, w, x);
    }
};

struct Q6k {
    static constexpr std::size_t kBytes = kQ6kBytes;
    static constexpr std::size_t kValues = kSuperBlock;
    struct Block {
        Floats d;
        Ints low[32];
        Ints high[16];
        Ints scale[16];  ///< of 16 weights each
    };
    static void open(const Rows& rows, Block& block) {
        block.d = Words::halves_at(rows, 208);
        Ints scales[4];
        Words::turned(rows, 192, scales);
        TRILANE_UNROLL
        for (unsigned i = 0; i < 16; ++i) {
            block.scale[i] = Words::right_signed(Words::left(scales[i / 4], 24 - 8 * (i % 4)), 24);
        }
        for (std::size_t c = 0; c < 4; ++c) {
            turned_32(rows, 32 * c, block.low + 8 * c);
        }
        turned_32(rows, 128, block.high);
        turned_32(rows, 160, block.high + 8);
    }
    static void unpack(const Block& block, std::size_t group, Ints* w) {
        const std::size_t half = group / 4;
        const unsigned low_shift = group % 4 < 2 ? 0 : 4;
        const unsigned high_shift = static_cast<unsigned>(group % 4) * 2;
        TRILANE_UNROLL
        for (std::size_t i = 0; i < 8; ++i) {
            const Ints low = Words::right(block.low[16 * half + 8 * (group % 2) + i], low_shift);
            const Ints high = Words::right(block.high[8 * half + i], high_shift);
            const Ints q = Words::bit_or(Words::bit_and(low, Words::bytes(15)),
                                         Words::left(Words::bit_and(high, Words::bytes(3)), 4));
            w[i] = Words::signed_form(Words::sub_bytes(q, Words::bytes(32)));
        }
    }
    static Floats add(Floats acc, const Block& block, std::size_t group, const Ints* w,
                      const Group& x) {
        // Two scales per group, so two sums; Σx is at hand only for the whole group.
        const Ints ones[4] = {Words::bytes(1), Words::bytes(1), Words::bytes(1), Words::bytes(1)};
        const Ints x_first = Words::dot<4, 1>(Words::zero(), ones, x.q);
        const Ints x_second = Words::sub(Words::ints(x.sum), x_first);
        const Ints first = Words::dot_signed<4>(w, x.q, x_first);
        const Ints second = Words::dot_signed<4>(w + 4, x.q + 16, x_second);
        const Ints sum = Words::add(Words::mul(block.scale[2 * group], first),
                                    Words::mul(block.scale[2 * group + 1], second));
        return add_group(acc, block.d, x, sum);
    }
};

/// One tile: the kRows rows from `row` on × tokens first … first + count − 1. Rows from `wanted` on
/// are stored.
template <class Format>
void tile(const MatmulArgs& args, std::size_t row, std::size_t wanted, std::size_t first,
          std::size_t count) {
    constexpr std::size_t kGroups = Format::kValues / kGroup;
    constexpr std::size_t kAheadBytes = Words::kRows * Format::kBytes / kGroups;
    const std::size_t row_bytes = args.k / Format::kValues * Format::kBytes;
    const auto* weights = static_cast<const std::uint8_t*>(args.weights) + row * row_bytes;
    // Tiles follow each other in memory: fetching the next one in order suits the memory, whatever
    // the number of rows that are read side by side here.
    const auto* ahead = reinterpret_cast<const char*>(weights + Words::kRows * row_bytes);
    Rows rows(weights, row_bytes);
    alignas(64) float sums[kTokensMax][Words::kRows] = {};
    for (std::size_t group = 0; group < args.k / kGroup; group += kGroups) {
        typename Format::Block block;
        Format::open(rows, block);
        for (std::size_t g = 0; g < kGroups; ++g) {
            // A share per group: more at once than the core can track would wait.
            TRILANE_UNROLL
            for (std::size_t byte = 0; byte < kAheadBytes; byte += 64) {
                _mm_prefetch(ahead + byte, _MM_HINT_T1);
            }
            ahead += kAheadBytes;
            Ints w[8];
            Format::unpack(block, g, w);
            for (std::size_t t = 0; t < count; ++t) {
                const std::size_t at = (first + t) * args.x_group_stride + group + g;
                const Group x{args.xq + (first + t) * args.x_stride + (group + g) * kGroup,
                              args.x_scale[at], args.x_sum[at]};
                Words::store(sums[t], Format::add(Words::load(sums[t]), block, g, w, x));
            }
        }
        rows.advance(Format::kBytes);
    }
    const std::size_t skipped = wanted - row;
    for (std::size_t t = 0; t < count; ++t) {
        std::memcpy(args.y + (first + t) * args.y_stride + wanted, sums[t] + skipped,
                    (Words::kRows - skipped) * sizeof(float));
    }
}

/// `reference` serves matrices that are smaller than one tile; its results are the same.
template <class Format>
void matmul(const MatmulArgs& args, void (*reference)(const MatmulArgs&)) {
    if (args.row_end < Words::kRows) {
        reference(args);
        return;
    }
    for (std::size_t row = args.row_begin; row < args.row_end; row += Words::kRows) {
        // The last tile starts early enough to be whole; what it computes again is not stored.
        const std::size_t last = args.row_end - Words::kRows;
        const std::size_t start = row < last ? row : last;
        for (std::size_t first = 0; first < args.n; first += kTokensMax) {
            const std::size_t rest = args.n - first;
            tile<Format>(args, start, row, first, rest < kTokensMax ? rest : kTokensMax);
        }
    }
}
