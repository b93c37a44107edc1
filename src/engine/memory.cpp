// The memory of a load, told from the header: mirrors what Loaded, Model, KvCache, Workspace and
// Batcher allocate. Whoever changes one of those changes this; bench/memory_check.cpp compares.
#include "engine/memory.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/memory_parts.h"
#include "gguf/gguf.h"
#include "kernels/kernels.h"
#include "model/config.h"
#include "model/encoder_config.h"
#include "model/kv_cache.h"
#include "model/weights.h"
#include "probe/cpu.h"
#include "tensor/dequantize.h"
#include "token/vocabulary.h"

namespace trilane::engine {
namespace {

constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kHugePageBytes = std::uint64_t{2} << 20U;

/// Ternary scales that are looked at to tell which layout a tensor will get: its first page.
constexpr std::size_t kScalesLookedAt = 48;

/// glibc keeps freed blocks up to this size in the arena of the thread that freed them; larger ones
/// are mappings of their own and go back at once (M_MMAP_THRESHOLD's upper bound).
constexpr std::uint64_t kKeptBlockBytesMax = std::uint64_t{32} << 20U;

/// Of token's tables: a hash and an index; a pair, a rank and a product.
constexpr std::uint64_t kEntrySlotBytes = 8;
constexpr std::uint64_t kPairSlotBytes = 16;

std::uint64_t pages(std::uint64_t bytes) {
    return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

/// Whether anonymous memory that asks for huge pages gets them: then touching a part of a large
/// buffer makes 2 MiB around it resident.
bool huge_pages_given() {
    std::ifstream in("/sys/kernel/mm/transparent_hugepage/enabled");
    std::string text;
    std::getline(in, text);
    return text.find("[never]") == std::string::npos && !text.empty();
}

/// Resident bytes of tensor::Buffers that are written row by row.
class Buffers {
public:
    void whole(std::uint64_t bytes) { bytes_ += pages(bytes); }

    /// A buffer with room for `rows_max` rows `stride` bytes apart, of which the first `rows` are
    /// written, `used` bytes each.
    void rows(std::uint64_t rows_max, std::uint64_t stride, std::uint64_t rows,
              std::uint64_t used) {
        // Buffers this large ask for huge pages (tensor/buffer.cpp); a row makes all of its
        // resident.
        const bool huge = huge_pages_ && rows_max * stride >= kHugePageBytes;
        const std::uint64_t page = huge ? kHugePageBytes : kPageBytes;
        std::uint64_t resident = 0;
        std::uint64_t counted_to = 0;  // pages before this one are counted
        for (std::uint64_t row = 0; row < rows && used > 0; ++row) {
            const std::uint64_t first = std::max(row * stride / page, counted_to);
            const std::uint64_t last = (row * stride + used - 1) / page + 1;
            resident += last > first ? last - first : 0;
            counted_to = std::max(counted_to, last);
        }
        bytes_ += std::min(resident * page, pages(rows_max * stride));
    }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

private:
    bool huge_pages_ = huge_pages_given();
    std::uint64_t bytes_ = 0;
};

/// The widest rows that linears read in each quantised form of the activations; 0 = none does.
struct FormWidths {
    std::uint64_t token_i8 = 0;
    std::uint64_t block_i8 = 0;
};

/// Weights: walks the tensors that model::load_weights reads, in its order and with its checks.
class WeightTally {
public:
    WeightTally(const gguf::File& file, const model::Config& config)
        : file_(file), config_(config) {}

    Status run();
    /// Mapped and touched, packed, and copied to the heap.
    [[nodiscard]] std::uint64_t bytes() const { return mapped_ + packed_ + heap_; }
    [[nodiscard]] const FormWidths& forms() const { return forms_; }
    /// What packing leaves with the allocator, for each thread that packed.
    [[nodiscard]] std::uint64_t scratch_bytes() const { return scratch_; }

private:
    Result<const gguf::Tensor*> find(const std::string& name) const;
    Status vector(const std::string& name, std::uint64_t count);
    Status optional_vector(const std::string& name, std::uint64_t count);
    Status linear(const std::string& stem, std::uint64_t rows, std::uint64_t cols);
    Status layer(std::uint32_t index);
    void pack(const gguf::Tensor& tensor, bool int8_tokens);

    const gguf::File& file_;
    const model::Config& config_;
    std::uint64_t mapped_ = 0;
    std::uint64_t packed_ = 0;
    std::uint64_t heap_ = 0;
    std::uint64_t scratch_ = 0;
    FormWidths forms_;
};

Result<const gguf::Tensor*> WeightTally::find(const std::string& name) const {
    const gguf::Tensor* tensor = file_.find_tensor(name);
    if (tensor == nullptr) {
        return fail(Fault::corrupt, "tensor {} is missing; architecture {} needs it", name,
                    config_.architecture);
    }
    TRILANE_TRY_STATUS(gguf::require_readable(*tensor));
    return tensor;
}

Status WeightTally::vector(const std::string& name, std::uint64_t count) {
    TRILANE_TRY(const gguf::Tensor* tensor, find(name));
    if (tensor->weights() != count) {
        return fail(Fault::invalid, "tensor {} has {} numbers, expected {}", name,
                    tensor->weights(), count);
    }
    mapped_ += tensor->bytes;
    heap_ += count * sizeof(float) + kBlockOverheadBytes;
    return {};
}

Status WeightTally::optional_vector(const std::string& name, std::uint64_t count) {
    return file_.find_tensor(name) == nullptr ? Status{} : vector(name, count);
}

/// Whether all of the first scales agree: tensors of one scale become 2-bit panels, others Q8_0
/// blocks. Only blocks of zeros may disagree without effect; a file that begins with those and
/// goes on with several scales would be misjudged, but not one that a quantizer writes.
bool one_scale(const gguf::File& file, const gguf::Tensor& tensor) {
    if (tensor.type == static_cast<std::uint32_t>(gguf::Type::i2_s)) {
        return true;
    }
    const gguf::TypeTraits* traits = gguf::traits_of(tensor.type);
    const std::span<const std::byte> bytes = file.data(tensor);
    const std::size_t blocks =
        std::min<std::size_t>(kScalesLookedAt, bytes.size() / traits->block_bytes);
    std::array<std::byte, 2> first{};
    for (std::size_t b = 0; b < blocks; ++b) {
        // TQ1_0 and TQ2_0 both end their blocks with the scale.
        const std::byte* scale = bytes.data() + (b + 1) * traits->block_bytes - first.size();
        if (b > 0 && std::memcmp(first.data(), scale, first.size()) != 0) {
            return false;
        }
        std::memcpy(first.data(), scale, first.size());
    }
    return true;
}

/// Ternary tensors get a second copy in the kernels' own layout. All but TQ2_0 with one scale are
/// unpacked to a byte per weight on the way there.
void WeightTally::pack(const gguf::Tensor& tensor, bool int8_tokens) {
    const std::uint64_t cols = tensor.shape[0];
    const bool panels = int8_tokens && one_scale(file_, tensor);
    if (panels) {
        packed_ += pages(kernels::packed_t2_bytes(tensor.shape[1], cols));
        forms_.token_i8 = std::max(forms_.token_i8, cols);
    } else {
        const auto q8_0 = static_cast<std::uint32_t>(gguf::Type::q8_0);
        packed_ += pages(gguf::stored_bytes(q8_0, tensor.weights()).value_or(0));
        forms_.block_i8 = std::max(forms_.block_i8, cols);
    }
    if (!panels || tensor.type != static_cast<std::uint32_t>(gguf::Type::tq2_0)) {
        const std::uint64_t weights = tensor.weights();
        const std::uint64_t unpacked =
            weights + tensor::ternary_scales(tensor.type, weights) * sizeof(float);
        scratch_ = std::max(scratch_, unpacked <= kKeptBlockBytesMax ? unpacked : 0);
    }
}

Status WeightTally::linear(const std::string& stem, std::uint64_t rows, std::uint64_t cols) {
    TRILANE_TRY(const gguf::Tensor* tensor, find(stem + ".weight"));
    if (tensor->shape[0] != cols || tensor->shape[1] != rows || tensor->dimensions != 2) {
        return fail(Fault::corrupt, "tensor {} is {} × {}; the metadata make it {} × {}",
                    tensor->name, tensor->shape[1], tensor->shape[0], rows, cols);
    }
    // The embedding that also serves as head is counted once, with the embedding.
    mapped_ += stem == "token_embd" ? 0 : tensor->bytes;
    if (tensor::is_ternary(tensor->type)) {
        if (cols % 128 != 0) {
            return fail(Fault::invalid,
                        "ternary tensor {} has rows of {} weights; a multiple of 128 is needed",
                        tensor->name, cols);
        }
        pack(*tensor, config_.int8_tokens && stem.starts_with("blk."));
    } else if (gguf::traits_of(tensor->type)->block_weights > 1) {
        forms_.block_i8 = std::max(forms_.block_i8, cols);  // plain numbers are read as floats
    }
    TRILANE_TRY_STATUS(optional_vector(stem + ".bias", rows));
    return optional_vector(stem + ".scale", 1);
}

Status WeightTally::layer(std::uint32_t index) {
    const model::Config& c = config_;
    const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}", index, part); };
    TRILANE_TRY_STATUS(vector(name("attn_norm.weight"), c.dim));
    TRILANE_TRY_STATUS(linear(name("attn_q"), c.q_width(), c.dim));
    TRILANE_TRY_STATUS(linear(name("attn_k"), c.kv_width(), c.dim));
    TRILANE_TRY_STATUS(linear(name("attn_v"), c.kv_width(), c.dim));
    TRILANE_TRY_STATUS(linear(name("attn_output"), c.dim, c.q_width()));
    TRILANE_TRY_STATUS(vector(name("ffn_norm.weight"), c.dim));
    TRILANE_TRY_STATUS(linear(name("ffn_gate"), c.ffn, c.dim));
    TRILANE_TRY_STATUS(linear(name("ffn_up"), c.ffn, c.dim));
    TRILANE_TRY_STATUS(linear(name("ffn_down"), c.dim, c.ffn));
    if (c.head_norms) {
        TRILANE_TRY_STATUS(vector(name("attn_q_norm.weight"), c.head_dim));
        TRILANE_TRY_STATUS(vector(name("attn_k_norm.weight"), c.head_dim));
    }
    if (c.sub_norms) {
        TRILANE_TRY_STATUS(vector(name("attn_sub_norm.weight"), c.q_width()));
        TRILANE_TRY_STATUS(vector(name("ffn_sub_norm.weight"), c.ffn));
    }
    return {};
}

Status WeightTally::run() {
    TRILANE_TRY(const gguf::Tensor* embedding, find("token_embd.weight"));
    mapped_ += embedding->bytes;
    TRILANE_TRY_STATUS(vector("output_norm.weight", config_.dim));
    TRILANE_TRY_STATUS(optional_vector("rope_freqs.weight", config_.rope_dim / 2));
    const bool own_head = file_.find_tensor("output.weight") != nullptr;
    TRILANE_TRY_STATUS(linear(own_head ? "output" : "token_embd", config_.vocab, config_.dim));
    for (std::uint32_t i = 0; i < config_.layers; ++i) {
        TRILANE_TRY_STATUS(layer(i));
    }
    heap_ += config_.layers * std::uint64_t{sizeof(model::LayerWeights)};
    return {};
}

/// The widest row of any step, in whole panels: Workspace::wide.
std::uint64_t widest_row(const model::Config& c) {
    return (std::uint64_t{std::max({c.dim, c.q_width(), c.kv_width(), c.ffn})} + 63) / 64 * 64;
}

/// Workspace::make's buffers, as far as requests write them.
void workspace_buffers(const model::Config& c, const Options& o, Buffers& buffers) {
    const std::uint64_t tokens_max = std::uint64_t{o.prefill_chunk_tokens} + o.slots;
    const std::uint64_t stride = widest_row(c) * sizeof(float);
    const std::uint32_t gate = std::max(c.ffn, c.q_width());
    for (const std::uint32_t width : {c.dim, std::max(gate, c.dim), c.q_width(), c.kv_width(),
                                      c.kv_width(), gate, c.ffn, c.dim}) {
        buffers.rows(tokens_max, stride, tokens_max, width * sizeof(float));
    }
    buffers.whole(o.threads * std::uint64_t{o.context_tokens} * sizeof(float));  // scores
    buffers.whole(tokens_max * (c.rope_dim / 2) * sizeof(float));                // cosines
    buffers.whole(tokens_max * (c.rope_dim / 2) * sizeof(float));                // sines
    // One row per slot; log-probabilities of whole prompts are asked for too seldom to count.
    const std::uint64_t logits = (std::uint64_t{c.vocab} + 31) / 32 * 32 * sizeof(float);
    buffers.rows(tokens_max, logits, o.slots, logits);
}

/// The quantised forms of the activations, as far as linears read them.
void activation_buffers(const model::Config& c, const Options& o, const FormWidths& forms,
                        Buffers& buffers) {
    const std::uint64_t tokens_max = std::uint64_t{o.prefill_chunk_tokens} + o.slots;
    const std::uint64_t stride = widest_row(c);
    const std::uint64_t groups_bytes = stride / 32 * sizeof(float);
    for (const std::uint64_t width : {forms.token_i8, forms.block_i8}) {
        buffers.rows(tokens_max, stride, tokens_max, width);
    }
    // One scale and one sum per token, or per 32 values.
    for (int twice = 0; twice < 2; ++twice) {
        buffers.rows(1, tokens_max * groups_bytes, 1,
                     forms.token_i8 == 0 ? 0 : tokens_max * sizeof(float));
        buffers.rows(tokens_max, groups_bytes, tokens_max, forms.block_i8 / 32 * sizeof(float));
    }
}

/// What the slots' own timelines and samplers hold while all of them run.
std::uint64_t request_bytes(const model::Config& c, const Options& o) {
    // The prompt, the timeline and the session's tokens; the last two grow by doubling.
    const std::uint64_t timelines =
        std::uint64_t{o.slots} * o.context_tokens * sizeof(token::Id) * 3;
    // Logits, and candidates of an id and a value each.
    const std::uint64_t samplers = std::uint64_t{o.slots} * c.vocab * (sizeof(float) + 8);
    return timelines + samplers;
}

}  // namespace

std::uint64_t vocabulary_bytes(const gguf::File& file, const token::Vocabulary& vocabulary) {
    std::uint64_t header = file.file_bytes();
    for (const gguf::Tensor& tensor : file.tensors()) {
        header = std::min(header, tensor.offset);
    }
    std::uint64_t bytes = header;
    for (const gguf::Entry& entry : file.metadata()) {
        const auto* array = std::get_if<gguf::Array>(&entry.value);
        if (array != nullptr && array->kind() == gguf::ValueKind::string) {
            bytes += pages(array->size() * sizeof(std::string_view));
        }
    }
    bytes += file.metadata().size() * (sizeof(gguf::Entry) + sizeof(std::uint32_t));
    bytes += file.tensors().size() * (sizeof(gguf::Tensor) + sizeof(std::uint32_t));

    const std::uint64_t entries = vocabulary.entries.size();
    const std::uint64_t merges = vocabulary.merges.size();
    bytes += entries * (sizeof(std::string_view) + sizeof(token::Kind));
    bytes += vocabulary.scores.size() * sizeof(float);
    bytes += merges * sizeof(std::string_view);
    bytes += std::bit_ceil(2 * entries + 1) * kEntrySlotBytes;
    if (vocabulary.family == token::Family::byte_bpe) {
        bytes += std::bit_ceil(merges * 3 / 2 + 2) * kPairSlotBytes;
    }
    return bytes;
}

Result<MemoryNeed> memory_need(const std::string& path, const Options& options) {
    if (options.slots == 0 || options.prefill_chunk_tokens == 0) {
        return fail(Fault::invalid, "slots and prefill chunk must each be at least 1");
    }
    TRILANE_TRY(const auto file, gguf::File::open(path));
    TRILANE_TRY(const token::Vocabulary vocabulary, token::read_vocabulary(file));
    if (model::is_encoder(file->string("general.architecture").value_or(""))) {
        return encoder_memory_need(*file, vocabulary, options);
    }
    TRILANE_TRY(const model::Config config, model::read_config(*file));
    if (vocabulary.entries.size() > config.vocab) {
        return fail(Fault::corrupt, "{}: the tokenizer knows {} tokens, the weights only {}", path,
                    vocabulary.entries.size(), config.vocab);
    }
    WeightTally weights(*file, config);
    TRILANE_TRY_STATUS(weights.run());
    if (options.context_tokens > config.context_tokens) {
        return fail(Fault::invalid, "--ctx {} is more than the {} tokens this model was made for",
                    options.context_tokens, config.context_tokens);
    }
    Options o = options;
    o.context_tokens = o.context_tokens == 0 ? config.context_tokens : o.context_tokens;
    o.threads = o.threads == 0 ? probe::default_threads() : o.threads;

    MemoryNeed need;
    need.context_tokens = o.context_tokens;
    need.context_tokens_max = config.context_tokens;
    need.weight_bytes = weights.bytes();
    need.vocabulary_bytes = vocabulary_bytes(*file, vocabulary);
    const std::uint64_t token_bytes = model::KvCache::bytes_per_token(config) * o.slots;
    need.kv_bytes = token_bytes * o.context_tokens;
    need.kv_bytes_per_context_token = static_cast<double>(token_bytes);
    Buffers buffers;
    workspace_buffers(config, o, buffers);
    activation_buffers(config, o, weights.forms(), buffers);
    const std::uint64_t packers = std::min<std::uint64_t>(o.threads, config.layers);
    need.buffer_bytes = buffers.bytes() + request_bytes(config, o) + o.threads * kThreadBytes +
                        packers * weights.scratch_bytes() + kCodeBytes;
    return need;
}

}  // namespace trilane::engine
