// GGUF metadata → Shape. Everything a file says is bounded before it is multiplied.
// Source: the keys that llama.cpp's converters write and its loaders read (2024–2026), and the
// layouts of caches that follow from them.
#include "plan/shape.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "gguf/gguf.h"

namespace trilane::plan {
namespace {

/// Limits that no real model comes near; a file beyond them is not believed.
constexpr std::uint64_t kLayersMax = 2048;
constexpr std::uint64_t kHeadsMax = 1U << 16U;
constexpr std::uint64_t kWidthMax = 1U << 22U;
constexpr std::uint64_t kContextMax = 1U << 28U;
constexpr std::uint64_t kVocabMax = 1U << 24U;
constexpr std::uint64_t kStateMax = 1U << 20U;

/// How the layers with a sliding window lie among the others.
struct WindowPattern {
    std::string_view architecture;
    std::uint32_t period;          ///< one layer in so many sees everything
    bool full_first;               ///< the first of a period does, else the last
    std::uint32_t window_default;  ///< 0 = without the key there are no windows
};

// What llama.cpp takes where a file names no pattern. Windows of architectures that are not here
// (Mistral's, Qwen2's, Phi-3's) are ignored by it: their layers cache the whole context.
constexpr std::array kWindowPatterns{
    WindowPattern{"gemma2", 2, false, 4096},   WindowPattern{"gemma3", 6, false, 0},
    WindowPattern{"gemma3n", 5, false, 0},     WindowPattern{"gemma4", 6, false, 0},
    WindowPattern{"gpt-oss", 2, false, 0},     WindowPattern{"cohere2", 4, false, 0},
    WindowPattern{"llama4", 4, false, 8192},   WindowPattern{"olmo2", 4, false, 0},
    WindowPattern{"exaone4", 4, false, 0},     WindowPattern{"exaone-moe", 4, false, 0},
    WindowPattern{"smallthinker", 4, true, 0}, WindowPattern{"afmoe", 4, false, 0},
    WindowPattern{"plamo3", 8, false, 0},
};

/// Architectures all of whose layers are recurrent.
constexpr std::array<std::string_view, 6> kRecurrent{"mamba", "mamba2",     "rwkv6",
                                                     "rwkv7", "rwkv6qwen2", "arwkv7"};
/// One layer in so many (the last of each group) attends, the others are recurrent.
constexpr std::array<std::string_view, 4> kIntervals{"qwen3next", "qwen35", "qwen35moe", "qwen3_5"};
constexpr std::uint32_t kIntervalDefault = 4;
/// Every layer has both attention and a recurrent state.
constexpr std::array<std::string_view, 1> kBoth{"falcon-h1"};
/// Gemma 3n: layers from this one on use the cache of earlier ones.
constexpr std::uint32_t kGemma3nOwnCaches = 20;
constexpr std::uint32_t kTokenShiftsDefault = 2;  // rwkv6; rwkv7 says 1 or 2

template <class List>
bool among(const List& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
}

/// Reads `<architecture>.<name>` keys: a number, or one for each layer.
class Keys {
public:
    Keys(const gguf::File& file, std::string_view architecture, std::uint32_t layers)
        : file_(file), prefix_(std::string(architecture) + "."), layers_(layers) {}

    /// **Errors:** corrupt: it is there, but no such number.
    Result<std::optional<std::uint32_t>> one(std::string_view name, std::uint64_t max) const {
        const std::string key = prefix_ + std::string(name);
        if (file_.find(key) == nullptr || file_.array(key) != nullptr) {
            return std::optional<std::uint32_t>();
        }
        TRILANE_TRY(const std::uint64_t value, file_.required_integer(key));
        if (value > max) {
            return fail(Fault::corrupt, "{} is {}; at most {} is possible", key, value, max);
        }
        return std::optional(static_cast<std::uint32_t>(value));
    }

    Result<std::uint32_t> one_or(std::string_view name, std::uint32_t fallback,
                                 std::uint64_t max) const {
        TRILANE_TRY(const auto value, one(name, max));
        return value.value_or(fallback);
    }

    /// One value for each layer, whether the file has one or many.
    Result<std::vector<std::uint32_t>> each_or(std::string_view name, std::uint32_t fallback,
                                               std::uint64_t max) const {
        const std::string key = prefix_ + std::string(name);
        const gguf::Array* array = file_.array(key);
        if (array == nullptr) {
            TRILANE_TRY(const std::uint32_t value, one_or(name, fallback, max));
            return std::vector<std::uint32_t>(layers_, value);
        }
        TRILANE_TRY_STATUS(check(key, *array));
        std::vector<std::uint32_t> values(layers_);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const std::int64_t value = array->integer(i);
            if (value < 0 || static_cast<std::uint64_t>(value) > max) {
                return fail(Fault::corrupt, "{} of layer {} is {}; between 0 and {} is possible",
                            key, i, value, max);
            }
            values[i] = static_cast<std::uint32_t>(value);
        }
        return values;
    }

