#include "engine/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/utf8.h"
#include "engine/loaded.h"
#include "engine/sampler.h"

namespace trilane::engine {
namespace {

/// Tokens of a window that run in one forward step.
constexpr std::uint32_t kChunkTokens = 128;
constexpr std::uint32_t kWindowTokensMin = 4;

/// A model with one slot, run from the outside.
struct Runner {
    std::unique_ptr<Loaded> loaded;
    model::KvCache kv;
    model::Workspace workspace;

    static Result<Runner> make(const std::string& path, std::uint32_t context_tokens,
                               std::size_t threads, std::optional<kernels::Isa> isa) {
        Runner runner;
        TRILANE_TRY(runner.loaded, Loaded::open(path, threads, isa));
        const model::Config& config = runner.loaded->model.config();
        if (context_tokens > config.context_tokens) {
            return fail(Fault::invalid, "{} tokens do not fit the {} this model was made for",
                        context_tokens, config.context_tokens);
        }
        TRILANE_TRY(runner.kv, model::KvCache::make(config, 1, context_tokens));
        TRILANE_TRY(runner.workspace, model::Workspace::make(config, kChunkTokens, context_tokens,
                                                             runner.loaded->team->size()));
        return runner;
    }

    /// Runs `ids` at `first`…; calls take(i, logits) for each of them when `every`, else for the
    /// last.
    template <class Take>
    void run(std::span<const token::Id> ids, std::uint32_t first, bool every, Take take) {
        std::vector<model::BatchToken> batch;
        for (std::size_t at = 0; at < ids.size(); at += kChunkTokens) {
            const std::size_t count = std::min<std::size_t>(kChunkTokens, ids.size() - at);
            batch.clear();
            for (std::size_t i = at; i < at + count; ++i) {
                batch.push_back({ids[i], first + static_cast<std::uint32_t>(i), 0,
                                 every || i + 1 == ids.size()});
            }
            loaded->model.forward(batch, kv, workspace, *loaded->team);
            std::size_t row = 0;
            for (std::size_t i = at; i < at + count; ++i) {
                if (every || i + 1 == ids.size()) {
                    take(i, std::span<const float>(
                                workspace.logits.as<float>() + row * workspace.logits_stride,
                                loaded->model.config().vocab));
                    ++row;
                }
            }
        }
    }
};

/// One window: tokens as they are run, and the first index whose prediction by its predecessor
/// counts.
struct Window {
    std::vector<token::Id> ids;
    std::size_t first_scored = 1;
};

/// Windows by the definition `trilane`.
std::vector<Window> own_windows(const std::vector<token::Id>& ids, std::optional<token::Id> bos,
                                std::uint32_t context, std::uint32_t stride) {
    std::vector<Window> windows;
    const std::size_t lead = bos.has_value() ? 1 : 0;
    const std::size_t width = context - lead;
    std::size_t scored = bos.has_value() ? 0 : 1;  // text tokens before this one are done
    for (std::size_t begin = 0; begin < ids.size() && scored < ids.size(); begin += stride) {
        const std::size_t end = std::min(begin + width, ids.size());
        Window window;
        if (bos.has_value()) {
            window.ids.push_back(*bos);
        }
        window.ids.insert(window.ids.end(), ids.begin() + static_cast<std::ptrdiff_t>(begin),
                          ids.begin() + static_cast<std::ptrdiff_t>(end));
        window.first_scored = scored - begin + lead;
        scored = end;
        windows.push_back(std::move(window));
    }
    return windows;
}

/// Windows by the definition `llama`.
std::vector<Window> llama_windows(const std::vector<token::Id>& ids, std::optional<token::Id> bos,
                                  std::uint32_t context) {
    std::vector<Window> windows;
    for (std::size_t begin = 0; begin + context <= ids.size(); begin += context) {
        Window window;
        window.ids.assign(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                          ids.begin() + static_cast<std::ptrdiff_t>(begin + context));
        window.ids[0] = bos.value_or(window.ids[0]);
        window.first_scored = context / 2 + 1;
        windows.push_back(std::move(window));
    }
    return windows;
}

/// Adds the scored tokens of one window.
class Score {
public:
    void add(double nll, std::size_t bytes) {
        sum_ += nll;
        squares_ += nll * nll;
        bytes_ += bytes;
        ++count_;
    }
    [[nodiscard]] PplResult result(std::uint64_t windows, double seconds) const {
        PplResult r;
        const auto n = static_cast<double>(count_);
        r.windows = windows;
        r.tokens_scored = count_;
        r.text_bytes_scored = bytes_;
        r.nll_sum = sum_;
        r.nll_mean = count_ > 0 ? sum_ / n : 0;
        r.perplexity = std::exp(r.nll_mean);
        const double variance =
            count_ > 1 ? std::max(squares_ / n - r.nll_mean * r.nll_mean, 0.0) / (n - 1) : 0;
        r.perplexity_error = r.perplexity * std::sqrt(variance);
        r.bits_per_byte = bytes_ > 0 ? sum_ / std::log(2.0) / static_cast<double>(bytes_) : 0;
        r.seconds = seconds;
        return r;
    }

private:
    double sum_ = 0;
    double squares_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t count_ = 0;
};

Result<std::vector<Window>> cut(const token::Tokenizer& tokenizer, std::string_view text,
                                const PplOptions& options) {
    const bool own = options.definition == PplDefinition::trilane;
    const auto bos = tokenizer.adds_bos() ? tokenizer.bos() : std::nullopt;
    const std::uint32_t context = options.context_tokens;
    const auto ids = tokenizer.encode(text, {.add_special = !own, .parse_special = false});
    const std::size_t needed = own ? 2 : std::size_t{2} * context;
    if (ids.size() < needed) {
        return fail(Fault::invalid, "the text has {} tokens; this definition needs at least {}",
                    ids.size(), needed);
    }
    auto windows =
        own ? own_windows(ids, bos, context, options.stride == 0 ? context / 2 : options.stride)
            : llama_windows(ids, bos, context);
    if (options.windows_max != 0 && windows.size() > options.windows_max) {
        windows.resize(options.windows_max);
    }
    return windows;
}

Status check(const PplOptions& options) {
    if (options.context_tokens < kWindowTokensMin) {
        return fail(Fault::invalid, "a window of {} tokens is too short; use at least {}",
                    options.context_tokens, kWindowTokensMin);
    }
    if (options.stride > options.context_tokens - 1) {
        return fail(Fault::invalid, "a stride of {} would skip tokens between windows of {}",
                    options.stride, options.context_tokens);
    }
    return {};
}

}  // namespace

Result<PplResult> perplexity(
    const std::string& model_path, std::string_view text, const PplOptions& options,
    const std::function<void(std::uint64_t, std::uint64_t, const PplResult&)>& progress) {
    TRILANE_TRY_STATUS(check(options));
    TRILANE_TRY(Runner runner,
                Runner::make(model_path, options.context_tokens, options.threads, options.isa));
    const token::Tokenizer& tokenizer = *runner.loaded->tokenizer;
    TRILANE_TRY(const std::vector<Window> windows, cut(tokenizer, text, options));
    const auto start = std::chrono::steady_clock::now();
    Score score;
    PplResult result;
    for (std::size_t w = 0; w < windows.size(); ++w) {
        const Window& window = windows[w];
        runner.run(window.ids, 0, true, [&](std::size_t i, std::span<const float> logits) {
            if (i + 1 < window.first_scored || i + 1 >= window.ids.size()) {
                return;
            }
            const token::Id next = window.ids[i + 1];
            score.add(
                log_sum_exp(logits) - static_cast<double>(logits[static_cast<std::size_t>(next)]),
                tokenizer.bytes_of(next, true).size());
        });
        const double seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        result = score.result(w + 1, seconds);
        if (progress) {
            progress(w + 1, windows.size(), result);
        }
    }
    return result;
}

Result<std::vector<GreedyStep>> greedy(const std::string& model_path,
                                       std::span<const token::Id> prompt, std::uint32_t steps,
                                       const Options& options) {
    if (prompt.empty() || prompt.size() > model::kContextMax || steps > model::kContextMax) {
        return fail(Fault::invalid, "a prompt of {} tokens and {} steps are not possible",
                    prompt.size(), steps);
    }
    const auto context = static_cast<std::uint32_t>(prompt.size()) + steps;
    TRILANE_TRY(Runner runner, Runner::make(model_path, context, options.threads, options.isa));
    const model::Config& config = runner.loaded->model.config();
    std::vector<token::Id> ids(prompt.begin(), prompt.end());
    if (std::any_of(ids.begin(), ids.end(), [&](token::Id id) {
            return id < 0 || static_cast<std::uint32_t>(id) >= config.vocab;
        })) {
        return fail(Fault::invalid, "the prompt holds a token id outside the vocabulary of {}",
                    config.vocab);
    }
    std::vector<GreedyStep> out;
    std::uint32_t position = 0;
    for (std::uint32_t step = 0; step < steps; ++step) {
        runner.run(ids, position, false, [&](std::size_t, std::span<const float> logits) {
            const auto [id, margin] = argmax_with_margin(logits);
            out.push_back({id, margin});
        });
        position += static_cast<std::uint32_t>(ids.size());
        ids = {out.back().id};
    }
    return out;
}

}  // namespace trilane::engine
