// The encoder against a plain double-precision reading of the same weights, and the promises of its
// forward pass: what else is in the batch, how it is cut and how many threads there are changes
// nothing, to the bit.

#include "model/encoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "gguf/gguf.h"
#include "model/pooling.h"
#include "model/sample_encoder.h"

namespace trilane::model {
namespace {

using Row = std::vector<double>;

/// The layers as the papers write them, one number after another.
class Reference {
public:
    explicit Reference(const SampleEncoder& sample) : s_(sample) {}

    [[nodiscard]] std::vector<Row> hidden(const Passage& passage) const {
        std::vector<Row> x;
        for (std::size_t i = 0; i < passage.ids.size(); ++i) {
            x.push_back(embedded(passage, i));
        }
        for (std::uint32_t l = 0; l < s_.layers; ++l) {
            const std::string at = "blk." + std::to_string(l) + ".";
            const std::vector<Row> mixed = attended(at, x);
            for (std::size_t i = 0; i < x.size(); ++i) {
                x[i] = normed(at + "attn_output_norm",
                              sum(x[i], product(at + "attn_output", mixed[i], s_.dim)));
                x[i] = normed(at + "layer_output_norm", sum(x[i], fed(at, x[i])));
            }
        }
        return x;
    }

    [[nodiscard]] double score(const Row& first) const {
        Row pooled = product("cls", first, s_.dim);
        for (double& value : pooled) {
            value = std::tanh(value);
        }
        return product("cls.output", pooled, 1)[0];
    }

private:
    [[nodiscard]] double at(const std::string& name, std::size_t i) const {
        return static_cast<double>(s_.tensors.at(name)[i]);
    }
    static Row sum(Row a, const Row& b) {
        for (std::size_t i = 0; i < a.size(); ++i) {
            a[i] += b[i];
        }
        return a;
    }
    [[nodiscard]] Row normed(const std::string& stem, const Row& x) const {
        const double n = static_cast<double>(x.size());
        const double mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
        double variance = 0;
        for (const double value : x) {
            variance += (value - mean) * (value - mean) / n;
        }
        Row out;
        for (std::size_t i = 0; i < x.size(); ++i) {
            out.push_back((x[i] - mean) / std::sqrt(variance + 1e-12) * at(stem + ".weight", i) +
                          at(stem + ".bias", i));
        }
        return out;
    }
    /// Rows `first` … of `stem`.weight times x, plus their biases.
    [[nodiscard]] Row product(const std::string& stem, const Row& x, std::size_t rows,
                              std::size_t first = 0) const {
        Row out;
        for (std::size_t r = first; r < first + rows; ++r) {
            double value = s_.tensors.contains(stem + ".bias") ? at(stem + ".bias", r) : 0.0;
            for (std::size_t i = 0; i < x.size(); ++i) {
                value += at(stem + ".weight", r * x.size() + i) * x[i];
            }
            out.push_back(value);
        }
        return out;
    }
    [[nodiscard]] Row embedded(const Passage& passage, std::size_t i) const {
        const std::size_t type = passage.second_from > 0 && i >= passage.second_from ? 1 : 0;
        Row x;
        for (std::size_t d = 0; d < s_.dim; ++d) {
            x.push_back(
                at("token_embd.weight", static_cast<std::size_t>(passage.ids[i]) * s_.dim + d) +
                at("token_types.weight", type * s_.dim + d) +
                (s_.nomic() ? 0.0 : at("position_embd.weight", i * s_.dim + d)));
        }
        return normed("token_embd_norm", x);
    }
    void turn(Row& x, std::size_t position) const {
        const std::size_t head_dim = s_.dim / s_.heads;
        const std::size_t half = head_dim / 2;
        for (std::size_t h = 0; s_.nomic() && h < s_.heads; ++h) {
            for (std::size_t j = 0; j < half; ++j) {
                const double angle =
                    static_cast<double>(position) *
                    std::pow(1000.0, -2.0 * static_cast<double>(j) / static_cast<double>(head_dim));
                double& a = x[h * head_dim + j];
                double& b = x[h * head_dim + j + half];
                const double turned = a * std::cos(angle) - b * std::sin(angle);
                b = b * std::cos(angle) + a * std::sin(angle);
                a = turned;
            }
        }
    }
    [[nodiscard]] Row part(const std::string& at, const Row& x, std::size_t which) const {
        const char* const names[] = {"attn_q", "attn_k", "attn_v"};
        return s_.nomic() ? product(at + "attn_qkv", x, s_.dim, which * s_.dim)
                          : product(at + names[which], x, s_.dim);
    }
    [[nodiscard]] std::vector<Row> attended(const std::string& at,
                                            const std::vector<Row>& x) const {
        std::vector<Row> q;
        std::vector<Row> k;
        std::vector<Row> v;
        for (std::size_t i = 0; i < x.size(); ++i) {
            q.push_back(part(at, x[i], 0));
            k.push_back(part(at, x[i], 1));
            v.push_back(part(at, x[i], 2));
            turn(q.back(), i);
            turn(k.back(), i);
        }
        const std::size_t head_dim = s_.dim / s_.heads;
        std::vector<Row> out(x.size(), Row(s_.dim, 0.0));
        for (std::size_t i = 0; i < x.size(); ++i) {
            for (std::size_t h = 0; h < s_.dim; h += head_dim) {
                Row weights;
                for (std::size_t j = 0; j < x.size(); ++j) {
                    double score = 0;
                    for (std::size_t d = h; d < h + head_dim; ++d) {
                        score += q[i][d] * k[j][d];
                    }
                    weights.push_back(std::exp(score / std::sqrt(static_cast<double>(head_dim))));
                }
                const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
                for (std::size_t j = 0; j < x.size(); ++j) {
                    for (std::size_t d = h; d < h + head_dim; ++d) {
                        out[i][d] += weights[j] / total * v[j][d];
                    }
                }
            }
        }
        return out;
    }
    [[nodiscard]] Row fed(const std::string& at, const Row& x) const {
        Row up = product(at + "ffn_up", x, s_.ffn);
        if (s_.nomic()) {
            const Row gate = product(at + "ffn_gate", x, s_.ffn);
            for (std::size_t i = 0; i < up.size(); ++i) {
                up[i] *= gate[i] / (1.0 + std::exp(-gate[i]));
            }
        } else {
            for (double& value : up) {
                value *= 0.5 * (1.0 + std::tanh(0.7978845608028654 *
                                                (value + 0.044715 * value * value * value)));
            }
        }
        return product(at + "ffn_down", up, s_.dim);
    }

