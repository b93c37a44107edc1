// trilane_memory_check: what engine::memory_need predicts beside what a process really grows by
// when the model is loaded and every slot's context is full. Each model in a process of its own.
// Exits with 1 when a prediction is off by more than kOffMax.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "engine/memory.h"
#include "gguf/writer.h"

namespace {

using namespace trilane;

constexpr std::string_view kUsage =
    "usage: trilane_memory_check [--ctx N] [--slots N] [--threads N] [--keep DIR] [--only NAME]\n"
    "                            [MODEL.gguf ...]\n"
    "\n"
    "Without models: the bundled one and four synthetic ones, which --keep leaves in DIR.\n";

constexpr double kOffMax = 0.03;
/// The end of each context is drawn, not read, so that samplers have run as well.
constexpr std::uint32_t kDrawnTokens = 12;

struct Settings {
    std::uint32_t context_tokens = 0;
    std::uint32_t slots = 8;
    std::uint32_t threads = 0;
    std::string keep;
    std::string only;
    std::vector<std::string> models;
};

/// What a child tells its parent, through a pipe.
struct Figures {
    engine::MemoryNeed need;
    std::uint64_t anonymous_bytes = 0;
    std::uint64_t file_bytes = 0;
    std::uint64_t peak_bytes = 0;
    std::uint32_t slots = 0;
};

/// SplitMix64.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        state_ += 0x9E3779B97F4A7C15U;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    }

private:
    std::uint64_t state_;
};

constexpr std::uint16_t kHalf2ToMinus12 = 0x0C00;
constexpr std::uint16_t kHalf2ToMinus8 = 0x1C00;
constexpr std::uint16_t kHalf2ToMinus5 = 0x2800;

/// Blocks of random weights whose magnitude keeps activations finite.
void fill_blocks(gguf::Type type, std::span<std::byte> out) {
    Random random(out.size());
    for (std::size_t at = 0; at < out.size(); at += sizeof(std::uint64_t)) {
        const std::uint64_t word = random.next();
        std::memcpy(out.data() + at, &word, std::min(sizeof word, out.size() - at));
    }
    const auto put_scales = [&](std::size_t block_bytes, std::size_t scale_at,
                                std::uint16_t scale) {
        for (std::size_t at = scale_at; at < out.size(); at += block_bytes) {
            std::memcpy(out.data() + at, &scale, sizeof scale);
        }
    };
    switch (type) {
        case gguf::Type::q8_0:
            return put_scales(34, 0, kHalf2ToMinus12);
        case gguf::Type::q4_0:
            return put_scales(18, 0, kHalf2ToMinus8);
        case gguf::Type::tq1_0:
            return put_scales(54, 52, kHalf2ToMinus5);
        case gguf::Type::tq2_0:
            for (std::byte& b : out) {  // there is no code 3
                const auto code = std::to_integer<unsigned>(b);
                b = static_cast<std::byte>(code & ~((code & (code >> 1U) & 0x55U) << 1U));
            }
            return put_scales(66, 64, kHalf2ToMinus5);
        default:  // F16 with a small exponent
            for (std::size_t at = 1; at < out.size(); at += 2) {
                out[at] = (out[at] & std::byte{0x83}) | std::byte{0x24};
            }
    }
}

/// A synthetic model: the shapes differ in what dominates.
struct Shape {
    std::string_view name;
    std::string_view architecture;
    gguf::Type type;
    gguf::Type embedding;
    std::uint32_t layers;
    std::uint32_t dim;
    std::uint32_t ffn;
    std::uint32_t heads;
    std::uint32_t kv_heads;
    std::uint32_t head_dim;
    std::uint32_t vocab;
    bool tied;
    std::uint32_t context_tokens;  ///< that the check fills
};