    [[nodiscard]] bool is_array(std::string_view name) const {
        return file_.array(prefix_ + std::string(name)) != nullptr;
    }
    [[nodiscard]] bool is_false(std::string_view name) const {
        return !file_.boolean(prefix_ + std::string(name)).value_or(true);
    }
    [[nodiscard]] bool has(std::string_view name) const {
        return file_.find(prefix_ + std::string(name)) != nullptr;
    }

private:
    Status check(const std::string& key, const gguf::Array& array) const {
        const gguf::ValueKind kind = array.kind();
        if (kind == gguf::ValueKind::string || kind == gguf::ValueKind::f32 ||
            kind == gguf::ValueKind::f64) {
            return fail(Fault::corrupt, "{} must hold integers", key);
        }
        if (array.size() < layers_) {
            return fail(Fault::corrupt, "{} has {} values for {} layers", key, array.size(),
                        layers_);
        }
        return {};
    }

    const gguf::File& file_;
    std::string prefix_;
    std::uint32_t layers_;
};

/// Heads and their lengths, which decide the width of keys and values.
struct Heads {
    std::vector<std::uint32_t> kv;  ///< by layer; 0 = the layer does not attend
    std::uint32_t k_length = 0;
    std::uint32_t v_length = 0;
    std::uint32_t k_length_window = 0;  ///< of layers with a window
    std::uint32_t v_length_window = 0;
};

Result<Heads> read_heads(const Keys& keys, const Shape& shape,
                         const std::vector<std::uint32_t>& query_heads) {
    Heads heads;
    TRILANE_TRY(heads.kv, keys.each_or("attention.head_count_kv", 0, kHeadsMax));
    if (!keys.has("attention.head_count_kv")) {
        heads.kv = query_heads;
    }
    const std::uint32_t usual = shape.heads == 0 ? 0 : shape.dim / shape.heads;
    TRILANE_TRY(heads.k_length, keys.one_or("attention.key_length", usual, kWidthMax));
    TRILANE_TRY(heads.v_length, keys.one_or("attention.value_length", usual, kWidthMax));
    TRILANE_TRY(heads.k_length_window,
                keys.one_or("attention.key_length_swa", heads.k_length, kWidthMax));
    TRILANE_TRY(heads.v_length_window,
                keys.one_or("attention.value_length_swa", heads.v_length, kWidthMax));
    return heads;
}

/// By layer: its window in tokens, or 0.
Result<std::vector<std::uint32_t>> read_windows(const Keys& keys, std::string_view architecture,
                                                std::size_t layers) {
    std::vector<std::uint32_t> windows(layers, 0);
    const auto* usual =
        std::find_if(kWindowPatterns.begin(), kWindowPatterns.end(),
                     [&](const WindowPattern& p) { return p.architecture == architecture; });
    const bool known = usual != kWindowPatterns.end();
    TRILANE_TRY(
        const std::uint32_t window,
        keys.one_or("attention.sliding_window", known ? usual->window_default : 0, kContextMax));
    constexpr std::string_view kPattern = "attention.sliding_window_pattern";
    if (window == 0 || (!known && !keys.has(kPattern))) {
        return windows;
    }
    if (keys.is_array(kPattern)) {
        TRILANE_TRY(const auto slides, keys.each_or(kPattern, 0, 1));
        for (std::size_t i = 0; i < layers; ++i) {
            windows[i] = slides[i] != 0 ? window : 0;
        }
        return windows;
    }
    TRILANE_TRY(const std::uint32_t period,
                keys.one_or(kPattern, known ? usual->period : 0, kLayersMax));
    const bool full_first = known && usual->full_first;
    for (std::size_t i = 0; i < layers; ++i) {
        const bool full = period != 0 && i % period == (full_first ? 0 : period - 1);
        windows[i] = full ? 0 : window;
    }
    return windows;
}

/// Bytes of one sequence's state in one recurrent layer: convolution window and state, as F32.
Result<std::uint64_t> read_state_bytes(const Keys& keys, const Shape& shape) {
    TRILANE_TRY(const std::uint32_t wkv, keys.one_or("wkv.head_size", 0, kStateMax));
    TRILANE_TRY(const std::uint32_t shortconv, keys.one_or("shortconv.l_cache", 0, kStateMax));
    TRILANE_TRY(const std::uint32_t kda, keys.one_or("kda.head_dim", 0, kStateMax));
    TRILANE_TRY(const std::uint32_t conv, keys.one_or("ssm.conv_kernel", 0, kStateMax));
    TRILANE_TRY(const std::uint64_t inner, keys.one_or("ssm.inner_size", 0, kStateMax));
    TRILANE_TRY(const std::uint64_t state, keys.one_or("ssm.state_size", 0, kStateMax));
    TRILANE_TRY(const std::uint64_t groups, keys.one_or("ssm.group_count", 0, kStateMax));
    const std::uint64_t dim = shape.dim;
    const std::uint64_t window = conv > 0 ? conv - 1 : 0;
    std::uint64_t values = 0;
    if (wkv != 0) {
        TRILANE_TRY(const std::uint32_t shifts,
                    keys.one_or("token_shift_count", kTokenShiftsDefault, kStateMax));
        values = dim * shifts + dim * wkv;
    } else if (shortconv != 0) {
        values = dim * (shortconv - 1);
    } else if (kda != 0) {
        const std::uint64_t width = std::uint64_t{shape.heads} * kda;
        values = 3 * window * width + width * kda;
    } else {
        values =
            window * std::min(inner + 2 * groups * state, kStateMax * kStateMax) + inner * state;
    }
    return values * sizeof(float);
}

/// By layer: whether it keeps a recurrent state.
Result<std::vector<bool>> read_recurrent(const Keys& keys, const Shape& shape,
                                         const std::vector<std::uint32_t>& ffn,
                                         const Heads& heads) {
    const std::size_t layers = heads.kv.size();
    if (among(kRecurrent, shape.architecture) || among(kBoth, shape.architecture)) {
        return std::vector<bool>(layers, true);
    }
    std::vector<bool> recurrent(layers, false);
    if (among(kIntervals, shape.architecture)) {
        TRILANE_TRY(const std::uint32_t interval,
                    keys.one_or("full_attention_interval", kIntervalDefault, kLayersMax));
        for (std::size_t i = 0; i < layers; ++i) {
            recurrent[i] = interval == 0 || (i + 1) % interval != 0;
        }
        return recurrent;
    }
    // Elsewhere layers without KV heads are recurrent; Nemotron-H also has some that are neither.
    const bool has_state =
        keys.has("ssm.conv_kernel") || keys.has("shortconv.l_cache") || keys.has("kda.head_dim");
    const bool ffn_apart = shape.architecture.starts_with("nemotron_h");
    for (std::size_t i = 0; i < layers; ++i) {
        recurrent[i] = has_state && heads.kv[i] == 0 && !(ffn_apart && ffn[i] != 0);
    }
    return recurrent;
}

/// Multi-head latent attention: keys are the latent vector and the rotated part, once for all
/// heads, and values are a part of the keys. Files from before it was supported spell the heads
/// out.
Result<std::uint32_t> latent_width(const Keys& keys) {
    TRILANE_TRY(const auto rank, keys.one("attention.kv_lora_rank", kWidthMax));
    if (!rank.has_value() || *rank == 0 || !keys.has("attention.key_length_mla")) {
        return 0;
    }
    TRILANE_TRY(const std::uint32_t rope, keys.one_or("rope.dimension_count", 0, kWidthMax));
    return *rank + rope;
}

/// Layers from this one on have no cache of their own.
Result<std::size_t> own_caches(const Keys& keys, std::string_view architecture,
                               std::size_t layers) {
    TRILANE_TRY(const auto shared, keys.one("attention.shared_kv_layers", kLayersMax));
    if (shared.has_value()) {
        return layers - std::min<std::size_t>(*shared, layers);
    }
    return architecture == "gemma3n" ? std::min<std::size_t>(kGemma3nOwnCaches, layers) : layers;
}

Result<std::uint32_t> width_of(std::uint32_t heads, std::uint32_t length, std::size_t layer) {
    const std::uint64_t width = std::uint64_t{heads} * length;
    if (width > kWidthMax) {
        return fail(Fault::corrupt, "layer {} has {} KV heads of {}, which is not believed", layer,
                    heads, length);
    }
    return static_cast<std::uint32_t>(width);
}

Status read_layers(const Keys& keys, const std::vector<std::uint32_t>& query_heads,
                   const std::vector<std::uint32_t>& ffn, Shape& shape) {
    TRILANE_TRY(const Heads heads, read_heads(keys, shape, query_heads));
    const std::size_t layers = shape.layers.size();
    TRILANE_TRY(const auto windows, read_windows(keys, shape.architecture, layers));
    TRILANE_TRY(const std::vector<bool> recurrent, read_recurrent(keys, shape, ffn, heads));
    TRILANE_TRY(const std::uint64_t state_bytes, read_state_bytes(keys, shape));
    TRILANE_TRY(const std::uint32_t latent, latent_width(keys));
    TRILANE_TRY(const std::size_t own, own_caches(keys, shape.architecture, layers));
    const bool both = among(kBoth, shape.architecture);
    const bool encoder = keys.is_false("attention.causal");  // reads its text at once: no cache
    for (std::size_t i = 0; i < layers; ++i) {
        LayerShape& layer = shape.layers[i];
        layer.state_bytes = recurrent[i] ? state_bytes : 0;
        if ((recurrent[i] && !both) || i >= own || encoder) {
            continue;
        }
        layer.window_tokens = windows[i];
        if (latent != 0) {
            layer.k_width = latent;
            continue;
        }
        const bool slides = windows[i] != 0;
        TRILANE_TRY(layer.k_width,
                    width_of(heads.kv[i], slides ? heads.k_length_window : heads.k_length, i));
        TRILANE_TRY(layer.v_width,
                    width_of(heads.kv[i], slides ? heads.v_length_window : heads.v_length, i));
    }
    return {};
}

std::uint32_t read_vocab(const gguf::File& file, const std::string& architecture) {
    std::uint64_t vocab = 0;
    if (const gguf::Array* tokens = file.array("tokenizer.ggml.tokens")) {
        vocab = tokens->size();
    } else {
        vocab = file.integer(architecture + ".vocab_size").value_or(0);
    }
    if (const gguf::Tensor* embedding = file.find_tensor("token_embd.weight")) {
        vocab = std::max(vocab, embedding->shape[1]);
    }
    return static_cast<std::uint32_t>(std::min(vocab, kVocabMax));
}

void add_tensors(const gguf::File& file, Shape& shape) {
    for (const gguf::Tensor& tensor : file.tensors()) {
        shape.weight_bytes += tensor.bytes;  // at most the file's size
        if (tensor.name == "token_embd.weight") {
            shape.embedding_bytes = tensor.bytes;
        } else if (tensor.name == "output.weight") {
            shape.tied_embedding = false;
        }
    }
    shape.file_bytes += file.file_bytes();
}

}  // namespace

