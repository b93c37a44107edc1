// trilane_engine_bench: the engine's own speed on one model, without HTTP or text: decode of one
// sequence, prefill, decode of several at once, and beside them the greedy tokens of a known
// prompt, so that no figure stands without the answer it was measured on. Prints one line of JSON.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "model/model.h"

namespace {

using namespace trilane;

constexpr std::string_view kUsage =
    "usage: trilane_engine_bench MODEL --threads N [--isa NAME] [--repeats N]\n"
    "                            [--decode TOKENS] [--prefill TOKENS] [--streams N]\n"
    "                            [--ids ID,ID,... --greedy N]\n"
    "\n"
    "--ids and --greedy: a prompt, and how many tokens of its greedy continuation to print.\n";

constexpr std::uint32_t kSlots = 8;
constexpr std::uint32_t kPromptTokens = 8;  // of the decode figures

struct Options {
    std::string model;
    std::uint32_t threads = 1;
    std::optional<kernels::Isa> isa;
    std::uint32_t repeats = 3;
    std::uint32_t decode_tokens = 128;
    std::uint32_t prefill_tokens = 512;
    std::uint32_t streams = kSlots;
    std::vector<token::Id> ids;
    std::uint32_t greedy_tokens = 0;
};

/// What one generation gave, and a way to wait for it.
class Outcome {
public:
    void add(token::Id id) { ids_.push_back(id); }

    void end(const engine::Ending& ending) {
        const std::lock_guard lock(mutex_);
        ending_ = ending;
        ended_.notify_all();
    }

    const engine::Ending& wait() {
        std::unique_lock lock(mutex_);
        ended_.wait(lock, [this] { return ending_.has_value(); });
        return *ending_;
    }