constexpr Shape kShapes[] = {
    {"llama-wide-vocab-q8_0", "llama", gguf::Type::q8_0, gguf::Type::q8_0, 6, 768, 2048, 12, 4, 64,
     128'256, false, 1024},
    {"qwen3-deep-q4_0", "qwen3", gguf::Type::q4_0, gguf::Type::q4_0, 48, 768, 2304, 12, 6, 128,
     32'000, true, 1024},
    {"bitnet-tq2_0", "bitnet", gguf::Type::tq2_0, gguf::Type::f16, 20, 2048, 5632, 16, 4, 128,
     50'000, true, 768},
    // Unpacked on its way into panels, which the allocator remembers.
    {"bitnet-tq1_0", "bitnet", gguf::Type::tq1_0, gguf::Type::f16, 8, 2048, 5632, 16, 4, 128,
     20'000, true, 512},
};

class SyntheticModel {
public:
    explicit SyntheticModel(const Shape& shape) : s_(shape) {}

    Status write(const std::string& path) {
        add_config();
        add_tokenizer();
        matrix("token_embd", s_.vocab, s_.dim, s_.embedding);
        if (!s_.tied) {
            matrix("output", s_.vocab, s_.dim, s_.embedding);
        }
        vector("output_norm.weight", s_.dim);
        for (std::uint32_t l = 0; l < s_.layers; ++l) {
            add_layer(fmt::format("blk.{}.", l));
        }
        return out_.write(path);
    }

private:
    void add_config();
    void add_tokenizer();
    void add_layer(const std::string& at);

    void matrix(const std::string& stem, std::uint64_t rows, std::uint64_t cols, gguf::Type type) {
        out_.add_tensor(stem + ".weight", std::array{cols, rows}, type,
                        [type](std::span<std::byte> out) { fill_blocks(type, out); });
    }
    void vector(const std::string& name, std::uint64_t count) {
        out_.add_tensor(name, std::array{count}, std::vector<float>(count, 1.0F));
    }

    const Shape& s_;
    gguf::Writer out_;
};

void SyntheticModel::add_config() {
    const auto key = [&](std::string_view name) {
        return fmt::format("{}.{}", s_.architecture, name);
    };
    out_.add("general.architecture", s_.architecture);
    out_.add("general.name", s_.name);
    out_.add(key("block_count"), s_.layers);
    out_.add(key("context_length"), std::uint32_t{32'768});
    out_.add(key("embedding_length"), s_.dim);
    out_.add(key("feed_forward_length"), s_.ffn);
    out_.add(key("attention.head_count"), s_.heads);
    out_.add(key("attention.head_count_kv"), s_.kv_heads);
    out_.add(key("attention.key_length"), s_.head_dim);
    out_.add(key("attention.value_length"), s_.head_dim);
    out_.add(key("attention.layer_norm_rms_epsilon"), 1e-5F);
    out_.add(key("rope.dimension_count"), s_.head_dim);
}

/// Byte-level BPE of made-up words: a base alphabet, and merges of it in number like real ones.
void SyntheticModel::add_tokenizer() {
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
    std::vector<std::string> tokens;
    std::vector<std::string> merges;
    for (const char c : kLetters) {
        tokens.emplace_back(1, c);
    }
    for (std::size_t stem = 0; tokens.size() < s_.vocab; ++stem) {
        for (std::size_t i = 0; i < kLetters.size() && tokens.size() < s_.vocab; ++i) {
            merges.push_back(tokens[stem] + ' ' + kLetters[i]);
            tokens.push_back(tokens[stem] + kLetters[i]);
        }
    }
    const std::vector<std::int32_t> kinds(tokens.size(), 1);
    out_.add("tokenizer.ggml.model", "gpt2");
    out_.add("tokenizer.ggml.pre", "gpt-2");
    out_.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
    out_.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(kinds));
    out_.add("tokenizer.ggml.merges", std::span<const std::string>(merges));
    out_.add("tokenizer.ggml.eos_token_id", std::uint32_t{0});
}

void SyntheticModel::add_layer(const std::string& at) {
    const std::uint64_t q_width = std::uint64_t{s_.heads} * s_.head_dim;
    const std::uint64_t kv_width = std::uint64_t{s_.kv_heads} * s_.head_dim;
    vector(at + "attn_norm.weight", s_.dim);
    matrix(at + "attn_q", q_width, s_.dim, s_.type);
    matrix(at + "attn_k", kv_width, s_.dim, s_.type);
    matrix(at + "attn_v", kv_width, s_.dim, s_.type);
    if (s_.architecture == "qwen3") {
        vector(at + "attn_q_norm.weight", s_.head_dim);
        vector(at + "attn_k_norm.weight", s_.head_dim);
    }
    if (s_.architecture == "bitnet") {
        vector(at + "attn_sub_norm.weight", q_width);
        vector(at + "ffn_sub_norm.weight", s_.ffn);
    }
    matrix(at + "attn_output", s_.dim, q_width, s_.type);
    vector(at + "ffn_norm.weight", s_.dim);
    matrix(at + "ffn_gate", s_.ffn, s_.dim, s_.type);
    matrix(at + "ffn_up", s_.ffn, s_.dim, s_.type);
    matrix(at + "ffn_down", s_.dim, s_.ffn, s_.type);
}

/// "<key>:   123 kB" of a file in /proc/self, in bytes.
std::uint64_t proc_bytes(const char* path, std::string_view key) {
    std::ifstream in(path);
    std::string word;
    while (in >> word) {
        std::uint64_t kib = 0;
        if (word == key && in >> kib) {
            return kib * 1024;
        }
    }
    return 0;
}

/// smaps_rollup counts the pages themselves; the counters in `status` may lag by some.
std::uint64_t resident_bytes() {
    return proc_bytes("/proc/self/smaps_rollup", "Rss:");
}
std::uint64_t anonymous_bytes() {
    return proc_bytes("/proc/self/smaps_rollup", "Anonymous:");
}

/// The slots as they run, and the figures at the moment when the first of them is full.
class Run {
public:
    explicit Run(std::uint32_t slots) : left_(slots) {}

    void token_drawn(bool last) {
        if (last && !measured_) {
            measured_ = true;
            resident_ = resident_bytes();
            anonymous_ = anonymous_bytes();
        }
    }
    void ended(const engine::Ending& ending) {
        const std::lock_guard lock(mutex_);
        if (ending.error && !failure_) {
            failure_ = ending.error;
        }
        --left_;
        ended_.notify_all();
    }
    std::optional<Error> wait() {
        std::unique_lock lock(mutex_);
        ended_.wait(lock, [this] { return left_ == 0; });
        return failure_;
    }
    [[nodiscard]] std::uint64_t resident() const { return resident_; }
    [[nodiscard]] std::uint64_t anonymous() const { return anonymous_; }

private:
    std::mutex mutex_;
    std::condition_variable ended_;
    std::uint32_t left_;
    std::optional<Error> failure_;
    bool measured_ = false;  // of the engine's thread until all have ended
    std::uint64_t resident_ = 0;
    std::uint64_t anonymous_ = 0;
};

class Watching final : public engine::Listener {
public:
    explicit Watching(Run& run) : run_(run) {}
    void on_start(std::uint32_t /*cached_tokens*/) override {}
    void on_prompt_token(std::uint32_t /*i*/, const engine::Sampled& /*token*/) override {}
    bool on_token(const engine::Sampled& /*token*/) override {
        run_.token_drawn(++drawn_ == kDrawnTokens);
        return true;
    }
    void on_end(const engine::Ending& ending) override { run_.ended(ending); }

private:
    Run& run_;
    std::uint32_t drawn_ = 0;
};

Status fill_slots(engine::Engine& engine, Run& run) {
    Random random(7);
    const std::size_t vocab = engine.tokenizer()->size();
    std::vector<engine::Generation> generations;
    for (std::uint32_t slot = 0; slot < engine.options().slots; ++slot) {
        engine::Generation generation;
        generation.prompt.resize(engine.options().context_tokens - kDrawnTokens);
        for (token::Id& id : generation.prompt) {
            id = static_cast<token::Id>(random.next() % vocab);
        }
        generation.sampling.temperature = 0.8F;
        generation.sampling.min_p = 0.05F;
        generation.max_tokens = kDrawnTokens;
        generation.ignore_end = true;
        generation.listener = std::make_unique<Watching>(run);
        generations.push_back(std::move(generation));
    }
    return engine.submit(std::move(generations));
}

/// Predicts, loads, fills, measures.
Result<Figures> check(const std::string& path, const engine::Options& options) {
    Figures figures;
    TRILANE_TRY(figures.need, engine::memory_need(path, options));
    const std::uint64_t resident_before = resident_bytes();
    const std::uint64_t anonymous_before = anonymous_bytes();
    TRILANE_TRY(const auto engine, engine::Engine::load(path, options));
    if (engine->options().context_tokens != figures.need.context_tokens) {
        return fail(Fault::exhausted, "{} does not get its whole context here; give --ctx", path);
    }
    Run run(engine->options().slots);
    TRILANE_TRY_STATUS(fill_slots(*engine, run));
    if (std::optional<Error> failure = run.wait()) {
        return tl::unexpected(*std::move(failure));
    }
    figures.slots = engine->options().slots;
    figures.anonymous_bytes = run.anonymous() - anonymous_before;
    figures.file_bytes = run.resident() - resident_before - figures.anonymous_bytes;
    figures.peak_bytes = proc_bytes("/proc/self/status", "VmHWM:") - resident_before;
    return figures;
}

/// check() in a child, whose memory begins small and ends with it.
Result<Figures> check_apart(const std::string& path, const engine::Options& options) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return fail(Fault::internal, "pipe: {}", std::strerror(errno));
    }
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        const Result<Figures> figures = check(path, options);
        if (!figures) {
            fmt::print(stderr, "trilane_memory_check: {}\n", figures.error().message);
            std::fflush(stderr);
            ::_exit(1);
        }
        const bool told = ::write(ends[1], &*figures, sizeof *figures) == sizeof *figures;
        ::_exit(told ? 0 : 1);
    }
    ::close(ends[1]);
    Figures figures;
    const bool heard = ::read(ends[0], &figures, sizeof figures) == sizeof figures;
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (child < 0 || !heard || status != 0) {
        return fail(Fault::internal, "{} could not be measured", path);
    }
    return figures;
}

/// In a child as well, or the allocator's left-overs would go to the next load and not show.
Status write_apart(const Shape& shape, const std::string& path) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(SyntheticModel(shape).write(path) ? 0 : 1);
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0) {
        return fail(Fault::unavailable, "cannot write {}; is the disk full?", path);
    }
    return {};
}