Result<Shape> read_shape(const gguf::File& file) {
    Shape shape;
    TRILANE_TRY(const std::string_view architecture, file.required_string("general.architecture"));
    shape.architecture = architecture;
    shape.name = file.string("general.name").value_or("");
    TRILANE_TRY(const std::uint64_t layers,
                file.required_integer(shape.architecture + ".block_count"));
    if (layers == 0 || layers > kLayersMax) {
        return fail(Fault::corrupt, "{}.block_count is {}; between 1 and {} is possible",
                    shape.architecture, layers, kLayersMax);
    }
    shape.layers.resize(layers);
    const Keys keys(file, architecture, static_cast<std::uint32_t>(layers));
    TRILANE_TRY(shape.context_tokens, keys.one_or("context_length", 0, kContextMax));
    TRILANE_TRY(shape.dim, keys.one_or("embedding_length", 0, kWidthMax));
    TRILANE_TRY(const auto ffn, keys.each_or("feed_forward_length", 0, kWidthMax));
    TRILANE_TRY(const std::uint32_t experts, keys.one_or("expert_used_count", 0, kHeadsMax));
    TRILANE_TRY(const std::uint64_t expert_ffn,
                keys.one_or("expert_feed_forward_length", 0, kWidthMax));
    shape.ffn = static_cast<std::uint32_t>(std::min(
        std::max<std::uint64_t>(*std::max_element(ffn.begin(), ffn.end()), experts * expert_ffn),
        kWidthMax));
    TRILANE_TRY(const auto heads, keys.each_or("attention.head_count", 0, kHeadsMax));
    shape.heads = *std::max_element(heads.begin(), heads.end());
    shape.vocab = read_vocab(file, shape.architecture);
    TRILANE_TRY_STATUS(read_layers(keys, heads, ffn, shape));
    const std::uint64_t parts = file.integer("split.count").value_or(1);
    shape.parts = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(parts, 1, kLayersMax));
    shape.tied_embedding = true;
    add_tensors(file, shape);
    return shape;
}

void add_part(Shape& shape, const gguf::File& part) {
    add_tensors(part, shape);
}

}  // namespace trilane::plan