    const SampleEncoder& s_;
};

/// A model in memory with what a pass needs.
struct Rig {
    std::vector<std::byte> bytes;
    std::shared_ptr<const gguf::File> file;
    os::ThreadTeam team;
    Encoder encoder;
    EncoderWorkspace workspace;

    Rig(SampleEncoder& sample, kernels::Isa isa, std::size_t threads)
        : bytes(sample.writer().bytes()),
          file(gguf::File::parse(bytes).value()),
          team(threads),
          encoder(Encoder::load(*file, *kernels::table_for(isa).value(), team).value()),
          workspace(EncoderWorkspace::make(encoder.config(), 512, threads).value()) {}

    /// The hidden states of each passage.
    std::vector<std::vector<float>> run(const std::vector<Passage>& passages) {
        EXPECT_TRUE(encoder.forward(passages, workspace, team, {}));
        std::vector<std::vector<float>> states;
        std::size_t first = 0;
        for (const Passage& passage : passages) {
            const float* from = workspace.hidden(first);
            states.emplace_back(from, from + passage.ids.size() * encoder.config().dim);
            first += passage.ids.size();
        }
        return states;
    }
};

/// Texts of all lengths up to the context, some of them pairs; more than one chunk together.
std::vector<Passage> texts(const SampleEncoder& sample) {
    std::vector<Passage> passages;
    for (const std::size_t length :
         std::initializer_list<std::size_t>{3, 1, 48, 7, 31, 48, 20, 2, 12}) {
        Passage passage;
        for (std::size_t i = 0; i < length; ++i) {
            passage.ids.push_back(
                static_cast<std::int32_t>((i * i * 5 + i + length * 3) % sample.vocab()));
        }
        passage.second_from = length % 2 == 0 ? length / 2 : 0;
        passages.push_back(passage);
    }
    return passages;
}

class EncoderOf : public ::testing::TestWithParam<std::tuple<const char*, kernels::Isa>> {
protected:
    void SetUp() override {
        if (!kernels::isa_available(isa())) {
            GTEST_SKIP() << "this CPU has no " << kernels::isa_name(isa());
        }
        sample_.architecture = std::get<0>(GetParam());
        sample_.rank_head = true;
    }
    static kernels::Isa isa() { return std::get<1>(GetParam()); }
    SampleEncoder sample_;
};

// Keys and values are rounded to F16, all else is float: hidden states of deviation 1 come out a
// few ten-thousandths apart. A wrong term of the graph costs tenths.
TEST_P(EncoderOf, FollowsThePlainReading) {
    Rig rig(sample_, isa(), 2);
    const Reference reference(sample_);
    const auto passages = texts(sample_);
    const auto states = rig.run(passages);
    double worst = 0;
    for (std::size_t p = 0; p < passages.size(); ++p) {
        const auto expected = reference.hidden(passages[p]);
        for (std::size_t i = 0; i < states[p].size(); ++i) {
            worst = std::max(worst, std::abs(static_cast<double>(states[p][i]) -
                                             expected[i / sample_.dim][i % sample_.dim]));
        }
        ASSERT_TRUE(rig.encoder.ranks());
        EXPECT_NEAR(rig.encoder.score(std::span(states[p]).first(sample_.dim)),
                    reference.score(expected[0]), 5e-3);
    }
    EXPECT_LT(worst, 3e-3);
}

TEST_P(EncoderOf, GivesATextTheSameBitsInAnyCompany) {
    for (const bool q8_0 : {false, true}) {
        SampleEncoder sample = sample_;
        sample.q8_0 = q8_0;
        Rig rig(sample, isa(), 2);
        Rig alone(sample, isa(), 1);
        const auto passages = texts(sample);
        const auto together = rig.run(passages);
        for (std::size_t p = 0; p < passages.size(); ++p) {
            EXPECT_EQ(alone.run({passages[p]})[0], together[p]) << "text " << p;
        }
        const auto reversed = rig.run({passages.rbegin(), passages.rend()});
        EXPECT_TRUE(std::equal(together.begin(), together.end(), reversed.rbegin()));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Families, EncoderOf,
    ::testing::Combine(::testing::Values("bert", "nomic-bert"),
                       ::testing::Values(kernels::Isa::generic, kernels::Isa::avx2,
                                         kernels::Isa::avxvnni, kernels::Isa::avx512)),
    [](const auto& param) {
        std::string name = std::get<0>(param.param);
        std::erase(name, '-');
        return name + "_" + std::string(kernels::isa_name(std::get<1>(param.param)));
    });

// One layer whose matrices are zero: only sums and norms are left, and those fit on paper. Token
// (3, 1) + type (1, 0) + position (0, 1) = (4, 2) → norm → (1, −1), twice more the same; the last
// norm has weight (2, 2) and bias (0.5, 0.5): (2.5, −1.5).
TEST(Encoder, AddsAndNormsAsOnPaper) {
    SampleEncoder sample;
    sample.layers = 1;
    sample.dim = 2;
    sample.heads = 1;
    sample.ffn = 2;
    sample.context = 2;
    sample.token_types = 1;
    sample.words = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"};
    sample.tensors["token_embd.weight"] = {0, 0, 0, 0, 3, 1, 0, 0};
    sample.tensors["token_types.weight"] = {1, 0};
    sample.tensors["position_embd.weight"] = {0, 1, 0, 0};
    for (const char* stem : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down"}) {
        sample.tensors["blk.0." + std::string(stem) + ".weight"] = {0, 0, 0, 0};
        sample.tensors["blk.0." + std::string(stem) + ".bias"] = {0, 0};
    }
    for (const char* stem : {"token_embd_norm", "blk.0.attn_output_norm"}) {
        sample.tensors[std::string(stem) + ".weight"] = {1, 1};
        sample.tensors[std::string(stem) + ".bias"] = {0, 0};
    }
    sample.tensors["blk.0.layer_output_norm.weight"] = {2, 2};
    sample.tensors["blk.0.layer_output_norm.bias"] = {0.5F, 0.5F};
    Rig rig(sample, kernels::Isa::generic, 1);
    const auto states = rig.run({{{2}, 0}});
    EXPECT_NEAR(states[0][0], 2.5F, 1e-6F);
    EXPECT_NEAR(states[0][1], -1.5F, 1e-6F);
    EXPECT_FALSE(rig.encoder.ranks());
}

TEST(Encoder, LeavesWhenItIsToldTo) {
    SampleEncoder sample;
    Rig rig(sample, kernels::best_table().isa, 1);
    int asked = 0;
    EXPECT_FALSE(
        rig.encoder.forward(texts(sample), rig.workspace, rig.team, [&] { return ++asked == 2; }));
    EXPECT_EQ(asked, 2);
}

Error refusal(SampleEncoder& sample) {
    const auto bytes = sample.writer().bytes();
    const auto file = gguf::File::parse(bytes).value();
    os::ThreadTeam team(1);
    auto encoder = Encoder::load(*file, kernels::best_table(), team);
    EXPECT_FALSE(encoder.has_value());
    return encoder ? Error{} : encoder.error();
}

TEST(Encoder, RefusesWhatItDoesNotKnowByName) {
    SampleEncoder other;
    other.architecture = "jina-bert-v2";
    EXPECT_NE(refusal(other).message.find("jina-bert-v2"), std::string::npos);
    SampleEncoder pooling;
    pooling.pooling = 9;
    EXPECT_NE(refusal(pooling).message.find("bert.pooling_type is 9"), std::string::npos);
    SampleEncoder heads;
    heads.heads = 5;
    EXPECT_EQ(refusal(heads).fault, Fault::corrupt);
}

TEST(Encoder, TheContextIsWhatPositionsThereAre) {
    SampleEncoder sample;
    Rig rig(sample, kernels::best_table().isa, 1);
    EXPECT_EQ(rig.encoder.config().context_tokens, 48U);
    EXPECT_EQ(rig.encoder.config().pooling, Pooling::mean);
}

TEST(Pool, MakesOneVectorOfRows) {
    const std::vector<std::vector<float>> rows = {{1, 2}, {3, 4}, {8, 0}};
    const auto pooled = [&](Pooling pooling) {
        Pool pool(pooling, 2);
        for (const auto& row : rows) {
            pool.add(row.data());
        }
        return pool.vector();
    };
    EXPECT_EQ(pooled(Pooling::mean), (std::vector<float>{4, 2}));
    EXPECT_EQ(pooled(Pooling::cls), (std::vector<float>{1, 2}));
    EXPECT_EQ(pooled(Pooling::rank), (std::vector<float>{1, 2}));
    EXPECT_EQ(pooled(Pooling::last), (std::vector<float>{8, 0}));
}

}  // namespace
}  // namespace trilane::model
