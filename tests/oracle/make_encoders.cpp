// Writes small seeded encoder models, one per (variant, weight type), that both Trilane and
// llama.cpp can run; and one in the shape of a well-known small embedder for measuring speed.
//
//   trilane_make_oracle_encoders --list          names, one a line (without the one for speed)
//   trilane_make_oracle_encoders DIR NAME...     writes DIR/NAME.gguf for each
#include <array>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "blocks.h"
#include "gguf/writer.h"

namespace trilane::oracle {
namespace {

using gguf::Type;

constexpr std::int32_t kCls = 2;
constexpr std::int32_t kSep = 3;

struct Shape {
    std::uint32_t dim = 256;
    std::uint32_t ffn = 512;
    std::uint32_t layers = 2;
    std::uint32_t heads = 4;
    std::uint32_t vocab = 512;
    std::uint32_t context = 256;
};

struct Variant {
    std::string_view name;
    std::string_view architecture = "bert";
    std::uint32_t pooling = 1;
    /// llama.cpp reads pairs as one segment: rankers get one row, as XLM-RoBERTa's kin have.
    std::uint32_t token_types = 2;
    bool pooler = false;  ///< cls
    bool scorer = false;  ///< cls.output
    Shape shape = {};

    [[nodiscard]] bool nomic() const { return architecture == "nomic-bert"; }
};

constexpr std::array kVariants{
    Variant{.name = "bert"},
    Variant{.name = "bert_cls", .pooling = 2},
    Variant{.name = "nomic", .architecture = "nomic-bert"},
    Variant{.name = "bert_rank", .pooling = 4, .token_types = 1, .pooler = true, .scorer = true},
    Variant{.name = "bert_rank_direct", .pooling = 4, .token_types = 1, .scorer = true},
};

/// all-MiniLM-L6-v2's shape: 22 million parameters.
constexpr Variant kSpeed{
    .name = "minilm_l6",
    .shape = {.dim = 384, .ffn = 1536, .layers = 6, .heads = 12, .vocab = 30'522, .context = 512}};

struct Weights {
    std::string_view name;
    Type type;
};
constexpr std::array kWeights{
    Weights{"f32", Type::f32},   Weights{"f16", Type::f16},   Weights{"bf16", Type::bf16},
    Weights{"q8_0", Type::q8_0}, Weights{"q4_0", Type::q4_0}, Weights{"q4_k", Type::q4_k},
    Weights{"q5_k", Type::q5_k}, Weights{"q6_k", Type::q6_k},
};

class EncoderMaker {
public:
    EncoderMaker(const Variant& variant, const Weights& weights)
        : v_(variant), s_(variant.shape), weights_(weights), random_(variant.name) {}

    Status write(const std::string& path) {
        add_config();
        add_tokenizer();
        add_tensors();
        return out_.write(path);
    }

private:
    [[nodiscard]] std::string key(std::string_view name) const {
        return fmt::format("{}.{}", v_.architecture, name);
    }

    void add_config() {
        out_.add("general.architecture", v_.architecture);
        out_.add("general.name", fmt::format("oracle {} {}", v_.name, weights_.name));
        out_.add(key("block_count"), s_.layers);
        out_.add(key("context_length"), s_.context);
        out_.add(key("embedding_length"), s_.dim);
        out_.add(key("feed_forward_length"), s_.ffn);
        out_.add(key("attention.head_count"), s_.heads);
        out_.add(key("attention.layer_norm_epsilon"), 1e-12F);
        out_.add(key("attention.causal"), false);
        out_.add(key("pooling_type"), v_.pooling);
        if (v_.nomic()) {
            out_.add(key("rope.freq_base"), 1000.0F);
        }
        if (v_.scorer) {
            const std::vector<std::string> labels{"LABEL_0"};
            out_.add(key("classifier.output_labels"), std::span<const std::string>(labels));
        }
    }

    void add_tokenizer() {
        std::vector<std::string> words{"[PAD]", "[UNK]", "[CLS]", "[SEP]"};
        while (words.size() < s_.vocab) {
            words.push_back(fmt::format("▁w{}", words.size()));
        }
        std::vector<std::int32_t> kinds(words.size(), 1);
        std::fill_n(kinds.begin(), 4, 3);
        out_.add("tokenizer.ggml.model", "bert");
        out_.add("tokenizer.ggml.pre", "jina-v2-en");
        out_.add("tokenizer.ggml.tokens", std::span<const std::string>(words));
        out_.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(kinds));
        out_.add("tokenizer.ggml.token_type_count", v_.token_types);
        out_.add("tokenizer.ggml.padding_token_id", 0U);
        out_.add("tokenizer.ggml.unknown_token_id", 1U);
        out_.add("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(kCls));
        out_.add("tokenizer.ggml.cls_token_id", static_cast<std::uint32_t>(kCls));
        out_.add("tokenizer.ggml.seperator_token_id", static_cast<std::uint32_t>(kSep));
    }

    void add_matrix(const std::string& name, std::size_t rows, std::size_t cols, Type type,
                    double deviation) {
        out_.add_tensor(
            name, std::array<std::uint64_t, 2>{cols, rows}, type,
            random_weights({.type = type, .rows = rows, .cols = cols, .deviation = deviation},
                           random_));
    }
    void add_vector(const std::string& name, std::size_t count, double mean, double deviation) {
        std::vector<float> values(count);
        for (float& value : values) {
            value = static_cast<float>(mean + deviation * random_.normal());
        }
        out_.add_tensor(name, std::array<std::uint64_t, 1>{count}, values);
    }
    void add_norm(const std::string& stem) {
        add_vector(stem + ".weight", s_.dim, 1.0, 0.2);
        add_vector(stem + ".bias", s_.dim, 0.0, 0.2);
    }
    /// A linear that maps unit-variance activations to variance gain².
    void add_linear(const std::string& stem, std::size_t rows, std::size_t cols, double gain) {
        add_matrix(stem + ".weight", rows, cols, weights_.type,
                   gain / std::sqrt(static_cast<double>(cols)));
        if (!v_.nomic()) {
            add_vector(stem + ".bias", rows, 0.0, 0.2);
        }
    }

    void add_layer(const std::string& at) {
        if (v_.nomic()) {
            add_linear(at + "attn_qkv", std::size_t{3} * s_.dim, s_.dim, 1.1);
        } else {
            for (const char* part : {"attn_q", "attn_k", "attn_v"}) {
                add_linear(at + part, s_.dim, s_.dim, 1.1);
            }
        }
        add_linear(at + "attn_output", s_.dim, s_.dim, 1.0);
        add_norm(at + "attn_output_norm");
        if (v_.nomic()) {
            add_linear(at + "ffn_gate", s_.ffn, s_.dim, 1.5);
        }
        add_linear(at + "ffn_up", s_.ffn, s_.dim, 1.5);
        add_linear(at + "ffn_down", s_.dim, s_.ffn, 1.0);
        add_norm(at + "layer_output_norm");
    }

    void add_tensors() {
        // Rows as wide as a block of the type, or it could not be cut into them.
        add_matrix("token_embd.weight", s_.vocab, s_.dim, weights_.type, 1.0);
        add_matrix("token_types.weight", v_.token_types, s_.dim, Type::f32, 0.3);
        if (!v_.nomic()) {
            add_matrix("position_embd.weight", s_.context, s_.dim, Type::f32, 0.5);
        }
        add_norm("token_embd_norm");
        for (std::uint32_t layer = 0; layer < s_.layers; ++layer) {
            add_layer(fmt::format("blk.{}.", layer));
        }
        if (v_.pooler) {
            add_matrix("cls.weight", s_.dim, s_.dim, Type::f32,
                       1.0 / std::sqrt(static_cast<double>(s_.dim)));
            add_vector("cls.bias", s_.dim, 0.0, 0.2);
        }
        if (v_.scorer) {
            add_matrix("cls.output.weight", 1, s_.dim, Type::f32,
                       1.5 / std::sqrt(static_cast<double>(s_.dim)));
            add_vector("cls.output.bias", 1, 0.3, 0.0);
        }
    }

    const Variant& v_;
    const Shape& s_;
    const Weights& weights_;
    Random random_;
    gguf::Writer out_;
};

std::string model_name(const Variant& variant, const Weights& weights) {
    return fmt::format("{}-{}", variant.name, weights.name);
}

Status make(const std::string& folder, std::string_view wanted) {
    const auto made = [&](const Variant& variant) -> Result<bool> {
        for (const Weights& weights : kWeights) {
            if (const std::string name = model_name(variant, weights); name == wanted) {
                TRILANE_TRY_STATUS(
                    EncoderMaker(variant, weights).write(fmt::format("{}/{}.gguf", folder, name)));
                return true;
            }
        }
        return false;
    };
    for (const Variant& variant : kVariants) {
        TRILANE_TRY(const bool done, made(variant));
        if (done) {
            return {};
        }
    }
    TRILANE_TRY(const bool done, made(kSpeed));
    return done ? Status{} : fail(Fault::not_found, "no encoder is called {}", wanted);
}

int run(const std::vector<std::string>& arguments) {
    if (arguments.size() == 1 && arguments[0] == "--list") {
        for (const Variant& variant : kVariants) {
            for (const Weights& weights : kWeights) {
                std::printf("%s\n", model_name(variant, weights).c_str());
            }
        }
        return 0;
    }
    if (arguments.size() < 2) {
        std::fputs("usage: trilane_make_oracle_encoders --list | DIR NAME...\n", stderr);
        return 2;
    }
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        if (const Status status = make(arguments[0], arguments[i]); !status) {
            std::fprintf(stderr, "%s\n", status.error().message.c_str());
            return 1;
        }
    }
    return 0;
}

}  // namespace
}  // namespace trilane::oracle

int main(int argc, char** argv) {
    return trilane::oracle::run({argv + 1, argv + argc});
}