    /// After wait().
    [[nodiscard]] const std::vector<token::Id>& ids() const { return ids_; }

private:
    std::mutex mutex_;
    std::condition_variable ended_;
    std::optional<engine::Ending> ending_;
    std::vector<token::Id> ids_;
};

class Recording final : public engine::Listener {
public:
    explicit Recording(std::shared_ptr<Outcome> outcome) : outcome_(std::move(outcome)) {}
    void on_start(std::uint32_t /*cached_tokens*/) override {}
    void on_prompt_token(std::uint32_t /*i*/, const engine::Sampled& /*token*/) override {}
    bool on_token(const engine::Sampled& token) override {
        outcome_->add(token.id);
        return true;
    }
    void on_end(const engine::Ending& ending) override { outcome_->end(ending); }

private:
    std::shared_ptr<Outcome> outcome_;
};

/// Tokens that repeat nothing, so that no figure is helped by an earlier prompt's cache.
class FreshTokens {
public:
    explicit FreshTokens(std::size_t vocabulary) : vocabulary_(vocabulary) {}
    std::vector<token::Id> take(std::uint32_t count) {
        std::vector<token::Id> ids(count);
        for (token::Id& id : ids) {
            state_ = state_ * 6364136223846793005U + 1442695040888963407U;
            id = static_cast<token::Id>((state_ >> 33U) % vocabulary_);
        }
        return ids;
    }

private:
    std::size_t vocabulary_;
    std::uint64_t state_ = 1;
};

Result<std::shared_ptr<Outcome>> submit(engine::Engine& engine, std::vector<token::Id> prompt,
                                        std::uint32_t tokens, bool ignore_end) {
    auto outcome = std::make_shared<Outcome>();
    engine::Generation generation;
    generation.prompt = std::move(prompt);
    generation.sampling.temperature = 0;
    generation.max_tokens = tokens;
    generation.ignore_end = ignore_end;
    generation.listener = std::make_unique<Recording>(outcome);
    TRILANE_TRY_STATUS(engine.submit(std::move(generation)));
    return outcome;
}

Result<job::Timings> timings_of(const std::shared_ptr<Outcome>& outcome) {
    const engine::Ending& ending = outcome->wait();
    if (ending.error) {
        return tl::unexpected(*ending.error);
    }
    return ending.timings;
}

double per_second(double tokens, double ms) {
    return ms > 0 ? 1000.0 * tokens / ms : 0;
}

Result<double> decode_rate(engine::Engine& engine, FreshTokens& fresh, std::uint32_t tokens) {
    TRILANE_TRY(const auto outcome, submit(engine, fresh.take(kPromptTokens), tokens, true));
    TRILANE_TRY(const job::Timings t, timings_of(outcome));
    return per_second(t.predicted_tokens, t.predicted_ms);
}

Result<double> prefill_rate(engine::Engine& engine, FreshTokens& fresh, std::uint32_t tokens) {
    TRILANE_TRY(const auto outcome, submit(engine, fresh.take(tokens), 1, true));
    TRILANE_TRY(const job::Timings t, timings_of(outcome));
    return per_second(t.prompt_tokens, t.prompt_ms);
}

/// All streams' tokens together over the longest stream's time.
Result<double> aggregate_rate(engine::Engine& engine, FreshTokens& fresh, std::uint32_t tokens,
                              std::uint32_t streams) {
    std::vector<std::shared_ptr<Outcome>> outcomes;
    for (std::uint32_t i = 0; i < streams; ++i) {
        TRILANE_TRY(auto outcome, submit(engine, fresh.take(kPromptTokens), tokens, true));
        outcomes.push_back(std::move(outcome));
    }
    double all_tokens = 0;
    double longest_ms = 0;
    for (const auto& outcome : outcomes) {
        TRILANE_TRY(const job::Timings t, timings_of(outcome));
        all_tokens += t.predicted_tokens;
        longest_ms = std::max(longest_ms, t.predicted_ms);
    }
    return per_second(all_tokens, longest_ms);
}

std::string list_of(const std::vector<double>& values) {
    return fmt::format("[{:.2f}]", fmt::join(values, ","));
}

Status measure(const Options& o) {
    engine::Options options;
    options.slots = std::max(kSlots, o.streams);
    options.queue_max = options.slots;
    options.threads = o.threads;
    options.isa = o.isa;
    TRILANE_TRY(const auto engine, engine::Engine::load(o.model, options));
    FreshTokens fresh(engine->tokenizer()->size());

    std::vector<token::Id> greedy;
    if (!o.ids.empty()) {
        TRILANE_TRY(const auto outcome, submit(*engine, o.ids, o.greedy_tokens, false));
        TRILANE_TRY_STATUS(timings_of(outcome).map([](const job::Timings&) {}));
        greedy = outcome->ids();
    }
    // The first pass touches every page and is not counted.
    TRILANE_TRY_STATUS(decode_rate(*engine, fresh, o.decode_tokens).map([](double) {}));
    std::vector<double> decode;
    std::vector<double> prefill;
    std::vector<double> aggregate;
    for (std::uint32_t i = 0; i < o.repeats; ++i) {
        TRILANE_TRY(decode.emplace_back(), decode_rate(*engine, fresh, o.decode_tokens));
        TRILANE_TRY(prefill.emplace_back(), prefill_rate(*engine, fresh, o.prefill_tokens));
        TRILANE_TRY(aggregate.emplace_back(),
                    aggregate_rate(*engine, fresh, o.decode_tokens, o.streams));
    }
    fmt::print(
        "{{\"threads\":{},\"isa\":\"{}\",\"decode_tokens\":{},\"prefill_tokens\":{},\"streams\":{},"
        "\"weight_bytes_per_token\":{},\"decode_tok_s\":{},\"prefill_tok_s\":{},"
        "\"aggregate_tok_s\":{},\"greedy_ids\":[{}]}}\n",
        engine->options().threads, kernels::isa_name(engine->model().kernels().isa),
        o.decode_tokens, o.prefill_tokens, o.streams, engine->model().weights().bytes_per_token,
        list_of(decode), list_of(prefill), list_of(aggregate), fmt::join(greedy, ","));
    return {};
}

template <class T>
bool read_number(std::string_view text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

bool read_ids(std::string_view text, std::vector<token::Id>& ids) {
    while (true) {
        const std::size_t comma = text.find(',');
        if (!read_number(text.substr(0, comma), ids.emplace_back())) {
            return false;
        }
        if (comma == std::string_view::npos) {
            return true;
        }
        text.remove_prefix(comma + 1);
    }
}

bool read_option(std::string_view name, std::string_view value, Options& o) {
    if (name == "--isa") {
        const auto isa = kernels::isa_from_name(value);
        o.isa = isa ? std::optional(*isa) : std::nullopt;
        return isa.has_value();
    }
    if (name == "--ids") {
        return read_ids(value, o.ids);
    }
    std::uint32_t* const number = name == "--threads"   ? &o.threads
                                  : name == "--repeats" ? &o.repeats
                                  : name == "--decode"  ? &o.decode_tokens
                                  : name == "--prefill" ? &o.prefill_tokens
                                  : name == "--streams" ? &o.streams
                                  : name == "--greedy"  ? &o.greedy_tokens
                                                        : nullptr;
    return number != nullptr && read_number(value, *number) && *number > 0;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    bool understood = argc >= 2 && argc % 2 == 0;
    for (int i = 2; understood && i < argc; i += 2) {
        understood = read_option(argv[i], argv[i + 1], options);
    }
    if (!understood) {
        fmt::print(stderr, "{}", kUsage);
        return 2;
    }
    options.model = argv[1];
    if (const Status done = measure(options); !done) {
        fmt::print(stderr, "trilane_engine_bench: {}\n", done.error().message);
        return 1;
    }
    return 0;
}