std::string mb(std::uint64_t bytes) {
    return fmt::format("{:.1f}", static_cast<double>(bytes) / 1e6);
}

/// One row of the table; true when the prediction is close enough.
bool print_row(const std::string& path, const Figures& f) {
    const std::uint64_t measured = f.anonymous_bytes + f.file_bytes;
    const double ratio = static_cast<double>(f.need.bytes()) / static_cast<double>(measured);
    fmt::print(
        "{:<24} {:>6} ×{:<3} {:>8} {:>7} {:>8} {:>8} {:>9} {:>9} {:>8} {:>8} {:>8} {:>7.4f}\n",
        std::filesystem::path(path).stem().string(), f.need.context_tokens, f.slots,
        mb(f.need.weight_bytes), mb(f.need.vocabulary_bytes), mb(f.need.kv_bytes),
        mb(f.need.buffer_bytes), mb(f.need.bytes()), mb(measured), mb(f.anonymous_bytes),
        mb(f.file_bytes), mb(f.peak_bytes), ratio);
    std::fflush(stdout);
    return std::fabs(ratio - 1.0) <= kOffMax;
}

Result<bool> run(const Settings& settings) {
    engine::Options options;
    options.slots = settings.slots;
    options.queue_max = std::max(options.queue_max, settings.slots);
    options.threads = settings.threads;
    fmt::print("{:<24} {:>6} {:<4} {:>8} {:>7} {:>8} {:>8} {:>9} {:>9} {:>8} {:>8} {:>8} {:>7}\n",
               "model, MB", "ctx", "slot", "weights", "vocab", "KV", "buffers", "predicted",
               "measured", "anon", "file", "peak", "ratio");
    bool close = true;
    const auto row = [&](const std::string& path, std::uint32_t context_tokens) -> Status {
        options.context_tokens =
            settings.context_tokens != 0 ? settings.context_tokens : context_tokens;
        TRILANE_TRY(const Figures figures, check_apart(path, options));
        close = print_row(path, figures) && close;
        return {};
    };
    for (const std::string& model : settings.models) {
        TRILANE_TRY_STATUS(row(model, 0));
    }
    if (!settings.models.empty()) {
        return close;
    }
    if (settings.only.empty()) {
        TRILANE_TRY_STATUS(row(TRILANE_NANO, 0));
    }
    const std::string folder =
        settings.keep.empty() ? std::filesystem::temp_directory_path().string() : settings.keep;
    for (const Shape& shape : kShapes) {
        if (!settings.only.empty() && shape.name != settings.only) {
            continue;
        }
        const std::string path = fmt::format("{}/{}.gguf", folder, shape.name);
        if (!std::filesystem::exists(path)) {
            TRILANE_TRY_STATUS(write_apart(shape, path));
        }
        const Status done = row(path, shape.context_tokens);
        if (settings.keep.empty()) {
            std::filesystem::remove(path);
        }
        TRILANE_TRY_STATUS(done);
    }
    return close;
}

bool read_arguments(const std::vector<std::string_view>& arguments, Settings& s) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view name = arguments[i];
        if (!name.starts_with("--")) {
            s.models.emplace_back(name);
            continue;
        }
        if (++i == arguments.size()) {
            return false;
        }
        const std::string_view value = arguments[i];
        if (name == "--keep" || name == "--only") {
            (name == "--keep" ? s.keep : s.only) = value;
            continue;
        }
        std::uint32_t* const number = name == "--ctx"       ? &s.context_tokens
                                      : name == "--slots"   ? &s.slots
                                      : name == "--threads" ? &s.threads
                                                            : nullptr;
        if (number == nullptr) {
            return false;
        }
        const auto [end, error] =
            std::from_chars(value.data(), value.data() + value.size(), *number);
        if (error != std::errc() || end != value.data() + value.size() || *number == 0) {
            return false;
        }
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings;
    if (!read_arguments({argv + 1, argv + argc}, settings)) {
        fmt::print(stderr, "{}", kUsage);
        return 2;
    }
    const Result<bool> close = run(settings);
    if (!close) {
        fmt::print(stderr, "trilane_memory_check: {}\n", close.error().message);
        return 1;
    }
    return *close ? 0 : 1;
}
